"""One suite over every brain of `registry.BRAINS`: the real SDK or HTTP client against a local server.

To add an engine, write `tests/contract/brain_cases/<its name>.py` with `CASES`, a list of `BrainCase` (one per
setting that changes the wire), and a fake of its server in `tests/fakes/`: a `ModelServer` that words its events.
Every fault must end as `OUTCOMES` says: the chain treats all engines alike. What only one engine has is tested in
`test_brain_<engine>.py`, with the same fake. The built-in rules are a brain too, and take part where no wire is.
"""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from broadcaster import registry
from broadcaster.brain.knowledge import Knowledge
from broadcaster.brain.responder import Responder
from broadcaster.errors import CutOff
from broadcaster.ports import Brain
from broadcaster.types import Message
from tests.contract.brain_cases.case import (
    ENDLESS,
    OUTCOMES,
    PICTURE,
    QUESTION,
    SECRET,
    SYSTEM,
    BrainCase,
    Fault,
    all_cases,
    cases_of,
    turn,
)
from tests.fakes.model_server import NOISE, ModelServer
from tests.support.answers import NEVER_S, read
from tests.support.waiting import until

pytestmark = pytest.mark.contract

CASES = all_cases()
ANSWER = "你好，我是模型。"
BEFORE = (Message("user", "早上好。"), Message("assistant", "大家早。"))

GIVES_UP_S = 0.03
"""How long the listener of an endless answer waits for more."""


@dataclass
class Bench:
    server: ModelServer
    brain: Brain


@asynccontextmanager
async def bench(case: BrainCase, **options: object) -> AsyncIterator[Bench]:
    """A server and an engine beside it; behind them no task and no connection may be left."""
    tasks = asyncio.all_tasks()
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(case.serve())
        brain = case.make(server, **options)
        try:
            yield Bench(server, brain)
        finally:
            await brain.close()
        await until(lambda: server.open == 0)
    await until(lambda: asyncio.all_tasks() <= tasks)


def test_every_registered_brain_is_in_this_suite() -> None:
    missing = [name for name in registry.BRAINS if not cases_of(name)]
    assert not missing, f"write tests/contract/brain_cases/<name>.py for {', '.join(missing)}"
    assert len({str(case) for case in CASES}) == len(CASES)
    assert {case.engine for case in CASES} == set(registry.BRAINS)
    assert set(OUTCOMES) == set(Fault)


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_it_answers_as_it_comes_and_tells_its_tokens(case: BrainCase) -> None:
    async with bench(case, price_in=1.0) as on:
        assert on.brain.name == case.link(on.server).label == case.engine
        take = await read(on.brain, turn())
        assert (take.text, take.error) == (ANSWER, None)
        assert len([part for part in take.parts if part]) == 2
        assert [(used.prompt_tokens, used.completion_tokens) for used in take.usage] == [(21, 8)]
        assert SECRET in on.server.keys[0]
        on.server.usage = None
        silent = await read(on.brain, turn())
        assert (silent.text, silent.usage) == (ANSWER, [])
        assert on.server.left == 0


@pytest.mark.parametrize("case", [case for case in CASES if case.engine != "dify"], ids=str)
async def test_an_answer_that_was_long_enough_for_the_server_says_so_at_its_end(case: BrainCase) -> None:
    """Dify tells no reason."""
    async with bench(case) as on:
        on.server.finish = "length"
        take = await read(on.brain, turn())
        assert take.text == ANSWER
        assert isinstance(take.error, CutOff)
        assert [used.completion_tokens for used in take.usage] == [8]


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_the_first_words_come_before_the_last_are_written(case: BrainCase) -> None:
    async with bench(case) as on:
        on.server.stall_after = 1
        async with aclosing(on.brain.reply(turn())) as answer:  # type: ignore[type-var]
            async with asyncio.timeout(NEVER_S):
                part = ""
                while not part:
                    part = await anext(answer)
            assert part == "你好，"


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_the_model_gets_the_part_it_plays_what_was_heard_and_the_question(case: BrainCase) -> None:
    async with bench(case) as on:
        await read(on.brain, turn(before=BEFORE))
        assert case.texts_of(on.server.requests[0]) == [SYSTEM, "早上好。", "大家早。", QUESTION]


SEEING = [
    (case, vision)
    for case in CASES
    for vision in (True, False)
    if case.setting not in ("text", "multimodal") or vision is (case.setting == "multimodal")
]
"""DashScope's two settings are two wires."""


