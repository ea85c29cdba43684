"""Loopback ports for test servers."""

from __future__ import annotations

import socket
import time


def free_port() -> int:
    """A loopback TCP port nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def wait_for_port(port: int, *, open_: bool = True, timeout: float = 10.0) -> None:
    """Returns when something listens on `port` (or nothing does any more). Raises TimeoutError."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            probe.settimeout(1.0)
            if (probe.connect_ex(("127.0.0.1", port)) == 0) is open_:
                return
        time.sleep(0.02)
    raise TimeoutError(f"port {port} is still {'closed' if open_ else 'open'} after {timeout} s")
