"""The desk of the free: what is considered, what is put aside and why; the door in front of it, and its bounds."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcaster.config.room import Inbox as InboxConfig
from broadcaster.director.admission import Admission
from broadcaster.director.room import intake as door
from broadcaster.director.room.audience import Audience, Guest
from broadcaster.director.room.desk import Desk
from broadcaster.director.room.intake import RoomIntake
from broadcaster.director.room.prompts import Prompts
from broadcaster.journal.audience import JournalAudience, Seen
from broadcaster.journal.posts import JournalPosts
from broadcaster.types import Inbound, Lane, Post, PostKind, RoomEvent, Verdict, VerdictKind, Viewer
from tests.fakes.gate import PassGate

pytestmark = pytest.mark.unit

# ruff: noqa: ASYNC110  # the loop has nothing else to do here


class Kept:
    """Stands for the table of viewers."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []

    def keep(self, seen: list[Seen]) -> None:
        self.seen += seen


class WordGate(PassGate):
    """Drops, holds and masks by what a text says."""

    def glance(self, text: str) -> Verdict:
        for kind in (VerdictKind.DROP, VerdictKind.HOLD):
            if kind.value in text:
                return Verdict(kind, text, "word")
        return Verdict(VerdictKind.MASK if "mask" in text else VerdictKind.PASS, text.replace("mask", "*"))

    def nickname(self, name: str) -> str:
        return "" if "bad" in name else name


class Rules:
    slow_s = 0.0
    bans: frozenset[str] = frozenset()

    def banned(self, viewer: str) -> bool:
        return viewer in self.bans


class Table:
    """A desk with everything around it in sight."""

    def __init__(self, **settings: object) -> None:
        self.now = 0.0
        self.offered: list[Inbound] = []
        self.guests: list[Guest | None] = []
        self.held: list[tuple[Inbound, str]] = []
        self.rules = Rules()
        self.kept = Kept()
        self.audience = Audience(cast("JournalAudience", self.kept), lambda: 1, most=100)
        gate = WordGate()
        self.desk = Desk(
            InboxConfig.model_validate(settings), self.audience, Prompts(Admission(200), gate, "朋友"), gate,
            self.rules, offer=self.offer, hold=lambda prompt, reason: self.held.append((prompt, reason)),
            lane_of=lambda text: Lane.QUESTION if "?" in text else Lane.COMMENT, clock=lambda: self.now,
        )  # fmt: skip

    def offer(self, prompt: Inbound, guest: Guest | None) -> None:
        self.offered.append(prompt)
        self.guests.append(guest)

    def say(self, text: str, who: str = "a", id: str = "", **about: object) -> None:
        viewer = Viewer(who, f"name {who}") if who else None
        self.desk.take(Post("test", PostKind.COMMENT, id, viewer, text, **about))  # type: ignore[arg-type]

    def event(self, kind: PostKind, who: str = "a", item: str = "", id: str = "") -> None:
        self.desk.take(Post("test", kind, id, Viewer(who, f"name {who}"), item=item))


def test_a_comment_becomes_a_prompt_of_its_class_with_a_viewer_whose_name_may_be_said() -> None:
    table = Table()
    table.say("what now?", id="1")
    table.say("hello mask", "bad")
    first, second = table.offered
    assert (first.lane, first.text, first.post, first.kind.value) == (Lane.QUESTION, "what now?", "test:1", "ask")
    assert first.viewer == Viewer("test:a", "name a")
    assert (first.origin.source, first.origin.author, first.origin.role.value) == ("test", "name a", "viewer")
    assert (second.lane, second.text) == (Lane.COMMENT, "hello *")
    assert second.viewer == Viewer("test:bad", "朋友")
    assert table.guests[1] is not None
    assert table.guests[1].viewer.name == "name bad"
    assert (table.desk.taken, dict(table.desk.dropped)) == (2, {})


