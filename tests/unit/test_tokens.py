"""Tokens are estimated on the safe side: held against a real tokeniser where one is installed."""

from __future__ import annotations

from pathlib import Path

import pytest

from broadcaster.brain.tokens import PER_IMAGE, PER_MESSAGE, cut_to, tokens_in, tokens_of
from broadcaster.types import Image, Message

pytestmark = pytest.mark.unit

TABLE = Path(__file__).with_name("speakable_cases.tsv")
PROSE = [
    "大家好，欢迎来到直播间。今天天气不错，我们出去走走吧。",
    "人工智能的发展非常迅速，每天都有新的模型发布，大家一起来看看。",
    "这是第17个回答的第3句，天气很好，适合出门。",
    "The channel goes on the air at nine, and whoever comes late can watch the first part again.",
    "哈哈哈😂😂😂👍🏻",
    "Ça va très bien, merci, et vous-même ?",
]


def test_it_is_rather_too_much_than_too_little() -> None:
    pytest.importorskip("tiktoken")
    from dashscope import get_tokenizer

    encode = get_tokenizer("qwen-7b-chat").encode
    cases = [line.split("\t")[1] for line in TABLE.read_text("utf-8").splitlines() if line.count("\t") == 2]
    assert len(cases) > 50
    assert all(tokens_of(text) >= len(encode(text)) for text in PROSE)
    long = [text for text in cases if len(encode(text)) >= 8]
    assert min(tokens_of(text) / len(encode(text)) for text in long) > 0.7
    assert sum(map(tokens_of, cases)) > sum(len(encode(text)) for text in cases)


def test_messages_and_pictures_have_their_own_price() -> None:
    picture = Image(b"", "image/png")
    messages = (Message("user", "你好"), Message("assistant", "", (picture,)))
    assert tokens_in(messages) == 2 + 2 * PER_MESSAGE + PER_IMAGE
    assert tokens_of("") == 0


def test_a_text_is_cut_to_a_limit_from_its_beginning() -> None:
    assert cut_to("今天天气不错", 4) == "今天天气"
    assert cut_to("今天", 4) == "今天"
    assert cut_to("今天", 0) == ""
