"""Sound that came with its own text, made fit for air: for models that answer with a voice of their own. Blocking.

As with any voice: 48 kHz, trimmed, at the channel's loudness, with a mouth from its own phonemes. One sound holds the
whole answer, so it is divided into its sentences here: where the search for the mouth finds the first sound of a
sentence, at the quietest place near it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from difflib import Match, SequenceMatcher
from itertools import accumulate, pairwise
from typing import Final

import numpy as np

from broadcaster.errors import VoiceError
from broadcaster.speech import normalise
from broadcaster.speech.dsp.finishing import Finisher
from broadcaster.speech.dsp.levelling import Levels
from broadcaster.speech.dsp.sound import Tape, with_silence
from broadcaster.speech.mouth.alignment import Aligner, phonemes
from broadcaster.speech.mouth.sounding import parts_of
from broadcaster.speech.units import spoken_units
from broadcaster.types import SAMPLE_RATE, PcmArray, Phone, RawSound, Speech

PIECE: Final = 2 * SAMPLE_RATE
"""Samples of one piece at most: what is sent to playout again after a fault, and cut there, stays small."""

SHORTEST_PIECE: Final = SAMPLE_RATE // 2
PAUSE: Final = SAMPLE_RATE * 3 // 10
"""Silence behind the answer, as behind any last sentence."""

_SEARCH: Final = SAMPLE_RATE * 2 // 5
"""How far from its guessed place the end of a sentence is looked for."""

_WINDOW: Final = SAMPLE_RATE // 50
_DB_PER_SECOND: Final = 30.0
"""A place counts as so much louder for every second that it lies from the guessed one."""


class ForeignSound:
    """What is learned of each voice's level is kept for its next answer. Any thread: an answer that was interrupted
    while it was finished may still be, when the next one comes."""

    def __init__(
        self,
        *,
        loudness_lufs: float,
        reader: Callable[[str, str], str] = normalise.reading,
        levels: Levels | None = None,
    ) -> None:
        self._loudness_lufs = loudness_lufs
        self._read = reader
        self._levels = levels or Levels()
        self._one = threading.Lock()

    def finish(self, name: str, sounds: Sequence[RawSound], sentences: Sequence[str]) -> list[tuple[int, Speech]]:
        """Pieces in order, each with the number of its sentence; a sentence without any sound of its own has none.

        Raises VoiceError for sound that cannot be that text.
        """
        language = _language("".join(sentences))
        readings = [self._read(sentence, language) for sentence in sentences]
        pcm = self._finished(name, sounds, " ".join(readings))
        if len(pcm) == 0:
            raise VoiceError("there is no sound in it")
        phones = Aligner(" ".join(readings), language).feed(pcm, last=True)
        tape = Tape()
        tape.append(with_silence(Speech(pcm, phones), PAUSE))
        starts = [0, *boundaries(pcm, phones, sentences, readings, language), tape.samples]
        return [
            (number, tape.cut(first, last))
            for number, (start, end) in enumerate(pairwise(starts))
            for first, last in _pieces(start, end)
        ]

    def _finished(self, name: str, sounds: Sequence[RawSound], text: str) -> PcmArray:
        voice = f"end to end\n{name}"
        with self._one:
            finisher = Finisher(text, target_lufs=self._loudness_lufs, known=self._levels.of(voice))
            made = [finisher.push(sound.data, sound.rate, sound.channels) for sound in sounds]
            made.append(finisher.finish())
            self._levels.learn(voice, *finisher.level)
        return np.concatenate(made)


def boundaries(
    pcm: PcmArray, phones: Sequence[Phone], sentences: Sequence[str], readings: Sequence[str], language: str
) -> list[int]:
    """The sample at which each sentence but the first begins; never decreasing."""
    if len(sentences) < 2:
        return []
    guesses = _by_phonemes(phones, readings, language) or _by_length(len(pcm), sentences)
    found: list[int] = []
    for guess in guesses:
        at = _quietest(pcm, guess)
        found.append(max(at, found[-1] if found else 0))
    return found


def _by_phonemes(phones: Sequence[Phone], readings: Sequence[str], language: str) -> list[int]:
    """Where the first phoneme of each later sentence is; empty when the two do not belong together."""
    expected = ["".join(part.symbol for part in parts_of(phonemes(text, language))) for text in readings]
    sounding = [phone for phone in phones if phone.symbol]
    told, heard = "".join(expected), "".join(phone.symbol[:1] for phone in sounding)
    if not told or not heard:
        return []
    blocks = [b for b in SequenceMatcher(None, told, heard, autojunk=False).get_matching_blocks() if b.size]
    if 2 * sum(block.size for block in blocks) < len(heard):
        return []
    ends = list(accumulate(map(len, expected)))[:-1]
    return [_mapped(end, blocks, sounding) for end in ends]


def _mapped(at: int, blocks: Sequence[Match], sounding: Sequence[Phone]) -> int:
    for block in blocks:
        if at < block.a + block.size:
            found: int = block.b + max(0, at - block.a)
            return sounding[min(found, len(sounding) - 1)].start
    return sounding[-1].end


def _by_length(samples: int, sentences: Sequence[str]) -> list[int]:
    units = [max(spoken_units(sentence), 0.1) for sentence in sentences]
    return [round(samples * so_far / sum(units)) for so_far in list(accumulate(units))[:-1]]


def _quietest(pcm: PcmArray, guess: int) -> int:
    """The middle of the quietest 20 ms near `guess`."""
    low = max(0, guess - _SEARCH)
    count = (min(len(pcm), guess + _SEARCH) - low) // _WINDOW
    if count < 1:
        return min(guess, len(pcm))
    frames = pcm[low : low + count * _WINDOW].astype(np.float64).reshape(count, _WINDOW)
    middles = low + np.arange(count) * _WINDOW + _WINDOW // 2
    level = 10 * np.log10(np.mean(frames**2, axis=1) + 1.0)
    return int(middles[np.argmin(level + _DB_PER_SECOND * np.abs(middles - guess) / SAMPLE_RATE)])


def _pieces(start: int, end: int) -> list[tuple[int, int]]:
    """start..end in stretches of PIECE; a short rest goes with the stretch before it."""
    cuts = list(range(start, end, PIECE))
    if len(cuts) > 1 and end - cuts[-1] < SHORTEST_PIECE:
        cuts.pop()
    return list(pairwise([*cuts, end]))


def _language(text: str) -> str:
    """Chinese unless there is not one Han character."""
    return "zh" if any("\u3400" <= char <= "\u9fff" for char in text) or not text.isascii() else "en"
