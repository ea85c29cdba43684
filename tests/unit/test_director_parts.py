"""Sentences, admission, events, pulse: the small parts of the director."""

from __future__ import annotations

import asyncio
import time
from typing import cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcaster.config import Inbox as Settings
from broadcaster.director.admission import Admission
from broadcaster.director.events import SUBSCRIBER_EVENTS, EventHub
from broadcaster.director.hands import LONGEST_LIPS_S, RundownHands
from broadcaster.director.pulse import Pulse
from broadcaster.director.recovery import Recovery, resumed_utterance
from broadcaster.director.rundown import Rundown
from broadcaster.director.sentences import SENTENCE_LIMIT, Sentences, sentences_of
from broadcaster.director.utterance import Script, Utterance
from broadcaster.errors import Refused
from broadcaster.inbox import Inbox
from broadcaster.journal import Line, Unfinished
from broadcaster.types import Happening, Inbound, Origin, PromptKind, RoomEvent, Viewer
from broadcaster.wire import Aired, HeadStatus
from tests.fakes.playout_peer import playout_status

pytestmark = pytest.mark.unit

ORIGIN = Origin("test")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("你好。今天开播！", ["你好。", "今天开播！"]),
        ("他说：“来吧！”然后走了。", ["他说：“来吧！”", "然后走了。"]),
        ("真的？！……好吧。", ["真的？！……", "好吧。"]),
        ("圆周率是3.14，网址是a.com。完", ["圆周率是3.14，网址是a.com。", "完"]),
        ("It is 3.5 km. Then stop. OK", ["It is 3.5 km. ", "Then stop. ", "OK"]),
        ("第一行\n第二行", ["第一行\n", "第二行"]),
        ("没有句号", ["没有句号"]),
        ("   ", []),
        ("。。。", ["。。。"]),
    ],
)
def test_sentences_end_where_people_end_them(text: str, expected: list[str]) -> None:
    assert sentences_of(text) == expected


@given(st.lists(st.text(alphabet="你好。！，.a1 \n”", max_size=8), max_size=12))
def test_sentences_joined_are_the_text_however_it_came(parts: list[str]) -> None:
    cutter = Sentences()
    found = [sentence for part in parts for sentence in cutter.feed(part)]
    found += cutter.rest()
    text = "".join(parts)
    joined = "".join(found)
    assert text.startswith(joined)
    assert not text[len(joined) :].strip()


def test_a_text_without_an_end_is_cut_at_a_comma() -> None:
    found = Sentences().feed("一二三四，" * 60)
    assert found
    assert all(len(sentence) <= SENTENCE_LIMIT and sentence.endswith("，") for sentence in found)
    assert [len(s) for s in Sentences().feed("字" * 450)] == [SENTENCE_LIMIT, SENTENCE_LIMIT]


def test_ids_are_unique_and_sort_by_arrival_even_when_the_clock_goes_back() -> None:
    times = iter([5_000_000, 4_000_000, 4_000_000, 9_000_000])
    admission = Admission(100, lambda: next(times))
    prompts = [admission.inbound(PromptKind.SAY, "好", ORIGIN) for _ in range(4)]
    assert [p.received_ns for p in prompts] == [5_000_000, 5_000_001, 5_000_002, 9_000_000]
    assert len({p.id for p in prompts}) == 4


@given(st.text())
def test_every_text_is_admitted_clean_or_refused(text: str) -> None:
    text = text[:50]
    try:
        prompt = Admission(50).inbound(PromptKind.SAY, text, ORIGIN)
    except Refused:
        assert not any(char.isprintable() and not char.isspace() for char in text)
        return
    prompt.text.encode()
    assert prompt.text == prompt.text.strip()
    assert not any(ord(char) < 32 and char != "\n" for char in prompt.text)


def test_names_are_on_one_line_and_hold_nothing_unseen() -> None:
    viewer = Viewer("7\x00\u202e", " 小\n明\u202e\x07 👩\u200d🚀" + "长" * 99)
    prompt = Admission(50).inbound(PromptKind.ASK, "好", ORIGIN, viewer=viewer)
    assert prompt.viewer is not None
    assert prompt.viewer.id == "7"
    assert prompt.viewer.name.startswith("小 明 👩\u200d🚀长")
    assert len(prompt.viewer.name) == 64
    unseen = Admission(50).inbound(PromptKind.ASK, "好", ORIGIN, viewer=Viewer("name:\u202e", "\u202e"))
    assert unseen.viewer is None


