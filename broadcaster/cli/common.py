"""Options that many commands share, which channel a command means, and how foreign text is shown on a terminal."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from broadcaster.config import LoadedConfig, find_config, load_config
from broadcaster.config.base import config_path
from broadcaster.config.references import resolve
from broadcaster.config.yamlfile import read_yaml
from broadcaster.errors import ConfigError
from broadcaster.paths import Paths, channel_paths

if TYPE_CHECKING:
    from broadcaster.journal.database import JournalPlace

SYSTEMD_ROOTS = ("/run/broadcaster", "/var/lib/broadcaster", "/var/cache/broadcaster")
"""RUNTIME_DIRECTORY, STATE_DIRECTORY and CACHE_DIRECTORY of the shipped unit; %i is appended per instance."""

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        metavar="FILE",
        help="Configuration; else $BROADCASTER_CONFIG, ./config.yaml or /etc/broadcaster/config.yaml.",
    ),
]

ChannelOption = Annotated[
    str | None,
    typer.Option("--channel", metavar="NAME", help="Channel to talk to, instead of the configuration's."),
]

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


def load(config: Path | None, quiet: bool = False) -> LoadedConfig:
    """The whole configuration, with its warnings printed unless `quiet`. Raises ConfigError."""
    loaded = load_config(find_config(config))
    for warning in () if quiet else loaded.warnings:
        typer.echo(f"warning: {warning}", err=True)
    return loaded


@dataclass(frozen=True, slots=True)
class Target:
    """A channel of this machine, running or not."""

    channel: str
    paths: Paths
    journal_url: Callable[[], str | None] = lambda: None
    """journal.url, looked up when it is asked for: only reading the journal itself needs it."""

    @property
    def journal(self) -> JournalPlace:
        """Where this channel keeps its journal. Raises ConfigError."""
        from broadcaster.journal.database import journal_place  # brings numpy, and this module is part of the parent

        try:
            return journal_place(self.journal_url(), self.channel, self.paths.journal)
        except ValueError as err:
            raise ConfigError(f"journal.url: {err}") from err


def target(config: Path | None, channel: str | None, env: Mapping[str, str] = os.environ) -> Target:
    """The channel that a command means.

    Reads only `channel` and `state_dir`: an operator must be able to stop a broadcast with a terminal that has
    none of its secrets, and with a file that has just been broken. Raises ConfigError.
    """
    name, state_dir = "demo", None
    try:
        path = find_config(config, env)
        data, base, instance = _mapping(path), path.absolute().parent, path.stem
    except ConfigError:
        if config is not None or channel is None:
            raise
        data, base, instance = {}, Path.cwd(), channel
    name = channel or _resolved(data.get("channel"), env) or name
    given = _resolved(data.get("state_dir"), env)
    if given:
        state_dir = config_path(Path(given), base)
    own = channel_paths(name, state_dir)
    if state_dir is None and not own.control_socket.exists():
        own = _of_the_service(name, instance) or own
    journal = data.get("journal")
    url = journal.get("url") if isinstance(journal, dict) else None
    return Target(name, own, lambda: _resolved(url, env))


def _of_the_service(channel: str, instance: str) -> Paths | None:
    """Where a daemon under the shipped systemd unit keeps this channel, if it is there (or hidden from us)."""
    for unit in dict.fromkeys((instance, channel)):
        run, state, cache = (Path(root, unit, "broadcaster") for root in SYSTEMD_ROOTS)
        try:
            there = (run / channel).is_dir() or (state / channel).is_dir()
        except PermissionError:
            there = True
        if there:
            return Paths(state / channel, run / channel, cache)
    return None


def plain(text: str) -> str:
    """One line, without characters that would steer a terminal."""
    return "".join(char if char.isprintable() else " " for char in text)


def _mapping(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as err:
        raise ConfigError(
            f"{path}: cannot be read ({err}) -> check the path, or name the channel: --channel"
        ) from err
    data = read_yaml(text).data
    return data if isinstance(data, dict) else {}


def _resolved(value: object, env: Mapping[str, str]) -> str | None:
    if not isinstance(value, str) or not value:
        return None
    try:
        return resolve(value, env)
    except ValueError as err:
        raise ConfigError(f"{err}; or name the channel: --channel") from err
