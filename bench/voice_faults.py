"""What the audience hears when a voice fails: every engine, every fault, in real time.

The engine's real adapter and SDK speak to a local server that has the fault for one sentence; behind it stands a
voice that always speaks. The sound is played as it is let go, and read back character by character.
"""

from __future__ import annotations

import asyncio
import logging
import random
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.faulty_service import TIMEOUTS, Addresses, Script, Untold, service
from bench.run_tables import Row, percentile, table
from bench.spoken_tones import AGAIN, HIGH, LOST, MISSING, SENTENCES, STRANGE, Played, Report, judged, tones
from broadcaster import registry
from broadcaster.config import LinkBase, VoiceConfig
from broadcaster.ports import VoiceEngine
from broadcaster.speech import links, normalise, words
from broadcaster.speech.chain import ChainVoice, Link
from broadcaster.speech.mouth import alignment
from broadcaster.speech.pipeline import PacedSpeaker
from broadcaster.speech.reading.lexicon import Lexicon
from broadcaster.supervisor.breaker import CircuitBreaker
from broadcaster.types import SAMPLE_RATE, Phone, Piece, Speech, Viseme
from tests.contract.voice_cases.case import Fault, VoiceCase, cases_of

GOAL_MS = 300.0
LAST_S = 0.3
"""From asking the last voice to its sound: Kokoro's time for a short piece."""

BETWEEN_S = 0.35
"""From one utterance to the next beside it: they share two cores, and each makes its first sounds at once."""

ALONE_S = 1.2
"""Behind one with odd chunks instead: its server sends a chunk in each turn of the loop that all of them share, a
thousand in all, and what the neighbours do in every turn would add up to seconds."""

SETTLE_S = 1.0
"""From the last server's start to the first utterance."""

IN_HAND_S = 10.0
"""Most that the director gives to playout ahead of air."""

BEAT_S = 0.01
PLACES = (1, 0)
"""Sentence with the fault: one behind another, with sound in hand; the first, with none."""


class Last:
    """Port `Voice` like the embedded one: each piece whole, one at a time."""

    name = "last"

    def __init__(self) -> None:
        self._one = asyncio.Lock()

    async def speak(self, piece: Piece, generation: int) -> AsyncIterator[Speech]:
        async with self._one:
            await asyncio.sleep(LAST_S)
        pcm = tones(piece.text, SAMPLE_RATE)
        yield Speech(pcm, (Phone("a", Viseme.AA, 0, len(pcm)),))


@dataclass(frozen=True, slots=True)
class Hearing:
    report: Report
    start_ms: float
    """From the text to the first sound."""


@dataclass(slots=True)
class Take:
    """One utterance: the sentences up to the one behind the bad one."""

    script: Script
    start_s: float = 0.0
    played: list[Played] = field(default_factory=list)

    @property
    def sentences(self) -> Sequence[str]:
        return SENTENCES[: self.script.bad + 2]

    async def _text(self) -> AsyncIterator[str]:
        for sentence in self.sentences:
            yield sentence

    async def speak(self, engine: VoiceEngine, settings: LinkBase) -> None:
        """Plays in real time what is let go."""
        voice = links.finished(engine, settings, VoiceConfig(), Lexicon())
        breaker = CircuitBreaker(time.monotonic, random.Random(1))
        speaker = PacedSpeaker(ChainVoice([Link("one", voice, breaker), Link("last", Last())]))
        asked = time.monotonic()
        began = end = 0.0
        async for piece in speaker.speak(self._text(), 1):
            now = time.monotonic()
            began = began or now
            at = max(now, end)
            end = at + len(piece.speech.pcm) / SAMPLE_RATE
            engine_name = "last" if piece.engine == "last" else "one"
            self.played.append(
                Played(round((at - began) * SAMPLE_RATE), piece.speech.pcm, piece.sentence, engine_name)
            )
            await asyncio.sleep(max(0.0, end - now - IN_HAND_S))
        self.start_s = began - asked

    def judge(self) -> Hearing:
        return Hearing(judged(self.played, len(self.sentences)), 1000 * self.start_s)


def faults_of(case: VoiceCase) -> list[Fault | Untold | None]:
    """None first: nothing is wrong, the figures to compare with."""
    found: list[Fault | Untold | None] = [None, *(fault for fault in Fault if fault not in case.impossible)]
    told = case.exact and case.engine != "openai_speech"
    for fault, untold in ((Fault.OTHER_RATE, Untold.OTHER_RATE), (Fault.STEREO, Untold.STEREO)):
        if fault in case.impossible or (not told and case.setting == "pcm"):
            found.append(untold)
    return found


