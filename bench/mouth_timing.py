"""How well the aligner times a mouth, against the embedded voices' known phones and beside the loudness envelope.

    python -m bench.mouth_timing [--folder FOLDER] [--quick]

Sentences and voices that the sound model was not fitted on. The columns:

- open r: correlation of the opening of the mouth (jaw and lips of `head/shapes.py`, 25 pictures a second) with the
  one from the true phones, over all pictures of a row;
- closed: share of the true p, b and m with a closure of ours within one picture (40 ms) of their middle; right: share
  of our closures that lie so near to a true one;
- edge ms: mean distance of the edges of the phones that both have, in order;
- CPU ms: per second of sound.

The envelope: opening is the log energy of 40 ms, from 5th to 95th percentile; its closures are the dips of at least
15 dB. Window and depth are those at which it does best.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import numpy as np

from bench.run_tables import Row
from bench.voice_corpus import DEFAULT_FOLDER, Spoken, spoken
from broadcaster.head.shapes import MouthTrack
from broadcaster.head.track import Track
from broadcaster.speech import words
from broadcaster.speech.mouth import alignment
from broadcaster.speech.mouth.alignment import Aligner
from broadcaster.speech.mouth.sounding import parts_of
from broadcaster.speech.normalise import reading
from broadcaster.types import SAMPLE_RATE, PcmArray, Phone, TimedWord, Viseme

TICK = SAMPLE_RATE // 25
CHUNK = SAMPLE_RATE // 5
DIP_DB = 15.0
BLUR = SAMPLE_RATE * 20 // 1000
"""Half of the window of the envelope."""
UNSEEN = ("zm_yunjian", "zf_xiaoyi", "zm_yunxia", "am_michael")

Curve = np.ndarray[Any, np.dtype[np.float64]]
Timing = Callable[[Spoken, PcmArray], tuple[Sequence[Phone], float]]
"""Phones of a recording whose sound is given, and the CPU seconds they cost."""


@dataclass
class Tally:
    """Sums over the recordings of one row."""

    ours: list[Curve] = field(default_factory=list)
    true: list[Curve] = field(default_factory=list)
    found: int = 0
    closures: int = 0
    right: int = 0
    claimed: int = 0
    edges: list[float] = field(default_factory=list)
    cpu: float = 0.0
    sound: float = 0.0

    def count(self, ours: Sequence[float], true: Sequence[float]) -> None:
        self.closures += len(true)
        self.claimed += len(ours)
        self.found += sum(any(abs(t - o) <= TICK for o in ours) for t in true)
        self.right += sum(any(abs(t - o) <= TICK for t in true) for o in ours)

    def figures(self) -> tuple[float, float, float, float, float]:
        """(correlation, recall, precision, mean edge error in ms, CPU ms per second)."""
        r = float(np.corrcoef(np.concatenate(self.ours), np.concatenate(self.true))[0, 1])
        edges = 1000 * float(np.mean(self.edges)) / SAMPLE_RATE if self.edges else float("nan")
        return (
            r,
            self.found / max(1, self.closures),
            self.right / max(1, self.claimed),
            edges,
            1000 * self.cpu / max(1e-9, self.sound),
        )


def opening(phones: Sequence[Phone], samples: int) -> Curve:
    """Opening of the mouth at every picture: jaw and lips, without what loudness adds."""
    track = Track()
    track.add(b"", [(p.symbol, p.viseme.value, p.start, p.end) for p in phones])
    track.samples = samples
    track.end()
    mouth = MouthTrack(track)
    shapes = [mouth.shape_at(at) for at in range(0, samples, TICK)]
    return np.array([s.jaw + 0.5 * (s.upper + s.lower) - 0.3 * s.press for s in shapes])


def closures(phones: Sequence[Phone]) -> list[float]:
    """Middles of the closures of the lips; one told in two chunks is one."""
    joined: list[tuple[int, int]] = []
    for p in phones:
        if p.viseme is Viseme.PP:
            if joined and joined[-1][1] == p.start:
                joined[-1] = (joined[-1][0], p.end)
            else:
                joined.append((p.start, p.end))
    return [(a + b) / 2 for a, b in joined]


def edge_errors(ours: Sequence[Phone], true: Sequence[Phone]) -> list[float]:
    mine = merged(ours)
    real = [p for p in true if p.symbol]
    match = SequenceMatcher(None, [p.symbol for p in mine], [p.symbol for p in real], autojunk=False)
    return [
        abs(mine[a + n].start - real[b + n].start) for a, b, size in match.get_matching_blocks() for n in range(size)
    ]


def merged(phones: Sequence[Phone]) -> list[Phone]:
    """Sounding phones; one that goes on in the next chunk is one."""
    found: list[Phone] = []
    for p in phones:
        if found and found[-1].symbol == p.symbol and found[-1].end == p.start and p.start % CHUNK == 0:
            p = Phone(p.symbol, p.viseme, found.pop().start, p.end)
        found.append(p)
    return [p for p in found if p.symbol]


def envelope(pcm: PcmArray) -> tuple[Curve, list[float]]:
    """The plain log-energy baseline: opening, and the middles of its dips."""
    frames = -(-len(pcm) // TICK)
    padded = np.zeros(frames * TICK)
    padded[: len(pcm)] = pcm
    around = np.concatenate([np.zeros(BLUR), padded, np.zeros(BLUR)])
    power = np.concatenate([[0.0], np.cumsum(around**2)])
    at = np.arange(frames) * TICK
    level = 10 * np.log10((power[at + 2 * BLUR] - power[at]) / (2 * BLUR) + 1.0)
    low, high = np.percentile(level, [5, 95])
    curve: Curve = np.clip((level - low) / max(1.0, high - low), 0, 1)
    fine = padded.reshape(frames * 4, -1)
    energy = 10 * np.log10(np.mean(fine**2, axis=1) + 1.0)
    smooth = np.convolve(energy, np.ones(3) / 3, mode="same")
    dips = [
        (n + 0.5) * TICK / 4
        for n in range(1, len(smooth) - 1)
        if smooth[n] <= smooth[n - 1]
        and smooth[n] < smooth[n + 1]
        and min(smooth[max(0, n - 10) : n].max(), smooth[n + 1 : n + 11].max()) - smooth[n] >= DIP_DB
    ]
    return curve, dips


def aligned(
    chunk: int | None, told_words: Callable[[Spoken], Sequence[TimedWord]] | None = None, *, known: bool = True
) -> Timing:
    """The aligner on the whole piece, or in chunks of so many samples; without a text where it is not `known`."""

    def timing(recording: Spoken, pcm: PcmArray) -> tuple[Sequence[Phone], float]:
        told = told_words(recording) if told_words is not None else ()
        text = reading(recording.text, recording.language) if known else ""
        began = time.process_time()
        aligner = Aligner(text, recording.language)
        phones: list[Phone] = []
        step = chunk or len(pcm)
        for at in range(0, len(pcm), step):
            part = pcm[at : at + step]
            last = at + step >= len(pcm)
            new_words = [w for w in told if at <= w.start * SAMPLE_RATE < at + step]
            new = aligner.feed(part, last=last, words=new_words)
            assert new[0].start == 0
            assert new[-1].end == len(part)
            phones += [Phone(p.symbol, p.viseme, p.start + at, p.end + at) for p in new]
        return phones, time.process_time() - began

    return timing


def measured(recordings: Sequence[Spoken], timing: Timing | None, change: Callable[[PcmArray], PcmArray]) -> Tally:
    """One row; `timing` None measures the envelope."""
    tally = Tally()
    for recording in recordings:
        pcm = change(recording.speech.pcm)
        stretch = len(pcm) / len(recording.speech.pcm)
        true = [
            Phone(p.symbol, p.viseme, round(p.start * stretch), round(p.end * stretch))
            for p in recording.speech.phones
        ]
        tally.true.append(opening(true, len(pcm)))
        if timing is None:
            curve, dips = envelope(pcm)
            tally.ours.append(curve)
            tally.count(dips, closures(true))
            continue
        phones, cpu = timing(recording, pcm)
        tally.ours.append(opening(phones, len(pcm)))
        tally.count(closures(phones), closures(true))
        tally.edges += edge_errors(phones, true)
        tally.cpu += cpu
        tally.sound += len(pcm) / SAMPLE_RATE
    return tally


def same(pcm: PcmArray) -> PcmArray:
    return pcm


def resampled(speed: float) -> Callable[[PcmArray], PcmArray]:
    """Faster and higher, or slower and lower, as a tape."""

    def change(pcm: PcmArray) -> PcmArray:
        if speed == 1.0:
            return pcm
        at = np.arange(0, len(pcm) - 1, speed)
        moved: PcmArray = np.rint(np.interp(at, np.arange(len(pcm)), pcm)).astype(np.int16)
        return moved

    return change


def noisy(pcm: PcmArray) -> PcmArray:
    """With white noise 20 dB below the speech."""
    level = float(np.sqrt(np.mean(pcm.astype(np.float64) ** 2)))
    noise = np.random.default_rng(1).normal(0, level / 10, len(pcm))
    return np.clip(np.rint(pcm + noise), -32768, 32767).astype(np.int16)


def quieter(pcm: PcmArray) -> PcmArray:
    """20 dB down."""
    return np.rint(pcm / 10).astype(np.int16)


ROBUST: tuple[tuple[str, Callable[[PcmArray], PcmArray]], ...] = (
    ("15 % faster", resampled(1.15)),
    ("15 % slower", resampled(0.85)),
    ("noise at 20 dB", noisy),
    ("20 dB quieter", quieter),
)


def word_times(recording: Spoken) -> Sequence[TimedWord]:
    """Words as an engine would tell them: the true times, each off by 25 ms at random (standard deviation)."""
    dice = np.random.default_rng(recording.number)
    true = [p for p in recording.speech.phones if p.symbol]
    told: list[TimedWord] = []
    at = 0
    for word in _words_of(recording):
        spelled = "".join(p.symbol for p in parts_of(alignment.phonemes(word, recording.language)) if p.symbol != "ʰ")
        own = true[at : at + len(spelled)]
        if "".join(p.symbol for p in own) == spelled and own:
            off = float(dice.normal(0, 0.025))
            told.append(TimedWord(word, max(0.0, own[0].start / SAMPLE_RATE + off), own[-1].end / SAMPLE_RATE + off))
        at += len(spelled)
    return told


def _words_of(recording: Spoken) -> list[str]:
    text = reading(recording.text, recording.language)
    return words.split(text) if recording.language == "zh" else text.split()


def rows(recordings: Sequence[Spoken]) -> Iterator[tuple[str, Tally]]:
    for language in ("zh", "en"):
        chosen = [r for r in recordings if r.language == language]
        yield f"{language} envelope", measured(chosen, None, same)
        yield f"{language} aligned, whole", measured(chosen, aligned(None), same)
        yield f"{language} aligned, 200 ms", measured(chosen, aligned(CHUNK), same)
        yield f"{language} with words, 200 ms", measured(chosen, aligned(CHUNK, word_times), same)
        yield f"{language} loudness alone, 200 ms", measured(chosen, aligned(CHUNK, known=False), same)
        for name, change in ROBUST:
            yield f"{language} whole, {name}", measured(chosen, aligned(None), change)


def run(*, quick: bool = False, folder: Path = DEFAULT_FOLDER) -> list[Row]:
    alignment.warm(folder / "cache")
    recordings = [r for r in spoken(folder, UNSEEN) if not r.fitted]
    if quick:
        recordings = recordings[::5]
    found: list[Row] = []
    print(f"\nMouth timing on {len(recordings)} unseen sentences of {', '.join(UNSEEN)}")
    print(f"  {'':<28} {'open r':>7} {'closed':>7} {'right':>7} {'edge ms':>8} {'CPU ms':>7}")
    for name, tally in rows(recordings):
        r, recall, precision, edge, cpu = tally.figures()
        print(f"  {name:<28} {r:7.3f} {recall:7.1%} {precision:7.1%} {edge:8.1f} {cpu:7.2f}", flush=True)
        found += [
            Row(f"{name}: opening correlation", r),
            Row(f"{name}: closures found", recall),
            Row(f"{name}: closures right", precision),
        ]
        if tally.edges:
            found += [Row(f"{name}: edge error", edge, "ms"), Row(f"{name}: CPU per second", cpu, "ms", 10.0)]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=DEFAULT_FOLDER)
    parser.add_argument("--quick", action="store_true", help="every fifth sentence")
    options = parser.parse_args()
    run(quick=options.quick, folder=options.folder)


if __name__ == "__main__":
    main()
