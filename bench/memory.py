"""Memory while talking: PSS of every process of the channel without the page cache, minutes 2 to 10."""

from __future__ import annotations

import re
import time
from pathlib import Path

from bench.latency_prompts import PROMPTS
from bench.run_station import on_air
from bench.run_tables import Row, slope_per_minute, table
from tests.support.channel import Channel

EVERY_S = 5.0


def private_kb(pid: int) -> int:
    """Pss_Anon + Pss_Shmem of a process; mapped files (libraries, weights, base frames) are page cache."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return sum(int(kb) for kb in re.findall(r"^Pss_(?:Anon|Shmem):\s+(\d+) kB", text, re.MULTILINE))


def by_role(channel: Channel) -> dict[str, float]:
    """MB per role."""
    found: dict[str, float] = {}
    for pid, role in channel.processes().items():
        found[role] = found.get(role, 0.0) + private_kb(pid) / 1024
    return found


def run(*, quick: bool) -> list[Row]:
    warm_s, end_s = (20.0, 60.0) if quick else (120.0, 600.0)
    times: list[float] = []
    samples: list[dict[str, float]] = []
    with on_air(settle=False) as station:
        began = time.monotonic()
        number = 0
        while (now := time.monotonic() - began) < end_s:
            if len(station.channel.status()["next"]) < 2:
                station.channel.say(PROMPTS[number % len(PROMPTS)])
                number += 1
            if now >= warm_s:
                times.append(now)
                samples.append(by_role(station.channel))
            time.sleep(EVERY_S if not quick else 1.0)
    roles = sorted({role for sample in samples for role in sample})
    rows = [
        Row(
            f"{role}: growth",
            slope_per_minute(times, [sample.get(role, 0.0) for sample in samples]),
            "MB/min",
            note=f"{samples[0].get(role, 0):.0f} -> {samples[-1].get(role, 0):.0f} MB",
        )
        for role in roles
    ]
    totals = [sum(sample.values()) for sample in samples]
    rows.append(
        Row("all: growth", slope_per_minute(times, totals), "MB/min", 0.5, f"{totals[0]:.0f} -> {totals[-1]:.0f} MB")
    )
    table(f"PSS without page cache while talking, {warm_s / 60:.1f} to {end_s / 60:.1f} min", rows)
    return rows


if __name__ == "__main__":
    run(quick=False)
