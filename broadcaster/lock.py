"""One running instance per channel: an flock on `Paths.lock` with the owner's pid inside. Parent, main thread.

The kernel drops the lock with its owner, however that dies, so a stale file never needs cleaning up. The
descriptor is not inherited: a child that outlives the parent for a moment does not keep the channel locked.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from broadcaster.errors import AlreadyRunning


class ChannelLock:
    """Context manager. Entering raises AlreadyRunning, naming the pid and the channel, when another holds it."""

    def __init__(self, path: Path, channel: str) -> None:
        self._path = path
        self._channel = channel
        self._fd = -1

    def __enter__(self) -> Self:
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _pid_in(fd)
            os.close(fd)
            raise AlreadyRunning(
                f"channel {self._channel!r} is already running as process {holder or '?'} (lock {self._path}); "
                f"stop that one first, or give this one another `channel:` in its configuration"
            ) from None
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        self._fd = fd
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._fd)
        self._fd = -1


def holder_of(path: Path) -> int | None:
    """Pid of the process that holds the lock now, or None when nobody does."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return None
        return _pid_in(fd)
    finally:
        os.close(fd)


def _pid_in(fd: int) -> int | None:
    text = os.pread(fd, 32, 0).strip()
    return int(text) if text.isdigit() else None
