"""One suite over every brain, and what the OpenAI-compatible one makes of every way a server can fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import SecretStr

from broadcaster.brain.engines.openai_chat import OpenAIBrain
from broadcaster.brain.knowledge import Knowledge
from broadcaster.brain.responder import Responder
from broadcaster.config import OpenAIChat
from broadcaster.errors import BrainError
from broadcaster.ports import Brain
from broadcaster.registry import BRAINS, resolve
from broadcaster.types import Inbound, Message, Origin, PromptKind, Turn
from tests.fakes.llm_server import LlmServer

pytestmark = pytest.mark.contract

KEY = "sk-canary-0123456789abcdef"


def turn(text: str = "你是谁？", heard: tuple[str, ...] = ()) -> Turn:
    said = [Message("assistant", sentence) for sentence in heard]
    return Turn(Inbound("p1", PromptKind.ASK, text, Origin("test")), "", (*said, Message("user", text)))


@asynccontextmanager
async def model(server: LlmServer, **options: float) -> AsyncIterator[OpenAIBrain]:
    config = OpenAIChat(base_url=server.base_url, api_key=SecretStr(KEY), model="test-model", **options)
    brain = OpenAIBrain(config)
    try:
        yield brain
    finally:
        await brain.close()


async def read(brain: Brain, asked: Turn) -> str:
    return "".join([delta async for delta in brain.reply(asked) if isinstance(delta, str)])


@pytest.fixture(params=["responder", "openai"])
async def brain(request: pytest.FixtureRequest) -> AsyncIterator[Brain]:
    if request.param == "responder":
        yield Responder("小播")
        return
    async with LlmServer() as server, model(server) as made:
        yield made


def test_every_registered_brain_is_in_this_suite() -> None:
    assert set(BRAINS) == {"openai", "dashscope", "dify"}
    assert resolve(BRAINS, "openai", "brain") is OpenAIBrain


async def test_it_answers_with_text(brain: Brain) -> None:
    assert (await read(brain, turn())).strip()
    assert (await read(brain, turn(heard=("刚才说的。",)))).strip()
    assert brain.name


async def test_two_questions_at_once_do_not_mix(brain: Brain) -> None:
    alone = await read(brain, turn())
    assert await asyncio.gather(read(brain, turn()), read(brain, turn())) == [alone, alone]


async def test_closing_the_iterator_early_is_quiet(brain: Brain) -> None:
    reply = brain.reply(turn())
    assert await anext(reply)
    await reply.aclose()  # type: ignore[attr-defined]
    assert (await read(brain, turn())).strip()


async def test_the_model_gets_the_question_the_part_it_plays_and_what_was_heard() -> None:
    async with LlmServer() as server, model(server) as brain:
        assert await read(brain, turn("天气怎么样？", ("早上好。", "欢迎。"))) == "你好，我是模型。"
        (request,) = server.requests
        assert request["model"] == "test-model"
        assert request["stream"] is True
        assert request["messages"][-1] == {"role": "user", "content": "天气怎么样？"}
        assert [message["content"] for message in request["messages"]][:2] == ["早上好。", "欢迎。"]
        assert server.keys == [f"Bearer {KEY}"]


async def test_what_a_model_thinks_aloud_is_not_spoken() -> None:
    script = ["<th", "ink>先想", "一想</thi", "nk>", "好的，", "1 < 2", " <b"]
    async with LlmServer(script) as server, model(server) as brain:
        assert await read(brain, turn()) == "好的，1 < 2 <b"


@pytest.mark.parametrize(
    ("break_it", "retryable"),
    [
        (lambda server: setattr(server, "status", 401), False),
        (lambda server: setattr(server, "status", 404), False),
        (lambda server: setattr(server, "status", 429), True),
        (lambda server: setattr(server, "status", 500), True),
        (lambda server: setattr(server, "stall_after", 0), True),
        (lambda server: setattr(server, "stall_after", 1), True),
        (lambda server: setattr(server, "drop_after", 0), True),
        (lambda server: setattr(server, "drop_after", 1), True),
        (lambda server: setattr(server, "garbage_after", 1), True),
        (lambda server: setattr(server, "first_delay", 30.0), True),
        (lambda server: setattr(server, "script", []), True),
        (lambda server: setattr(server, "script", ["<think>only thoughts"]), True),
    ],
    ids=[
        "wrong-key", "no-such-model", "too-many-requests", "server-error", "stalls-at-once", "stalls-in-the-answer",
        "drops-at-once", "drops-in-the-answer", "malformed-event", "late", "empty", "never-stops-thinking",
    ],
)  # fmt: skip
async def test_every_failure_is_a_brain_error_without_the_key(
    break_it: Callable[[LlmServer], None], retryable: bool
) -> None:
    async with LlmServer() as server:
        break_it(server)
        async with model(server, first_token_timeout_s=0.3, total_timeout_s=0.6) as brain:
            said: list[str] = []
            with pytest.raises(BrainError) as failure:
                said += [delta async for delta in brain.reply(turn())]
            assert failure.value.retryable is retryable
            assert KEY not in str(failure.value)
            assert "".join(said) in ("", "你好，")
            server.status, server.first_delay, server.script = 200, 0.0, ["又好了。"]
            server.stall_after = server.drop_after = server.garbage_after = None
            assert await read(brain, turn()) == "又好了。"
            assert len(server.requests) == 2  # never asked twice by itself


async def test_nobody_there_is_a_brain_error() -> None:
    async with LlmServer() as server:
        pass
    async with model(server) as brain:
        with pytest.raises(BrainError, match="no connection"):
            await read(brain, turn())


async def test_the_server_is_told_when_the_answer_is_not_wanted_any_more() -> None:
    async with LlmServer(["一", "二", "三"]) as server, model(server) as brain:
        server.stall_after = 2
        reply = brain.reply(turn())
        assert [await anext(reply), await anext(reply)] == ["一", "二"]
        await reply.aclose()  # type: ignore[attr-defined]
        async with asyncio.timeout(5):
            while server.left == 0:  # noqa: ASYNC110  # the server sees it when the kernel tells it
                await asyncio.sleep(0.005)


async def test_cancelling_while_it_waits_is_told_too() -> None:
    async with LlmServer() as server, model(server) as brain:
        server.stall_after = 0
        task = asyncio.create_task(read(brain, turn()))
        async with asyncio.timeout(5):
            while not server.requests:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            while server.left == 0:  # noqa: ASYNC110
                await asyncio.sleep(0.005)


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
