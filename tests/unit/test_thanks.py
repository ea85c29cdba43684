"""Thanks and welcomes for several in one sentence."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from broadcaster.brain import phrases
from broadcaster.brain.responder import Responder
from broadcaster.brain.wording import Wording
from broadcaster.types import (
    Given,
    Happening,
    Inbound,
    Lane,
    Origin,
    PromptKind,
    RoomEvent,
    Turn,
    Viewer,
)

pytestmark = pytest.mark.unit


def part(name: str, event: RoomEvent = RoomEvent.GIFT, item: str = "辣条", count: int = 1) -> Given:
    return Given(Viewer(f"r:{name}", name), Happening(event, item if event is RoomEvent.GIFT else "", count))


async def said(given: tuple[Given, ...], seed: str = "p", language: str = "zh") -> str:
    prompt = Inbound(seed, PromptKind.EVENT, "x", Origin("room"), lane=Lane.THANKS, given=given)
    parts: list[Any] = [text async for text in Responder("小播", language=language).reply(Turn(prompt))]
    return "".join(parts)


async def test_everybody_is_thanked_by_name_in_one_sentence() -> None:
    text = await said((part("小明", count=3), part("小红", item="小心心"), part("阿强", RoomEvent.FOLLOW)))
    assert "小明送的3个辣条、小红送的小心心、阿强的关注" in text


async def test_a_run_of_the_same_gift_is_counted() -> None:
    text = await said((part("小明"), part("小红"), part("小明", count=2)))
    assert "小明送的3个辣条、小红送的辣条" in text


async def test_one_viewer_alone_is_thanked_like_a_single_event() -> None:
    text = await said((part("小明"), part("小明"), part("小明")))
    assert "小明" in text
    assert "3个辣条" in text


async def test_a_crowd_is_counted_behind_the_first_four() -> None:
    text = await said(tuple(part(f"观众{number}") for number in range(9)))
    assert [f"观众{number}" in text for number in range(5)] == [True] * 4 + [False]
    assert "另外5位" in text


async def test_many_gifts_of_one_viewer_do_not_make_a_crowd() -> None:
    text = await said((*(part("小明", item=f"礼物{number}") for number in "一二三四五"), part("小红")))
    assert "另外1位" in text
    assert text.count("小明") == 4


async def test_those_who_enter_are_welcomed_together() -> None:
    few = await said((part("小明", RoomEvent.ENTER), part("小红", RoomEvent.ENTER)))
    assert "小明、小红" in few
    assert "欢迎" in few
    many = await said(tuple(part(f"观众{number}", RoomEvent.ENTER) for number in range(7)))
    assert "观众3等7位朋友" in many


async def test_the_wording_changes_from_time_to_time() -> None:
    rules = Responder("小播")
    given = (part("小明"), part("小红"))
    texts = [rules.thanks.together(given, f"p{number}") for number in range(20)]
    assert all(one != other for one, other in itertools.pairwise(texts))


async def test_english_too() -> None:
    text = await said((part("Ann", item="rose"), part("Bob", item="rose", count=2)), language="en")
    assert "Ann for the rose, Bob for 2 times rose" in text


async def test_a_comment_is_thanked_and_never_deferred() -> None:
    prompt = Inbound("p", PromptKind.ASK, "主播今天好漂亮", Origin("room"), lane=Lane.COMMENT)
    (text,) = [str(part) async for part in Responder("小播").reply(Turn(prompt))]
    assert text in Wording()._tables["zh"]["comment"]
    prompt = Inbound("p", PromptKind.ASK, "你是真人吗", Origin("room"), lane=Lane.COMMENT)
    (text,) = [str(part) async for part in Responder("小播").reply(Turn(prompt))]
    assert "数字人" in text or "不是真人" in text


@pytest.mark.parametrize(
    ("text", "asks"),
    [
        ("祝大家新年快乐", False),
        ("主播你好棒，看了你三个月直播了", False),
        ("Happy birthday!", False),
        ("唱首歌吧", True),
        ("我女儿明天中考，能给她说句加油吗？", True),
        ("推荐本书", True),
        ("What is your favourite song?", True),
    ],
)
async def test_a_super_chat_that_asks_nothing_is_not_told_that_nobody_knows(text: str, asks: bool) -> None:
    prompt = Inbound("p", PromptKind.ASK, text, Origin("room"), lane=Lane.SUPER_CHAT)
    said = "".join([str(part) async for part in Responder("小播").reply(Turn(prompt))])
    known = {phrase for table in (phrases.ZH, phrases.EN) for phrase in table["comment_paid"]}
    assert (said not in known) is asks
