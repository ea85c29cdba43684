"""models pull, list, check, remove: weights of neural engines, fetched once for all channels of this cache."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from broadcaster.cli.common import ConfigOption, JsonOption, load
from broadcaster.config import LoadedConfig
from broadcaster.errors import ConfigError, Refused
from broadcaster.paths import channel_paths

if TYPE_CHECKING:
    from rich.progress import TaskID

    from broadcaster.head.models.catalogue import HubName
    from broadcaster.head.models.pulling import Plan, Progress
    from broadcaster.head.musetalk.layout import DecoderName, Part, Version

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Fetch and check weights of neural engines.")

KNOWN: Final = ("musetalk",)

SHOWN_BYTES: Final = 1_000_000
"""Progress of smaller files is not shown."""

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Which weights: musetalk.")]
VersionOption = Annotated[
    str | None, typer.Option("--version", metavar="1.5|1.0", help="Default: head.musetalk.version.")
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@app.callback()
def models() -> None:
    """Fetch and check weights of neural engines."""


# -- pull -----------------------------------------------------------------------------------------------------------


@app.command()
def pull(
    name: NameArgument,
    hub: Annotated[str, typer.Option("--hub", metavar="huggingface|modelscope", help="Where from.")] = "huggingface",
    version: VersionOption = None,
    fast: Annotated[
        bool, typer.Option("--fast", help="The tiny decoder (10 MB) too; as head.musetalk.decoder: fast needs it.")
    ] = False,
    source: Annotated[
        Path | None,
        typer.Option("--from", metavar="FOLDER", help="Weights that you have, laid out as MuseTalk's `models/`."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Accept the licences and begin without asking.")] = False,
    config: ConfigOption = None,
) -> None:
    """Fetch the weights that engine musetalk needs (3.9 GB), once for all channels.

    An interrupted pull goes on where it broke off. Every file is compared with the hub's sha256, its names and shapes
    with the networks. Hugging Face behind a mirror: HF_ENDPOINT=https://hf-mirror.com; tokens: HF_TOKEN,
    MODELSCOPE_API_TOKEN.

    \b
    broadcaster models pull musetalk
    broadcaster models pull musetalk --hub modelscope --version 1.0
    broadcaster models pull musetalk --from ~/MuseTalk/models
    """
    loaded, folder = _folder(name, config)
    parts = _parts(loaded, version, fast)
    if source is not None:
        _link(source, parts, folder, yes)
    else:
        _fetch(_hub(hub), parts, folder, yes)
    _said(f"The weights are in {folder}")


def _fetch(hub: HubName, parts: tuple[Part, ...], folder: Path, yes: bool) -> None:
    from broadcaster.head.models.hubs import open_hub
    from broadcaster.head.models.pulling import plan
    from broadcaster.head.models.pulling import pull as fetch

    made = plan(open_hub(hub), parts, folder)
    if not made.missing:
        _said("Everything is there already.")
    else:
        _show(made)
        _agree(parts, yes)
        with _progress() as progress:
            fetch(made, progress)
    _compare(parts, folder)


def _link(source: Path, parts: tuple[Part, ...], folder: Path, yes: bool) -> None:
    from broadcaster.head.models.linking import link

    _need_torch()
    _agree(parts, yes)
    with _progress() as progress:
        link(source, parts, folder, progress)


def _show(made: Plan) -> None:
    _said(f"From {made.hub.name} into {made.folder}:")
    for each in made.files:
        state = "there" if each.there else f"{each.remote.size / 1e6:,.1f} MB"
        hashed = "" if each.remote.sha256 or each.remote.blob else "  (the hub declares no hash for it)"
        _said(f"   {each.listing.repository + '/' + each.remote.path:<60} {state:>12}{hashed}")
    _said(f"   to fetch: {made.bytes_missing / 1e9:.2f} GB")


def _agree(parts: tuple[Part, ...], yes: bool) -> None:
    """Shows the licences. Raises Refused when they are not accepted."""
    from broadcaster.head.models.catalogue import PUBLISHED

    _said("Licences:")
    for part in parts:
        _said(f"   {part.title}: {PUBLISHED[part.name].licence} - {PUBLISHED[part.name].terms}")
    if yes:
        return
    if not sys.stdin.isatty():
        raise Refused("nobody is there to accept the licences -> add --yes")
    if not typer.confirm("Accept them and begin?", err=True):
        raise Refused("the licences were not accepted: nothing was fetched")


def _compare(parts: tuple[Part, ...], folder: Path) -> None:
    """Names and shapes of what is there. Raises AssetError."""
    from broadcaster.head.musetalk import loading

    if _torch_is_there():
        for part in parts:
            loading.check(loading.find(folder, part))
    else:
        _said("torch is not installed: names and shapes were not compared; broadcaster models check does, later")


# -- list, check, remove --------------------------------------------------------------------------------------------


@app.command("list")
def list_models(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Show what is there, where it came from, and its licence."""
    from broadcaster.head.models.checking import inventory

    _, folder = _folder("musetalk", config)
    rows = inventory(folder)
    if as_json:
        data = {"folder": str(folder), "models": [asdict(row) for row in rows]}
        typer.echo(json.dumps(data, ensure_ascii=False, indent=2))
        return
    typer.echo(f"Weights of musetalk in {folder}:")
    for row in rows:
        if row.there:
            typer.echo(
                f"   {row.part:<9} {row.title:<27} {row.megabytes:>6,} MB  {row.source}  {row.licence}".rstrip()
            )
        else:
            typer.echo(f"   {row.part:<9} {row.title:<27} not there")


