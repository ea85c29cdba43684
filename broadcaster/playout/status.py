"""Builds `PlayoutStatus` once a second. Called by the tick thread, so it only reads counters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from broadcaster.playout.clock import ClockCounters
from broadcaster.playout.encoder import Encoder
from broadcaster.playout.talk import Talk
from broadcaster.playout.tickloop import TickLoop
from broadcaster.types import SAMPLE_RATE, samples_at
from broadcaster.wire import HeadStatus, PlayoutStatus, SinkStatus


def playout_status(
    loop: TickLoop[Any],
    clock: ClockCounters,
    talk: Talk,
    encoder: Encoder,
    head: HeadStatus | None,
    sinks: Callable[[], list[SinkStatus]],
    fps: int,
    uptime_s: float,
) -> PlayoutStatus:
    timing = loop.timing.take()
    counters = talk.counters
    return PlayoutStatus(
        tick=loop.tick,
        fps=fps,
        late_ticks=clock.late,
        held_ticks=clock.held + loop.compositor.held,
        reanchored=clock.reanchored,
        tick_ms=timing.work_ms,
        lateness_p99_ms=timing.lateness_p99_ms,
        encoder=encoder.video.name,
        encoder_restarts=encoder.restarts,
        talking=talk.talking,
        queued_ms=talk.queued_samples * 1000 // SAMPLE_RATE,
        holes=counters.holes,
        hole_ms=counters.hole_ticks * 1000 // fps,
        patches_shown=counters.patches_shown,
        patches_missing=counters.patches_missing,
        patches_late=counters.patches_late,
        av_skew_ms=_skew_ms(loop.tick, encoder, fps),
        head=head,
        sinks=sinks(),
        panicked=talk.panicked,
        uptime_s=uptime_s,
        faults=loop.faults,
        lead_ticks=talk.lead_ticks,
    )


def _skew_ms(tick: int, encoder: Encoder, fps: int) -> float:
    """How far the sound given to the encoder is from the picture given to it: 0 unless a count went wrong."""
    return (encoder.audio.received - samples_at(tick + 1, fps)) * 1000 / SAMPLE_RATE
