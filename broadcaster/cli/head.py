"""head serve, head status: one engine of talking heads for the channels of this machine."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
import typer

from broadcaster.cli.common import ConfigOption, JsonOption, plain
from broadcaster.config import LoadedConfig, find_config, load_config
from broadcaster.errors import ConfigError, HeadError, NotRunning
from broadcaster.paths import channel_paths

if TYPE_CHECKING:
    from rich.console import RenderableType

    from broadcaster.config.head import MuseTalkConfig
    from broadcaster.head.musetalk.generator import FaceGenerator
    from broadcaster.head.musetalk.messages import State
    from broadcaster.head.musetalk.seat import About

REFRESH_S: Final = 1.0
PING_S: Final = 1.0
"""How often systemd's watchdog hears of it, and its status line is written."""

LATENTS_MB: Final = 2048
"""An hour and a half of loops at 25 pictures a second, 16 KB each; small beside the networks' 2 GB."""

BATCH: Final = 8
"""More than one channel asks for at once: a GPU makes more of larger batches, and several channels fill them."""

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="One engine of talking heads for several channels."
)

SocketOption = Annotated[
    Path | None, typer.Option("--socket", metavar="PATH", help="The server's socket. Default: head.musetalk.server.")
]


@app.callback()
def head() -> None:
    """One engine of talking heads, several channels."""


@app.command()
def serve(
    socket: SocketOption = None,
    device: Annotated[
        str | None, typer.Option("--device", metavar="auto|cpu|cuda:N", help="Default: head.musetalk.device.")
    ] = None,
    version: Annotated[
        str | None, typer.Option("--version", metavar="1.5|1.0", help="Default: head.musetalk.version.")
    ] = None,
    decoder: Annotated[
        str | None, typer.Option("--decoder", metavar="full|fast", help="Default: head.musetalk.decoder.")
    ] = None,
    models: Annotated[
        Path | None, typer.Option("--models", metavar="FOLDER", help="The weights. Default: head.musetalk.models.")
    ] = None,
    batch: Annotated[
        int, typer.Option("--batch", min=1, max=16, help="Faces in one call, of whichever channels ask.")
    ] = BATCH,
    latents_mb: Annotated[
        int, typer.Option("--latents-mb", min=16, help="Memory on the device for the avatars' tensors.")
    ] = LATENTS_MB,
    group: Annotated[
        str, typer.Option("--group", metavar="NAME", help="Who may connect besides the server's own user.")
    ] = "",
    config: ConfigOption = None,
) -> None:
    """Make the faces of several channels with one set of networks, until it is stopped.

    Channels whose `head.musetalk.server` names the socket share its batches and its memory; while it is away they go
    on with engine warp. One server, one GPU, one version of the weights. Only the server's user can connect, and
    `--group`.

    \b
    broadcaster head serve --socket /run/broadcaster-head/head.sock
    broadcaster head serve --socket /run/user/1000/head.sock --device cuda:1 --decoder fast
    """
    loaded = _loaded(config)
    settings = _settings(loaded, {"device": device, "version": version, "decoder": decoder, "models": models})
    path = _path(socket, loaded)
    from broadcaster.head.musetalk.socketfile import prepare
    from broadcaster.registry import HEADS, problem_with

    prepare(path, group)  # before networks are loaded for nothing

    problem = problem_with(HEADS, "musetalk", "talking-head engine")
    if problem is not None:
        raise ConfigError(problem)
    from broadcaster.head.musetalk.server import EngineServer
    from broadcaster.telemetry.logs import setup_logging
    from broadcaster.telemetry.notify import Notifier

    logging = loaded.config.logging
    lines = setup_logging(logging.level, logging.format, "head-server")
    notifier = Notifier.from_environment()
    try:
        notifier.status("loading the networks")
        generator, about = _engine(settings, loaded, batch)
        server = EngineServer(path, about, generator, latents_mb * 1_000_000, group)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: server.stop())
        server.run(lambda: _up(notifier, path, about, batch), _Pulse(notifier, server))
        notifier.stopping()
    finally:
        notifier.close()
        lines.close()


