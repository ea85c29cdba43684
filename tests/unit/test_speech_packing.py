"""Sentences out of growing text, pieces out of sentences: nothing lost, nothing torn."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broadcaster.speech.packing import LONGEST_SENTENCE, SHORTEST_TAIL, Packer, cut
from broadcaster.speech.punctuation import pause_ms
from broadcaster.speech.units import spoken_units

pytestmark = pytest.mark.unit

TEXT = (
    '你好！今天涨了3.14%。他说：“真的吗？！”然后走了……Dr. Smith said "Hello there." Then he left. '
    "The U.S. economy grew 3.5 percent. 好的.然后呢？嗯\n结束"
)
SENTENCES = [
    "你好！", "今天涨了3.14%。", "他说：“真的吗？！”", "然后走了……", 'Dr. Smith said "Hello there." ',
    "Then he left. ",
    "The U.S. economy grew 3.5 percent. ", "好的.", "然后呢？", "嗯\n", "结束",
]  # fmt: skip

words_and_marks = st.lists(
    st.sampled_from(
        ["今天", "天气", "不错", "的", "人工智能", "，", "。", "？", "：", "“", "”", "3,245.67", "0.35%", "GPT-4o",
         "OpenAI", "Python 3.11", " ", "hello", "world", ". ", ", ", "15:05", "\n", "……", "2025年", "80 km/h", "了"]
    ),
    max_size=40,
).map("".join)  # fmt: skip


def sentences(chunks: list[str]) -> list[str]:
    packer = Packer()
    found: list[str] = []
    for chunk in chunks:
        packer.feed(chunk)
        while (sentence := packer.take()) is not None:
            found.append(sentence)
    packer.finish()
    while (sentence := packer.take()) is not None:
        found.append(sentence)
    assert packer.exhausted
    return found


def pieces(text: str) -> list[str]:
    found: list[str] = []
    for minimum, maximum in [(4.0, 8.0), (12.0, 20.0), *[(20.0, 30.0)] * 100]:
        if not text:
            return found
        end = cut(text, minimum, maximum)
        found.append(text[:end])
        text = text[end:]
    raise AssertionError("it never ends")


def test_sentences_end_where_a_reader_would_end_them() -> None:
    assert sentences([TEXT]) == SENTENCES


@given(text=words_and_marks, sizes=st.lists(st.integers(1, 9), min_size=1, max_size=60))
@settings(max_examples=150, deadline=None)
def test_how_the_text_arrives_makes_no_difference(text: str, sizes: list[int]) -> None:
    chunks, position = [], 0
    for size in sizes:
        chunks.append(text[position : position + size])
        position += size
    chunks.append(text[position:])
    assert sentences(chunks) == sentences([text])
    assert "".join(sentences(chunks)) == text


def test_an_end_mark_with_nothing_behind_it_waits_for_quotes_unless_the_text_has_settled() -> None:
    packer = Packer()
    packer.feed("他说：“走吧。")
    assert packer.take() is None
    assert packer.take(settled=True) == "他说：“走吧。"
    packer.feed("涨到3.")
    assert packer.take(settled=True) is None
    packer.feed("5元")
    assert packer.take(settled=True) is None
    packer.finish()
    assert packer.take() == "涨到3.5元"


def test_a_clause_is_enough_when_nothing_else_is_in_hand() -> None:
    packer = Packer()
    packer.feed("大家好，今天我们来聊一聊，价格是3,")
    assert packer.take(settled=True) is None
    assert packer.take(urgent=True) is None
    assert packer.offers(clause=True) == 11
    assert packer.take(clause=True) == "大家好，今天我们来聊一聊，"
    assert packer.take(clause=True) is None


def test_text_without_an_end_is_cut() -> None:
    found = sentences(["今天我们来聊一聊人工智能" * 40])
    assert len(found) > 1
    assert all(spoken_units(s) <= LONGEST_SENTENCE + 4 for s in found)


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("你好，今天天气不错，我们去公园走走吧。", ["你好，今天天气不错，", "我们去公园走走吧。"]),
        ("人工智能的发展非常迅速，每天都有新的模型发布。", ["人工智能的发展", "非常迅速，每天都有新的模型发布。"]),
        ("上证指数收于3,245.67点，成交额1.2万亿元。", ["上证指数", "收于3,245.67点，成交额1.2万亿元。"]),
        ("好。", ["好。"]),
        ("The quick brown fox jumps over it.", ["The quick brown fox ", "jumps over it."]),
    ],
)
def test_the_first_piece_is_short_and_ends_where_one_breathes(sentence: str, expected: list[str]) -> None:
    assert pieces(sentence) == expected


@given(text=words_and_marks)
@settings(max_examples=200, deadline=None)
def test_pieces_are_the_sentence_and_tear_no_word_or_number(text: str) -> None:
    found = pieces(text)
    assert "".join(found) == text
    for before, behind in pairwise(found):
        joint = before[-1] + behind[0]
        assert not re.fullmatch(r"[A-Za-z0-9]{2}", joint), (before, behind)
        assert not re.search(r"\d$", before), (before, behind)
        assert not re.match(r"[\d.%,，。”]", behind), (before, behind)
        assert spoken_units(before) > 0
        assert spoken_units(behind) >= 1


def test_sizes_are_kept_where_the_text_allows() -> None:
    text = "大家好我是今天的主播欢迎来到直播间请大家多多关注点赞加转发谢谢大家的支持我们马上开始今天的节目"
    sizes = [spoken_units(p) for p in pieces(text)]
    assert 4 <= sizes[0] <= 8
    assert 12 <= sizes[1] <= 20
    assert sizes[-1] >= SHORTEST_TAIL


@pytest.mark.parametrize(
    ("text", "expected"),
    [("好。", 300), ("好。”", 300), ("好，", 120), ("Yes. ", 300), ("好", 0), ("甲、", 80), ("", 0)],
)
def test_marks_have_their_pauses(text: str, expected: int) -> None:
    assert pause_ms(text) == expected
