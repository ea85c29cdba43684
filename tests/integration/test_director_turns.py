"""Cutting in on what is on air, and going on afterwards: a director with playout over the real socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from broadcaster.journal import asrun_rows
from broadcaster.paths import Paths
from broadcaster.types import Happening, Inbound, PromptKind, RoomEvent, Viewer
from broadcaster.wire import Cut, Trim
from tests.support.directing import LONG, MODERATOR, Station, station
from tests.support.waiting import until

pytestmark = pytest.mark.integration

SENTENCES = [f"{part}。" for part in LONG.split("。") if part]
URGENT = "插播一条消息。"
BRIDGE = "接着说。"
AT_ONCE = {"say": {"cuts": "at_once"}, "bridge": [BRIDGE]}
AFTER = {"say": {"cuts": "after_sentence"}, "bridge": [BRIDGE]}


@pytest.fixture
async def after(paths: Paths) -> AsyncIterator[Station]:
    async with station(paths, turns=AFTER) as on:
        yield on


async def begin(on: Station, text: str = LONG, *, within: str, resumable: bool = True) -> Inbound:
    """Accepts a text; returns when that sentence of it is on air, where playout stays."""
    on.playout.pause_in(within)
    prompt = await on.say(text, resumable=resumable)
    await reached(on, within)
    return prompt


async def reached(on: Station, sentence: str) -> None:
    await until(lambda: any(e["type"] == "on_air" and e["text"] == sentence for e in on.events))


async def cut_in(on: Station, text: str = URGENT, then: str | None = None) -> Inbound:
    """Accepts another text; playout goes on when it knows of it, up to the sentence `then`."""
    before = orders(on)
    urgent = await on.say(text)
    await until(lambda: orders(on) > before)
    on.playout.pause_in(then)
    return urgent


def orders(on: Station) -> int:
    return len(on.playout.messages(Trim)) + len(on.playout.messages(Cut))


def spoken(on: Station) -> list[str]:
    return [text.strip() for text in on.playout.heard()]


def rows(on: Station, *keys: str) -> list[tuple[Any, ...]]:
    return [tuple(row[key] for key in keys) for row in reversed(asrun_rows(on.paths.journal, 50, None))]


async def test_behind_the_sentence_the_other_is_heard_and_then_it_goes_on_with_a_bridge(after: Station) -> None:
    long = await begin(after, within=SENTENCES[1])
    urgent = await cut_in(after)
    await after.ended(long.id, urgent.id)
    assert spoken(after) == [*SENTENCES[:2], URGENT, BRIDGE, *SENTENCES[2:]]
    assert "cut" not in after.playout.events(long.id)
    assert after.playout.messages(Cut) == []
    held = [event for event in after.events if event["type"] == "held"]
    assert held == [{"type": "held", "id": long.id, "sentence": 2}]
    assert after.types(long.id).count("done") == 1
    assert after.director.status()["counters"]["held"] == 1
    await after.director.journal.flush()
    assert [outcome for (outcome,) in rows(after, "outcome")] == ["heard"] * 6
    assert (BRIDGE, "bridge") in rows(after, "text", "verdict")


async def test_at_once_the_sentence_is_broken_off_and_said_again(paths: Paths) -> None:
    async with station(paths, turns=AT_ONCE) as on:
        long = await begin(on, within=SENTENCES[1])
        urgent = await cut_in(on)
        await on.ended(long.id, urgent.id)
        assert spoken(on) == [SENTENCES[0], URGENT, BRIDGE, *SENTENCES[1:]]
        assert on.playout.events(long.id).count("cut") == 1
        assert [e["sentence"] for e in on.events if e["type"] == "held"] == [1]
        await on.director.journal.flush()
        assert rows(on, "outcome").count(("cut",)) == 1


async def test_cut_at_once_in_its_first_sentence_it_begins_again_with_a_bridge(paths: Paths) -> None:
    async with station(paths, turns=AT_ONCE) as on:
        long = await begin(on, within=SENTENCES[0])
        urgent = await cut_in(on)
        await on.ended(long.id, urgent.id)
        assert spoken(on) == [URGENT, BRIDGE, *SENTENCES]


async def test_it_is_cut_again_and_again_and_nothing_is_lost_or_said_twice(after: Station) -> None:
    long = await begin(after, within=SENTENCES[0])
    for within in (SENTENCES[1], SENTENCES[3], None):
        urgent = await cut_in(after, then=within)
        await after.ended(urgent.id)
        if within is not None:
            await reached(after, within)
    await after.ended(long.id)
    first, second, third, fourth = SENTENCES
    assert spoken(after) == [first, URGENT, BRIDGE, second, URGENT, BRIDGE, third, fourth, URGENT]
    assert after.types(long.id)[-1] == "done"


async def test_while_something_waits_that_may_cut_it_it_does_not_go_on(after: Station) -> None:
    long = await begin(after, within=SENTENCES[0])
    for number in range(2):
        await after.say(f"第{number}条插播。")
    await cut_in_done(after, "第2条插播。")
    await after.ended(long.id)
    assert spoken(after) == [
        SENTENCES[0], "第0条插播。", "第1条插播。", "第2条插播。", BRIDGE, *SENTENCES[1:],
    ]  # fmt: skip


async def cut_in_done(on: Station, text: str) -> None:
    """Another one, when playout knows of the first that cut in."""
    await on.say(text)
    await until(lambda: orders(on) > 0)
    on.playout.pause_in(None)


async def test_what_is_not_resumable_or_may_not_be_cut_is_waited_for(after: Station) -> None:
    plain = await begin(after, within=SENTENCES[0], resumable=False)
    urgent = await after.say(URGENT)
    after.playout.pause_in(None)
    await after.ended(plain.id, urgent.id)
    assert spoken(after) == [*SENTENCES, URGENT]
    assert after.playout.messages(Trim) == []


async def test_what_is_not_resumable_and_may_be_cut_ends_for_good(paths: Paths) -> None:
    turns = {"say": {"cuts": "after_sentence", "over": "any"}}
    async with station(paths, turns=turns) as on:
        plain = await begin(on, within=SENTENCES[1], resumable=False)
        urgent = await cut_in(on)
        await on.ended(plain.id, urgent.id)
        assert spoken(on) == [*SENTENCES[:2], URGENT]
        cut = next(event for event in on.events if event["type"] == "cut")
        assert (cut["id"], cut["sentence"], cut["samples"]) == (plain.id, 2, 0)


async def test_an_event_waits_and_what_was_about_to_begin_makes_way_unheard(after: Station) -> None:
    await begin(after, within=SENTENCES[0], resumable=False)
    second = await after.say(LONG, resumable=True)
    await until(lambda: len(after.director.rundown.active) == 2 and after.director.rundown.active[1].spoken)
    await after.director.accept(
        PromptKind.EVENT, "", MODERATOR, viewer=Viewer("7", "小明"), happening=Happening(RoomEvent.FOLLOW)
    )
    urgent = await cut_in(after)
    await after.ended(second.id, urgent.id)
    assert spoken(after)[: len(SENTENCES) * 2 + 1] == [*SENTENCES, URGENT, *SENTENCES]
    assert "held" not in after.types(second.id)


async def test_interrupt_and_panic_end_a_resumable_text_for_good(after: Station) -> None:
    first = await begin(after, within=SENTENCES[1])
    await after.director.interrupt(MODERATOR)
    await after.ended(first.id)
    after.events.clear()
    second = await begin(after, within=SENTENCES[1])
    await after.director.panic(MODERATOR)
    await after.ended(second.id)
    assert after.types(second.id)[-1] == "cut"
    assert BRIDGE not in spoken(after)


async def test_a_playout_that_dies_while_it_makes_way_changes_nothing(after: Station) -> None:
    long = await begin(after, within=SENTENCES[1])
    urgent = await cut_in(after, then=SENTENCES[1])
    await after.playout.kill()
    await after.playout.start()
    after.playout.pause_in(None)
    await after.ended(long.id, urgent.id)
    assert spoken(after) == [*SENTENCES[:2], URGENT, BRIDGE, *SENTENCES[2:]]


async def test_at_the_end_of_the_daemon_it_is_put_back_and_goes_on_at_the_next_start(paths: Paths) -> None:
    async with station(paths, turns=AFTER) as on:
        long = await begin(on, within=SENTENCES[1])
        ending = asyncio.create_task(on.director.finish())
        await until(lambda: orders(on) > 0)
        on.playout.pause_in(None)
        await ending
        assert spoken(on) == SENTENCES[:2]
        await until(lambda: on.types(long.id)[-1] == "held")
    async with station(paths, turns=AFTER) as on:
        await on.ended(long.id)
        assert spoken(on) == [BRIDGE, *SENTENCES[2:]]
        assert on.types(long.id)[-1] == "done"


async def test_held_at_a_crash_it_goes_on_after_it(paths: Paths) -> None:
    async with station(paths, turns=AFTER) as on:
        long = await begin(on, within=SENTENCES[1])
        await cut_in(on, then=URGENT)
        await reached(on, URGENT)
        assert "held" in on.types(long.id)
        await on.director.journal.flush()
    async with station(paths, turns=AFTER) as on:
        await on.ended(long.id)
        assert spoken(on)[-3:] == [BRIDGE, *SENTENCES[2:]]
        assert not set(spoken(on)) & set(SENTENCES[:2])


async def test_the_queue_shows_what_is_held(after: Station) -> None:
    long = await begin(after, within=SENTENCES[0])
    await cut_in(after, then=URGENT)
    await reached(after, URGENT)
    shown = after.director.status()["next"]
    assert [(entry["id"], entry["held"]) for entry in shown] == [(long.id, True)]
    after.playout.pause_in(None)
