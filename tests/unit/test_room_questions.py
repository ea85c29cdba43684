"""What is a question to the host, and what is not: a table, and marks that change nothing."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broadcaster.inbox import QUESTION_FROM, likeness

pytestmark = pytest.mark.unit

QUESTIONS = [
    "今天几点下播", "你是谁", "真的吗", "讲个笑话吧", "你吃饭了吗", "为什么天是蓝的", "能不能唱小幸运",
    "这个好不好用", "推荐一下耳机", "请问怎么加群", "来首歌", "这是AI吗", "多少钱", "有没有优惠", "主播是机器人吗",
    "啥时候开播", "下次什么时候播呢？", "哪里人啊", "主播今年多大", "想听晴天", "為什麼", "你覺得呢？",
    "what is your name", "can you sing", "are you a robot?", "hey, how are you", "please sing a song for me",
    "tell me a joke", "吃火锅还是烧烤？", "你是真人还是AI？",
]  # fmt: skip
REMARKS = [
    "主播好漂亮", "666", "哈哈哈", "谁懂啊太好听了", "怎么这么好看", "我来了", "晚上好", "没什么", "关注了",
    "第一次来", "你好", "?", "？？？", "不知道说什么", "随便什么都行", "hello everyone", "nice song!", "how cute",
    "what a song", "i don't know what", "", "小播你好", "这么好听", "前方高能", "下次一定",
]  # fmt: skip


@pytest.mark.parametrize("text", QUESTIONS)
def test_a_question_is_seen(text: str) -> None:
    assert likeness(text, ("小播",)) >= QUESTION_FROM


@pytest.mark.parametrize("text", REMARKS)
def test_a_remark_is_none(text: str) -> None:
    assert likeness(text, ("小播",)) < QUESTION_FROM


def test_who_names_the_host_wants_an_answer() -> None:
    assert likeness("小播你好", ("小播",)) > likeness("小播你好") > likeness("大家好")


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=300), st.sampled_from(["", "\ud800", "\ufdfa" * 200, "吗" * 200]))
def test_any_text_has_a_likeness(text: str, odd: str) -> None:
    assert 0 <= likeness(text + odd, ("小播",)) <= 1
