"""One suite over every database that may keep the journal: a file of SQLite, and a server of PostgreSQL."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from pathlib import Path

import pytest

from broadcaster.config.address import Server
from broadcaster.errors import JournalError
from broadcaster.journal import Journal, asrun_rows
from broadcaster.journal.audience import Seen
from broadcaster.journal.database import JournalPlace, journal_place, open_for_reading, open_for_writing
from broadcaster.journal.decisions import Ban
from broadcaster.journal.memory import read_memory
from broadcaster.journal.migrations import MIGRATIONS
from broadcaster.journal.reading import asrun_since, decision_rows, prompt_story
from broadcaster.journal.traces import read_traces
from broadcaster.latency import Trace
from broadcaster.types import (
    Exchange,
    Given,
    Happening,
    Inbound,
    Lane,
    Manner,
    Origin,
    Post,
    PostKind,
    PromptKind,
    Role,
    RoomEvent,
    Spent,
    Verdict,
    VerdictKind,
    Viewer,
    ViewerNote,
)
from broadcaster.wire import Aired
from tests.support.postgres import PostgresServer

pytestmark = pytest.mark.contract

BY = Origin("test", "me", Role.OPERATOR)
NOW = time.time_ns()


async def opened(place: JournalPlace) -> Journal:
    journal = Journal(place)
    await journal.open()
    return journal


def prompt(name: str, at: int = 0, text: str = "你好") -> Inbound:
    return Inbound(name, PromptKind.SAY, text, Origin("chat", "somebody", Role.VIEWER), NOW + at)


def aired(event: str, sentence: int = 0, tick: int = 10, samples: int = 0, generation: int = 1) -> Aired:
    return Aired(event, generation, "p1", sentence, f"句{sentence}", "tone", tick, samples, time.time_ns())


async def test_a_prompt_with_all_it_has_comes_back_after_a_restart(place: JournalPlace) -> None:
    viewer = Viewer("bilibili:u1", "小明'; DROP TABLE prompts; --")
    asked = Inbound(
        "p1", PromptKind.EVENT, "100% ? $1 :x {}", Origin("bilibili", "小明", Role.VIEWER), NOW + 5,
        Manner(1.25, -2.5, "zm_yunjian"), viewer, True, Happening(RoomEvent.GIFT, "辣条", 3), Path("/a/b.wav"),
        Lane.SUPPORT, 2**40, 7, (Given(viewer, Happening(RoomEvent.GIFT, "辣条", 3)),), "bilibili:m1", True,
    )  # fmt: skip
    journal = await opened(place)
    await journal.accept(asked)
    await journal.accept(prompt("p0", 1))
    await journal.start("p1")
    journal.line("p1", 0, Verdict(VerdictKind.PASS, "句0"))
    journal.line("p1", 1, Verdict(VerdictKind.MASK, "句1"))
    journal.line("p1", 1, Verdict(VerdictKind.MASK, "句壹"))
    journal.script_complete("p1")
    journal.aired(aired("on_air"), "pass")
    journal.aired(aired("heard", samples=100), "pass")
    journal.close()
    journal = await opened(place)
    waits, begun = await journal.unfinished()
    assert (waits.prompt, waits.started) == (prompt("p0", 1), False)
    assert (begun.prompt, begun.started, begun.complete, begun.heard) == (asked, True, True, ("句0",))
    assert begun.known == {(1, 0)}
    assert [(line.text, line.verdict) for line in begun.script] == [("句0", "pass"), ("句壹", "mask")]
    journal.requeue("p1")
    journal.finish("p0", "skipped", "dropped")
    assert [(left.prompt.id, left.started, left.script) for left in await journal.unfinished()] == [("p1", False, ())]
    journal.close()


async def test_the_as_run_log_says_who_what_when_and_how_far(place: JournalPlace) -> None:
    journal = await opened(place)
    await journal.accept(prompt("p1"))
    for _ in range(2):  # told twice counts once
        for event in (aired("on_air", 0, 100), aired("heard", 0, 150, 96_000), aired("on_air", 1, 150)):
            journal.aired(event, "pass")
    journal.broken_off("p1", 1)
    await journal.flush()
    lost, heard = asrun_rows(place)
    assert (heard["text"], heard["outcome"], heard["start_tick"], heard["end_tick"]) == ("句0", "heard", 100, 150)
    assert (heard["source"], heard["author"], heard["role"], heard["engine"]) == (
        "chat",
        "somebody",
        "viewer",
        "tone",
    )
    assert (lost["outcome"], lost["samples"]) == ("lost", None)
    journal.aired(aired("cut", 1, 160, 19_200), "mask")
    journal.aired(aired("cut", 2, samples=0), "")
    journal.break_off_all()
    await journal.flush()
    cut, heard = asrun_rows(place)
    assert (cut["outcome"], cut["samples"]) == ("cut", 19_200)
    assert asrun_rows(place, limit=1) == [cut]
    assert asrun_rows(place, before=cut["row"]) == [heard]
    journal.close()


@pytest.mark.parametrize("before", ["lost", "cut"])
async def test_a_sentence_of_the_same_numbers_after_the_daemon_ended_is_another_one(
    place: JournalPlace, before: str
) -> None:
    journal = await opened(place)
    await journal.accept(prompt("p1"))
    await journal.start("p1")
    journal.aired(aired("on_air", 0, 100), "pass")
    if before == "cut":
        cut = aired("cut", 0, 120, 480)
        journal.aired(cut, "pass")
        journal.aired(cut, "pass")  # told twice counts once
    journal.break_off_all()
    at_ns = time.time_ns() + 10**9
    for event, tick, samples in (("on_air", 7, 0), ("on_air", 7, 0), ("heard", 20, 480)):
        journal.aired(Aired(event, 1, "p1", 0, "句", "tone", tick, samples, at_ns), "pass")
    await journal.flush()
    assert [(row["text"], row["outcome"], row["start_tick"]) for row in reversed(asrun_rows(place))] == [
        ("句0", before, 100),
        ("句", "heard", 7),
    ]
    (left,) = await journal.unfinished()
    assert left.heard == ("句",)
    journal.close()


async def test_the_panic_is_remembered(place: JournalPlace) -> None:
    journal = await opened(place)
    assert await journal.panicked() is None
    await journal.set_panicked(True, BY)
    assert await journal.panicked() is True
    journal.close()
    journal = await opened(place)
    assert await journal.panicked() is True
    await journal.set_panicked(False, BY)
    assert await journal.panicked() is False
    journal.close()


async def test_what_has_gathered_is_one_transaction_and_a_bad_entry_fails_alone(place: JournalPlace) -> None:
    journal = await opened(place)
    before = journal._writer.commits
    await asyncio.gather(*(journal.accept(prompt(f"p{number}", number)) for number in range(200)))
    assert journal._writer.commits - before <= 50, "far fewer than one each; how few is for the machine to say"
    results = await asyncio.gather(
        *(journal.accept(prompt(name)) for name in ("a", "a", "b")),
        journal.accept(prompt("surrogate", text="\ud800")),
        journal._writer.durable(lambda db: db.execute("SELECT nothing FROM prompts")),
        journal.accept(prompt("c")),
        return_exceptions=True,
    )
    assert [isinstance(result, JournalError) for result in results] == [False, True, False, True, True, False]
    assert {"a", "b", "c"} <= {left.prompt.id for left in await journal.unfinished()}
    assert (journal.error, journal.lost) == ("", 0)
    journal.close()


async def test_the_mind_keeps_its_conversation_within_bounds(place: JournalPlace) -> None:
    journal = await opened(place)
    for number in range(5):
        journal.memory.keep_exchange(Exchange(f"p{number}", "v1", f"问{number}", "答", NOW + number), keep=3)
    journal.memory.keep_exchange(Exchange("p3", "v1", "问3", "更长", NOW, cut=True), keep=3)
    for number, seen in ((1, 50), (2, 10), (3, 30)):
        journal.memory.keep_viewer(ViewerNote(f"v{number}", "小明", NOW, NOW + seen, 1, 1, "茶"), keep=2)
    journal.memory.keep_viewer(ViewerNote("v1", "小明明", NOW, NOW + 60, 2, 1, "茶"), keep=2)
    journal.memory.keep_summary("聊了\0天气。")
    journal.memory.keep_summary("聊了天气。")
    assert [(each.prompt, each.cut) for each in await journal.memory.exchanges(2)] == [("p3", True), ("p4", False)]
    assert await journal.memory.viewers() == 2
    assert await journal.memory.viewer("v2") is None
    assert await journal.memory.viewer("v1") == ViewerNote("v1", "小明明", NOW, NOW + 60, 2, 1, "茶")
    found = read_memory(place, None, 9)
    assert (found["summary"], found["known"], len(found["exchanges"])) == ("聊了天气。", 2, 3)
    assert [each["id"] for each in read_memory(place, "v3", 9)["viewers"]] == ["v3"]
    assert await journal.memory.forget("v1") == 4
    assert (await journal.memory.summary(), await journal.memory.viewers()) == ("", 1)
    assert await journal.memory.forget() == 1
    journal.close()


async def test_what_is_spent_adds_up_and_traces_come_back(place: JournalPlace) -> None:
    journal = await opened(place)
    journal.ledger.add("2026-11-24", Spent("qwen", 1, 100, 20, 1_500))
    journal.ledger.add("2026-11-24", Spent("qwen", 1, 50, 10, 700))
    assert await journal.ledger.spent("2026-11-24") == [Spent("qwen", 2, 150, 30, 2_200)]
    traces = [
        Trace(f"p{number}", 0, "ask", "qwen", "kokoro", NOW + number, {"accepted": 1}, 5) for number in range(3)
    ]
    for trace in traces:
        journal.traces.keep(trace)
    await journal.flush()
    assert read_traces(place) == traces
    assert read_traces(place, turns=1) == traces[2:]
    assert read_traces(place, since_ns=NOW + 1) == traces[1:]
    journal.close()


async def test_two_channels_in_one_database_do_not_meet(server: PostgresServer, tmp_path: Path) -> None:
    one, two = (journal_place(server.url, f"{name}-meet", tmp_path) for name in ("one", "two"))
    first, second = await opened(one), await opened(two)
    await first.accept(prompt("p1"))
    await second.accept(prompt("p1", text="再见"))
    await first.set_panicked(True, BY)
    assert await second.panicked() is None
    assert [left.prompt.text for left in await second.unfinished()] == ["再见"]
    first.close()
    second.close()


def test_reading_before_there_is_anything_says_so(place: JournalPlace) -> None:
    with pytest.raises(JournalError, match="never run"):
        asrun_rows(place)


async def test_a_reader_cannot_write(place: JournalPlace) -> None:
    journal = await opened(place)
    db = open_for_reading(place)
    with pytest.raises(JournalError, match=r"read.?only"):
        db.execute("DELETE FROM prompts")
    db.close()
    journal.close()


async def test_a_journal_of_another_version_is_not_touched(place: JournalPlace) -> None:
    (await opened(place)).close()
    _set_version(place, len(MIGRATIONS) + 1)
    journal = Journal(place)
    with pytest.raises(JournalError, match="newer broadcaster"):
        await journal.open()
    with pytest.raises(JournalError, match="newer broadcaster"):
        asrun_rows(place)
    journal.close()


def _set_version(place: JournalPlace, version: int) -> None:
    db = open_for_writing(place)
    if isinstance(place, Server):
        db.execute("UPDATE journal_version SET version = ?", (version,))
    else:
        db.execute(f"PRAGMA user_version = {version}")
    db.close()


async def test_paid_posts_are_stored_once_and_end_with_their_prompt(place: JournalPlace) -> None:
    journal = await opened(place)
    viewer = Viewer("u1", "小明", 3, "粉丝", 12, 3)
    posts = [
        Post("bilibili", PostKind.SUPER_CHAT, "m1", viewer, "你好？", price=30_000, received_ns=NOW),
        Post("bilibili", PostKind.GIFT, "m2", viewer, item="辣条", count=5, price=500, received_ns=NOW + 1),
        Post("bilibili", PostKind.SUPER_CHAT, "m4", viewer, "再见？", price=30_000, received_ns=NOW + 2),
    ]
    first = await asyncio.wrap_future(journal.posts.bring(posts, NOW))
    again = await asyncio.wrap_future(journal.posts.bring(posts, NOW))
    assert ([post.key for post in first.new], again.new) == ([post.key for post in posts], ())
    waiting, count = await journal.posts.waiting(Lane.SUPER_CHAT, 9)
    assert (waiting, count) == ([posts[0], posts[2]], 2)
    assert (await journal.posts.waiting(Lane.THANKS, 9))[1] == 1
    asked = Inbound(
        "p1", PromptKind.ASK, "你好？", Origin("bilibili", "小明", Role.VIEWER), NOW, lane=Lane.SUPER_CHAT
    )
    assert await journal.posts.queue({"p1": (asked, [posts[0].key])}) == {"p1"}
    journal.finish("p1", "done")
    revoked = Post("bilibili", PostKind.REVOKE, "r1", received_ns=NOW, revokes=("m2", "m3", "m4"))
    taken = await asyncio.wrap_future(journal.posts.bring([revoked], NOW))
    assert taken.revoked == (("bilibili:m4", None),)
    db = open_for_reading(place)
    assert db.execute("SELECT key, state FROM posts ORDER BY key").fetchall() == [
        ("bilibili:m1", "done"),
        ("bilibili:m2", "waiting"),  # only super chats are taken back
        ("bilibili:m3", "revoked"),
        ("bilibili:m4", "revoked"),
    ]
    assert db.execute("SELECT id, paid, level, guard FROM audience").fetchall() == [("bilibili:u1", 60_500, 3, 3)]
    db.close()
    journal.close()


async def test_what_is_decided_is_kept_with_who_did_it(place: JournalPlace) -> None:
    journal = await opened(place)
    asked = prompt("p1")
    journal.decisions.chosen(asked, {"score": 1.5, "question": True})
    journal.decisions.chosen(asked, {"score": 2.5})
    journal.decisions.changed(replace(asked, text="改了", approved=True))
    await journal.decisions.decided("edit", "cli/root", prompt="p1", viewer="v1", detail="")
    for until in (NOW + 10**12, None):
        await journal.decisions.ban(Ban("v1", "小明", until, "cli/root", NOW))
    await journal.decisions.ban(Ban("v2", "小红", 1, "cli/root", NOW))
    assert await journal.decisions.bans() == [Ban("v1", "小明", None, "cli/root", NOW)]
    assert (await journal.decisions.lift("v1"), await journal.decisions.lift("v1")) == (True, False)
    assert await journal.decisions.setting("slow") is None
    journal.decisions.note("slow", "10")
    await journal.decisions.set("slow", "20")
    assert await journal.decisions.setting("slow") == "20"
    found = prompt_story(place, "p1")
    assert found is not None
    assert (found["text"], found["approved"], found["why"]) == ("改了", 1, '{"score":2.5}')
    assert [each["action"] for each in found["decisions"]] == ["edit"]
    assert [each["by_whom"] for each in decision_rows(place, 9)] == ["cli/root"]
    assert (decision_rows(place, 9, time.time_ns() + 10**12), prompt_story(place, "p2")) == ([], None)
    journal.close()


async def test_who_is_in_the_room_is_kept_and_what_they_paid_left_alone(place: JournalPlace) -> None:
    journal = await opened(place)
    viewer = Viewer("bilibili:u1", "小明", 3, "粉丝", 12, 3)
    await asyncio.wrap_future(
        journal.posts.bring(
            [Post("bilibili", PostKind.GIFT, "m1", Viewer("u1", "小明"), price=500, received_ns=NOW)], 7
        )
    )
    for posts in (1, 2):
        journal.audience.keep([Seen(viewer, 0, 7, posts, NOW, NOW + posts)])
    assert await journal.audience.recent(9) == [Seen(viewer, 500, 7, 2, NOW, NOW + 2)]
    journal.posts.skip("bilibili:m1", "too_old")
    assert (await journal.posts.waiting(Lane.THANKS, 9))[1] == 0
    total, pages = asrun_since(place)
    assert (total, list(pages)) == (0, [])
    journal.close()
