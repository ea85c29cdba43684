"""`broadcaster memory` over a real journal file, with no daemon."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from broadcaster.cli.main import main
from broadcaster.journal import Journal
from broadcaster.journal.audience import Seen
from broadcaster.journal.memory import read_memory
from broadcaster.lock import ChannelLock
from broadcaster.paths import channel_paths
from broadcaster.types import Exchange, Viewer, ViewerNote

pytestmark = pytest.mark.unit

Run = Callable[..., tuple[int, str, str]]
NOON = time.time_ns()


@pytest.fixture
def config(short_dir: Path) -> Path:
    path = short_dir / "config.yaml"
    path.write_text(f"channel: news\nstate_dir: {short_dir}\n")
    paths = channel_paths("news", short_dir)
    paths.ensure()

    async def fill() -> None:
        journal = Journal(paths.journal)
        await journal.open()
        for number, viewer in enumerate(("v1", "v2", "")):
            question = f"第{number}问？" if viewer else ""
            answer = f"答{number}\x1b[2J"
            journal.memory.keep_exchange(Exchange(f"p{number}", viewer, question, answer, NOON, True), 9)
        journal.memory.keep_viewer(ViewerNote("v1", "小明", NOON, NOON, 2, 3, "问过：茶\x1b[2J"), 9)
        journal.memory.keep_viewer(ViewerNote("v2\x1b[2J", "小红", NOON, NOON, 1, 1, ""), 9)
        journal.audience.keep([Seen(Viewer("v1", "小明", 21, "粉丝\x1b[2J", 12, guard=3), 0, NOON, 7, NOON, NOON)])
        journal.memory.keep_summary("聊过茶。\x1b[2J")
        await journal.flush()
        journal.close()

    asyncio.run(fill())
    return path


@pytest.fixture
def memory(config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["broadcaster", "memory", *arguments, "-c", str(config)])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return run


def test_what_is_remembered_is_shown_and_steers_no_terminal(memory: Run) -> None:
    status, out, _ = memory("show")
    assert status == 0
    for part in (
        "summary: 聊过茶。",
        "v1: 第0问？",
        "> 答0",
        "[cut]",
        "(unasked)",
        "小明: 2 visits",
        "小红: 1 visit, 1 question,",
        "问过：茶",
    ):
        assert part in out
    assert "\x1b" not in out
    found = json.loads(memory("show", "--viewer", "v1", "--json")[1])
    assert [each["prompt"] for each in found["exchanges"]] == ["p0"]
    assert [each["id"] for each in found["viewers"]] == ["v1"]
    assert "summary" not in found
    assert (found["audience"]["medal_level"], found["audience"]["posts"]) == (12, 7)
    out = memory("show", "--viewer", "v1")[1]
    assert "in the room: v1  小明: level 21, medal 粉丝 [2J 12, guard 3, 7 posts," in out
    assert found["known"] == 2


def test_a_viewer_or_everything_is_deleted_without_a_daemon(memory: Run, config: Path) -> None:
    journal = channel_paths("news", config.parent).journal
    assert memory("forget", "--viewer", "v1")[:2] == (0, "3 entries deleted\n")
    left = read_memory(journal, None, 9)
    assert [each["viewer"] for each in left["exchanges"]] == ["v2", ""]
    assert (left["summary"], left["known"]) == ("", 1)
    assert memory("forget", "--viewer", "v1")[1].startswith("nothing was remembered")
    assert memory("forget", "--all", "--yes")[:2] == (0, "3 entries deleted\n")
    assert memory("show")[1] == "nothing is remembered\n"


def test_forgetting_needs_to_know_whom(memory: Run) -> None:
    assert memory("forget")[0] == 2
    assert memory("forget", "--all", "--viewer", "v1")[0] == 2


def test_a_daemon_that_does_not_answer_is_not_passed_over(memory: Run, config: Path) -> None:
    """It has the viewer in its head and would store them again."""
    with ChannelLock(channel_paths("news", config.parent).lock, "news"):
        status, _, err = memory("forget", "--viewer", "v1")
    assert status == 69
    assert "director does not answer" in err
    assert read_memory(channel_paths("news", config.parent).journal, None, 9)["known"] == 2
