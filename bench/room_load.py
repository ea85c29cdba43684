"""A flood of comments from another process into a running channel: ticks, lateness, memory, and where every one went.

The host talks all the time, with and without the flood: otherwise its voice, not the comments, would be measured.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil

from bench.latency_prompts import LONG
from bench.memory import private_kb
from bench.room_sender import BATCHES_PER_S
from bench.run_station import FULL
from bench.run_tables import Row, percentile, slope_per_minute, table
from tests.support.channel import Channel, rtmp
from tests.support.net import free_port
from tests.support.nginx import NginxRtmp

RATE = 10_000
RATIO_GOAL = 1.5
"""As for every other fault (`bench/lateness.py`): more than noise."""

GROWTH_GOAL = 5.0
"""MB a minute of the director, after the first third of the flood, in which its bounded rings and lists fill up."""

SETTLE_S = 5.0
AHEAD = 2
"""Prompts of a moderator that wait while the host talks."""


class Watch:
    """Looks at a channel once a second and keeps the host talking."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.late: list[float] = []
        self.memory: list[tuple[float, float]] = []
        self.cpu_s = 0.0
        self.starved: list[float] = []
        self.loop_ms: list[float] = []

    def seconds(self, count: float, flood: subprocess.Popen[str] | None = None) -> None:
        """Until so much time is over, or the flood is."""
        (pid,) = self.channel.pids("director")
        process = psutil.Process(pid)
        cpu, began = sum(process.cpu_times()[:2]), time.monotonic()
        starved = waited_s(pid)
        while time.monotonic() - began < count and (flood is None or flood.poll() is None):
            asked = time.monotonic()
            status = self.channel.status()
            self.loop_ms.append(1000 * (time.monotonic() - asked))
            self.late.append(float(status["clock"]["lateness_p99_ms"]))
            self.memory.append((time.monotonic(), private_kb(pid) / 1024))
            if len(status["next"]) < AHEAD:
                self.channel.say(LONG)
            time.sleep(max(0.0, asked + 1.0 - time.monotonic()))
        self.cpu_s += sum(process.cpu_times()[:2]) - cpu
        self.starved.append(100 * (waited_s(pid) - starved) / (time.monotonic() - began))


def waited_s(pid: int) -> float:
    """How long the first thread of a process, the director's loop, was ready to run and had no CPU."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9


def unaccounted(before: dict[str, Any], after: dict[str, Any], sent: int) -> tuple[int, dict[str, int]]:
    """Comments of which nobody knows where they went, and where the others did."""
    where = {"shed before the desk": _grown(before, after, "shed", "comment")}
    looked_at = _grown(before, after, "received", "comment")
    for reason in after["room"]["dropped"]:
        where[f"dropped: {reason}"] = _grown(before, after, "dropped", reason)
    where["taken"] = after["room"]["taken"] - before["room"]["taken"]
    missing = sent - where["shed before the desk"] - looked_at
    lost = looked_at - sum(count for name, count in where.items() if name != "shed before the desk")
    where["faults"] = int(after["room"]["faults"]) - int(before["room"]["faults"])
    lost -= where["faults"]
    found = {"not received": missing, "received and lost": lost, **where}
    return abs(missing) + abs(lost), {name: count for name, count in found.items() if count}


def _grown(before: dict[str, Any], after: dict[str, Any], part: str, key: str) -> int:
    return int(after["room"][part].get(key, 0)) - int(before["room"][part].get(key, 0))


def run(*, quick: bool) -> list[Row]:
    flood_s, calm_s = (12.0, 6.0) if quick else (60.0, 30.0)
    port = free_port()
    source = {"type": "ingest", "name": "flood", "port": port}
    with (
        NginxRtmp() as nginx,
        Channel(
            sinks=[rtmp("main", nginx.url())], voice="kokoro", settings={"video": dict(FULL), "sources": [source]}
        ) as channel,
    ):
        channel.until(lambda: channel.status()["sources"][0]["state"] == "live", 30, "the source listens")
        channel.say(LONG)
        time.sleep(SETTLE_S)
        calm, flooded = Watch(channel), Watch(channel)
        calm.seconds(calm_s)
        before = channel.status()
        command = [sys.executable, "-m", "bench.room_sender", "--port", str(port), "--rate", str(RATE)]
        with subprocess.Popen([*command, "--seconds", str(flood_s)], stdout=subprocess.PIPE, text=True) as sender:
            flooded.seconds(flood_s + 60, sender)
            assert sender.stdout is not None
            said: dict[str, float] = json.loads(sender.stdout.read())
        channel.until(lambda: channel.status()["room"]["looking"] == 0, 30, "every comment was looked at")
        after = channel.status()
        calm.seconds(calm_s)
    missing, where = unaccounted(before, after, int(said["accepted"]))
    held = after["clock"]["held_ticks"] - before["clock"]["held_ticks"]
    ticks = after["clock"]["tick"] - before["clock"]["tick"]
    without, during = statistics.median(calm.late), statistics.median(flooded.late)
    grown = flooded.memory[len(flooded.memory) // 3 :]
    slope = slope_per_minute([at for at, _ in grown], [mb for _, mb in grown])
    sizes = f"{grown[0][1]:.0f} -> {grown[-1][1]:.0f} MB"
    share = 100 * said["cpu_s"] / said["wall_s"]
    rows = [
        Row("comments sent", said["sent"], "", note=f"{said['sent'] / said['wall_s']:.0f} a second"),
        Row("sender: CPU", share, "%", note=f"{said['cpu_s']:.1f} s; at most {said['latest_ms']:.0f} ms behind"),
        Row("sender: refused", said["sent"] - said["accepted"], "", 0),
        Row("director: CPU", 100 * flooded.cpu_s / said["wall_s"], "%"),
        Row(
            "director: its loop waited for a CPU",
            flooded.starved[0],
            "%",
            note=f"without {max(calm.starved):.0f} %; much of it: the machine is busy, and the rest tells little",
        ),
        Row("ticks held", held, f"of {ticks}", 0),
        Row(
            "lateness P99 with / without",
            during / max(without, 0.01),
            "x",
            RATIO_GOAL,
            f"{during:.2f} / {without:.2f} ms",
        ),
        Row(
            "answer to /api/status P95",
            percentile(flooded.loop_ms, 95),
            "ms",
            note=f"without {percentile(calm.loop_ms, 95):.0f} ms",
        ),
        Row("director: memory", slope, "MB/min", GROWTH_GOAL, sizes),
        Row("comments nobody counted", missing, "", 0, "; ".join(f"{name} {count}" for name, count in where.items())),
    ]
    table(f"{RATE:,} comments a second for {flood_s:.0f} s, {BATCHES_PER_S} messages a second", rows)
    return rows


if __name__ == "__main__":
    run(quick="--quick" in sys.argv[1:])
