"""CPU of playout and its sink children over a bare x264 and AAC encoder that is fed the same pictures and sound.

Both run all the time, on the same cores; idle and talking slices alternate; each figure is the median of slices.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import psutil

from bench.cpu_footage import write_footage
from bench.latency_prompts import LONG
from bench.run_station import FULL
from bench.run_tables import Row, table
from tests.support.channel import Channel, rtmp
from tests.support.nginx import NginxRtmp

SLICE_S = 8.0
SETTLE_S = 4.0
"""The voice may finish the piece it was at when it was interrupted."""
ROLES = ("playout", "sink", "voice", "head", "director", "parent")
GOALS = {"idle": 1.25, "talk": 1.6}


def cpu_seconds(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def one_slice(channel: Channel, baseline: int, seconds: float) -> dict[str, float]:
    """Percent of one core by role, over `seconds`."""
    processes = channel.processes()
    before = {pid: cpu_seconds(pid) for pid in processes} | {baseline: cpu_seconds(baseline)}
    began = time.monotonic()
    time.sleep(seconds)
    elapsed = time.monotonic() - began
    used: dict[str, float] = defaultdict(float)
    for pid, start in before.items():
        role = processes.get(pid, "baseline")
        used[role] += 100 * (cpu_seconds(pid) - start) / elapsed
    return used


def run(*, quick: bool) -> list[Row]:
    slices, seconds = (2, 4.0) if quick else (8, SLICE_S)
    taken: dict[str, list[dict[str, float]]] = {"idle": [], "talk": []}
    with tempfile.TemporaryDirectory(prefix="bc-cpu-") as folder, NginxRtmp() as nginx:
        sinks = [rtmp("main", nginx.url()), {"type": "preview", "name": "preview"}]
        with Channel(sinks=sinks, voice="kokoro", settings={"video": dict(FULL)}) as channel:
            write_footage(Path(folder), channel.root / "cache", dict(FULL), LONG)
            baseline = subprocess.Popen(
                [sys.executable, "-m", "bench.cpu_baseline", folder],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            )  # fmt: skip
            assert baseline.stdin is not None
            assert baseline.stdout is not None
            try:
                baseline.stdout.readline()
                time.sleep(2)
                for _ in range(slices):
                    for mode in ("idle", "talk"):
                        if mode == "talk":
                            channel.wait_event("on_air", channel.say(LONG))
                        baseline.stdin.write(f"{mode}\n")
                        baseline.stdin.flush()
                        taken[mode].append(one_slice(channel, baseline.pid, seconds))
                    channel.interrupt()
                    time.sleep(SETTLE_S)
            finally:
                baseline.kill()
                baseline.communicate()
    rows: list[Row] = []
    for mode, found in taken.items():
        ratios = [(one["playout"] + one["sink"]) / one["baseline"] for one in found]
        rows.append(Row(f"{mode}: (playout + sinks) / bare encoder", statistics.median(ratios), "x", GOALS[mode]))
        rows.append(Row(f"{mode}: bare encoder", statistics.median(one["baseline"] for one in found), "% of a core"))
        rows += [
            Row(f"{mode}: {role}", statistics.median(one.get(role, 0.0) for one in found), "% of a core")
            for role in ROLES
        ]
    table(f"CPU at {FULL['width']}x{FULL['height']}@{FULL['fps']}, {slices} slices of {seconds:g} s", rows)
    return rows


if __name__ == "__main__":
    run(quick=False)
