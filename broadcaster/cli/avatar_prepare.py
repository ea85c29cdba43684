"""avatar prepare: any video or photograph as a presenter."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer

from broadcaster.cli.avatar_tensors import after_expanding
from broadcaster.cli.common import ConfigOption, JsonOption, load, plain
from broadcaster.cli.consent import Told, Wording, consent_of
from broadcaster.config import LoadedConfig
from broadcaster.errors import BroadcasterError, Refused

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

    from broadcaster.head.prepare.order import About, Order
    from broadcaster.head.prepare.report import Report

CONSENT: Final = Wording(
    question="Whose face is it? (name)",
    use="this face is animated",
    scope="live and recorded broadcasts of this channel, in which this face is animated",
    refusal="without consent no presenter is made of a real person; nothing was written",
)

LoopKind = Literal["auto", "cut", "crossfade", "pingpong"]


def prepare(
    source: Annotated[Path, typer.Argument(metavar="INPUT", help="A video (10 to 60 s are best) or a photograph.")],
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="The presenter's name: a-z, 0-9, - and _.")],
    loop: Annotated[
        LoopKind, typer.Option("--loop", help="How the loop closes; auto takes what is seen least.")
    ] = "auto",
    seconds: Annotated[
        float, typer.Option("--seconds", min=2, max=600, help="Wished length of the loop; a good seam goes first.")
    ] = 20.0,
    fps: Annotated[
        int | None, typer.Option("--fps", min=15, max=60, help="Pictures per second; else the video's, at most 30.")
    ] = None,
    max_height: Annotated[
        int, typer.Option("--max-height", min=360, max=2160, help="Larger pictures are scaled down (shorter side).")
    ] = 1080,
    begin: Annotated[float, typer.Option("--from", min=0, metavar="S", help="Look at the video from here on.")] = 0.0,
    end: Annotated[
        float | None, typer.Option("--to", min=0, metavar="S", help="... to here; else at most 600 s of it.")
    ] = None,
    title: Annotated[str | None, typer.Option("--title", help="Name for people; else the presenter's name.")] = None,
    licence: Annotated[
        str | None,
        typer.Option("--licence", help="Who may use the pictures, e.g. CC0-1.0; else: all rights reserved."),
    ] = None,
    credit: Annotated[str, typer.Option("--credits", help="Whom the pictures are from.")] = "",
    real: Annotated[
        bool | None,
        typer.Option("--real-person/--synthetic", help="Whether it shows a real person, for scripts; else asked."),
    ] = None,
    consent_by: Annotated[
        str | None, typer.Option("--consent-by", metavar="NAME", help="Whose face it is, for scripts.")
    ] = None,
    consented: Annotated[
        bool, typer.Option("--i-have-consent", help="With --consent-by: that person has agreed to this use.")
    ] = False,
    scope: Annotated[
        str | None, typer.Option("--scope", metavar="TEXT", help="What was agreed to, for the consent note.")
    ] = None,
    engine: Annotated[
        str, typer.Option("--engine", help="Talking-head engine of this presenter: warp, musetalk, onnx or still.")
    ] = "",
    voice_zh: Annotated[
        str | None, typer.Option("--voice-zh", metavar="VOICE", help="Its voice for Chinese.")
    ] = None,
    voice_en: Annotated[
        str | None, typer.Option("--voice-en", metavar="VOICE", help="Its voice for English.")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Take the place of a presenter of that name, once it is done.")
    ] = False,
    restart: Annotated[bool, typer.Option("--restart", help="Throw unfinished work away and begin anew.")] = False,
    expand: Annotated[
        bool, typer.Option("--expand/--no-expand", help="Make it ready for the configured picture.")
    ] = True,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Make a presenter of a video or a photograph.

    A video becomes a loop of its best stretch; a photograph is moved a little. One face, from the front, lips shut,
    at least 100 pixels wide. The presenter's folder is made in avatars/ beside the configuration, with a report and a
    contact sheet. Broken off (Ctrl-C, a crash), the same command goes on where it was. A real person must have
    agreed.

    \b
    broadcaster avatar prepare anchor.mp4 --name anchor
    broadcaster avatar prepare me.jpg --name me --real-person --consent-by 李雷 --i-have-consent
    broadcaster avatar prepare long.mov --name desk --from 30 --to 120 --seconds 60 --loop crossfade
    """
    loaded = load(config)
    folder = _folder_for(loaded, name)
    _check_engine(engine)
    _refuse_before_asking(source, folder, replace)
    about = _about(name, title, licence, credit, real, Told(consent_by, consented, scope), engine, voice_zh, voice_en)
    from broadcaster.head.prepare.order import Order

    order = Order(
        source, name, folder, about, fps, max_height, begin, end, loop, seconds, replace=replace
    )  # fmt: skip
    report = _prepared(order, restart)
    if as_json:
        typer.echo(report.to_json(), nl=False)
    else:
        for line in report.lines():
            typer.echo(line)
        typer.echo(f"  pictures    {folder / 'contact-sheet.png'}")
    if expand:
        _expand(loaded, folder)
    typer.echo(f"On air with `avatar: {name}` in the configuration.", err=as_json)


