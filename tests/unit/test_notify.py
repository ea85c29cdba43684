"""systemd's notify protocol against real datagram sockets."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from broadcaster.telemetry.notify import Notifier

pytestmark = pytest.mark.unit


@pytest.fixture
def manager(short_dir: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(short_dir / "notify"))
        sock.setblocking(False)
        yield sock


def heard(manager: socket.socket) -> list[str]:
    messages = []
    while True:
        try:
            messages.append(manager.recv(4096).decode())
        except BlockingIOError:
            return messages


def test_messages(manager: socket.socket) -> None:
    notifier = Notifier(manager.getsockname())
    notifier.extend_timeout(30)
    notifier.ready()
    notifier.watchdog()
    notifier.status("on air\nfor ever")
    notifier.status("on air\nfor ever")
    notifier.stopping()
    notifier.close()
    assert heard(manager) == [
        "EXTEND_TIMEOUT_USEC=30000000", "READY=1", "WATCHDOG=1", "STATUS=on air for ever", "STOPPING=1",
    ]  # fmt: skip


def test_reloading_carries_the_time(manager: socket.socket) -> None:
    notifier = Notifier(manager.getsockname())
    notifier.reloading()
    notifier.close()
    first, second = heard(manager)[0].split("\n")
    assert first == "RELOADING=1"
    assert int(second.removeprefix("MONOTONIC_USEC=")) > 0


def test_an_abstract_socket() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind("")  # the kernel chooses an abstract name
        sock.setblocking(False)
        notifier = Notifier("@" + sock.getsockname()[1:].decode())
        notifier.ready()
        notifier.close()
        assert heard(sock) == ["READY=1"]


def test_a_manager_that_does_not_read_stops_nobody_and_misses_no_state(manager: socket.socket) -> None:
    notifier = Notifier(manager.getsockname())
    for _ in range(1000):
        notifier.watchdog()
    notifier.ready()
    notifier.watchdog()
    notifier.stopping()
    early = heard(manager)
    assert set(early) == {"WATCHDOG=1"}
    assert len(early) < 1000
    notifier.flush()
    notifier.watchdog()
    notifier.close()
    assert heard(manager) == ["READY=1", "STOPPING=1", "WATCHDOG=1"]


def test_status_and_extension_leave_room(manager: socket.socket) -> None:
    now = 0.0
    notifier = Notifier(manager.getsockname(), lambda: now)
    for step in range(40):
        now = step / 4
        notifier.status(f"at {step}")
        notifier.extend_timeout(30)
        if step % 8 == 7:
            assert len(heard(manager)) == (3 if step == 7 else 2)
    now = 10.0
    notifier.extend_timeout(30)
    notifier.close()
    assert heard(manager) == ["EXTEND_TIMEOUT_USEC=30000000"]


def test_no_manager(short_dir: Path) -> None:
    for notifier in (Notifier(None), Notifier(str(short_dir / "nobody"))):
        notifier.ready()
        notifier.close()


def test_the_variables_are_taken_from_the_environment() -> None:
    environment = {"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "15000000", "WATCHDOG_PID": "1", "HOME": "/root"}
    Notifier.from_environment(environment).close()
    assert environment == {"HOME": "/root"}
