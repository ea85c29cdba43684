"""Prompt messages by whatever way they come: one session per websocket, one per HTTP peer. Event loop.

The session itself (what a message means, what it is answered) belongs to the prompt source; `app.py` passes it in.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from typing import Any, Final, Protocol

from broadcaster.console.access import Caller
from broadcaster.console.denied import Denied
from broadcaster.telemetry.metrics import Metrics
from broadcaster.types import Origin, Role

MAX_HTTP_PEERS: Final = 1024
"""HTTP peers whose rate is remembered; the longest silent is forgotten first."""

STATUS_OF: Final = {
    "bad_message": 422,
    "too_large": 413,
    "rate_limited": 429,
    "forbidden": 403,
    "unknown": 404,
    "too_long": 413,
    "empty": 422,
    "full": 503,
    "journal": 503,
    "stopping": 503,
    "unavailable": 503,
}
"""HTTP status of an error code; every other refusal is a conflict with the channel's state (409)."""


MODERATION: Final = ("approve", "drop", "edit", "move", "ban", "unban", "slow", "pause_auto")
"""Commands of moderators for the queue."""

KINDS: Final = ("say", "ask", "event", "interrupt", "panic", "resume", "queue", "place", "bans", *MODERATION)
"""All messages; a test holds it to the published schema."""


class Session(Protocol):
    """What `sources.websocket.PromptSession` is to the console. Never raises for what the client sent."""

    def handle(self, raw: str | bytes) -> AsyncIterator[dict[str, Any]]: ...


SessionFactory = Callable[[Origin], Session]


class Prompts:
    """Hands messages to sessions and counts what became of them."""

    def __init__(self, factory: SessionFactory, metrics: Metrics) -> None:
        self._factory = factory
        self._metrics = metrics
        self._peers: OrderedDict[tuple[str, Role], Session] = OrderedDict()

    def session(self, role: Role, source: str) -> Session:
        """A session of its own, for one connection."""
        return self._factory(Origin(source=source, role=role))

    async def answer(self, session: Session, raw: str | bytes) -> AsyncIterator[dict[str, Any]]:
        async for answer in session.handle(raw):
            self._metrics.count_prompt(_kind(raw), answer)
            yield answer

    async def post(self, caller: Caller, role: Role, message: dict[str, Any]) -> dict[str, Any]:
        """The answer to one message sent by HTTP. Raises Denied when it is an error."""
        key = (caller.peer, role)
        session = self._peers.get(key)
        if session is None:
            session = self._peers[key] = self.session(role, "control" if caller.local else "http")
        self._peers.move_to_end(key)
        if len(self._peers) > MAX_HTTP_PEERS:
            self._peers.popitem(last=False)
        async for answer in self.answer(session, json.dumps(message, ensure_ascii=False)):
            if answer["type"] == "error":
                code = str(answer["code"])
                wait = 1 if code == "rate_limited" else None
                raise Denied(STATUS_OF.get(code, 409), code, str(answer["message"]), retry_after=wait)
            return answer
        raise Denied(500, "no_answer", "The channel did not answer this message.")


def _kind(raw: str | bytes) -> str:
    """The message's type as a bounded label: anything unknown is "other"."""
    try:
        kind = json.loads(raw).get("type")
    except (ValueError, AttributeError, RecursionError):
        return "other"
    return kind if kind in KINDS else "other"
