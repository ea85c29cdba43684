"""log: the as-run log, read from the journal file, with or without a running daemon."""

from __future__ import annotations

import csv
import json
import re
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from broadcaster.cli.common import ChannelOption, ConfigOption, JsonOption, target

if TYPE_CHECKING:
    from broadcaster.journal.database import JournalPlace

POLL_S: Final = 0.5
PAGE: Final = 500

COLUMNS: Final = (
    "row", "start", "end", "outcome", "seconds", "kind", "source", "author", "role", "engine", "verdict",
    "prompt", "sentence", "start_tick", "end_tick", "text",
)  # fmt: skip
"""Of the CSV, and keys of the JSON lines."""

_AGO: Final = re.compile(r"(\d{1,6})\s*([smhd])")
_UNIT: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def log(
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="Newest sentences to print.")] = 50,
    since: Annotated[
        str | None,
        typer.Option(metavar="WHEN", help="From a time on: 2h, 3d, 14:30, 2026-11-24 or 2026-11-24T14:30."),
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what is aired from now on.")] = False,
    as_json: JsonOption = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV with a header.")] = False,
    config: ConfigOption = None,
    channel: ChannelOption = None,
) -> None:
    """Print what was really heard (the as-run log).

    Every sentence with its time, who asked for it, and whether it was heard in full or cut, and where. Read
    from the journal: no daemon is needed.

    \b
    broadcaster log --since 2h
    broadcaster log --follow
    broadcaster log --since 2026-11-24 --csv > monday.csv
    """
    if as_json and as_csv:
        raise typer.BadParameter("choose one of --json and --csv", param_hint="--csv")
    start_ns = None if since is None else when(since)
    place = target(config, channel).journal
    show = _json_line if as_json else _csv_line if as_csv else _text_line
    if as_csv:
        _write_csv(COLUMNS)
    last = 0
    for row in _rows(place, limit, start_ns):
        if follow and row["outcome"] == "on_air":
            break
        show(row)
        last = row["row"]
    while follow:
        sys.stdout.flush()
        time.sleep(POLL_S)
        for row in _newer(place, last):
            show(row)
            last = row["row"]


def when(text: str, now: datetime | None = None) -> int:
    """Wall clock in ns for "2h", "14:30", "2026-11-24" or an ISO time (local, unless it says otherwise)."""
    now = now or datetime.now(UTC).astimezone()
    ago = _AGO.fullmatch(text.strip())
    try:
        if ago:
            moment = now - timedelta(**{_UNIT[ago[2]]: int(ago[1])})
        elif re.fullmatch(r"\d{1,2}:\d{2}(:\d{2})?", text):
            moment = datetime.combine(now.date(), datetime.strptime(f"{text}:00"[:8], "%H:%M:%S").time(), now.tzinfo)  # noqa: DTZ007
        else:
            moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            f"{text!r} is no time: write for example 2h, 14:30, 2026-11-24 or 2026-11-24T14:30", param_hint="--since"
        ) from None
    return int(moment.timestamp()) * 1_000_000_000


def _page(place: JournalPlace, limit: int, before: int | None = None) -> list[dict[str, Any]]:
    from broadcaster.journal.reading import asrun_rows  # brings numpy, and this module is part of the parent

    return asrun_rows(place, limit, before)


def _rows(place: JournalPlace, limit: int, start_ns: int | None) -> Iterator[dict[str, Any]]:
    """Oldest first: the last `limit`, or everything since `start_ns`."""
    if start_ns is None:
        yield from reversed(_page(place, limit))
        return
    found: list[dict[str, Any]] = []
    before: int | None = None
    while True:
        page = _page(place, PAGE, before)
        wanted = [row for row in page if row["start_ns"] >= start_ns]
        found += wanted
        if len(page) < PAGE or len(wanted) < len(page):
            break
        before = page[-1]["row"]
    yield from reversed(found)


def _newer(place: JournalPlace, last: int) -> list[dict[str, Any]]:
    """What ended after row `last`, oldest first; the sentence on air is left for the next look."""
    found = []
    before: int | None = None
    while True:
        page = _page(place, PAGE, before)
        found += [row for row in page if row["row"] > last]
        if len(page) < PAGE or page[-1]["row"] <= last:
            break
        before = page[-1]["row"]
    found.reverse()
    ended = []
    for row in found:
        if row["outcome"] == "on_air":
            break
        ended.append(row)
    return ended


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    samples = row["samples"]
    return {
        **{name: row.get(name) for name in COLUMNS},
        "start": _iso(row["start_ns"]),
        "end": _iso(row["end_ns"]),
        "seconds": None if samples is None else round(samples / 48_000, 2),
    }


def _iso(ns: int | None) -> str | None:
    if ns is None:
        return None
    return datetime.fromtimestamp(ns / 1e9, UTC).astimezone().isoformat(timespec="milliseconds")


def _text_line(row: dict[str, Any]) -> None:
    flat = _flat(row)
    heard = "" if flat["seconds"] is None else f"{flat['seconds']:.1f}s"
    who = "/".join(str(part) for part in (flat["source"], flat["author"]) if part)
    typer.echo(f"{flat['start'][:19].replace('T', ' ')}  {flat['outcome']:<6}  {heard:>6}  {who:<16}  {flat['text']}")


def _json_line(row: dict[str, Any]) -> None:
    typer.echo(json.dumps(_flat(row), ensure_ascii=False))


def _csv_line(row: dict[str, Any]) -> None:
    flat = _flat(row)
    _write_csv([_harmless(flat[name]) for name in COLUMNS])


def _harmless(value: Any) -> Any:
    """A viewer's text must not become a formula in the operator's spreadsheet."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value


def _write_csv(fields: Any) -> None:
    csv.writer(sys.stdout, lineterminator="\n").writerow(fields)
