"""Persona and phrases as files: what they may say, and faults that name file, line, key and remedy."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from broadcaster.brain import phrases
from broadcaster.brain.drafting import as_yaml
from broadcaster.brain.persona import BUILT_IN, Persona, load_persona, parse_persona
from broadcaster.brain.wording import Wording, placeholders
from broadcaster.errors import ConfigError
from broadcaster.programme import Programme

pytestmark = pytest.mark.unit

SHIPPED = Path(__file__).parents[2] / "playlists/persona.yaml"


def test_the_shipped_example_is_the_built_in_persona() -> None:
    assert load_persona(SHIPPED) == load_persona(None) == BUILT_IN


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "persona:1: name: is missing -> add it"),
        ("name: [", "persona:1: not valid YAML"),
        ("- name", "persona:1: must be keys with values"),
        ("name: ' '", "persona:1: name: is empty"),
        ("name: 3", "persona:1: name: must be text -> put it in quotes"),
        ("name: a\nnmae: b", "persona:2: nmae: unknown key -> did you mean name?"),
        ("name: a\nname: b", "persona:2: name: the key stands here a second time"),
        ("name: a\ntopics: tea", "persona:2: topics: must be a list"),
        ("name: a\ntopics:\n  - tea\n  - ''", "persona:4: topics.1: is empty"),
        (f"name: a\ntopics: [{'x' * 201}]", "persona:2: topics.0: is longer than 200"),
        ("name: a\nlanguage: fr", "persona:2: language: must be 'zh', 'en' or 'auto'"),
        ("name: a\nlength: 21", "persona:2: length: must be short, medium, long"),
        ("name: a\nlength: true", "persona:2: length: must be short, medium, long"),
        ("name: a\nlength: 4s", "persona:2: length: must be short, medium, long"),
        ("name: a\nlength: 121s", "persona:2: length: must be short, medium, long"),
        ("name: a\nlength: [1]", "persona:2: length: must be short, medium, long"),
    ],
)
def test_a_fault_names_its_place_and_a_remedy(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as fault:
        parse_persona(text)
    assert said in str(fault.value)
    assert all(" -> " in line for line in fault.value.problems)


def test_every_fault_of_a_file_is_told_at_once_in_its_order() -> None:
    with pytest.raises(ConfigError) as fault:
        parse_persona("length: 0\nlanguage: 5\ntone: a\nnmae: x\n")
    assert [line.split(":")[1] for line in fault.value.problems] == ["1", "1", "2", "4"]


def test_a_file_that_cannot_be_read_names_the_key(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: .* -> set brain\.persona to a readable file"):
        load_persona(tmp_path / "none.yaml")
    gbk, large = tmp_path / "gbk.yaml", tmp_path / "large.yaml"
    gbk.write_bytes("name: 小播".encode("gbk"))
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_persona(gbk)
    large.write_bytes(b"#" * 300_000)
    with pytest.raises(ConfigError, match="more than 256 kB"):
        load_persona(large)


_texts = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1, max_size=40)
_lines = _texts.filter(lambda text: text.strip() and text.isprintable())


@given(
    st.builds(
        Persona,
        name=_lines,
        tone=_lines,
        topics=st.lists(_lines, max_size=3),
        length=st.one_of(st.integers(1, 20), st.sampled_from(["short", "medium", "long", "5s", "120s"])),
        language=st.sampled_from(["zh", "en", "auto"]),
        instructions=_lines,
    )
)
@example(Persona(name="0", instructions="０"))
@example(Persona(name="0", tone="on", topics=["~", "7:30", "#x: y"], instructions="0E0"))
def test_what_is_stored_is_read_again(persona: Persona) -> None:
    assert parse_persona(as_yaml(persona)) == persona


# -- phrases --------------------------------------------------------------------------------------------------------


def phrases_of(folder: Path, text: str) -> Wording:
    path = folder / "phrases.yaml"
    path.write_text(text, encoding="utf-8")
    return Wording.load(path)


def test_own_texts_take_the_place_of_the_built_in_ones_key_by_key(tmp_path: Path) -> None:
    own = phrases_of(tmp_path, "zh:\n  thanks: 小事一桩。\n  gift:\n    - '{viewer}大气，{item}收到！'\n")
    assert own.pick("zh", "thanks", "a", name="小播") == "小事一桩。"
    values: dict[str, Any] = {"viewer": "小明", "item": "辣条", "count": 1, "name": "小播"}
    assert own.pick("zh", "gift", "a", **values) == "小明大气，辣条收到！"
    assert own.pick("en", "thanks", "a", name="小播") == phrases.EN["thanks"][0]
    assert own.pick("zh", "goodbye", "a", name="小播") in phrases.ZH["goodbye"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("fr: {}", "phrases.yaml:1: fr: unknown key"),
        ("zh:\n  gfit: x", "phrases.yaml:2: zh.gfit: unknown key -> did you mean gift?"),
        ("zh:\n  gift: []", "phrases.yaml:2: zh.gift:"),
        ("zh:\n  gift:\n    - ''", "phrases.yaml:3: zh.gift.0: is empty"),
        ("zh:\n  gift: '{who}送了{item}'", "zh.gift: {who} is not known here -> this phrase takes {count}, {item}"),
        ("zh:\n  gift: '{viewer.id}'", "only plain placeholders"),
        ("zh:\n  gift: '{count:>9999999}'", "only plain placeholders"),
        ("zh:\n  gift: '{viewer'", "a brace stands alone"),
        ("zh:\n  somebody: '{name}'", "this phrase takes nothing"),
        ("zh:\n  identity: 我是{name}，真人主播。", "whoever asks must be told that the host is no person"),
    ],
)  # fmt: skip
def test_a_fault_in_the_phrases_is_told(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as fault:
        phrases_of(tmp_path, text)
    assert said in str(fault.value)
    assert str(tmp_path) in str(fault.value)


def test_every_phrase_can_be_written_with_what_it_is_given(tmp_path: Path) -> None:
    lines = [f"  {key}: 'x {' '.join(f'{{{name}}}' for name in sorted(placeholders(key)))} AI'" for key in phrases.ZH]
    own = phrases_of(tmp_path, "\n".join(["zh:", *lines, "en:", *lines]))
    for language in ("zh", "en"):
        for key in phrases.ZH:
            said = own.pick(language, key, "", **{name: f"<{name}>" for name in placeholders(key)})
            assert said.count("<") == len(placeholders(key))


def test_no_phrase_comes_twice_in_a_row_and_a_prompt_keeps_its_own() -> None:
    wording = Wording()
    said = [wording.pick("zh", "follow", f"p{number}", viewer="小明", name="小播") for number in range(200)]
    assert all(one != other for one, other in itertools.pairwise(said))
    assert set(said) == {text.format(viewer="小明") for text in phrases.ZH["follow"]}
    assert wording.pick("zh", "follow", "p199", viewer="小明", name="小播") == said[-1]


# -- the page -------------------------------------------------------------------------------------------------------


def test_the_page_explains_every_key_and_phrase_and_its_examples_are_accepted(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs/mind.md").read_text()
    persona, programme, own = (
        next(block for block in re.findall(r"^```yaml\n(.*?)^```", page, re.M | re.S) if begin in block)
        for begin in ("\nlength: ", "\nentries:", "zh:\n  greeting:")
    )
    assert parse_persona(persona).language == "zh"
    assert phrases_of(tmp_path, own).pick("en", "goodbye", "") == "Come back for another cup."
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures/qingming.jpg").write_bytes(b"\xff\xd8\xff")
    (tmp_path / "programme.yaml").write_text(programme)
    assert Programme.load(tmp_path / "programme.yaml").entries[0].image
    assert set(Persona.model_fields) <= set(re.findall(r"`(\w+)`", page.partition("| key |")[2].partition("\n\n")[0]))
    rows = [
        row.strip("|").split("|") for row in page.partition("| phrases |")[2].partition("\n\n")[0].splitlines()[2:]
    ]
    told = {key: set(re.findall(r"\{(\w+)\}", row[1])) for row in rows for key in re.findall(r"`(\w+)`", row[0])}
    assert told == {key: set(placeholders(key)) for key in phrases.ZH}
