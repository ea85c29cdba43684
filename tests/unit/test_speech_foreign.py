"""Where one sound that holds several sentences is divided, without any voice."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from broadcaster.errors import VoiceError
from broadcaster.speech import foreign
from broadcaster.speech.foreign import PIECE, SHORTEST_PIECE, ForeignSound, boundaries
from broadcaster.types import SAMPLE_RATE, PcmArray, RawSound

pytestmark = pytest.mark.unit


def hum(*seconds: float, gap: float = 0.2) -> tuple[PcmArray, list[tuple[int, int]]]:
    """Stretches of a tone with silence between them, and where the silences are."""
    parts: list[PcmArray] = []
    gaps: list[tuple[int, int]] = []
    at = 0
    for number, each in enumerate(seconds):
        if number:
            parts.append(np.zeros(int(gap * SAMPLE_RATE), np.int16))
            gaps.append((at, at + len(parts[-1])))
            at = gaps[-1][1]
        parts.append((8000 * np.sin(np.arange(int(each * SAMPLE_RATE)) * 0.03)).astype(np.int16))
        at += len(parts[-1])
    return np.concatenate(parts), gaps


def test_without_a_mouth_to_go_by_lengths_guess_and_silence_decides() -> None:
    pcm, gaps = hum(1.2, 2.3, 0.9)
    texts = ["一二三四五六。", "一二三四五六七八九十一二。", "一二三四五。"]
    found = boundaries(pcm, (), texts, texts, "zh")
    assert all(low <= at <= high for at, (low, high) in zip(found, gaps, strict=True)), (found, gaps)


def test_one_sentence_is_not_divided() -> None:
    pcm, _ = hum(1.0)
    assert boundaries(pcm, (), ["一。"], ["一"], "zh") == []


def test_boundaries_never_go_back() -> None:
    pcm, _ = hum(0.5)
    texts = ["一。"] * 8
    found = boundaries(pcm, (), texts, texts, "zh")
    assert found == sorted(found)
    assert len(found) == 7


@pytest.mark.parametrize("length", [1, SHORTEST_PIECE, PIECE, PIECE + 1, PIECE + SHORTEST_PIECE, 5 * PIECE + 7])
def test_pieces_are_short_and_nothing_is_lost(length: int) -> None:
    cuts = foreign._pieces(100, 100 + length)
    assert (cuts[0][0], cuts[-1][1]) == (100, 100 + length)
    assert all(end == start for (_, end), (start, _) in pairwise(cuts))
    assert all(end - start <= PIECE + SHORTEST_PIECE for start, end in cuts)


def test_a_sentence_without_sound_of_its_own_has_no_piece() -> None:
    assert foreign._pieces(7, 7) == []


def test_sound_that_cannot_be_its_text_is_refused() -> None:
    silence = RawSound(bytes(48_000), 24_000)
    with pytest.raises(VoiceError):
        ForeignSound(loudness_lufs=-16.0, reader=lambda text, language: text).finish("model", [silence], ["大家好。"])
