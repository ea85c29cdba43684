"""An OpenAI-compatible server on loopback that speaks the real wire format and misbehaves as told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.fakes.http_wire import Request
from tests.fakes.model_server import NOISE, ModelServer, event


class LlmServer(ModelServer):
    """`unknown`: fields of a request that it refuses with a 400 that names them, as older and newer servers do."""

    path = "/v1/chat/completions"

    def __init__(self, script: Sequence[str] = ("你好，", "我是模型。")) -> None:
        super().__init__(script)
        self.unknown: dict[str, str] = {}
        """Field -> what the server says about it."""

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def refuses(self, request: Request) -> str | None:
        return next((says for field, says in self.unknown.items() if field in request.fields), None)

    def question(self, request: Request) -> str:
        content = request.fields["messages"][-1]["content"]
        return content if isinstance(content, str) else str(content[-1]["text"])

    def piece(self, text: str) -> bytes:
        return _chunk({"role": "assistant", "content": text})

    def noise(self) -> bytes:
        call = {"index": 0, "id": "t1", "type": "function", "function": {"name": NOISE, "arguments": NOISE}}
        return (
            b": keep-alive\n\n"
            + _chunk({"role": "assistant", "content": None, "reasoning_content": NOISE})
            + _chunk({"content": "", "tool_calls": [call]})
        )

    def end(self, filtered: bool) -> bytes:
        last = _chunk({}, "content_filter" if filtered else self.finish)
        if self.usage is not None:
            sent, written = self.usage
            usage = {
                "prompt_tokens": sent,
                "completion_tokens": written,
                "total_tokens": sent + written,
                "prompt_tokens_details": {"cached_tokens": 16},
            }
            last += event({**_BASE, "choices": [], "usage": usage})
        return last if self.silent_end else last + b"data: [DONE]\n\n"

    def broken(self, words: str) -> bytes:
        return event({"error": {"message": words, "type": "server_error", "code": self.code}})

    def refusal(self, words: str) -> dict[str, Any]:
        return {"error": {"message": words, "type": "x", "code": self.code, "param": None}}


_BASE = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "test"}


def _chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
    return event({**_BASE, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
