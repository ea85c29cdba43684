"""The openai SDK against an OpenAI-compatible server."""

from __future__ import annotations

from typing import Any

from pydantic import SecretStr

from broadcaster.config.brains import OpenAIChat
from tests.contract.brain_cases.case import SECRET, BrainCase
from tests.fakes.llm_server import LlmServer
from tests.fakes.model_server import ModelServer


class OpenAICase(BrainCase):
    engine = "openai"

    def serve(self) -> ModelServer:
        return LlmServer()

    def link(self, server: LlmServer, **options: Any) -> OpenAIChat:
        return OpenAIChat(base_url=server.base_url, api_key=SecretStr(SECRET), model="test-model", **options)

    def texts_of(self, request: dict[str, Any]) -> list[str]:
        contents = [message["content"] for message in request["messages"]]
        return [content if isinstance(content, str) else content[-1]["text"] for content in contents]

    def pictures_of(self, server: LlmServer) -> list[Any]:
        return [
            part["image_url"]["url"]
            for message in server.requests[-1]["messages"]
            if isinstance(message["content"], list)
            for part in message["content"]
            if part["type"] == "image_url"
        ]


CASES = [OpenAICase()]
