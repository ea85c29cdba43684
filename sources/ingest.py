"""The door for any other platform: JSON lines over HTTP or a websocket, as `docs/schema/ingest.json` says.

`Ingest.run` waits in the director's event loop; everything else here runs in the thread of its `Listener`. An answer
is given when everything that was paid for is on disk, and says which lines were no posts and why.
"""

from __future__ import annotations

import asyncio
import hmac
import time
from collections import Counter
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from starlette.types import Message, Receive, Scope, Send

from broadcaster.config import IngestSource
from broadcaster.ports import Intake
from broadcaster.types import Post
from sources.listener import Limits, Listener
from sources.posts import BadLine, read_post
from sources.storing import is_stored

PATH: Final = "/ingest"

STORE_S: Final = 10.0
"""A journal that has not stored what was paid for within so many seconds is as good as none: it is refused aloud."""

MAX_LINES: Final = 5_000
"""Of one body or message: what is read into memory at once is bounded by it."""

AT_ONCE: Final = 250
"""Lines that are read before other requests, and the director, have their turn (about 1 ms)."""

LINES_PER_S: Final = 30_000
"""Three times what is planned for. Whoever sends more is made to wait, not the director, whose process this is."""

MESSAGE_COST: Final = 10
REQUEST_COST: Final = 50
"""What a message and a request cost beside their lines, in lines (measured: 36 us and 220 us, a line 4 us)."""

REFUSALS: Final = 50
"""Bad lines that an answer tells of; it counts the rest."""

REQUESTS: Final = 16
CONNECTIONS: Final = 64

UNANSWERED: Final = 32
"""Messages of one websocket that may wait for the disk; then no more are read from it, and its sender waits."""

MEGABYTE: Final = 1_048_576

_ENCODE: Final = msgspec.json.Encoder().encode


@dataclass(slots=True)
class Taken:
    """What became of the lines of one body or message."""

    accepted: int = 0
    refused: int = 0
    errors: list[dict[str, Any]] = field(default_factory=list)
    stored: list[Future[None]] = field(default_factory=list)

    def refuse(self, line: int, error: str) -> None:
        self.refused += 1
        if len(self.errors) < REFUSALS:
            self.errors.append({"line": line, "error": error})

    def answer(self) -> dict[str, Any]:
        more = self.refused - len(self.errors)
        answer: dict[str, Any] = {"accepted": self.accepted, "refused": self.errors}
        return {**answer, "refused_more": more} if more else answer


class Ingest:
    """`ports.Source` over a listener of its own."""

    def __init__(self, settings: IngestSource) -> None:
        self.name = settings.label
        self.port = settings.port
        """The real one while it listens."""
        self._settings = settings
        self._door: Listener | None = None
        self._counts: Counter[str] = Counter(dict.fromkeys(("requests", "messages", "lines_refused", "denied"), 0))

    async def run(self, intake: Intake) -> None:
        settings = self._settings
        limits = Limits(
            body=settings.max_body_mb * MEGABYTE,
            held=4 * settings.max_body_mb * MEGABYTE,
            message=max(settings.max_line_bytes, MEGABYTE),
            connections=CONNECTIONS,
            requests=REQUESTS,
            request_s=STORE_S * 2,
        )
        token = settings.token.get_secret_value() if settings.token is not None else ""
        app = _App(self.name, intake, token, settings.max_line_bytes, self._counts)
        try:
            async with Listener(app, name=self.name, host=settings.host, port=settings.port, limits=limits) as door:
                self._door, self.port = door, door.port
                await door.ended()
        finally:
            self._door = None

    def status(self) -> dict[str, Any]:
        door = self._door
        ended = Counter(door.refused) if door is not None else Counter[str]()
        return {
            "connected": door is not None,
            "note": f"{door.address}{PATH}, {door.connections} connected" if door is not None else "",
            **self._counts,
            **{f"http_{reason}": count for reason, count in ended.items()},
        }


class Pace:
    """A rate that is kept by waiting; a second's worth may come at once. Others have their turn meanwhile."""

    def __init__(self, per_second: float) -> None:
        self._per_second = per_second
        self._paid_until = float("-inf")
        """Time of the loop up to which the rate is used up."""

    async def spend(self, amount: float) -> None:
        now = asyncio.get_running_loop().time()
        self._paid_until = max(self._paid_until, now - 1.0) + amount / self._per_second
        await asyncio.sleep(max(0.0, self._paid_until - now))


