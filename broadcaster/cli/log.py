"""log: the as-run log and what was decided, read from the journal, with or without a running daemon."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from broadcaster.cli.common import ChannelOption, ConfigOption, JsonOption, target
from broadcaster.cli.logfile import check_suffix, export
from broadcaster.cli.logrows import COLUMNS as COLUMNS
from broadcaster.cli.logrows import json_line, text_line, write_csv
from broadcaster.cli.story import decision_json, decision_line, story_json, story_lines
from broadcaster.errors import BroadcasterError

if TYPE_CHECKING:
    from broadcaster.journal.database import JournalPlace

POLL_S: Final = 0.5
PAGE: Final = 500
NEWEST: Final = 50

_AGO: Final = re.compile(r"(\d{1,6})\s*([smhd])")
_UNIT: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def log(
    limit: Annotated[
        int | None, typer.Option("--limit", "-n", min=1, help=f"Newest sentences to print. Else {NEWEST}.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="WHEN", help="From a time on: 2h, 3d, 14:30, 2026-11-24 or 2026-11-24T14:30."),
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what is aired from now on.")] = False,
    as_json: JsonOption = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV with a header.")] = False,
    export_to: Annotated[
        Path | None,
        typer.Option(
            "--export", metavar="FILE", help="Write everything (since WHEN) to a file: .csv, or .jsonl (JSON lines)."
        ),
    ] = None,
    prompt: Annotated[
        str | None,
        typer.Option("--prompt", metavar="ID", help="Tell about one prompt: why it was chosen, what became of it."),
    ] = None,
    decisions: Annotated[
        bool, typer.Option("--decisions", help="Print what moderators did, and who it was, instead.")
    ] = False,
    config: ConfigOption = None,
    channel: ChannelOption = None,
) -> None:
    """Print what was really heard (the as-run log).

    Every sentence with its time, who asked for it, its class in the queue, and whether it was heard in full or cut,
    and where; [mask] and the like in front of the text: what moderation did with it. Times at which nobody could
    speak, because the director was stopped or had been killed, are gaps. Read from the journal: no daemon is needed.

    \b
    broadcaster log --since 2h
    broadcaster log --follow
    broadcaster log --since 2026-11-24 --export monday.csv
    broadcaster log --prompt 0d5f2a
    broadcaster log --decisions --since 1d
    """
    _one_of({"--json": as_json, "--csv": as_csv, "--export": export_to is not None})
    _one_of(
        {"--follow": follow, "--export": export_to is not None, "--prompt": bool(prompt), "--decisions": decisions}
    )
    start_ns = None if since is None else when(since)
    place = target(config, channel).journal
    if export_to is not None:
        _export(place, export_to, start_ns)
    elif prompt is not None:
        _story(place, prompt, as_json)
    elif decisions:
        _decisions(place, limit or NEWEST, start_ns or 0, as_json)
    else:
        _print(place, limit or NEWEST, start_ns, follow, as_json, as_csv)


def _one_of(options: dict[str, bool]) -> None:
    given = [name for name, there in options.items() if there]
    if len(given) > 1:
        raise typer.BadParameter(f"choose one of {' and '.join(given)}", param_hint=given[-1])


def _print(place: JournalPlace, limit: int, start_ns: int | None, follow: bool, as_json: bool, as_csv: bool) -> None:
    show: Callable[[dict[str, Any]], None] = _text
    if as_json:
        show = _json
    elif as_csv:
        show = _csv
        write_csv(sys.stdout)
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


def _export(place: JournalPlace, path: Path, start_ns: int | None) -> None:
    from broadcaster.journal.reading import asrun_since

    check_suffix(path)
    total, pages = asrun_since(place, start_ns or 0)
    count = export(path, total, pages)
    typer.echo(f"{count:,} {'row' if count == 1 else 'rows'} written to {path}")


def _story(place: JournalPlace, identity: str, as_json: bool) -> None:
    from broadcaster.journal.reading import prompt_story

    found = prompt_story(place, identity)
    if found is None:
        raise BroadcasterError(
            f"no prompt {identity!r} in the journal; comments are only kept once they were chosen. "
            "Ids are in `broadcaster log --json` and `broadcaster queue list`"
        )
    for line in [story_json(found)] if as_json else story_lines(found):
        typer.echo(line)


def _decisions(place: JournalPlace, limit: int, since_ns: int, as_json: bool) -> None:
    from broadcaster.journal.reading import decision_rows

    rows = decision_rows(place, limit, since_ns)
    for row in reversed(rows):
        typer.echo(json.dumps(decision_json(row), ensure_ascii=False) if as_json else decision_line(row))
    if not rows and not as_json:
        typer.echo("nothing was decided")


def _text(row: dict[str, Any]) -> None:
    typer.echo(text_line(row))


def _json(row: dict[str, Any]) -> None:
    typer.echo(json_line(row))


def _csv(row: dict[str, Any]) -> None:
    write_csv(sys.stdout, row)


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
