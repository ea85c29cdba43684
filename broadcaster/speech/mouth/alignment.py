"""Mouth timing for engines that tell none: the known phonemes of a piece, found in its sound as it comes.

`Aligner` is one piece's; it takes about 5 ms of CPU per second of sound and is called wherever the sound is finished.
Its phonemes come from the process's one `Phonemiser`, which `warm` loads; without it the first piece pays 2 s.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from difflib import SequenceMatcher
from importlib import resources
from pathlib import Path
from typing import Final

import numpy as np

from broadcaster.speech.g2p import Phonemiser
from broadcaster.speech.mouth.acoustics import ANY, FRAME, Floats, Listener, SoundModel, sound_model
from broadcaster.speech.mouth.phonemes import REST_UNITS, SAMPLES_PER_UNIT
from broadcaster.speech.mouth.segments import LONGEST, Divider, Span
from broadcaster.speech.mouth.sounding import ASPIRATION, Part, parts_of
from broadcaster.types import SAMPLE_RATE, PcmArray, Phone, TimedWord, Viseme

_TRUST: Final = 0.3
"""Weight of a frame's scores: neighbouring frames hear the same 25 ms of sound and are no independent witnesses."""

_MISSING: Final = 4.0
"""Log probability that a part was never said, once the sound has ended: worse than any that fits badly."""

_STEADY_FRAMES: Final = 80.0
"""The usual pace counts as much as so many frames of this voice."""

_PACE: Final = (0.55, 1.8)
_REPACE: Final = 1.04
"""A change of pace below this is not worth new tables."""

_HELD: Final = 4 * FRAME
"""A closure of the lips that the search moved across the end of a chunk is still shown, for 40 ms."""

_EXACT: Final = 3.0
"""Word times that engines tell are good to so many frames (standard deviation)."""

_CONTRADICTED: Final = 30.0
"""A told time costs no more than this (log probability) where the sound says otherwise."""

_ASTRAY: Final = 12
"""Symbols that are searched beyond a word for its own: texts of engine and aligner may differ by a word or two."""

_STEP: Final = SAMPLE_RATE // 25
_OPENINGS: Final = (
    (-0.9, Viseme.AA),
    (-2.2, Viseme.E),
    (-4.0, Viseme.IH),
    (-np.inf, Viseme.SIL),
)
"""Mouth by log energy below the loud frames, for sound without known phonemes."""

_JOINT_SAMPLES: Final = REST_UNITS * SAMPLES_PER_UNIT

_phonemiser: Phonemiser | None = None
_loading = threading.Lock()


def warm(cache: Path | None = None) -> None:
    """Loads phonemiser and model for the whole process (about 2 s, once). `cache`: see `words.load`. Thread-safe."""
    global _phonemiser
    with _loading:
        if _phonemiser is None:
            alphabet = resources.files("broadcaster.speech").joinpath("assets", "vocab.json").read_text("utf-8")
            phonemiser = Phonemiser(frozenset(json.loads(alphabet)), cache)
            phonemiser.load()
            sound_model()
            _phonemiser = phonemiser


def phonemes(reading: str, language: str) -> str:
    """The phoneme string of a reading in Kokoro's alphabet; empty when nothing of it can be spoken. Thread-safe."""
    warm()
    with _loading:
        assert _phonemiser is not None
        return " ".join(run.symbols for run in _phonemiser.runs(reading, language))


