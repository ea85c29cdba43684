"""The chain alone: the same as `latency`, with a voice that answers at once."""

from __future__ import annotations

from bench.latency import measure
from bench.latency_prompts import PROMPTS
from bench.run_tables import Row, spread, table


def run(*, quick: bool) -> list[Row]:
    spoken = measure("tone", PROMPTS[:4] if quick else PROMPTS)
    rows = spread("accepted -> first spoken tick", [s.first_tick_ms for s in spoken], "ms", p95=160)
    # The tone's first syllable begins with 60 ms of closed lips.
    rows += spread("accepted -> first sound > -50 dBFS", [s.first_sound_ms for s in spoken], "ms")
    table("Instant voice: accepted prompt -> first sound at a decoder", rows)
    return rows


if __name__ == "__main__":
    run(quick=False)
