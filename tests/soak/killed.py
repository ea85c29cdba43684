"""Fifty deaths of the director at random moments: `python -m tests.soak.killed --kills 50`. A part of `make soak`."""

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import sys
import tempfile
from pathlib import Path

from broadcaster.paths import channel_paths
from tests.support.killing import Outcome, kill_often

KILLS = 50


def killed(kills: int, *, seed: int) -> Outcome:
    folder = Path(tempfile.mkdtemp(prefix="bc-"))
    paths = channel_paths("test", folder)
    paths.ensure()
    try:
        return asyncio.run(kill_often(paths, folder, kills, seed=seed))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="killed", description=__doc__)
    parser.add_argument("--kills", type=int, default=KILLS)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    outcome = killed(options.kills, seed=options.seed)
    print(outcome.text())
    for fault in outcome.faults:
        print(f"  {fault}")
    return 1 if outcome.faults else 0


if __name__ == "__main__":
    sys.exit(main())
