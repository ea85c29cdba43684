"""Notes as files: Markdown, CSV, encodings; and what is found for a prompt."""

from __future__ import annotations

from pathlib import Path

import pytest

from broadcaster.brain.knowledge import RELEVANT, Knowledge
from broadcaster.brain.notes import Passage, passages_of
from broadcaster.errors import ConfigError

pytestmark = pytest.mark.unit


def table(folder: Path, text: str, encoding: str = "utf-8", name: str = "商品.csv") -> list[Passage]:
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return passages_of(path)


def test_questions_and_answers_become_headings_and_texts(tmp_path: Path) -> None:
    chinese = table(tmp_path, "问题,答案\n怎么退货？,七天之内可以退。\n,没有问题的答案\n没有答案的问题,\n")
    assert [(p.heading, p.text) for p in chinese] == [("怎么退货？", "七天之内可以退。"), ("", "没有问题的答案")]
    assert chinese[0].source == "商品"
    english = table(tmp_path, 'Answer;Question\n"Yes; within a week.";Can I return it?\n')
    assert [(p.heading, p.text, p.language) for p in english] == [("Can I return it?", "Yes; within a week.", "en")]


def test_further_columns_are_told_behind_the_answer(tmp_path: Path) -> None:
    (passage,) = table(tmp_path, "分类,问,答\n售后,能退吗？,能退。\n")
    assert passage.text == "能退。分类：售后。"


def test_a_row_of_another_table_names_its_columns(tmp_path: Path) -> None:
    rows = table(tmp_path, '名称,价格,备注\n保温杯,59元,"两种颜色，\n包邮"\n雨伞,29元,\n,,\n')
    assert [(p.heading, p.text) for p in rows] == [
        ("保温杯", "名称：保温杯，价格：59元，备注：两种颜色， 包邮。"),
        ("雨伞", "名称：雨伞，价格：29元。"),
    ]
    (english,) = table(tmp_path, "name\tprice\nCup\t9\n")
    assert english.text == "name: Cup, price: 9."


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk", "gb18030"])
def test_what_spreadsheets_write_is_read(tmp_path: Path, encoding: str) -> None:
    (passage,) = table(tmp_path, "问题,答案\n多少钱？,五十九元。\n", encoding)
    assert (passage.heading, passage.text) == ("多少钱？", "五十九元。")


@pytest.mark.parametrize(
    "data", ["问题,答案\n多少钱？,五十九元。".encode("utf-16"), "naïve, Düsseldorf, Ærø".encode("latin-1")]
)
def test_other_encodings_are_refused_with_a_remedy(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(data)
    with pytest.raises(ConfigError, match=r"x\.csv: neither UTF-8 nor .* -> save the file as UTF-8"):
        passages_of(path)


def test_a_table_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="more than 60 columns"):
        table(tmp_path, ",".join(map(str, range(61))) + "\n")
    with pytest.raises(ConfigError, match="not a table"):
        table(tmp_path, 'a,b\n"never closed,1\n')
    assert table(tmp_path, "") == table(tmp_path, "问题,答案\n") == []


@pytest.fixture(scope="module")
def notes(tmp_path_factory: pytest.TempPathFactory) -> Knowledge:
    folder = tmp_path_factory.mktemp("notes")
    (folder / "商品.csv").write_text("名称,价格\n保温杯,59元\n雨伞,29元\n折叠雨伞,39元\n", encoding="utf-8")
    (folder / "faq.md").write_text("# FAQ\n\n## Shipping\n\nWe ship an umbrella within two days.\n", encoding="utf-8")
    return Knowledge.load(folder)


def test_a_table_answers_questions(notes: Knowledge) -> None:
    found = notes.find("保温杯的价格是多少？")
    assert found is not None
    assert found.text == "名称：保温杯，价格：59元。"


def test_a_prompt_gets_all_that_may_help_the_best_first(notes: Knowledge) -> None:
    found = notes.find_all("雨伞价格多少")
    assert found[0].passage.heading in ("雨伞", "折叠雨伞")
    assert len(found) <= 3
    scores = [f.score for f in found]
    assert scores == sorted(scores, reverse=True)
    assert all(RELEVANT <= score <= 1 for score in scores)
    assert len(notes.find_all("雨伞价格多少", limit=1)) == 1
    assert notes.find_all("今天天气怎么样") == notes.find_all("") == []


def test_the_shipped_table_is_found() -> None:
    shipped = Knowledge.load(Path(__file__).parents[2] / "playlists/knowledge")
    found = shipped.find("午间问答怎么参加")
    assert found is not None
    assert found.source == "节目问答"