@pytest.mark.parametrize(
    ("happening", "viewer", "text"),
    [
        (Happening(RoomEvent.GIFT, "辣条", 3), Viewer("7", "小明"), "小明 gift 辣条 x3"),
        (Happening(RoomEvent.GIFT, " \n", 1), Viewer("7", "小明"), "小明 gift"),
        (Happening(RoomEvent.ENTER), Viewer("7", "小明"), "小明 enter"),
        (Happening(RoomEvent.LIKE, "", 100), None, "like x100"),
    ],
)
def test_an_event_is_told_in_a_line(happening: Happening, viewer: Viewer | None, text: str) -> None:
    prompt = Admission(50).inbound(PromptKind.EVENT, "", ORIGIN, viewer=viewer, happening=happening)
    assert (prompt.text, prompt.viewer) == (text, viewer)


async def test_a_subscriber_gets_everything_from_its_subscription_on() -> None:
    hub = EventHub()
    hub.publish({"n": 0})
    events = hub.subscribe()
    hub.publish({"n": 1})
    hub.publish({"n": 2})
    assert [await anext(events), await anext(events)] == [{"n": 1}, {"n": 2}]
    waiting = asyncio.ensure_future(anext(events))
    await asyncio.sleep(0)
    hub.publish({"n": 3})
    assert await waiting == {"n": 3}
    await events.aclose()
    assert len(hub) == 0
    with pytest.raises(StopAsyncIteration):
        await anext(events)


async def test_a_subscriber_that_lags_loses_the_oldest_and_it_is_counted() -> None:
    hub = EventHub()
    slow, fast = hub.subscribe(), hub.subscribe()
    for n in range(SUBSCRIBER_EVENTS + 3):
        hub.publish({"n": n})
        assert await anext(fast) == {"n": n}
    assert hub.lost == 3
    assert await anext(slow) == {"n": 3}


async def test_the_end_of_the_hub_ends_subscriptions_after_what_is_in_them() -> None:
    hub = EventHub()
    events = hub.subscribe()
    hub.publish({"n": 1})
    hub.close()
    assert [event async for event in events] == [{"n": 1}]


async def test_a_pulse_wakes_everybody_who_waits() -> None:
    pulse = Pulse()
    state = {"on": False}
    waiting = [asyncio.ensure_future(pulse.until(lambda: state["on"])) for _ in range(3)]
    await asyncio.sleep(0)
    pulse.beat()
    await asyncio.sleep(0)
    assert not any(task.done() for task in waiting)
    state["on"] = True
    pulse.beat()
    assert await asyncio.gather(*waiting) == [True] * 3
    assert not await pulse.until(lambda: False, timeout=0)


def test_an_unfinished_prompt_goes_on_after_the_last_sentence_heard() -> None:
    prompt = Inbound("p", PromptKind.SAY, "一。二。三。", ORIGIN)
    lines = tuple(Line(text, "pass") for text in ("一。", "二。", "三。"))
    for script in (lines, ()):
        utterance = resumed_utterance(Unfinished(prompt, True, script, True, ("一。", "二。")))
        assert utterance.rewind() == (4, 2)
        assert utterance.script.text == "一。二。三。"
        assert utterance.heard == 2
        assert utterance.script.closed


def test_a_sentence_that_the_journal_has_already_is_not_counted_twice() -> None:
    prompt = Inbound("p", PromptKind.SAY, "一。二。三。", ORIGIN)
    lines = tuple(Line(text, "pass") for text in ("一。", "二。", "三。"))
    found = Unfinished(prompt, True, lines, True, ("一。",), frozenset({(4, 0)}))
    published: list[Aired] = []
    inbox = Inbox(Settings(capacity=10))
    recovery = Recovery([found], Silent(), inbox, Pulse(), published.append, lambda *ended: None)  # type: ignore[arg-type]
    for sentence, text in ((0, "一。"), (1, "二。"), (1, "二。")):
        recovery.aired(Aired("on_air", 4, "p", sentence, text, "tone", 10, 0, 0))
        recovery.aired(Aired("heard", 4, "p", sentence, text, "tone", 20, 5, 0))
    recovery.aired(Aired("done", 4, "p", 1, "", "tone", 20, 0, 0))
    asyncio.run(recovery.settle(lambda: None))
    assert {event.sentence for event in published} == {1}
    utterance = recovery.resumed["p"]
    assert utterance.heard == 2
    assert utterance.script.text[utterance.cursor :] == "三。"


