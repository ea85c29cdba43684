"""From an accepted prompt to its first sound at a decoder behind RTMP, and the holes inside what is then said."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from bench.latency_prompts import PROMPTS
from bench.run_station import Station, on_air
from bench.run_tables import Row, spread, table


@dataclass(frozen=True, slots=True)
class Spoken:
    first_tick_ms: float
    """Accepted (its event received) to the first spoken tick's sound decoded."""
    first_sound_ms: float
    """The same to the first frame above -50 dBFS: a voice may begin with closed lips."""
    holes: int
    hole_ms: float


def speak_one(station: Station, text: str) -> Spoken:
    before = station.channel.status()["clock"]
    prompt = station.channel.say(text)
    accepted = station.channel.wait_event("accepted", prompt).at_ns
    level = station.first_level(accepted, audible=True)
    if level is None:
        raise TimeoutError(f"nothing was heard of a prompt of {len(text)} characters")
    on_air = station.channel.wait_event("on_air", prompt).event
    first_tick = station.tick_decoded_ns(int(on_air["tick"]), level)
    station.channel.wait_event("done", prompt, timeout=120)
    station.quiet()
    station.channel.until(lambda: station.channel.status()["clock"]["tick"] > before["tick"] + 50, 10, "a new status")
    after = station.channel.status()["clock"]
    return Spoken(
        (first_tick - accepted) / 1e6,
        (level.decoded_ns - accepted) / 1e6,
        after["holes"] - before["holes"],
        after["hole_ms"] - before["hole_ms"],
    )


def measure(voice: str, prompts: tuple[str, ...]) -> list[Spoken]:
    with on_air(voice=voice) as station:
        speak_one(station, "先试一下声音。")
        return [speak_one(station, text) for text in prompts]


def run(*, quick: bool) -> list[Row]:
    prompts = PROMPTS[:4] if quick else PROMPTS
    spoken = measure("kokoro", prompts)
    holes = [s.hole_ms for s in spoken]
    rows = [
        *spread("accepted -> first spoken tick", [s.first_tick_ms for s in spoken], "ms", p50=1500),
        *spread("accepted -> first sound > -50 dBFS", [s.first_sound_ms for s in spoken], "ms"),
        Row("hole per prompt P50", statistics.median(holes), "ms"),
        Row("hole per prompt P95", sorted(holes)[-(-len(holes) * 95 // 100) - 1], "ms", 250),
        Row("hole per prompt max", max(holes), "ms", 600),
        Row("prompts with a hole", sum(s.holes > 0 for s in spoken), f"of {len(spoken)}"),
    ]
    table("Embedded voice: accepted prompt -> first sound at a decoder, and holes", rows)
    return rows


if __name__ == "__main__":
    run(quick=False)
