"""The aligner: an exact search, phones that cover every chunk, and a mouth for any sound and any text."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broadcaster.speech.mouth.acoustics import FRAME, Listener, sound_model
from broadcaster.speech.mouth.alignment import Aligner, phonemes
from broadcaster.speech.mouth.phonemes import VISEMES
from broadcaster.speech.mouth.segments import LONGEST, Divider, Span
from broadcaster.speech.mouth.sounding import parts_of
from broadcaster.types import SAMPLE_RATE, Phone, TimedWord, Viseme

pytestmark = pytest.mark.unit

TEXT = "爸爸买了一把伞，你好吗？"


def babble(seconds: float, seed: int = 1) -> np.ndarray:
    """Bursts of harmonics and hiss with silences between: sound of some kind."""
    rng = np.random.default_rng(seed)
    count = int(seconds * SAMPLE_RATE)
    time = np.arange(count) / SAMPLE_RATE
    voiced = sum(np.sin(2 * np.pi * 140 * h * time) / h for h in range(1, 20))
    syllables = np.clip(np.sin(2 * np.pi * 4.1 * time), 0, 1)
    return np.rint(6000 * voiced * syllables + rng.normal(0, 400, count) * (1 - syllables)).astype(np.int16)


def fed(aligner: Aligner, pcm: np.ndarray, sizes: Sequence[int]) -> list[tuple[int, tuple[Phone, ...]]]:
    """(samples, phones) of each chunk."""
    told, at = [], 0
    for size in sizes:
        chunk = pcm[at : at + size]
        at += size
        told.append((len(chunk), aligner.feed(chunk, last=at >= len(pcm))))
    return told


def covers(length: int, phones: Sequence[Phone]) -> bool:
    edges = [p.start for p in phones], [p.end for p in phones]
    return edges[0] == [0, *edges[1][:-1]] and edges[1][-1] == length and all(p.end > p.start for p in phones)


def best_by_trying(
    scores: np.ndarray, lengths: np.ndarray, optional: Sequence[bool], taken: Sequence[float]
) -> float:
    """The best total over every choice of parts and every division, frames being few."""
    count, parts = scores.shape
    best = -np.inf
    for missing in itertools.product([False, True], repeat=parts):
        if any(gone and not may for gone, may in zip(missing, optional, strict=True)):
            continue
        said = [n for n in range(parts) if not missing[n]]
        for cuts in itertools.combinations(range(1, count), len(said) - 1):
            edges = [0, *cuts, count]
            total = sum(
                scores[a:b, n].sum() + lengths[b - a - 1, n] + taken[n]
                for n, a, b in zip(said, edges, edges[1:], strict=False)
            )
            best = max(best, total)
    return best


def value(spans: Sequence[Span], scores: np.ndarray, lengths: np.ndarray, taken: Sequence[float]) -> float:
    return sum(
        scores[s.first : s.last, s.part].sum() + lengths[s.last - s.first - 1, s.part] + taken[s.part] for s in spans
    )


def divider(optional: Sequence[bool], taken: Sequence[float], lengths: np.ndarray) -> Divider:
    found = Divider(np.arange(len(optional)), np.array(optional), np.array(taken), len(optional))
    found.expect(lengths)
    return found


@pytest.mark.parametrize("seed", range(12))
def test_the_search_finds_the_best_of_all_divisions(seed: int) -> None:
    rng = np.random.default_rng(seed)
    optional = [True, False, False, True, False, True] if seed % 2 else [False, True, False, False, True]
    taken = list(np.where(optional, rng.normal(-1, 1, len(optional)), 0.0))
    scores = rng.normal(0, 1.5, (9, len(optional)))
    lengths = rng.normal(-2, 1, (LONGEST, len(optional)))
    search = divider(optional, taken, lengths)
    search.hear(0, scores)
    spans = search.spans(ended=True, missing=1e6)
    assert value(spans, scores, lengths, taken) == pytest.approx(best_by_trying(scores, lengths, optional, taken))


@pytest.mark.parametrize("seed", range(4))
def test_a_search_that_grows_and_is_revised_ends_where_the_whole_one_does(seed: int) -> None:
    rng = np.random.default_rng(seed)
    optional = [True, *([False] * 30), True]
    scores = rng.normal(0, 1, (700, 32))
    lengths = rng.normal(-3, 1, (LONGEST, 32))
    whole, grown = (divider(optional, [0.0] * 32, lengths) for _ in range(2))
    whole.hear(0, scores)
    for first in range(0, 700, 35):
        grown.hear(first, rng.normal(0, 5, (10, 32)))
        grown.spans(ended=False, missing=1.0)
        grown.hear(first, scores[first : first + 35])
    assert grown.spans(ended=True, missing=1.0) == whole.spans(ended=True, missing=1.0)
    assert grown.spans(ended=False, missing=1.0) == whole.spans(ended=False, missing=1.0)


def test_a_part_may_last_longer_than_the_longest_with_a_probability() -> None:
    scores = np.full((3 * LONGEST, 3), -5.0)
    scores[:10, 0] = scores[10:-10, 1] = scores[-10:, 2] = 0.0
    search = divider([False] * 3, [0.0] * 3, np.full((LONGEST, 3), -4.0))
    search.hear(0, scores)
    end = 3 * LONGEST
    assert search.spans(ended=True, missing=1.0) == [Span(0, 0, 10), Span(1, 10, end - 10), Span(2, end - 10, end)]


def test_parts_that_were_never_said_are_left_out_at_the_end() -> None:
    scores = np.full((20, 6), -8.0)
    scores[:10, 0] = scores[10:, 1] = 0.0
    search = divider([False] * 6, [0.0] * 6, np.full((LONGEST, 6), -3.0))
    search.hear(0, scores)
    assert [s.part for s in search.spans(ended=True, missing=4.0)] == [0, 1]
    assert [s.part for s in search.spans(ended=True, missing=100.0)] == [0, 1, 2, 3, 4, 5]


def test_parts_are_sounds_with_rests_that_may_be_missing() -> None:
    parts = parts_of("pʰa↘ mˈi, xa→.")
    assert [p.symbol for p in parts] == ["", "p", "ʰ", "a", "", "m", "i", "", "x", "a", ""]
    assert [p.optional for p in parts] == [not p.symbol for p in parts]
    assert [p.symbol for p in parts if p.final] == ["i", "a"]
    joint, mark = parts[4], parts[7]
    assert joint.taken < mark.taken
    assert parts_of("") == parts_of("?!") == ()


@given(st.text(alphabet=sorted(VISEMES)[:12] + list(" ,.ʰˈ→"), max_size=30))
def test_two_rests_never_follow_each_other(symbols: str) -> None:
    parts = parts_of(symbols)
    assert not any(a.optional and b.optional for a, b in itertools.pairwise(parts))
    assert sum(not p.optional for p in parts) == sum(c in VISEMES or c == "ʰ" for c in symbols)


def test_every_sound_has_a_class_and_a_length() -> None:
    model = sound_model()
    assert {*VISEMES, "ʰ", ""} - set(model.classes) == set()
    assert {*VISEMES, "ʰ", ""} - set(model.lengths) == set()
    assert model.scores(np.zeros((3, model.hidden.shape[0]))).shape == (3, len(model.output_bias))


@given(st.lists(st.integers(1, 9000), min_size=1, max_size=12))
@settings(max_examples=15, deadline=None)
def test_frames_do_not_depend_on_how_the_sound_was_cut(sizes: list[int]) -> None:
    pcm = babble(sum(sizes) / SAMPLE_RATE + 0.001)[: sum(sizes)]
    whole, cut = Listener(sound_model().spectrum), Listener(sound_model().spectrum)
    whole.push(pcm, last=True)
    for n, size in enumerate(sizes):
        at = sum(sizes[:n])
        cut.push(pcm[at : at + size], last=n == len(sizes) - 1)
    assert cut.frames == whole.frames == -(-len(pcm) // FRAME)
    np.testing.assert_allclose(cut.features(0), whole.features(0), atol=1e-9)


@pytest.mark.parametrize("gain", [0.02, 0.3])
def test_features_do_not_depend_on_the_level(gain: float) -> None:
    loud, quiet = Listener(sound_model().spectrum), Listener(sound_model().spectrum)
    pcm = babble(1.0)
    loud.push(pcm, last=True)
    quiet.push(np.rint(pcm * gain).astype(np.int16), last=True)
    assert np.abs(loud.features(0) - quiet.features(0)).mean() < 0.1


@given(st.lists(st.integers(1, 24_000), min_size=1, max_size=12), st.sampled_from([TEXT, "Hello, my baby.", "ไทย"]))
@settings(max_examples=25, deadline=None)
def test_phones_cover_every_chunk_and_never_go_back(sizes: list[int], text: str) -> None:
    pcm = babble(sum(sizes) / SAMPLE_RATE + 0.001)[: sum(sizes)]
    told = fed(Aligner(text, "zh" if text == TEXT else "en"), pcm, sizes)
    assert all(covers(length, phones) for length, phones in told)
    symbols = [p.symbol for _, phones in told for p in phones if p.symbol]
    spoken = iter(
        s for s, _ in itertools.groupby(p.symbol for p in parts_of(phonemes(text, "zh")) if p.symbol != "ʰ")
    )
    joined = [s for s, _ in itertools.groupby(symbols)]
    assert text == "ไทย" or all(symbol in spoken for symbol in joined)


@pytest.mark.parametrize("pcm", [np.zeros(30_000, np.int16), np.full(30_000, 32767, np.int16), babble(0.05)])
@pytest.mark.parametrize("chunk", [30_000, 4800])
def test_any_sound_gets_a_mouth(pcm: np.ndarray, chunk: int) -> None:
    told = fed(Aligner(TEXT, "zh"), pcm, [chunk] * (-(-len(pcm) // chunk)))
    assert all(covers(length, phones) for length, phones in told)


def test_no_sound_has_no_phones() -> None:
    aligner = Aligner(TEXT, "zh")
    assert aligner.feed(np.zeros(0, np.int16), last=False) == ()
    assert covers(9600, aligner.feed(babble(0.2), last=False))
    assert aligner.feed(np.zeros(0, np.int16), last=True) == ()


@pytest.mark.parametrize("text", ["", "?!", "привет", "ไทย"])
def test_without_phonemes_the_mouth_opens_with_the_sound(text: str) -> None:
    pcm = np.concatenate([babble(0.12), np.zeros(SAMPLE_RATE // 4, np.int16), babble(0.12)])
    phones = Aligner(text, "en").feed(pcm, last=True)
    assert covers(len(pcm), phones)
    shapes = {at: next(p.viseme for p in phones if p.start <= at < p.end) for at in (2400, 12_000, 20_200)}
    assert shapes[12_000] is Viseme.SIL
    assert shapes[2400] is not Viseme.SIL
    assert shapes[20_200] is not Viseme.SIL


def test_silence_around_the_text_is_rest() -> None:
    pcm = np.concatenate([np.zeros(24_000, np.int16), babble(2.4), np.zeros(24_000, np.int16)])
    phones = Aligner(TEXT, "zh").feed(pcm, last=True)
    assert phones[0].viseme is phones[-1].viseme is Viseme.SIL
    assert phones[0].end == pytest.approx(24_000, abs=4800)
    assert len(pcm) - phones[-1].start == pytest.approx(24_000, abs=9600)


def test_a_sound_that_breaks_off_is_not_given_the_rest_of_the_text() -> None:
    phones = Aligner(TEXT * 6, "zh").feed(babble(1.0), last=True)
    assert covers(SAMPLE_RATE, phones)
    assert len(phones) < 40


def test_told_word_times_decide_where_the_sound_cannot() -> None:
    hum = np.rint(3000 * np.sin(2 * np.pi * 150 * np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE)).astype(np.int16)
    words = (TimedWord("爸爸", 0.1, 0.5), TimedWord("买", 1.2, 1.5), TimedWord("伞", 1.6, 1.9))
    phones = Aligner("爸爸买伞", "zh").feed(hum, last=True, words=words)
    starts = {p.symbol: p.start / SAMPLE_RATE for p in reversed(phones)}
    assert starts["m"] == pytest.approx(1.2, abs=0.05)
    assert starts["s"] == pytest.approx(1.6, abs=0.05)


def test_words_that_are_not_in_the_text_are_passed_over() -> None:
    plain, told = Aligner(TEXT, "zh"), Aligner(TEXT, "zh")
    strange = (TimedWord("超现实主义", 0.2, 1.0), TimedWord("！", 1.0, 1.1), TimedWord("ไทย", 1.1, 1.3))
    assert told.feed(babble(2.0), last=True, words=strange) == plain.feed(babble(2.0), last=True)


def test_a_closure_that_a_chunk_has_passed_is_still_shown() -> None:
    aligner = Aligner("爸", "zh")
    aligner._at, lips = 0, [n for n, p in enumerate(aligner._parts) if p.viseme is Viseme.PP]
    aligner._listener.push(babble(0.2), last=False)
    phones = aligner._phones([Span(lips[0], 0, 0), Span(lips[0] + 1, 0, 20)])
    assert phones[0] == Phone("p", Viseme.PP, 0, 4 * FRAME)
    assert covers(9600, phones)
