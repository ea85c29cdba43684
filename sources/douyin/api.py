"""Douyin's live data API: access tokens, and the calls about push tasks. Director's event loop.

Addresses, fields and codes by Douyin's documents "start-task", "query-task-status", "stop-task", "query failed data"
and "get-access-token", as public programs quote them. Errors name a code and what to do, never anything that the
server wrote: its texts may hold what it was asked with.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
import msgspec

from broadcaster.errors import SourceError
from broadcaster.hosts import is_here, place_of
from sources.douyin.events import items_of

MOST_PER_S: Final = 10
"""The platform allows no more for one mini game."""

CALLS_PER_S: Final = 6
"""Of all but saying goodbye, so that four tasks can be stopped at any moment without a wait."""

TIMEOUT_S: Final = 5.0
"""For each step of a request: to connect, and between two pieces of the answer."""

CALL_S: Final = 15.0
"""For all of it: an answer that drips in a byte at a time ends too."""

ANSWER_LIMIT: Final = 4 * 1_048_576
"""Bytes of an answer: a page of a hundred failed pushes is far below it."""

TOKEN_MARGIN_S: Final = 600.0
"""A token lives 2 h; it is renewed so long before. The old one goes on for 5 minutes."""

TOKEN_LEAST_S: Final = 30.0
"""However short it lives by its own words, it is not asked for more often."""

PAGE: Final = 100
"""Most entries of a page of failed data."""

BAD_TOKEN: Final = 40022
NOT_READY: Final = 5003019

RUNNING: Final = 3
"""Of a task; 1: there is none, 2: it is not started."""


class ApiError(SourceError):
    """The API said no. `code` is its own, 0 for none."""

    def __init__(self, message: str, code: int = 0, *, retryable: bool = True) -> None:
        super().__init__(message, retryable=retryable)
        self.code = code


_HINTS: Final = {
    40014: ("a field is missing in the request for a token", False),
    40015: ("the number of the mini game is wrong -> check app_id", False),
    40017: ("the secret of the mini game is wrong -> check app_secret", False),
    40020: ("no token is given to this mini game -> check app_id and app_secret", False),
    BAD_TOKEN: ("the access token is not accepted -> is another program asking for tokens of this mini game?", True),
    40023: ("a field of the request is wrong -> check room_id", False),
    NOT_READY: ("the mini game is not mounted in the live room, or the room is not live yet", True),
}
"""Code -> (what it means and what to do, whether it may pass by itself)."""


@dataclass(frozen=True, slots=True)
class Page:
    """Of what could not be delivered: `items` as a push has them, `odd` entries that could not be read."""

    items: list[Any] = field(repr=False)
    odd: int
    full: bool
    """There may be another one behind it."""


class Api:
    """One mini game. `close` it in the end. Every call raises SourceError."""

    def __init__(
        self,
        *,
        app_id: str,
        secret: str,
        url: str,
        token_url: str,
        trusted: ssl.SSLContext,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        call_s: float = CALL_S,
    ) -> None:
        self.tokens = 0
        """How many were asked for."""
        self._app_id = app_id
        self._secret = secret
        self._url = url.rstrip("/")
        self._token_url = token_url
        self._clock = clock
        self._sleep = sleep
        self._call_s = call_s
        self._token = ""
        self._token_until = 0.0
        self._renewing = asyncio.Lock()
        self._calls: deque[float] = deque(maxlen=MOST_PER_S)
        self._client = httpx.AsyncClient(timeout=TIMEOUT_S, verify=trusted, trust_env=not is_here(url))

    async def close(self) -> None:
        await self._client.aclose()

    async def start(self, room: str, kind: str) -> None:
        await self._call("POST", "/api/live_data/task/start", room, kind)

    async def stop(self, room: str, kind: str) -> None:
        await self._call("POST", "/api/live_data/task/stop", room, kind, most=MOST_PER_S)

    async def state(self, room: str, kind: str) -> int:
        """See `RUNNING`."""
        data = await self._call("GET", "/api/live_data/task/get", room, kind)
        status = data.get("status")
        return status if type(status) is int else 0

    async def failed(self, room: str, kind: str, page: int) -> Page:
        """Page `page`, from 1 on, of the pushes of a day that were not answered well."""
        more = {"page_num": page, "page_size": PAGE}
        data = await self._call("GET", "/api/live_data/task/fail_data/get", room, kind, more)
        entries = data.get("data_list")
        entries = entries if isinstance(entries, list) else []
        read = [_payload(entry) for entry in entries]
        items = [item for found in read if found is not None for item in found]
        return Page(items, read.count(None), len(entries) >= PAGE)

    async def _call(
        self,
        method: str,
        path: str,
        room: str,
        kind: str,
        more: Mapping[str, int] | None = None,
        most: int = CALLS_PER_S,
    ) -> dict[str, Any]:
        """The answer's data. A token that is not accepted is renewed once."""
        fields: dict[str, str | int] = {"roomid": room, "appid": self._app_id, "msg_type": kind, **(more or {})}
        for attempt in (1, 2):
            token = await self._access()
            headers = {"access-token": token}
            try:
                return await self._ask(method, f"{self._url}{path}", fields, headers, most)
            except ApiError as err:
                if err.code != BAD_TOKEN or attempt == 2:
                    raise
                if self._token == token:
                    self._token = ""
        raise AssertionError

    async def _access(self) -> str:
        async with self._renewing:
            now = self._clock()
            if not self._token or now >= self._token_until:
                self._token = ""
                asked = {"appid": self._app_id, "secret": self._secret, "grant_type": "client_credential"}
                data = await self._ask("POST", self._token_url, asked, {})
                token, life = data.get("access_token"), data.get("expires_in")
                if not isinstance(token, str) or not token or not token.isascii():
                    raise ApiError(f"{place_of(self._token_url)} gave no access token")
                life = float(life) if isinstance(life, int | float) else 0.0
                self.tokens += 1
                self._token = token
                self._token_until = now + max(life - TOKEN_MARGIN_S, life / 2, TOKEN_LEAST_S)
            return self._token

    async def _ask(
        self,
        method: str,
        url: str,
        fields: Mapping[str, str | int],
        headers: Mapping[str, str],
        most: int = CALLS_PER_S,
    ) -> dict[str, Any]:
        await self._pace(most)
        place = place_of(url)
        how = {"json": fields} if method == "POST" else {"params": fields}
        try:
            async with (
                asyncio.timeout(self._call_s),
                self._client.stream(
                    method,
                    url,
                    headers={**headers, "content-type": "application/json"},
                    **how,  # type: ignore[arg-type]
                ) as response,
            ):
                status = response.status_code
                body = bytearray()
                async for piece in response.aiter_bytes():
                    body += piece
                    if len(body) > ANSWER_LIMIT:
                        raise ApiError(f"{place} answers with more than it was asked for")
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as err:
            raise ApiError(f"{place} cannot be asked ({type(err).__name__})") from None
        if status != httpx.codes.OK:
            raise ApiError(f"{place} answers with the status {status}", retryable=status >= 500 or status == 429)
        return _data(bytes(body), place)

    async def _pace(self, most: int) -> None:
        """Waits until there were fewer than `most` calls in the last second."""
        while len(self._calls) >= most and (wait := self._calls[-most] + 1.0 - self._clock()) > 0:
            await self._sleep(wait)
        self._calls.append(self._clock())


def _payload(entry: Any) -> list[Any] | None:
    """The items of an entry; its payload is the text of a push's body."""
    payload = entry.get("payload") if isinstance(entry, dict) else None
    return items_of(payload) if isinstance(payload, str) else payload if isinstance(payload, list) else None


def _data(body: bytes, place: str) -> dict[str, Any]:
    """What an answer holds. Raises ApiError for one that says no, or nothing that can be read."""
    try:
        told = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        raise ApiError(f"{place} does not answer as Douyin does -> check url and token_url")
    for name in ("err_no", "errcode", "err_code", "error"):
        code = told.get(name, 0)
        if type(code) is int and code != 0:
            meaning, passes = _HINTS.get(code, ("see Douyin's table of codes", True))
            raise ApiError(f"{place} says no with the code {code}: {meaning}", code, retryable=passes)
    data = told.get("data")
    return data if isinstance(data, dict) else {}
