"""What the queue promises whatever comes: nothing paid is lost, nobody starves, nothing is stale, all is bounded."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broadcaster.config import Inbox as Settings
from broadcaster.config import Ttl, Weights
from broadcaster.inbox import Fate, Standing
from broadcaster.types import Inbound, Lane
from tests.support.queueing import SECOND, Room

pytestmark = pytest.mark.unit

BOUND = 6
TTL = {Lane.QUESTION: 180, Lane.THANKS: 600, Lane.COMMENT: 90, Lane.WELCOME: 60}
TEXTS = [
    "666", "66666", "今天几点下播？", "请问今天几点下播呀", "主播唱首歌吧", "what is your name?", "hello there",
    "你吃饭了吗", "你吃饭了没", "好听", "下一首唱什么", "100块可以吗", "200块可以吗",
]  # fmt: skip
AUDIENCE = [lane for lane in Lane if lane is not Lane.MODERATOR]

offers = st.tuples(
    st.just("offer"),
    st.sampled_from(AUDIENCE),
    st.integers(0, 4),
    st.sampled_from(TEXTS),
    st.booleans(),
    st.integers(0, 3),
)
others = st.one_of(
    st.tuples(st.just("put"), st.booleans()),
    st.tuples(st.just("take")),
    st.tuples(st.just("take")),
    st.tuples(st.just("untake")),
    st.tuples(st.just("wait"), st.integers(1, 100)),
    st.tuples(st.just("move"), st.integers(0, 30), st.integers(0, 12)),
    st.tuples(st.just("remove"), st.integers(0, 30)),
    st.tuples(st.just("approve"), st.integers(0, 30)),
    st.tuples(st.just("ban"), st.integers(0, 4)),
    st.tuples(st.just("pause"), st.booleans()),
)


class Model:
    """Does what it is told and checks the promises after every step."""

    def __init__(self) -> None:
        self.room = Room(Settings(waiting=BOUND, capacity=500))
        self.paid: set[str] = set()
        self.offered: Counter[str] = Counter()
        self.refused_paid: Counter[str] = Counter()
        self.left: Counter[str] = Counter()
        self.moved: set[str] = set()
        self.last: Inbound | None = None

    def run(self, step: tuple[Any, ...]) -> None:
        getattr(self, f"do_{step[0]}")(*step[1:])
        if step[0] not in ("take", "untake"):
            self.last = None
        self.check()

    def do_offer(self, lane: Lane, viewer: int, text: str, paid: bool, guard: int) -> None:
        price = 30_000 if paid and lane in (Lane.SUPER_CHAT, Lane.SUPPORT, Lane.THANKS) else 0
        room = self.room.inbox.room_for(lane)
        prompt, offer = self.room.offer(lane, text, f"v{viewer}", Standing(guard=guard), paid=price)
        if price:
            assert (offer.fate is Fate.KEPT) == (room > 0), "there is room exactly where it was promised"
            if offer.fate is Fate.KEPT:
                self.paid.add(prompt.id)
            else:
                assert offer.reason == "full"
                return
        self.offered[lane.value] += 1

    def do_put(self, resumable: bool) -> None:
        self.room.put(resumable=resumable)

    def do_take(self) -> None:
        foreseen = self.room.inbox.places(1)
        prompt = self.room.take()
        assert [prompt] == [place.prompt for place in foreseen if not place.paused] or prompt is None
        if prompt is None:
            return
        self.last = prompt
        self.paid.discard(prompt.id)
        self.left[prompt.lane.value] += 1
        why = self.room.chosen[prompt.id]
        assert why["lane"] == prompt.lane.value
        if self.room.inbox.paused:
            assert prompt.lane is Lane.MODERATOR or prompt.approved or prompt.id in self.moved

    def do_untake(self) -> None:
        if self.last is None:
            return
        before = self.room.order()
        self.room.inbox.untake()
        assert self.room.order()[0] == self.last.id
        assert sorted(self.room.order()[1:]) == sorted(before)
        self.left[self.last.lane.value] -= 1
        if self.last.paid:
            self.paid.add(self.last.id)
        self.last = None

    def do_wait(self, seconds: int) -> None:
        self.room.now += seconds * SECOND

    def waiting(self, number: int) -> Inbound | None:
        places = self.room.inbox.places()
        return places[number % len(places)].prompt if places else None

    def do_move(self, number: int, place: int) -> None:
        prompt = self.waiting(number)
        if prompt is not None:
            assert self.room.inbox.move(prompt.id, place)
            self.moved.add(prompt.id)
            order = self.room.order()
            assert order.index(prompt.id) == min(place, len(order) - 1) or self.room.inbox.paused

    def do_remove(self, number: int) -> None:
        prompt = self.waiting(number)
        if prompt is not None:
            assert self.room.inbox.remove(prompt.id) == prompt
            self.paid.discard(prompt.id)
            self.left[prompt.lane.value] += 1

    def do_approve(self, number: int) -> None:
        prompt = self.waiting(number)
        if prompt is not None:
            assert self.room.inbox.replace(replace(prompt, approved=True))

    def do_ban(self, viewer: int) -> None:
        waiting = {place.prompt.id: place for place in self.room.inbox.places()}
        for prompt in self.room.inbox.remove_viewer(f"v{viewer}"):
            assert waiting[prompt.id].prompt.viewer.id == f"v{viewer}"  # type: ignore[union-attr]
            self.paid.discard(prompt.id)
        assert all(
            place.prompt.viewer is None or place.prompt.viewer.id != f"v{viewer}"
            for place in self.room.inbox.places()
        )
        self.offered.clear()  # who was banned is not in the sums below any more
        self.left.clear()
        self.room.inbox.drops.clear()
        self.room.inbox.merged.clear()
        for place in self.room.inbox.places():
            if place.lane is not Lane.MODERATOR:
                self.offered[place.lane.value] += 1

    def do_pause(self, on: bool) -> None:
        self.room.inbox.pause(on)

    def check(self) -> None:
        inbox = self.room.inbox
        places = inbox.places()
        assert [place.place for place in places] == list(range(len(places)))
        assert len(places) == len(inbox) == len({place.prompt.id for place in places})
        assert {place.prompt.id for place in places if place.prompt.paid} == self.paid, "nothing paid is lost"
        for lane, count in Counter(place.lane for place in places).items():
            assert lane is Lane.MODERATOR or count <= BOUND + 1, "bounded (one more for what was given back)"
        for place in places:
            if place.lane in TTL and not place.prompt.approved and place.prompt.id not in self.moved:
                since = max(place.prompt.received_ns, self.asked(place.merged))
                assert place.prompt.paid or self.room.now - since <= TTL[place.lane] * SECOND, "stale"
        sums = Counter({lane.value: 0 for lane in AUDIENCE})
        sums.update(place.lane.value for place in places if place.lane is not Lane.MODERATOR)
        sums.update({lane: count for lane, count in self.left.items() if lane != "moderator"})
        sums.update(inbox.merged)
        for name, count in inbox.drops.items():
            sums[name.partition(":")[0]] += count
        assert +sums == +self.offered, "everything that was offered is somewhere"

    def asked(self, merged: tuple[str, ...]) -> int:
        return max((self.received.get(each, 0) for each in merged), default=0)

    @property
    def received(self) -> dict[str, int]:
        return self.room.received


@settings(max_examples=120, deadline=None)
@given(st.lists(st.one_of(offers, offers, others), max_size=40))
def test_the_queue_keeps_its_promises_and_takes_what_it_foretold(steps: list[tuple[Any, ...]]) -> None:
    model = Model()
    for step in steps:
        model.run(step)
    places = model.room.inbox.places()
    foretold = [place.prompt.id for place in places if not place.paused]
    assert [prompt.id for prompt in model.room.drain()] == foretold
    model.room.inbox.pause(False)
    assert len(model.room.drain()) == len(places) - len(foretold)


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(AUDIENCE),
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), min_size=1, max_size=40),
    st.integers(0, 30),
    st.sampled_from([Weights(), Weights(age=0.0), Weights(question=10.0, viewer=0.0), Weights(age=10.0)]),
)
def test_between_two_turns_of_a_viewer_everybody_who_waits_has_one(
    lane: Lane, asked: list[tuple[int, int]], pause: int, weights: Weights
) -> None:
    room = Room(Settings(ttl_s=Ttl(question=0, thanks=0, comment=0, welcome=0), weights=weights))
    left: Counter[str] = Counter()
    for number, (viewer, worth) in enumerate(asked):
        text = f"{'请问什么' if worth > 1 else '说'} {number * 7919}"
        _, offer = room.offer(lane, text, f"v{viewer}", Standing(guard=worth))
        if offer.fate is Fate.KEPT:
            left[f"v{viewer}"] += 1
    turns: Counter[str] = Counter()
    while (prompt := room.take()) is not None:
        assert prompt.viewer is not None
        who = prompt.viewer.id
        behind = [other for other in left if other != who and left[other] and turns[other] < turns[who]]
        assert not behind, "somebody who waits has had fewer turns"
        turns[who] += 1
        left[who] -= 1
        room.now += pause * SECOND
    assert not +left


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(AUDIENCE), st.integers(1, 3), st.booleans())
def test_nothing_starves_however_much_better_keeps_coming(lane: Lane, each: int, one: bool) -> None:
    """The least worth there is, against a stream of the best, of one loud viewer or of ever new ones."""
    room = Room(Settings(ttl_s=Ttl(question=0, thanks=0, comment=0, welcome=0), waiting=500))
    poor, _ = room.offer(lane, "嗯 12345", "poor")
    for turn in range(200):
        for more in range(each):
            text = f"请问主播 {turn * 10 + more} 是什么?"
            room.offer(lane, text, "loud" if one else f"v{turn}.{more}", Standing(guard=1, medal_level=40))
        taken = room.take()
        if taken is not None and taken.id == poor.id:
            return
        room.now += 10 * SECOND
    raise AssertionError("it waits for ever")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["666", "66666", "６６６！", "6 6 6"])), max_size=40))
def test_the_counts_of_what_was_merged_add_up(asked: list[tuple[int, str]]) -> None:
    room = Room()
    for viewer, text in asked:
        room.offer(Lane.COMMENT, text, f"v{viewer}")
    places = room.inbox.places()
    assert len(places) == min(1, len(asked))
    for place in places:
        assert place.prompt.alike == len({viewer for viewer, _ in asked})
        assert len(place.merged) == len(asked) - 1 == room.inbox.merged["comment"]
    if asked:
        for merged in places[0].merged:
            assert room.inbox.find(merged) == room.inbox.find(places[0].prompt.id)
            room.inbox.remove(merged)
        assert room.inbox.places()[0].prompt.alike == 1
