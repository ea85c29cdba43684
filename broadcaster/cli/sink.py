"""sink list, add, change, pause, resume, stop, remove, reset: the outputs of a running channel."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from broadcaster.cli.client import Control
from broadcaster.cli.common import ChannelOption, ConfigOption, JsonOption, target
from broadcaster.cli.status import sinks_table, terminal
from broadcaster.config import parse_sink, resolve_settings
from broadcaster.config.base import config_path
from broadcaster.config.yamlfile import read_yaml
from broadcaster.errors import ConfigError

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="See and change where a channel streams to.",
    epilog="The other sinks do not notice. A change lasts, also through a restart, until the configuration's entry "
    "of that sink changes or the sink is reset.",
)

NameArgument = Annotated[str, typer.Argument(help="Name of the sink.")]
UrlOption = Annotated[
    str | None, typer.Option(metavar="URL", help="Address, or a '${...}' reference, resolved here. No keys in here.")
]
UrlEnvOption = Annotated[str | None, typer.Option(metavar="VAR", help="Environment variable with the address.")]
KeyEnvOption = Annotated[str | None, typer.Option(metavar="VAR", help="Environment variable with the stream key.")]
KeyOption = Annotated[
    bool, typer.Option("--key", help="Ask for the stream key (hidden), or read it from standard input.")
]
BackupEnvOption = Annotated[str | None, typer.Option(metavar="VAR", help="Environment variable: backup address.")]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any other key of the sink; may be repeated.")
]
StdinOption = Annotated[bool, typer.Option("--stdin", help="Read the sink's settings as YAML from standard input.")]


@app.command("list")
def list_(as_json: JsonOption = False, config: ConfigOption = None, channel: ChannelOption = None) -> None:
    """Show every sink.

    State, rate, dropped pictures, congestion, uptime and reconnects, as OBS shows them for an output.
    """
    sinks = Control(target(config, channel)).get("/api/sinks").get("sinks", [])
    if as_json:
        typer.echo(json.dumps(sinks, ensure_ascii=False, indent=2))
    else:
        terminal().print(sinks_table(sinks))


@app.command()
def add(
    name: NameArgument,
    kind: Annotated[str, typer.Option("--type", metavar="TYPE", help="rtmp, file, preview or null.")] = "rtmp",
    url: UrlOption = None,
    url_env: UrlEnvOption = None,
    key: KeyOption = False,
    key_env: KeyEnvOption = None,
    backup_url_env: BackupEnvOption = None,
    set_: SetOption = None,
    stdin: StdinOption = False,
    config: ConfigOption = None,
    channel: ChannelOption = None,
) -> None:
    """Add a sink on air.

    Keys never have to stand on the command line, where every user of the machine sees them.

    \b
    broadcaster sink add backup --url rtmp://live.example/app --key
    broadcaster sink add backup --url-env MY_URL --key-env MY_KEY
    broadcaster sink add tape --type file --set directory=/srv/tape --set segment_minutes=30
    broadcaster sink add backup --stdin < sink.yaml
    """
    settings = _settings(url, url_env, key, key_env, backup_url_env, set_, stdin)
    settings = {"type": kind, **settings, "name": name}
    if settings["type"] == "rtmp" and not settings.get("url"):
        settings |= _asked()
    settings = _absolute(resolve_settings(settings))
    parse_sink(settings)
    _command(config, channel, "add", name, settings)


@app.command()
def change(
    name: NameArgument,
    url: UrlOption = None,
    url_env: UrlEnvOption = None,
    key: KeyOption = False,
    key_env: KeyEnvOption = None,
    backup_url_env: BackupEnvOption = None,
    set_: SetOption = None,
    stdin: StdinOption = False,
    config: ConfigOption = None,
    channel: ChannelOption = None,
) -> None:
    """Change a sink on air: what is not given stays as it is.

    \b
    broadcaster sink change live --url rtmp://live.example/app --key
    broadcaster sink change live --key-env NEW_KEY
    broadcaster sink change live --set queue_ms=3000
    """
    settings = _settings(url, url_env, key, key_env, backup_url_env, set_, stdin) or _asked()
    _command(config, channel, "change", name, _absolute(resolve_settings(settings)))


@app.command()
def pause(name: NameArgument, config: ConfigOption = None, channel: ChannelOption = None) -> None:
    """Disconnect a sink until `sink resume`."""
    _command(config, channel, "pause", name)


@app.command()
def resume(name: NameArgument, config: ConfigOption = None, channel: ChannelOption = None) -> None:
    """Connect a paused, stopped or suspended sink now."""
    _command(config, channel, "resume", name)


@app.command()
def stop(name: NameArgument, config: ConfigOption = None, channel: ChannelOption = None) -> None:
    """Switch a sink off until `sink resume`."""
    _command(config, channel, "stop", name)


@app.command()
def remove(name: NameArgument, config: ConfigOption = None, channel: ChannelOption = None) -> None:
    """Take a sink out of the list.

    `sink reset` brings a configured one back.
    """
    _command(config, channel, "remove", name)


@app.command()
def reset(
    name: Annotated[str, typer.Argument(help="Name of the sink; nothing: all of them.")] = "",
    config: ConfigOption = None,
    channel: ChannelOption = None,
) -> None:
    """Forget what was changed on air and go back to the configuration."""
    _command(config, channel, "reset", name)


def _command(
    config: Path | None, channel: str | None, action: str, name: str, settings: dict[str, object] | None = None
) -> None:
    body: dict[str, Any] = {"action": action, "name": name}
    if settings is not None:
        body["settings"] = settings
    Control(target(config, channel)).post("/api/sinks", body)


def _settings(
    url: str | None,
    url_env: str | None,
    key: bool,
    key_env: str | None,
    backup_url_env: str | None,
    pairs: list[str] | None,
    stdin: bool,
) -> dict[str, object]:
    """What the options give; secrets only as values that never stood on the command line."""
    settings: dict[str, object] = _from_stdin() if stdin else {}
    for pair in pairs or []:
        name, equals, value = pair.partition("=")
        if not equals:
            raise typer.BadParameter(f"{name!r} has no value: write KEY=VALUE", param_hint="--set")
        settings[name] = value
    if url is not None:
        settings["url"] = url
    for option, name, variable in (
        ("--url-env", "url", url_env),
        ("--key-env", "key", key_env),
        ("--backup-url-env", "backup_url", backup_url_env),
    ):
        if variable is not None:
            if not os.environ.get(variable):
                raise typer.BadParameter(f"the environment variable {variable} is not set", param_hint=option)
            settings[name] = _literal(os.environ[variable])
    if key:
        settings["key"] = _literal(_secret("Stream key (hidden)"))
    return settings


def _asked() -> dict[str, object]:
    """Asks for address and key, if somebody is there to answer."""
    if not sys.stdin.isatty():
        raise typer.BadParameter("there is no address: use --url, --url-env or --stdin", param_hint="--url")
    asked: dict[str, object] = {"url": _literal(typer.prompt("Address (rtmp:// or rtmps://)"))}
    key = typer.prompt("Stream key (hidden; empty if the address contains it)", hide_input=True, default="")
    if key:
        asked["key"] = _literal(key)
    return asked


def _secret(question: str) -> str:
    if sys.stdin.isatty():
        return str(typer.prompt(question, hide_input=True))
    return sys.stdin.readline().strip()


def _literal(value: str) -> str:
    """A value that is no reference, whatever it looks like."""
    return value.replace("${", "$${")


def _from_stdin() -> dict[str, object]:
    document = read_yaml(sys.stdin.read())
    if document.problems:
        raise ConfigError(*(f"standard input:{p.line}: {p.text}" for p in document.problems))
    if not isinstance(document.data, dict):
        raise ConfigError("standard input: not the settings of one sink -> write keys with values, as in config.yaml")
    return dict(document.data)


def _absolute(settings: dict[str, object]) -> dict[str, object]:
    directory = settings.get("directory")
    if isinstance(directory, str) and directory:
        return {**settings, "directory": str(config_path(Path(directory), Path.cwd()))}
    return settings