@pytest.mark.parametrize(("case", "vision"), SEEING, ids=str)
async def test_a_picture_goes_along_for_a_model_that_sees(case: BrainCase, vision: bool) -> None:
    async with bench(case, vision=vision) as on:
        assert (await read(on.brain, turn(images=(PICTURE,)))).text == ANSWER
        uri = f"data:image/png;base64,{base64.b64encode(PICTURE.data).decode()}"
        assert case.pictures_of(on.server) in ([[uri], [PICTURE.data]] if vision else [[]])
        assert case.texts_of(on.server.requests[0])[-1] == QUESTION


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_thoughts_and_tool_calls_are_not_said_wherever_the_bytes_are_cut(case: BrainCase) -> None:
    async with bench(case) as on:
        on.server.chatter = on.server.odd = True
        take = await read(on.brain, turn())
        assert (take.text, take.error) == (ANSWER, None)
        assert NOISE not in take.text


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_two_questions_at_once_do_not_mix(case: BrainCase) -> None:
    async with bench(case) as on:
        on.server.echo = True
        questions = ["一二三四五六七八", "甲乙丙丁戊己庚辛", "ABCDEFGH"]
        takes = await asyncio.gather(*(read(on.brain, turn(question, system="")) for question in questions))
        assert [take.text for take in takes] == questions


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_a_server_that_forgets_to_end_is_not_waited_for(
    case: BrainCase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broadcaster.brain.engines.asked.TAIL_S", 0.01)
    async with bench(case) as on:
        on.server.silent_end = True
        take = await read(on.brain, turn())
        assert (take.text, take.error) == (ANSWER, None)


@pytest.mark.parametrize("fault", Fault, ids=str)
@pytest.mark.parametrize("case", CASES, ids=str)
async def test_every_fault_ends_in_the_same_error_and_tells_nothing(
    case: BrainCase, fault: Fault, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "dashscope")
    outcome = OUTCOMES[fault]
    async with bench(case) as on:
        case.break_it(on.server, fault)
        take = await read(on.brain, turn())
        assert not take.gave_up
        assert take.error is not None
        error = take.error
        assert (error.retryable, error.denied, error.retry_after_s) == (
            outcome.retryable,
            outcome.denied,
            outcome.retry_after_s,
        ), str(error)
        assert outcome.says in str(error)
        assert bool(take.text) is outcome.said
        assert ANSWER.startswith(take.text)
        told = f"{error} {error.__notes__ if hasattr(error, '__notes__') else ''}"
        for secret in (SECRET, QUESTION, "trouble"):
            assert secret not in told
            assert secret not in " ".join(record.getMessage() for record in caplog.records if record.name[:2] == "da")
        assert len(on.server.requests) == 1, "an engine runs once; who repeats is decided elsewhere"

        on.server.well()
        on.server.script = ["又好了。"]
        assert (await read(on.brain, turn())).text == "又好了。"


@pytest.mark.parametrize("how", ENDLESS)
@pytest.mark.parametrize("case", CASES, ids=str)
async def test_giving_up_is_seen_by_the_server(case: BrainCase, how: str) -> None:
    async with bench(case) as on:
        ENDLESS[how](on.server)
        some = how == "stalls in the answer"
        take = await read(on.brain, turn(), first=NEVER_S if some else GIVES_UP_S, gap=GIVES_UP_S)
        assert take.gave_up
        assert bool(take.text) is some
        await until(lambda: on.server.left == len(on.server.requests))  # a slow machine may not have asked yet
        on.server.well()
        assert (await read(on.brain, turn())).text == ANSWER


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_cancelling_the_reader_is_seen_by_the_server(case: BrainCase) -> None:
    async with bench(case) as on:
        on.server.stall_after = 0
        task = asyncio.create_task(read(on.brain, turn()))
        await until(lambda: len(on.server.requests) == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: on.server.left == 1)


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_nobody_there_is_an_error_that_may_pass(case: BrainCase) -> None:
    async with case.serve() as server:
        pass
    brain = case.make(server)
    take = await read(brain, turn())
    await brain.close()
    assert take.error is not None
    assert take.error.retryable
    assert "no connection" in str(take.error)
    assert f"127.0.0.1:{server.port}" in str(take.error)


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_a_server_that_takes_no_connection_is_given_up(case: BrainCase, hole: int) -> None:
    async with case.serve() as server:
        pass
    server.port = hole
    brain = case.make(server, connect_timeout_s=0.1)
    take = await read(brain, turn())
    await brain.close()
    assert not take.gave_up
    assert take.error is not None
    assert "no connection" in str(take.error)
    assert "0.1 s" in str(take.error)


# -- the built-in rules ----------------------------------------------------------------------------------------------


async def test_the_rules_answer_like_any_brain_without_tokens() -> None:
    rules = Responder("小播")
    alone = await read(rules, turn("你是谁？"))
    assert alone.text.strip()
    assert (alone.usage, alone.error) == ([], None)
    assert rules.name
    both = await asyncio.gather(read(Responder("小播"), turn("你是谁？")), read(Responder("小播"), turn("你是谁？")))
    assert [take.text for take in both] == [alone.text, alone.text]


async def test_the_rules_stop_quietly() -> None:
    rules = Responder("小播")
    answer = rules.reply(turn("你是谁？"))
    assert await anext(answer)
    await answer.aclose()  # type: ignore[attr-defined]
    assert (await read(rules, turn("你是谁？"))).text.strip()


def test_the_shipped_notes_answer_the_questions_they_were_written_for() -> None:
    root = Path(__file__).resolve().parents[2]
    notes = Knowledge.load(root / "playlists" / "knowledge")
    host = Responder("小播", knowledge=notes, now=lambda: datetime(2026, 3, 1, tzinfo=UTC))
    for question, word in (
        ("几点开播？", "二十四小时"),
        ("声音是真人录的吗", "语音合成"),
        ("角落的标识是什么意思", "人工智能"),
        ("怎样打断主持人", "管理员"),
        ("Can I stream to several platforms?", "RTMP"),
        ("Is the voice a real recording?", "synthesis"),
    ):
        assert word in host.answer(question), question
    for question in ("中国的首都是哪里", "股票会涨吗", "What is the capital of France?", "人工智能会取代人类吗"):
        assert notes.find(question) is None, question
