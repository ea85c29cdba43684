"""The child's side of the link to the parent, and what a child does before anything else."""

from __future__ import annotations

import os
import queue
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from broadcaster import wire
from broadcaster.child import ChildContext
from broadcaster.config import load_config
from broadcaster.errors import WireError
from broadcaster.handover import pack_config
from broadcaster.link import PACKET, PARENT_FD, PARENT_PID, pack, unpack
from broadcaster.paths import Paths

pytestmark = pytest.mark.unit


def context(paths: Paths, link: socket.socket | None) -> ChildContext:
    return ChildContext("voice", load_config(None), paths, threading.Event(), link)


@pytest.fixture
def link() -> Iterator[tuple[socket.socket, socket.socket]]:
    """(The parent's end, the child's end)"""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(10)
    with ours, theirs:
        yield ours, theirs


def test_beats_and_requests_arrive(paths: Paths, link: tuple[socket.socket, socket.socket]) -> None:
    parent, end = link
    child = context(paths, end)
    child.beat(7, ready=False, note="loading")
    child.ask_restart("head", "no answer")
    assert unpack(parent.recv(PACKET)) == wire.Beat("voice", 7, False, "loading")
    assert unpack(parent.recv(PACKET)) == wire.Restart("head", "no answer")


def test_a_parent_that_does_not_read_stops_no_child(paths: Paths, link: tuple[socket.socket, socket.socket]) -> None:
    parent, end = link
    child = context(paths, end)
    for progress in range(5000):
        child.beat(progress)
    parent.setblocking(False)
    kept = 0
    while True:
        try:
            assert unpack(parent.recv(PACKET)) == wire.Beat("voice", kept)
        except BlockingIOError:
            break
        kept += 1
    assert 0 < kept < 5000
    child.beat(5000)
    assert unpack(parent.recv(PACKET)) == wire.Beat("voice", 5000)


def test_a_parent_that_is_gone_stops_no_beat(paths: Paths, link: tuple[socket.socket, socket.socket]) -> None:
    parent, end = link
    parent.close()
    context(paths, end).beat(1)


def test_notices_arrive_and_garbage_is_skipped(paths: Paths, link: tuple[socket.socket, socket.socket]) -> None:
    parent, end = link
    got: queue.Queue[wire.Notice] = queue.Queue()
    before = set(threading.enumerate())
    context(paths, end).on_notice(got.put)
    (listener,) = set(threading.enumerate()) - before
    parent.send(b"\x00\x00\x00\x09garbage")
    parent.send(pack(wire.Notice("reload", "director", "x" * 100_000)))
    assert got.get(timeout=10) == wire.Notice("reload", "director", "x" * 100_000)
    parent.close()
    listener.join(10)
    assert not listener.is_alive()


def test_without_a_link_nothing_happens(paths: Paths) -> None:
    child = context(paths, None)
    child.beat(1)
    child.on_notice(lambda notice: None)


NOT_TEXT = pack(wire.Restart("head", "no")).replace(b"head", b"h\xffad")


@pytest.mark.parametrize("packet", [NOT_TEXT, b"", b"\x00", b"\x00\x00\x00\x05abc", b"\x00\x00\x00\x03\xc1\xc1\xc1"])
def test_a_packet_that_is_no_message(packet: bytes) -> None:
    with pytest.raises(WireError):
        unpack(packet)


def test_a_child_whose_parent_died_before_it_could_ask_ends(link: tuple[socket.socket, socket.socket]) -> None:
    _, end = link
    packed = pack_config(load_config(None))
    variables = {**os.environ, PARENT_FD: str(end.fileno()), PARENT_PID: "1"}
    done = subprocess.run(
        [sys.executable, "-m", "broadcaster.app", "voice"],
        input=packed.encode(), env=variables, pass_fds=(end.fileno(),), capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == b""


def test_a_role_that_does_not_exist() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "broadcaster.app", "anchor"], capture_output=True, check=False, text=True
    )
    assert done.returncode == os.EX_USAGE
    assert "playout|head|voice|voice-local|director" in done.stderr


def test_a_child_started_by_hand_reads_yaml_and_reports_its_faults() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "broadcaster.app", "voice"],
        input="vidoe: {}\n", capture_output=True, check=False, text=True,
    )  # fmt: skip
    assert done.returncode == 78
    assert "stdin:1" in done.stderr
    assert "vidoe" in done.stderr
