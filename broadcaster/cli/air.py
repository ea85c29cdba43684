"""run, check, render: the commands that use the whole configuration."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from broadcaster.cli.common import ConfigOption, load
from broadcaster.config import Config, LoadedConfig
from broadcaster.config.checks import find_avatar
from broadcaster.errors import AssetError, ConfigError
from broadcaster.paths import channel_paths


def run(config: ConfigOption = None) -> None:
    """Put the channel on air and keep it there.

    Runs in the foreground until SIGTERM or Ctrl-C, which finish or cut the sentence and close every stream; a
    second Ctrl-C is immediate. SIGHUP reads the configuration again.

    \b
    broadcaster run -c config.yaml
    BROADCASTER_RTMP_URL=rtmp://live.example/app BROADCASTER_RTMP_KEY=... broadcaster run
    """
    loaded = load(config)
    _check_in_another_process(loaded)
    address = console_address(loaded.config)
    if address:
        typer.echo(f"Channel {loaded.config.channel}: {address}")
        sys.stdout.flush()
    from broadcaster.parent import run_parent

    raise typer.Exit(run_parent(loaded))


def check(
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing if it is good.")] = False,
    config: ConfigOption = None,
) -> None:
    """Check the configuration without going on air.

    Also looks at what it needs of this machine. Prints one line per fault: file, line, key, what is
    wrong, what to do. Exit status 78 if there is any.
    """
    loaded = load(config, quiet)
    _refuse(loaded)
    if quiet:
        return
    settings = loaded.config
    sinks = [sink.name for sink in settings.sinks if sink.enabled]
    sources = [source.label for source in settings.sources if source.enabled]
    video = settings.video
    voices = [*(link.label for link in settings.voice.chain if link.enabled), settings.voice.engine]
    brains = [*(link.label for link in settings.brain.chain if link.enabled), "built-in rules"]
    typer.echo(
        f"{loaded.path} is good: channel {settings.channel}, {video.width}x{video.height} at {video.fps} fps, "
        f"voice {', '.join(voices)}, head {settings.head.engine or 'as the avatar says'}, brain {', '.join(brains)}, "
        f"sources {', '.join(sources) or 'none'}, sinks {', '.join(sinks) or 'none'}"
    )


def render(
    script: Annotated[Path, typer.Argument(metavar="SCRIPT", help="Text or YAML: what to say, to ask, and pauses.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="OUT", help="File to write: .mp4, .flv or .mkv.")],
    force: Annotated[bool, typer.Option("--force", help="Replace OUT if it exists.")] = False,
    config: ConfigOption = None,
) -> None:
    """Render a script to a video file, off line.

    It goes through the same playout as on air, with a virtual clock that waits for voice and head: on one machine
    the same input gives the same pictures and sound.

    In a text, every line is one step: a sentence to say, "ask: ..." for the brain, "pause: 2.5" for silence,
    "say: ..." for a sentence that looks like one of these; # begins a comment.

    \b
    broadcaster render news.txt -o news.mp4
    """
    if not script.is_file():
        raise typer.BadParameter(f"there is no file {script}", param_hint="SCRIPT")
    if out.exists() and not force:
        raise typer.BadParameter(f"{out} exists already; --force replaces it", param_hint="-o")
    loaded = load(config)
    _refuse(loaded)
    from broadcaster.render import render as render_script

    def progress(seconds: float, sentence: str) -> None:
        if sentence:
            typer.echo(f"{seconds:8.2f} s  {sentence}", err=True)

    report = render_script(loaded, script, out, progress)
    typer.echo(
        f"{out}: {report.seconds:.1f} s with {report.sentences} sentences, "
        f"rendered in {report.took_s:.1f} s ({report.seconds / report.took_s:.1f} times real time)"
    )


def console_address(config: Config) -> str:
    """Where a browser finds the page; empty when the port is chosen at the start."""
    host, port = config.console.host, config.console.port
    if port == 0:
        return ""
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{shown}:{port}/"


def _check_in_another_process(loaded: LoadedConfig) -> None:
    """What the stages say, without their libraries in this process, which becomes the parent of all others.

    Raises typer.Exit with the status of a check that failed; its words are on standard error.
    """
    from broadcaster.parent.checking import check_command

    status = subprocess.run(check_command(loaded.path), check=False, stdin=subprocess.DEVNULL).returncode
    if status != 0:
        raise typer.Exit(status)


def _refuse(loaded: LoadedConfig) -> None:
    """Raises ConfigError with what only the stages can say about their sections."""
    from broadcaster.brain.moderation.words import read_words
    from broadcaster.minds import end_to_end_of, mind_of
    from broadcaster.speech.engines import problems as voice_problems
    from broadcaster.speech.readiness import chain_problems
    from broadcaster.studio.avatar_source import load_source
    from broadcaster.studio.label import draw_label

    config = loaded.config
    cache = channel_paths(config.channel, config.state_dir).cache
    avatar = find_avatar(config.avatar, loaded.base)
    of_voices = [*voice_problems(config.voice), *chain_problems(config.voice, avatar)]
    found = [line if line.startswith("/") else f"{loaded.path}: {line}" for line in of_voices]
    label, video = config.label, config.video
    asked: list[Callable[[], object]] = [
        lambda: draw_label(label.text, label.corner, label.height_percent, video.width, video.height),
        lambda: load_source(avatar),
        lambda: mind_of(config.brain, cache),
        lambda: end_to_end_of(config.brain),
        lambda: read_words(config.moderation.words) if config.moderation.words else None,
    ]
    for ask in asked:
        try:
            ask()
        except (ConfigError, AssetError) as err:
            found += [line if line.startswith("/") else f"{loaded.path}: {line}" for line in str(err).splitlines()]
    if found:
        raise ConfigError(*found)
