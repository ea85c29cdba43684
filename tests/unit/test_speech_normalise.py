"""How things are read: every row of `speakable_cases.tsv` is a rule, and no text whatever breaks them."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broadcaster.speech.g2p import split_languages
from broadcaster.speech.normalise import LONGEST, reading
from broadcaster.speech.reading.numerals_en import cardinal as english_cardinal
from broadcaster.speech.reading.numerals_en import ordinal
from broadcaster.speech.reading.numerals_zh import cardinal
from broadcaster.speech.units import spoken_units

pytestmark = pytest.mark.unit

Row = tuple[str, str, str]


def _rows() -> list[Row]:
    lines = Path(__file__).with_name("speakable_cases.tsv").read_text("utf-8").split("\n")
    rows = [line.split("\t") for line in lines if line and not line.startswith(("# ", "## "))]
    return [(language, written.replace("\\n", "\n"), read) for language, written, read in rows]


ROWS: Final = _rows()


@pytest.mark.parametrize(("language", "written", "read"), ROWS, ids=[f"{r[0]}-{n}" for n, r in enumerate(ROWS)])
def test_it_is_read_as_a_host_would_say_it(language: str, written: str, read: str) -> None:
    assert reading(written, language) == read
    assert reading(read, language) == read


def test_the_table_is_as_large_as_promised_and_has_no_row_twice() -> None:
    counted = Counter(language for language, _, _ in ROWS)
    assert counted["zh"] >= 220
    assert counted["en"] >= 80
    assert len({(language, written) for language, written, _ in ROWS}) == len(ROWS)


_FRAGMENTS: Final = st.sampled_from(
    (
        "2024-11-05 11/5 15:05 3:2 2-1 -3 ~5 ￥99.9 $1,234.56 5M € % ‰ ℃ km/h m² GB 万 亿 元 个 年 "
        "月 日 点 分 第 房间号 QQ 电话 138 1234 5678 +86 666 233 520 v2.3.1 192.168.1.1 :8080 GPT-4o "
        "iPhone RTX 4090 H.264 C++ C# .NET https://a.b/c www. a@b.com @ # [打call] [ ] ( ) "
        "(｡•́︿•̀｡) 😂 ❤ 1️⃣ <speak> </b> < > &lt; &amp; ** _ ` ~~~ ``` | \\ 哈哈哈哈 啊 ! !! ... "
        "… 。 ， ； ： “ ” 《 》 - -- — + × ÷ = ≈ ≤ ² ³ ^ √ ± π Ⅲ IV ① ½ 銀行 著 乾 hello the Dr. "
        "St. p.m. e.g. Nov 3rd '90s oh o'clock k w x X e "
    ).split()
) | st.sampled_from([" ", "\n", "\t", "\x00", "\u200b", "\u3000", "\ufe0f", "0", "7", "12", "9" * 20])
_TEXTS: Final = st.lists(_FRAGMENTS, max_size=12).map("".join) | st.text(max_size=40)


@given(_TEXTS, st.sampled_from(["zh", "en"]))
@settings(max_examples=300, deadline=None, derandomize=True)
def test_whatever_comes_can_be_said(text: str, language: str) -> None:
    said = reading(text, language)
    assert not re.search(r"[\d<>\[\]{}|\\`*_#@$%^=+~&/]|://|\bwww\.", said)
    assert not any(c.isdigit() or unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "So", "Sk", "Sm") for c in said)
    assert said == said.strip()
    assert "  " not in said
    assert not said or any(c.isalpha() for c in said)
    assert reading(said, language) == said


@pytest.mark.parametrize(
    "text", ["\ud800好", "好" * (LONGEST + 9), "9" * 5000, "<" * 3000, "[" * 3000, "_(" * 3000, "a." * 3000]
)
def test_hostile_text_is_read_or_left_out(text: str) -> None:
    for language in ("zh", "en"):
        assert len(reading(text, language)) <= LONGEST


@given(st.integers(0, 10**16 - 1))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_a_cardinal_says_its_number(value: int) -> None:
    assert _value(cardinal(str(value))) == value


def _value(said: str) -> int:
    """What a Mandarin numeral means, by the other way round: 亿 and 万 multiply what stands before them."""
    for name, size in (("亿", 10**8), ("万", 10**4)):
        if name in said:
            before, _, behind = said.rpartition(name)
            return _value(before) * size + (_value(behind) if behind else 0)
    total = digit = 0
    for char in said:
        if char in "十百千":
            total += (digit or 1) * {"十": 10, "百": 100, "千": 1000}[char]
            digit = 0
        else:
            digit = "零一二三四五六七八九".find(char.replace("两", "二"))
    return total + digit


def test_english_numerals() -> None:
    assert english_cardinal("1000000000001") == "one trillion one"
    assert [ordinal(n) for n in ("1", "2", "3", "5", "8", "9", "12", "20", "21", "100")] == (
        [*"first second third fifth eighth ninth twelfth twentieth twenty-first".split(), "one hundredth"]
    )


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
