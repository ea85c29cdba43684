"""The one thread that writes the journal: it groups what has gathered into one transaction and one fsync.

Jobs come from the director's event loop. A *durable* job is awaited and fails aloud; a *deferred* one is
ordered, kept and tried again until the disk takes it, and only the bound below can lose it, counted.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from broadcaster.errors import JournalError
from broadcaster.journal.migrations import explained, open_for_writing

log = logging.getLogger(__name__)

QUEUE_JOBS: Final = 4096
"""A full inbox with its log fits several times; more waiting than that means the disk has stopped."""

GROUP_JOBS: Final = 256
"""In one transaction: an fsync costs the same for one and for many."""

RETRY_SECONDS: Final = 1.0
"""Between two attempts to open a broken journal or to write what it would not take."""

Job = Callable[[sqlite3.Connection], Any]


@dataclass(frozen=True, slots=True)
class _Entry:
    job: Job
    done: Future[Any] | None


class JournalWriter:
    """`error` is the reason why nothing is written at the moment, or empty."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.error = ""
        self.lost = 0
        self.commits = 0
        self._jobs: queue.Queue[_Entry | None] = queue.Queue(QUEUE_JOBS)
        self._kept: deque[_Entry] = deque()
        self._db: sqlite3.Connection | None = None
        self._inode: tuple[int, int] | None = None
        self._retry_at = 0.0
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)

    def start(self) -> None:
        self._thread.start()

    async def durable(self, job: Job) -> Any:
        """Runs `job` and returns its result once it is synced to disk. Raises JournalError, and then it is not."""
        done: Future[Any] = Future()
        try:
            self._jobs.put_nowait(_Entry(job, done))
        except queue.Full:
            raise JournalError(f"{self.path}: {QUEUE_JOBS} writes wait for the disk; check that it works") from None
        return await asyncio.wrap_future(done)

    def deferred(self, job: Job) -> None:
        """Runs `job` after everything given before it, as soon as the disk takes it."""
        try:
            self._jobs.put_nowait(_Entry(job, None))
        except queue.Full:
            self._lose(1)

    def close(self, timeout: float = 2.0) -> None:
        """Writes what waits and ends the thread. Blocks for at most `timeout` seconds."""
        if self._thread.is_alive():
            try:
                self._jobs.put(None, timeout=timeout)
            except queue.Full:
                return  # the disk has stopped; what waits was refused or is counted by whoever reads the log
            self._thread.join(timeout)

    # -- the writer thread ------------------------------------------------------------------------------------

    def _run(self) -> None:
        running = True
        while running:
            batch, running = self._gather()
            self._write(batch)
        if self._kept:
            self._lose(len(self._kept))
        if self._db is not None:
            self._db.close()

    def _gather(self) -> tuple[list[_Entry], bool]:
        batch: list[_Entry] = []
        try:
            entry = self._jobs.get(timeout=RETRY_SECONDS if self._kept or self.error else None)
            while entry is not None:
                batch.append(entry)
                if len(batch) == GROUP_JOBS:
                    return batch, True
                entry = self._jobs.get_nowait()
        except queue.Empty:
            return batch, True
        return batch, False

    def _write(self, batch: list[_Entry]) -> None:
        wanted = [entry for entry in batch if entry.done is None or entry.done.set_running_or_notify_cancel()]
        entries = [*self._kept, *wanted]
        if not entries and not self.error:
            return
        try:
            results = self._transact(entries)
        except (sqlite3.Error, JournalError, OSError) as err:
            self._failed(entries, err if isinstance(err, JournalError) else explained(self.path, err))
            return
        self._kept.clear()
        if self.error:
            self.error = ""
            log.info("the journal is written again")
        for entry, result in zip(entries, results, strict=True):
            if entry.done is None:
                continue
            if isinstance(result, BaseException):
                entry.done.set_exception(result)
            else:
                entry.done.set_result(result)

    def _transact(self, entries: list[_Entry]) -> list[Any]:
        """One transaction for all; a job that is wrong in itself fails alone (its exception is its result)."""
        db = self._open()
        db.execute("BEGIN IMMEDIATE")
        try:
            results = [self._one(db, entry) for entry in entries]
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
        self.commits += 1
        return results

    def _one(self, db: sqlite3.Connection, entry: _Entry) -> Any:
        db.execute("SAVEPOINT job")
        try:
            result = entry.job(db)
        except Exception as err:
            wrong_in_itself = not isinstance(err, sqlite3.Error | OSError | JournalError)
            if not wrong_in_itself and not isinstance(err, sqlite3.IntegrityError | sqlite3.ProgrammingError):
                raise  # the file's or the disk's trouble: everything is tried again
            db.execute("ROLLBACK TO job")
            if entry.done is None:
                self._lose(1)
            result = JournalError(f"{self.path}: an entry that cannot be stored ({type(err).__name__})")
        db.execute("RELEASE job")
        return result

    def _open(self) -> sqlite3.Connection:
        if self._db is not None and self._inode == _inode(self.path):
            return self._db
        if self._db is not None:  # somebody moved the file away: writing on would go to a file nobody can find
            self._db.close()
            self._db = None
        if time.monotonic() < self._retry_at:
            raise JournalError(self.error)
        self._retry_at = time.monotonic() + RETRY_SECONDS / 2
        self._db = open_for_writing(self.path)
        self._inode = _inode(self.path)
        return self._db

    def _failed(self, entries: list[_Entry], err: JournalError) -> None:
        if not self.error:
            log.error("the journal cannot be written; prompts are refused", extra={"reason": str(err)})
        self.error = str(err)
        if self._db is not None and not any(word in self.error for word in ("locked", "full")):
            self._db.close()
            self._db = None
        kept = [entry for entry in entries if entry.done is None]
        if len(kept) > QUEUE_JOBS:
            self._lose(len(kept) - QUEUE_JOBS)
            kept = kept[-QUEUE_JOBS:]
        self._kept = deque(kept)
        for entry in entries:
            if entry.done is not None:
                entry.done.set_exception(JournalError(str(err)))

    def _lose(self, count: int) -> None:
        if self.lost == 0:
            log.error("entries of the as-run log are lost; the counter journal_lost goes on")
        self.lost += count


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
