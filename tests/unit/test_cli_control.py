"""The command line against a real console on its UNIX socket, and against a playout whose director is gone."""

from __future__ import annotations

import asyncio
import io
import json
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from broadcaster import wire
from broadcaster.cli.main import main
from broadcaster.cli.prompts import Happened
from broadcaster.config import Console
from broadcaster.console.server import create_app, serve
from broadcaster.paths import Paths, channel_paths
from broadcaster.types import PLAIN, Happening, Manner, Role, RoomEvent, Viewer
from sources.schema import published_schema
from sources.websocket import PromptSession
from tests.fakes.station import FakeStation, sink_status

pytestmark = pytest.mark.unit

CANARY = "live_4711_c4n4ryk3y"


class Daemon:
    """A console over a fake station, in a thread with an event loop of its own."""

    def __init__(self, paths: Paths) -> None:
        self.paths = paths
        self.loop = asyncio.new_event_loop()
        self.station: FakeStation
        self._up = threading.Event()
        self._thread = threading.Thread(target=self.loop.run_until_complete, args=(self._run(),))

    def __enter__(self) -> Daemon:
        self._thread.start()
        assert self._up.wait(20)
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(20)
        self.loop.close()

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(20)

    async def _run(self) -> None:
        self.station = FakeStation()
        self._stop = asyncio.Event()
        config = Console(port=0)
        app = create_app(
            self.station,
            config,
            self.paths,
            session=lambda origin: PromptSession(self.station, origin),
            schema=published_schema(),
        )
        await serve(app, config, self.paths, self._stop, lambda address: self._up.set())
        await self.station.stop()


@pytest.fixture
def config(short_dir: Path) -> Path:
    path = short_dir / "config.yaml"
    path.write_text(f"channel: news\nstate_dir: {short_dir}\n")
    channel_paths("news", short_dir).ensure()
    return path


