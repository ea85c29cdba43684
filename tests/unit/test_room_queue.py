"""The queue of the room by example: classes, worth and its reasons, what makes way, moderators at work."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from broadcaster.config import Inbox as Settings
from broadcaster.config import Ttl
from broadcaster.inbox import Fate, Offer, Standing
from broadcaster.inbox import row as rows
from broadcaster.types import Inbound, Lane
from tests.support.queueing import SECOND, Room

pytestmark = pytest.mark.unit


def ids(prompts: list[Inbound]) -> list[str]:
    return [prompt.id for prompt in prompts]


def test_the_classes_come_in_their_order() -> None:
    room = Room()
    offered = [room.offer(lane)[0] for lane in reversed(Lane) if lane is not Lane.MODERATOR]
    said = room.put()
    assert ids(room.drain()) == [said.id, *ids(offered[::-1])]


def test_the_order_is_configured_and_a_class_that_is_left_out_never_goes_on_air() -> None:
    room = Room(Settings(order=["comment", "moderator"]))
    said = room.put()
    comment, _ = room.offer(Lane.COMMENT)
    welcome, offer = room.offer(Lane.WELCOME)
    assert offer == Offer(Fate.REFUSED, reason="lane")
    assert room.inbox.room_for(Lane.SUPER_CHAT) == 0
    room.inbox.restore(welcome)
    assert room.dropped == [(welcome.id, "lane")], "told, not lost: the order was another one when it was promised"
    assert ids(room.drain()) == [comment.id, said.id]


def test_a_question_comes_before_a_remark_and_what_is_new_before_what_was_just_answered() -> None:
    room = Room()
    said, _ = room.offer(Lane.QUESTION, "你好呀大家")
    asked, _ = room.offer(Lane.QUESTION, "主播今天几点下播？")
    assert room.take() == asked
    room.now += 40 * SECOND
    again, _ = room.offer(Lane.QUESTION, "主播今天几点下播？", "other")
    new, _ = room.offer(Lane.QUESTION, "你会唱什么歌？", "other")
    places = room.inbox.places()
    assert [place.prompt.id for place in places] == [new.id, said.id, again.id]
    assert places[2].why["features"]["novelty"]["value"] == 0  # type: ignore[index]


def test_what_is_asked_while_it_is_being_answered_is_not_answered_again() -> None:
    room = Room()
    room.offer(Lane.QUESTION, "主播今天几点下播？")
    room.take()
    room.now += 20 * SECOND
    assert room.offer(Lane.QUESTION, "请问今天几点下播呀")[1] == Offer(Fate.REFUSED, reason="answered")
    room.now += 20 * SECOND
    assert room.offer(Lane.QUESTION, "请问今天几点下播呀")[1].fate is Fate.KEPT
    assert dict(room.inbox.drops) == {"question:answered": 1}


def test_what_a_moderator_approved_is_neither_answered_with_nor_merged_into_another() -> None:
    room = Room()
    asked = "主播今天几点下播？"
    room.offer(Lane.QUESTION, asked)
    room.take()
    first, second = (room.prompt(Lane.QUESTION, asked, viewer, approved=True) for viewer in "ab")
    assert room.inbox.offer(first).fate is Fate.KEPT
    assert room.inbox.offer(second).fate is Fate.KEPT


def test_whose_text_is_not_wanted_takes_nobody_along_who_asked_the_same() -> None:
    """Somebody writes a word that is dropped behind everybody's question, before everybody asks it."""
    room = Room()
    bad, _ = room.offer(Lane.QUESTION, "主播今天几点下播呀 shabi", "a")
    asked, _ = room.offer(Lane.QUESTION, "主播今天几点下播呀", "b")
    assert room.offer(Lane.QUESTION, "主播今天几点下播呀", "c")[1] == Offer(Fate.MERGED, into=bad.id)
    assert room.inbox.remove(bad.id, alone=True) == bad
    (place,) = room.inbox.places()
    assert (place.prompt.id, place.prompt.text, place.prompt.alike) == (asked.id, asked.text, 2)
    assert room.offer(Lane.QUESTION, "主播今天几点下播呀", "d")[1] == Offer(Fate.MERGED, into=asked.id)
    near = room.offer(Lane.QUESTION, "主播今天晚几点下播", "e")[1]
    assert near == Offer(Fate.MERGED, into=asked.id), "what comes is compared with its own text"
    assert room.inbox.remove(asked.id) is not None
    assert len(room.inbox) == 0


