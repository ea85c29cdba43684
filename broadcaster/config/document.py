"""Publishes the schema: `docs/schema/config.json`, and the table of keys in `docs/configuration.md`.

Run by `make docs` (`python -m broadcaster.config.document`); tests hold both files to the models.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from broadcaster.config.brains import (
    BrainBase,
    DashScopeChat,
    DifyAgent,
    EndToEndBase,
    OpenAIChat,
    OpenAIRealtime,
    QwenOmni,
)
from broadcaster.config.models import Alarm, Config
from broadcaster.config.sinks import FileSink, NullSink, PreviewSink, RtmpSink
from broadcaster.config.sources import BilibiliSource, DouyinSource, IngestSource, ReplaySource, SourceBase
from broadcaster.config.voices import (
    ChatTTSVoice,
    CosyVoiceLocal,
    CosyVoiceServer,
    DashScopeVoice,
    EdgeVoice,
    GptSoVitsVoice,
    LinkBase,
    OpenAISpeechVoice,
    QwenVoice,
)

DOCS: Final = Path(__file__).resolve().parents[2] / "docs"
BEGIN: Final = "<!-- keys: begin (written by `make docs`) -->"
END: Final = "<!-- keys: end -->"

LISTS: Final[dict[str, tuple[type[BaseModel], ...]]] = {
    "sources": (BilibiliSource, DouyinSource, IngestSource, ReplaySource),
    "sinks": (RtmpSink, FileSink, PreviewSink, NullSink),
    "alarms": (Alarm,),
    "voice.chain": (
        DashScopeVoice,
        QwenVoice,
        CosyVoiceServer,
        CosyVoiceLocal,
        GptSoVitsVoice,
        OpenAISpeechVoice,
        EdgeVoice,
        ChatTTSVoice,
    ),
    "brain.chain": (OpenAIChat, DashScopeChat, DifyAgent),
    "brain.end_to_end": (OpenAIRealtime, QwenOmni),
}
"""Keys (with dots) that hold a list, and what its items may be."""

COMMON: Final[dict[str, type[BaseModel]]] = {
    "sources": SourceBase,
    "voice.chain": LinkBase,
    "brain.chain": BrainBase,
    "brain.end_to_end": EndToEndBase,
}
"""What all items of a list have; documented once."""

TAGS: Final = ("type", "engine")
"""The key that tells the items of a list apart."""


def rendered_schema() -> str:
    """JSON Schema (2020-12) of a configuration, before `${...}` references are resolved."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Config.model_json_schema(),
        "title": "Broadcaster configuration",
        "description": "One channel. Any value may also be a string with ${...} references that resolve to it.",
    }
    return json.dumps(schema, ensure_ascii=False, indent=2, sort_keys=True) + "\n"


def rendered_keys() -> str:
    """Markdown: one table per section, one row per key."""
    parts = ["### Top level\n\n" + _table(list(_rows(Config)))]
    for name, model in _sections().items():
        about = Config.model_fields[name].description or ""
        rows = [row for row in _rows(model) if f"{name}.{row[0]}" not in LISTS]
        parts.append(f"### `{name}`\n\n{about}\n\n{_table(rows)}")
        parts += [part for key in LISTS if key.startswith(f"{name}.") for part in _list(key)]
    for name in LISTS:
        if "." not in name:
            parts += _list(name)
    return "\n\n".join(parts) + "\n"


def _list(name: str) -> Iterator[str]:
    """Heading, meaning and tables of a key that holds a list."""
    yield f"### `{name}`\n\n{field_at(name).description}"
    common = COMMON.get(name)
    if common is not None:
        yield f"Every item has these keys:\n\n{_table(list(_rows(common)))}"
    for model in LISTS[name]:
        tag = tag_of(model)
        heading = f"#### `{tag}: {kind_of(model)}`\n\n{(model.__doc__ or '').strip()}\n\n" if tag else ""
        yield heading + _table([row for row in _rows(model) if common is None or row[0] not in common.model_fields])


def field_at(name: str) -> FieldInfo:
    """The field of a key with dots. Raises KeyError."""
    model: Any = Config
    for part in name.split("."):
        field: FieldInfo = model.model_fields[part]
        model = field.annotation
    return field


def tag_of(model: type[BaseModel]) -> str:
    """The key that tells the items of its list apart; empty for a list of one kind."""
    return next((tag for tag in TAGS if tag in model.model_fields), "")


def kind_of(model: type[BaseModel]) -> str:
    tag = tag_of(model)
    return str(model.model_fields[tag].default) if tag else ""


def with_keys(page: str) -> str:
    """`page` with what stands between the markers replaced. Raises ValueError if it has no markers."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page needs the lines {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{rendered_keys()}\n{END}{after}"


def _sections() -> dict[str, type[BaseModel]]:
    found = {}
    for name, field in Config.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            found[name] = field.annotation
    return found


Row = tuple[str, str, str, str]


def _rows(model: type[BaseModel], prefix: str = "") -> Iterator[Row]:
    """Key, type, default and meaning of every key of a section; a section inside it gives dotted keys."""
    properties = model.model_json_schema()["properties"]
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            if model is not Config:
                yield from _rows(inner, f"{prefix}{name}.")
            continue
        if model is Config and name in LISTS:
            continue
        default = "required" if field.is_required() else _default(field.default)
        yield f"{prefix}{name}", _kind(properties[name]), default, field.description or ""


def _default(value: Any) -> str:
    if value is None:
        return ""
    if hasattr(value, "get_secret_value"):
        value = value.get_secret_value()
    return f"`{json.dumps(value, ensure_ascii=False)}`" if isinstance(value, str | int | float | list) else ""


def _kind(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        return _kind(next(part for part in schema["anyOf"] if part.get("type") != "null"))
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_kind(schema['items'])}"
    kind = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}
    formats = {"path": "path", "password": "secret"}
    named = formats.get(schema.get("format", "")) or kind.get(schema.get("type", ""), "section")
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    if low is not None and high is not None:
        named += f", {'above ' if 'exclusiveMinimum' in schema else ''}{low:.10g} to {high:.10g}"
    elif low is not None:
        named += f", {low:.10g} or more"
    return named


def _table(rows: list[Row]) -> str:
    cells = [(f"`{key}`", kind, default, meaning.replace("\n", " ")) for key, kind, default, meaning in rows]
    lines = ["| key | type | default | meaning |", "|---|---|---|---|"]
    return "\n".join(lines + ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in cells])


def main() -> None:
    schema = DOCS / "schema" / "config.json"
    schema.parent.mkdir(parents=True, exist_ok=True)
    schema.write_text(rendered_schema(), encoding="utf-8")
    page = DOCS / "configuration.md"
    page.write_text(with_keys(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
