"""The chain of brains in virtual time: who is asked, how long, and what it costs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from broadcaster.brain.chain import GRACE_S, Link
from broadcaster.brain.mind import ChainMind
from broadcaster.brain.plain import NoMemory
from broadcaster.errors import BrainError, CutOff, Stale
from broadcaster.types import Happening, Inbound, Origin, PromptKind, RoomEvent, Turn, Usage
from tests.support.chains import ASK, RULES, TURN, Book, Model, chain, link, model, now, take, virtual

pytestmark = pytest.mark.unit


@virtual
async def test_the_first_that_answers_is_heard_and_nobody_else_is_asked() -> None:
    second = model("second", "不该说。")
    got = await take(chain(link(model("first", 0.5, "你好，", 0.1, "大家好。")), link(second)).reply(TURN))
    assert (got.text, got.brains, got.first) == ("你好，大家好。", ["first"], 0.5)
    assert second.asked == []


@virtual
async def test_a_silent_model_is_given_up_at_its_time_and_let_go() -> None:
    slow, other = model("slow", 100.0, "晚了。"), model("other", 0.5, "我来。")
    got = await take(chain(link(slow, first_token_s=4.0), link(other, first_token_s=4.0)).reply(TURN))
    assert (got.text, got.first, slow.closed) == ("我来。", 4.5, 1)


@virtual
async def test_however_many_models_are_silent_the_rules_answer_soon_after_the_deadline() -> None:
    silent = [model(f"m{n}", 100.0) for n in range(6)]
    tried = chain(*[link(each, first_token_s=3.0 if each is not silent[2] else 5.0, retries=2) for each in silent])
    got = await take(tried.reply(TURN))
    assert got.text == RULES
    assert got.first <= 5.0 + GRACE_S < 5.0 + 2.0
    assert all(each.closed == len(each.asked) for each in silent)


@virtual
async def test_a_dribble_of_thoughts_is_no_answer() -> None:
    thinking = Model("thinking", [["<think>", *[step for _ in range(99) for step in (0.2, "嗯")]]])
    got = await take(chain(link(thinking, first_token_s=3.0)).reply(TURN))
    assert (got.text, got.first) == (RULES, 3.0)


@virtual
async def test_only_what_may_pass_is_tried_again_and_only_while_there_is_time() -> None:
    busy = Model("busy", [[BrainError("503")], ["好了。"]])
    got = await take(chain(link(busy, retries=1)).reply(TURN))
    assert (got.text, len(busy.asked)) == ("好了。", 2)
    for error in (BrainError("400", retryable=False), BrainError("401", denied=True)):
        bad = model("bad", error)
        assert (await take(chain(link(bad, retries=3)).reply(TURN))).text == RULES
        assert len(bad.asked) == 1
    late = model("late", 2.9, BrainError("503"))
    assert (await take(chain(link(late, retries=3, first_token_s=3.0)).reply(TURN))).first == pytest.approx(2.9)
    assert len(late.asked) == 1


@virtual
async def test_the_servers_wish_to_be_left_alone_is_waited_for_if_it_fits_and_kept_if_not() -> None:
    soon = Model("soon", [[BrainError("429", retry_after_s=2.0)], ["好了。"]])
    got = await take(chain(link(soon, retries=1)).reply(TURN))
    assert (got.text, got.first) == ("好了。", 2.0)
    later = Model("later", [[BrainError("429", retry_after_s=20.0)], ["好了。"]])
    tried = chain(link(later, retries=1))
    assert (await take(tried.reply(TURN))).first == 0.0
    assert (await take(tried.reply(TURN))).text == RULES
    assert len(later.asked) == 1
    await asyncio.sleep(20.0)
    assert (await take(tried.reply(TURN))).text == "好了。"


@virtual
async def test_an_answer_that_stops_or_never_ends_is_cut_and_nothing_is_added_to_it() -> None:
    for steps, limits, ended in (
        (["一句话。", 100.0], {"gap_s": 2.0}, 2.0),
        ([step for _ in range(99) for step in ("一句话。", 1.0)], {"total_s": 5.5}, 5.5),
        (["一句话。", 0.5, BrainError("dropped")], {}, 0.5),
    ):
        other = model("other", "不该说。")
        broken = Model("broken", [steps])  # type: ignore[list-item]
        got = await take(chain(link(broken, retries=3, **limits), link(other)).reply(TURN))
        assert got.error is not None
        assert got.ended == pytest.approx(ended)
        assert (other.asked, len(broken.asked), broken.closed) == ([], 1, 1)
        assert got.text.startswith("一句话。")


@virtual
async def test_an_answer_that_breaks_off_within_its_first_sentence_is_left_to_the_next() -> None:
    for steps, ended in ((["你好，", BrainError("dropped")], 0.0), (["今天", 100.0], 2.0)):
        broken, other = Model("broken", [steps]), model("other", "我来回答。")  # type: ignore[list-item]
        got = await take(chain(link(broken, retries=3, gap_s=2.0), link(other)).reply(TURN))
        assert (got.brains, got.error, len(broken.asked), got.ended) == (["broken", "other"], None, 1, ended)
        assert got.text.endswith("我来回答。")
    got = await take(chain(link(model("alone", "你好，", BrainError("dropped")))).reply(TURN))
    assert got.brains == ["alone", "rules"]
    late = model("late", 5.9, "今天", 100.0)
    got = await take(chain(link(late), link(model("other", "不该说。"))).reply(TURN))
    assert (got.brains, got.ended) == (["late", "rules"], 7.5)


@virtual
async def test_a_breaker_opens_after_failures_at_once_when_denied_and_tries_again_later() -> None:
    bad = Model("bad", [[BrainError("500")]] * 3 + [["好了。"]])
    tried = chain(link(bad))
    for _ in range(5):
        assert (await take(tried.reply(TURN))).text == RULES
    assert len(bad.asked) == 3
    assert tried.status()[0] == {"name": "bad", "state": "open", "answered": 0, "failures": 3, "error": "500"}
    await asyncio.sleep(30.0)
    assert (await take(tried.reply(TURN))).text == "好了。"
    assert (tried.status()[0]["state"], tried.status()[0]["error"]) == ("closed", "")
    denied = model("denied", BrainError("401", denied=True))
    tried = chain(link(denied))
    for _ in range(3):
        await take(tried.reply(TURN))
    assert len(denied.asked) == 1


@virtual
async def test_questions_that_are_refused_do_not_make_a_brain_rest() -> None:
    picky = Model("picky", [[BrainError("400", retryable=False)]] * 5 + [["好了。"]])
    tried = chain(link(picky))
    for _ in range(5):
        assert (await take(tried.reply(TURN))).text == RULES
    assert (await take(tried.reply(TURN))).text == "好了。"


@virtual
async def test_a_listener_that_leaves_ends_the_request_and_is_no_failure() -> None:
    long = model("long", "一句话。", 100.0)
    tried = chain(link(long))
    replies = tried.reply(TURN)
    assert (await anext(replies)).text
    await replies.aclose()  # type: ignore[attr-defined]
    assert long.closed == 1
    assert tried.status()[0]["failures"] == 0


@virtual
async def test_refusals_and_error_texts_are_left_to_the_next() -> None:
    refusing = model("refusing", "抱歉，我无法回答这个问题。")
    erring = model("erring", "Error: rate limit", " exceeded")
    tried = chain(link(refusing, retries=2), link(erring))
    assert (await take(tried.reply(TURN))).text == RULES
    found = {each["name"]: each["failures"] for each in tried.status()}
    assert found == {"refusing": 0, "erring": 1, "rules": 0}
    assert len(refusing.asked) == 1


@virtual
async def test_thoughts_without_an_opening_are_learnt_once() -> None:
    aloud = Model("aloud", [["天气嘛，要看看。", "先想想。</think>晴。"], ["天气嘛，", "想想。</think>晴。"]])
    tried = chain(link(aloud))
    first = await take(tried.reply(TURN))
    assert first.error is not None
    assert (await take(tried.reply(TURN))).text == "晴。"


@virtual
async def test_a_summary_is_written_by_a_model_or_by_nobody() -> None:
    with pytest.raises(BrainError):
        await chain().write(TURN)
    bad, good = model("bad", BrainError("500")), model("good", "摘要。")
    assert await chain(link(bad), link(good)).write(TURN) == "摘要。"


# -- budget -------------------------------------------------------------------------------------------------------


def mind(*links: Link, **options: Any) -> ChainMind:
    return ChainMind(chain(*links), **options)


@virtual
async def test_a_question_that_is_or_becomes_too_old_is_not_answered() -> None:
    class Wall:
        ns = 10**18

        def __call__(self) -> int:
            return self.ns + int(now() * 1e9)

    wall = Wall()
    slow = model("slow", 3.0, "好。")
    asked = mind(link(slow), stale_after_s=60.0, wall=wall)
    assert (await take(asked.reply(ASK))).text == "好。"
    wall.ns += int(55e9)
    assert isinstance((await take(asked.reply(ASK))).error, Stale)
    assert len(slow.asked) == 2
    assert isinstance((await take(asked.reply(ASK))).error, Stale)
    assert len(slow.asked) == 2


@virtual
async def test_events_are_for_the_rules() -> None:
    never = model("never", "不该说。")
    happened = Inbound(
        "e1", PromptKind.EVENT, "小明 gift", Origin("test"), happening=Happening(RoomEvent.GIFT, "辣条")
    )
    assert (await take(mind(link(never)).reply(happened))).text == RULES
    assert never.asked == []


def test_without_a_model_it_says_that_it_is_rule_based(caplog: pytest.LogCaptureFixture) -> None:
    async def work() -> None:
        with caplog.at_level(logging.INFO):
            alone = mind()
            await alone.open(NoMemory(), Book())  # type: ignore[arg-type]
            assert alone.status()["rule_based"]
            assert "rule-based" in caplog.text
            caplog.clear()
            helped = mind(link(model("m", "好。")), memory=NoMemory())
            await helped.open(NoMemory(), Book())  # type: ignore[arg-type]
            assert not helped.status()["rule_based"]
            assert caplog.text == ""

    asyncio.run(work())


@virtual
async def test_a_brain_with_a_fault_of_its_own_takes_no_answer_along() -> None:
    class Broken(Model):
        async def reply(self, turn: Turn) -> AsyncIterator[str | Usage]:
            yield Usage(1, 0)
            raise KeyError(turn.prompt.text)

    broken = link(Broken("a", [[]]))
    got = await take(chain(broken).reply(TURN))
    assert (got.text, got.brains, got.error) == (RULES, ["rules"], None)
    assert (broken.failures, broken.error) == (1, "KeyError inside of it")


@virtual
async def test_the_status_names_who_answered_and_what_is_wrong() -> None:
    bad = model("bad", BrainError("500"))
    asked = mind(link(bad))
    await take(asked.reply(ASK))
    found = asked.status()
    assert (found["engine"], found["rule_based"], found["degraded"], found["error"]) == (
        "rules",
        True,
        True,
        "bad: 500",
    )


@virtual
async def test_an_answer_cut_off_by_the_server_ends_at_its_last_whole_sentence_and_is_no_fault() -> None:
    long = model("long", "第一句话。第二句话说到一半", Usage(20, 40), CutOff("there"))
    asked = link(long)
    got = await take(chain(asked).reply(TURN))
    assert got.text.startswith("第一句话。")
    assert got.error is not None, "then the performer speaks no unfinished sentence"
    assert (asked.answered, asked.failures, asked.breaker.state) == (1, 0, "closed")


@virtual
async def test_a_first_sentence_that_stops_is_not_waited_for_beyond_the_time_of_all() -> None:
    half = Model("half", [[2.9, "今天天气", 100.0]])
    links = [link(each, first_token_s=3.0, gap_s=5.0) for each in (half, Model("also", half.scripts))]
    got = await take(chain(*links).reply(TURN))
    assert got.text.endswith(RULES)
    assert got.ended <= 3.0 + 2.0
