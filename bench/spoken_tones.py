"""A text in which every character sounds as a tone of its own, and ears that read off what was played of it.

The tones rise along the script, so that they tell what was heard, in which order, how often and at which pitch,
through lossy codecs, other rates, fades and another voice. Nothing here waits; pure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

import numpy as np
from numpy.typing import NDArray

from broadcaster.speech.punctuation import pause_ms
from broadcaster.types import SAMPLE_RATE, PcmArray
from tests.fakes.voice_links import SECONDS_PER_UNIT, said

SENTENCES = (
    "今天的天气真好啊，我们去公园走走。",
    "早上的市场很热闹，水果又新鲜又便宜。",
    "晚上大家一起吃饭，然后听听音乐吧。",
)
SCRIPT = "".join(map(said, SENTENCES))

LOWEST_HZ = 330.0
STEP = 1.05
"""From one tone to the next; the highest is 3 kHz, which every rate and codec carries."""

LEVEL = 9000
AUDIBLE = 104
"""-50 dBFS in int16."""

GRAIN = SAMPLE_RATE // 200
HOP = SAMPLE_RATE // 100
WINDOW = SAMPLE_RATE // 25
FFT = 4096
TRUE_SHARE = 0.35
"""Of a step: what a tone may be off and still be that character."""
SAME_RATIO = 0.15
"""Sound at a wrong rate is as much too high as it is too fast."""
SHORTEST_HOPS = 6
"""A tone that is heard for less is a joint between two others."""

LOST, STRANGE, MISSING, AGAIN, HIGH = "NOT HEARD", "OF ANOTHER SENTENCE", "missing", "again", "as high"


def hertz(place: int) -> float:
    return LOWEST_HZ * math.pow(STEP, place)


def tones(text: str, rate: int) -> NDArray[np.int16]:
    """The sound of a stretch of the script, mono. Raises ValueError for any other text."""
    spoken = said(text)
    start = SCRIPT.index(spoken)
    each = np.repeat([hertz(start + number) for number in range(len(spoken))], round(SECONDS_PER_UNIT * rate))
    wave: NDArray[np.int16] = np.rint(LEVEL * np.sin(2 * math.pi * np.cumsum(each) / rate)).astype(np.int16)
    return wave


def places(sentence: int) -> range:
    """Where the characters of a sentence are in the script."""
    start = sum(len(said(before)) for before in SENTENCES[:sentence])
    return range(start, start + len(said(SENTENCES[sentence])))


def pauses() -> dict[int, int]:
    """Place in the script -> milliseconds of silence that belong behind it."""
    found: dict[int, int] = {}
    place = -1
    for char in "".join(SENTENCES):
        if said(char):
            place += 1
        else:
            found[place] = pause_ms(char)
    return found


@dataclass(frozen=True, slots=True)
class Played:
    """One stretch of sound as the audience got it. `at` is in samples from the first sound of the utterance."""

    at: int
    pcm: PcmArray
    sentence: int
    engine: str


@dataclass(frozen=True, slots=True)
class Report:
    """What the audience heard. `gap_ms` is the longest silence beyond the pauses of the text."""

    gap_ms: float
    engines: tuple[tuple[str, ...], ...]
    """Who spoke each sentence."""
    remarks: tuple[str, ...]
    """What was wrong with each sentence; empty where it was whole, once and at its pitch."""
    in_order: bool

    def has(self, *kinds: str) -> bool:
        return any(kind in remark for kind in kinds for remark in self.remarks)

    def __str__(self) -> str:
        heard = []
        for engines, remark in zip(self.engines, self.remarks, strict=True):
            heard.append(("+".join(engines) or "nobody") + (f" ({remark})" if remark else ""))
        return ", ".join(heard) + ("" if self.in_order else "; OUT OF ORDER")


def judged(played: Sequence[Played], sentences: int) -> Report:
    """Of an utterance of the first so many sentences of the script."""
    engines: list[dict[str, None]] = [{} for _ in range(sentences)]
    remarks, pitches = [], []
    for part in played:
        engines[part.sentence][part.engine] = None
    for sentence in range(sentences):
        of_it = [part.pcm for part in played if part.sentence == sentence]
        pitch, remark = _compared(np.concatenate(of_it) if of_it else np.zeros(0, np.int16), places(sentence))
        pitches.append(pitch)
        remarks.append(remark)
    numbers = [part.sentence for part in played]
    return Report(
        _longest_gap(played, pitches),
        tuple(tuple(names) for names in engines),
        tuple(remarks),
        numbers == sorted(numbers),
    )


def _compared(pcm: PcmArray, wanted: range) -> tuple[float, str]:
    """How many times too high a sentence was, and what was wrong with it."""
    heard = _heard(pcm)
    if not heard:
        return 1.0, LOST
    order = _characters(heard)
    if order == list(wanted):
        return 1.0, ""
    pitch = float(np.median([hz for _, hz in heard[:8]])) / hertz(wanted.start)
    pace = len(wanted) * SECONDS_PER_UNIT * SAMPLE_RATE / (len(heard) * HOP)
    if abs(math.log(pitch, STEP)) > 1 and abs(pitch / pace - 1) < SAME_RATIO:
        return pitch, f"{pace:.1f}x as fast, {pitch:.1f}x {HIGH}"
    found = []
    if missing := [place for place in wanted if place not in order]:
        found.append(f"{len(missing)} of {len(wanted)} characters {MISSING}")
    if strange := [place for place in order if place not in wanted]:
        found.append(f"{len(strange)} {STRANGE}")
    if back := sum(max(0, before - after + 1) for before, after in pairwise(order)):
        found.append(f"{back} characters {AGAIN}")
    return 1.0, ", ".join(found)


def _characters(heard: Sequence[tuple[int, float]]) -> list[int]:
    """Their places, in the order they were heard."""
    order: list[int] = []
    for place, run in groupby(place for place, _ in heard):
        if place >= 0 and len(list(run)) >= SHORTEST_HOPS and (not order or order[-1] != place):
            order.append(place)
    return order


def _heard(pcm: PcmArray, pitch: float = 1.0) -> list[tuple[int, float]]:
    """(place in the script or -1, Hz) of each window that sounds, when all of it is `pitch` times too high."""
    if len(pcm) < WINDOW:
        return []
    windows = np.lib.stride_tricks.sliding_window_view(pcm, WINDOW)[::HOP].astype(np.float32)
    windows = windows[np.abs(windows).max(axis=1) >= AUDIBLE]
    spectra = np.log(np.abs(np.fft.rfft(windows * np.hanning(WINDOW), FFT)) + 1e-9)
    tops = np.clip(spectra.argmax(axis=1), 1, spectra.shape[1] - 2)
    rows = np.arange(len(spectra))
    left, middle, right = (spectra[rows, tops + side] for side in (-1, 0, 1))
    hz = (tops + 0.5 * (left - right) / np.minimum(left - 2 * middle + right, -1e-9)) * SAMPLE_RATE / FFT
    found = np.log(np.maximum(hz / pitch, 1.0) / LOWEST_HZ) / math.log(STEP)
    near = np.rint(found).astype(int)
    true = (np.abs(found - near) <= TRUE_SHARE) & (near >= 0) & (near < len(SCRIPT))
    return list(zip(np.where(true, near, -1).tolist(), hz.tolist(), strict=True))


def _longest_gap(played: Sequence[Played], pitches: Sequence[float]) -> float:
    length = max((part.at + len(part.pcm) for part in played), default=0)
    pcm = np.zeros(length // GRAIN * GRAIN + GRAIN, np.int16)
    for part in played:
        pcm[part.at : part.at + len(part.pcm)] = part.pcm
    grains = np.abs(pcm.astype(np.int32)).reshape(-1, GRAIN).max(axis=1)
    longest = 0.0
    for before, after in pairwise(np.flatnonzero(grains >= AUDIBLE).tolist()):
        silent_ms = (after - before - 1) * 1000 * GRAIN / SAMPLE_RATE
        if silent_ms <= longest:
            continue
        start, end = (before + 1) * GRAIN, after * GRAIN
        # The grain that sounds again may begin just ahead of its sentence.
        edges = (before * GRAIN, end + GRAIN - 1)
        one, other = (max(part.sentence for part in played if part.at <= edge) for edge in edges)
        meant = pause_ms(SENTENCES[one]) if one != other else _pause_inside(pcm, start, end, pitches[one])
        longest = max(longest, silent_ms - meant)
    return longest


def _pause_inside(pcm: PcmArray, start: int, end: int, pitch: float) -> int:
    """Milliseconds of pause that the text has between what is heard before a silence and behind it."""
    around = SAMPLE_RATE // 4
    before = _characters(_heard(pcm[max(0, start - around) : start], pitch))
    behind = _characters(_heard(pcm[end : end + around], pitch))
    if not before or not behind:
        return 0
    return max((ms for place, ms in pauses().items() if before[-1] <= place < behind[0]), default=0)
