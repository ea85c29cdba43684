"""Which part of a mixed sentence is spoken in which language."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broadcaster.speech.reading.languages import stretches

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("我们用OpenAI的模型", "zh:我们用|en:OpenAI|zh:的模型"),
        ("A股今天跌了，AI板块、T恤和K歌", "zh:A股今天跌了，AI板块、T恤和K歌"),
        ("用GPT-4o和RTX 4090", "zh:用GPT-4o和RTX 4090"),
        ("我说Hello, 然后走了。", "zh:我说|en:Hello, |zh:然后走了。"),
        ("他唱《Yesterday Once More》。", "zh:他唱《|en:Yesterday Once More》。"),
        ("“Hello”你好", "en:“Hello”|zh:你好"),
        ("Python3.11发布", "en:Python|zh:3.11发布"),
        ("iPhone 15开卖", "en:iPhone |zh:15开卖"),
        ("他说 I have 3 cats and 2 dogs 然后", "zh:他说 |en:I have 3 cats and 2 dogs |zh:然后"),
        ("5km跑步，100MB", "zh:5km跑步，100MB"),
        ("C++和Java", "zh:C++和|en:Java"),
        ("看café", "zh:看|en:café"),
        ("666", "zh:666"),
        ("……", "zh:……"),
        ("", ""),
    ],
)
def test_in_a_mandarin_text(text: str, parts: str) -> None:
    assert "|".join(f"{s.language}:{s.text}" for s in stretches(text, "zh")) == parts


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Hello there, 3 cats.", "en:Hello there, 3 cats."),
        ("Let's go to 重庆 on March 3, ok?", "en:Let's go to |zh:重庆 |en:on March 3, ok?"),
        ("It costs 100元 here", "en:It costs |zh:100元 |en:here"),
        ("I like K歌 and T恤", "en:I like |zh:K歌 |en:and |zh:T恤"),
        ("你好", "zh:你好"),
        ("42", "en:42"),
    ],
)
def test_in_an_english_text(text: str, parts: str) -> None:
    assert "|".join(f"{s.language}:{s.text}" for s in stretches(text, "en")) == parts


_TEXTS = st.lists(
    st.sampled_from(
        [
            "你好",
            "重庆",
            "hello",
            "AI",
            "OpenAI",
            "3",
            "15:30",
            "，",
            "。",
            "《",
            "”",
            " ",
            ", ",
            "%",
            "\n",
            "é",
            "T",
            "恤",
        ]
    ),
    max_size=12,
).map("".join) | st.text(max_size=30)


@given(_TEXTS, st.sampled_from(["zh", "en"]))
@settings(max_examples=300, deadline=None, derandomize=True)
def test_nothing_is_lost_and_neighbours_differ(text: str, language: str) -> None:
    parts = stretches(text, language)
    assert "".join(part.text for part in parts) == text
    assert all(part.text for part in parts)
    assert all(a.language != b.language for a, b in itertools.pairwise(parts))
    assert all(part.text[0].isalnum() or part.text[0] == "_" for part in parts[1:])