def test_what_is_put_aside_is_counted_by_its_reason() -> None:
    table = Table(max_text=20, order=["moderator", "question", "thanks"])
    table.rules.bans = frozenset({"test:banned"})
    table.say("is it?", id="1")
    table.say("is it?", id="1")
    table.say("is it?", "banned")
    table.say("   ")
    table.say("?" * 21)
    table.say("drop this?")
    table.say("no question")
    table.event(PostKind.ENTER)
    table.desk.take(Post("test", PostKind.FOLLOW))
    assert dict(table.desk.dropped) == {
        "twice": 1, "banned": 1, "empty": 1, "too_long": 1, "moderation": 1, "lane": 2, "nobody": 1,
    }  # fmt: skip
    assert table.desk.taken == 1
    assert table.desk.received == {"comment": 7, "enter": 1, "follow": 1}


def test_what_moderation_holds_goes_to_a_moderator() -> None:
    table = Table()
    table.say("hold this?")
    assert table.offered == []
    ((prompt, reason),) = table.held
    assert (prompt.text, reason, table.desk.taken) == ("hold this?", "word", 1)


def test_one_viewer_is_heard_so_often_and_all_together_so_often() -> None:
    table = Table(per_viewer_per_minute=3, per_second=10)
    for _ in range(5):
        table.say("a?")
    assert dict(table.desk.dropped) == {"viewer_rate": 2}
    for number in range(10):
        table.say("b?", f"{number}")
    assert table.desk.dropped["rate"] == 3
    table.now = 20.0
    table.say("c?")
    assert table.desk.taken == 11


def test_in_slow_mode_one_comment_of_each_counts_at_a_time() -> None:
    table = Table()
    table.rules.slow_s = 30.0
    table.say("a?")
    table.say("b?")
    table.say("c?", "other")
    table.now = 30.0
    table.say("d?")
    assert [each.text for each in table.offered] == ["a?", "c?", "d?"]
    table.rules.slow_s = 0.0
    table.now = 60.0
    table.say("e?")
    table.say("f?")
    assert dict(table.desk.dropped) == {"slow": 1}


def test_gifts_and_follows_wait_for_their_sentence_and_those_who_enter_for_theirs() -> None:
    table = Table()
    table.event(PostKind.GIFT, item="rose")
    table.event(PostKind.GIFT, "b", "bad word")
    table.event(PostKind.FOLLOW, "bad")
    table.event(PostKind.ENTER, "c")
    thanks, welcomes = table.desk.thanks.close(1e9), table.desk.welcomes.close(1e9)
    assert [(part.viewer.name, part.event, part.item) for part in thanks] == [
        ("name a", RoomEvent.GIFT, "rose"), ("name b", RoomEvent.GIFT, ""), ("朋友", RoomEvent.FOLLOW, ""),
    ]  # fmt: skip
    assert [part.viewer.id for part in welcomes] == ["test:c"]
    assert table.desk.taken == 4


def test_a_viewer_is_one_identity_whatever_each_event_tells_of_them() -> None:
    table = Table()
    whole = Viewer("a", "Anna", 12, "medal", 5, 3)
    table.desk.take(Post("test", PostKind.COMMENT, "1", whole, "hello?"))
    table.desk.take(Post("test", PostKind.LIKE, "2", Viewer("a", "Anna")))
    table.desk.take(Post("test", PostKind.COMMENT, "3", Viewer("a", "Anna Bell", 13), "and?"))
    table.desk.take(Post("other", PostKind.COMMENT, "4", Viewer("a", "Anton"), "me?"))
    guest = table.audience.get("test:a")
    assert guest is not None
    assert guest.viewer == Viewer("test:a", "Anna Bell", 13, "medal", 5, 3)
    assert guest.posts == 3
    table.audience.save()
    assert {each.viewer.id for each in table.kept.seen} == {"test:a", "other:a"}
    table.audience.save()
    assert len(table.kept.seen) == 2


def test_somebody_without_an_id_is_known_by_name_and_somebody_without_either_may_ask() -> None:
    table = Table()
    table.desk.take(Post("test", PostKind.COMMENT, "", Viewer("", "Anna"), "hello?"))
    table.say("who?", "")
    assert [each.viewer and each.viewer.id for each in table.offered] == ["test:name:Anna", None]