class Aligner:
    """Phones of one piece, chunk by chunk. Not thread-safe; one object per piece.

    `reading` is the text as the engine was asked to say it. Text without phonemes gets a mouth from loudness alone.
    """

    def __init__(self, reading: str, language: str) -> None:
        self._model: SoundModel = sound_model()
        self._parts = parts_of(phonemes(reading, language))
        self._listener = Listener(self._model.spectrum)
        self._classes = np.array([self._model.classes.get(p.symbol, 0) for p in self._parts], dtype=np.intp)
        self._words = _Words(self._parts, language)
        self._usual = _usual_lengths(self._model, self._parts)
        self._divider: Divider | None = None
        if self._parts:
            self._divider = Divider(
                self._classes,
                np.array([p.optional for p in self._parts]),
                np.array([p.taken for p in self._parts]),
                len(self._model.output_bias),
            )
        self._pace = 0.0
        self._heard = 0
        self._told = 0
        self._at = 0
        """The part that was told last."""

    def feed(self, pcm: PcmArray, *, last: bool, words: Sequence[TimedWord] = ()) -> tuple[Phone, ...]:
        """Phones of the next chunk (int16, 48 kHz), in its samples, without gaps from 0 to its end.

        `words` are those that became known with this chunk, in seconds from the piece's first sample.
        """
        self._listener.push(pcm, last=last)
        if len(pcm) == 0:
            return ()
        self._words.add(words)
        if self._divider is None:
            phones = self._from_loudness(len(pcm))
        else:
            self._search(self._divider, last)
            phones = self._phones(self._divider.spans(ended=last, missing=_MISSING))
        self._told += len(pcm)
        return phones

    def _search(self, divider: Divider, last: bool) -> None:
        self._keep_pace(divider, last)
        scores = self._model.scores(self._listener.features(self._heard))
        divider.hear(self._heard, _TRUST * scores, self._anchors(self._heard))
        self._heard = self._listener.settled

    def _keep_pace(self, divider: Divider, last: bool) -> None:
        """Fits the expected lengths to how fast this voice speaks."""
        usual, real = _STEADY_FRAMES, _STEADY_FRAMES
        expected = np.exp(self._usual[0])
        if last and self._told == 0:
            sounding = ~np.array([p.optional for p in self._parts])
            usual, real = usual + expected[sounding].sum(), real + self._listener.spoken()
        else:
            for span in divider.spans(ended=False, missing=_MISSING)[:-1]:
                if not self._parts[span.part].optional:
                    usual += expected[span.part]
                    real += span.last - span.first
        pace = min(max(real / usual, _PACE[0]), _PACE[1])
        if self._pace == 0.0 or not 1 / _REPACE < pace / self._pace < _REPACE:
            self._pace = pace
            divider.expect(_length_table(*self._usual, pace))

    def _phones(self, spans: list[Span]) -> tuple[Phone, ...]:
        """The division cut to the new chunk, never going back to a part that was told before."""
        end = self._listener.samples
        cuts: list[tuple[int, int]] = []
        skipped = range(0, 0)
        for span in spans:
            if span.last * FRAME <= self._told and span is not spans[-1]:
                continue
            part = max(span.part, self._at)
            if not cuts:
                skipped = range(self._at + 1, part)
            if not cuts or cuts[-1][1] != part:
                cuts.append((max(self._told, span.first * FRAME) - self._told, part))
        cuts[0] = (0, cuts[0][1])
        closed = [n for n in skipped if self._parts[n].viseme is Viseme.PP]
        if closed:
            rest = [(max(at, _HELD), part) for at, part in cuts]
            cuts = [(0, closed[-1]), *rest]
        self._at = cuts[-1][1]
        length = end - self._told
        bounds = [*[min(at, length) for at, _ in cuts[1:]], length]
        timed = [(part, at, until) for (at, part), until in zip(cuts, bounds, strict=True) if until > at]
        return self._as_mouths(timed)

    def _as_mouths(self, timed: list[tuple[int, int, int]]) -> tuple[Phone, ...]:
        phones: list[Phone] = []
        for part, start, end in timed:
            heard = self._parts[part]
            if heard.symbol == ASPIRATION:
                heard = self._voiced_behind(part)
            if not heard.symbol and phones and end - start < _JOINT_SAMPLES and end < timed[-1][2]:
                heard = Part(phones[-1].symbol, phones[-1].viseme)
            if phones and phones[-1].symbol == heard.symbol and phones[-1].end == start and heard.viseme != Viseme.PP:
                start = phones.pop().start
            phones.append(Phone(heard.symbol, heard.viseme, start, end))
        return tuple(phones)

    def _voiced_behind(self, part: int) -> Part:
        following = self._parts[part + 1 : part + 3]
        return next((p for p in following if p.symbol and p.symbol != ASPIRATION), self._parts[part])

    def _from_loudness(self, samples: int) -> tuple[Phone, ...]:
        """A mouth that opens with the sound, in steps of a picture."""
        first = self._told // FRAME
        levels = self._listener.levels(first)
        phones: list[Phone] = []
        for at in range(0, samples, _STEP):
            end = min(samples, at + _STEP)
            low = (self._told + at) // FRAME - first
            level = float(levels[low : max(low + 1, (self._told + end) // FRAME - first)].mean())
            viseme = next(viseme for above, viseme in _OPENINGS if level > above)
            if phones and phones[-1].viseme is viseme:
                at = phones.pop().start
            phones.append(Phone("", viseme, at, end))
        return tuple(phones)

    def _anchors(self, first: int) -> Floats | None:
        """What the told word times say about parts beginning in the frames from `first` on."""
        if not self._words.frames:
            return None
        frames = np.arange(first + 1, self._listener.frames + 1)
        table = np.zeros((len(frames), len(self._parts)))
        for part, frame in self._words.frames.items():
            table[:, part] = -np.minimum(0.5 * ((frames - frame) / _EXACT) ** 2, _CONTRADICTED)
        return table


class _Words:
    """Finds the parts at which told words begin, in order, by their own phonemes."""

    def __init__(self, parts: Sequence[Part], language: str) -> None:
        self._language = language
        self._sounding = [n for n, part in enumerate(parts) if part.symbol]
        self._symbols = "".join(parts[n].symbol for n in self._sounding)
        self._next = 0
        self.frames: dict[int, float] = {}
        """Part -> frame in which it should begin."""

    def add(self, words: Sequence[TimedWord]) -> None:
        for word in words:
            spelled = "".join(p.symbol for p in parts_of(phonemes(word.text, self._language)))
            if not spelled:
                continue
            near = self._symbols[self._next : self._next + 2 * len(spelled) + _ASTRAY]
            found = SequenceMatcher(None, near, spelled, autojunk=False).find_longest_match()
            if 2 * found.size < len(spelled):
                continue
            if found.b == 0:
                self.frames[self._sounding[self._next + found.a]] = word.start * SAMPLE_RATE / FRAME
            self._next += found.a - found.b + len(spelled)


def _usual_lengths(model: SoundModel, parts: Sequence[Part]) -> tuple[Floats, Floats]:
    """Mean and deviation, for every part, of the logarithm of its length in frames."""
    known = [model.lengths.get(p.symbol, model.lengths[ANY]) for p in parts]
    drawn = [np.log(model.final) if p.final else 0.0 for p in parts]
    means = np.array([mean for mean, _ in known]) + np.array(drawn)
    return means, np.array([deviation for _, deviation in known])


def _length_table(means: Floats, deviations: Floats, pace: float) -> Floats:
    """Log probabilities of 1..LONGEST frames for every part: log-normal around the usual length at this pace."""
    frames = np.arange(1, LONGEST + 1)[:, np.newaxis]
    table: Floats = -0.5 * ((np.log(frames / pace) - means) / deviations) ** 2 - np.log(frames * deviations)
    return table
