"""Lateness of ticks (P99 of each second) with a fault over without, in alternating slices of one run."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from bench.latency_prompts import LONG
from bench.run_station import FULL
from bench.run_tables import Row, table
from tests.support.channel import Channel, rtmp
from tests.support.nginx import NginxRtmp
from tests.support.peers import FaultProxy

GOAL = 1.5
LOAD = "talking, voice synthesising"
"""No fault, and no goal: what the ordinary load does, for comparison."""
Fault = tuple[Callable[[], object], Callable[[], object]]


def p99s(channel: Channel, seconds: int) -> list[float]:
    """`lateness_p99_ms` of each of the next seconds."""
    found: list[float] = []
    tick = channel.status()["clock"]["tick"]
    deadline = time.monotonic() + seconds + 5
    while len(found) < seconds and time.monotonic() < deadline:
        time.sleep(0.1)
        clock = channel.status()["clock"]
        if clock["tick"] > tick:
            tick = clock["tick"]
            found.append(float(clock["lateness_p99_ms"]))
    return found


def run(*, quick: bool, only: Sequence[str] = ()) -> list[Row]:
    """`only` names some of the faults; none means all."""
    rounds, seconds = (1, 5) if quick else (5, 10)
    rows: list[Row] = []
    with ExitStack() as stack:
        nginx = stack.enter_context(NginxRtmp())
        other = stack.enter_context(NginxRtmp())
        proxy = stack.enter_context(FaultProxy(other.port))
        sinks = [rtmp("main", nginx.url()), rtmp("faulty", proxy.url())]
        channel = stack.enter_context(Channel(sinks=sinks, voice="kokoro", settings={"video": dict(FULL)}))

        def silent() -> None:
            proxy.stall()
            proxy.reset()

        def interrupt() -> None:
            channel.interrupt()

        faults: dict[str, Fault] = {
            "server stops reading": (proxy.stall, proxy.resume),
            "server resets": (proxy.reset, proxy.resume),
            "server accepts and is silent": (silent, proxy.resume),
            "server killed": (other.kill, other.start),
            "head killed": (lambda: channel.kill("head"), lambda: None),
            "voice killed": (lambda: channel.kill("voice"), lambda: None),
            LOAD: (lambda: channel.say(LONG), interrupt),
        }
        time.sleep(5)
        for name, (begin, end) in faults.items():
            if only and name not in only:
                continue
            without: list[float] = []
            during: list[float] = []
            for _ in range(rounds):
                channel.until(lambda: channel.sink("faulty")["state"] == "live", 90, "the faulty sink is live again")
                channel.until(lambda: channel.get("/health/ready")[0] == 200, 90, "ready")
                without += p99s(channel, seconds)
                begin()
                during += p99s(channel, seconds)
                end()
            clean, bad = statistics.median(without), statistics.median(during)
            rows.append(
                Row(
                    f"{name}: P99 with / without",
                    bad / max(clean, 0.01),
                    "x",
                    None if name == LOAD else GOAL,
                    f"{bad:.2f} / {clean:.2f} ms",
                )
            )
        clock = channel.status()["clock"]
        rows.append(Row("held ticks in the whole run", clock["held_ticks"], f"of {clock['tick']}"))
    table("Tick lateness with a fault over without", rows)
    return rows


if __name__ == "__main__":
    run(quick=False, only=sys.argv[1:])
