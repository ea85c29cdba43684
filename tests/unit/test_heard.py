"""Where a cut fell in the text: from samples to whole words."""

from __future__ import annotations

import itertools
import random

import pytest

from broadcaster.director.heard import text_before
from broadcaster.director.utterance import Held
from broadcaster.sentences import spoken_units
from broadcaster.types import SAMPLE_RATE

pytestmark = pytest.mark.unit

SYLLABLE = SAMPLE_RATE // 5


def spoken(text: str, *, lead: int = 0, pause: int = 0, pieces: int = 1) -> list[Held]:
    """Sound of `text` at five units a second, in so many pieces, silence before and after each."""
    voice = int(spoken_units(text) * SYLLABLE / pieces)
    phones = [("", "sil", 0, lead), ("a", "aa", lead, lead + voice), ("", "sil", lead + voice, lead + voice + pause)]
    pcm = bytes(2 * (lead + voice + pause))
    return [Held(0, text if number == 0 else None, pcm, phones, "tone") for number in range(pieces)]


def words(*known: str) -> dict[str, list[str]]:
    return {"".join(known): list(known)}


def cut(text: str, units: float, known: dict[str, list[str]] | None = None) -> str:
    def split(run: str) -> list[str]:
        return (known or {}).get(run) or list(run)

    return text_before(text, int(units * SYLLABLE), spoken(text), whole=True, words=split)


CASES = [
    ("今天天气不错。", 0, ""),
    ("今天天气不错。", 0.5, ""),
    ("今天天气不错。", 1.2, "今"),
    ("今天天气不错。", 5.9, "今天天气不"),
    ("今天天气不错。", 6.0, "今天天气不错。"),
    ("好，我们开始。", 1.0, "好"),
    ("好，我们开始。", 2.0, "好，我"),
    ("《红楼梦》很好看。", 3.1, "《红楼梦"),
    ("It is sunny today.", 1.7, "It is"),
    ("It is sunny today.", 3.0, "It is sunny"),
    ("涨了3.5%。", 3.0, "涨了"),
    ("涨了3.5%。", 4.0, "涨了3.5%。"),
    ("我们用OpenAI的模型。", 4.0, "我们用"),
    ("我们用OpenAI的模型。", 5.2, "我们用OpenAI"),
    ("don't stop now", 1.4, "don't"),
]


@pytest.mark.parametrize(("text", "units", "expected"), CASES)
def test_what_was_heard_ends_at_a_word(text: str, units: float, expected: str) -> None:
    assert cut(text, units) == expected


def test_a_chinese_word_that_was_cut_is_dropped_as_a_whole() -> None:
    known = words("人工智能", "发展", "迅速")
    text = "人工智能发展迅速。"
    assert cut(text, 3.9, known) == ""
    assert cut(text, 5.0, known) == "人工智能"
    assert cut(text, 6.0, known) == "人工智能发展"


def test_silence_before_between_and_behind_the_voice_is_no_text() -> None:
    text = "今天天气不错。"
    sound = spoken(text, lead=4800, pause=24_000, pieces=2)
    half = 4800 + 3 * SYLLABLE
    assert text_before(text, 4800, sound, whole=True) == ""
    for samples in (half, half + 24_000, half + 24_000 + 4800):
        assert text_before(text, samples, sound, whole=True) == "今天天"
    assert text_before(text, sound[0].samples * 2, sound, whole=True) == text


def test_with_a_part_of_the_sound_or_none_rather_too_little_is_remembered() -> None:
    text = "今天天气不错我们走吧。"
    part = spoken(text, pieces=2)[:1]
    heard = part[0].samples
    assert "今天天气不错我们走吧".startswith(text_before(text, heard, part, whole=False))
    assert len(text_before(text, heard, part, whole=False)) == int(5 * 4 / 5)
    assert text_before(text, SAMPLE_RATE, [], whole=False) == "今天天气"
    assert text_before(text, 100 * SAMPLE_RATE, [], whole=False) == text.rstrip("。")


def test_it_grows_with_the_sound_and_is_always_a_beginning_of_the_text() -> None:
    generator = random.Random(3)
    for _ in range(200):
        text = "".join(generator.choices("今天好，、。a bc 12%《》的", k=generator.randint(1, 30)))
        sound = spoken(text, lead=generator.randrange(3000), pause=2000, pieces=generator.randint(1, 3))
        total = sum(piece.samples for piece in sound)
        found = [text_before(text, samples, sound, whole=True) for samples in range(0, total + 999, total // 40 + 1)]
        assert all(later.startswith(earlier) for earlier, later in itertools.pairwise(found))
        assert all(part in text for part in found)
