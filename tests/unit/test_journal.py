"""The journal: what is durable when, what survives, and what a broken disk looks like."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from pathlib import Path

import pytest

from broadcaster.errors import JournalError
from broadcaster.journal import Journal, asrun_rows
from broadcaster.journal.database import open_for_writing
from broadcaster.journal.migrations import MIGRATIONS
from broadcaster.types import Inbound, Manner, Origin, PromptKind, Role, Verdict, VerdictKind
from broadcaster.wire import Aired

pytestmark = pytest.mark.unit

# ruff: noqa: ASYNC240, ASYNC110  # the loop has nothing else to do here

BY = Origin("test", "me", Role.OPERATOR)


def prompt(name: str, at: int = 0, text: str = "你好") -> Inbound:
    return Inbound(name, PromptKind.SAY, text, Origin("chat", "somebody", Role.VIEWER), at)


def aired(event: str, sentence: int = 0, tick: int = 10, samples: int = 0, generation: int = 1) -> Aired:
    return Aired(event, generation, "p1", sentence, f"句{sentence}", "tone", tick, samples, time.time_ns())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "journal.sqlite"


async def opened(path: Path) -> Journal:
    journal = Journal(path)
    await journal.open()
    return journal


async def test_a_prompt_is_on_disk_when_accept_returns_and_comes_back_after_a_restart(path: Path) -> None:
    journal = await opened(path)
    await journal.accept(prompt("p1", at=5))
    other = sqlite3.connect(path)
    assert other.execute("SELECT id, state FROM prompts").fetchall() == [("p1", "queued")]
    other.close()
    journal.close()
    journal = await opened(path)
    (found,) = await journal.unfinished()
    assert found.prompt == prompt("p1", at=5)
    assert not found.started
    journal.close()


async def test_the_manner_of_a_prompt_survives_a_restart(path: Path) -> None:
    asked = Inbound("p1", PromptKind.ASK, "谁？", BY, 5, Manner(1.25, -2.5, "zm_yunjian"))
    journal = await opened(path)
    await journal.accept(asked)
    await journal.start("p1")
    journal.close()
    journal = await opened(path)
    assert [entry.prompt for entry in await journal.unfinished()] == [asked]
    journal.close()


async def test_a_journal_from_before_manners_keeps_its_prompts_and_takes_new_ones(path: Path) -> None:
    path.parent.mkdir()
    db = sqlite3.connect(path)
    db.executescript(f"{MIGRATIONS[0]} PRAGMA user_version = 1;")
    db.execute(
        "INSERT INTO prompts (id, kind, text, source, author, role, received_ns, state)"
        " VALUES ('old', 'say', '你好', 'chat', 'somebody', 'viewer', 1, 'started')"
    )
    db.execute("INSERT INTO script VALUES ('old', 0, '你好', 'pass', '')")
    db.execute("INSERT INTO state VALUES ('panic', 'on test', 1)")
    db.commit()
    db.close()
    with pytest.raises(JournalError, match=r"version 1 is older.*start the daemon once"):
        asrun_rows(path)
    journal = await opened(path)
    new = Inbound("new", PromptKind.SAY, "大家好", BY, 2, Manner(speed=0.8))
    await journal.accept(new)
    old, added = await journal.unfinished()
    assert old.prompt == prompt("old", at=1)
    assert (old.started, [line.text for line in old.script]) == (True, ["你好"])
    assert added.prompt == new
    assert await journal.panicked() is True
    assert asrun_rows(path) == []
    journal.close()


async def test_what_is_unfinished_comes_back_oldest_first_with_its_script_and_what_was_heard(path: Path) -> None:
    journal = await opened(path)
    for name, at in (("p2", 2), ("p1", 1), ("p3", 3), ("p4", 4)):
        await journal.accept(prompt(name, at))
    await journal.start("p1")
    journal.line("p1", 0, Verdict(VerdictKind.PASS, "句0"))
    journal.line("p1", 1, Verdict(VerdictKind.MASK, "句1"))
    journal.script_complete("p1")
    journal.aired(aired("on_air"), "pass")
    journal.aired(aired("heard", samples=100), "pass")
    journal.aired(aired("on_air", 1), "mask")
    journal.finish("p3", "done")
    journal.finish("p4", "skipped", "dropped")
    journal.close()
    journal = await opened(path)
    first, second = await journal.unfinished()
    assert (first.prompt.id, second.prompt.id) == ("p1", "p2")
    assert first.started
    assert first.complete
    assert [(line.text, line.verdict) for line in first.script] == [("句0", "pass"), ("句1", "mask")]
    assert first.heard == ("句0",)
    journal.requeue("p1")
    await journal.flush()
    assert [(u.started, u.script) for u in await journal.unfinished()] == [(False, ()), (False, ())]
    journal.close()


async def test_the_as_run_log_says_who_what_when_and_how_far(path: Path) -> None:
    journal = await opened(path)
    await journal.accept(prompt("p1"))
    journal.aired(aired("on_air", 0, tick=100), "pass")
    journal.aired(aired("heard", 0, tick=150, samples=96_000), "pass")
    journal.aired(aired("on_air", 1, tick=150), "mask")
    journal.aired(aired("cut", 1, tick=160, samples=19_200), "mask")
    journal.aired(aired("done", 1, tick=160), "mask")
    await journal.flush()
    cut, heard = asrun_rows(path)
    assert (heard["text"], heard["outcome"], heard["start_tick"], heard["end_tick"]) == ("句0", "heard", 100, 150)
    assert (cut["outcome"], cut["samples"], cut["verdict"]) == ("cut", 19_200, "mask")
    assert (cut["source"], cut["author"], cut["role"], cut["engine"]) == ("chat", "somebody", "viewer", "tone")
    assert asrun_rows(path, limit=1) == [cut]
    assert asrun_rows(path, before=cut["row"]) == [heard]
    journal.close()


async def test_a_sentence_that_playout_took_with_it_is_lost_until_it_reports_after_all(path: Path) -> None:
    journal = await opened(path)
    journal.aired(aired("on_air"), "pass")
    journal.broken_off("p1", 1)
    await journal.flush()
    assert [row["outcome"] for row in asrun_rows(path)] == ["lost"]
    journal.aired(aired("heard", samples=5), "pass")
    await journal.flush()
    assert [row["outcome"] for row in asrun_rows(path)] == ["heard"]
    journal.close()


async def test_reports_that_are_told_twice_count_once(path: Path) -> None:
    journal = await opened(path)
    await journal.accept(prompt("p1"))
    for event in (aired("on_air", 0), aired("heard", 0, samples=9), aired("on_air", 1)) * 2:
        journal.aired(event, "pass")
    (entry,) = await journal.unfinished()
    assert entry.heard == ("句0",)
    assert entry.known == {(1, 0)}
    assert [row["outcome"] for row in asrun_rows(path)] == ["on_air", "heard"]
    journal.close()


async def test_an_end_whose_beginning_was_never_reported_is_logged_if_it_was_heard(path: Path) -> None:
    journal = await opened(path)
    journal.aired(aired("cut", 0, samples=0), "")
    journal.aired(aired("heard", 1, samples=7), "")
    await journal.flush()
    assert [(row["text"], row["start_tick"], row["end_tick"]) for row in asrun_rows(path)] == [("句1", None, 10)]
    journal.close()


async def test_the_panic_is_remembered(path: Path) -> None:
    journal = await opened(path)
    assert await journal.panicked() is None
    await journal.set_panicked(True, BY)
    journal.close()
    journal = await opened(path)
    assert await journal.panicked() is True
    await journal.set_panicked(False, BY)
    assert await journal.panicked() is False
    journal.close()


async def test_what_has_gathered_is_one_transaction(path: Path) -> None:
    journal = await opened(path)
    before = journal._writer.commits
    await asyncio.gather(*(journal.accept(prompt(f"p{n}", n)) for n in range(200)))
    assert journal._writer.commits - before <= 50, "far fewer than one each; how few is for the machine to say"
    assert len(await journal.unfinished()) == 200
    journal.close()


async def test_old_entries_are_dropped_and_unfinished_ones_kept(path: Path) -> None:
    journal = await opened(path)
    await journal.accept(prompt("waits", at=1))
    await journal.accept(prompt("p1", at=2))
    journal.finish("p1", "done")
    journal.aired(aired("heard", samples=1), "")
    await journal.flush()
    db = sqlite3.connect(path)
    db.execute("UPDATE prompts SET finished_ns = 1 WHERE id = 'p1'")
    db.execute("UPDATE asrun SET start_ns = 1")
    db.commit()
    db.close()
    await journal.prune()
    assert [u.prompt.id for u in await journal.unfinished()] == ["waits"]
    assert asrun_rows(path) == []
    journal.close()


async def test_a_second_prompt_of_the_same_id_is_refused_alone(path: Path) -> None:
    journal = await opened(path)
    results = await asyncio.gather(
        *(journal.accept(prompt(name)) for name in ("a", "a", "b")), return_exceptions=True
    )
    assert [type(result) for result in results] == [type(None), JournalError, type(None)]
    assert {u.prompt.id for u in await journal.unfinished()} == {"a", "b"}
    assert journal.error == ""
    journal.close()


async def test_a_full_disk_refuses_aloud_keeps_the_log_and_recovers(path: Path) -> None:
    journal = await opened(path)
    await journal.accept(prompt("before", 1))
    pages = await journal._writer.durable(lambda db: db.execute("PRAGMA page_count").fetchone()[0])
    await journal._writer.durable(lambda db: db.execute(f"PRAGMA max_page_count = {pages}").fetchone())
    with pytest.raises(JournalError, match=r"full.*free space"):
        await journal.accept(prompt("big", 2, "字" * 9000))
    journal.line("before", 0, Verdict(VerdictKind.PASS, "字" * 9000))
    with pytest.raises(JournalError):
        await journal.accept(prompt("small", 3))  # the order is kept: nothing passes what waits
    assert "full" in journal.error
    journal._writer._db._inode = None  # another connection has no such limit
    await asyncio.wait_for(_accepted(journal, prompt("after", 10)), 5)
    assert journal.error == ""
    assert journal.lost == 0
    before, after = await journal.unfinished()
    assert (before.prompt.id, after.prompt.id) == ("before", "after")
    assert [len(line.text) for line in before.script] == [9000]
    journal.close()


async def test_a_locked_journal_is_refused_with_what_to_do(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broadcaster.journal.sqlite.BUSY_SECONDS", 0.05)
    journal = await opened(path)
    thief = sqlite3.connect(path, isolation_level=None)
    thief.execute("BEGIN IMMEDIATE")
    with pytest.raises(JournalError, match="locked; another program holds it"):
        await journal.accept(prompt("p1"))
    thief.execute("ROLLBACK")
    thief.close()
    await journal.accept(prompt("p1"))
    assert len(await journal.unfinished()) == 1
    journal.close()


async def test_a_damaged_journal_is_named_left_alone_and_replaced_when_it_is_moved_away(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"this is not a database, " * 100)
    journal = Journal(path)
    with pytest.raises(JournalError, match="damaged: move it"):
        await journal.open()
    with pytest.raises(JournalError):
        await journal.accept(prompt("p1"))
    assert path.read_bytes().startswith(b"this is not")
    path.rename(path.with_suffix(".damaged"))
    await asyncio.wait_for(_accepted(journal, prompt("p2")), 5)
    assert journal.error == ""
    journal.close()


async def test_a_journal_that_is_moved_away_while_running_is_noticed(path: Path) -> None:
    journal = await opened(path)
    await journal.accept(prompt("old"))
    path.rename(path.with_suffix(".moved"))
    await asyncio.wait_for(_accepted(journal, prompt("new")), 5)
    assert [u.prompt.id for u in await journal.unfinished()] == ["new"]
    assert path.exists()
    journal.close()


async def test_a_journal_of_a_newer_program_is_not_touched(path: Path) -> None:
    db = open_for_writing(path)
    db.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    db.close()
    journal = Journal(path)
    with pytest.raises(JournalError, match="newer broadcaster"):
        await journal.open()
    with pytest.raises(JournalError, match="newer broadcaster"):
        asrun_rows(path)
    journal.close()


def test_an_old_file_is_brought_up_to_date(path: Path) -> None:
    path.parent.mkdir()
    sqlite3.connect(path).close()
    db = open_for_writing(path)
    assert db.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
    assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert db.execute("PRAGMA synchronous").fetchone() == (2,)
    db.close()
    assert path.stat().st_mode & 0o077 == 0


def test_reading_before_there_is_anything_says_so(path: Path) -> None:
    with pytest.raises(JournalError, match="never run"):
        asrun_rows(path)


async def test_a_write_whose_caller_has_left_is_not_done(path: Path) -> None:
    journal = await opened(path)
    gate = asyncio.Event()
    loop = asyncio.get_running_loop()
    journal._writer.deferred(lambda db: asyncio.run_coroutine_threadsafe(gate.wait(), loop).result())
    leaving = asyncio.create_task(journal.accept(prompt("gone")))
    while journal._writer._jobs.qsize() < 1:  # the writer holds the first job, this one waits
        await asyncio.sleep(0)
    leaving.cancel()
    gate.set()
    await journal.flush()
    assert await journal.unfinished() == []
    journal.close()


async def _accepted(journal: Journal, wanted: Inbound) -> None:
    while True:
        try:
            await journal.accept(wanted)
            return
        except JournalError:
            time.sleep(0.05)  # noqa: ASYNC251  # the writer's own thread goes on
