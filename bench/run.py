"""`make bench`: every bench in turn, a table each, its goals beside the figures.

`--quick` takes few samples, to see that the benches work; its figures mean little. `--only NAME` runs some.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

from bench.run_tables import Row

BENCHES = (
    "chain",
    "overhead",
    "latency",
    "interrupt",
    "cpu",
    "lateness",
    "room_load",
    "memory",
    "voice_speed",
    "packing",
    "cut_words",
    "chain_voices",
    "voice_faults",
    "cloud_voice",
    "mouth_timing",
    "avatar_memory",
    "paste",
    "prepare",
    "onnx_head",
    "head_server",
    "whisper_window",
    "intelligibility",
    "inbox",
    "room_paid",
    "push",
    "moderation",
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few samples")
    parser.add_argument("--only", choices=BENCHES, nargs="+", default=BENCHES, help="run only these")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    machine = f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.2f}"
    print(f"{machine}, Python {platform.python_version()}")
    figures: dict[str, list[Row]] = {}
    failed: list[str] = []
    for name in options.only:
        began = time.monotonic()
        try:
            figures[name] = import_module(f"bench.{name}").run(quick=options.quick)
        except Exception as err:
            failed.append(name)
            print(f"\n{name} could not be measured: {type(err).__name__}: {str(err)[:2000]}")
        print(f"  ({name}: {time.monotonic() - began:.0f} s)", flush=True)
    if options.json is not None:
        rows = {name: [asdict(row) | {"met": row.met} for row in found] for name, found in figures.items()}
        options.json.write_text(json.dumps(rows, indent=2) + "\n")
    missed = [f"{name}: {row.name}" for name, found in figures.items() for row in found if row.met is False]
    print(f"\n{len(missed)} goals missed" + "".join(f"\n  {line}" for line in missed))
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