@pytest.mark.parametrize(("started", "ends"), [(False, []), (True, ["cut"])])
def test_what_made_way_before_a_restart_goes_on_and_what_was_interrupted_does_not(
    started: bool, ends: list[str]
) -> None:
    prompt = Inbound("p", PromptKind.SAY, "一。二。三。", ORIGIN, resumable=True)
    lines = tuple(Line(text, "pass") for text in ("一。", "二。", "三。"))
    found = Unfinished(prompt, started, lines, True, ("一。",), frozenset({(4, 0)}))
    inbox = Inbox(Settings(capacity=10))
    ended: list[str] = []
    recovery = Recovery([found], Silent(), inbox, Pulse(), lambda _: None, lambda *told: ended.append(told[1]))  # type: ignore[arg-type]
    assert recovery.pending
    recovery.aired(Aired("cut", 4, "p", 1, "二。", "tone", 20, 5, 0))
    asyncio.run(recovery.settle(lambda: None))
    assert ended == ends
    assert [each.id for each in inbox.held] == ([] if ends else ["p"])
    assert all(rest.resumes and rest.unsaid == "二。三。" for rest in recovery.resumed.values())


class Silent:
    """A journal that nobody reads."""

    def break_off_all(self) -> None:
        pass

    def requeue(self, prompt: str) -> None:
        pass


def test_a_package_of_several_lines_bears_the_verdict_that_changed_one_of_them() -> None:
    script = Script()
    for text, verdict in (("好的。", "pass"), ("我们***。", "mask"), ("再见。", "pass")):
        script.add(Line(text, verdict))
    assert script.verdict_of(0, 3) == "pass"
    assert script.verdict_of(0, 9) == "mask"
    assert script.verdict_of(9, 3) == "pass"
    assert script.verdict_of(3, 0) == "mask"
    assert script.verdict_of(99, 3) == "pass"
    assert Script().verdict_of(0, 3) == ""


def test_a_long_text_without_an_end_keeps_nobody_waiting() -> None:
    text = "1." * 5000
    began = time.process_time()
    assert "".join(sentences_of(text)) == text
    assert time.process_time() - began < 0.5, "it took seconds when all of the text was looked at for every sentence"


def test_a_clause_may_go_before_its_sentence() -> None:
    cutter = Sentences()
    assert cutter.feed("你好，价格是3,") == []
    assert cutter.clause() == "", "three is too little, and the number may go on"
    assert cutter.feed("245元，今天") == []
    assert cutter.clause() == "你好，价格是3,245元，"
    assert cutter.clause() == ""
    assert cutter.feed("收盘。明") == ["今天收盘。"]


def test_the_head_is_as_far_ahead_as_it_has_shown_to_be() -> None:
    status = playout_status(1)
    rundown = cast("Rundown", None)
    assert RundownHands(rundown, lambda: None).lips() == 0.0
    assert RundownHands(rundown, lambda: status).lips() == 0.0, "no head"
    for milliseconds, lead, expected in ((5.0, 2, 0.09), (60.0, 5, 0.38), (900.0, 5, LONGEST_LIPS_S)):
        head = HeadStatus("warp", degraded=False, rendered=1, skipped=0, render_ms=milliseconds)
        made = msgspec.structs.replace(status, head=head, lead_ticks=lead)
        assert RundownHands(rundown, lambda made=made: made).lips() == pytest.approx(expected)  # type: ignore[misc]


def test_a_sentence_that_went_on_air_as_clauses_ends_with_the_last_of_them() -> None:
    utterance = Utterance(Inbound("1", PromptKind.ASK, "?", ORIGIN))
    for number, text in enumerate(("好的。", "今天天气不错，", "我们去公园，", "走走吧。", "再见，")):
        utterance.script.add(Line(text, "pass"))
        utterance.open_sentence(number, text)
    assert [utterance.ending(number) for number in range(-1, 5)] == [-1, 0, 3, 3, 3, 4]
