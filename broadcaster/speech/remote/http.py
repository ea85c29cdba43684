"""An engine's HTTP client: one `httpx.AsyncClient` per engine, errors translated in one place. Event loop.

Leaving `answer` in the middle of a body (an error, a cancelled task, a closed iterator) closes the connection: that
is the only way to tell these servers to stop.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import httpx

from broadcaster.errors import VoiceError
from broadcaster.hosts import is_here, place_of

KEPT_ALIVE_S: Final = 4.0
"""A free connection is kept for the next piece. uvicorn, which all of these servers run on, closes after 5 s."""

ERROR_BODY_LIMIT: Final = 4096
"""Of an error's body: enough for its kind; it is never shown, as it may hold the text or a key."""

_DENIED: Final = frozenset({401, 402, 403, 404, 405, 410})
"""Whatever is asked, the answer is the same until somebody changes the settings: a wrong key, a wrong address."""

_REFUSED: Final = frozenset({400, 413, 415, 422})
"""This request would get the same answer again; another text may be taken."""

_HINTS: Final = {
    401: "check the key",
    403: "check the key",
    404: "check the address and the name of the model",
    405: "check the address",
    422: "check the settings of this voice",
    429: "the server is busy, or the quota is used up",
}

Refusal = Callable[[int, bytes], VoiceError | None]
"""(status, beginning of the body) -> what that means for one kind of server; None: nothing special."""


def status_error(place: str, status: int) -> VoiceError:
    """The error behind an HTTP status."""
    hint = f" -> {_HINTS[status]}" if status in _HINTS else ""
    return VoiceError(f"{place} answered {status}{hint}", retryable=status not in _REFUSED, denied=status in _DENIED)


class SoundClient:
    """`connect_s` is the time-out of the connection; nothing else is timed here (see port `VoiceEngine`)."""

    def __init__(self, url: str, connect_s: float) -> None:
        self.place = place_of(url)
        self._url = url.rstrip("/")
        self._connect_s = connect_s
        self._client: httpx.AsyncClient | None = None

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    @contextlib.asynccontextmanager
    async def answer(
        self, path: str, refusal: Refusal | None = None, **request: Any
    ) -> AsyncIterator[httpx.Response]:
        """POSTs and waits for the headers of a success; its body is read inside the block.

        Raises VoiceError, also for what goes wrong while the block reads.
        """
        if self._client is None:
            self._client = self._made()
        begun = False
        try:
            async with self._client.stream("POST", self._url + path, **request) as response:
                if response.status_code != httpx.codes.OK:
                    body = await _beginning(response)
                    special = refusal(response.status_code, body) if refusal else None
                    raise special or status_error(self.place, response.status_code)
                begun = True
                yield response
        except httpx.ConnectTimeout as err:
            raise VoiceError(f"no connection to {self.place} in {self._connect_s:g} s") from err
        except httpx.ConnectError as err:
            raise VoiceError(f"no connection to {self.place} -> is the server running?") from err
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as err:
            where = "in the middle of its answer" if begun else "before it answered"
            raise VoiceError(f"{self.place} broke off {where} ({type(err).__name__})") from err

    def _made(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            timeout=httpx.Timeout(None, connect=self._connect_s),
            limits=httpx.Limits(keepalive_expiry=KEPT_ALIVE_S),
            headers={"Accept-Encoding": "identity"},
            trust_env=not is_here(self._url),
        )


async def _beginning(response: httpx.Response) -> bytes:
    body = b""
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) >= ERROR_BODY_LIMIT:
            break
    return body[:ERROR_BODY_LIMIT]
