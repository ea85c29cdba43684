"""The client's end of an engine server's socket: messages with time-outs, and an open file sent along. One thread."""

from __future__ import annotations

import select
import socket
import time
from pathlib import Path
from typing import Final

from broadcaster.errors import HeadError, WireError
from broadcaster.head.musetalk.messages import (
    MAX_TO_CLIENT,
    PROTOCOL,
    Failed,
    Hello,
    Incoming,
    Query,
    State,
    ToClient,
    ToServer,
    encode,
    from_server,
)

CONNECT_S: Final = 2.0
"""A server on this machine that listens answers in milliseconds."""

SEND_S: Final = 0.5
"""A server reads whatever its device does; one that does not for so long is stopped or broken."""

READ: Final = 1 << 18

SOCKET_BUFFER: Final = 1 << 22
"""Bytes: a batch of 16 faces (3.1 MB) fits, so that the server is rid of it in one go."""


class ServerLink:
    """A connection whose server has said hello. Every fault is a HeadError that names the socket."""

    def __init__(self, path: Path) -> None:
        """Raises HeadError: retryable when no server answers, not when it speaks another protocol."""
        self.path = path
        self._incoming = Incoming(MAX_TO_CLIENT)
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BUFFER)
            self._sock.settimeout(CONNECT_S)
            try:
                self._sock.connect(str(path))
            except OSError as err:
                raise HeadError(
                    f"no engine server answers at {path} ({err.strerror or err}) -> broadcaster head serve "
                    f"--socket {path}",
                    retryable=True,
                ) from err
            self.hello = self._welcomed()
        except BaseException:
            self._sock.close()
            raise

    def send(self, message: ToServer, file: int | None = None) -> None:
        """`file`: a descriptor that goes along. Raises HeadError when the server does not take it in SEND_S."""
        data = memoryview(encode(message))
        self._sock.settimeout(SEND_S)
        try:
            if file is not None:
                data = data[socket.send_fds(self._sock, [data], [file]) :]
            if data:
                self._sock.sendall(data)
        except TimeoutError as err:
            raise self.lost(f"has read nothing for {SEND_S} s") from err
        except OSError as err:
            raise self._farewell() or self.lost("closed the connection") from err

    def receive(self, timeout: float) -> ToClient | None:
        """The next message, or None when none has come after `timeout` seconds (0 only looks). Raises HeadError."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                body = self._incoming.body()
                if body is not None:
                    return from_server(body)
            except WireError as err:
                raise self.lost(f"sent {err}") from err
            if not select.select([self._sock], [], [], max(0.0, deadline - time.monotonic()))[0]:
                return None
            try:
                data = self._sock.recv(READ)
            except OSError:
                data = b""
            if not data:
                raise self.lost("closed the connection")
            self._incoming.feed(data)

    def lost(self, what: str) -> HeadError:
        return HeadError(f"the engine server at {self.path} {what}", retryable=True)

    def close(self) -> None:
        self._sock.close()

    def _welcomed(self) -> Hello:
        hello = self.receive(CONNECT_S)
        if isinstance(hello, Failed):
            raise HeadError(f"the engine server at {self.path} takes nobody: {hello.reason}", retryable=True)
        if not isinstance(hello, Hello):
            raise self.lost("did not say hello")
        if hello.protocol != PROTOCOL:
            raise HeadError(
                f"the engine server at {self.path} speaks protocol {hello.protocol}, this channel {PROTOCOL} -> "
                "install one version of broadcaster for both",
                retryable=False,
            )
        return hello

    def _farewell(self) -> HeadError | None:
        """Why the server closed, where it has said so before."""
        try:
            while (message := self.receive(0)) is not None:
                if isinstance(message, Failed):
                    return self.lost(f"ended the session: {message.reason}")
        except HeadError:
            pass
        return None


def hello_of(path: Path) -> Hello:
    """What the server at `path` has, without a session. Raises HeadError (retryable) when none answers."""
    link = ServerLink(path)
    link.close()
    return link.hello


def state_of(path: Path) -> State:
    """How the server at `path` is doing. Raises HeadError."""
    link = ServerLink(path)
    try:
        link.send(Query())
        answer = link.receive(CONNECT_S)
        if not isinstance(answer, State):
            raise link.lost("did not tell its state")
        return answer
    finally:
        link.close()
