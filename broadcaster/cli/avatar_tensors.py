"""avatar tensors: what engine musetalk needs of a presenter's pictures, made by its image coder, once."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from broadcaster.cli.common import ConfigOption, load
from broadcaster.config.checks import find_avatar
from broadcaster.errors import BroadcasterError, ConfigError
from broadcaster.paths import channel_paths

if TYPE_CHECKING:
    from broadcaster.config import LoadedConfig
    from broadcaster.studio.avatar import ExpandedAvatar


def tensors(
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="A presenter of `avatar list`; default: the configured one."),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Make the tensors that engine musetalk needs of a presenter.

    Once for each picture size. Takes seconds on a GPU, where a channel does it by itself when it starts, and about 5
    seconds for each picture on a CPU. Can be broken off: the same command goes on.
    """
    from broadcaster.head.musetalk.layout import weights_folder
    from broadcaster.registry import HEADS, problem_with
    from broadcaster.studio.avatar import expand

    loaded = load(config)
    problem = problem_with(HEADS, "musetalk", "talking-head engine")
    if problem is not None:
        raise ConfigError(problem)
    settings = loaded.config
    folder = find_avatar(name or settings.avatar, loaded.base)
    paths = channel_paths(settings.channel, settings.state_dir)
    paths.ensure()
    video = settings.video
    budget = round(settings.avatar_disk_gb * 1e9)
    pack = expand(folder, paths.cache, video.width, video.height, video.fps, budget=budget)
    made = _make(loaded, pack, weights_folder(settings.head.musetalk, paths.models))
    typer.echo(f"Presenter {folder.name} is ready for musetalk {settings.head.musetalk.version}: {made.parent}")


def after_expanding(loaded: LoadedConfig, pack: ExpandedAvatar) -> None:
    """The same for a presenter that has just been made, where the weights are there. On a CPU it takes too long to be
    done unasked."""
    from broadcaster.head.musetalk.layout import weights_folder
    from broadcaster.registry import HEADS, problem_with

    settings = loaded.config
    paths = channel_paths(settings.channel, settings.state_dir)
    weights = weights_folder(settings.head.musetalk, paths.models)
    if problem_with(HEADS, "musetalk", "talking-head engine") is not None or not weights.is_dir():
        return
    from broadcaster.head.musetalk.latents import COMMAND, cost
    from broadcaster.head.musetalk.networks import choose_device

    try:
        pack.crop(0)
        if choose_device(settings.head.musetalk.device, settings.head.threads).type == "cpu":
            needed = f"Engine musetalk needs tensors of its pictures ({cost(pack)}): {COMMAND} {pack.name}"
            typer.echo(needed, err=True)  # whoever prepares with --json reads nothing but JSON
            return
        _make(loaded, pack, weights)
    except BroadcasterError as err:
        typer.echo(f"No tensors for engine musetalk: {err}", err=True)


def _make(loaded: LoadedConfig, pack: ExpandedAvatar, weights: Path) -> Path:
    from broadcaster.head.musetalk import latents
    from broadcaster.head.musetalk.networks import choose_device

    settings = loaded.config.head
    pack.crop(0)  # before anything is loaded: an avatar without a mesh is refused
    device = choose_device(settings.musetalk.device, settings.threads)
    typer.echo(f"Making the tensors of {pack.name} on {device}: {latents.cost(pack)}", err=True)
    shown, begun, first = sys.stderr.isatty(), time.monotonic(), 0

    def progress(done: int, total: int) -> None:
        nonlocal first, begun
        if not first:
            first, begun = done, time.monotonic()
        elif shown:
            left = (total - done) * (time.monotonic() - begun) / (done - first)
            typer.echo(f"\r{done} of {total} pictures, {left / 60:.0f} min left ", nl=False, err=True)

    path = latents.make_latents(
        pack, settings.musetalk.version, latents.load_coder(weights, device), progress if shown else None
    )
    if first:
        typer.echo(err=True)
    return path