def test_the_room_in_memory_is_bounded_and_who_paid_stays_longer() -> None:
    table = Table()
    table.desk.take(Post("test", PostKind.COMMENT, "", Viewer("payer", "P"), "hello?"))
    payer = table.audience.get("test:payer")
    assert payer is not None
    payer.paid = 1
    for number in range(150):
        table.say("b?", f"{number}")
    assert len(table.audience) == 100
    assert table.audience.get("test:payer") is payer
    for guest in range(200):
        table.say("c?", f"more {guest}")
    assert len(table.audience) == 100


_POSTS = st.lists(
    st.builds(
        Post,
        st.just("test"),
        st.sampled_from([kind for kind in PostKind if kind is not PostKind.REVOKE]),
        st.sampled_from(["", "1", "2", "3"]),
        st.one_of(st.none(), st.builds(Viewer, st.text(max_size=3), st.text(max_size=5))),
        st.text(max_size=30),
        st.text(max_size=5),
        st.integers(-1, 5),
    ),
    max_size=30,
)


@given(_POSTS)
def test_whatever_comes_ends_in_a_number(posts: list[Post]) -> None:
    table = Table(max_text=20, per_viewer_per_minute=5)
    for post in posts:
        table.desk.take(post)
    assert table.desk.taken + sum(table.desk.dropped.values()) == len(posts) == sum(table.desk.received.values())
    assert len(table.offered) + len(table.held) <= table.desk.taken


# -- the door -----------------------------------------------------------------------------------------------------


class Door:
    """An intake without a journal."""

    def __init__(
        self, look_at: Callable[[Post], None] | None = None, clock: Callable[[], float] = lambda: 0.0
    ) -> None:
        self.seen: list[Post] = []
        self.live: list[Post] = []
        self.intake = RoomIntake(
            cast("JournalPosts", None),
            free=look_at or self.seen.append, stored=lambda stored: None, live=self.live.append,
            session_ns=lambda: 0, clock=clock,
        )  # fmt: skip


def comments(count: int) -> list[Post]:
    return [Post("test", PostKind.COMMENT, str(number)) for number in range(count)]


async def test_from_any_thread_everything_is_looked_at_in_order() -> None:
    made = Door()
    posts = comments(500)

    def bring() -> None:
        for post in posts:
            assert made.intake.bring([post]).done()

    thread = threading.Thread(target=bring)
    thread.start()
    while len(made.seen) < 500:
        await asyncio.sleep(0)
    thread.join()
    assert made.seen == posts
    assert made.intake.waiting == 0


async def test_a_flood_is_bounded_and_what_it_sheds_is_counted() -> None:
    made = Door()
    posts = comments(door.RING + 300)
    made.intake.bring([Post("test", PostKind.LIVE_START)])
    for start in range(0, len(posts), 1000):
        made.intake.bring(posts[start : start + 1000])
    assert made.intake.waiting == door.RING
    assert made.intake.shed == {"comment": 300}
    while made.intake.waiting:
        await asyncio.sleep(0)
    assert made.seen == posts[300:]
    assert [post.kind for post in made.live] == [PostKind.LIVE_START]


async def test_a_flood_holds_the_loop_for_a_moment_only_and_lets_others_go_between() -> None:
    now = 0.0
    turns: list[int] = []

    def look(post: Post) -> None:
        nonlocal now
        now += 0.0001
        turns[-1] += 1

    made = Door(look, lambda: now)
    made.intake.bring(comments(1000))
    while made.intake.waiting:
        turns.append(0)
        await asyncio.sleep(0)
    assert sum(turns) == 1000
    assert max(turns) <= door.TURN_S / 0.0001 + door.BATCH
    assert sum(turn > 0 for turn in turns) >= 10


async def test_a_fault_in_one_post_does_not_stop_those_behind_it(caplog: pytest.LogCaptureFixture) -> None:
    seen = []

    def look(post: Post) -> None:
        if post.id in ("3", "5"):
            raise ValueError(post.id)
        seen.append(post.id)

    made = Door(look)
    made.intake.bring(comments(8))
    while made.intake.waiting:
        await asyncio.sleep(0)
    assert seen == ["0", "1", "2", "4", "6", "7"]
    assert made.intake.faults == 2
    assert len(caplog.records) == 1
