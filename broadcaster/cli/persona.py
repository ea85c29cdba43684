"""persona write, persona show: who the host is, without a running channel."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Final

import typer

from broadcaster import registry
from broadcaster.cli.common import ConfigOption, load
from broadcaster.config import BrainLink, LoadedConfig, secrets_of
from broadcaster.errors import BrainError, ConfigError, Refused
from broadcaster.paths import channel_paths
from broadcaster.redact import Redactor

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Draft a persona, and see what a model is told.")

PATIENCE_S: Final = 120.0
"""Nobody waits on air; a model that thinks first may take a minute for a page."""

EXAMPLE: Final = "你今天怎么样？"


@app.callback()
def persona() -> None:
    """Draft a persona, and see what a model is told."""


@app.command()
def write(
    description: Annotated[str, typer.Argument(metavar="DESCRIPTION", help="Who the host shall be, in free words.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="Where to write it.")] = Path(
        "persona.yaml"
    ),
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
    link: Annotated[
        str | None, typer.Option("--link", metavar="NAME", help="Brain to ask, instead of the first one switched on.")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Have the language model draft a persona.yaml.

    The draft is checked, printed and stored; read it before you use it, and change what you like. Set brain.persona
    to the file to use it.

    \b
    broadcaster persona write "a cheerful weather host who loves clouds" --out weather.yaml
    broadcaster persona write "一位懂茶的老先生，慢条斯理" --force
    """
    loaded = load(config)
    chosen = _link(loaded, link)
    if not description.strip():
        raise Refused("the description is empty -> say who the host shall be")
    if out.exists() and not force:  # found before anybody is paid
        raise Refused(f"{out}: is there already -> name another file with --out, or replace it with --force")
    if out.is_dir() or not os.access(out.absolute().parent, os.W_OK | os.X_OK):
        raise ConfigError(f"{out}: cannot be written -> name another file with --out")
    hide = Redactor(secrets_of(loaded.config))
    try:
        text = asyncio.run(_drafted(chosen, description.strip()))
    except BrainError as err:
        raise BrainError(hide(f"{chosen.label}: {err}"), retryable=err.retryable) from err
    typer.echo(text, nl=False)
    _store(out, f"# Drafted by {chosen.label}; read it before you use it (brain.persona).\n{text}")
    typer.echo(f"\nwritten to {out}; to use it, set brain.persona to that file", err=True)


@app.command()
def show(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="A persona, instead of the configuration's.")
    ] = None,
    ask: Annotated[
        str | None, typer.Option("--ask", metavar="TEXT", help="Also show how a question goes along.")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Print the system prompt that results: persona, rules, time, programme and notes.

    \b
    broadcaster persona show
    broadcaster persona show weather.yaml --ask "明天会下雨吗？"
    """
    loaded = load(config, quiet=True)
    from broadcaster.brain.plain import NoMemory
    from broadcaster.minds import host_of
    from broadcaster.types import Inbound, Origin, PromptKind

    settings = loaded.config.brain
    if file is not None:
        settings = settings.model_copy(update={"persona": file})
    cache = channel_paths(loaded.config.channel, loaded.config.state_dir).cache
    prompter = host_of(settings, cache).prompter
    question = Inbound("show", PromptKind.ASK, ask or EXAMPLE, Origin("cli"))
    turn = asyncio.run(prompter.turn(question, NoMemory()))
    typer.echo(turn.system)
    for message in turn.messages if ask else ():
        pictures = f" (and {len(message.images)} picture)" if message.images else ""
        typer.echo(f"\n--- {message.role}{pictures}\n{message.text}")


def _link(loaded: LoadedConfig, name: str | None) -> BrainLink:
    """The link to ask. Raises Refused for one that is not there, ConfigError when there is none."""
    chain = loaded.config.brain.chain
    if name is not None:
        for link in chain:
            if link.label == name:
                if link.engine == "openai" and not link.model:  # checked at start only for links in use
                    raise ConfigError(f"{loaded.path}: brain.chain: {name} has no model -> set its model")
                return link
        known = ", ".join(link.label for link in chain) or "none is configured"
        raise Refused(f"there is no brain named {name!r} -> use one of: {known}")
    for link in chain:
        if link.enabled:
            return link
    raise ConfigError(
        f"{loaded.path}: brain.chain: no language model is switched on, and the built-in rules write no persona -> "
        "set enabled: true for a link, or copy playlists/persona.yaml and change it by hand"
    )


async def _drafted(link: BrainLink, description: str) -> str:
    from broadcaster.brain.drafting import as_yaml, draft

    shown = sys.stderr.isatty()

    def progress(characters: int) -> None:
        if shown:
            typer.echo(f"\r{link.label}: {characters} characters", nl=False, err=True)

    if shown:
        typer.echo(f"{link.label}: asked", nl=False, err=True)
    brain = registry.resolve(registry.BRAINS, link.engine, "brain")(link)
    try:
        return as_yaml(await draft(brain, description, max(PATIENCE_S, link.total_timeout_s), progress))
    finally:
        if shown:
            typer.echo("", err=True)
        await brain.close()


def _store(path: Path, text: str) -> None:
    """All of it or nothing. Raises ConfigError."""
    target = path.absolute()
    try:
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=target.parent, prefix=f".{target.name}.", delete=False
        ) as file:
            try:
                file.write(text)
                file.flush()
                os.fchmod(file.fileno(), 0o644)
                os.fsync(file.fileno())
                Path(file.name).replace(target)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise
    except OSError as err:
        raise ConfigError(f"{path}: cannot be written ({err.strerror}) -> name another file with --out") from err
