"""What only Dify has: inputs and query, users, pictures that are uploaded, moderation, and being told to stop."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from broadcaster.types import Message, Turn
from tests.contract.brain_cases.case import PICTURE, QUESTION, SYSTEM, turn
from tests.contract.brain_cases.dify import CASES
from tests.fakes.dify_server import DifyServer
from tests.support.answers import read
from tests.support.waiting import until

pytestmark = pytest.mark.contract

(CASE,) = CASES
BEFORE = (Message("user", "早上好。"), Message("assistant", "大家早。"))
HISTORY = "观众：早上好。\n主播：大家早。"


async def asked(asked: Turn, **options: Any) -> dict[str, Any]:
    async with DifyServer() as server:
        brain = CASE.make(server, **options)
        await read(brain, asked)
        await brain.close()
        return server.requests[0]


async def test_what_the_inputs_carry_is_not_in_the_query() -> None:
    inputs = {"who": "You are: {persona}", "talk": "{history}", "fixed": "{other}"}
    request = await asked(turn(before=BEFORE), inputs=inputs)
    assert request["inputs"] == {"who": f"You are: {SYSTEM}", "talk": HISTORY, "fixed": "{other}"}
    assert request["query"] == QUESTION


async def test_what_no_input_carries_is_in_the_query() -> None:
    request = await asked(turn(before=BEFORE), inputs={})
    assert request["query"] == f"{SYSTEM}\n\n到现在为止的对话：\n{HISTORY}\n\n现在的问题：\n{QUESTION}"
    request = await asked(turn(), inputs={"who": "{persona}"})
    assert request["query"] == QUESTION
    request = await asked(turn("What now?", system="You are a host.", before=BEFORE), inputs={})
    assert "The question now:\nWhat now?" in request["query"]


async def test_a_viewer_cannot_fill_in_an_input() -> None:
    said = (Message("user", "{persona}"), Message("assistant", "{history}"))
    request = await asked(turn(before=said), inputs={"who": "{persona}", "talk": "{history}"})
    assert request["inputs"]["talk"] == "观众：{persona}\n主播：{history}"


async def test_the_user_is_the_viewer_where_one_is_known() -> None:
    known = turn()
    assert (await asked(known))["user"] == "u-7"
    assert (await asked(replace(known, prompt=replace(known.prompt, viewer=None))))["user"] == "broadcaster"


async def test_agent_apps_tell_their_text_in_events_of_their_own() -> None:
    async with DifyServer() as server:
        server.kind, server.chatter = "agent_message", True
        brain = CASE.make(server)
        assert (await read(brain, turn())).text == "你好，我是模型。"
        await brain.close()


async def test_moderation_before_the_first_word_replaces_the_answer() -> None:
    async with DifyServer([]) as server:
        server.replaces = "这个我们不聊。"
        brain = CASE.make(server)
        take = await read(brain, turn())
        assert (take.text, take.error) == ("这个我们不聊。", None)
        server.script = ["说到一半"]
        take = await read(brain, turn())
        await brain.close()
        assert take.text == "说到一半"
        assert take.error is not None
        assert not take.error.retryable


async def test_a_workflow_that_fails_is_an_error() -> None:
    async with DifyServer() as server:
        server.workflow_fails = True
        brain = CASE.make(server)
        take = await read(brain, turn())
        await brain.close()
        assert take.error is not None
        assert (take.error.retryable, server.stops) == (True, [])


async def test_an_answer_that_is_not_wanted_any_more_is_stopped_at_dify_too() -> None:
    async with DifyServer(["一", "二", "三"]) as server:
        brain = CASE.make(server)
        server.stall_after = 1
        answer = brain.reply(turn())
        assert await anext(answer) == "一"
        await answer.aclose()  # type: ignore[attr-defined]
        await until(lambda: server.left == 1)
        await until(lambda: server.stops == ["u-7"])
        server.well()
        assert (await read(brain, turn())).text == "一二三"
        await brain.close()
        assert server.stops == ["u-7"], "what has ended is not stopped"


async def test_nobody_waits_for_the_stop_but_the_end_of_the_brain() -> None:
    async with DifyServer(["一"]) as server:
        brain = CASE.make(server)
        server.stall_after = 1
        answer = brain.reply(turn())
        assert await anext(answer) == "一"
        await answer.aclose()  # type: ignore[attr-defined]
        assert server.stops == []
        await brain.close()
        assert server.stops == ["u-7"]


async def test_a_picture_is_uploaded_once_for_each_user() -> None:
    async with DifyServer() as server:
        brain = CASE.make(server, vision=True)
        seen = turn(images=(PICTURE,))
        other = replace(seen, prompt=replace(seen.prompt, viewer=None))
        for question in (seen, seen, other):
            await read(brain, question)
        await brain.close()
        assert [user for user, _ in server.uploads] == ["u-7", "broadcaster"]
        assert [request["files"][0]["upload_file_id"] for request in server.requests] == [
            "upload-1",
            "upload-1",
            "upload-2",
        ]


@pytest.mark.parametrize(
    ("status", "code", "retryable", "denied"),
    [
        (400, "app_unavailable", False, True),
        (400, "provider_not_initialize", False, True),
        (400, "provider_quota_exceeded", False, True),
        (400, "model_currently_not_support", False, True),
        (400, "invalid_param", False, False),
        (401, "unauthorized", False, True),
        (429, "too_many_requests", True, False),
        (503, "unavailable", True, False),
        (301, "", False, True),
    ],
)
async def test_codes_of_dify(status: int, code: str, retryable: bool, denied: bool) -> None:
    async with DifyServer() as server:
        server.status, server.code = status, code
        brain = CASE.make(server)
        take = await read(brain, turn())
        await brain.close()
        assert take.error is not None
        assert (take.error.retryable, take.error.denied) == (retryable, denied)
