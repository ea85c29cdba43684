"""systemd's notify protocol: datagrams of KEY=value lines to $NOTIFY_SOCKET. Parent process, main thread.

A service manager that does not answer must not stop the parent: the socket never blocks and errors are
dropped; what is lost is one line of status, or a watchdog ping of which another follows in a second.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import MutableMapping
from typing import Final

USEC: Final = 1_000_000


class Notifier:
    """`address` as in $NOTIFY_SOCKET: a path, or "@name" for an abstract socket; None makes every call do nothing."""

    def __init__(self, address: str | None) -> None:
        self._address = "\0" + address[1:] if address and address.startswith("@") else address
        self._socket: socket.socket | None = None
        self._status = ""
        if self._address:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.setblocking(False)

    @classmethod
    def from_environment(cls, environment: MutableMapping[str, str] = os.environ) -> Notifier:
        """Takes the variables out of the environment: children must not speak to systemd."""
        environment.pop("WATCHDOG_USEC", None)
        environment.pop("WATCHDOG_PID", None)
        return cls(environment.pop("NOTIFY_SOCKET", None))

    def ready(self) -> None:
        self._send("READY=1")

    def status(self, line: str) -> None:
        """One line for `systemctl status`; sent only when it differs from the last."""
        if line != self._status:
            self._status = line
            self._send("STATUS=" + line.replace("\n", " "))

    def watchdog(self) -> None:
        self._send("WATCHDOG=1")

    def reloading(self) -> None:
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def extend_timeout(self, seconds: float) -> None:
        """Asks for `seconds` more from now to finish starting or stopping."""
        self._send(f"EXTEND_TIMEOUT_USEC={int(seconds * USEC)}")

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, text: str) -> None:
        if self._socket is not None and self._address is not None:
            with contextlib.suppress(OSError):
                self._socket.sendto(text.encode(), self._address)
