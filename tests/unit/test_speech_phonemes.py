"""Phone tracks: gapless, mapped, with arrows and stress where they belong."""

from __future__ import annotations

import json
from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcaster.speech.mouth.phonemes import SAMPLES_PER_UNIT, VISEMES, cropped, earlier, phone_track, shifted
from broadcaster.types import Phone, Viseme

pytestmark = pytest.mark.unit

VOCABULARY: dict[str, int] = json.loads(
    resources.files("broadcaster.speech").joinpath("assets", "vocab.json").read_text("utf-8")
)


def track(symbols: str, durations: list[int]) -> list[tuple[str, str, int, int]]:
    unit = SAMPLES_PER_UNIT
    return [(p.symbol, p.viseme.value, p.start // unit, p.end // unit) for p in phone_track(symbols, durations)]


def test_tones_extend_the_vowel_before_them() -> None:
    assert track("ni↓", [2, 1, 3, 4, 1]) == [
        ("", "sil", 0, 2),
        ("n", "nn", 2, 3),
        ("i", "ih", 3, 10),
        ("", "sil", 10, 11),
    ]


def test_stress_and_aspiration_belong_to_the_vowel_behind_them() -> None:
    assert track("mˈA", [0, 2, 1, 3, 0]) == [("m", "PP", 0, 2), ("A", "E", 2, 6)]
    assert track("pʰa", [0, 2, 1, 3, 0]) == [("p", "PP", 0, 2), ("a", "aa", 2, 6)]


def test_a_mark_is_a_rest_only_when_it_lasts() -> None:
    assert track("a b", [0, 2, 1, 2, 0]) == [("a", "aa", 0, 3), ("b", "PP", 3, 5)]
    assert track("a, b", [0, 2, 8, 0, 2, 0]) == [("a", "aa", 0, 2), ("", "sil", 2, 10), ("b", "PP", 10, 12)]


@given(st.lists(st.tuples(st.sampled_from(sorted(VOCABULARY)), st.integers(0, 30)), max_size=40), st.integers(0, 20))
def test_a_track_covers_everything_once(tokens: list[tuple[str, int]], pad: int) -> None:
    durations = [pad, *[d for _, d in tokens], pad]
    phones = phone_track("".join(s for s, _ in tokens), durations)
    assert [p.start for p in phones] == [0, *[p.end for p in phones[:-1]]][: len(phones)]
    assert (phones[-1].end if phones else 0) == sum(durations) * SAMPLES_PER_UNIT
    assert all(p.end > p.start for p in phones)


def test_every_letter_of_the_model_has_a_mouth() -> None:
    joining = set("→↗↘↓ː̃ˈˌʰʲ")
    silent = {s for s in VOCABULARY if not s.isalpha() and s not in joining}
    assert set(VOCABULARY) - set(VISEMES) - joining - silent == set()


def test_bilabials_are_closed() -> None:
    assert {s for s, v in VISEMES.items() if v is Viseme.PP} >= set("pbm")


def test_cropping_and_shifting_count_from_the_new_start() -> None:
    phones = (Phone("a", Viseme.AA, 0, 100), Phone("b", Viseme.PP, 100, 200), Phone("c", Viseme.E, 200, 300))
    assert cropped(phones, 150, 250) == (Phone("b", Viseme.PP, 0, 50), Phone("c", Viseme.E, 50, 100))
    assert shifted(phones[:1], 7) == (Phone("a", Viseme.AA, 7, 107),)


def test_durations_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="2 symbols need 4 durations, not 3"):
        phone_track("ab", [1, 1, 1])


def test_moving_a_track_ahead_keeps_it_gapless_and_as_long() -> None:
    phones = (Phone("a", Viseme.AA, 0, 100), Phone("b", Viseme.PP, 100, 200), Phone("", Viseme.SIL, 200, 300))
    assert earlier(phones, 120) == (Phone("b", Viseme.PP, 0, 80), Phone("", Viseme.SIL, 80, 300))
    assert earlier(phones, 400) == (Phone("", Viseme.SIL, 0, 300),)
    assert earlier((), 10) == ()
