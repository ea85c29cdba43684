"""queue list, show, approve, drop, edit, move, log; ban, unban, bans; slow; pause-auto: what moderators do."""

from __future__ import annotations

import getpass
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import quote

import typer

from broadcaster.cli.client import Control
from broadcaster.cli.common import ChannelOption, ConfigOption, JsonOption, plain, target

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="See and change what goes on air next.",
    epilog="Every change is written down with who made it: broadcaster queue log.",
)

WIDTH: Final = 60
"""Characters of a text in the list; `queue show` prints all of it."""

UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="Of the prompt, as `queue list` shows it.")]
ViewerArgument = Annotated[str, typer.Argument(metavar="VIEWER", help="Id of the viewer, as `queue show` shows it.")]


@app.command("list")
def list_(
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=500, help="Prompts to print.")] = 50,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    channel: ChannelOption = None,
) -> None:
    """Show what goes on air, in order.

    Place 0 is on air. Each line: place, estimated seconds until it is heard, state, class, id, who, text.
    States: pending (spoken and about to be heard), waiting, held (moderation waits for you), on_disk (paid for,
    more than memory takes).

    \b
    broadcaster queue list
    broadcaster queue list -n 500 --json
    """
    found = Control(target(config, channel)).get(f"/api/queue?limit={limit}")
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False, indent=2))
        return
    for item in found["items"]:
        typer.echo(_line(item))
    typer.echo(_summary(found), err=True)


@app.command()
def show(
    id: IdArgument, as_json: JsonOption = False, config: ConfigOption = None, channel: ChannelOption = None
) -> None:
    """Show one prompt and all that is known of it.

    Its place, the estimated seconds until it is heard, its whole text, who asks, and why it comes where it comes.
    """
    item = Control(target(config, channel)).get(f"/api/queue/{quote(id, safe=':')}")
    if as_json:
        typer.echo(json.dumps(item, ensure_ascii=False, indent=2))
        return
    for name, value in item.items():
        shown = json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else "-" if value is None else value
        typer.echo(f"{name:9} {plain(str(shown))}")


@app.command()
def approve(id: IdArgument, config: ConfigOption = None, channel: ChannelOption = None) -> None:
    """Let a prompt through that moderation holds.

    It takes the place it had and is not judged again. What waits can be approved too: it is then not judged, and
    goes on air while the automatic choice is paused.
    """
    _command(config, channel, {"type": "approve", "id": id})


@app.command()
def drop(
    id: IdArgument,
    now: Annotated[bool, typer.Option("--now", help="On air: cut it at once, not behind its sentence.")] = False,
    config: ConfigOption = None,
    channel: ChannelOption = None,
) -> None:
    """Have a prompt not said.

    Out of the queue, out of what is about to be heard, or off the air behind the sentence that is being said. What
    was paid for is then in the log as skipped, "dropped".

    \b
    broadcaster queue drop 0193a5b2c0def
    broadcaster queue drop --now 0193a5b2c0def
    """
    _command(config, channel, {"type": "drop", "id": id, **({"now": True} if now else {})})


@app.command()
def edit(
    id: IdArgument,
    text: Annotated[list[str], typer.Argument(metavar="TEXT", help="The new text.")],
    config: ConfigOption = None,
    channel: ChannelOption = None,
) -> None:
    """Give a prompt that waits or is held another text.

    Moderation judges it again. What it lets through takes its place in the queue as approved; what it would hold
    is held, under the new text, until you approve it.
    """
    _command(config, channel, {"type": "edit", "id": id, "text": " ".join(text)})


@app.command()
def move(
    id: IdArgument,
    place: Annotated[int, typer.Argument(metavar="PLACE", min=1, help="1 is said next.")],
    config: ConfigOption = None,
    channel: ChannelOption = None,
) -> None:
    """Move a prompt to another place of the queue, where it stays.

    What is on its way to air already stays before it.
    """
    _command(config, channel, {"type": "move", "id": id, "place": place})


@app.command()
def log(
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="Decisions to print.")] = 50,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    channel: ChannelOption = None,
) -> None:
    """Show what moderators have decided, and who it was.

    The newest last. Read from the journal: no daemon is needed. The same as `broadcaster log --decisions`.
    """
    from broadcaster.cli.log import log as whole_log

    whole_log(limit=limit, as_json=as_json, decisions=True, config=config, channel=channel)


