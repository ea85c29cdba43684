"""systemd's notify protocol: datagrams of KEY=value lines to $NOTIFY_SOCKET. Parent process, main thread.

A service manager that does not read must not stop the parent: the socket never blocks. Status lines and pings
that find it full are lost, others follow; states (ready, reloading, stopping) are kept and sent before anything else.
"""

from __future__ import annotations

import os
import socket
import time
from collections import deque
from collections.abc import Callable, MutableMapping
from typing import Final

USEC: Final = 1_000_000

STATUS_EVERY_S: Final = 1.0
"""The kernel queues 10 datagrams for a busy manager: there must be room for what matters."""

EXTEND_EVERY_S: Final = 10.0

OWED: Final = 16
"""States kept for a manager that does not read; there are three kinds, and only reloads repeat."""


class Notifier:
    """`address` as in $NOTIFY_SOCKET: a path, or "@name" for an abstract socket; None makes every call do nothing."""

    def __init__(self, address: str | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._address = "\0" + address[1:] if address and address.startswith("@") else address
        self._clock = clock
        self._socket: socket.socket | None = None
        self._owed: deque[str] = deque(maxlen=OWED)
        self._status = ""
        self._status_at = self._extended_at = float("-inf")
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
        self._state("READY=1")

    def reloading(self) -> None:
        self._state(f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        self._state("STOPPING=1")

    def status(self, line: str) -> None:
        """One line for `systemctl status`. Call it as often as you like: changes are sent, once a second at most."""
        now = self._clock()
        if line != self._status and now - self._status_at >= STATUS_EVERY_S and self._send_owed():
            self._status, self._status_at = line, now
            self._send("STATUS=" + line.replace("\n", " "))

    def watchdog(self) -> None:
        if self._send_owed():
            self._send("WATCHDOG=1")

    def extend_timeout(self, seconds: float) -> None:
        """Asks for `seconds` more from now to finish starting or stopping; call it as often as you like."""
        now = self._clock()
        if now - self._extended_at >= EXTEND_EVERY_S and self._send_owed():
            self._extended_at = now
            self._send(f"EXTEND_TIMEOUT_USEC={int(seconds * USEC)}")

    def flush(self) -> None:
        """Tries again to send the states that the manager had no room for."""
        self._send_owed()

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _state(self, text: str) -> None:
        self._owed.append(text)
        self._send_owed()

    def _send_owed(self) -> bool:
        while self._owed and self._send(self._owed[0]):
            self._owed.popleft()
        return not self._owed

    def _send(self, text: str) -> bool:
        if self._socket is None or self._address is None:
            return True
        try:
            self._socket.sendto(text.encode(), self._address)
        except BlockingIOError:
            return False
        except OSError:
            return True  # the manager is gone, or this was never its socket: nobody will ever read it
        return True
