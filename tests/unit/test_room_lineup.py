"""Places and estimated times, what is learned of the lengths, and the list of what is held. Virtual time."""

from __future__ import annotations

import asyncio
import json
import random
from pathlib import Path

import pytest

from broadcaster.config.room import Inbox as InboxSettings
from broadcaster.director.delay import Delay
from broadcaster.director.heldback import UNPAID, HeldBack
from broadcaster.director.lineup import START_S, Lineup
from broadcaster.director.pace import ANSWER_S, ON_AIR, Pace
from broadcaster.director.pulse import Pulse
from broadcaster.director.rules import HouseRules
from broadcaster.director.rundown import Rundown
from broadcaster.director.utterance import Utterance
from broadcaster.inbox import Inbox
from broadcaster.journal import Journal, Line
from broadcaster.types import Inbound, Lane, Origin, PromptKind, Viewer
from broadcaster.wire import Aired, Welcome
from sources.moderation import QueueItem
from tests.fakes.voice import run_virtually
from tests.unit.test_director_rundown import Wire, piece

pytestmark = pytest.mark.unit


def prompt(name: str, lane: Lane = Lane.QUESTION, paid: int = 0, received_ns: int = 1) -> Inbound:
    viewer = Viewer(f"x:{name}", name)
    kind = PromptKind.SAY if lane is Lane.MODERATOR else PromptKind.ASK
    text = f"{name} 的问题"
    return Inbound(name, kind, text, Origin("test"), received_ns, viewer=viewer, lane=lane, paid=paid)


class Desk:
    """A lineup over a rundown and a queue, on a clock that stands still."""

    def __init__(self, folder: Path, delay_s: float = 0.0) -> None:
        self.now = 100.0
        journal = Journal(folder / "unused.sqlite")
        self.inbox = Inbox(InboxSettings(), wall_ns=lambda: 1_000_000_000)
        self.rules = HouseRules(journal.decisions, pause=self.inbox.pause)
        self.held = HeldBack(600.0, lambda prompt: None)
        self.pace = Pace(lambda: self.now)
        self.rundown = Rundown(
            Wire(), journal, Pulse(), lambda event: None, lambda *_: None, lambda: self.now, delay=Delay(delay_s)
        )
        self.rundown.up(Welcome(0, 25, 200, 0))
        self.lineup = Lineup(self.rundown, self.inbox, self.held, self.rules, journal.posts, self.pace, delay_s)

    def give(self, name: str, seconds: float, unspoken: str = "") -> Utterance:
        utterance = Utterance(prompt(name, Lane.MODERATOR))
        utterance.script.add(Line(f"{name}。", "pass"))
        if unspoken:
            utterance.script.add(Line(unspoken, "pass"))
        self.rundown.add(utterance)
        self.rundown.give(utterance, piece(0, f"{name}。", seconds), 0)
        return utterance

    def air(self, utterance: Utterance) -> None:
        self.rundown.aired(Aired("on_air", utterance.generation, utterance.id, 0, "", "tone", 7, 0, 0))

    async def items(self) -> list[QueueItem]:
        found = await self.lineup.queue(500, 0)
        json.dumps(found)
        return [QueueItem.model_validate(item) for item in found["items"]]


async def test_times_are_what_is_in_hand_what_is_written_and_what_is_usual(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.air(desk.give("a", 10.0))
    desk.give("b", 4.0, unspoken="九个字还没有说出来。")
    desk.now += 3.0
    desk.inbox.offer(prompt("c"))
    desk.inbox.offer(prompt("d"))
    found = await desk.items()
    assert [(item.id, item.place, item.state) for item in found] == [
        ("a", 0, "on_air"), ("b", 1, "pending"), ("c", 2, "waiting"), ("d", 3, "waiting"),
    ]  # fmt: skip
    assert [item.eta_s for item in found] == [0.0, 7.0, 13.0, 13.0 + ANSWER_S]


async def test_with_nothing_on_air_the_first_comes_at_once_and_with_a_delay_behind_it(tmp_path: Path) -> None:
    for delay in (0.0, 20.0):
        desk = Desk(tmp_path, delay)
        desk.inbox.offer(prompt("a"))
        desk.inbox.offer(prompt("b"))
        assert [item.eta_s for item in await desk.items()] == [delay + START_S, max(delay, ANSWER_S) + START_S]


async def test_in_a_panic_and_in_a_pause_nobody_knows_when(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.inbox.offer(prompt("a"))
    desk.inbox.pause(True)
    assert [item.eta_s for item in await desk.items()] == [None]
    desk.inbox.pause(False)
    desk.rundown.panicked = True
    assert [item.eta_s for item in await desk.items()] == [None]


async def test_what_is_held_has_no_place(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.held.hold(prompt("a", Lane.SUPER_CHAT, paid=30_000), "contact")
    (item,) = await desk.items()
    assert (item.state, item.place, item.eta_s, item.reason, item.paid) == ("held", None, None, "contact", 30.0)
    assert await desk.lineup.find("a", 0) is not None
    assert await desk.lineup.find("b", 0) is None


def test_the_length_of_a_class_is_learned_from_what_was_heard_in_full() -> None:
    now = 0.0
    pace = Pace(lambda: now)
    seed = random.Random(1)
    for number in range(40):
        each = prompt(f"p{number}")
        for _ in range(2):
            pace.aired(Aired("on_air", 1, each.id, 0, "", "tone", 0, 0, 0))
            now += seed.uniform(14.0, 16.0)
        pace.ended(each, whole=number % 4 != 0)  # one of four is cut, and says nothing
    assert pace.mean(Lane.QUESTION) == pytest.approx(30.0, abs=2)
    assert pace.mean(Lane.COMMENT) == ANSWER_S
    pace.ended(prompt("never on air"), whole=True)
    assert pace.mean(Lane.QUESTION) == pytest.approx(30.0, abs=2)


def test_prompts_whose_end_is_never_told_do_not_pile_up() -> None:
    pace = Pace(lambda: 0.0)
    for number in range(10 * ON_AIR):
        pace.aired(Aired("on_air", 1, f"p{number}", 0, "", "tone", 0, 0, 0))
    assert len(pace._began) == ON_AIR


def test_what_nobody_decides_about_is_let_go_and_what_was_paid_for_is_not() -> None:
    gone: list[str] = []

    async def main() -> None:
        held = HeldBack(60.0, lambda prompt: gone.append(prompt.id))
        held.hold(prompt("free"), "word")
        held.hold(prompt("paid", paid=1), "word")
        held.hold(prompt("decided"), "word")
        assert held.take("decided") is not None
        await asyncio.sleep(59)
        held.hold(prompt("late"), "word")
        await asyncio.sleep(2)
        assert gone == ["free"]
        await asyncio.sleep(600)
        assert gone == ["free", "late"]
        assert [item.prompt.id for item in held.items()] == ["paid"]

    run_virtually(main())


def test_the_list_of_what_is_held_is_bounded() -> None:
    gone: list[str] = []

    async def main() -> None:
        held = HeldBack(60.0, lambda prompt: gone.append(prompt.id))
        held.hold(prompt("paid", paid=1), "word")
        for number in range(UNPAID + 5):
            held.hold(prompt(f"p{number}"), "word")
        assert len(held) == UNPAID + 1
        assert gone == [f"p{number}" for number in range(5)]

    run_virtually(main())
