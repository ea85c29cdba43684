"""Scripts for render: both forms, and errors with line numbers."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcaster.errors import ConfigError
from broadcaster.script import Pause, Speech, load_script, parse_script
from broadcaster.types import PromptKind

pytestmark = pytest.mark.unit

SAY, ASK = PromptKind.SAY, PromptKind.ASK

TEXT = """# an opening
你好，欢迎。

ask: 你是谁？
pause: 1.5
say: pause: is a word
Ask：全角冒号？
时间：三点
"""

YAML = """
- 你好，欢迎。
- ask: 你是谁？
- pause: 1.5
- say: "第一行
    第二行"
- 42
"""


def test_a_text_script() -> None:
    assert parse_script(TEXT) == [
        Speech(SAY, "你好，欢迎。", 2),
        Speech(ASK, "你是谁？", 4),
        Pause(1.5, 5),
        Speech(SAY, "pause: is a word", 6),
        Speech(ASK, "全角冒号？", 7),
        Speech(SAY, "时间：三点", 8),
    ]


def test_a_yaml_script() -> None:
    assert parse_script(YAML, as_yaml=True) == [
        Speech(SAY, "你好，欢迎。", 2),
        Speech(ASK, "你是谁？", 3),
        Pause(1.5, 4),
        Speech(SAY, "第一行 第二行", 5),
        Speech(SAY, "42", 7),
    ]


def test_the_ending_of_the_name_decides(tmp_path: Path) -> None:
    for name, text in (("a.txt", "- 一"), ("a.yaml", "- 一"), ("a.YML", "- 一")):
        (tmp_path / name).write_text(text, encoding="utf-8-sig")
    assert load_script(tmp_path / "a.txt") == [Speech(SAY, "- 一", 1)]
    assert load_script(tmp_path / "a.yaml") == load_script(tmp_path / "a.YML") == [Speech(SAY, "一", 1)]


def test_all_faults_are_told_at_once_with_their_lines() -> None:
    with pytest.raises(ConfigError) as error:
        parse_script("好\npause: soon\nask:\npause: -1\npause: 1e9\nsay: " + "字" * 20_001, "demo.txt")
    problems = error.value.problems
    assert [problem.split(":")[1].strip() for problem in problems] == [f"line {n}" for n in (2, 3, 4, 5, 6)]
    assert all(problem.startswith("demo.txt") for problem in problems)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("say: 好", "not a list"),
        ("- shout: 好", "no step 'shout'"),
        ("- say: 好\n  ask: 谁", "line 1: not one step"),
        ("- say: [好]", "line 1: not one step"),
        ("- - 好", "line 1: not one step"),
        ("- 好\n- say: '", "line"),
        ("- pause: nan", "between 0"),
        ("", "nothing in it"),
    ],
)
def test_yaml_faults(text: str, says: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse_script(text, "demo.yaml", as_yaml=True)
    assert says in str(error.value)
    assert "demo.yaml" in str(error.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="can be read"):
        load_script(tmp_path / "none.txt")
    (tmp_path / "latin.txt").write_bytes("é".encode("latin-1"))
    with pytest.raises(ConfigError, match="UTF-8"):
        load_script(tmp_path / "latin.txt")


@given(st.text(max_size=200), st.booleans())
def test_whatever_is_in_it_there_are_steps_or_a_configuration_error(text: str, as_yaml: bool) -> None:
    try:
        steps = parse_script(text, as_yaml=as_yaml)
    except ConfigError:
        return
    assert steps
