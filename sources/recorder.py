"""Writes down what a source received, for `replay`: an intake that passes everything on. A thread of its own.

Recordings hold the names and texts of viewers as they came, so only their owner may read them; neither retention nor
`memory forget` reaches them. A recorder never fails and never waits: what it cannot write is counted.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from broadcaster.ports import Intake
from broadcaster.types import Post
from sources.posts import write_post

log = logging.getLogger(__name__)

WAITING: Final = 1_000
"""Batches that may wait for the disk; a disk that takes nothing for so long is not waited for."""

SHARE: Final = 4
"""Files that the megabytes are shared by: so much of the past is left when the oldest file goes."""

RETRY_S: Final = 5.0
"""A disk that is full is asked again after so long."""

CLOSE_S: Final = 2.0


class Recorder:
    """`director.feeds.Tape`: files NAME-DATE-TIME.jsonl in `folder`, a new one each day and at every quarter of
    `megabytes`, which all of them together never pass. The oldest go first."""

    def __init__(
        self,
        intake: Intake,
        folder: Path,
        name: str,
        megabytes: int,
        *,
        wall_ns: Callable[[], int] = time.time_ns,
        retry_s: float = RETRY_S,
    ) -> None:
        self.written = 0
        """Posts."""
        self.lost = 0
        """Posts that could not be written."""
        self._intake = intake
        self._folder = folder
        self._name = name
        self._most = megabytes * 1_000_000
        self._wall_ns = wall_ns
        self._retry_s = retry_s
        self._error = ""
        self._lock = threading.Lock()
        self._batches: queue.Queue[Sequence[Post] | None] = queue.Queue(WAITING)
        self._thread = threading.Thread(target=self._run, name=f"recorder-{name}", daemon=True)
        self._file: int | None = None
        self._path: Path | None = None
        self._size = 0
        self._day = 0
        self._retry_at = 0.0
        self._thread.start()

    def bring(self, posts: Sequence[Post]) -> Future[None]:
        try:
            self._batches.put_nowait(posts)
        except queue.Full:
            self._lose(len(posts))
        return self._intake.bring(posts)

    def status(self) -> dict[str, Any]:
        return {
            "folder": str(self._folder),
            "file": self._path.name if self._path is not None else "",
            "written": self.written,
            "lost": self.lost,
            "error": self._error,
        }

    def close(self) -> None:
        with contextlib.suppress(queue.Full):
            self._batches.put(None, timeout=CLOSE_S)
        self._thread.join(CLOSE_S)

    # -- the thread -------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while (posts := self._batches.get()) is not None:
            try:
                self._write(posts)
            except OSError as err:
                self._lose(len(posts))
                self._failed(err.strerror or str(err))
            except Exception as err:  # a fault of the program in here must not end the recording
                self._lose(len(posts))
                self._failed(f"a fault of the program: {type(err).__name__}")
            else:
                self._worked()
        self._shut()

    def _write(self, posts: Sequence[Post]) -> None:
        if self._retry_at > time.monotonic():
            self._lose(len(posts))
            return
        now_ns = self._wall_ns()
        day = _local(now_ns).toordinal()
        if self._file is None or day != self._day:
            self._begin(now_ns, day)
        text = bytearray()
        for post in posts:
            line = write_post(post if post.received_ns else replace(post, received_ns=now_ns)) + b"\n"
            if self._size + len(text) + len(line) > self._most // SHARE:
                self._append(text)
                self._begin(now_ns, day)
                text.clear()
            text += line
        self._append(text)
        self.written += len(posts)

    def _append(self, text: bytes | bytearray) -> None:
        assert self._file is not None
        written = 0
        while written < len(text):
            written += os.write(self._file, bytes(text[written:]))
        self._size += written

    def _begin(self, now_ns: int, day: int) -> None:
        """A new file, after room was made for it."""
        self._shut()
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._make_room()
        stem = f"{self._name}-{_local(now_ns):%Y%m%d-%H%M%S}"
        for number in range(1000):
            path = self._folder / f"{stem}{f'-{number:03d}' if number else ''}.jsonl"
            with contextlib.suppress(FileExistsError):
                self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
                self._path, self._size, self._day = path, 0, day
                return
        raise OSError(f"{self._folder} is full of files named {stem}")

    def _make_room(self) -> None:
        """Of this source's files only: others may lie in the same folder."""
        files = sorted(self._folder.glob(f"{self._name}-????????-??????*.jsonl"))
        sizes = {file: file.stat().st_size for file in files if file.is_file()}
        while sizes and sum(sizes.values()) > self._most - self._most // SHARE:
            oldest = next(iter(sizes))
            oldest.unlink(missing_ok=True)
            del sizes[oldest]

    def _shut(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):
                os.close(self._file)
        self._file = None

    def _failed(self, reason: str) -> None:
        """The file may end in half a line; the next one is another."""
        self._shut()
        self._retry_at = time.monotonic() + self._retry_s
        if not self._error:
            log.warning("nothing is recorded", extra={"source": self._name, "reason": reason})
        self._error = reason

    def _worked(self) -> None:
        if self._error and self._retry_at <= time.monotonic():
            self._error = ""
            log.info("it is recorded again", extra={"source": self._name})

    def _lose(self, count: int) -> None:
        with self._lock:
            self.lost += count


def _local(ns: int) -> datetime:
    return datetime.fromtimestamp(ns / 1e9).astimezone()