def test_what_was_moved_and_then_dropped_leaves_its_place_to_the_others() -> None:
    room = Room()
    asked, said = room.offer(Lane.COMMENT)[0], room.put()
    other, _ = room.offer(Lane.COMMENT)
    for moved in (asked, said):
        assert room.inbox.move(moved.id, 0)
        assert room.inbox.remove(moved.id) == moved
    assert ids(room.drain()) == [other.id]


def test_what_the_queue_remembers_of_what_is_gone_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "SERVED_KEPT", 10)
    room = Room(Settings(waiting=3))
    row = room.inbox._rows[Lane.COMMENT]
    assert row is not None
    for number in range(400):
        room.offer(Lane.COMMENT, "666", viewer=f"v{number}")
        room.offer(Lane.COMMENT, f"各不相同的第{number}句话", viewer=f"w{number}")
        if number % 2:
            room.take()
    assert len(row) <= 3
    assert max(len(row._worst), len(row._oldest)) <= 4 * len(row) + 65
    assert len(row._served) <= 10
    assert len(row.merged) <= 256


def test_what_is_given_back_is_not_being_answered() -> None:
    room = Room()
    asked, _ = room.offer(Lane.QUESTION, "主播今天几点下播？", "a")
    room.take()
    room.inbox.untake()
    assert room.offer(Lane.QUESTION, "主播今天几点下播？", "b")[1] == Offer(Fate.MERGED, into=asked.id)


def test_why_says_what_the_score_is_made_of() -> None:
    room = Room()
    for viewer in ("a", "b", "c"):
        room.offer(Lane.QUESTION, "主播今天几点下播？", viewer, Standing(guard=1, medal_level=20))
    room.now += 60 * SECOND
    (place,) = room.inbox.places()
    assert json.loads(json.dumps(place.why)) == place.why
    features = place.why["features"]
    assert isinstance(features, dict)
    assert set(features) == {"question", "novelty", "viewer", "alike", "age", "turn"}
    total = sum(each["value"] * each["weight"] for each in features.values())
    assert total == pytest.approx(place.score, abs=0.01)
    taken = room.take()
    assert taken is not None
    assert (taken.alike, place.prompt.alike) == (3, 3)
    assert room.chosen[taken.id] == place.why
    assert len(place.merged) == 2


def test_who_pays_or_guards_comes_first_and_who_was_just_answered_later() -> None:
    room = Room()
    texts = iter(("北京下雪了", "上海很热闹", "广州早茶香", "杭州真好看"))
    plain, _ = room.offer(Lane.COMMENT, next(texts), "plain")
    lately, _ = room.offer(Lane.COMMENT, next(texts), "lately", Standing(answered_ns=room.now))
    guard, _ = room.offer(Lane.COMMENT, next(texts), "guard", Standing(guard=3))
    paid, _ = room.offer(Lane.COMMENT, next(texts), "paid", Standing(paid=500_000))
    order = room.order()
    assert order.index(lately.id) == 3
    assert {order[0], order[1]} == {guard.id, paid.id}
    assert order[2] == plain.id


def test_what_is_worth_least_makes_way_and_a_loud_viewer_first() -> None:
    room = Room(Settings(waiting=3))
    loud = [room.offer(Lane.QUESTION, text, "loud")[0] for text in ("请问几岁?", "你在哪里?", "会唱什么?")]
    quiet, offer = room.offer(Lane.QUESTION, "随便说说", "quiet")
    assert offer.fate is Fate.KEPT
    assert room.dropped == [(loud[2].id, "full")]
    assert room.offer(Lane.QUESTION, "谁写的歌?", "loud")[1] == Offer(Fate.REFUSED, reason="full")
    assert dict(room.inbox.drops) == {"question:full": 2}
    assert quiet.id in room.order()


