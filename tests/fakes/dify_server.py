"""Dify's API of a chat app on loopback. Written from its public documentation; no Dify was ever asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.fakes.http_wire import Request
from tests.fakes.model_server import NOISE, ModelServer, event

TASK = "task-5ad4cb98"


class DifyServer(ModelServer):
    """`stops` are the users of requests to stop, `uploads` the pictures that came, by user. `replaces`: the answer's
    last event replaces it, as moderation does. `workflow_fails`: a chatflow whose workflow fails at its end."""

    path = "/v1/chat-messages"

    def __init__(self, script: Sequence[str] = ("你好，", "我是模型。")) -> None:
        super().__init__(script)
        self.stops: list[str] = []
        self.uploads: list[tuple[str, bytes]] = []
        self.replaces = ""
        self.workflow_fails = False
        self.kind = "message"
        """Or "agent_message", of an agent app."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def beside(self, request: Request) -> dict[str, Any] | None:
        if request.path == f"{self.path}/{TASK}/stop":
            self.stops.append(request.fields["user"])
            return {"result": "success"}
        if request.path == "/v1/files/upload":
            self.uploads.append((request.fields["user"], request.files["file"]))
            return {"id": f"upload-{len(self.uploads)}", "name": "picture.png"}
        return None

    def question(self, request: Request) -> str:
        assert request.fields["response_mode"] == "streaming"
        assert "conversation_id" not in request.fields
        return str(request.fields["query"])

    def piece(self, text: str) -> bytes:
        return self._event(self.kind, answer=text)

    def noise(self) -> bytes:
        return (
            b"event: ping\n\n"
            + event({"event": "ping"})
            + self._event("workflow_started", data={"id": "w1", "inputs": {"x": NOISE}})
            + self._event("node_finished", data={"outputs": {"answer": NOISE}, "status": "succeeded"})
            + self._event("agent_thought", thought=NOISE, observation=NOISE, tool=NOISE, tool_input=NOISE)
            + self._event("message_file", type="image", url=f"http://x/{NOISE}")
            + self._event("tts_message", audio=NOISE)
        )

    def end(self, filtered: bool) -> bytes:
        usage: dict[str, Any] = {}
        if self.usage is not None:
            sent, written = self.usage
            usage = {"usage": {"prompt_tokens": sent, "completion_tokens": written, "total_price": "0.001"}}
        last = self._event("message_replace", answer=self.replaces) if self.replaces or filtered else b""
        if self.workflow_fails:
            last += self._event("workflow_finished", data={"status": "failed", "error": NOISE})
        return last + self._event("message_end", metadata=usage)

    def broken(self, words: str) -> bytes:
        return self._event("error", status=500, code=self.code, message=words)

    def refusal(self, words: str) -> dict[str, Any]:
        return {"code": self.code, "message": words, "status": self.status}

    def _event(self, kind: str, **fields: Any) -> bytes:
        return event({"event": kind, "task_id": TASK, "message_id": "m1", "conversation_id": "c1", **fields})
