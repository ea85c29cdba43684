"""Publishes the schema of a line, `docs/schema/ingest.json`: `python -m sources.lines_schema`.

Pure but for `write_schema`; a test holds the file to the structures.
"""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any, Final

import msgspec

from sources.lines import KINDS, AnyLine

SCHEMA_PATH: Final = Path(__file__).resolve().parents[1] / "docs" / "schema" / "ingest.json"

_VIEWER: Final = {"id": "u-2071", "name": "小满", "level": 12, "medal": "晚风", "medal_level": 5}
_AT: Final = 1_760_000_000_000

EXAMPLES: Final[dict[str, list[dict[str, Any]]]] = {
    "comment": [
        {"kind": "comment", "id": "c-1", "viewer": _VIEWER, "text": "主播今天播多久？", "at_ms": _AT},
        {"kind": "comment", "viewer": {"name": "passer-by"}, "text": "hello from Leeds"},
    ],
    "gift": [
        {
            "kind": "gift", "id": "g-1", "viewer": _VIEWER, "item": "小花", "count": 10, "price": 1000,
            "combo": "run-7", "at_ms": _AT,
        },
        {"kind": "gift", "viewer": {"id": "u-9", "name": "阿泽"}, "item": "爱心"},
    ],
    "super_chat": [
        {"kind": "super_chat", "id": "s-1", "viewer": _VIEWER, "text": "唱首歌吧", "price": 30_000, "at_ms": _AT},
    ],
    "guard": [
        {
            "kind": "guard", "id": "v-1", "viewer": {**_VIEWER, "guard": 3}, "item": "舰长", "count": 1,
            "price": 138_000, "at_ms": _AT,
        },
    ],
    "fan_club": [{"kind": "fan_club", "id": "f-1", "viewer": _VIEWER, "item": "晚风", "at_ms": _AT}],
    "follow": [{"kind": "follow", "viewer": {"id": "u-9", "name": "阿泽"}}],
    "like": [{"kind": "like", "viewer": {"id": "u-9", "name": "阿泽"}, "count": 15}],
    "enter": [{"kind": "enter", "viewer": {"id": "u-9", "name": "阿泽"}}],
    "revoke": [{"kind": "revoke", "revokes": ["s-1"]}],
    "live_start": [{"kind": "live_start", "at_ms": _AT}],
    "live_end": [{"kind": "live_end", "at_ms": _AT}],
}  # fmt: skip


def published_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of one line; each kind with its description and examples."""
    schema = msgspec.json.schema(AnyLine)
    for kind, line in KINDS.items():
        part = schema["$defs"][line.__name__]
        part["description"] = inspect.cleandoc(line.__doc__ or "")
        part["examples"] = EXAMPLES[kind.value]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A line for the source `ingest`, and of a recording",
        "description": "One JSON object per line, UTF-8. Fields that a kind does not have are refused.",
        **schema,
    }


def rendered_schema() -> str:
    return json.dumps(published_schema(), ensure_ascii=False, indent=2, sort_keys=True) + "\n"


def write_schema(path: Path = SCHEMA_PATH) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(rendered_schema(), encoding="utf-8")


if __name__ == "__main__":
    write_schema()
