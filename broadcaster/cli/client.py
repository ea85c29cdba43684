"""Talks to a running daemon over its UNIX control socket: HTTP for commands, the websocket for events."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from broadcaster.cli.common import Target
from broadcaster.errors import NotRunning, Refused
from broadcaster.lock import holder_of

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

TIMEOUT_S: Final = 10.0
"""An answer takes milliseconds; a journal on a slow disk takes a second or two."""


class Control:
    """One daemon's control API. Every call raises NotRunning when nobody answers, Refused when the answer is no."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._socket = target.paths.control_socket

    def get(self, route: str, timeout: float = TIMEOUT_S) -> dict[str, Any]:
        return self._request("GET", route, None, timeout)

    def post(self, route: str, body: dict[str, Any] | None = None, timeout: float = TIMEOUT_S) -> dict[str, Any]:
        return self._request("POST", route, body, timeout)

    def _request(self, method: str, route: str, body: dict[str, Any] | None, timeout: float) -> dict[str, Any]:
        import httpx

        try:
            with httpx.Client(
                transport=httpx.HTTPTransport(uds=str(self._socket)), base_url="http://localhost", timeout=timeout
            ) as client:
                answer = client.request(method, route, json=body if body is not None or method == "GET" else {})
        except (httpx.TransportError, OSError) as err:
            raise self.not_running() from err
        try:
            data = answer.json()
        except ValueError:
            data = {}
        if answer.is_error:
            raise Refused(_reason(data) or f"the daemon answered {answer.status_code} to {method} {route}")
        return data if isinstance(data, dict) else {}

    def not_running(self) -> NotRunning:
        """Why nobody answers, as far as the lock tells."""
        channel, paths = self._target.channel, self._target.paths
        try:
            owner = holder_of(paths.lock)
        except PermissionError:
            return NotRunning(
                f"the sockets of channel {channel!r} belong to another user ({paths.run}) -> "
                "use sudo, or become the user the daemon runs as"
            )
        if owner:
            return NotRunning(
                f"channel {channel!r} runs as process {owner}, but its director does not answer "
                f"({self._socket}) -> it is being restarted; try again in a few seconds"
            )
        return NotRunning(
            f"channel {channel!r} is not running (nothing answers at {self._socket}) -> "
            "start it with `broadcaster run`, or name another one with -c FILE or --channel NAME"
        )

    def events(self) -> Events:
        """Connects to the events of the channel."""
        from websockets.exceptions import WebSocketException
        from websockets.sync.client import unix_connect

        try:
            connection = unix_connect(
                str(self._socket), "ws://localhost/ws", open_timeout=TIMEOUT_S, max_size=None, proxy=None
            )
        except (OSError, TimeoutError, WebSocketException) as err:
            raise self.not_running() from err
        return Events(connection)


class Events:
    """One websocket to the daemon. Iterating gives its messages, and ends when the daemon closes."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    def send(self, message: dict[str, Any]) -> None:
        self._connection.send(json.dumps(message))

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for text in self._connection:
            yield json.loads(text)

    def close(self) -> None:
        self._connection.close()


def _reason(data: object) -> str:
    if not isinstance(data, dict):
        return ""
    return str(data.get("message") or data.get("detail") or data.get("error") or "")