async def takes_of(case: VoiceCase, folder: Path) -> tuple[list[Take], float]:
    """One for each fault and its sentence; and the worst lateness of the event loop in ms."""
    addresses = Addresses()
    ready = asyncio.Event()
    takes = [Take(Script(case, fault, bad)) for bad in PLACES for fault in faults_of(case)]
    takes.sort(key=lambda take: take.script.fault is not Fault.ODD_CHUNKS)
    spans = [ALONE_S if take.script.fault is Fault.ODD_CHUNKS else BETWEEN_S for take in takes]
    waiting = len(takes)

    async def one(number: int, take: Take) -> None:
        nonlocal waiting
        async with service(take.script, addresses, folder) as (engine, settings):
            waiting -= 1
            if not waiting:
                ready.set()
            await ready.wait()
            await asyncio.sleep(SETTLE_S + sum(spans[:number]))
            await take.speak(engine, settings)

    async with service(Script(case, None, 0), addresses, folder) as (engine, _):
        async for _sound in engine.stream(Piece(SENTENCES[1], "zh", 1)):
            pass  # the imports of an SDK are not what is measured
    late = Lateness()
    beating = asyncio.create_task(late.watch(ready))
    try:
        await asyncio.gather(*(one(number, take) for number, take in enumerate(takes)))
    finally:
        beating.cancel()
        addresses.undo()
    return takes, late.worst_ms


class Lateness:
    """Of the event loop that both the chain and its listener run in."""

    worst_ms = 0.0

    async def watch(self, ready: asyncio.Event) -> None:
        await ready.wait()
        while True:
            due = time.monotonic() + BEAT_S
            await asyncio.sleep(BEAT_S)
            self.worst_ms = max(self.worst_ms, 1000 * (time.monotonic() - due))


def show(case: VoiceCase, heard: dict[tuple[str, int], Hearing], late_ms: float) -> None:
    print(f"\n{case} (event loop late by at most {late_ms:.0f} ms)")
    print(f"  {'fault':<21}{'2nd sentence: gap':>18}  {'1st: start':>10} {'gap ms':>7}  heard (2nd | 1st)")
    for name in [str(fault or "none") for fault in faults_of(case)]:
        second, first = (heard[name, place] for place in PLACES)
        said = f"{second.report} | {first.report}"
        print(
            f"  {name:<21}{second.report.gap_ms:>18.0f}  {first.start_ms:>10.0f} {first.report.gap_ms:>7.0f}  {said}"
        )
    for fault, why in case.impossible.items():
        print(f"  {fault:<21}cannot happen: {why}")


def run(*, quick: bool, cases: Sequence[VoiceCase] | None = None) -> list[Row]:
    logging.getLogger("broadcaster").setLevel(logging.CRITICAL)
    words.load()
    normalise.load()
    alignment.warm()
    if cases is None:
        engines = list(registry.VOICES)[:2] if quick else list(registry.VOICES)
        cases = [cases_of(name)[0] for name in engines]
    print(f"\nA voice that fails, a voice behind it ({LAST_S:g} s to its sound); {TIMEOUTS}")
    rows: list[Row] = []
    gaps: dict[int, list[float]] = {place: [] for place in PLACES}
    starts: list[float] = []
    reports: list[Report] = []
    with tempfile.TemporaryDirectory() as folder:
        for case in cases:
            takes, late_ms = asyncio.run(takes_of(case, Path(folder)))
            heard = {(str(take.script.fault or "none"), take.script.bad): take.judge() for take in takes}
            show(case, heard, late_ms)
            for (name, place), hearing in heard.items():
                report = hearing.report
                gaps[place].append(report.gap_ms)
                rows.append(Row(f"{case}, {name}, sentence {place + 1}", report.gap_ms, "ms", note=str(report)))
                reports.append(report)
                if place == 0:
                    starts.append(hearing.start_ms)
    summary = [
        Row("utterances", len(reports)),
        Row("a sentence lost or out of order", sum(not r.in_order or r.has(LOST, STRANGE) for r in reports), "", 0),
        Row("a clause cut inside and said again", sum(r.has(AGAIN) for r in reports)),
        Row("a sentence with its end missing, unnoticed", sum(r.has(MISSING) for r in reports)),
        Row("a sentence too fast or too slow, unnoticed", sum(r.has(HIGH) for r in reports)),
        Row("gap, fault in the second sentence, P95", percentile(gaps[1], 95), "ms", GOAL_MS),
        Row("gap, fault in the second sentence, worst", max(gaps[1]), "ms"),
        Row("fault in the first sentence: first sound, worst", max(starts), "ms"),
        Row("fault in the first sentence: gap, worst", max(gaps[0]), "ms"),
    ]
    table("Faults of all engines", summary)
    return rows + summary


if __name__ == "__main__":
    import sys

    chosen = [case for name in sys.argv[1:] for case in cases_of(name)]
    run(quick=False, cases=chosen or None)
