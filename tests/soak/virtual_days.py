"""Days of ticks, every one of them, through the real clock, framing, rebasing and muxer, rotated by the policy."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field

from broadcaster.supervisor.sink import SinkPolicy
from tests.support.virtual import Fault, Materials, TickSource, VirtualTime, Wire

FPS = 25
GOP = 2 * FPS
TICKS_PER_DAY = 86_400 * FPS
ROTATE_AFTER_S = 480 * 3600.0
"""The default of the configuration: 20 days."""
PROGRESS_TICKS = TICKS_PER_DAY // 4


@dataclass(slots=True)
class VirtualReport:
    days: float
    seconds: float = 0.0
    ticks: int = 0
    pictures: int = 0
    sounds: int = 0
    sessions: list[int] = field(default_factory=list)
    """Last timestamp of each session, in ms."""
    faults: list[Fault] = field(default_factory=list)

    def text(self) -> str:
        sessions = ", ".join(f"{last / 3_600_000:.2f} h" for last in self.sessions)
        lines = [
            f"{self.days:g} days in {self.seconds:.0f} s: {self.ticks} ticks, {self.pictures} pictures, "
            f"{self.sounds} sound packets",
            f"sessions: {sessions}",
        ]
        return "\n".join([*lines, *(f"WRONG {fault}" for fault in self.faults[:50])] or ["nothing wrong"])


def run_days(
    days: float, *, first_tick: int = 0, rotate_after_s: float = ROTATE_AFTER_S, progress: bool = False
) -> VirtualReport:
    """`first_tick` must be a key frame's. Every packet's timestamp is compared with the counters."""
    report = VirtualReport(days)
    materials = Materials(FPS)
    virtual = VirtualTime()
    source = TickSource(virtual, FPS, first_tick)
    policy = SinkPolicy(lambda: virtual.now_ns / 1e9, random.Random(1), rotate_after_s=rotate_after_s)
    wire = _connected(policy, materials)
    began = time.monotonic()
    total = round(days * TICKS_PER_DAY / GOP) * GOP
    while report.ticks < total:
        source.send(materials, [wire], GOP)
        report.ticks += GOP
        if policy.rotation_due(idle=True):
            policy.ended(None)
            _closed(wire, report)
            wire = _connected(policy, materials)
        if progress and report.ticks % PROGRESS_TICKS == 0:
            day, took = report.ticks / TICKS_PER_DAY, time.monotonic() - began
            print(f"day {day:.2f}, {took:.0f} s, {len(wire.faults)} faults in this session", flush=True)
    _closed(wire, report)
    report.seconds = time.monotonic() - began
    return report


def _connected(policy: SinkPolicy, materials: Materials) -> Wire:
    policy.started()
    policy.connected()
    policy.live()
    return Wire(materials)


def _closed(wire: Wire, report: VirtualReport) -> None:
    wire.close()
    report.faults += wire.faults
    report.pictures += wire.pictures
    report.sounds += wire.sounds
    report.sessions.append(wire.last_ms)
