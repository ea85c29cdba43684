"""What the audience hears of every fault of every brain: the real SDKs, the chain and the rules, a running director.

How long the silence before an answer is at most is tested in virtual time (`tests/unit/test_chain.py`); here the
limits are short, and what counts is what is heard, and that it is heard while the server still does not answer.
"""

from __future__ import annotations

import pytest

from broadcaster.config import BrainConfig
from broadcaster.minds import host_of, mind_of
from broadcaster.paths import Paths
from broadcaster.types import PromptKind
from tests.contract.brain_cases.case import ENDLESS, OUTCOMES, QUESTION, BrainCase, Fault, all_cases
from tests.fakes.model_server import ModelServer
from tests.fakes.voice_peer import ScriptedSpeaker
from tests.support.directing import Station, station

pytestmark = pytest.mark.integration

SCRIPT = ("你好，我是模型。", "第二句在这里。")
PATIENT_S = 10.0
"""No limit is reached unless the server is silent for ever, however busy the machine is."""

IMPATIENT_S = 0.15

CASES = [pytest.param(case, id=str(case)) for case in all_cases()]


async def heard_of(
    on: Station, case: BrainCase, server: ModelServer, paths: Paths, first: float = PATIENT_S, gap: float = PATIENT_S
) -> tuple[list[str], str]:
    """The sentences of one answer as they were heard, and what the rules would have answered."""
    link = case.link(server, first_token_timeout_s=first, gap_timeout_s=gap, retries=0)
    settings = BrainConfig(chain=[link])
    mind = mind_of(settings, paths.cache)
    on.director._mind = on.director._performer._mind = mind  # type: ignore[assignment]
    try:
        asked = await on.say(QUESTION, PromptKind.ASK)
        await on.ended(asked.id)
    finally:
        await mind.close()
    return on.playout.heard(asked.id), host_of(settings, paths.cache).responder.answer(QUESTION, asked.id)


@pytest.mark.parametrize("case", CASES)
async def test_whatever_a_server_does_something_sensible_is_heard_and_nothing_of_its_error(
    paths: Paths, case: BrainCase
) -> None:
    wrong: list[str] = []
    async with station(paths, speaker=ScriptedSpeaker(seconds=0.01)) as on:
        for fault in Fault:
            async with case.serve() as server:
                server.script = list(SCRIPT)
                case.break_it(server, fault)
                heard, rules = await heard_of(on, case, server, paths)
            expected = SCRIPT if fault is Fault.FILTERED else SCRIPT[:1] if OUTCOMES[fault].said else [rules]
            if "".join(heard) != "".join(expected):
                wrong.append(f"{fault}: {heard}")
    assert not wrong


@pytest.mark.parametrize("case", CASES)
async def test_a_server_that_never_answers_is_not_waited_for(paths: Paths, case: BrainCase) -> None:
    async with station(paths, speaker=ScriptedSpeaker(seconds=0.01)) as on:
        for name, break_it in ENDLESS.items():
            async with case.serve() as server:
                server.script = list(SCRIPT)
                break_it(server)
                stalls = "stalls" in name
                first, gap = (PATIENT_S, IMPATIENT_S) if stalls else (IMPATIENT_S, PATIENT_S)
                heard, rules = await heard_of(on, case, server, paths, first, gap)
                assert "".join(heard) == (SCRIPT[0] if stalls else rules)


TEXTS = (
    ["Error: rate limit", " exceeded, try again"],
    ['{"error": {"message": "no such model"}}'],
    ["抱歉，我无法回答", "这个问题。"],
    ["<think>嗯，怎么办", "</think>"],
    ["<tool_call>{}</tool_call>"],
)


async def test_errors_refusals_and_thoughts_in_the_text_of_an_answer_are_not_heard(paths: Paths) -> None:
    case = next(each for each in all_cases() if each.engine == "openai")
    async with station(paths, speaker=ScriptedSpeaker(seconds=0.01)) as on:
        for text in TEXTS:
            async with case.serve() as server:
                server.script = text
                heard, rules = await heard_of(on, case, server, paths)
                assert "".join(heard) == rules
        async with case.serve() as server:
            server.script = ["<think>嗯</think>**好的**，（笑）看", "[这里](https://a.b/c)。", "再见😀！"]
            server.chatter = True
            heard, _ = await heard_of(on, case, server, paths)
            assert "".join(heard) == "好的，看这里。再见！"
