"""The dashscope SDK against a server that speaks its text and its multimodal generation."""

from __future__ import annotations

from typing import Any

from pydantic import SecretStr

from broadcaster.config.brains import DashScopeChat
from tests.contract.brain_cases.case import SECRET, BrainCase
from tests.fakes.dashscope_chat import DashScopeChatServer
from tests.fakes.model_server import ModelServer


class DashScopeCase(BrainCase):
    engine = "dashscope"
    no_credit = "Arrearage"

    def __init__(self, *, seeing: bool = False) -> None:
        self.setting = "multimodal" if seeing else "text"
        self._seeing = seeing

    def serve(self) -> ModelServer:
        return DashScopeChatServer(seeing=self._seeing)

    def link(self, server: DashScopeChatServer, **options: Any) -> DashScopeChat:
        settings = {"vision": self._seeing, **options}
        return DashScopeChat(url=server.url, api_key=SecretStr(SECRET), **settings)

    def texts_of(self, request: dict[str, Any]) -> list[str]:
        contents = [message["content"] for message in request["input"]["messages"]]
        return [content[-1]["text"].strip() if self._seeing else content for content in contents]

    def pictures_of(self, server: DashScopeChatServer) -> list[Any]:
        return [
            part["image"]
            for message in server.requests[-1]["input"]["messages"]
            if isinstance(message["content"], list)
            for part in message["content"]
            if "image" in part
        ]


CASES = [DashScopeCase(), DashScopeCase(seeing=True)]
