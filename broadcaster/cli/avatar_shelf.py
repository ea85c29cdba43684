"""avatar list, show, check, remove: the presenters of this machine."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from broadcaster.cli.common import ConfigOption, JsonOption, load, plain
from broadcaster.config import LoadedConfig
from broadcaster.config.base import NAME_PATTERN
from broadcaster.config.checks import avatar_folders, find_avatar
from broadcaster.errors import AssetError, ConfigError, Refused
from broadcaster.paths import channel_paths

if TYPE_CHECKING:
    from broadcaster.config.avatar import ClipManifest, StillManifest

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="A presenter of `avatar list`.")]


@dataclass(frozen=True, slots=True)
class Pack:
    """A presenter expanded for one picture."""

    picture: str
    """As 1280x720@25."""
    folder: str
    bytes: int
    tensors: list[str]
    """Engines whose tensors are made."""


@dataclass(frozen=True, slots=True)
class Row:
    name: str
    kind: str
    """clip, still, or unreadable."""
    size: str
    fps: int
    """0 for a still."""
    seconds: float
    engine: str
    licence: str
    real_person: bool
    expanded: list[str]
    bytes: int
    """Of its folder and its packs."""
    folder: str
    configured: bool
    problem: str = ""


def list_avatars(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Show the presenters of this machine.

    The one of the configuration is marked with *. Disk space is that of the folder and of all it was expanded to.
    """
    loaded = load(config)
    rows = [_row(loaded, folder) for folder in _folders(loaded)]
    if as_json:
        typer.echo(json.dumps([asdict(row) for row in rows], ensure_ascii=False, indent=2))
        return
    for row in rows:
        mark = "*" if row.configured else " "
        length = f"{row.seconds:.1f} s, {row.fps} fps" if row.fps else "still"
        packs = " ".join(row.expanded) or "not expanded"
        typer.echo(
            f"{mark} {row.name:<16} {row.kind:<6} {row.size:<10} {length:<16} {row.engine or '-':<9} "
            f"{row.bytes / 1e6:>8.1f} MB  {packs:<18} {plain(row.licence)[:30]}".rstrip()
        )
        if row.problem:
            typer.echo(f"  {plain(row.problem)}")