def _folder_for(loaded: LoadedConfig, name: str) -> Path:
    import re

    from broadcaster.config.base import NAME_PATTERN

    if not re.fullmatch(NAME_PATTERN, name):
        raise typer.BadParameter(
            "small letters, digits, - and _, at most 32, a letter or digit first", param_hint="--name"
        )
    return (loaded.base or Path.cwd()) / "avatars" / name


def _check_engine(engine: str) -> None:
    from broadcaster.registry import HEADS

    if engine and engine not in HEADS and ":" not in engine:
        raise typer.BadParameter(f"one of: {', '.join(sorted(HEADS))}", param_hint="--engine")


def _refuse_before_asking(source: Path, folder: Path, replace: bool) -> None:
    """What would be refused later is refused before anybody has answered questions."""
    if folder.exists() and not replace:
        raise Refused(f"{folder} is there already -> choose another --name, or add --replace")
    from broadcaster.head.prepare.photo import is_photo
    from broadcaster.head.prepare.reading import open_video

    if not (source.is_file() and is_photo(source)):
        open_video(source)


# -- whose face it is -----------------------------------------------------------------------------------------------


def _about(
    name: str,
    title: str | None,
    licence: str | None,
    credit: str,
    real: bool | None,
    told: Told,
    engine: str,
    voice_zh: str | None,
    voice_en: str | None,
) -> About:
    from broadcaster.head.prepare.order import About

    if real is None:
        if told.anything:
            real = True
        elif not sys.stdin.isatty():
            raise Refused(
                "nobody can be asked here -> add --synthetic, or --real-person --consent-by NAME --i-have-consent "
                "if that person has agreed"
            )
        else:
            real = typer.confirm("Does it show a real person?", default=True)
    note = _consent_note(told) if real else ""
    voice = {key: value for key, value in (("zh", voice_zh), ("en", voice_en)) if value}
    return About(title or name, real, licence or "all rights reserved", credit, note, engine, voice)


def _consent_note(told: Told) -> str:
    """Who allowed that this face is animated, when and for what. Raises Refused without a consent."""
    today = datetime.now(UTC).astimezone().date()
    consent = consent_of(told, CONSENT)
    of = "" if consent.given_by == consent.person else f" for {consent.person}"
    return f"{consent.given_by}{of}, {today.isoformat()}: {consent.scope}"


# -- the work -------------------------------------------------------------------------------------------------------


def _prepared(order: Order, restart: bool) -> Report:
    from broadcaster.head.prepare.photo import is_photo, prepare_photo
    from broadcaster.head.prepare.work import prepare_video

    make = prepare_photo if is_photo(order.source) else prepare_video
    try:
        with _Shown() as progress:
            return make(order, progress, restart)
    except KeyboardInterrupt:
        typer.echo(
            "\nBroken off. What was done is kept: the same command goes on with it; --restart begins anew.", err=True
        )
        raise


class _Shown:
    """Port `Progress`: a bar on a terminal, a line for each stage elsewhere. On stderr."""

    def __init__(self) -> None:
        self._bar: Bar | None = None
        self._task: Any = None

    def __enter__(self) -> _Shown:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[rate]}"),
                TimeRemainingColumn(),
                console=Console(stderr=True),
            )
            self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            if error[0] is None:
                self._close()
            self._bar.stop()

    def stage(self, name: str, total: int | None, done: int) -> None:
        if self._bar is None:
            typer.echo(f"{name}{f': {done} of {total} pictures done' if done and total else ''} ...", err=True)
            return
        self._close()
        self._task = self._bar.add_task(name, total=total, completed=done, rate="")

    def _close(self) -> None:
        """The stage before is over, whatever it promised."""
        if self._bar is not None and self._task is not None:
            done = max(1, int(self._bar.tasks[-1].completed))
            self._bar.update(self._task, total=done, completed=done)

    def done(self, count: int) -> None:
        if self._bar is not None and self._task is not None:
            speed = self._bar.tasks[-1].speed
            self._bar.update(self._task, completed=count, rate=f"{speed:.0f} fps" if speed else "")


def _expand(loaded: LoadedConfig, folder: Path) -> None:
    from broadcaster.paths import channel_paths
    from broadcaster.studio.avatar import expand as expand_avatar

    settings = loaded.config
    paths = channel_paths(settings.channel, settings.state_dir)
    paths.ensure()
    video = settings.video
    try:
        with _Shown() as shown:
            begun = False

            def progress(done: int, total: int) -> None:
                nonlocal begun
                if not begun:
                    shown.stage(f"expanding for {video.width}x{video.height}, {video.fps} fps", total, 0)
                    begun = True
                shown.done(done)

            budget = round(settings.avatar_disk_gb * 1e9)
            pack = expand_avatar(folder, paths.cache, video.width, video.height, video.fps, progress, budget=budget)
        after_expanding(loaded, pack)
    except BroadcasterError as err:
        typer.echo(
            f"The presenter is made, but cannot be expanded for this configuration: {plain(str(err))}", err=True
        )
        raise typer.Exit(1) from err
    except KeyboardInterrupt:
        typer.echo("\nThe presenter is made. `broadcaster avatar expand` makes it ready for the air.", err=True)
        raise
