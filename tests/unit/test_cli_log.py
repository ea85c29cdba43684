"""`broadcaster log` over a real journal file."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from broadcaster.cli import log as command
from broadcaster.cli.main import main
from broadcaster.journal import Journal
from broadcaster.paths import channel_paths
from broadcaster.types import Inbound, Origin, PromptKind, Role
from broadcaster.wire import Aired

pytestmark = pytest.mark.unit

SECOND = 1_000_000_000
NOON = 1_795_521_600 * SECOND
"""2026-11-24 12:00 UTC."""


def aired(event: str, sentence: int, text: str, at: int, samples: int = 0) -> Aired:
    return Aired(event, 1, "p1", sentence, text, "kokoro", 25 * at, samples, NOON + at * SECOND)


@pytest.fixture
def config(short_dir: Path) -> Path:
    """A channel whose journal holds two sentences heard, one cut, and one on air."""
    path = short_dir / "config.yaml"
    path.write_text(f"channel: news\nstate_dir: {short_dir}\n")
    paths = channel_paths("news", short_dir)
    paths.ensure()

    async def fill() -> None:
        journal = Journal(paths.journal)
        await journal.open()
        await journal.accept(Inbound("p1", PromptKind.SAY, "...", Origin("websocket", "小明", Role.MODERATOR), NOON))
        for event in (
            aired("on_air", 0, "第一句。", 0),
            aired("heard", 0, "第一句。", 2, 96_000),
            aired("on_air", 1, "=HYPERLINK(1)", 2),
            aired("heard", 1, "=HYPERLINK(1)", 3, 48_000),
            aired("on_air", 2, "第三句。", 3),
            aired("cut", 2, "第三句。", 4, 24_000),
            aired("on_air", 3, "第四句。", 5),
        ):
            journal.aired(event, "pass")
        await journal.flush()
        journal.close()

    asyncio.run(fill())
    return path


Cli = Callable[..., str]


@pytest.fixture
def cli(config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    def run(*arguments: str) -> str:
        monkeypatch.setattr("sys.argv", ["broadcaster", "log", *arguments, "-c", str(config)])
        with pytest.raises(SystemExit) as ended:
            main()
        assert not ended.value.code
        return capsys.readouterr().out

    return run


def test_oldest_first_with_what_was_heard(cli: Cli) -> None:
    lines = cli().splitlines()
    assert [line.split()[2:] for line in lines] == [
        ["heard", "2.0s", "websocket/小明", "第一句。"],
        ["heard", "1.0s", "websocket/小明", "=HYPERLINK(1)"],
        ["cut", "0.5s", "websocket/小明", "第三句。"],
        ["on_air", "websocket/小明", "第四句。"],
    ]
    assert cli("--limit", "2").splitlines() == lines[2:]


def test_json_lines(cli: Cli) -> None:
    rows = [json.loads(line) for line in cli("--json").splitlines()]
    assert list(rows[0]) == list(command.COLUMNS)
    assert (rows[2]["outcome"], rows[2]["seconds"], rows[2]["end_tick"]) == ("cut", 0.5, 100)
    assert rows[3]["end"] is None


def test_csv_is_safe_to_open(cli: Cli) -> None:
    rows = list(csv.DictReader(io.StringIO(cli("--csv"))))
    assert [row["text"] for row in rows] == ["第一句。", "'=HYPERLINK(1)", "第三句。", "第四句。"]
    assert rows[0]["role"] == "moderator"


def test_since_goes_back_over_pages(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "PAGE", 2)
    assert len(cli("--since", "2026-11-24T12:00:00+00:00").splitlines()) == 4
    assert len(cli("--since", "2026-11-24T12:00:02+00:00").splitlines()) == 3
    assert len(cli("--since", "2026-11-24T12:00:06+00:00").splitlines()) == 0


def test_follow_gives_each_sentence_once_when_it_is_over(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "PAGE", 2)
    journal = channel_paths("news", config.parent).journal
    assert [row["row"] for row in command._newer(journal, 0)] == [1, 2, 3]
    assert [row["row"] for row in command._newer(journal, 2)] == [3]
    assert command._newer(journal, 3) == []
