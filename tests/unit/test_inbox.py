"""The queue of prompts: order, bound, coming back."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from broadcaster.config import Inbox as Settings
from broadcaster.config import Ttl
from broadcaster.errors import Refused
from broadcaster.inbox import Inbox
from broadcaster.types import Inbound, Lane, Origin, PromptKind, Role

pytestmark = pytest.mark.unit


def prompt(name: str, role: Role = Role.VIEWER, at: int = 0) -> Inbound:
    return Inbound(name, PromptKind.SAY, name, Origin("test", role=role), at)


def put(inbox: Inbox, *prompts: Inbound) -> None:
    for each in prompts:
        inbox.reserve()
        inbox.put(each)


async def take_all(inbox: Inbox) -> list[str]:
    return [(await inbox.take()).id for _ in range(len(inbox))]


async def test_moderators_come_before_viewers_and_older_before_newer() -> None:
    inbox = Inbox(Settings(capacity=10))
    put(
        inbox,
        prompt("v1", at=1),
        prompt("v2", at=2),
        prompt("m4", Role.MODERATOR, at=4),
        prompt("o3", Role.OPERATOR, at=3),
    )
    assert [each.id for each in inbox.peek(2)] == ["o3", "m4"]
    assert await take_all(inbox) == ["o3", "m4", "v1", "v2"]


async def test_full_is_refused_aloud_and_counted() -> None:
    inbox = Inbox(Settings(capacity=2))
    put(inbox, prompt("a", at=1))
    inbox.reserve()  # one on its way into the journal counts too
    with pytest.raises(Refused, match="full") as refusal:
        inbox.reserve()
    assert refusal.value.code == "full"
    assert inbox.refused_full == 1
    inbox.release()
    inbox.reserve()


async def test_what_comes_back_is_never_refused_and_keeps_its_place() -> None:
    inbox = Inbox(Settings(capacity=1))
    put(inbox, prompt("new", at=5))
    inbox.restore(prompt("old", at=1))
    assert await take_all(inbox) == ["old", "new"]


async def test_take_waits_for_the_next_prompt() -> None:
    inbox = Inbox(Settings(capacity=1))
    waiting = asyncio.ensure_future(inbox.take())
    await asyncio.sleep(0)
    assert not waiting.done()
    put(inbox, prompt("late"))
    assert (await waiting).id == "late"


async def test_what_waited_too_long_is_told_and_passed_over() -> None:
    now = 0
    expired: list[str] = []
    settings = Settings(ttl_s=Ttl(comment=10))
    inbox = Inbox(settings, expired=lambda each: expired.append(each.id), wall_ns=lambda: now)
    inbox.offer(replace(prompt("stale", at=1), lane=Lane.COMMENT))
    inbox.offer(replace(prompt("fresh", at=5_000_000_000), lane=Lane.COMMENT))
    now = 12_000_000_000
    assert (await inbox.take()).id == "fresh"
    assert expired == ["stale"]
    assert (inbox.expired, dict(inbox.drops)) == (1, {"comment:expired": 1})
    inbox.hold(replace(prompt("heard in part", at=0), lane=Lane.COMMENT))
    assert (await asyncio.wait_for(inbox.take(), 1.0)).id == "heard in part", "somebody has heard its beginning"
