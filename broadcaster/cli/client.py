"""Talks to a running daemon over its UNIX control socket: HTTP for commands, the websocket for events."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING, Any, Final

from broadcaster.cli.common import Target
from broadcaster.errors import NotRunning, Refused
from broadcaster.lock import holder_of

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

TIMEOUT_S: Final = 10.0
"""An answer takes milliseconds; a journal on a slow disk takes a second or two."""

UPLOAD_TIMEOUT_S: Final = 60.0
"""A recording is decoded before it is answered."""


class Control:
    """One daemon's control API. Every call raises NotRunning when nobody answers, Refused when the answer is no."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._socket = target.paths.control_socket

    def get(self, route: str, timeout: float = TIMEOUT_S) -> dict[str, Any]:
        return self._request("GET", route, None, timeout)

    def post(self, route: str, body: dict[str, Any] | None = None, timeout: float = TIMEOUT_S) -> dict[str, Any]:
        return self._request("POST", route, body, timeout)

    def upload(self, route: str, data: bytes, kind: str, timeout: float = UPLOAD_TIMEOUT_S) -> dict[str, Any]:
        """Posts a file of the media type `kind`."""
        return self._exchange("POST", route, data, kind, timeout)

    def _request(self, method: str, route: str, body: dict[str, Any] | None, timeout: float) -> dict[str, Any]:
        text = None if method == "GET" else json.dumps(body or {})
        return self._exchange(method, route, text, "application/json", timeout)

    def _exchange(
        self, method: str, route: str, body: str | bytes | None, kind: str, timeout: float
    ) -> dict[str, Any]:
        connection = _UnixConnection(str(self._socket), timeout)
        try:
            connection.request(method, route, body, {"Content-Type": kind} if body else {})
            answer = connection.getresponse()
            status, content = answer.status, answer.read()
        except (OSError, HTTPException) as err:
            raise self.not_running() from err
        finally:
            connection.close()
        try:
            data = json.loads(content)
        except ValueError:
            data = {}
        if status >= 400:
            raise Refused(_reason(data) or f"the daemon answered {status} to {method} {route}")
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

    @contextmanager
    def events(self) -> Iterator[Events]:
        """A connection to the events of the channel."""
        from websockets.exceptions import WebSocketException
        from websockets.sync.client import unix_connect

        with ExitStack() as stack:
            try:
                connecting = unix_connect(
                    str(self._socket), "ws://localhost/ws", open_timeout=TIMEOUT_S, max_size=None
                )
                connection = stack.enter_context(connecting)
            except (OSError, TimeoutError, WebSocketException) as err:
                raise self.not_running() from err
            yield Events(connection)


class Events:
    """One websocket to the daemon. Iterating gives its messages, and ends when the daemon closes or dies."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    def send(self, message: dict[str, Any]) -> None:
        self._connection.send(json.dumps(message))

    def __iter__(self) -> Iterator[dict[str, Any]]:
        from websockets.exceptions import ConnectionClosed

        try:
            for text in self._connection:
                yield json.loads(text)
        except ConnectionClosed:
            return


class _UnixConnection(HTTPConnection):
    """HTTP over the control socket. Not httpx: this is what a panic goes through, and must start fast."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.settimeout(self.timeout)
            sock.connect(self._path)
        except OSError:
            sock.close()
            raise
        self.sock = sock


def _reason(data: object) -> str:
    if not isinstance(data, dict):
        return ""
    return str(data.get("message") or data.get("detail") or data.get("error") or "")
