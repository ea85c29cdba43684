"""The three requests to Open-Live that a session needs: start, heartbeat, end. Director's event loop.

Whatever goes wrong is a SourceError with the platform's number and what to do, and with no word of the platform's: it
could quote a key. The numbers are those of the platform's list of error codes.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from broadcaster.config.sources import BilibiliSource
from broadcaster.errors import SourceError
from broadcaster.hosts import is_here, place_of
from sources.bilibili.events import mapping
from sources.bilibili.signing import signed_headers

CALL_S: Final = 10.0
"""How long one request may take, all in all."""

ANSWER_LIMIT: Final = 1 << 18
"""Bytes of an answer; a real one has a few thousand."""

LINKS_LIMIT: Final = 8
"""Addresses that are tried for one session."""

NOT_IN_GAME: Final = 7000
COOLING: Final = 7001
RUNNING: Final = 7002
EXPIRED: Final = 7003

FOR_GOOD: Final = {
    4000: "a parameter is wrong -> check app_id and code",
    4001: "the key is not known -> check access_key_id",
    4002: "the signature is wrong -> check access_key_secret",
    4010: "there is no such request -> check url",
    7007: "the identity code is wrong -> copy code anew from the page of the live centre",
    8002: "this project is not yours -> check app_id and access_key_id",
}
"""What stays wrong until somebody changes the configuration."""

FOR_NOW: Final = {
    4003: "the request came too late -> set the clock of this machine",
    4004: "a request came twice",
    4007: "this machine's address is not on the project's list -> add it on the platform's page",
    4008: "the project may not do this -> ask the platform for the permission",
    4009: "too many requests",
    4012: "the request was changed on its way -> look for a proxy in between",
    5000: "the platform is out of order",
    5001: "the platform took too long",
    5002: "the platform is out of order",
    5003: "the platform is out of order",
    5004: "the room is not on the project's list -> ask the platform",
    5005: "the room is barred -> ask the platform",
    COOLING: "the last session in this room is still being closed",
    RUNNING: "a session is running in this room -> end the other program that uses this project, or wait a minute",
}
"""What may be over at the next try."""


@dataclass(frozen=True, slots=True)
class Game:
    """A running session ("game" is the platform's word). `auth` is sent as it is; `links` may be empty."""

    id: str
    auth: bytes = field(repr=False)
    links: tuple[str, ...]
    room: str


class OpenLive:
    """One project's calls for one room. `wall_s` is wall-clock time in seconds."""

    def __init__(
        self, settings: BilibiliSource, trusted: ssl.SSLContext, *, wall_s: Callable[[], float] = time.time
    ) -> None:
        self._url = settings.url.rstrip("/")
        self._place = place_of(self._url)
        self._key_id = settings.access_key_id.get_secret_value()
        self._secret = settings.access_key_secret.get_secret_value()
        self._code = settings.code.get_secret_value()
        self._app_id = settings.app_id
        self._wall_s = wall_s
        self._client = httpx.AsyncClient(
            timeout=httpx.Timeout(CALL_S), verify=trusted, trust_env=not is_here(self._url)
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def start(self) -> Game:
        """Begins a session. What of the answer is missing is left empty: a session that has a number can be ended."""
        data = await self._call("/v2/app/start", {"code": self._code, "app_id": self._app_id})
        number = mapping(data.get("game_info")).get("game_id")
        if not isinstance(number, str) or not number:
            raise SourceError(f"{self._place} began a session without a number")
        socket = mapping(data.get("websocket_info"))
        auth, links = socket.get("auth_body"), socket.get("wss_link")
        room = mapping(data.get("anchor_info")).get("room_id")
        return Game(
            number,
            auth.encode("utf-8", "replace") if isinstance(auth, str) else b"",
            tuple(link for link in links[:LINKS_LIMIT] if _is_link(link)) if isinstance(links, list) else (),
            str(room) if isinstance(room, int) else "",
        )

    async def heartbeat(self, game: Game) -> None:
        """Keeps the session. SourceError with `at_once` when it is over."""
        await self._call("/v2/app/heartbeat", {"game_id": game.id})

    async def end(self, game: Game) -> None:
        """Ends the session; one that has ended by itself is no fault."""
        await self._call("/v2/app/end", {"app_id": self._app_id, "game_id": game.id}, fine=(NOT_IN_GAME, EXPIRED))

    async def _call(self, path: str, fields: dict[str, Any], *, fine: tuple[int, ...] = ()) -> dict[str, Any]:
        body = json.dumps(fields).encode()
        headers = signed_headers(
            body, self._key_id, self._secret, nonce=secrets.token_hex(16), at_s=int(self._wall_s())
        )
        try:
            async with (
                asyncio.timeout(CALL_S),
                self._client.stream("POST", self._url + path, content=body, headers=headers) as response,
            ):
                answer = await _read(response)
                status = response.status_code
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError) as err:
            raise SourceError(f"{self._place} cannot be reached ({what_broke(err)})") from err
        return self._understood(status, answer, fine)

    def _understood(self, status: int, answer: bytes, fine: tuple[int, ...]) -> dict[str, Any]:
        try:
            told = mapping(json.loads(answer))
        except (ValueError, RecursionError):
            told = {}
        code = told.get("code")
        if not isinstance(code, int):
            raise SourceError(f"{self._place} answered with status {status} and nothing that was understood")
        if code == 0 or code in fine:
            return mapping(told.get("data"))
        raise self._refused(code)

    def _refused(self, code: int) -> SourceError:
        if code in (NOT_IN_GAME, EXPIRED):
            return SourceError(f"{self._place} says that the session is over (code {code})", at_once=True)
        if code in FOR_GOOD:
            return SourceError(f"{self._place} refuses (code {code}): {FOR_GOOD[code]}", retryable=False)
        return SourceError(f"{self._place} refuses (code {code}): {FOR_NOW.get(code, 'see the list of its codes')}")


def what_broke(err: BaseException) -> str:
    """The kind of a fault of the network, without an address in it."""
    if "CERTIFICATE_VERIFY_FAILED" in str(err):
        return "its certificate is not trusted -> set the clock, or name your proxy's authority in SSL_CERT_FILE"
    return type(err).__name__


async def _read(response: httpx.Response) -> bytes:
    answer = bytearray()
    async for chunk in response.aiter_bytes():
        answer += chunk
        if len(answer) > ANSWER_LIMIT:
            raise SourceError(f"{place_of(str(response.url))} answered without an end")
    return bytes(answer)


def _is_link(link: Any) -> bool:
    """An address that can be used, and on whose way nobody can read the key."""
    if not isinstance(link, str):
        return False
    try:
        return bool(place_of(link)) and (link.startswith("wss://") or (link.startswith("ws://") and is_here(link)))
    except ValueError:
        return False
