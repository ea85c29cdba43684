"""The command line without a daemon: help, exit statuses, checks, and what it says when nobody answers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
import typer
from typer.main import get_command

from broadcaster.cli import air
from broadcaster.cli.log import when
from broadcaster.cli.main import app, exit_status, main
from broadcaster.cli.status import _brain, duration
from broadcaster.errors import AlreadyRunning, AssetError, ConfigError, NotRunning, Refused
from broadcaster.lock import ChannelLock
from broadcaster.paths import channel_paths

pytestmark = pytest.mark.unit


@dataclass(frozen=True)
class Said:
    status: int
    out: str
    err: str


Cli = Callable[..., Said]


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    def run(*arguments: str) -> Said:
        monkeypatch.setattr("sys.argv", ["broadcaster", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        code = ended.value.code
        return Said(code if isinstance(code, int) else 0, said.out, said.err)

    return run


@pytest.fixture
def config(short_dir: Path) -> Path:
    path = short_dir / "config.yaml"
    path.write_text(f"channel: news\nstate_dir: {short_dir}\n")
    return path


def commands() -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []

    def walk(command: object, path: tuple[str, ...]) -> None:
        children = getattr(command, "commands", {})
        for name, child in children.items():
            walk(child, (*path, name))
        if not children:
            found.append(path)

    walk(get_command(app), ())
    return found


def test_the_commands() -> None:
    assert {" ".join(path) for path in commands()} == {
        "run", "check", "render", "say", "ask", "event", "interrupt", "panic", "resume", "status", "log", "doctor",
        "latency", "version", "moderate",
        "sink list", "sink add", "sink change", "sink pause", "sink resume", "sink stop", "sink remove", "sink reset",
        "avatar prepare", "avatar list", "avatar show", "avatar check", "avatar expand", "avatar tensors",
        "avatar remove", "head serve", "head status",
        "models pull", "models list", "models check", "models remove",
        "voice list", "voice try", "voice add", "voice remove",
        "persona write", "persona show", "memory show", "memory forget",
        "queue list", "queue show", "queue approve", "queue drop", "queue edit", "queue move", "queue log",
        "ban", "unban", "bans", "slow", "pause-auto",
    }  # fmt: skip


@pytest.mark.parametrize("path", commands(), ids=" ".join)
def test_every_command_has_help_and_takes_a_configuration(cli: Cli, path: tuple[str, ...]) -> None:
    said = cli(*path, "--help")
    assert said.status == 0
    assert "Usage: broadcaster" in said.out
    assert ("--config" in said.out) == (path != ("version",))
    summary = next(line for line in said.out.splitlines()[1:] if line.strip())
    assert len(summary.strip()) > 15


def test_no_help_line_is_cut_off(cli: Cli) -> None:
    for arguments in ((), ("sink",), ("avatar",), ("memory",), ("queue",)):
        said = cli(*arguments, "--help")
        assert not re.search(r"^  .*\.\.\.$", said.out, re.MULTILINE), said.out


def test_usage_errors_are_2(cli: Cli) -> None:
    assert cli("sing").status == 2
    assert cli("render", "/nonexistent", "-o", "/tmp/x.mp4").status == 2
    assert cli("log", "--since", "yesterday").status == 2
    assert cli("log", "--json", "--csv").status == 2


def test_exit_statuses() -> None:
    errors = (ConfigError("x"), AssetError("x"), NotRunning("x"), AlreadyRunning("x"), Refused("x"))
    assert [exit_status(err) for err in errors] == [78, 78, 69, 75, 1]


def test_check_says_every_fault_and_ends_with_78(cli: Cli, config: Path) -> None:
    config.write_text(
        "channel: X!\nvideo: {fps: 26}\nsinks: [{type: rtmp, name: a, url: 'rtmp://h:x/live/s3cr3tk3y'}]\n"
    )
    said = cli("check", "-c", str(config))
    assert said.status == 78
    assert said.out == ""
    places = [line.split(": ")[1] for line in said.err.splitlines()]
    assert places == ["channel", "video.fps", "sinks.0.url"]
    assert "s3cr3tk3y" not in said.err


def test_check_asks_the_stages_too(cli: Cli, config: Path) -> None:
    with config.open("a") as out:
        out.write("voice: {zh: nobody}\nvideo: {width: 320, height: 568}\n")
        out.write(f"label: {{text: {'AI生成' + '数字人直播' * 6}}}\n")
    said = cli("check", "-c", str(config))
    assert said.status == 78
    assert "voice.zh" in said.err
    assert "label.text is too long" in said.err


def test_check_of_the_shipped_configuration(cli: Cli) -> None:
    shipped = Path(__file__).parents[2] / "config.yaml"
    said = cli("check", "-c", str(shipped))
    assert (said.status, said.err) == (0, "")
    assert "is good: channel demo, 1280x720 at 25 fps" in said.out
    assert "head as the avatar says, brain" in said.out
    assert "sources none, sinks preview, live" in said.out
    assert cli("check", "--quiet", "-c", str(shipped)) == Said(0, "", "")


def test_run_refuses_what_check_refuses(cli: Cli, config: Path) -> None:
    with config.open("a") as out:
        out.write("voice: {zh: nobody}\n")
    assert cli("run", "-c", str(config)).status == 78


def test_a_second_instance_of_a_channel_is_refused(cli: Cli, config: Path) -> None:
    paths = channel_paths("news", config.parent)
    paths.ensure()
    with ChannelLock(paths.lock, "news"):
        said = cli("run", "-c", str(config))
    assert said.status == 75
    assert "channel 'news' is already running as process" in said.err


def test_a_missing_file_is_a_configuration_error(cli: Cli) -> None:
    said = cli("check", "-c", "/nonexistent/config.yaml")
    assert said.status == 78
    assert "cannot be read" in said.err


@pytest.mark.parametrize("command", ["say hello", "ask why", "interrupt", "panic", "resume", "status", "sink list"])
def test_nobody_answers(cli: Cli, config: Path, command: str) -> None:
    said = cli(*command.split(), "-c", str(config))
    assert said.status == 69
    assert "channel 'news' is not running" in said.err
    assert "broadcaster run" in said.err


def test_a_director_that_is_away_is_told_from_a_channel_that_is_not_running(cli: Cli, config: Path) -> None:
    paths = channel_paths("news", config.parent)
    paths.ensure()
    with ChannelLock(paths.lock, "news"):
        said = cli("status", "-c", str(config))
    assert said.status == 69
    assert "its director does not answer" in said.err


def test_commands_to_the_daemon_need_neither_secrets_nor_a_sound_file(cli: Cli, config: Path) -> None:
    with config.open("a") as out:
        out.write("sinks: [{type: rtmp, name: a, url: '${NO_SUCH_ADDRESS}'}]\nvideo: {fps: 1000}\n")
    assert cli("check", "-c", str(config)).status == 78
    said = cli("panic", "-c", str(config))
    assert said.status == 69
    assert str(config.parent) in said.err


def test_the_channel_can_be_named_without_a_file(cli: Cli, short_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(short_dir)
    monkeypatch.delenv("BROADCASTER_CONFIG", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(short_dir))
    said = cli("interrupt", "--channel", "other")
    assert said.status == 69
    assert f"{short_dir}/broadcaster/other/control.sock" in said.err
    assert cli("interrupt").status == 78


def test_there_is_nothing_in_the_log_of_a_channel_that_never_ran(cli: Cli, config: Path) -> None:
    said = cli("log", "-c", str(config))
    assert said.status == 1
    assert "has never run" in said.err


def test_version(cli: Cli) -> None:
    assert re.fullmatch(r"broadcaster \d+\.\d+\.\d+ \(Python 3\.\d+\.\d+, PyAV 18\.\d+\.\d+\)\n", cli("version").out)


def test_doctor_as_json(cli: Cli, config: Path) -> None:
    said = cli("doctor", "--json", "-c", str(config))
    rows = json.loads(said.out)
    assert {"python", "PyAV", "encoder x264", "label font", "voice model"} <= {row["subject"] for row in rows}


def test_durations() -> None:
    assert [duration(seconds) for seconds in (0, 59.9, 60, 3599, 3600, 86_399, 86_400, 1e6)] == [
        "0s", "59s", "1m00s", "59m59s", "1h00m", "23h59m", "1d00h", "11d13h",
    ]  # fmt: skip


def test_times() -> None:
    zone = timezone(timedelta(hours=8))
    now = datetime(2026, 11, 24, 15, 0, tzinfo=zone)
    second = 1_000_000_000

    def at(*parts: int) -> int:
        return int(datetime(*parts, tzinfo=zone).timestamp()) * second  # type: ignore[arg-type,misc]

    assert when("2h", now) == at(2026, 11, 24, 13)
    assert when("3d", now) == at(2026, 11, 21, 15)
    assert when("9:30", now) == at(2026, 11, 24, 9, 30)
    assert when("2026-11-23T14:30+08:00", now) == at(2026, 11, 23, 14, 30)
    assert when("2026-11-23", now) == int(datetime(2026, 11, 23).timestamp()) * second  # noqa: DTZ001
    for wrong in ("", "soon", "25:00", "9999999d", "2026-13-01"):
        with pytest.raises(typer.BadParameter):
            when(wrong, now)
    assert when("0s") <= int(datetime.now(UTC).timestamp()) * second + second


@pytest.mark.parametrize(
    ("host", "port", "address"),
    [
        ("127.0.0.1", 8090, "http://127.0.0.1:8090/"),
        ("0.0.0.0", 80, "http://127.0.0.1:80/"),
        ("::1", 80, "http://[::1]:80/"),
        ("studio", 80, "http://studio:80/"),
        ("127.0.0.1", 0, ""),
    ],
)
def test_the_address_of_the_page(host: str, port: int, address: str) -> None:
    from broadcaster.config import Config

    config = Config.model_validate({"console": {"host": host, "port": port, "tokens": {"operator": "x" * 16}}})
    assert air.console_address(config) == address


def test_the_status_says_when_the_day_is_spent() -> None:
    spent = "spent: brains with a price wait until tomorrow"
    for limit, told in ((1.0, True), (1.5, False), (None, False)):
        budget = {"tokens": 9, "limit": limit, "spent": 1.2, "currency": "CNY"}
        assert (spent in str(_brain({"engine": "b", "budget": budget}))) is told
