"""avatar: presenters prepared, listed, checked, removed; and expanded for the configured size, once, at set-up."""

from __future__ import annotations

import sys

import typer

from broadcaster.cli import avatar_prepare, avatar_shelf, avatar_tensors
from broadcaster.cli.common import ConfigOption, load
from broadcaster.config.checks import find_avatar
from broadcaster.paths import channel_paths

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Prepare presenters.")


@app.callback()
def avatar() -> None:
    """Prepare presenters."""


app.command()(avatar_prepare.prepare)
app.command("list")(avatar_shelf.list_avatars)
app.command()(avatar_shelf.show)
app.command()(avatar_shelf.check)


@app.command()
def expand(config: ConfigOption = None) -> None:
    """Expand the presenter for the configured picture.

    Does nothing if that is done already. `make setup` does it for the shipped configuration.
    """
    loaded = load(config)
    settings = loaded.config
    video = settings.video
    folder = find_avatar(settings.avatar, loaded.base)
    paths = channel_paths(settings.channel, settings.state_dir)
    paths.ensure()
    from broadcaster.studio.avatar import expand as expand_avatar

    shown = False

    def progress(done: int, total: int) -> None:
        nonlocal shown
        if sys.stderr.isatty():
            shown = True
            typer.echo(f"\rExpanding avatar {folder.name}: {done} of {total} pictures", nl=False, err=True)

    budget = round(settings.avatar_disk_gb * 1e9)
    pack = expand_avatar(folder, paths.cache, video.width, video.height, video.fps, progress, budget=budget)
    if shown:
        typer.echo(err=True)
    typer.echo(f"Avatar {folder.name} is ready at {video.width}x{video.height}, {video.fps} fps: {pack.root}")
    typer.echo(f"  {pack.summary()}")


app.command()(avatar_tensors.tensors)
app.command()(avatar_shelf.remove)