def show(name: NameArgument, as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Show a presenter: its file, how it was prepared, its packs."""
    loaded = load(config)
    folder = find_avatar(name, loaded.base)
    from broadcaster.head.prepare.checking import manifest_in, report_in

    manifest, report = manifest_in(folder), report_in(folder)
    packs = _packs(loaded, manifest.name)
    if as_json:
        data = {
            "folder": str(folder),
            "manifest": manifest.model_dump(mode="json"),
            "report": report,
            "packs": [asdict(pack) for pack in packs],
        }
        typer.echo(json.dumps(data, ensure_ascii=False, indent=2))
        return
    for line in _about(folder, manifest, report, packs):
        typer.echo(line)


def check(name: NameArgument, as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Check a presenter: every file, shapes, ranges and hashes.

    Says what to do about each fault; ends with status 1 when there is one.
    """
    loaded = load(config)
    folder = find_avatar(name, loaded.base)
    faults = list(dict.fromkeys(_faults(folder)))
    if as_json:
        typer.echo(json.dumps({"name": folder.name, "problems": faults}, ensure_ascii=False, indent=2))
    else:
        for fault in faults:
            typer.echo(plain(fault))
        if not faults:
            typer.echo(f"Avatar {folder.name} is sound.")
    if faults:
        raise typer.Exit(1)


def remove(
    name: NameArgument,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    config: ConfigOption = None,
) -> None:
    """Delete a presenter, its own voice, and all it was expanded to.

    The presenter of the configuration is not deleted: name another one in it first. Unfinished work of
    `avatar prepare` under that name goes as well.
    """
    loaded = load(config)
    folder = _to_remove(loaded, name)
    own = find_avatar(loaded.config.avatar, loaded.base)
    if folder.exists() and folder.resolve() == own.resolve():
        raise Refused(f"{name} is the presenter of this configuration -> name another one in it first (avatar: ...)")
    packs = [Path(pack.folder) for pack in _packs(loaded, folder.name)]
    unfinished = folder.with_name(f".preparing-{folder.name}")
    gone = [path for path in (folder, unfinished, *packs) if path.exists()]
    if not yes and not typer.confirm(f"Delete {', '.join(map(str, gone))}?"):
        raise typer.Exit(1)
    try:
        for path in gone:
            shutil.rmtree(path)
    except OSError as err:
        raise ConfigError(
            f"{path}: cannot be removed ({err.strerror}) -> change its owner, or remove it yourself"
        ) from err
    typer.echo(f"{name} is removed.")


# -- looking --------------------------------------------------------------------------------------------------------


def _folders(loaded: LoadedConfig) -> Iterator[Path]:
    """The presenters' folders, as `find_avatar` would find them by name."""
    seen = set()
    for parent in dict.fromkeys(folder.parent for folder in avatar_folders("any", loaded.base)):
        for folder in sorted(parent.glob("*/avatar.yaml")):
            name = folder.parent.name
            if re.fullmatch(NAME_PATTERN, name) and name not in seen:
                seen.add(name)
                yield folder.parent


def _row(loaded: LoadedConfig, folder: Path) -> Row:
    from broadcaster.head.prepare.checking import manifest_in

    configured = find_avatar(loaded.config.avatar, loaded.base).resolve() == folder.resolve()
    try:
        manifest = manifest_in(folder)
        kind, size, fps, seconds = _extent(folder, manifest)
    except AssetError as err:
        return Row(
            folder.name, "?", "", 0, 0.0, "", "", False, [], _size(folder), str(folder), configured, problem=str(err)
        )
    packs = _packs(loaded, manifest.name)
    return Row(
        name=folder.name,
        kind=kind,
        size=size,
        fps=fps,
        seconds=seconds,
        engine=manifest.engine,
        licence=manifest.licence,
        real_person=manifest.depicts_real_person,
        expanded=[pack.picture for pack in packs],
        bytes=_size(folder) + sum(pack.bytes for pack in packs),
        folder=str(folder),
        configured=configured,
    )


def _extent(folder: Path, manifest: StillManifest | ClipManifest) -> tuple[str, str, int, float]:
    """(kind, WIDTHxHEIGHT, pictures per second, seconds of the loop)."""
    if manifest.format == 2:
        from broadcaster.head.prepare.checking import clip_facts

        (width, height), fps, pictures = clip_facts(folder / manifest.clip)
        return "clip", f"{width}x{height}", fps, round(pictures / fps, 2)
    from PIL import Image

    try:
        with Image.open(folder / manifest.still) as still:
            return "still", f"{still.width}x{still.height}", 0, manifest.idle.seconds
    except OSError as err:
        raise AssetError(f"{folder / manifest.still}: not a picture that can be read; restore the file") from err


def _packs(loaded: LoadedConfig, name: str) -> list[Pack]:
    settings = loaded.config
    cache = channel_paths(settings.channel, settings.state_dir).cache / "avatars"
    found = []
    for folder in sorted(cache.glob(f"{name}-*")):
        match = re.fullmatch(re.escape(name) + r"-(\d+x\d+@\d+)-[0-9a-f]{12}\.\w+", folder.name)
        if match and folder.is_dir():
            tensors = sorted(path.parent.name for path in folder.glob("engines/[!.]*/latents.npy"))
            found.append(Pack(match[1], str(folder), _size(folder), tensors))
    return found


def _about(
    folder: Path, manifest: StillManifest | ClipManifest, report: dict[str, Any], packs: list[Pack]
) -> Iterator[str]:
    kind, size, fps, seconds = _extent(folder, manifest)
    clip = f", {fps} fps" if fps else ""
    yield f"{folder.name}: {plain(manifest.title)}"
    yield f"  {kind:<11} {size}{clip}, loop of {seconds:g} s"
    yield f"  folder      {folder} ({_size(folder) / 1e6:.1f} MB)"
    yield f"  shows       {'a real person' if manifest.depicts_real_person else 'no real person'}"
    for label, text in (("consent", manifest.consent), ("licence", manifest.licence), ("credits", manifest.credits)):
        if text:
            yield f"  {label:<11} {plain(text)}"
    yield f"  engine      {manifest.engine or 'the configuration decides, else warp'}"
    voice = manifest.voice.model_dump(exclude_none=True)
    if voice:
        yield f"  voice       {', '.join(f'{key} {value}' for key, value in voice.items())}"
    mouth = manifest.mouth
    yield f"  mouth       opening {mouth.opening:g}, shift {mouth.shift}, margin {mouth.margin}, mask {mouth.mask}"
    for name, gesture in manifest.gestures.items():
        yield f"  gesture     {name}: {gesture.start:g} to {gesture.end:g} s"
    if report.get("loop"):
        stretch = f"{report.get('loop_from')} to {report.get('loop_to')} s"
        yield f"  made of     {plain(str(report.get('input')))}, {stretch}"
        yield f"  seam        {report.get('seam_score')} ({report['loop']})"
    for pack in packs:
        tensors = f", tensors of {', '.join(pack.tensors)}" if pack.tensors else ""
        yield f"  expanded    {pack.picture}: {pack.bytes / 1e6:.0f} MB{tensors}"
    if not packs:
        yield "  expanded    not yet -> broadcaster avatar expand"


def _faults(folder: Path) -> Iterator[str]:
    from broadcaster.head.prepare.checking import problems
    from broadcaster.studio.avatar_source import load_source

    found = list(problems(folder))
    yield from found
    try:
        load_source(folder)
    except AssetError as err:
        if not any(str(err).partition(":")[0] in fault for fault in found):  # the file is told already
            yield str(err)


def _to_remove(loaded: LoadedConfig, name: str) -> Path:
    """Folder of a presenter, or of the unfinished work for one. Raises ConfigError."""
    try:
        return find_avatar(name, loaded.base)
    except ConfigError:
        for folder in avatar_folders(name, loaded.base):
            if folder.with_name(f".preparing-{folder.name}").is_dir():
                return folder
        raise


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
