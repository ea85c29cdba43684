"""What either database keeps, for how long, and what is left of somebody who is to be forgotten."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from broadcaster.journal import Journal, asrun_rows, retention
from broadcaster.journal.database import JournalPlace, open_for_reading, open_for_writing
from broadcaster.journal.decisions import Ban
from broadcaster.journal.retention import Keep
from broadcaster.types import (
    Exchange,
    Given,
    Happening,
    Inbound,
    Lane,
    Origin,
    Post,
    PostKind,
    PromptKind,
    Role,
    RoomEvent,
    Viewer,
    ViewerNote,
)
from broadcaster.wire import Aired

pytestmark = pytest.mark.contract

DAY = 86_400_000_000_000
SECOND = 1_000_000_000
NOW = time.time_ns()
MING = Viewer("bilibili:ming", "小明")
HONG = Viewer("bilibili:hong", "小红")


async def opened(place: JournalPlace, keep: Keep = Keep()) -> Journal:
    journal = Journal(place, keep)
    await journal.open()
    return journal


def asked(name: str, viewer: Viewer | None, *, at: int = NOW, given: tuple[Viewer, ...] = ()) -> Inbound:
    return Inbound(
        name, PromptKind.ASK, f"{name}问", Origin("bilibili", viewer.name if viewer else "", Role.VIEWER), at,
        viewer=viewer, lane=Lane.SUPER_CHAT,
        given=tuple(Given(each, Happening(RoomEvent.GIFT, "辣条", 1)) for each in given),
    )  # fmt: skip


def paid(name: str, viewer: Viewer, at: int = NOW) -> Post:
    raw = Viewer(viewer.id.removeprefix("bilibili:"), viewer.name)
    return Post("bilibili", PostKind.SUPER_CHAT, name, raw, f"{name}问", price=30_000, received_ns=at)


async def spoken(journal: Journal, prompt: Inbound, at: int) -> None:
    await journal.accept(prompt)
    journal.aired(Aired("heard", 1, prompt.id, 0, f"{prompt.id}答", "tone", 10, 48_000, at), "pass")
    journal.finish(prompt.id, "done")


def rows(place: JournalPlace, sql: str) -> list[tuple[Any, ...]]:
    db = open_for_reading(place)
    try:
        return db.execute(sql).fetchall()
    finally:
        db.close()


def change(place: JournalPlace, *statements: str) -> None:
    db = open_for_writing(place)
    for sql in statements:
        db.execute(sql)
    db.close()


NAMES = "SELECT id, text || author || viewer_name || coalesce(viewer_id, '') || coalesce(given, '') FROM prompts"


async def test_viewers_go_when_they_have_stayed_away_and_the_broadcast_goes_later(place: JournalPlace) -> None:
    journal = await opened(place)
    long_ago, very_long_ago = NOW - 100 * DAY, NOW - 500 * DAY
    for name, viewer, at in (("ming", MING, long_ago), ("hong", HONG, long_ago), ("oldest", MING, very_long_ago)):
        await asyncio.wrap_future(journal.posts.bring([paid(name, viewer, at)], 0))
        await journal.posts.queue({name: (asked(name, viewer, at=at), [f"bilibili:{name}"])})
        journal.aired(Aired("heard", 1, name, 0, f"{name}答", "tone", 10, 48_000, at), "pass")
        journal.finish(name, "done")
        await journal.decisions.decided("ban", "cli/root", prompt=name, viewer=viewer.id)
        journal.memory.keep_exchange(Exchange(name, viewer.id, "问", "答", at), 9)
    await journal.accept(asked("waits", MING, at=very_long_ago))
    journal.memory.keep_viewer(ViewerNote(MING.id, "小明", 1, long_ago, 1, 1, "茶"), 9)
    await journal.decisions.ban(Ban(MING.id, "小明", None, "cli/root", long_ago))
    await journal.decisions.ban(Ban(HONG.id, "小红", None, "cli/root", long_ago))
    await journal.flush()
    journal.close()
    change(
        place,
        f"UPDATE prompts SET finished_ns = received_ns + {SECOND} WHERE finished_ns IS NOT NULL",
        f"UPDATE posts SET finished_ns = received_ns + {SECOND}",
        f"UPDATE decisions SET at_ns = {long_ago} WHERE prompt <> 'oldest'",
        f"UPDATE decisions SET at_ns = {very_long_ago} WHERE prompt = 'oldest'",
        f"UPDATE audience SET last_ns = {NOW} WHERE id = '{HONG.id}'",  # she was here today
    )
    journal = await opened(place, Keep(days=400, viewer_days=90))
    await journal.prune()
    journal.close()
    assert dict(rows(place, NAMES)) == {
        "ming": "",
        "hong": f"hong问小红小红{HONG.id}",
        "waits": f"waits问小明小明{MING.id}",
    }
    assert rows(place, "SELECT key, text, viewer FROM posts ORDER BY key") == [
        ("bilibili:hong", "hong问", HONG.id),
        ("bilibili:ming", "", None),
    ]
    assert [(row["text"], row["author"]) for row in asrun_rows(place)] == [("hong答", "小红"), ("ming答", "")]
    assert rows(place, "SELECT id FROM audience") == [(HONG.id,)]
    assert rows(place, "SELECT count(*) FROM viewers") == [(0,)]
    assert rows(place, "SELECT prompt FROM exchanges ORDER BY prompt") == [("hong",)]
    assert rows(place, "SELECT prompt, viewer FROM decisions ORDER BY prompt") == [("hong", HONG.id), ("ming", "")]
    assert rows(place, "SELECT viewer, name FROM bans ORDER BY viewer") == [(HONG.id, "小红"), (MING.id, "")]


async def test_a_clean_up_is_done_in_bites(place: JournalPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BITE", 2)
    journal = await opened(place)
    for number in range(5):
        await spoken(journal, asked(f"p{number}", MING), NOW - 500 * DAY)
    before = journal._writer.commits
    await journal.prune()
    assert journal._writer.commits - before >= 3
    assert asrun_rows(place) == []
    journal.close()


async def test_a_viewer_is_forgotten_everywhere_but_what_they_paid_for_comes_first(place: JournalPlace) -> None:
    journal = await opened(place)
    await spoken(journal, asked("over", MING), NOW)
    await spoken(journal, asked("thanks", None, given=(MING, HONG)), NOW)
    await spoken(journal, asked("other", HONG), NOW)
    await asyncio.wrap_future(journal.posts.bring([paid("m1", MING), paid("m2", HONG)], 0))
    await journal.posts.queue({"queued": (asked("queued", MING), ["bilibili:m1"])})
    await journal.decisions.decided("drop", "cli/root", prompt="over", viewer=MING.id)
    await journal.decisions.ban(Ban(MING.id, "小明", None, "cli/root", NOW))
    assert await journal.memory.forget(MING.id) == 2, "the prompts that are over"
    left = dict(rows(place, NAMES))
    assert (left["over"], left["thanks"]) == ("", "")
    assert left["other"], "nobody else is forgotten"
    assert left["queued"], "it was paid for"
    authors = {row["prompt"]: row["author"] for row in asrun_rows(place)}
    assert authors == {"over": "", "thanks": "", "other": "小红"}
    assert rows(place, "SELECT viewer FROM decisions") == [("",)]
    assert [(each.viewer, each.name) for each in await journal.decisions.bans()] == [(MING.id, "")]
    journal.close()

    journal = await opened(place)  # the wish survives a restart
    await spoken(journal, asked("later", MING, at=NOW + 3_600 * SECOND), NOW)
    await journal.flush()
    assert dict(rows(place, NAMES))["queued"], "something else was over"
    journal.finish("queued", "done")
    await journal.flush()
    left = dict(rows(place, NAMES))
    assert left["queued"] == ""
    assert left["later"], "they have come back since"
    assert rows(place, "SELECT key, text, viewer FROM posts ORDER BY key") == [
        ("bilibili:m1", "", None),
        ("bilibili:m2", "m2问", HONG.id),
    ]
    assert rows(place, "SELECT id FROM audience") == [(HONG.id,)]
    assert rows(place, "SELECT count(*) FROM state WHERE key LIKE 'forget%'") == [(0,)]
    journal.close()


async def test_everybody_is_forgotten(place: JournalPlace) -> None:
    journal = await opened(place)
    await spoken(journal, asked("over", MING), NOW)
    await spoken(journal, asked("thanks", None, given=(MING,)), NOW)
    await asyncio.wrap_future(journal.posts.bring([paid("m1", MING)], 0))
    await journal.posts.queue({"queued": (asked("queued", MING), ["bilibili:m1"])})
    await journal.memory.forget()
    journal.finish("queued", "done")
    await journal.flush()
    assert {text for _, text in rows(place, NAMES)} == {""}
    assert rows(place, "SELECT text, viewer FROM posts") == [("", None)]
    assert rows(place, "SELECT count(*) FROM audience") == [(0,)]
    journal.close()


def gaps(place: JournalPlace) -> list[tuple[str, float]]:
    return [
        (row["source"], (row["end_ns"] - row["start_ns"]) / SECOND)
        for row in reversed(asrun_rows(place))
        if row["outcome"] == "gap"
    ]


async def test_the_time_without_a_director_is_in_the_log(place: JournalPlace) -> None:
    journal = await opened(place)
    journal.arrive(time.time_ns())
    journal.live()
    await journal.flush()
    assert gaps(place) == [], "the first one missed nothing"
    journal.close()  # killed: nobody said goodbye
    last = rows(place, "SELECT changed_ns FROM state WHERE key = 'alive'")[0][0]

    journal = await opened(place)
    journal.arrive(last + 3 * SECOND)
    await journal.flush()
    assert gaps(place) == [("killed", 3.0)]
    journal.leave()
    journal.live()  # it is leaving: this is not told
    journal.close()
    value, last = rows(place, "SELECT value, changed_ns FROM state WHERE key = 'alive'")[0]
    assert value == "off"

    journal = await opened(place)
    journal.arrive(last + 3 * SECOND)  # a restart that was asked for
    await journal.flush()
    assert len(gaps(place)) == 1
    journal.leave()
    journal.close()
    last = rows(place, "SELECT changed_ns FROM state WHERE key = 'alive'")[0][0]

    journal = await opened(place)
    journal.arrive(last - 3 * SECOND)  # the clock was set back: not worth guessing
    await journal.flush()
    journal.leave()
    journal.close()
    last = rows(place, "SELECT changed_ns FROM state WHERE key = 'alive'")[0][0]

    journal = await opened(place)
    journal.arrive(last + 60 * SECOND)
    await journal.flush()
    assert gaps(place) == [("killed", 3.0), ("stopped", 60.0)]
    journal.close()