class _App:
    """The ASGI application. Thread of the listener."""

    def __init__(self, name: str, intake: Intake, token: str, max_line: int, counts: Counter[str]) -> None:
        self._name = name
        self._intake = intake
        self._token = f"Bearer {token}".encode() if token else b""
        self._max_line = max_line
        self._counts = counts
        self._pace = Pace(LINES_PER_S)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await receive()
        refusal = self._refusal(scope)
        if refusal is not None:
            self._counts["denied"] += 1
            await _answer(scope, send, *refusal)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.accept"})
            await _Session(self, receive, send).run()
        else:
            await self._body(scope, receive, send)

    def _refusal(self, scope: Scope) -> tuple[int, dict[str, Any]] | None:
        if scope["path"] != PATH:
            return 404, _error("not_found", f"there is only {PATH}")
        shown = [value for key, value in scope["headers"] if key == b"authorization"]
        if self._token and not (len(shown) == 1 and hmac.compare_digest(shown[0], self._token)):
            return 401, _error("unauthorised", "send the header Authorization: Bearer with the token of this source")
        if scope["type"] == "http" and scope["method"] != "POST":
            return 405, _error("method_not_allowed", "send lines by POST, or over a websocket")
        return None

    async def _body(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._counts["requests"] += 1
        message = await receive()
        taken = await self.take(message.get("body", b""), REQUEST_COST)
        if taken is None:
            await _answer(scope, send, 413, _too_many())
        elif not await stored(taken):
            await _answer(scope, send, 503, _not_stored())
        else:
            await _answer(scope, send, 400 if taken.refused and not taken.accepted else 200, taken.answer())

    async def take(self, body: bytes, cost: int = MESSAGE_COST) -> Taken | None:
        """Reads the lines and brings the good ones; None when there are too many, and then none is brought."""
        if body.count(b"\n") > MAX_LINES:  # the last line may lack its break, which makes one more at the most
            return None
        lines = body.split(b"\n")
        taken = Taken()
        await self._pace.spend(cost)
        for first in range(0, len(lines), AT_ONCE):
            await self._pace.spend(min(AT_ONCE, len(lines) - first))
            posts = self._read(lines[first : first + AT_ONCE], first + 1, taken)
            if posts:
                taken.accepted += len(posts)
                future = self._intake.bring(posts)
                if any(post.paid for post in posts):
                    taken.stored.append(future)
        self._counts["lines_refused"] += taken.refused
        return taken

    def _read(self, lines: list[bytes], first: int, taken: Taken) -> list[Post]:
        now_ns = time.time_ns()
        posts: list[Post] = []
        for number, line in enumerate(lines, first):
            if len(line) > self._max_line:
                taken.refuse(number, f"longer than {self._max_line} bytes")
            elif line and not line.isspace():
                try:
                    posts.append(read_post(line, self._name, now_ns))
                except BadLine as err:
                    taken.refuse(number, str(err))
        return posts

    def count_message(self) -> None:
        self._counts["messages"] += 1


class _Session:
    """One websocket: a line, or several, in each message, and an answer to each in the same order."""

    def __init__(self, app: _App, receive: Receive, send: Send) -> None:
        self._app = app
        self._receive = receive
        self._send = send
        self._open: asyncio.Queue[tuple[int, Taken | None]] = asyncio.Queue(UNANSWERED)

    async def run(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                answering = group.create_task(self._answer_all())
                number = 0
                while (body := _text_of(await self._receive())) is not None:
                    number += 1
                    self._app.count_message()
                    await self._open.put((number, await self._app.take(body)))
                answering.cancel()
        except* OSError:
            pass  # it left without waiting for its answers

    async def _answer_all(self) -> None:
        while True:
            number, taken = await self._open.get()
            if taken is None:
                answer = _too_many()
            elif await stored(taken):
                answer = taken.answer()
            else:
                answer = _not_stored()
            await self._send({"type": "websocket.send", "text": _ENCODE({"n": number, **answer}).decode()})


async def stored(taken: Taken, seconds: float = STORE_S) -> bool:
    """Whether everything that was paid for is on disk, after `seconds` at the most. What is late is stored still."""
    deadline = asyncio.get_running_loop().time() + seconds
    for future in taken.stored:
        if not await is_stored(future, deadline):
            return False
    return True


def _text_of(message: Message) -> bytes | None:
    """None at the end of the connection."""
    if message["type"] != "websocket.receive":
        return None
    text: str | None = message.get("text")
    if text is not None:
        return text.encode("utf-8", "replace")
    body: bytes = message.get("bytes") or b""
    return body


def _error(code: str, text: str) -> dict[str, Any]:
    return {"error": code, "message": text}


def _too_many() -> dict[str, Any]:
    return _error("too_many_lines", f"at most {MAX_LINES} lines at once; none of these was taken")


def _not_stored() -> dict[str, Any]:
    return _error("not_stored", "what was paid for could not be stored; send all of it again, with the same ids")


async def _answer(scope: Scope, send: Send, status: int, answer: dict[str, Any]) -> None:
    kind = "websocket.http.response" if scope["type"] == "websocket" else "http.response"
    body = _ENCODE(answer)
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if status == 503:
        headers.append((b"retry-after", b"5"))
    await send({"type": f"{kind}.start", "status": status, "headers": headers})
    await send({"type": f"{kind}.body", "body": body})
