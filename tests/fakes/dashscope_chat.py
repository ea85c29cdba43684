"""DashScope's text and multimodal generation on loopback. Written from the SDK's source and public documentation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.fakes.http_wire import Request
from tests.fakes.model_server import NOISE, ModelServer, event


class DashScopeChatServer(ModelServer):
    """`seeing`: it is asked over the multimodal API."""

    def __init__(self, script: Sequence[str] = ("你好，", "我是模型。"), *, seeing: bool = False) -> None:
        super().__init__(script)
        self.seeing = seeing
        task = "multimodal-generation" if seeing else "text-generation"
        self.path = f"/api/v1/services/aigc/{task}/generation"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api/v1"

    def question(self, request: Request) -> str:
        assert request.headers["x-dashscope-sse"] == "enable"
        content = request.fields["input"]["messages"][-1]["content"]
        return str(content[-1]["text"]).strip() if self.seeing else str(content)

    def piece(self, text: str) -> bytes:
        return self._result(text)

    def noise(self) -> bytes:
        call = {"index": 0, "id": "t1", "type": "function", "function": {"name": NOISE, "arguments": NOISE}}
        return b": heartbeat\n\n" + self._result("", reasoning_content=NOISE) + self._result("", tool_calls=[call])

    def end(self, filtered: bool) -> bytes:
        return self._result("", "content_filter" if filtered else self.finish)

    def broken(self, words: str) -> bytes:
        head = "id:9\nevent:error\n:HTTP_STATUS/500\n"
        return event({"code": self.code, "message": words, "request_id": "r1"}, head)

    def refusal(self, words: str) -> dict[str, Any]:
        return {"code": self.code, "message": words, "request_id": "r1"}

    def _result(self, text: str, finish: str = "null", **beside: Any) -> bytes:
        """Tokens so far come with every event."""
        content = [{"text": text}] if self.seeing and text else [] if self.seeing else text
        message = {"role": "assistant", "content": content, **beside}
        told: dict[str, Any] = {
            "output": {"choices": [{"message": message, "finish_reason": finish}]},
            "request_id": "r1",
        }
        if self.usage is not None:
            sent, written = self.usage
            tokens = written if finish != "null" else 1
            told["usage"] = {
                "input_tokens": sent,
                "output_tokens": tokens,
                "total_tokens": sent + tokens,
                "prompt_tokens_details": {"cached_tokens": 16},
            }
        return event(told, "id:1\nevent:result\n:HTTP_STATUS/200\n")
