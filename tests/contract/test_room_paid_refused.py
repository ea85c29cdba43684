"""What was paid for while the journal takes nothing: refused aloud, kept in memory within a bound, stored later."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from broadcaster.errors import JournalError
from tests.support.till import chat, counter
from tests.support.waiting import until

pytestmark = pytest.mark.contract


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


async def test_a_journal_that_takes_nothing_refuses_aloud_and_what_has_an_id_follows_later(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setattr("broadcaster.journal.sqlite.BUSY_SECONDS", 0.05)
    async with counter(path) as made:
        locker = sqlite3.connect(path, isolation_level=None)
        locker.execute("BEGIN IMMEDIATE")
        for _ in range(2):
            with pytest.raises(JournalError, match="locked"):
                await made.bring(chat("1"), chat(""))
        assert (made.intake.owed, made.intake.paid_refused) == (2, 4)
        assert made.queue == []
        locker.execute("ROLLBACK")
        locker.close()
        await made.bring(chat("2"))
        await until(lambda: made.intake.owed == 0)
        await until(lambda: len(made.queue) == 2)
        assert {each.post for each in made.queue} == {"test:1", "test:2"}
    told = [record.getMessage() for record in caplog.records if "paid" in record.getMessage()]
    assert told == ["what was paid for cannot be stored; it is kept in memory", "what is paid for is stored again"]


async def test_a_full_disk_refuses_aloud_and_what_was_stored_before_is_not_lost(path: Path) -> None:
    async with counter(path) as made:
        await made.bring(chat("before"))
        await until(lambda: made.queue)
        writer = made.journal._writer
        pages = await writer.durable(lambda db: db.execute("PRAGMA page_count").fetchone())
        await writer.durable(lambda db: db.execute(f"PRAGMA max_page_count = {pages[0]}").fetchone())
        with pytest.raises(JournalError, match=r"full.*free space"):
            await made.bring(chat("big", "字" * 9000))
        writer._db._inode = None  # another connection has no such limit
        await until(lambda: len(made.queue) == 2)  # what was refused is tried again
        await made.bring(chat("after"))
        await until(lambda: len(made.queue) == 3)
        assert {each.post for each in made.queue} == {"test:before", "test:big", "test:after"}
        assert len(await made.states()) == 3


async def test_what_is_held_in_memory_has_a_bound_and_what_is_lost_is_counted(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("broadcaster.journal.sqlite.BUSY_SECONDS", 0.05)
    monkeypatch.setattr("broadcaster.director.room.intake.OWED", 3)
    async with counter(path) as made:
        locker = sqlite3.connect(path, isolation_level=None)
        locker.execute("BEGIN IMMEDIATE")
        with pytest.raises(JournalError):
            await made.bring(*(chat(str(number)) for number in range(5)))
        await until(lambda: made.intake.paid_refused == 5)
        assert (made.intake.owed, made.intake.paid_lost) == (3, 2)
        locker.execute("ROLLBACK")
        locker.close()
    assert sum("paid_lost" in record.getMessage() for record in caplog.records) == 1
