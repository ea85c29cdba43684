"""latency: how long turns took on their way to air, stage by stage, read from the journal file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from broadcaster.cli.common import ChannelOption, ConfigOption, JsonOption, target
from broadcaster.cli.log import when
from broadcaster.latency import STAGES, summary

if TYPE_CHECKING:
    from rich.console import RenderableType

_SUMS = {"own": "without waiting for earlier prompts", "total": "accepted to on air"}


def latency(
    last: Annotated[
        int | None, typer.Option("--last", "-n", min=1, help="So many turns, the newest. Else 100.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="WHEN", help="From a time on: 2h, 3d, 14:30, 2026-11-24 or 2026-11-24T14:30."),
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    channel: ChannelOption = None,
) -> None:
    """Show how long turns took, from the accepted prompt to the air.

    One line per stage, in milliseconds: the first package of a turn is what viewers wait for, the later ones
    must only be ready before the one in front of them ends. Read from the journal: no daemon is needed.

    \b
    broadcaster latency
    broadcaster latency --last 20
    broadcaster latency --since 2h --json
    """
    since_ns = None if since is None else when(since)
    path = target(config, channel).journal
    from broadcaster.journal.traces import read_traces

    turns = 100 if last is None and since_ns is None else last
    found = summary(read_traces(path, turns, since_ns))
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    if not found["packages"]:
        typer.echo("no turn was on air in that time")
        return
    from broadcaster.cli.status import terminal

    terminal().print(page(found))


def page(found: dict[str, Any]) -> RenderableType:
    """`found` is a `latency.summary` with at least one package."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    table.add_column("ms from the stage before")
    for name in ("first: n", "P50", "P95", "max", "later: n", "P50", "P95", "max"):
        table.add_column(name, justify="right")
    for row in found["stages"]:
        name = row["stage"]
        told = STAGES.get(name) or _SUMS[name]
        table.add_row(f"{name}: {told}", *_cells(row["first"]), *_cells(row["later"]))
    return Group(
        Text(f"{found['turns']} turns, {found['packages']} packages on air"),
        Text(""),
        table,
        Text(""),
        _margin(found),
    )


def _cells(figures: dict[str, float] | None) -> list[str]:
    if figures is None:
        return ["", "", "", ""]
    return [f"{figures['n']:g}", *(f"{figures[name]:,.0f}" for name in ("p50", "p95", "max"))]


def _margin(found: dict[str, Any]) -> RenderableType:
    from rich.text import Text

    later = found["later"]
    if later["margin"] is None:
        return Text("No turn had a second package.")
    margin = later["margin"]
    text = (
        f"Later packages were ready before they were due by {margin['p50']:,.0f} ms (median), "
        f"{margin['p5']:,.0f} ms (5th percentile), {margin['min']:,.0f} ms (least). "
        f"Too late: {later['late']} of {later['n']}"
    )
    return Text(text + (f", {later['silence_ms']:,} ms of silence." if later["late"] else "."))