@pytest.fixture
def daemon(config: Path) -> Iterator[Daemon]:
    with Daemon(channel_paths("news", config.parent)) as running:
        yield running


Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def cli(config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    def run(*arguments: str, stdin: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["broadcaster", *arguments, "-c", str(config)])
        monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return run


async def queued(station: FakeStation) -> None:
    """Returns when a prompt has come; the fake gives no notice of it."""
    while not station.waiting:  # noqa: ASYNC110
        await asyncio.sleep(0.005)


def test_prompts_are_queued_and_their_ids_printed(cli: Cli, daemon: Daemon) -> None:
    assert cli("say", "大家好，", "欢迎。") == (0, "p1\n", "")
    assert cli("ask", "现在几点？") == (0, "p2\n", "")
    assert cli("say", "-", stdin="line one\nline two\n") == (0, "p3\n", "")
    assert [(p.kind.value, p.text) for p in daemon.station.waiting] == [
        ("say", "大家好， 欢迎。"),
        ("ask", "现在几点？"),
        ("say", "line one\nline two"),
    ]
    assert {p.origin.role for p in daemon.station.waiting} == {Role.OPERATOR}
    assert cli("say", "")[0] == 2


def test_what_a_prompt_says_of_itself_goes_along(cli: Cli, daemon: Daemon) -> None:
    assert cli("say", "--resumable", "很长的一段话。")[0] == 0
    assert cli("ask", "--viewer", "小明", "--viewer-id", "7", "几点了？")[0] == 0
    assert cli("event", "gift", "--viewer", "小明", "--item", "辣条", "--count", "3")[0] == 0
    assert cli("event", "riot", "--viewer", "小明")[0] == 2
    assert cli("event", "gift")[0] == 2
    said, asked, gift = daemon.station.waiting
    assert said.resumable
    assert asked.viewer == Viewer("7", "小明")
    assert (gift.viewer, gift.happening) == (Viewer("name:小明", "小明"), Happening(RoomEvent.GIFT, "辣条", 3))
    assert list(Happened) == list(RoomEvent)


def test_a_question_may_be_a_recording(cli: Cli, daemon: Daemon, tmp_path: Path) -> None:
    path = tmp_path / "question.wav"
    assert cli("ask", "--audio", str(path), "天气")[0] == 2
    path.write_bytes(b"")
    assert cli("ask", "--audio", str(path), "天气")[0] == 2
    path.write_bytes(b"RIFF of some kind")
    assert cli("ask", "--audio", str(path), "天气") == (0, "p1\n", "")
    assert list(daemon.station.recordings.values()) == [b"RIFF of some kind"]
    daemon.station.listens = False
    status, _, err = cli("ask", "--audio", str(path), "天气")
    assert status == 1
    assert "nobody here can listen" in err


def test_a_prompt_may_say_how_it_is_to_be_said(cli: Cli, daemon: Daemon) -> None:
    assert cli("say", "--speed", "1.2", "--pitch", "-2", "--voice", "zm_yunxi", "你好。")[0] == 0
    assert cli("ask", "--speed", "0.5", "谁？")[0] == 0
    assert cli("say", "照旧。")[0] == 0
    assert [p.manner for p in daemon.station.waiting] == [Manner(1.2, -2.0, "zm_yunxi"), Manner(speed=0.5), PLAIN]
    for option, value in (("--speed", "2.5"), ("--speed", "nan"), ("--pitch", "7"), ("--pitch", "high")):
        assert cli("say", option, value, "你好。")[0] == 2, (option, value)
    status, _, err = cli("say", "--voice", "../etc", "你好。")
    assert status == 1
    assert "voice" in err
    assert len(daemon.station.waiting) == 3


def test_brakes(cli: Cli, daemon: Daemon) -> None:
    assert [cli(command)[0] for command in ("interrupt", "panic", "resume")] == [0, 0, 0]
    assert [name for name, _ in daemon.station.calls] == ["interrupt", "panic", "resume"]


def test_a_refusal_is_said_in_the_daemons_words(cli: Cli, daemon: Daemon) -> None:
    daemon.station.panicked = True
    status, out, err = cli("say", "hello")
    assert (status, out) == (1, "")
    assert "the channel is in panic" in err
    status, out, err = cli("say", "--wait", "hello")
    assert (status, out) == (1, "")
    assert "the channel is in panic" in err


@pytest.mark.parametrize(
    ("end", "status", "said"), [("done", 0, ""), ("cut", 1, "cut off"), ("skipped", 1, "not put on air: voice")]
)
def test_wait_follows_a_prompt_to_its_end(cli: Cli, daemon: Daemon, end: str, status: int, said: str) -> None:
    async def on_stage() -> None:
        await queued(daemon.station)
        await daemon.station.emit({"type": "done", "id": "another"})
        prompt = await daemon.station.air()
        ending = {
            "done": {"type": "done", "id": prompt.id},
            "cut": {"type": "cut", "id": prompt.id, "sentence": 0, "samples": 1, "tick": 1},
            "skipped": {"type": "skipped", "id": prompt.id, "reason": "voice"},
        }
        await daemon.station.emit(ending[end])

    playing = asyncio.run_coroutine_threadsafe(on_stage(), daemon.loop)
    result = cli("say", "--wait", "你好。")
    playing.result(20)
    assert result[:2] == (status, "p1\n你好。\n")
    assert said in result[2]


def test_wait_tells_when_the_director_ends_first(cli: Cli, daemon: Daemon) -> None:
    async def leave() -> None:
        await queued(daemon.station)
        await daemon.station.stop()

    leaving = asyncio.run_coroutine_threadsafe(leave(), daemon.loop)
    status, out, err = cli("say", "--wait", "你好。")
    leaving.result(20)
    assert (status, out) == (69, "p1\n")
    assert "what it accepted is kept" in err


def test_status_for_people_and_for_programs(cli: Cli, daemon: Daemon) -> None:
    daemon.station.sinks = [
        sink_status("preview", "preview", "live"),
        sink_status("main", "rtmp", "waiting", error="connection refused", retry_in_s=7.0, dropped_frames=5),
    ]
    cli("say", "下一条新闻。")
    status, out, _ = cli("status")
    assert status == 0
    shown = ("demo", "tick 1000 at 25 fps", "late 3, held 2", "下一条新闻。", "1 of 200", "5 (0.5%)", "rule-based")
    for words in shown:
        assert words in out
    assert "connection refused  (next try in 7s)" in out
    assert "PANIC" not in out
    cli("panic")
    assert "PANIC" in cli("status")[1]
    status, out, _ = cli("status", "--json")
    assert json.loads(out)["clock"]["tick"] == 1000
    status, out, _ = cli("sink", "list", "--json")
    assert [sink["name"] for sink in json.loads(out)] == ["preview", "main"]
    assert "waiting" in cli("sink", "list")[1]


def test_sink_commands(cli: Cli, daemon: Daemon) -> None:
    for action in ("pause", "resume", "stop", "remove", "reset"):
        assert cli("sink", action, "main")[0] == 0
    assert cli("sink", "reset")[0] == 0
    assert daemon.station.commands == [
        {"action": "pause", "name": "main"},
        {"action": "resume", "name": "main"},
        {"action": "stop", "name": "main"},
        {"action": "remove", "name": "main"},
        {"action": "reset", "name": "main"},
        {"action": "reset", "name": ""},
    ]


def test_keys_reach_the_daemon_without_the_command_line(
    cli: Cli, daemon: Daemon, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MY_URL", "rtmp://h/live")
    monkeypatch.setenv("MY_KEY", f"{CANARY}${{x}}")
    (tmp_path / "key").write_text(f"{CANARY}\n")
    file = "${file:" + str(tmp_path / "key") + "}"
    yaml = f"type: rtmp\nurl: rtmp://h/live\nkey: '{file}'\nqueue_ms: 2000\n"
    for arguments, stdin in (
        (("a", "--url-env", "MY_URL", "--key-env", "MY_KEY"), ""),
        (("b", "--url", "${MY_URL}", "--key"), f"{CANARY}\n"),
        (("c", "--stdin"), yaml),
    ):
        assert cli("sink", "add", *arguments, stdin=stdin) == (0, "", "")
    got = [command["settings"] for command in daemon.station.commands]
    assert got == [
        {"type": "rtmp", "name": "a", "url": "rtmp://h/live", "key": f"{CANARY}${{x}}"},
        {"type": "rtmp", "name": "b", "url": "rtmp://h/live", "key": CANARY},
        {"type": "rtmp", "name": "c", "url": "rtmp://h/live", "key": CANARY, "queue_ms": 2000},
    ]


def test_change_sends_only_what_is_given(cli: Cli, daemon: Daemon) -> None:
    assert cli("sink", "change", "main", "--set", "queue_ms=3000", "--set", "backup_url=rtmp://h/b")[0] == 0
    assert daemon.station.commands == [
        {"action": "change", "name": "main", "settings": {"queue_ms": "3000", "backup_url": "rtmp://h/b"}}
    ]
    status, _, err = cli("sink", "change", "main")
    assert status == 2
    assert "there is no address" in err


def test_a_recording_folder_is_relative_to_the_operator(
    cli: Cli, daemon: Daemon, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli("sink", "add", "tape", "--type", "file", "--set", "directory=tape")[0] == 0
    assert daemon.station.commands[0]["settings"]["directory"] == str(tmp_path / "tape")


def test_a_bad_sink_never_leaves_the_command_line(cli: Cli, daemon: Daemon) -> None:
    status, _, err = cli("sink", "add", "main", "--url", f"http://h/{CANARY}", "--set", "colour=red")
    assert status == 78
    assert "sink.url: the address does not begin with rtmp://" in err
    assert "sink.colour: unknown key" in err
    assert CANARY not in err
    assert daemon.station.commands == []


def test_a_sink_command_that_is_refused(cli: Cli, daemon: Daemon) -> None:
    daemon.station.refuse_sink = "there is no sink 'x'; there are: preview"
    status, _, err = cli("sink", "pause", "x")
    assert status == 1
    assert "there is no sink 'x'" in err


def test_panic_reaches_playout_without_a_director(cli: Cli, config: Path) -> None:
    paths = channel_paths("news", config.parent)
    heard: list[wire.AnyMessage | None] = []

    def playout(listener: socket.socket) -> None:
        connection = wire.Connection(listener.accept()[0])
        heard.append(connection.receive())
        connection.send(wire.Welcome(tick=500, fps=25, loop_frames=200, generation=41))
        heard.append(connection.receive())
        connection.close()

    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(paths.playout_socket))
        listener.listen(1)
        thread = threading.Thread(target=playout, args=(listener,))
        thread.start()
        status, _, err = cli("panic")
        thread.join(10)
    assert status == 0
    assert heard == [wire.Hello("cli"), wire.Panic(True, 41)]
    assert "playout itself was told" in err
