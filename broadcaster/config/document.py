"""Publishes the schema: `docs/schema/config.json`, and the table of keys in `docs/configuration.md`.

Run by `make docs` (`python -m broadcaster.config.document`); tests hold both files to the models.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel

from broadcaster.config.models import Alarm, Config
from broadcaster.config.sinks import FileSink, NullSink, PreviewSink, RtmpSink

DOCS: Final = Path(__file__).resolve().parents[2] / "docs"
BEGIN: Final = "<!-- keys: begin (written by `make docs`) -->"
END: Final = "<!-- keys: end -->"

LISTS: Final[dict[str, tuple[type[BaseModel], ...]]] = {
    "sinks": (RtmpSink, FileSink, PreviewSink, NullSink),
    "alarms": (Alarm,),
}
"""Keys that hold a list, and what its items may be."""


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
        rows = list(_rows(model))
        parts.append(f"### `{name}`\n\n{about}\n\n{_table(rows)}")
    for name, models in LISTS.items():
        parts.append(f"### `{name}`\n\n{Config.model_fields[name].description}")
        for model in models:
            kind = model.model_fields["type"].default if "type" in model.model_fields else None
            heading = f"#### `type: {kind}`\n\n{(model.__doc__ or '').strip()}\n\n" if kind else ""
            parts.append(heading + _table(list(_rows(model))))
    return "\n\n".join(parts) + "\n"


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
