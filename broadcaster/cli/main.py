"""Puts the commands together and turns errors into messages and exit statuses."""

from __future__ import annotations

import os
import sys

import typer

from broadcaster.cli import (
    air,
    avatar,
    head,
    latency,
    log,
    memory,
    models,
    moderate,
    persona,
    prompts,
    queue,
    sink,
    status,
    tools,
    voice,
)
from broadcaster.errors import (
    AlreadyRunning,
    AssetError,
    BroadcasterError,
    ConfigError,
    NotRunning,
)
from broadcaster.redact import redact

app = typer.Typer(
    name="broadcaster",
    help="Keeps a digital human on air, around the clock.",
    epilog="Every command has its own help: broadcaster sink --help, broadcaster sink add --help.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

app.command()(air.run)
app.command()(air.check)
app.command()(air.render)
app.command()(prompts.say)
app.command()(prompts.ask)
app.command()(prompts.event)
app.command()(prompts.interrupt)
app.command()(prompts.panic)
app.command()(prompts.resume)
app.add_typer(queue.app, name="queue")
app.command()(queue.ban)
app.command()(queue.unban)
app.command()(queue.bans)
app.command()(queue.slow)
app.command("pause-auto")(queue.pause_auto)
app.command()(status.status)
app.add_typer(sink.app, name="sink")
app.command()(log.log)
app.command()(latency.latency)
app.command()(moderate.moderate)
app.command()(tools.doctor)
app.add_typer(avatar.app, name="avatar")
app.add_typer(head.app, name="head")
app.add_typer(models.app, name="models")
app.add_typer(voice.app, name="voice")
app.add_typer(persona.app, name="persona")
app.add_typer(memory.app, name="memory")
app.command()(tools.version)


def exit_status(err: BroadcasterError) -> int:
    """The status that scripts and systemd tell errors apart by."""
    if isinstance(err, ConfigError | AssetError):
        return os.EX_CONFIG
    if isinstance(err, NotRunning):
        return os.EX_UNAVAILABLE
    if isinstance(err, AlreadyRunning):
        return os.EX_TEMPFAIL
    return 1


def main() -> None:
    """Entry point of `broadcaster` and `python -m broadcaster.cli`."""
    try:
        app(prog_name="broadcaster")
    except BroadcasterError as err:
        typer.echo(redact(str(err)), err=True)
        sys.exit(exit_status(err))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
