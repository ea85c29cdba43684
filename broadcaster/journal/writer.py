"""The one thread that writes the journal: it groups what has gathered into one transaction and one fsync.

Jobs come from the director's event loop. A *durable* job is awaited and fails aloud; a *deferred* one is
ordered, kept and tried again until the disk takes it, and only the bound below can lose it, counted.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Final

from broadcaster.errors import JournalError
from broadcaster.journal.database import Database, JournalPlace, Passing, Unstorable, open_for_writing

log = logging.getLogger(__name__)

QUEUE_JOBS: Final = 4096
"""A full inbox with its log fits several times; more waiting than that means the disk has stopped."""

GROUP_JOBS: Final = 256
"""In one transaction: an fsync costs the same for one and for many."""

RETRY_SECONDS: Final = 1.0
"""Between two attempts to open a broken journal or to write what it would not take."""

Job = Callable[[Database], Any]


@dataclass(frozen=True, slots=True)
class _Entry:
    job: Job
    done: Future[Any] | None


class JournalWriter:
    """`error` is the reason why nothing is written at the moment, or empty."""

    def __init__(self, place: JournalPlace) -> None:
        self.place = place
        self.error = ""
        self.lost = 0
        self.commits = 0
        self._jobs: queue.Queue[_Entry | None] = queue.Queue(QUEUE_JOBS)
        self._kept: deque[_Entry] = deque()
        self._db: Database | None = None
        self._retry_at = 0.0
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)

    def start(self) -> None:
        self._thread.start()

    async def durable(self, job: Job) -> Any:
        """Runs `job` and returns its result once it is synced to disk. Raises JournalError, and then it is not."""
        return await asyncio.wrap_future(self.submit(job))

    def submit(self, job: Job) -> Future[Any]:
        """The same from any thread, without waiting; the future raises JournalError when it cannot be."""
        done: Future[Any] = Future()
        try:
            self._jobs.put_nowait(_Entry(job, done))
        except queue.Full:
            done.set_exception(
                JournalError(f"{self.place}: {QUEUE_JOBS} writes wait for the disk; check that it works")
            )
        return done

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
        self._drop()

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
        except Exception as err:
            known = isinstance(err, JournalError | OSError)
            self._failed(entries, err if known else JournalError(f"{self.place}: {type(err).__name__}; report this"))
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
        try:
            db.begin()
            results = [self._one(db, entry) for entry in entries]
            db.commit()
        except BaseException:
            db.rollback()
            raise
        self.commits += 1
        return results

    def _one(self, db: Database, entry: _Entry) -> Any:
        db.execute("SAVEPOINT job")
        try:
            result = entry.job(db)
            db.execute("RELEASE job")
        except Exception as err:
            if isinstance(err, OSError | JournalError) and not isinstance(err, Unstorable):
                raise  # the database's trouble: everything is tried again
            db.execute("ROLLBACK TO job")
            db.execute("RELEASE job")
            if entry.done is None:
                self._lose(1)
            result = JournalError(f"{self.place}: an entry that cannot be stored ({type(err).__name__})")
        return result

    def _open(self) -> Database:
        if self._db is not None and not self._db.stale():
            return self._db
        self._drop()
        if time.monotonic() < self._retry_at:
            raise JournalError(self.error)
        self._retry_at = time.monotonic() + RETRY_SECONDS / 2
        self._db = open_for_writing(self.place)
        return self._db

    def _drop(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None

    def _failed(self, entries: list[_Entry], err: Exception) -> None:
        if not self.error:
            log.error("the journal cannot be written; prompts are refused", extra={"reason": str(err)})
        self.error = str(err)
        if not isinstance(err, Passing):
            self._drop()
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