def ban(
    viewer: ViewerArgument,
    length: Annotated[
        str | None,
        typer.Option("--for", metavar="TIME", help="How long: 600, 30m, 2h, 7d. Without it until `unban`."),
    ] = None,
    config: ConfigOption = None,
    channel: ChannelOption = None,
) -> None:
    """Take nothing of a viewer any more.

    What waits of them is skipped, "banned", what was paid for as well; what is on air ends by itself. It holds
    through restarts.

    \b
    broadcaster ban bilibili:8a1f... --for 2h
    """
    message: dict[str, Any] = {"type": "ban", "viewer": viewer}
    if length is not None:
        message["seconds"] = _seconds(length)
    _command(config, channel, message)
    if ":" not in viewer:
        note = "banned; but ids of the room have their source in front, such as bilibili:8a1f"
        typer.echo(f"{note} -> see `queue show ID`, and take this one back with `unban`", err=True)


def unban(viewer: ViewerArgument, config: ConfigOption = None, channel: ChannelOption = None) -> None:
    """Let a banned viewer take part again."""
    _command(config, channel, {"type": "unban", "viewer": viewer})


def bans(as_json: JsonOption = False, config: ConfigOption = None, channel: ChannelOption = None) -> None:
    """Show who is banned, until when, and by whom."""
    found = Control(target(config, channel)).get("/api/bans")["bans"]
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False, indent=2))
        return
    for each in found:
        left = "for good" if each["left_s"] is None else f"{_span(each['left_s'])} left"
        since = datetime.fromtimestamp(each["at_ns"] / 1e9, UTC).astimezone().strftime("%Y-%m-%d %H:%M")
        typer.echo(f"{plain(each['viewer'])}  {plain(each['name'])}  {left}, since {since} by {plain(each['by'])}")
    if not found:
        typer.echo("nobody is banned")


def slow(
    seconds: Annotated[float, typer.Argument(metavar="SECONDS", min=0, max=3600, help="0 ends it.")],
    config: ConfigOption = None,
    channel: ChannelOption = None,
) -> None:
    """Let one comment of each viewer count in so many seconds.

    It holds through restarts. What was paid for always counts.

    \b
    broadcaster slow 30
    broadcaster slow 0
    """
    _command(config, channel, {"type": "slow", "seconds": seconds})


def pause_auto(
    state: Annotated[str, typer.Argument(metavar="on|off", help="on: the audience waits for you.")],
    config: ConfigOption = None,
    channel: ChannelOption = None,
) -> None:
    """Have only moderators decide what goes on air.

    While it is on, only what moderators say and ask, and what they approve, edit or move, is taken from the queue;
    the audience's waits. It holds through restarts.
    """
    if state not in ("on", "off"):
        raise typer.BadParameter("write on or off", param_hint="STATE")
    _command(config, channel, {"type": "pause_auto", "on": state == "on"})


def _command(config: Path | None, channel: str | None, message: dict[str, Any]) -> None:
    Control(target(config, channel)).post("/api/queue", {**message, "by": user()})


def user() -> str:
    """Whoever types, for the journal of decisions; behind sudo, the user before it."""
    try:
        return (os.environ.get("SUDO_USER") or getpass.getuser())[:64]
    except (KeyError, OSError):  # no such user, no password file
        return str(os.getuid())


def _seconds(text: str) -> float:
    """30, 30s, 30m, 2h, 7d. Raises BadParameter."""
    number, unit = (text[:-1], text[-1]) if text[-1:] in UNITS else (text, "s")
    try:
        seconds = float(number) * UNITS[unit]
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise typer.BadParameter(f"{text!r} is not a time: write 600, 30m, 2h or 7d", param_hint="--for")
    return seconds


def _line(item: dict[str, Any]) -> str:
    place = "-" if item["place"] is None else item["place"]
    eta = "-" if item["eta_s"] is None else f"{item['eta_s']:.0f}s"
    text = plain(item["text"])
    text = f"{text[:WIDTH]}…" if len(text) > WIDTH else text
    notes = [
        f"{item['paid']:g} yuan" if item["paid"] else "",
        f"x{item['alike']}" if item["alike"] > 1 else "",
        f"held: {plain(item['reason'])}" if item["state"] == "held" else "",
    ]
    shown = ", ".join(note for note in notes if note)
    name = plain(item["name"])
    who = f"{name}: " if name else ""
    return f"{place:>3} {eta:>6}  {item['state']:8} {item['lane']:10} {item['id']}  {who}{text}" + (
        f"  ({shown})" if shown else ""
    )


def _summary(found: dict[str, Any]) -> str:
    parts = [f"{found['length']} waiting", f"{found['held']} held", f"{found['on_disk']} on disk"]
    if found["paused"]:
        parts.append("the automatic choice is paused")
    if found["slow_s"]:
        parts.append(f"slow mode {found['slow_s']:g} s")
    if found["delay_s"]:
        parts.append(f"broadcast delay {found['delay_s']:g} s")
    return ", ".join(parts)


def _span(seconds: float) -> str:
    for unit in ("d", "h", "m"):
        if seconds >= 2 * UNITS[unit]:
            return f"{seconds / UNITS[unit]:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"
