"""How things are read: every row is a rule."""

from __future__ import annotations

import pytest

from broadcaster.speech.g2p import split_languages
from broadcaster.speech.normalise import reading
from broadcaster.speech.units import spoken_units

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("今天是2025年3月15日", "今天是二零二五年三月十五日"),
        ("气温-3~5℃", "气温负三到五摄氏度"),
        ("15:05开播", "十五点零五分开播"),
        ("上证指数3,245.67点", "上证指数三千二百四十五点六七点"),
        ("涨幅0.35%", "涨幅百分之零点三五"),
        ("比分3:2", "比分三比二"),
        ("￥99.9", "九十九点九元"),
        ("GPT-4o很强", "GPT 四o很强"),
        ("iPhone15", "iPhone 十五"),
        ("RTX4090", "RTX 四零九零"),
        ("H.264编码", "H 二六四编码"),
        ("Python3.11", "Python三点一一"),
        ("5G和1080p", "五G和幺零八零p"),
        ("房间号12345", "房间号幺二三四五"),
        ("UID：9981", "UID：九九八幺"),
        ("QQ群是 123456", "QQ群是 幺二三四五六"),
        ("电话13812345678", "电话幺三八幺二三四五六七八"),
        ("+86-138-1234-5678", "幺三八幺二三四五六七八"),
        ("666，太强了", "六六六，太强了"),
        ("666元", "六百六十六元"),
        ("23333", "二三三三三"),
        ("666666666666", "六六六六六六"),
        ("看https://example.com/a?b=1。好", "看。好"),
        ("啊这😂👍🏻", "啊这"),
        ("**重点**", "重点"),
        ("１２３人", "一百二十三人"),
        ("没有数字", "没有数字"),
        ("😂", ""),
    ],
)
def test_mandarin(written: str, read: str) -> None:
    assert reading(written, "zh") == read


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("It costs $1,234.56 😂", "It costs $1234.56"),
        ("C# *rocks*", "C sharp rocks"),
        ("see www.a.com now", "see now"),
    ],
)
def test_english(written: str, read: str) -> None:
    assert reading(written, "en") == read


@pytest.mark.parametrize(
    ("text", "stretches"),
    [
        ("我们用OpenAI的模型", [("zh", "我们用"), ("en", "OpenAI"), ("zh", "的模型")]),
        ("他唱《Yesterday Once More》。", [("zh", "他唱《"), ("en", "Yesterday Once More"), ("zh", "》。")]),
        ("Hello there.", [("en", "Hello there.")]),
        ("今天", [("zh", "今天")]),
        ("あいう", []),
        ("……", []),
    ],
)
def test_languages_are_told_apart(text: str, stretches: list[tuple[str, str]]) -> None:
    assert split_languages(text) == stretches


@pytest.mark.parametrize(
    ("text", "units"), [("你好。", 2), ("3,245", 4), ("hello!", 1.65), ("，。 \n", 0), ("あ", 1)]
)
def test_units(text: str, units: float) -> None:
    assert spoken_units(text) == pytest.approx(units)
