"""`make soak`: a real channel under random prompts and faults, watched from outside, and a report.

`--virtual-days N` runs N days of ticks through the real clock, framing and FLV muxer instead (40: under an hour).
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from bench.memory import by_role
from tests.soak.chaos import Chaos
from tests.soak.killed import KILLS, killed
from tests.soak.report import Report
from tests.soak.virtual_days import run_days
from tests.soak.watch import StreamWatch
from tests.support.channel import Channel, rtmp
from tests.support.nginx import NginxRtmp
from tests.support.peers import FaultProxy
from tests.support.puller import Puller

FPS = 25
SETTLE_S = 120.0
"""Memory is looked at from here on; a short run takes the last three quarters."""
LAST_PROMPTS_S = 180.0


def soak(
    minutes: float,
    *,
    voice: str = "kokoro",
    seed: int = 1,
    pause_s: tuple[float, float] = (2.0, 12.0),
    gentle: bool = False,
) -> Report:
    """Runs for `minutes` and some, until every accepted prompt has an outcome."""
    watch = StreamWatch(FPS)
    with ExitStack() as stack:
        nginx, other = stack.enter_context(NginxRtmp()), stack.enter_context(NginxRtmp())
        proxy = stack.enter_context(FaultProxy(other.port))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bc-rec-")))
        sinks = [
            rtmp("main", nginx.url()),
            rtmp("faulty", proxy.url()),
            {"type": "preview", "name": "preview"},
            {"type": "file", "name": "record", "directory": str(folder), "segment_minutes": 5, "keep_gb": 1},
        ]
        settings = {"voice": {"request_timeout_s": 10}}
        channel = stack.enter_context(Channel(sinks=sinks, voice=voice, settings=settings))
        puller = stack.enter_context(Puller(nginx.url(), rejoin=True, keep=500, on_packet=watch.note))
        puller.wait_frames(FPS, timeout=60)
        chaos = Chaos(channel, proxy, other, random.Random(seed), gentle)
        began = time.monotonic()
        seen: dict[int, str] = {}
        times: list[float] = []
        memory: list[float] = []
        settle = min(SETTLE_S, minutes * 15)
        while time.monotonic() - began < minutes * 60:
            chaos.step(pause_s)
            seen |= channel.processes()
            elapsed = time.monotonic() - began
            if elapsed > settle:
                times.append(elapsed / 60)
                memory.append(sum(by_role(channel).values()))
        outcomes = _outcomes(channel, chaos.accepted)
        puller.wait_frames(2 * FPS)
        seen |= channel.processes()
        clock = channel.status()["clock"]
        kept = ("tick", "late_ticks", "held_ticks", "reanchored", "holes", "patches_late", "patches_missing")
        return Report(
            minutes=(time.monotonic() - began) / 60,
            sessions=watch.sessions,
            expected_sessions=1 + chaos.deaths["playout"],
            clock={name: float(clock[name]) for name in kept},
            deeds=chaos.deeds,
            deaths=chaos.deaths,
            starts=Counter(seen.values()),
            outcomes=outcomes,
            pss_minutes=times,
            pss_mb=memory,
        )


def _outcomes(channel: Channel, accepted: list[str]) -> Counter[str]:
    """What became of every accepted prompt; waits for the queue to run empty."""
    deadline = time.monotonic() + LAST_PROMPTS_S
    while time.monotonic() < deadline:
        status = channel.status()
        if status["now"] is None and status["queue"]["length"] == 0:
            break
        time.sleep(0.5)
    time.sleep(1.5)
    known: dict[str, str] = {}
    for kind in ("skipped", "cut", "done"):
        known |= {str(heard.event["id"]): kind for heard in channel.events(kind)}
    # Events of the moment in which a director dies are only in the as-run log.
    aired = {str(row["prompt"]): str(row["outcome"]) for row in channel.asrun(1000)}
    return Counter(known.get(prompt) or ("logged" if prompt in aired else "lost") for prompt in accepted)


def main() -> int:
    parser = argparse.ArgumentParser(prog="soak", description=__doc__)
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=float, default=60.0)
    length.add_argument("--seconds", type=float)
    length.add_argument("--virtual-days", type=float)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--voice", default="kokoro")
    options = parser.parse_args()
    if options.virtual_days is not None:
        virtual = run_days(options.virtual_days, progress=True)
        print(virtual.text())
        return 1 if virtual.faults else 0
    minutes = options.minutes if options.seconds is None else options.seconds / 60
    print(f"seed {options.seed}", flush=True)
    report = soak(minutes, voice=options.voice, seed=options.seed)
    print(report.text())
    outcome = killed(KILLS, seed=options.seed)
    print(outcome.text(), *outcome.faults, sep="\n  ")
    return 1 if report.faults() or outcome.faults else 0


if __name__ == "__main__":
    sys.exit(main())
