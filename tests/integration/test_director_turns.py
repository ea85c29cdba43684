"""Cutting in on what is on air, and going on afterwards: a director with playout over the real socket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from broadcaster.journal import asrun_rows
from broadcaster.paths import Paths
from broadcaster.types import Happening, PromptKind, RoomEvent, Viewer
from broadcaster.wire import Cut, Trim
from tests.support.directing import LONG, MODERATOR, Station, station, until

pytestmark = pytest.mark.integration

SENTENCES = [f"{part}。" for part in LONG.split("。") if part]
URGENT = "插播一条消息。"
BRIDGE = "接着说。"
AT_ONCE = {"say": {"cuts": "at_once"}, "bridge": [BRIDGE]}
AFTER = {"say": {"cuts": "after_sentence"}, "bridge": [BRIDGE]}


@pytest.fixture
async def after(paths: Paths) -> AsyncIterator[Station]:
    async with station(paths, turns=AFTER) as on:
        on.playout.speed = 8.0
        yield on


async def on_air(on: Station, prompt: str, sentence: int) -> None:
    await until(
        lambda: any(e["type"] == "on_air" and e["id"] == prompt and e["sentence"] == sentence for e in on.events)
    )


def spoken(on: Station) -> list[str]:
    return [text.strip() for text in on.playout.heard()]


def rows(on: Station, *keys: str) -> list[tuple[Any, ...]]:
    return [tuple(row[key] for key in keys) for row in reversed(asrun_rows(on.paths.journal, 50, None))]


async def test_behind_the_sentence_the_other_is_heard_and_then_it_goes_on_with_a_bridge(after: Station) -> None:
    long = await after.say(LONG, resumable=True)
    await on_air(after, long.id, 1)
    urgent = await after.say(URGENT)
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
    assert (BRIDGE, "bridge") in [(text.strip(), verdict) for text, verdict in rows(after, "text", "verdict")]


async def test_at_once_the_sentence_is_broken_off_and_said_again(paths: Paths) -> None:
    async with station(paths, turns=AT_ONCE) as on:
        on.playout.speed = 4.0
        long = await on.say(LONG, resumable=True)
        await on_air(on, long.id, 1)
        urgent = await on.say(URGENT)
        await on.ended(long.id, urgent.id)
        assert spoken(on) == [SENTENCES[0], URGENT, BRIDGE, *SENTENCES[1:]]
        assert on.playout.events(long.id).count("cut") == 1
        assert [e["sentence"] for e in on.events if e["type"] == "held"] == [1]
        await on.director.journal.flush()
        assert rows(on, "outcome").count(("cut",)) == 1


async def test_it_is_cut_again_and_again_and_nothing_is_lost_or_said_twice(after: Station) -> None:
    long = await after.say(LONG, resumable=True)
    others = []
    for sentence in (0, 2, 4):
        await on_air(after, long.id, sentence)
        others.append(await after.say(URGENT))
        await after.ended(others[-1].id)
    await after.ended(long.id)
    heard = spoken(after)
    assert [text for text in heard if text in SENTENCES] == SENTENCES
    assert heard.count(URGENT) == 3
    assert heard.count(BRIDGE) == 3


async def test_while_something_waits_that_may_cut_it_it_does_not_go_on(after: Station) -> None:
    long = await after.say(LONG, resumable=True)
    await on_air(after, long.id, 0)
    for number in range(3):
        await after.say(f"第{number}条插播。")
    await after.ended(long.id)
    assert spoken(after) == [
        SENTENCES[0], "第0条插播。", "第1条插播。", "第2条插播。", BRIDGE, *SENTENCES[1:],
    ]  # fmt: skip


async def test_what_is_not_resumable_or_may_not_be_cut_is_waited_for(after: Station) -> None:
    plain = await after.say(LONG)
    await on_air(after, plain.id, 0)
    urgent = await after.say(URGENT)
    await after.ended(plain.id, urgent.id)
    assert spoken(after) == [*SENTENCES, URGENT]
    assert after.playout.messages(Trim) == []


async def test_what_is_not_resumable_and_may_be_cut_ends_for_good(paths: Paths) -> None:
    turns = {"say": {"cuts": "after_sentence", "over": "any"}}
    async with station(paths, turns=turns) as on:
        on.playout.speed = 8.0
        plain = await on.say(LONG)
        await on_air(on, plain.id, 1)
        urgent = await on.say(URGENT)
        await on.ended(plain.id, urgent.id)
        assert spoken(on) == [*SENTENCES[:2], URGENT]
        assert on.types(plain.id)[-1] == "cut"
        cut = next(event for event in on.events if event["type"] == "cut")
        assert (cut["sentence"], cut["samples"]) == (2, 0)


async def test_an_event_waits_and_what_was_about_to_begin_makes_way_unheard(after: Station) -> None:
    plain = await after.say(LONG)
    await on_air(after, plain.id, 0)
    second = await after.say(LONG, resumable=True)
    await until(lambda: after.director.status()["queue"]["length"] == 1 and len(after.director.rundown.active) == 2)
    await after.director.accept(
        PromptKind.EVENT, "", MODERATOR, viewer=Viewer("7", "小明"), happening=Happening(RoomEvent.FOLLOW)
    )
    urgent = await after.say(URGENT)
    await after.ended(second.id, urgent.id)
    assert spoken(after)[: len(SENTENCES) * 2 + 1] == [*SENTENCES, URGENT, *SENTENCES]
    assert "held" not in after.types(second.id)


async def test_interrupt_and_panic_end_a_resumable_text_for_good(after: Station) -> None:
    first = await after.say(LONG, resumable=True)
    await on_air(after, first.id, 1)
    await after.director.interrupt(MODERATOR)
    await after.ended(first.id)
    second = await after.say(LONG, resumable=True)
    await on_air(after, second.id, 1)
    await after.director.panic(MODERATOR)
    await after.ended(second.id)
    assert [after.types(prompt.id)[-1] for prompt in (first, second)] == ["cut", "cut"]
    assert BRIDGE not in spoken(after)


async def test_a_playout_that_dies_while_it_makes_way_changes_nothing(after: Station) -> None:
    long = await after.say(LONG, resumable=True)
    await on_air(after, long.id, 1)
    urgent = await after.say(URGENT)
    await after.playout.kill()
    await after.playout.start()
    await after.ended(long.id, urgent.id)
    heard = spoken(after)
    assert [text for text in dict.fromkeys(heard) if text in SENTENCES] == SENTENCES
    assert heard.index(URGENT) < heard.index(BRIDGE) < heard.index(SENTENCES[-1])


async def test_at_the_end_of_the_daemon_it_is_put_back_and_goes_on_at_the_next_start(paths: Paths) -> None:
    async with station(paths, turns=AFTER) as on:
        on.playout.speed = 8.0
        long = await on.say(LONG, resumable=True)
        await on_air(on, long.id, 1)
        await on.director.finish()
        assert spoken(on) == SENTENCES[:2]
        await until(lambda: on.types(long.id)[-1] == "held")
    async with station(paths, turns=AFTER) as on:
        await on.ended(long.id)
        assert spoken(on) == [BRIDGE, *SENTENCES[2:]]
        assert on.types(long.id)[-1] == "done"


async def test_held_at_a_crash_it_goes_on_after_it(paths: Paths) -> None:
    async with station(paths, turns=AFTER) as on:
        on.playout.speed = 8.0
        long = await on.say(LONG, resumable=True)
        await on_air(on, long.id, 1)
        urgent = await on.say(URGENT * 6)
        await on_air(on, urgent.id, 0)
        assert on.types(long.id)[-1] == "held"
    async with station(paths, turns=AFTER) as on:
        await on.ended(long.id)
        assert spoken(on)[-3:] == [BRIDGE, *SENTENCES[2:]]
        assert not set(spoken(on)) & set(SENTENCES[:2])


async def test_the_queue_shows_what_is_held(after: Station) -> None:
    long = await after.say(LONG, resumable=True)
    await on_air(after, long.id, 0)
    urgent = await after.say(URGENT * 6)
    await on_air(after, urgent.id, 0)
    shown = after.director.status()["next"]
    assert [(entry["id"], entry["held"]) for entry in shown] == [(long.id, True)]
