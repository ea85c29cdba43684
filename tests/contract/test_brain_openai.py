"""What only OpenAI-compatible servers do: fields that one knows and another refuses, waits told in many ways."""

from __future__ import annotations

from typing import Any

import pytest

from broadcaster.config.brains import OpenAIChat
from broadcaster.registry import BRAINS, resolve
from tests.contract.brain_cases.case import QUESTION, SYSTEM, turn
from tests.contract.brain_cases.openai import CASES
from tests.fakes.llm_server import LlmServer
from tests.fakes.model_server import event
from tests.support.answers import read

pytestmark = pytest.mark.contract

(CASE,) = CASES


@pytest.mark.parametrize(
    ("options", "fields", "absent"),
    [
        ({}, {"max_tokens": 123, "stream_options": {"include_usage": True}}, ("temperature", "enable_thinking")),
        ({"temperature": 0.3}, {"temperature": 0.3}, ("enable_thinking",)),
        ({"thinking": False}, {"enable_thinking": False}, ("extra_body",)),
    ],
    ids=["plain", "temperature", "thinking"],
)
async def test_the_request_says_what_the_link_says(
    options: dict[str, Any], fields: dict[str, Any], absent: tuple[str, ...]
) -> None:
    async with LlmServer() as server:
        brain = CASE.make(server, **options)
        await read(brain, turn())
        await brain.close()
        (request,) = server.requests
        assert request["model"] == "test-model"
        assert request["stream"] is True
        assert request["messages"] == [
            {"role": "system", "content": SYSTEM},
            {"role": "user", "content": QUESTION},
        ]
        assert {name: request[name] for name in fields} == fields
        assert not set(absent) & set(request)


REFUSED = {
    "stream_options": "Extra inputs are not permitted: stream_options",
    "enable_thinking": "unknown field enable_thinking",
    "temperature": "Unsupported value: 'temperature' does not support 0.3 with this model.",
    "max_tokens": "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.",
}


@pytest.mark.parametrize("fields", [[name] for name in REFUSED] + [list(REFUSED)], ids=" ".join)
async def test_a_field_that_the_server_does_not_know_is_left_out_from_then_on(fields: list[str]) -> None:
    async with LlmServer() as server:
        server.unknown = {field: REFUSED[field] for field in fields}
        brain = CASE.make(server, temperature=0.3, thinking=False)
        assert (await read(brain, turn())).text == "你好，我是模型。"
        assert len(server.requests) == len(fields) + 1
        assert (await read(brain, turn())).text == "你好，我是模型。"
        await brain.close()
        assert len(server.requests) == len(fields) + 2
        assert not set(fields) & set(server.requests[-1])
        limit = "max_completion_tokens" if "max_tokens" in fields else "max_tokens"
        assert server.requests[-1][limit] == 123


async def test_a_refusal_that_no_field_explains_is_not_asked_again_and_teaches_nothing() -> None:
    async with LlmServer() as server:
        server.unknown = {
            "messages": "temperature, stream_options, enable_thinking, max_completion_tokens: all wrong"
        }
        brain = CASE.make(server, temperature=0.3)
        take = await read(brain, turn())
        assert take.error is not None
        assert not take.error.retryable
        assert len(server.requests) <= 5
        server.unknown = {}
        await read(brain, turn())
        await brain.close()
        assert server.requests[-1]["stream_options"]


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({"Retry-After-Ms": "1500", "Retry-After": "2"}, 1.5),
        ({"X-RateLimit-Remaining-Requests": "0", "X-RateLimit-Reset-Requests": "1m2s"}, 62.0),
        ({"X-RateLimit-Remaining-Requests": "5", "X-RateLimit-Reset-Requests": "1m2s"}, None),
        ({}, None),
    ],
    ids=["milliseconds", "limits", "other limits", "nothing"],
)
async def test_how_long_a_busy_server_wants_to_be_left_alone(headers: dict[str, str], wait_s: float | None) -> None:
    async with LlmServer() as server:
        server.status, server.headers = 429, headers
        brain = CASE.make(server)
        take = await read(brain, turn())
        await brain.close()
        assert take.error is not None
        assert take.error.retry_after_s == wait_s


class RefusingServer(LlmServer):
    def piece(self, text: str) -> bytes:
        delta = {"role": "assistant", "content": None, "refusal": text}
        return event({"id": "c1", "choices": [{"index": 0, "delta": delta, "finish_reason": None}]})


async def test_a_models_own_refusal_is_an_error_and_is_not_said() -> None:
    async with RefusingServer(["I'm sorry, ", "I can't."]) as server:
        brain = CASE.make(server)
        take = await read(brain, turn())
        await brain.close()
        assert take.error is not None
        assert "refused" in str(take.error)
        assert (take.text, take.error.retryable, take.error.denied) == ("", False, False)
        assert len(take.usage) == 1, "its tokens were spent all the same"


def test_it_starts_without_a_key_or_an_address() -> None:
    assert resolve(BRAINS, "openai", "brain")(OpenAIChat(model="m", name="local")).name == "local"
