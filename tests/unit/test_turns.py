"""Who may cut whom: the whole table; the order of the queue; the bridge phrases."""

from __future__ import annotations

import itertools

import pytest

from broadcaster.config import Inbox as Settings
from broadcaster.config.minds import Turns
from broadcaster.director.bridge import BRIDGE
from broadcaster.director.turns import Bridges, Cutting, cutting
from broadcaster.director.utterance import Script, Utterance, resumed
from broadcaster.inbox import Inbox
from broadcaster.journal import Line
from broadcaster.types import Inbound, Origin, PromptKind, Role

pytestmark = pytest.mark.unit

KINDS = list(PromptKind)
WHEN = {"at_once": Cutting.AT_ONCE, "after_sentence": Cutting.AFTER_SENTENCE, "never": Cutting.NEVER}


def prompt(kind: PromptKind, *, resumable: bool = False, name: str = "p", at: int = 0) -> Inbound:
    return Inbound(name, kind, name, Origin("test", role=Role.MODERATOR), at, resumable=resumable)


@pytest.mark.parametrize(
    ("cuts", "over", "arriving", "other", "mine", "yours"),
    list(itertools.product(WHEN, ["resumable", "lower", "any"], KINDS, KINDS, [False, True], [False, True])),
)
def test_the_whole_table(
    cuts: str, over: str, arriving: PromptKind, other: PromptKind, mine: bool, yours: bool
) -> None:
    turns = Turns.model_validate({arriving.value: {"cuts": cuts, "over": over}})
    lower = (arriving, other) in {
        (PromptKind.SAY, PromptKind.ASK), (PromptKind.SAY, PromptKind.EVENT), (PromptKind.ASK, PromptKind.EVENT),
    }  # fmt: skip
    allowed = yours or over == "any" or (over == "lower" and lower)
    if mine and yours:
        allowed = False
    found = cutting(turns, prompt(arriving, resumable=mine), prompt(other, resumable=yours))
    assert found is (WHEN[cuts] if allowed else Cutting.NEVER)


def test_the_order_of_the_classes_is_configured() -> None:
    turns = Turns.model_validate({"order": ["event", "ask", "say"], "event": {"cuts": "at_once", "over": "lower"}})
    assert cutting(turns, prompt(PromptKind.EVENT), prompt(PromptKind.SAY)) is Cutting.AT_ONCE
    assert cutting(turns, prompt(PromptKind.EVENT), prompt(PromptKind.EVENT)) is Cutting.NEVER


def test_by_default_only_a_resumable_text_is_cut_behind_its_sentence_and_never_by_an_event() -> None:
    turns = Turns()
    found = {
        (kind, yours): cutting(turns, prompt(kind), prompt(PromptKind.SAY, resumable=yours))
        for kind in KINDS
        for yours in (False, True)
    }
    assert {pair for pair, way in found.items() if way is not Cutting.NEVER} == {
        (PromptKind.SAY, True),
        (PromptKind.ASK, True),
    }
    assert found[PromptKind.ASK, True] is Cutting.AFTER_SENTENCE


def inbox() -> Inbox:
    turns = Turns()
    return Inbox(
        Settings(capacity=10), cuts=lambda arriving, other: cutting(turns, arriving, other) is not Cutting.NEVER
    )


async def drained(queue: Inbox) -> list[str]:
    shown = [each.id for each in queue.peek(10)]
    taken = [(await queue.take()).id for _ in range(len(queue))]
    assert shown == taken
    return taken


async def test_what_cuts_in_is_next_and_what_it_cut_comes_after_all_that_may_cut_it() -> None:
    queue = inbox()
    queue.restore(prompt(PromptKind.EVENT, name="gift", at=1))
    queue.hold(prompt(PromptKind.SAY, name="held", resumable=True, at=2))
    queue.restore(prompt(PromptKind.ASK, name="question", at=3))
    queue.reserve()
    queue.put(prompt(PromptKind.SAY, name="urgent", at=4), first=True)
    assert [each.id for each in queue.held] == ["held"]
    assert await drained(queue) == ["urgent", "question", "held", "gift"]


async def test_a_resumable_text_does_not_begin_while_something_waits_that_would_cut_it() -> None:
    queue = inbox()
    queue.restore(prompt(PromptKind.SAY, name="long", resumable=True, at=1))
    queue.restore(prompt(PromptKind.SAY, name="longer", resumable=True, at=2))
    queue.restore(prompt(PromptKind.ASK, name="question", at=3))
    assert await drained(queue) == ["question", "long", "longer"]


async def test_what_is_given_back_keeps_its_place() -> None:
    queue = inbox()
    queue.reserve()
    queue.put(prompt(PromptKind.ASK, name="urgent", at=9), first=True)
    queue.restore(prompt(PromptKind.ASK, name="older", at=1))
    await queue.take()
    queue.untake()
    assert await drained(queue) == ["urgent", "older"]


def test_no_bridge_comes_twice_in_a_row() -> None:
    bridges = Bridges(["a", "b", "c"])
    taken = [bridges.take() for _ in range(30)]
    assert all(one != other for one, other in itertools.pairwise(taken))
    assert set(taken) == {"a", "b", "c"}
    assert Bridges(["only"]).take() == "only"


def script(*texts: str) -> Script:
    made = Script()
    for text in texts:
        made.add(Line(text, "pass"))
    made.close()
    return made


@pytest.mark.parametrize(("offset", "lines"), [
    (0, ["+", "一二。", "三四。"]),
    (2, ["一二", "+", "。", "三四。"]),
    (3, ["一二。", "+", "三四。"]),
    (6, ["一二。", "三四。", "+"]),
])  # fmt: skip
def test_a_line_is_put_where_the_text_goes_on_and_taken_out_again(offset: int, lines: list[str]) -> None:
    made = script("一二。", "三四。")
    made.insert(offset, Line("+", BRIDGE))
    assert [line.text for line in made.lines] == lines
    made.remove(offset, BRIDGE)
    assert made.text == "一二。三四。"
    made.remove(0, BRIDGE)
    assert made.text == "一二。三四。"


def test_what_is_left_of_an_utterance_begins_behind_what_was_heard() -> None:
    whole = Utterance(prompt(PromptKind.SAY, resumable=True), script("一。", "二。", "三。"))
    for number, text in enumerate(("一。", "二。", "三。")):
        whole.open_sentence(number, text)
    whole.heard = 1
    rest = whole.rest()
    assert (rest.unsaid, rest.heard, rest.resumes, rest.sounding, rest.begun) == ("二。三。", 1, True, False, True)
    assert rest.rewind() == (2, 1)
    assert resumed(whole.prompt, whole.script, ["一。", "二。", "三。"]).unsaid == ""
