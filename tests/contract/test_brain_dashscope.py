"""Traps of the dashscope SDK: its globals, its uploads, its errors that are returned."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import dashscope
import pytest

from broadcaster.types import Message
from tests.contract.brain_cases.case import SECRET, turn
from tests.contract.brain_cases.dashscope import CASES
from tests.fakes.dashscope_chat import DashScopeChatServer
from tests.support.answers import read

pytestmark = pytest.mark.contract

TEXT, MULTIMODAL = CASES


async def test_the_request_says_what_the_link_says() -> None:
    async with DashScopeChatServer() as server:
        brain = TEXT.make(server, temperature=0.3, model="qwen-turbo")
        await read(brain, turn())
        (request,) = server.requests
        assert request["model"] == "qwen-turbo"
        assert request["parameters"] == {
            "incremental_output": True,
            "result_format": "message",
            "max_tokens": 123,
            "temperature": 0.3,
            "enable_thinking": False,
        } | {name: value for name, value in request["parameters"].items() if name == "stream"}


async def test_two_links_keep_their_keys_and_addresses_apart_and_touch_no_global() -> None:
    before = (dashscope.api_key, dashscope.base_http_api_url)
    async with DashScopeChatServer(["一"]) as first, DashScopeChatServer(["二"]) as second:
        brains = [TEXT.make(server, name=name) for server, name in ((first, "a"), (second, "b"))]
        assert [(await read(brain, turn())).text for brain in brains] == ["一", "二"]
        assert first.keys == second.keys == [f"Bearer {SECRET}"]
    assert (dashscope.api_key, dashscope.base_http_api_url) == before


@pytest.mark.parametrize("form", ["{}", "file://{}", "oss://{}", "~/../..{}"])
async def test_a_viewer_who_writes_the_name_of_a_file_does_not_get_it_sent(tmp_path: Path, form: str) -> None:
    """The multimodal part of the SDK uploads such a text's file."""
    file = tmp_path / "secret.txt"
    file.write_text("nobody's business")
    text = form.format(file)
    async with DashScopeChatServer(seeing=True) as server:
        take = await read(MULTIMODAL.make(server), turn(text))
        assert (take.text, take.error) == ("你好，我是模型。", None)
        (request,) = server.requests
        assert MULTIMODAL.texts_of(request)[-1] == text


async def test_a_host_who_has_said_the_name_of_a_file_does_not_get_it_sent(tmp_path: Path) -> None:
    file = tmp_path / "secret.txt"
    file.write_text("nobody's business")
    asked = turn("再说一遍？")
    heard = (Message("user", "念一下。"), Message("assistant", str(file)), *asked.messages)
    async with DashScopeChatServer(seeing=True) as server:
        take = await read(MULTIMODAL.make(server), replace(asked, messages=heard))
        assert (take.text, take.error) == ("你好，我是模型。", None)
        assert any(str(file) in text for text in MULTIMODAL.texts_of(server.requests[0]))


@pytest.mark.parametrize(
    ("status", "code", "retryable", "denied"),
    [
        (429, "Throttling.RateQuota", True, False),
        (429, "Throttling.AllocationQuota", True, False),
        (403, "AllocationQuota.FreeTierOnly", False, True),
        (400, "Arrearage", False, True),
        (400, "DataInspectionFailed", False, False),
        (400, "InvalidParameter", False, False),
        (401, "InvalidApiKey", False, True),
        (404, "ModelNotFound", False, True),
        (500, "InternalError", True, False),
        (503, "ModelUnavailable", True, False),
    ],
)
async def test_codes_of_the_service(status: int, code: str, retryable: bool, denied: bool) -> None:
    async with DashScopeChatServer() as server:
        server.status, server.code = status, code
        take = await read(TEXT.make(server), turn())
        assert take.error is not None
        assert (take.error.retryable, take.error.denied) == (retryable, denied)


@pytest.mark.parametrize(
    ("code", "retryable"), [("DataInspectionFailed", False), ("Throttling", True), ("InternalError", True)]
)
async def test_codes_that_come_in_the_middle(code: str, retryable: bool) -> None:
    async with DashScopeChatServer() as server:
        server.error_after, server.code = 1, code
        take = await read(TEXT.make(server), turn())
        assert take.error is not None
        assert take.error.retryable is retryable


async def test_an_answer_of_another_form_is_an_error(caplog: pytest.LogCaptureFixture) -> None:
    class Odd(DashScopeChatServer):
        def piece(self, text: str) -> bytes:
            return b"data: []\n\n"

    async with Odd() as server:
        take = await read(TEXT.make(server), turn())
        assert take.error is not None
        assert take.error.retryable
