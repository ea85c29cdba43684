"""Evenings in a Bilibili room, one after the other, each with another seed: `python -m tests.soak.room`.

In virtual time as fast as it goes, or with `--real` as the clock goes. Prints what happened, and ends with 1 when
something paid was lost, answered twice, or has no end in the journal.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import typer

from broadcaster.paths import channel_paths
from tests.support.hurried import hurried
from tests.support.room_session import Told, evening


def main(minutes: float = 10.0, evenings: int = 6, seed: int = 1, real: bool = False) -> None:
    """Play evenings of so many minutes."""
    faults = 0
    for number in range(seed, seed + evenings):
        told = _one(minutes * 60, number, real)
        print(f"seed {number}: {told.text()}", flush=True)
        for fault in told.faults[:20]:
            print(f"  FAULT {fault}", flush=True)
        faults += len(told.faults)
    raise SystemExit(bool(faults))


def _one(seconds: float, seed: int, real: bool) -> Told:
    with tempfile.TemporaryDirectory(prefix="bc-") as folder:
        paths = channel_paths("soak", Path(folder))
        paths.ensure()
        work = evening(paths, seconds, seed=seed)
        return asyncio.run(work) if real else hurried(work)


if __name__ == "__main__":
    typer.run(main)
