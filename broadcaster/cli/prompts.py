"""say, ask, event, interrupt, panic, resume."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from broadcaster.cli.client import Control
from broadcaster.cli.common import ChannelOption, ConfigOption, Target, target
from broadcaster.errors import NotRunning, Refused

PANIC_PATIENCE_S: Final = 1.0
"""A director that takes longer is passed over: panic goes to playout itself."""

TextArgument = Annotated[
    list[str] | None, typer.Argument(metavar="TEXT", help="The text; - or nothing reads standard input.")
]
AudioOption = Annotated[
    Path | None,
    typer.Option(
        "--audio",
        metavar="FILE",
        help="The question as a recording of up to 60 s, for an end-to-end voice; TEXT says what it is about.",
    ),
]
WaitOption = Annotated[
    bool, typer.Option("--wait", "-w", help="Wait until it was heard, printing each sentence as it goes on air.")
]
SpeedOption = Annotated[
    float | None,
    typer.Option("--speed", min=0.5, max=2.0, help="How fast it is said, times the configured speed.", metavar="X"),
]
PitchOption = Annotated[
    float | None,
    typer.Option("--pitch", min=-6.0, max=6.0, help="Semitones above (or below) the configured pitch.", metavar="ST"),
]
VoiceOption = Annotated[
    str | None,
    typer.Option("--voice", metavar="NAME", help="A voice of the engine that speaks; see `broadcaster voice list`."),
]

ResumableOption = Annotated[
    bool,
    typer.Option(
        "--resumable",
        "-r",
        help="Cut by another prompt or by a restart, it goes on at the sentence where it was cut.",
    ),
]
ViewerOption = Annotated[
    str | None, typer.Option("--viewer", metavar="NAME", help="Who asks, as the platform shows it.")
]
ViewerIdOption = Annotated[
    str | None,
    typer.Option("--viewer-id", metavar="ID", help="What the platform knows the viewer by; else the name is taken."),
]


class Happened(StrEnum):
    """What `broadcaster event` may report; as `types.RoomEvent`, which would bring the whole of numpy along."""

    GIFT = "gift"
    SUPER_CHAT = "super_chat"
    GUARD = "guard"
    FAN_CLUB = "fan_club"
    FOLLOW = "follow"
    LIKE = "like"
    ENTER = "enter"


def say(
    text: TextArgument = None,
    wait: WaitOption = False,
    speed: SpeedOption = None,
    pitch: PitchOption = None,
    voice: VoiceOption = None,
    resumable: ResumableOption = False,
    config: ConfigOption = None,
    channel: ChannelOption = None,
) -> None:
    """Have a text spoken as it stands.

    It is queued; its id is printed. With --wait, exit status 0 means it was heard in full.

    \b
    broadcaster say 大家好，欢迎来到直播间。
    broadcaster say --speed 0.9 --pitch -1 慢慢说，不着急。
    broadcaster say --wait < announcement.txt
    broadcaster say --resumable < long-reading.txt
    """
    message = _message("say", text, speed, pitch, voice)
    if resumable:
        message["resumable"] = True
    _prompt(message, wait, target(config, channel))


def ask(
    text: TextArgument = None,
    wait: WaitOption = False,
    speed: SpeedOption = None,
    pitch: PitchOption = None,
    voice: VoiceOption = None,
    viewer: ViewerOption = None,
    viewer_id: ViewerIdOption = None,
    audio: AudioOption = None,
    config: ConfigOption = None,
    channel: ChannelOption = None,
) -> None:
    """Have a question answered on air.

    \b
    broadcaster ask --wait 现在几点了？
    broadcaster ask --viewer 小明 你叫什么名字？
    broadcaster ask --audio question.wav 观众问明天的天气
    """
    message, aim = _message("ask", text, speed, pitch, voice) | _viewer(viewer, viewer_id), target(config, channel)
    if audio is not None:
        message["recording"] = _uploaded(audio, aim)
    _prompt(message, wait, aim)


def event(
    happened: Annotated[Happened, typer.Argument(metavar="EVENT", help=", ".join(Happened))],
    viewer: Annotated[str, typer.Option("--viewer", metavar="NAME", help="Who did it, as the platform shows it.")],
    viewer_id: ViewerIdOption = None,
    item: Annotated[str | None, typer.Option("--item", metavar="NAME", help="What was given.")] = None,
    count: Annotated[int, typer.Option("--count", min=1, max=1_000_000, help="How many.", metavar="N")] = 1,
    wait: WaitOption = False,
    config: ConfigOption = None,
    channel: ChannelOption = None,
) -> None:
    """Tell the host what has happened in the room.

    It thanks, or welcomes.

    \b
    broadcaster event gift --viewer 小明 --item 辣条 --count 3
    broadcaster event enter --viewer 小红
    """
    message: Message = {"type": "event", "event": happened.value, "count": count, **_viewer(viewer, viewer_id)}
    if item:
        message["item"] = item
    _prompt(message, wait, target(config, channel))


def interrupt(config: ConfigOption = None, channel: ChannelOption = None) -> None:
    """Cut what is being said, for good; the queue goes on."""
    Control(target(config, channel)).post("/api/interrupt")


def panic(config: ConfigOption = None, channel: ChannelOption = None) -> None:
    """Silence and the idle picture, now, until `broadcaster resume`.

    The queue is kept and new prompts are refused. It works without the director too: if that does not answer
    within a second, the command goes to playout itself.
    """
    aim = target(config, channel)
    try:
        Control(aim).post("/api/panic", timeout=PANIC_PATIENCE_S)
    except NotRunning as no_director:
        if not _panic_directly(aim):
            raise no_director
        typer.echo(
            "The director does not answer, so playout itself was told: the channel is silent until `broadcaster "
            "resume`, also after a restart.",
            err=True,
        )
    except Refused as err:
        # The panic is on, but the disk did not take it: it would not survive a restart.
        raise Refused(f"{err} -> check with `broadcaster status` whether the channel is silent") from err


def resume(config: ConfigOption = None, channel: ChannelOption = None) -> None:
    """End a panic; the queue goes on."""
    Control(target(config, channel)).post("/api/resume")


def _panic_directly(aim: Target) -> bool:
    """Tells playout; False when it does not answer either."""
    import socket

    from broadcaster.errors import WireError
    from broadcaster.wire import Connection, Hello, Panic, Welcome

    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(PANIC_PATIENCE_S)
        try:
            sock.connect(str(aim.paths.playout_socket))
            connection = Connection(sock)
            connection.send(Hello("cli"))
            welcome = connection.receive()
            if not isinstance(welcome, Welcome):
                return False
            connection.send(Panic(True, welcome.generation))
        except (OSError, WireError):
            return False
    aim.paths.panic_marker.touch(mode=0o600)
    return True


Message = dict[str, str | float | bool]


def _message(
    kind: str, words: list[str] | None, speed: float | None, pitch: float | None, voice: str | None
) -> Message:
    """The prompt as the daemon takes it, without the fields that were not given. Raises BadParameter."""
    text = " ".join(words or []).strip()
    if text in ("", "-"):
        if sys.stdin.isatty():
            typer.echo("Type the text; Ctrl-D ends it.", err=True)
        text = sys.stdin.read().strip()
    if not text:
        raise typer.BadParameter("there is no text", param_hint="TEXT")
    manner = {"speed": speed, "pitch": pitch, "voice": voice}
    return {"type": kind, "text": text, **{key: value for key, value in manner.items() if value is not None}}


def _viewer(name: str | None, id: str | None) -> Message:
    given = {"viewer": name, "viewer_id": id}
    return {key: value for key, value in given.items() if value}


def _uploaded(path: Path, aim: Target) -> str:
    """The name under which the daemon keeps this recording. Raises BadParameter, NotRunning, Refused."""
    try:
        from broadcaster.station import MAX_RECORDING_BYTES  # and with it numpy, which the parent does without

        if path.stat().st_size > MAX_RECORDING_BYTES:
            raise typer.BadParameter(f"{path} has more than {MAX_RECORDING_BYTES} bytes", param_hint="--audio")
        data = path.read_bytes()
    except OSError as err:
        raise typer.BadParameter(f"{path}: {err.strerror}", param_hint="--audio") from err
    if not data:
        raise typer.BadParameter(f"{path} is empty", param_hint="--audio")
    return str(Control(aim).upload("/api/questions", data, "application/octet-stream")["recording"])


def _prompt(message: Message, wait: bool, aim: Target) -> None:
    if wait:
        _follow(message, aim)
    else:
        typer.echo(Control(aim).post("/api/prompts", message)["id"])


def _follow(message: Message, aim: Target) -> None:
    """Sends the prompt over the websocket, so that no event of it can be missed."""
    accepted = ""
    with Control(aim).events() as events:
        events.send(message)
        for event in events:
            match event:
                case {"type": "accepted", "id": str(accepted)}:
                    typer.echo(accepted)
                case {"type": "error", "message": reason} if not accepted:
                    raise Refused(str(reason))
                case {"type": "on_air", "id": identity, "text": sentence} if identity == accepted:
                    typer.echo(sentence)
                case {"type": "held", "id": identity} if identity == accepted:
                    typer.echo("cut by another prompt; it goes on later", err=True)
                case {"type": "done", "id": identity} if identity == accepted:
                    return
                case {"type": "cut", "id": identity} if identity == accepted:
                    raise Refused("it was cut off before its end")
                case {"type": "skipped", "id": identity, "reason": reason} if identity == accepted:
                    raise Refused(f"it was not put on air: {reason}")
    raise NotRunning(
        "the director ended before the text was heard; what it accepted is kept, and goes on air when it is back "
        "-> see `broadcaster log`"
    )
