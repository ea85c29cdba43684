"""doctor and version."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from importlib import metadata
from typing import Annotated

import typer

from broadcaster.cli.common import ConfigOption, JsonOption, load


def doctor(
    connect: Annotated[
        bool, typer.Option("--connect", help="Also connect to RTMP servers and voices, without a key.")
    ] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show what this machine lacks, and how to get it.

    Looks at fonts, encoders, models, disk, clocks, ports and names.

    Exit status 1 if something is missing that is needed.
    """
    loaded = load(config)
    from broadcaster.doctor import Row, examine, worst

    mark = {"ok": "ok       ", "missing": "MISSING  ", "optional": "note     "}
    colour = {"ok": typer.colors.GREEN, "missing": typer.colors.RED, "optional": typer.colors.YELLOW}
    rows: list[Row] = []
    for row in examine(loaded, connect=connect):
        rows.append(row)
        if not as_json:
            typer.echo(typer.style(mark[row.state], fg=colour[row.state]) + f"{row.subject:<20} {row.detail}")
            if row.remedy:
                typer.echo(f"{'':<30}-> {row.remedy}")
            sys.stdout.flush()
    if as_json:
        typer.echo(json.dumps([asdict(row) for row in rows], ensure_ascii=False, indent=2))
    raise typer.Exit(worst(rows))


def version() -> None:
    """Print the version."""
    import av

    typer.echo(
        f"broadcaster {metadata.version('broadcaster')} "
        f"(Python {'.'.join(map(str, sys.version_info[:3]))}, PyAV {av.__version__})"
    )