def test_what_was_paid_for_makes_what_was_not_give_way_and_is_refused_when_all_is_paid() -> None:
    room = Room(Settings(waiting=2))
    free, _ = room.offer(Lane.THANKS)
    room.offer(Lane.THANKS, paid=1000)
    assert room.inbox.room_for(Lane.THANKS) == 1
    assert room.offer(Lane.THANKS, paid=1000)[1].fate is Fate.KEPT
    assert room.dropped == [(free.id, "full")]
    assert room.inbox.room_for(Lane.THANKS) == 0
    assert room.offer(Lane.THANKS, paid=1000)[1] == Offer(Fate.REFUSED, reason="full")
    assert room.inbox.drops.total() == 1, "what waits on disk is not dropped"


def test_what_was_paid_for_approved_or_moved_is_never_stale() -> None:
    room = Room(Settings(ttl_s=Ttl(comment=10, thanks=10)))
    kept = [room.offer(Lane.THANKS, paid=5)[0], room.offer(Lane.COMMENT)[0], room.offer(Lane.COMMENT)[0]]
    stale, _ = room.offer(Lane.COMMENT)
    room.inbox.replace(replace(kept[1], approved=True))
    room.inbox.move(kept[2].id, 2)
    room.now += 100 * SECOND
    assert sorted(room.order()) == ids(kept)
    assert room.expired == [stale.id]


def test_what_is_still_being_asked_is_not_stale() -> None:
    room = Room(Settings(ttl_s=Ttl(question=60)))
    first, _ = room.offer(Lane.QUESTION, "几点下播？", "a")
    room.now += 50 * SECOND
    room.offer(Lane.QUESTION, "几点下播呀", "b")
    room.now += 50 * SECOND
    assert room.order() == [first.id]
    room.now += 20 * SECOND
    assert room.order() == []


def test_what_was_moved_stays_at_its_place_whatever_comes() -> None:
    room = Room()
    comments = [room.offer(Lane.COMMENT, viewer=f"v{number}")[0] for number in range(4)]
    last = room.order()[-1]
    assert room.inbox.move(last, 1)
    super_chat, _ = room.offer(Lane.SUPER_CHAT, paid=30_000)
    assert room.order()[:2] == [super_chat.id, last]
    said = room.put()
    assert room.order()[:3] == [said.id, last, super_chat.id]
    assert room.inbox.move(comments[1].id, 0)
    assert room.order()[:3] == [comments[1].id, said.id, last]
    assert not room.inbox.move("nobody", 0)
    taken = room.drain()
    assert ids(taken)[:3] == [comments[1].id, said.id, last]
    assert room.chosen[last]["moved"] is True


def test_what_cuts_in_comes_before_what_was_moved() -> None:
    room = Room()
    comment, _ = room.offer(Lane.COMMENT)
    room.inbox.move(comment.id, 0)
    urgent = room.prompt(Lane.MODERATOR)
    room.inbox.reserve()
    room.inbox.put(urgent, first=True)
    assert room.order() == [urgent.id, comment.id]
    assert room.take() == urgent
    room.inbox.untake()
    assert ids(room.drain()) == [urgent.id, comment.id]


def test_a_pause_lets_only_what_moderators_want_through() -> None:
    room = Room()
    comments = [room.offer(Lane.COMMENT, viewer=f"v{number}")[0] for number in range(4)]
    super_chat, _ = room.offer(Lane.SUPER_CHAT, paid=30_000)
    said = room.put()
    room.inbox.pause(True)
    room.inbox.replace(replace(comments[2], approved=True))
    room.inbox.move(comments[3].id, 5)
    places = room.inbox.places()
    assert [place.prompt.id for place in places if not place.paused] == [said.id, comments[2].id, comments[3].id]
    assert next(place.prompt.id for place in places if place.paused) == super_chat.id
    assert ids(room.drain()) == [said.id, comments[2].id, comments[3].id]
    room.inbox.pause(False)
    assert ids(room.drain()) == [super_chat.id, comments[0].id, comments[1].id]


def test_a_text_that_goes_on_waits_for_what_was_paid_for_but_not_for_comments() -> None:
    room = Room(cuts=lambda arriving, other: other.resumable and not arriving.resumable)
    long = room.put(resumable=True)
    comment, _ = room.offer(Lane.COMMENT)
    assert room.order() == [long.id, comment.id]
    super_chat, _ = room.offer(Lane.SUPER_CHAT, paid=30_000)
    assert room.order() == [super_chat.id, long.id, comment.id]


