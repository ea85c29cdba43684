"""Which texts say the same, and finding them among much that does not."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broadcaster.inbox.alike import Alike, shape_of

pytestmark = pytest.mark.unit

SAME = [
    ("666", "66666"), ("666", "６６６！"), ("今天几点下播？", "请问今天几点下播呀"), ("哈哈哈哈", "哈哈"),
    ("今天几点下播", "今天什么时候下播啊"), ("加油加油", "加油！！"), ("你叫什么名字", "你叫啥名字呀？"),
    ("你叫什麼名字", "你叫什么名字"), ("主播好漂亮", "主播好漂亮啊😍😍"), ("主播唱首歌吧", "主播唱一首歌吧"),
    ("what is your name", "What's your name?"), ("sooooo good", "so good"), ("😍😍😍", "😍"), ("？？？", "?"),
    ("can you sing a song", "can you sing a song please!!!"), ("i don't like it", "I do not like it"),
    ("哈哈哈好听", "哈哈好听"), ("好\u200b听", "好听"), ("下一首歌唱什么好呢", "下一首歌要唱什么好呢"),
]  # fmt: skip
OTHERS = [
    ("１００块可以吗", "200块可以吗"), ("100", "1000"), ("你喜欢猫吗", "你不喜欢猫吗"), ("你多大了", "你多高了"),
    ("请问明天北京的天气怎么样", "请问今天北京的天气怎么样"), ("how old are you", "how are you"), ("好听", "好看"),
    ("你喜欢男生吗", "你喜欢女生吗"), ("666", "233"), ("i like your new song", "i do not like your new song"),
]  # fmt: skip


def found(one: str, other: str) -> bool:
    alike = Alike(0.8)
    alike.add("one", shape_of(one))
    return alike.find(shape_of(other)) == "one"


@pytest.mark.parametrize(("one", "other"), SAME)
def test_written_otherwise_it_is_the_same(one: str, other: str) -> None:
    assert found(one, other)
    assert found(other, one)


@pytest.mark.parametrize(("one", "other"), OTHERS)
def test_a_word_makes_it_another(one: str, other: str) -> None:
    assert not found(one, other)
    assert not found(other, one)


def test_a_question_that_shares_its_first_words_with_several() -> None:
    alike = Alike(0.8)
    for number, text in enumerate(("主播今天晚上几点下播", "主播今天晚上唱什么歌", "主播今天晚上吃什么饭")):
        alike.add(str(number), shape_of(text))
    assert alike.find(shape_of("主播今天晚上几点才下播")) == "0"
    assert alike.find(shape_of("主播今天晚上去不去北京")) is None


texts = st.text("你我他吃喝玩乐今天几点不吗123ab ", max_size=12)


@settings(max_examples=200, deadline=None)
@given(st.lists(texts, max_size=12), texts, st.sampled_from([0.5, 0.7, 0.8, 0.9, 1.0]))
def test_what_is_found_is_what_comparing_with_all_finds(held: list[str], asked: str, similarity: float) -> None:
    alike = Alike(similarity)
    for number, text in enumerate(held):
        alike.add(str(number), shape_of(text))
    shape = shape_of(asked)
    good = {
        str(number)
        for number, text in enumerate(held)
        if shape_of(text).plain == shape.plain
        or (similarity < 1 and shape_of(text).firm == shape.firm and shape.likeness(shape_of(text)) >= similarity)
    }
    answer = alike.find(shape)
    assert (answer in good) if good else answer is None
    for number in range(len(held)):
        alike.discard(str(number))
    assert alike.find(shape) is None
    assert not alike._holders


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=300), st.sampled_from(["", "\ud800", "\ufdfa" * 200, "么" * 199 + "x", "\x00"]))
def test_any_text_has_a_shape(text: str, odd: str) -> None:
    shape = shape_of(text + odd)
    assert shape.likeness(shape) in (0.0, 1.0)
    assert len(shape.ordered) <= 400
