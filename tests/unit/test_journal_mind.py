"""What the mind keeps in the journal: the conversation, the viewers, what answers cost."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from broadcaster.errors import JournalError
from broadcaster.journal import Journal
from broadcaster.types import Exchange, Inbound, Origin, PromptKind, Spent, Viewer, ViewerNote

pytestmark = pytest.mark.unit


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


async def opened(path: Path) -> Journal:
    journal = Journal(path)
    await journal.open()
    return journal


NOW = time.time_ns()
"""What is older than may be kept goes when the journal is opened."""


def exchange(number: int, answer: str = "答") -> Exchange:
    return Exchange(f"p{number}", "v1", f"问{number}", answer, NOW + number)


def viewer(number: int, seen: int) -> ViewerNote:
    return ViewerNote(f"v{number}", "小明", 1, NOW + seen, 1, 1, "问过天气")


async def test_the_last_exchanges_stay_in_order_and_survive_a_restart(path: Path) -> None:
    journal = await opened(path)
    for number in range(10):
        journal.memory.keep_exchange(exchange(number), keep=3)
    journal.memory.keep_exchange(exchange(8, "更长的回答"), keep=3)
    journal.memory.keep_summary("聊了天气。")
    journal.close()
    journal = await opened(path)
    assert await journal.memory.exchanges(5) == [exchange(7), exchange(8, "更长的回答"), exchange(9)]
    assert await journal.memory.exchanges(1) == [exchange(9)]
    assert await journal.memory.summary() == "聊了天气。"
    journal.close()


async def test_viewers_are_bounded_and_who_was_seen_longest_ago_goes(path: Path) -> None:
    journal = await opened(path)
    for number, seen in ((1, 50), (2, 10), (3, 30)):
        journal.memory.keep_viewer(viewer(number, seen), keep=2)
    assert await journal.memory.viewers() == 2
    assert await journal.memory.viewer("v2") is None
    assert await journal.memory.viewer("v1") == viewer(1, 50)
    journal.close()


async def test_one_viewer_or_everything_can_be_forgotten(path: Path) -> None:
    journal = await opened(path)
    journal.memory.keep_viewer(viewer(1, 1), keep=9)
    journal.memory.keep_viewer(viewer(2, 1), keep=9)
    journal.memory.keep_exchange(exchange(1), keep=9)
    journal.memory.keep_summary("小明聊了天气。")
    for name in ("over", "waiting"):
        asked = Inbound(name, PromptKind.ASK, "我是小明", Origin("test", "小明"), viewer=Viewer("v1", "小明"))
        await journal.accept(asked)
    await journal.start("over")
    journal.finish("over", "done")
    assert await journal.memory.forget("v1") == 3, "note, exchange, and the prompt that is over"
    assert await journal.memory.exchanges(9) == []
    assert await journal.memory.viewers() == 1
    assert await journal.memory.summary() == "", "it may speak of anybody"
    with closing(sqlite3.connect(path)) as db:
        rows = dict(db.execute("SELECT id, text || author || viewer_name || coalesce(viewer_id, '') FROM prompts"))
    assert rows["over"] == "", "who asked what is gone"
    assert rows["waiting"], "what is still to be answered stays"
    assert await journal.memory.forget() == 1
    assert await journal.memory.viewers() == 0
    journal.close()


async def test_what_is_spent_adds_up_by_day_and_link(path: Path) -> None:
    journal = await opened(path)
    journal.ledger.add("2026-11-24", Spent("qwen", 1, 100, 20, 1_500))
    journal.ledger.add("2026-11-24", Spent("qwen", 1, 50, 10, 700))
    journal.ledger.add("2026-11-25", Spent("qwen", 1, 1, 1, 1))
    assert await journal.ledger.spent("2026-11-24") == [Spent("qwen", 2, 150, 30, 2_200)]
    assert await journal.ledger.spent("2026-11-23") == []
    journal.close()


async def test_a_job_with_a_fault_of_its_own_fails_alone(path: Path) -> None:
    journal = await opened(path)

    def broken(db: object) -> None:
        raise RuntimeError("a bug")

    with pytest.raises(JournalError, match="RuntimeError"):
        await journal._writer.durable(broken)
    journal.memory.keep_summary("聊了天气。")
    assert await journal.memory.summary() == "聊了天气。"
    journal.close()


async def test_what_is_forgotten_is_not_left_in_the_file(path: Path) -> None:
    journal = await opened(path)
    secret = "只有小明知道的事"
    for number in range(50):
        journal.memory.keep_exchange(exchange(number, f"{secret}{number}"), keep=99)
    asked = Inbound("p", PromptKind.ASK, secret, Origin("test", "小明"), viewer=Viewer("v1", "小明"))
    await journal.accept(asked)
    journal.finish("p", "done")
    await journal.flush()
    assert any(secret.encode() in file.read_bytes() for file in path.parent.iterdir())
    await journal.memory.forget("v1")
    journal.close()
    assert not any(secret.encode() in file.read_bytes() for file in path.parent.iterdir())
