"""From the socket write of an interrupt to the first silent frame of sound at a decoder that joined long before."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass

from bench.clicks import count_clicks, count_hard_cuts_found
from bench.latency_prompts import LONG
from bench.run_station import Station, on_air
from bench.run_tables import Row, spread, table


@dataclass(frozen=True, slots=True)
class Cut:
    silent_ms: float
    at_ms: float
    """Stream time of the first silent frame."""


def cut_once(station: Station, chance: random.Random, least_s: float, most_s: float) -> Cut:
    """Speaks the long text and interrupts it some seconds into it."""
    station.quiet(0.3)
    started = time.monotonic_ns()
    station.channel.say(LONG)
    heard = station.first_level(started, audible=True)
    if heard is None:
        raise TimeoutError("the long prompt was never heard")
    time.sleep(chance.uniform(least_s, most_s))
    while station.puller.levels[-1].dbfs <= -40:
        time.sleep(0.002)  # a cut in a pause of the speech would measure nothing
    sent = station.channel.interrupt()
    silent = station.first_level(sent, audible=False)
    if silent is None:
        raise TimeoutError("the interrupt was never heard")
    return Cut((silent.decoded_ns - sent) / 1e6, silent.pts_ms)


def ends(station: Station, cuts: list[Cut]) -> list[int]:
    """The sample behind the last audible frame of each cut."""
    sound = station.puller.capture.sound()
    return [round((cut.at_ms - sound.start_ms) * sound.rate / 1000) + 480 for cut in cuts]


def run(*, quick: bool) -> list[Row]:
    rows: list[Row] = []
    cuts_each = 6 if quick else 50
    chance = random.Random(2)
    for name, voice, least, most in (
        ("quiet", "tone", 0.5, 2.5),
        ("voice synthesising", "kokoro", 0.3, 1.5),
    ):
        with on_air(voice=voice) as station:
            cuts = [cut_once(station, chance, least, most) for _ in range(cuts_each)]
            rows += spread(f"{name}: interrupt -> silent", [cut.silent_ms for cut in cuts], "ms", p95=200)
            samples, places = station.puller.capture.sound().samples, ends(station, cuts)
            rows.append(Row(f"{name}: clicks", count_clicks(samples, places), f"of {len(cuts)}", 0))
            if voice == "kokoro":
                found = count_hard_cuts_found(samples, places)
                rows.append(Row("control: the same speech broken off without a fade", found, f"of {len(cuts)} found"))
    table("Interrupt: socket write -> first decoded frame below -50 dBFS", rows)
    return rows


if __name__ == "__main__":
    run(quick=False)