@app.command()
def check(
    version: VersionOption = None,
    fast: Annotated[bool, typer.Option("--fast", help="The tiny decoder too.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Compare every file with its recorded sha256, and the names and shapes in it with the networks.

    Status 1 when something is missing or damaged.
    """
    from broadcaster.head.models.checking import examine

    loaded, folder = _folder("musetalk", config)
    with _progress() as progress:
        findings = list(examine(folder, _parts(loaded, version, fast), progress))
    if as_json:
        typer.echo(json.dumps([asdict(each) for each in findings], ensure_ascii=False, indent=2))
    else:
        for each in findings:
            typer.echo(f"{each.part:<9} {each.state:<8} {each.detail}")
    if any(each.state != "ok" for each in findings):
        raise typer.Exit(1)


@app.command()
def remove(
    name: NameArgument, version: VersionOption = None, yes: YesOption = False, config: ConfigOption = None
) -> None:
    """Remove weights that a pull brought: all of them, or one version's own.

    Files that no pull brought stay, and those that --from only checked where they were. A channel that uses them
    keeps them until it ends.
    """
    from broadcaster.head.models.lock import alone, read_lock, write_lock
    from broadcaster.head.models.pulling import INCOMING

    _, folder = _folder(name, config)
    lock = read_lock(folder)
    places = sorted(
        place for place, entry in lock.files.items() if entry.origin != str((folder / place).parent.absolute())
    )
    if version is not None:
        own = _versioned(_version(version)).folders
        places = [place for place in places if place.rpartition("/")[0] in own]
    if not places:
        raise Refused(f"{folder}: there is nothing that a pull brought -> broadcaster models list")
    for place in places:
        typer.echo(f"   {place:<50} {lock.files[place].bytes / 1e6:>10,.1f} MB")
    if not yes and not (sys.stdin.isatty() and typer.confirm("Remove these files?", err=True)):
        raise Refused("nothing was removed -> confirm it, or add --yes")
    with alone(folder):
        for place in places:
            (folder / place).unlink(missing_ok=True)
            del lock.files[place]
        write_lock(folder, lock)
        if version is None:
            _remove_tree(folder / INCOMING)
    typer.echo(f"{len(places)} files were removed.")


# -- what they share ------------------------------------------------------------------------------------------------


def _folder(name: str, config: Path | None) -> tuple[LoadedConfig, Path]:
    """Raises ConfigError for a name that nothing is published under."""
    from broadcaster.head.musetalk.layout import weights_folder

    if name not in KNOWN:
        raise ConfigError(f"there are no weights named {name!r} -> use one of: {', '.join(KNOWN)}")
    loaded = load(config, quiet=True)
    paths = channel_paths(loaded.config.channel, loaded.config.state_dir)
    return loaded, weights_folder(loaded.config.head.musetalk, paths.models)


def _parts(loaded: LoadedConfig, version: str | None, fast: bool) -> tuple[Part, ...]:
    from broadcaster.head.musetalk.layout import parts_for

    settings = loaded.config.head.musetalk
    decoder: DecoderName = "fast" if fast else settings.decoder
    return parts_for(_version(version or settings.version), decoder)


def _version(name: str) -> Version:
    from broadcaster.head.musetalk.layout import VERSIONS

    if name not in VERSIONS:
        raise ConfigError(f"--version: there is no MuseTalk {name} -> use one of: {', '.join(VERSIONS)}")
    return name


def _versioned(version: Version) -> Part:
    from broadcaster.head.musetalk.layout import parts_for

    return parts_for(version)[0]


def _hub(name: str) -> HubName:
    from broadcaster.head.models.catalogue import HUBS

    if name not in HUBS:
        raise ConfigError(f"--hub: there is no hub {name} -> use one of: {', '.join(HUBS)}")
    return name


def _torch_is_there() -> bool:
    import importlib.util

    return importlib.util.find_spec("torch") is not None


def _need_torch() -> None:
    if not _torch_is_there():
        raise ConfigError("the files cannot be checked without torch -> pip install 'broadcaster[musetalk]'")


def _remove_tree(folder: Path) -> None:
    import shutil

    shutil.rmtree(folder, ignore_errors=True)


def _said(text: str) -> None:
    typer.echo(text, err=True)


@contextmanager
def _progress() -> Iterator[Progress]:
    """A bar per file and stage on a terminal; elsewhere a line when it is begun. Small files show nothing."""
    if not sys.stderr.isatty():
        shown: set[tuple[str, str]] = set()

        def line(file: str, stage: str, done: int, total: int) -> None:
            if total >= SHOWN_BYTES and (file, stage) not in shown:
                shown.add((file, stage))
                _said(f"{stage} {file} ({total / 1e6:,.1f} MB)")

        yield line
        return
    from rich import progress as rich
    from rich.console import Console

    columns = (
        rich.TextColumn("{task.description}"), rich.BarColumn(16), rich.DownloadColumn(),
        rich.TransferSpeedColumn(), rich.TimeRemainingColumn(),
    )  # fmt: skip
    with rich.Progress(*columns, console=Console(stderr=True)) as bars:
        tasks: dict[str, TaskID] = {}

        def bar(file: str, stage: str, done: int, total: int) -> None:
            title = f"{file.partition('/')[0]:<11} {stage:<9}"  # the file's whole name leaves no room for the rest
            if total >= SHOWN_BYTES:
                if title not in tasks:
                    tasks[title] = bars.add_task(title, total=total)
                bars.update(tasks[title], completed=done)

        yield bar
