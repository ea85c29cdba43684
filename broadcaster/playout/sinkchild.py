"""One sink child process as playout sees it: its pipes, its bytes, its status lines. The sinks' thread; never blocks.

The settings, secrets in them, go in over stdin and never through argv or the environment. The child asks for
SIGKILL at the death of the *thread* that started it, so that thread lives as long as playout.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from broadcaster.media import EncodedPacket, pack_head

PIPE_RANGE: Final = (16 * 1024, 1024 * 1024)
"""Bytes; 1 MiB is what an unprivileged process may ask for."""
BATCH_BYTES: Final = 32 * 1024
STATUS_LIMIT: Final = 64 * 1024
"""A child that says more than this in one go is broken; its status is not read further."""

_ROOT: Final = str(Path(__file__).resolve().parents[2])


class SinkChild:
    """Starts `python -m sinks.child`. Raises OSError when no process can be started."""

    def __init__(self, settings: Mapping[str, object], preamble: bytes, pipe_bytes: int) -> None:
        media_read, self._media = os.pipe()
        self._status, status_write = os.pipe()
        ends = (media_read, status_write)
        stdin = os.memfd_create("sink-settings", os.MFD_CLOEXEC)
        try:
            os.write(stdin, json.dumps(settings).encode())
            os.lseek(stdin, 0, os.SEEK_SET)
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "sinks.child", str(media_read), str(status_write), str(os.getpid())],
                stdin=stdin,
                stdout=subprocess.DEVNULL,
                pass_fds=ends,
                env={**os.environ, "PYTHONPATH": _python_path()},
            )
        except OSError:
            os.close(self._media)
            os.close(self._status)
            raise
        finally:
            for fd in (*ends, stdin):
                os.close(fd)
        size = min(PIPE_RANGE[1], max(PIPE_RANGE[0], pipe_bytes))
        with contextlib.suppress(OSError):  # over the user's limit on pipes: the usual 64 kB will do
            fcntl.fcntl(self._media, fcntl.F_SETPIPE_SZ, size)
        os.set_blocking(self._media, False)
        os.set_blocking(self._status, False)
        self._pending: list[memoryview] = [memoryview(preamble)]
        self._lines = b""
        self.broken = False
        """The media pipe is closed or broken; nothing more can be fed."""
        self.silent = False
        """The status pipe has ended: the process has, or is about to."""

    @property
    def media_fd(self) -> int:
        return self._media

    @property
    def status_fd(self) -> int:
        return self._status

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def idle(self) -> bool:
        """Whether all that was fed is in the pipe."""
        return not self._pending

    def feed(self, packets: Iterable[EncodedPacket]) -> None:
        for packet in packets:
            self._pending += (memoryview(pack_head(packet)), memoryview(packet.data))

    def flush(self) -> int:
        """Writes what the pipe takes; answers how many bytes it took."""
        total = 0
        while self._pending and not self.broken:
            try:
                written = os.writev(self._media, self._pending[:512])
            except BlockingIOError:
                break
            except BrokenPipeError:
                self.broken = True
                break
            total += written
            while written:
                first = self._pending[0]
                if written < len(first):
                    self._pending[0] = first[written:]
                    break
                written -= len(first)
                del self._pending[0]
        return total

    def reports(self) -> list[dict[str, object]]:
        """What the child has said since the last call."""
        while not self.silent and len(self._lines) < STATUS_LIMIT:
            try:
                data = os.read(self._status, 4096)
            except BlockingIOError:
                break
            if not data:
                self.silent = True
            self._lines += data
        *whole, self._lines = self._lines.split(b"\n")
        reports = []
        for line in whole:
            report = json.loads(line)
            if isinstance(report, dict):
                reports.append(report)
        return reports

    def finish(self) -> None:
        """No more packets: the child sees the end of its input, closes its output and ends."""
        if self._media >= 0:
            os.close(self._media)
            self._media = -1
        self.broken = True
        self._pending.clear()

    def kill(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)

    def reap(self) -> int | None:
        """The exit status once the process is gone (then its pipes are closed too), else None."""
        status = self._process.poll()
        if status is not None:
            self.finish()
            if self._status >= 0:
                os.close(self._status)
                self._status = -1
        return status


def _python_path() -> str:
    inherited = os.environ.get("PYTHONPATH", "")
    return f"{_ROOT}{os.pathsep}{inherited}" if inherited else _ROOT
