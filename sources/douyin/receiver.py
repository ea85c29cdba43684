"""What Douyin posts to: one ASGI application, in the listener's thread.

A push is answered within `ANSWER_S`, well below the 2 s after which it counts as failed (10 failures in a row end the
task). 200: it is taken; with gifts in it, they are on disk. 503: a gift could not be written to disk in time, so the
platform lists the push as failed, and it is asked for again. 401: not signed by Douyin, or too old. 403: of another
room. 400: signed, but no list of items.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from starlette.types import Receive, Scope, Send

from broadcaster.ports import Intake
from sources.douyin.events import Events, items_of
from sources.douyin.signing import is_signed
from sources.storing import is_stored

ANSWER_S: Final = 1.5

SEEN_LIMIT: Final = 65_536
"""Pushes that are known again: at the platform's 100 a second, those of ten minutes. They are a few megabytes."""

SECONDS_BELOW: Final = 10**11
"""A time stamp below this is in seconds: in milliseconds it would be before the year 1974."""

COUNTERS: Final = ("pushes", "repeated", "posts", "unsigned", "stale", "foreign", "unknown", "garbage", "late")
"""Pushes that were taken, that came twice, and the posts in them; those refused for their signature, time or room;
those of a kind that was not asked for; those without a list of items; those whose gifts were not on disk in time."""


class Receiver:
    """`kinds`: what is to be taken. `room`: the only one ("": any). `window_s`: how much a push's time may differ."""

    def __init__(
        self,
        intake: Intake,
        *,
        source: str,
        secret: str,
        kinds: frozenset[str],
        room: str = "",
        window_s: float = 300.0,
        seen_limit: int = SEEN_LIMIT,
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.counts: dict[str, int] = dict.fromkeys(COUNTERS, 0)
        self.events = Events(source)
        self._intake = intake
        self._secret = secret
        self._kinds = kinds
        self._room = room
        self._seen_limit = seen_limit
        self._window_ns = int(window_s * 1e9)
        self._wall_ns = wall_ns
        self._taken: OrderedDict[bytes, None] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            status = 403
            await receive()
            kind = "websocket.http.response"
        else:
            status = await self._answer(scope, receive)
            kind = "http.response"
        # The platform reads only the status; its own samples answer so.
        body = json.dumps({"err_no": 0 if status == 200 else status}).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": f"{kind}.start", "status": status, "headers": headers})
        await send({"type": f"{kind}.body", "body": b"" if scope.get("method") == "HEAD" else body})

    async def _answer(self, scope: Scope, receive: Receive) -> int:
        began = asyncio.get_running_loop().time()
        if scope["method"] in ("GET", "HEAD"):
            return 200  # the platform's check of the address
        if scope["method"] != "POST":
            return 405
        body = (await receive()).get("body", b"")
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        refusal = self._refusal(headers, body)
        if refusal:
            return refusal
        mark = hashlib.sha256(headers["x-signature"].encode() + body).digest()[:16]
        if mark in self._taken:
            self.counts["repeated"] += 1
            return 200
        status = await self._take(headers["x-msg-type"], headers["x-roomid"], body, began)
        if status == 200:
            self._remember(mark)
        return status

    def _refusal(self, headers: dict[str, str], body: bytes) -> int:
        """The status of one that is not taken, 0 for a good one."""
        if not is_signed(headers, body, self._secret):
            self.counts["unsigned"] += 1
            return 401
        if abs(_sent_ns(headers["x-timestamp"]) - self._wall_ns()) > self._window_ns:
            self.counts["stale"] += 1
            return 401
        if self._room and headers["x-roomid"] != self._room:
            self.counts["foreign"] += 1
            return 403
        return 0

    async def _take(self, kind: str, room: str, body: bytes, began: float) -> int:
        if kind not in self._kinds:
            # A refusal would end the task of somebody who wants it.
            self.counts["unknown"] += 1
            return 200
        items = items_of(body)
        if items is None:
            self.counts["garbage"] += 1
            return 400
        posts = list(self.events.posts(kind, items, room[:32], self._wall_ns()))
        self.counts["pushes"] += 1
        self.counts["posts"] += len(posts)
        if not posts:
            return 200
        stored = self._intake.bring(posts)
        if not any(post.paid for post in posts):
            return 200
        if await is_stored(stored, began + ANSWER_S):
            return 200
        self.counts["late"] += 1
        return 503

    def _remember(self, mark: bytes) -> None:
        self._taken[mark] = None
        if len(self._taken) > self._seen_limit:
            self._taken.popitem(last=False)


def _sent_ns(stamp: str) -> int:
    """Of `x-timestamp`, which is in milliseconds. 0 for what is no time."""
    if not (stamp.isascii() and stamp.isdecimal() and len(stamp) < 20):
        return 0
    value = int(stamp)
    return value * (1_000_000_000 if value < SECONDS_BELOW else 1_000_000)