def test_an_edited_text_is_judged_anew() -> None:
    room = Room()
    asked, _ = room.offer(Lane.QUESTION, "主播今天几点下播？", "a")
    other, _ = room.offer(Lane.QUESTION, "你会唱什么歌？", "b")
    assert room.inbox.replace(replace(asked, text="好的好的"))
    assert room.order() == [other.id, asked.id]
    assert room.offer(Lane.QUESTION, "今天几点下播", "c")[1].fate is Fate.KEPT, "nothing asks that any more"
    assert not room.inbox.replace(replace(asked, id="nobody"))


def test_when_a_viewer_is_banned_who_asked_the_same_stands_in() -> None:
    room = Room()
    first, _ = room.offer(Lane.QUESTION, "几点下播？", "bad")
    second, offer = room.offer(Lane.QUESTION, "几点下播呀", "good")
    assert offer == Offer(Fate.MERGED, into=first.id)
    room.offer(Lane.QUESTION, "请问几点下播", "fine")
    alone, _ = room.offer(Lane.QUESTION, "你会唱什么歌？", "bad")
    gone = room.inbox.remove_viewer("bad")
    assert sorted(ids(gone)) == sorted([first.id, alone.id])
    (place,) = room.inbox.places()
    assert (place.prompt.id, place.prompt.alike) == (second.id, 2)
    assert room.inbox.remove_viewer("fine") == []
    (place,) = room.inbox.places()
    assert place.prompt.alike == 1


def test_who_says_the_same_again_is_counted_once() -> None:
    room = Room()
    for _ in range(5):
        room.offer(Lane.COMMENT, "666", "one")
    room.offer(Lane.COMMENT, "6666", "two")
    (place,) = room.inbox.places()
    assert place.prompt.alike == 2
    assert room.inbox.merged["comment"] == 5


def test_what_comes_back_keeps_its_place_and_counts_as_not_answered() -> None:
    room = Room()
    first, _ = room.offer(Lane.SUPER_CHAT, viewer="a", paid=30_000)
    second, _ = room.offer(Lane.SUPER_CHAT, viewer="a", paid=30_000)
    third, _ = room.offer(Lane.SUPER_CHAT, viewer="b", paid=30_000)
    assert room.order() == [first.id, third.id, second.id]
    taken = room.take()
    assert taken == first
    room.inbox.restore(taken)
    assert room.order() == [first.id, third.id, second.id]


def test_a_full_queue_of_moderators_is_not_filled_by_the_audience() -> None:
    room = Room(Settings(capacity=1))
    for _ in range(5):
        room.offer(Lane.COMMENT)
    room.put()
    assert len(room.inbox) == 6


def test_who_is_told_that_a_place_is_free_may_fill_it_at_once() -> None:
    """What was paid for waits on disk and comes as soon as something is taken."""
    room = Room(Settings(waiting=1))
    first, _ = room.offer(Lane.SUPER_CHAT, paid=30_000)
    waiting = room.prompt(Lane.SUPER_CHAT, paid=30_000)
    told: list[int] = []

    def chosen(prompt: Inbound, why: dict[str, object]) -> None:
        if prompt.id == first.id:
            told.append(room.inbox.room_for(Lane.SUPER_CHAT))
            assert room.inbox.offer(waiting).fate is Fate.KEPT

    room.inbox._on_chosen = chosen
    assert ids(room.drain()) == [first.id, waiting.id]
    assert told == [1]


def test_a_flood_leaves_nothing_behind() -> None:
    room = Room(Settings(waiting=20))
    for number in range(3000):
        room.offer(Lane.COMMENT, f"{number * 7919} 是{'请问怎么' * (number % 3)}", f"v{number}")
    row = room.inbox._rows[Lane.COMMENT]
    assert row is not None
    assert (len(row.items), len(row.similar), len(row._counts)) == (20, 20, 20)
    assert max(len(row._worst), len(row._oldest)) <= 4 * 20 + 65
    kept = room.inbox.drops.total() + len(room.inbox) + room.inbox.merged.total()
    assert kept == 3000
