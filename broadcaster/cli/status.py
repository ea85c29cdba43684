"""status: what OBS shows, for the whole channel."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from broadcaster.cli.client import Control
from broadcaster.cli.common import ChannelOption, ConfigOption, JsonOption, target
from broadcaster.errors import BroadcasterError, NotRunning

if TYPE_CHECKING:
    from rich.console import RenderableType

REFRESH_S: Final = 1.0
PIPE_WIDTH: Final = 240
_VOICE_STATES: Final = {"closed": "ready", "open": "left alone for a while", "half_open": "about to be tried"}
"""Columns when the output is no terminal: wide enough that nothing is cut."""

_STYLE: Final = {"live": "green", "connecting": "yellow", "waiting": "yellow", "suspended": "red", "failed": "red"}


def status(
    watch: Annotated[bool, typer.Option("--watch", help="Refresh every second until Ctrl-C.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    channel: ChannelOption = None,
) -> None:
    """Show the state of a running channel.

    Clock, voice, head, what is said now and next, and for every sink what OBS shows for an output.

    \b
    broadcaster status
    broadcaster status --watch
    broadcaster status --json | jq .sinks
    """
    control = Control(target(config, channel))
    if as_json:
        while True:
            typer.echo(json.dumps(control.get("/api/status"), ensure_ascii=False, indent=None if watch else 2))
            if not watch:
                return
            time.sleep(REFRESH_S)
    elif watch:
        _watch(control)
    else:
        terminal().print(page(control.get("/api/status")))


def terminal() -> Any:
    """Where tables go: as wide as the terminal, or wide enough for a pipe."""
    from rich.console import Console

    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=PIPE_WIDTH)


def _watch(control: Control) -> None:
    from rich.live import Live
    from rich.text import Text

    with Live(console=terminal(), screen=True, auto_refresh=False) as live:
        while True:
            try:
                view: RenderableType = page(control.get("/api/status", timeout=REFRESH_S))
            except NotRunning as err:
                view = Text(str(err), style="red")
            except BroadcasterError as err:
                view = Text(str(err), style="yellow")
            live.update(view, refresh=True)
            time.sleep(REFRESH_S)


def page(state: dict[str, Any]) -> RenderableType:
    """The whole status as text and two tables. `state` is the answer of /api/status."""
    from rich.console import Group
    from rich.text import Text

    head = Text.assemble(
        (str(state.get("channel", "?")), "bold"),
        f"  {state.get('version', '')}  up {duration(_number(_part(state, 'clock'), 'uptime_s'))}",
    )
    parts: list[RenderableType] = [head]
    if state.get("panicked"):
        parts.append(Text("PANIC: silent until `broadcaster resume`", style="bold white on red"))
    parts += [_health(state), _speech(state), sinks_table(state.get("sinks") or [])]
    return Group(*parts)


def sinks_table(sinks: list[dict[str, Any]]) -> RenderableType:
    """One row per sink: what OBS shows for an output."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for name in ("sink", "type", "state"):
        table.add_column(name, no_wrap=True)
    for name in ("kbit/s", "dropped", "congestion", "up", "reconnects"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("address")
    for sink in sinks:
        state = str(sink.get("state", "?"))
        said = str(sink.get("address", ""))
        if sink.get("error"):
            said = f"{said}  {sink['error']}".strip()
        if _number(sink, "retry_in_s") > 0:
            said += f"  (next try in {duration(_number(sink, 'retry_in_s'))})"
        total = _number(sink, "total_frames")
        share = f" ({100 * _number(sink, 'dropped_frames') / total:.1f}%)" if total else ""
        table.add_row(
            str(sink.get("name", "?")),
            str(sink.get("type", "?")),
            Text(state, style=_STYLE.get(state, "")),
            f"{_number(sink, 'kbps'):.0f}",
            f"{_number(sink, 'dropped_frames'):.0f}{share}",
            f"{100 * _number(sink, 'congestion'):.0f}%",
            duration(_number(sink, "uptime_s")),
            f"{_number(sink, 'reconnects'):.0f}",
            said,
        )
    return table


def _health(state: dict[str, Any]) -> RenderableType:
    from rich.table import Table

    clock, voice, head = _part(state, "clock"), _part(state, "voice"), _part(state, "head")
    brain, journal = _part(state, "brain"), _part(state, "journal")
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    if clock.get("connected"):
        table.add_row(
            "clock",
            f"tick {clock.get('tick')} at {clock.get('fps')} fps, {clock.get('encoder')}; "
            f"late {clock.get('late_ticks')}, held {clock.get('held_ticks')}, re-anchored {clock.get('reanchored')}; "
            f"lateness P99 {_number(clock, 'lateness_p99_ms'):.1f} ms",
        )
    else:
        table.add_row("clock", _red("playout is being restarted"))
    table.add_row("voice", _engine(voice))
    for link in voice.get("links") or ():
        if len(voice["links"]) > 1:
            note = f", {link['error']}" if link["error"] else ""
            counts = f"{link['spoken']} pieces, {link['failures']} failed{note}"
            table.add_row("", f"{link['name']}: {_VOICE_STATES.get(link['state'], link['state'])}, {counts}")
    table.add_row("head", _head(head) if head.get("connected", True) else _red("is being restarted; lips are still"))
    table.add_row("brain", _brain(brain))
    for link in brain.get("links") or ():
        if len(brain["links"]) > 1:
            note = f", {link['error']}" if link["error"] else ""
            counts = f"{link['answered']} answers, {link['failures']} failed{note}"
            table.add_row("", f"{link['name']}: {_VOICE_STATES.get(link['state'], link['state'])}, {counts}")
    for guest in brain.get("end_to_end") or ():
        note = f", {guest['error']}" if guest["error"] else ""
        counts = f"{guest['answered']} answers, {guest['failures']} failed{note}"
        table.add_row("", f"{guest['name']}: {_VOICE_STATES.get(guest['state'], guest['state'])}, {counts}")
    for source in state.get("sources") or ():
        if source["state"] != "off":
            table.add_row("source", _source(source))
    if any(source["state"] != "off" for source in state.get("sources") or ()):
        table.add_row("room", _room(_part(state, "room"), _part(state, "queue")))
    if (trouble := _moderation(_part(state, "moderation"))) is not None:
        table.add_row("moderation", _red(trouble))
    if said := _moderators(_part(state, "moderators")):
        table.add_row("moderators", said)
    turn = _part(state, "turn")
    if turn:
        late = f", {turn['late']} packages late" if turn["late"] else ""
        table.add_row("latency", f"last turn {turn['own_ms']} ms{late} (broadcaster latency)")
    if journal.get("error"):
        table.add_row("journal", _red(str(journal["error"])))
    return table


def _moderation(moderation: dict[str, Any]) -> str | None:
    """What is wrong with it, if anything is."""
    endpoint = moderation.get("endpoint") or {}
    faults = []
    if moderation.get("error"):
        faults.append(f"the word lists are broken, the old ones are in use: {moderation['error']}")
    if endpoint.get("error"):
        faults.append(f"the endpoint fails: {endpoint['error']}")
    return "; ".join(faults) or None


def _moderators(moderators: dict[str, Any]) -> str:
    """What they have decided that is not as usual, and what waits for them."""
    words = []
    if moderators.get("held"):
        words.append(f"{moderators['held']} held for you (broadcaster queue list)")
    if moderators.get("paused"):
        words.append("the automatic choice is paused")
    if moderators.get("slow_s"):
        words.append(f"slow mode {moderators['slow_s']:g} s")
    if moderators.get("bans"):
        words.append(f"{moderators['bans']} banned")
    if moderators.get("delay_s"):
        words.append(f"broadcast delay {moderators['delay_s']:g} s")
    return ", ".join(words)


def _source(source: dict[str, Any]) -> Any:
    words = f"{source['name']}: {source['state']}, {source['received']} posts, {source['paid']} paid"
    note = str(source.get("error") or source.get("note") or "")
    words = f"{words}, {note}" if note else words
    if source["state"] == "waiting":
        words += f" (next try in {duration(_number(source, 'retry_in_s'))})"
    return words if source["state"] in ("live", "connecting") else _red(words)


def _room(room: dict[str, Any], queue: dict[str, Any]) -> str:
    dropped = {**_part(room, "shed"), **_part(room, "dropped"), **_part(queue, "drops")}
    words = [f"{room.get('viewers', 0)} viewers"]
    on_disk = sum(_part(room, "on_disk").values())
    if on_disk:
        words.append(f"{on_disk} paid wait on disk")
    merged = sum(_part(queue, "merged").values())
    if merged:
        words.append(f"{merged} merged")
    if dropped:
        reasons = sorted(dropped.items(), key=lambda each: -each[1])
        words.append("dropped " + ", ".join(f"{reason} {count}" for reason, count in reasons))
    return "; ".join(words)


def _brain(brain: dict[str, Any]) -> Any:
    budget = brain.get("budget") or {}
    words = [str(brain.get("engine") or "not used yet")]
    if brain.get("rule_based"):
        words.append("rule-based, no language model")
    if budget.get("tokens"):
        limit = "" if budget["limit"] is None else f" of {budget['limit']:g}"
        words.append(f"today {budget['tokens']} tokens, {budget['spent']:.4g}{limit} {budget['currency']}")
        if budget["limit"] is not None and budget["spent"] >= budget["limit"]:
            words.append("spent: brains with a price wait until tomorrow")
    return _engine({**brain, "engine": ", ".join(words)})


def _engine(part: dict[str, Any]) -> Any:
    words = str(part.get("engine") or "not used yet")
    note = str(part.get("error") or part.get("note") or "")
    if part.get("degraded"):
        return _red(f"{words}, degraded: {note}" if note else f"{words}, degraded")
    return f"{words}, {note}" if note else words


def _head(part: dict[str, Any]) -> Any:
    step = str(part.get("step") or "")
    thinned = {"half": "every second picture interpolated", "third": "two of three pictures interpolated"}.get(step)
    return _engine({**part, "engine": f"{part.get('engine')}, {thinned}"} if thinned else part)


def _speech(state: dict[str, Any]) -> RenderableType:
    from rich.text import Text

    now, queue = state.get("now"), _part(state, "queue")
    lines = Text()
    lines.append("now    ", style="bold")
    lines.append(str(now.get("text", "")) if isinstance(now, dict) else "idle")
    for entry in state.get("next") or []:
        lines.append("\nnext   ", style="bold")
        lines.append(f"{entry.get('text', '')}")
        if entry.get("held"):
            lines.append("  (cut; goes on)")
    lines.append("\nqueue  ", style="bold")
    lines.append(f"{queue.get('length', 0)} of {queue.get('capacity', '?')}\n")
    return lines


def duration(seconds: float) -> str:
    """12s, 3m12s, 5h03m, 12d05h."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    if whole < 86_400:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    return f"{whole // 86_400}d{whole % 86_400 // 3600:02d}h"


def _part(state: dict[str, Any], name: str) -> dict[str, Any]:
    part = state.get(name)
    return part if isinstance(part, dict) else {}


def _number(part: dict[str, Any], name: str) -> float:
    value = part.get(name)
    return float(value) if isinstance(value, int | float) else 0.0


def _red(text: str) -> Any:
    from rich.text import Text

    return Text(text, style="red")
