"""memory show, memory forget: what is remembered of the conversation and of viewers, with or without a daemon."""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from broadcaster.cli.client import Control
from broadcaster.cli.common import ChannelOption, ConfigOption, JsonOption, Target, plain, target
from broadcaster.errors import NotRunning
from broadcaster.lock import holder_of

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="See and delete what is remembered.")

ViewerOption = Annotated[
    str | None, typer.Option("--viewer", metavar="ID", help="Only what is remembered about this viewer.")
]


@app.callback()
def memory() -> None:
    """See and delete what is remembered of the conversation and of viewers."""


@app.command()
def show(
    viewer: ViewerOption = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="Newest exchanges and viewers to print.")] = 20,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    channel: ChannelOption = None,
) -> None:
    """Print what is remembered.

    The summary, the conversation as it was heard on air, and the viewers; of one viewer also what the room knows:
    medal, guard, what was paid. Read from the journal: no daemon is needed.

    \b
    broadcaster memory show
    broadcaster memory show --viewer bilibili:4fd1 --json
    """
    from broadcaster.journal.memory import read_memory

    found = read_memory(target(config, channel).journal, viewer, limit)
    del found["audience" if viewer is None else "summary"]  # one is of a viewer, the other of everybody
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False, indent=2))
        return
    for line in _lines(found):
        typer.echo(line)


@app.command()
def forget(
    viewer: Annotated[
        str | None,
        typer.Option("--viewer", metavar="ID", help="The viewer to forget; ids are shown by `memory show`."),
    ] = None,
    everybody: Annotated[bool, typer.Option("--all", help="Forget the whole conversation and all viewers.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask first.")] = False,
    config: ConfigOption = None,
    channel: ChannelOption = None,
) -> None:
    """Delete what is remembered about a viewer, or everything.

    It cannot be undone. Comments that wait go as well; what was paid for is said first, and forgotten then. The
    summary goes in either case, because it may speak of anybody. The as-run log keeps what the host said on air, a
    ban keeps the viewer's id. Recordings of the room are files of their own: delete those yourself.

    \b
    broadcaster memory forget --viewer bilibili:4fd1
    broadcaster memory forget --all --yes
    """
    if (viewer is None) is not everybody:
        raise typer.BadParameter("name a viewer with --viewer ID, or everybody with --all", param_hint="--viewer")
    if not yes and sys.stdin.isatty():
        whom = "everything that is remembered" if viewer is None else f"what is remembered about {viewer}"
        typer.confirm(f"Delete {whom}?", abort=True)
    gone = _forget(target(config, channel), viewer)
    nothing = "nothing was remembered (what was paid for and waits is forgotten once it was said)"
    typer.echo(f"{gone} {'entry' if gone == 1 else 'entries'} deleted" if gone else nothing)


def _forget(aim: Target, viewer: str | None) -> int:
    """By the daemon, which has it in its head too; without one in the file itself."""
    body = {"all": True} if viewer is None else {"viewer": viewer}
    try:
        return int(Control(aim).post("/api/memory/forget", body)["forgotten"])
    except NotRunning:
        if holder_of(aim.paths.lock):
            raise
    return asyncio.run(_forget_in_file(aim, viewer))


async def _forget_in_file(aim: Target, viewer: str | None) -> int:
    from broadcaster.journal import Journal
    from broadcaster.journal.database import open_for_reading

    open_for_reading(aim.journal).close()  # a channel that never ran gets no journal from this
    journal = Journal(aim.journal)
    try:
        await journal.open()
        return await journal.memory.forget(viewer)
    finally:
        journal.close()


def _lines(found: dict[str, Any]) -> list[str]:
    lines = [f"summary: {plain(found['summary'])}", ""] if found.get("summary") else []
    for each in found["exchanges"]:
        who = plain(each["viewer"]) or ("a viewer" if each["question"] else "")
        asked = f"{who}: {plain(each['question'])}" if each["question"] else "(unasked)"
        broken = " [cut]" if each["cut"] else ""
        lines += [f"{_time(each['at_ns'])}  {asked}", f"{'':16}  > {plain(each['answer'])}{broken}"]
    lines += [""] if lines and found["viewers"] else []
    for each in found["viewers"]:
        lines.append(
            f"{plain(each['id'])}  {plain(each['name'])}: {_many(each['visits'], 'visit')}, "
            f"{_many(each['exchanges'], 'question')}, last {_time(each['last_ns'])}"
        )
        lines += [f"    {plain(note)}" for note in each["notes"].split("\n") if note]
    if found.get("audience"):
        lines += [*([""] if lines else []), _in_the_room(found["audience"])]
    return lines or ["nothing is remembered"]


def _in_the_room(row: dict[str, Any]) -> str:
    badge = f"medal {plain(row['medal'])} {row['medal_level']}" if row["medal"] else ""
    told = [
        f"level {row['level']}" if row["level"] else "",
        badge,
        f"guard {row['guard']}" if row["guard"] else "",
        f"paid {row['paid'] / 1000:.2f} yuan since {_time(row['paid_since_ns'])}" if row["paid"] else "",
        _many(row["posts"], "post"),
        f"first {_time(row['first_ns'])}",
        f"last {_time(row['last_ns'])}",
    ]
    return f"in the room: {plain(row['id'])}  {plain(row['name'])}: {', '.join(part for part in told if part)}"


def _many(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _time(at_ns: int) -> str:
    return datetime.fromtimestamp(at_ns / 1e9, UTC).astimezone().strftime("%Y-%m-%d %H:%M")
