"""config.yaml, the models, the JSON schema and the documentation say the same."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from broadcaster.config import Config, RtmpSink, load_config
from broadcaster.config.document import COMMON, DOCS, LISTS, TAGS, kind_of, rendered_schema, with_keys
from broadcaster.config.yamlfile import read_yaml

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "config.yaml"


def keys_of(model: type[BaseModel], prefix: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, field in model.model_fields.items():
        yield (*prefix, name)
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from keys_of(inner, (*prefix, name))


def keys_in(data: Any, prefix: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, value in data.items():
        yield (*prefix, name)
        if isinstance(value, dict):
            yield from keys_in(value, (*prefix, name))


def test_every_key_stands_in_the_shipped_file_and_every_key_there_exists() -> None:
    data = read_yaml(SHIPPED.read_text()).data
    assert sorted(keys_in(data)) == sorted(keys_of(Config))
    for name, models in LISTS.items():
        items = {kind_of_item(item): item for item in at(data, name)}
        assert len(items) == len(at(data, name))
        assert set(items) == {kind_of(model) for model in models}
        first = set(next(iter(items.values())))
        for model in models:
            # What all items share is shown by the first; `enabled` says of each that it is off.
            shared = set(COMMON[name].model_fields) - {"enabled"} if name in COMMON else set()
            assert shared <= first
            assert set(items[kind_of(model)]) | shared == set(model.model_fields), (name, kind_of(model))


def at(data: Any, name: str) -> Any:
    for part in name.split("."):
        data = data[part]
    return data


def kind_of_item(item: dict[str, Any]) -> str:
    return str(next((item[tag] for tag in TAGS if tag in item), ""))


def test_every_key_of_the_shipped_file_has_a_comment_above_it() -> None:
    lines = SHIPPED.read_text().splitlines()
    for number, line in enumerate(lines):
        if re.match(r"\s*(- )?[a-z_]+:", line):
            assert lines[number - 1].lstrip().startswith("#"), f"line {number + 1}: {line}"


NOT_SET = dict.fromkeys(("persona", "knowledge", "programme", "phrases"))


def test_the_shipped_file_is_valid_without_any_environment_and_holds_the_defaults() -> None:
    loaded = load_config(SHIPPED, env={})
    assert loaded.warnings == ()
    config = loaded.config.model_copy(
        update={
            "brain": loaded.config.brain.model_copy(update={**NOT_SET, "chain": [], "end_to_end": []}),
            "voice": loaded.config.voice.model_copy(update={"chain": []}),
            "moderation": loaded.config.moderation.model_copy(update={"words": None}),
        }
    )
    assert [source.label for source in loaded.config.sources if source.enabled] == []
    assert [link.label for link in loaded.config.voice.chain if link.enabled] == []
    assert [link.label for link in loaded.config.brain.chain if link.enabled] == []
    assert [link.engine for link in loaded.config.brain.end_to_end if link.enabled] == []
    same = {name: getattr(config, name) for name in Config.model_fields if name not in LISTS}
    assert same == {name: getattr(Config(), name) for name in same}


def test_the_shipped_file_goes_on_air_with_an_address_from_the_environment() -> None:
    loaded = load_config(SHIPPED, env={"BROADCASTER_RTMP_URL": "rtmp://127.0.0.1/live/abc"})
    (sink,) = [sink for sink in loaded.config.sinks if isinstance(sink, RtmpSink)]
    assert sink.enabled
    assert sink.configured
    assert loaded.warnings == ()


def test_the_example_links_hold_the_defaults_too() -> None:
    """What is switched on in the shipped file behaves as documented: nothing but what is required has a value."""
    for link in load_config(SHIPPED, env={}).config.voice.chain:
        fields = type(link).model_fields
        changed = {name for name in fields if getattr(link, name) != fields[name].default} - {"enabled"}
        assert changed == {name for name in fields if fields[name].is_required()}, link.label


def test_every_key_has_a_meaning() -> None:
    for models in ((Config,), *LISTS.values()):
        for model in models:
            assert [name for name, field in model.model_fields.items() if not field.description] == []


def test_the_published_schema_is_current() -> None:
    assert (DOCS / "schema/config.json").read_text() == rendered_schema(), "run make docs"


def test_the_documented_keys_are_current() -> None:
    page = (DOCS / "configuration.md").read_text()
    assert page == with_keys(page), "run make docs"
