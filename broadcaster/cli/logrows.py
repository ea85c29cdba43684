"""Rows of the as-run log as people and programs read them: a line of text, of JSON, of CSV. Pure."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime
from typing import Any, Final, TextIO

from broadcaster.cli.common import plain

COLUMNS: Final = (
    "row", "start", "end", "outcome", "seconds", "kind", "source", "author", "role", "lane", "engine", "verdict",
    "prompt", "sentence", "start_tick", "end_tick", "text",
)  # fmt: skip
"""Of the CSV, and keys of the JSON lines."""


def flat(row: dict[str, Any]) -> dict[str, Any]:
    """A row of `asrun_rows` with its times as text and its length in seconds."""
    samples = row["samples"]
    seconds = None if samples is None else round(samples / 48_000, 2)
    if row["outcome"] == "gap":
        seconds = round((row["end_ns"] - row["start_ns"]) / 1e9, 2)
    return {
        **{name: row.get(name) for name in COLUMNS},
        "start": iso(row["start_ns"]),
        "end": iso(row["end_ns"]),
        "seconds": seconds,
    }


def iso(ns: int | None) -> str | None:
    """Local time, with its offset, to the millisecond."""
    if ns is None:
        return None
    return datetime.fromtimestamp(ns / 1e9, UTC).astimezone().isoformat(timespec="milliseconds")


def clock(ns: int) -> str:
    """Local time, to the second, for people."""
    return datetime.fromtimestamp(ns / 1e9, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def text_line(row: dict[str, Any]) -> str:
    made = flat(row)
    heard = "" if made["seconds"] is None else f"{made['seconds']:.1f}s"
    head = f"{clock(row['start_ns'])}  {made['outcome']:<6}  {heard:>6}"
    if made["outcome"] == "gap":
        return f"{head}  (nobody to answer: the director was {made['source']})"
    who = "/".join(plain(str(part)) for part in (made["source"], made["author"]) if part)
    judged = f"[{made['verdict']}] " if made["verdict"] not in ("", "pass") else ""
    return f"{head}  {made['lane'] or '-':<10}  {who:<16}  {judged}{plain(made['text'])}"


def json_line(row: dict[str, Any]) -> str:
    return json.dumps(flat(row), ensure_ascii=False)


def write_csv(file: TextIO, row: dict[str, Any] | None = None) -> None:
    """A row, or the header."""
    made = list(COLUMNS) if row is None else [_harmless(value) for value in flat(row).values()]
    csv.writer(file, lineterminator="\n").writerow(made)


def _harmless(value: Any) -> Any:
    """A viewer's text must not become a formula in the operator's spreadsheet."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value
