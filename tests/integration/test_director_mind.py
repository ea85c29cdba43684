"""The director and what is said: brains that fail or break off, and the gate over every sentence."""

from __future__ import annotations

import time

import pytest

from broadcaster.brain.budget import Budget
from broadcaster.brain.chain import Chain, Link
from broadcaster.brain.mind import ChainMind
from broadcaster.errors import BrainError
from broadcaster.journal import asrun_rows
from broadcaster.paths import Paths
from broadcaster.types import Message, Origin, PromptKind, Verdict, VerdictKind
from broadcaster.wire import Speak
from tests.fakes.gate import PassGate
from tests.support.directing import Brain, station

pytestmark = pytest.mark.integration


async def test_an_answer_is_spoken_while_it_is_still_written_and_the_brain_hears_what_was_on_air(
    paths: Paths,
) -> None:
    brain = Brain("model", ["第一", "句答案。", "第二句", "答案。"])
    async with station(paths, brains=[brain]) as on:
        said = await on.say("先说一句。")
        await on.ended(said.id)
        asked = await on.say("问什么？", PromptKind.ASK)
        await on.ended(asked.id)
        assert on.playout.heard(asked.id) == ["第一句答案。", "第二句答案。"]
        assert brain.turns[0].messages == (Message("assistant", "先说一句。"), Message("user", "问什么？"))
        assert brain.turns[0].prompt.text == "问什么？"


async def test_a_failing_brain_is_replaced_and_its_error_never_goes_on_air(paths: Paths) -> None:
    bad, good = Brain("bad", [], BrainError("500 secret detail")), Brain("good", ["我来回答。"])
    async with station(paths, brains=[bad, good]) as on:
        asked = await on.say("问题？", PromptKind.ASK)
        await on.ended(asked.id)
        assert on.playout.heard() == ["我来回答。"]
        assert on.director.status()["brain"]["degraded"]


async def test_a_brain_that_keeps_failing_is_left_alone_for_a_while(paths: Paths) -> None:
    for denied, asked_times in ((False, 3), (True, 1)):
        bad, good = Brain("bad", [], BrainError("down", denied=denied)), Brain("good", ["我来回答。"])
        async with station(paths, brains=[bad, good]) as on:
            for _ in range(4):
                asked = await on.say("问题？", PromptKind.ASK)
                await on.ended(asked.id)
            assert len(bad.turns) == asked_times
            assert len(good.turns) == 4


async def test_an_answer_that_breaks_off_ends_at_its_last_whole_sentence(paths: Paths) -> None:
    broken, other = Brain("broken", ["说完的一句。没说完的"], BrainError("dropped")), Brain("other", ["不该说。"])
    async with station(paths, brains=[broken, other]) as on:
        asked = await on.say("问题？", PromptKind.ASK)
        await on.ended(asked.id)
        assert on.playout.heard() == ["说完的一句。"]
        assert other.turns == []


async def test_no_brain_answers_then_the_prompt_is_skipped(paths: Paths) -> None:
    async with station(paths, brains=[Brain("bad", [], BrainError("no"))]) as on:
        asked = await on.say("问题？", PromptKind.ASK)
        await on.ended(asked.id)
        assert on.types(asked.id) == ["skipped"]
        assert on.playout.messages(Speak) == []


async def test_a_question_that_became_too_old_is_skipped_and_says_so(paths: Paths) -> None:
    brain = Brain("model", ["好的。"])
    late = ChainMind(
        Chain([Link("model", brain)], None, Budget()), stale_after_s=60.0, wall=lambda: time.time_ns() + 61 * 10**9
    )
    async with station(paths, mind=late) as on:
        asked = await on.say("问题？", PromptKind.ASK)
        await on.ended(asked.id)
        assert [event["reason"] for event in on.events if event["type"] == "skipped"] == ["stale"]
        assert (brain.turns, on.playout.heard()) == ([], [])


async def test_what_the_day_has_cost_is_known_to_the_next_director(paths: Paths) -> None:
    def priced(brain: Brain) -> ChainMind:
        budget = Budget(0.000_01, "CNY", lambda: "2026-03-02")
        rules = Link("rules", Brain("rules", ["免费的回答。"]))
        return ChainMind(Chain([Link(brain.name, brain, price_out=100.0)], rules, budget), budget=budget)

    dear = Brain("dear", ["贵的回答。"])
    for answer in ("贵的回答。", "免费的回答。"):
        async with station(paths, mind=priced(dear)) as on:
            asked = await on.say("问题？", PromptKind.ASK)
            await on.ended(asked.id)
            assert on.playout.heard() == [answer]
            await on.director.journal.flush()
            assert on.director.status()["brain"]["budget"]["links"][0]["requests"] == 1
    assert len(dear.turns) == 1


class ByWord(PassGate):
    """Drops, holds and replaces by a word of the text."""

    async def admit(self, text: str, origin: Origin) -> Verdict:
        for word, kind in (("扔", VerdictKind.DROP), ("等", VerdictKind.HOLD)):
            if word in text:
                return Verdict(kind, "", "because")
        if "换" in text:
            return Verdict(VerdictKind.REPLACE, text.replace("换", "改"), "because")
        return Verdict(VerdictKind.PASS, text)


async def test_the_gate_decides_over_prompts_and_over_every_sentence_of_an_answer(paths: Paths) -> None:
    brain = Brain("model", ["好的一句。要扔的一句。要换的一句。"])
    async with station(paths, gate=ByWord(), brains=[brain]) as on:
        dropped, held, replaced = [await on.say(text) for text in ("扔掉。", "等等。", "换掉。")]
        asked = await on.say("问？", PromptKind.ASK)
        await on.ended(dropped.id, held.id, replaced.id, asked.id)
        reasons = {event["id"]: event["reason"] for event in on.events if event["type"] == "skipped"}
        assert reasons == {dropped.id: "dropped", held.id: "held"}
        assert on.playout.heard() == ["改掉。", "好的一句。", "要改的一句。"]
        await on.director.journal.flush()
        assert {row["text"]: row["verdict"] for row in asrun_rows(paths.journal)} == {
            "改掉。": "replace",
            "好的一句。": "pass",
            "要改的一句。": "replace",
        }
