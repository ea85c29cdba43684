"""An engine server's address: a UNIX socket that only its user (or a group) may connect to. Main thread."""

from __future__ import annotations

import contextlib
import grp
import os
import shutil
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from broadcaster.errors import AlreadyRunning, ConfigError

PATH_LIMIT: Final = 107
"""Bytes that Linux takes as a UNIX socket's address."""

BACKLOG: Final = 16


@contextmanager
def listening(path: Path, group: str = "") -> Iterator[socket.socket]:
    """Listens at `path`, mode 0600, or 0660 for `group`; what a dead server left there is replaced, and the socket is
    removed at the end. Raises AlreadyRunning when a server answers there, ConfigError for a path that cannot be used.
    """
    gid = prepare(path, group)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    with listener:
        try:
            before = os.umask(0o177)
            try:
                listener.bind(str(path))
            finally:
                os.umask(before)
            if gid is not None:
                if path.stat().st_gid != gid:
                    shutil.chown(path, group=gid)
                path.chmod(0o660)
            ours = path.stat().st_ino
        except OSError as err:
            raise _unusable(path, err) from err
        listener.listen(BACKLOG)
        listener.setblocking(False)
        try:
            yield listener
        finally:
            with contextlib.suppress(OSError):
                if path.stat().st_ino == ours:
                    path.unlink()


def prepare(path: Path, group: str = "") -> int | None:
    """Makes the folder, removes what a dead server left there; the group's number. To be called before anything heavy
    is loaded as well. Raises as `listening`."""
    if len(os.fsencode(path)) > PATH_LIMIT:
        raise ConfigError(f"{path}: too long for a UNIX socket ({PATH_LIMIT} bytes) -> choose a shorter path")
    try:
        gid = grp.getgrnam(group).gr_gid if group else None
    except KeyError:
        raise ConfigError(f"there is no group {group!r} -> groupadd --system {group}") from None
    try:
        path.parent.mkdir(mode=0o700 if gid is None else 0o755, parents=True, exist_ok=True)
        _clear(path)
    except OSError as err:
        raise _unusable(path, err) from err
    return gid


def _unusable(path: Path, err: OSError) -> ConfigError:
    return ConfigError(f"{path}: cannot listen there ({err.strerror or err}) -> choose another --socket")


def _clear(path: Path) -> None:
    """Removes the socket of a server that is dead."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise ConfigError(f"{path} is there and is no socket -> choose another --socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
            return
        except OSError:
            pass  # it is there, and too busy to answer
    raise AlreadyRunning(f"an engine server listens at {path} already -> broadcaster head status --socket {path}")
