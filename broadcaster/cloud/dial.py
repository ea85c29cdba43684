"""A connected socket for an address, made so that it can be given up at any moment: TCP, proxy, TLS. Any thread.

The websocket library connects without a time-out and holds the socket where nobody can reach it until it is done:
a server that does not answer would cost a thread and a socket for two minutes per try, or for ever.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import functools
import ipaddress
import os
import select
import socket
import ssl
import threading
import time
from typing import Any, Final
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from broadcaster.errors import VoiceError

PROXY_ANSWER_BYTES: Final = 8192
"""A proxy's answer to CONNECT is a few header lines; one that is longer is not understood."""


class Dial:
    """One try. `connect` blocks up to `timeout_s` (and as long as the system's resolver looks up a name).

    Proxies are taken from the environment (`https_proxy`, `http_proxy`, `no_proxy`), as the SDK does.
    """

    def __init__(self, url: str, timeout_s: float) -> None:
        self._parts = urlsplit(url)
        self._timeout_s = timeout_s
        self._until = 0.0
        self._lock = threading.Lock()
        self._sock: socket.socket | None = None
        self._given_up = False

    def connect(self) -> socket.socket:
        """Raises VoiceError. The address in its text is a host and a port, nothing else."""
        secure = self._parts.scheme == "wss"
        host = self._parts.hostname or ""
        port = self._parts.port or (443 if secure else 80)
        self._until = time.monotonic() + self._timeout_s
        try:
            proxy = _proxy(host, secure)
            if proxy is None:
                sock = self._tcp(host, port)
            else:
                sock = self._tcp(proxy[0], proxy[1])
                self._tunnel(sock, host, port, proxy[2])
            if secure:
                wrapped = _tls().wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)
                sock = self._hold(wrapped)
                wrapped.do_handshake()
            self._left()
            return sock
        except ssl.SSLCertVerificationError as err:
            raise VoiceError(
                f"the certificate of {host} was refused -> check url, the clock and the system's CA certificates",
                retryable=False,
            ) from err
        except TimeoutError as err:
            raise VoiceError(f"no connection to {host}:{port} within {self._timeout_s:g} s") from err
        except (OSError, ValueError) as err:
            raise VoiceError(f"no connection to {host}:{port} ({type(err).__name__})") from err

    def give_up(self) -> None:
        """Ends `connect`, and afterwards the connection, at once; whoever reads or writes it gets an error."""
        with self._lock:
            self._given_up = True
            if self._sock is not None:
                _shut(self._sock)

    def release(self) -> None:
        """Frees the socket. For whoever called `connect`, as the last thing."""
        with self._lock:
            self._given_up = True
            if self._sock is not None:
                self._sock.close()
                self._sock = None

    def _hold(self, sock: socket.socket) -> socket.socket:
        """`sock`, with the time that is left; from here on `give_up` reaches it."""
        with self._lock:
            if self._given_up:
                sock.close()
                raise ConnectionAbortedError
            self._sock = sock
        sock.settimeout(self._left())
        return sock

    def _left(self) -> float:
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def _tcp(self, host: str, port: int) -> socket.socket:
        failed: OSError = ConnectionRefusedError()
        for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            sock = self._hold(socket.socket(family, kind, protocol))
            try:
                self._reach(sock, address)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                return sock
            except OSError as err:
                failed = err
                sock.close()
        raise failed

    def _reach(self, sock: socket.socket, address: Any) -> None:
        """Begins to connect under the lock: only a connection that has begun can be shut by `give_up`."""
        sock.setblocking(False)
        with self._lock:
            if self._given_up:
                raise ConnectionAbortedError
            code = sock.connect_ex(address)
        if code == errno.EINPROGRESS:
            waiting = select.poll()
            waiting.register(sock, select.POLLOUT)
            if not waiting.poll(self._left() * 1000):
                raise TimeoutError
            code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code))
        sock.settimeout(self._left())

    def _tunnel(self, sock: socket.socket, host: str, port: int, credentials: str) -> None:
        lines = [f"CONNECT {host}:{port} HTTP/1.1", f"Host: {host}:{port}"]
        if credentials:
            lines.append(f"Proxy-Authorization: Basic {base64.b64encode(credentials.encode()).decode()}")
        sock.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            byte = sock.recv(1)  # not one byte more: what follows belongs to the tunnel
            if not byte or len(answer) > PROXY_ANSWER_BYTES:
                raise ConnectionResetError
            answer += byte
        status = answer.split(b" ", 2)[1:2]
        if status != [b"200"]:
            code = status[0].decode("ascii", "replace") if status else "nothing"
            raise VoiceError(f"the proxy answered {code[:3]} -> check https_proxy and no_proxy in the environment")


def _shut(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        # Not SSLSocket's own: it would take the TLS state away from the thread that reads.
        socket.socket.shutdown(sock, socket.SHUT_RDWR)


@functools.cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def _proxy(host: str, secure: bool) -> tuple[str, int, str] | None:
    """Host, port and "name:password" of the HTTP proxy for `host`, or None."""
    found = getproxies().get("https" if secure else "http")
    if not found or _is_here(host) or proxy_bypass(host):
        return None
    parts = urlsplit(found if "://" in found else f"http://{found}")
    credentials = f"{unquote(parts.username)}:{unquote(parts.password or '')}" if parts.username else ""
    return parts.hostname or "", parts.port or 80, credentials


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
