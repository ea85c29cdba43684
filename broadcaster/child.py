"""What every child process does first: dies with its parent, reads its configuration, logs, beats. Main thread.

The configuration comes on standard input (see `handover`), the link to the parent by descriptor. A child that
was started by hand, without a link, reads the YAML itself from standard input and keeps its beats to itself.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Final

from broadcaster import wire
from broadcaster.config import Config, LoadedConfig, load_config, secrets_of
from broadcaster.errors import WireError
from broadcaster.handover import unpack_config
from broadcaster.link import PACKET, PARENT_FD, PARENT_PID, pack, unpack
from broadcaster.paths import Paths, channel_paths
from broadcaster.redact import Redactor
from broadcaster.telemetry.logs import Lines, setup_logging

log = logging.getLogger(__name__)

PR_SET_PDEATHSIG: Final = 1

NICE: Final = {"voice": 10, "voice-local": 10}
"""Synthesis takes every core it gets; the picture must win."""

EXPENDABLE: Final = {"voice-local": 600, "voice": 500, "head": 400, "director": 200}
"""Added to the kernel's badness score: when memory runs out, playout is the last to be chosen."""


@dataclass(slots=True)
class ChildContext:
    """Everything a role's process entry needs. `stop` is set by SIGTERM."""

    role: str
    loaded: LoadedConfig
    paths: Paths
    stop: threading.Event
    _link: socket.socket | None
    _lines: Lines | None = None
    _on_stop: list[Callable[[], object]] = field(default_factory=list)

    @property
    def config(self) -> Config:
        return self.loaded.config

    def beat(self, progress: int, ready: bool = True, note: str = "") -> None:
        """A sign of life, about once a second; `progress` must grow while all is well. Never waits, any thread."""
        self._tell(wire.Beat(self.role, progress, ready, note))

    def ask_restart(self, role: str, reason: str) -> None:
        """Asks the parent to kill and restart `role`, which does not answer. Never waits, any thread."""
        self._tell(wire.Restart(role, reason))

    def hide_secrets_of(self, config: Config) -> None:
        """From now on the log hides the secrets of `config` instead of those of the start."""
        if self._lines is not None:
            self._lines.redact = Redactor(secrets_of(config))

    def on_stop(self, call: Callable[[], object]) -> None:
        """`call` runs in the main thread's signal handler when `stop` is set: for loops that wait on other things."""
        self._on_stop.append(call)

    def on_notice(self, call: Callable[[wire.Notice], object]) -> None:
        """`call` gets the parent's notices, in a daemon thread of its own that ends with the link."""
        if self._link is not None:
            threading.Thread(target=self._listen, args=(self._link, call), name="notices", daemon=True).start()

    def _tell(self, message: wire.AnyMessage) -> None:
        if self._link is not None:
            with contextlib.suppress(OSError):  # full: a later beat says the same; gone: so is this process, soon
                self._link.send(pack(message), socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)

    def _listen(self, link: socket.socket, call: Callable[[wire.Notice], object]) -> None:
        while packet := _received(link):
            try:
                message = unpack(packet)
            except WireError as err:
                log.error("the parent sent something unreadable", extra={"error": err})
                continue
            if isinstance(message, wire.Notice):
                call(message)

    def _terminate(self, number: int, frame: FrameType | None) -> None:
        self.stop.set()
        for call in self._on_stop:
            call()


def setup_child(role: str) -> ChildContext:
    """Call it once, first, from the main thread. Raises ConfigError (by hand only) and ValueError."""
    link = _tie_to_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what a Ctrl-C means
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    faulthandler.enable()
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    text = sys.stdin.buffer.read().decode()
    _close_stdin()
    loaded = unpack_config(text) if link is not None else load_config(Path("stdin"), text)
    config = loaded.config
    paths = channel_paths(config.channel, config.state_dir)
    paths.ensure()
    lines = setup_logging(config.logging.level, config.logging.format, role, Redactor(secrets_of(config)))
    _rank(role)
    context = ChildContext(role, loaded, paths, threading.Event(), link, lines)
    signal.signal(signal.SIGTERM, context._terminate)
    return context


def _received(link: socket.socket) -> bytes:
    """The next packet; empty when there will be none any more."""
    try:
        return link.recv(PACKET)
    except OSError:
        return b""


def _tie_to_parent() -> socket.socket | None:
    """The kernel kills this process when the parent's main thread ends. Returns the link to the parent."""
    fd = os.environ.pop(PARENT_FD, None)
    parent = os.environ.pop(PARENT_PID, None)
    if fd is None or parent is None:
        return None
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != int(parent):
        os._exit(1)  # it died before the call above, so that its death will not be signalled any more
    link = socket.socket(fileno=int(fd))
    link.set_inheritable(False)
    return link


def _close_stdin() -> None:
    """The memfd holds secrets in clear, and nothing that this process starts may read it again."""
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)


def _rank(role: str) -> None:
    if role in NICE:
        os.nice(NICE[role])
    if role in EXPENDABLE:
        with contextlib.suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text(str(EXPENDABLE[role]))