@app.command()
def status(
    socket: SocketOption = None,
    watch: Annotated[bool, typer.Option("--watch", help="Refresh every second until Ctrl-C.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show a server's channels, its speed, and how full its batches are.

    \b
    broadcaster head status --socket /run/broadcaster-head/head.sock --watch
    """
    from broadcaster.cli.status import terminal

    path = _path(socket, _loaded(config))
    if as_json or not watch:
        state = _state(path)
        if as_json:
            typer.echo(json.dumps(msgspec.to_builtins(state), ensure_ascii=False, indent=2))
        else:
            terminal().print(page(state))
        return
    from rich.live import Live
    from rich.text import Text

    with Live(console=terminal(), screen=True, auto_refresh=False) as live:
        while True:
            try:
                view: RenderableType = page(_state(path))
            except NotRunning as err:
                view = Text(str(err), style="red")
            live.update(view, refresh=True)
            time.sleep(REFRESH_S)


def page(state: State) -> RenderableType:
    """A server's state as lines and a table."""
    from rich.console import Group
    from rich.table import Table

    lines = [
        f"MuseTalk {state.version}, decoder {state.decoder}, on {state.device}, up {state.uptime_s / 3600:.1f} h",
        f"{state.faces_per_s:.0f} faces/s, batches of {state.batch} filled to {100 * state.fill:.0f} %, "
        f"{state.batch_ms:.0f} ms each; {state.faces} faces in {state.batches} batches so far",
        f"{state.avatars} avatars in memory, {state.latents_mb:.0f} of {state.latents_limit_mb:.0f} MB; "
        f"{state.refused} connections refused",
    ]
    if state.note:
        lines.append(f"note: {state.note}")
    table = Table(box=None, pad_edge=False)
    for name in ("channel", "process", "avatar", "minutes", "asked", "made", "void", "lost", "waiting", "wait ms"):
        table.add_column(name, justify="left" if name in ("channel", "avatar") else "right")
    for session in state.sessions:
        table.add_row(
            plain(session.channel) or "-", str(session.pid), session.avatar or "opening",
            f"{session.seconds / 60:.0f}", str(session.asked), str(session.made), str(session.void),
            str(session.lost), str(session.waiting), f"{session.wait_ms:.0f}",
        )  # fmt: skip
    return Group(*lines, table if state.sessions else "no channel is connected")


def _engine(settings: MuseTalkConfig, loaded: LoadedConfig, batch: int) -> tuple[FaceGenerator, About]:
    """The networks on their device, warmed up. Raises AssetError, HeadError."""
    from broadcaster.head.musetalk import loading
    from broadcaster.head.musetalk.generator import FaceGenerator
    from broadcaster.head.musetalk.layout import weights_folder
    from broadcaster.head.musetalk.networks import choose_device
    from broadcaster.head.musetalk.seat import About

    where = choose_device(settings.device, loaded.config.head.threads)
    folder = weights_folder(settings, channel_paths(loaded.config.channel, loaded.config.state_dir).models)
    networks = loading.load(folder, settings.version, settings.decoder, where)
    generator = FaceGenerator(networks, batch)
    name = "cpu"
    if where.type == "cuda":
        import torch

        name = f"{where} ({torch.cuda.get_device_name(where)})"
    return generator, About(settings.version, settings.decoder, name, networks.fingerprint, generator.note)


def _up(notifier: Any, path: Path, about: About, batch: int) -> None:
    import logging

    logging.getLogger(__name__).info(
        "channels can connect",
        extra={"socket": str(path), "device": about.device, "batch": batch, "note": about.note or "-"},
    )
    notifier.ready()


class _Pulse:
    """Called several times a second while the server runs."""

    def __init__(self, notifier: Any, server: Any) -> None:
        self._notifier, self._server = notifier, server
        self._next = 0.0

    def __call__(self) -> None:
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + PING_S
        state: State = self._server.state()
        self._notifier.watchdog()
        self._notifier.status(f"{len(state.sessions)} channels, {state.faces} faces so far")


def _loaded(config: Path | None) -> LoadedConfig:
    """The configuration where there is one: a server needs none. Raises ConfigError for a broken one."""
    try:
        path: Path | None = find_config(config)
    except ConfigError:
        path = None
    return load_config(path)


def _settings(loaded: LoadedConfig, given: dict[str, object]) -> MuseTalkConfig:
    """`head.musetalk` with what the command line gives instead. Raises ConfigError."""
    from pydantic import ValidationError

    settings = loaded.config.head.musetalk
    wanted = {name: value for name, value in given.items() if value is not None}
    try:
        return type(settings).model_validate(settings.model_dump() | wanted)
    except ValidationError as err:
        raise ConfigError(
            *(f"--{fault['loc'][0]}: {fault['msg']} -> broadcaster head serve --help" for fault in err.errors())
        ) from err


def _path(given: Path | None, loaded: LoadedConfig) -> Path:
    path = given or loaded.config.head.musetalk.server
    if path is None:
        raise ConfigError("which engine server? -> name its socket with --socket PATH, or in head.musetalk.server")
    return path.expanduser()


def _state(path: Path) -> State:
    from broadcaster.head.musetalk.link import state_of

    try:
        return state_of(path)
    except HeadError as err:
        raise NotRunning(str(err)) from err
