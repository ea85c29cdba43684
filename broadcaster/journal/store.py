"""The durable side of the channel: accepted prompts, what was made of them, what was heard, the panic.

Methods are called from the director's event loop; `JournalWriter` does the work in its thread.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from broadcaster.config import Config
from broadcaster.journal.asrun import begin, end, mind_the_gap, sign_of_life
from broadcaster.journal.audience import JournalAudience
from broadcaster.journal.database import Database, JournalPlace, journal_place
from broadcaster.journal.decisions import JournalDecisions
from broadcaster.journal.forgetting import settle
from broadcaster.journal.ledger import JournalLedger
from broadcaster.journal.memory import JournalMemory
from broadcaster.journal.posts import JournalPosts, finish_posts
from broadcaster.journal.prompts import PROMPT_COLUMNS, prompt_of, prompt_row
from broadcaster.journal.retention import Keep, bites
from broadcaster.journal.state import get_state, put_state
from broadcaster.journal.traces import JournalTraces
from broadcaster.journal.writer import JournalWriter
from broadcaster.paths import Paths
from broadcaster.types import Inbound, Origin, Verdict
from broadcaster.wire import Aired

BREATH_SECONDS: Final = 0.05
"""Between two bites of a clean-up: what waits in the meantime is written."""


@dataclass(frozen=True, slots=True)
class Line:
    """One gated sentence that a prompt turned into."""

    text: str
    verdict: str


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A prompt that an earlier director accepted and did not finish.

    `started`: playout may have heard of it. `heard`: its sentences that were heard in full, in order.
    `complete`: `script` is all there will be. `known`: (generation, sentence) of those heard.
    """

    prompt: Inbound
    started: bool
    script: tuple[Line, ...]
    complete: bool
    heard: tuple[str, ...]
    known: frozenset[tuple[int, int]] = frozenset()


class Journal:
    """Open once per channel. `error` says why nothing can be written now, `lost` counts entries that were lost."""

    def __init__(self, place: JournalPlace, keep: Keep = Keep()) -> None:
        self._writer = JournalWriter(place)
        self.place = place
        self._keep = keep
        self._left = False
        self.memory = JournalMemory(self._writer)
        self.ledger = JournalLedger(self._writer)
        self.traces = JournalTraces(self._writer)
        self.posts = JournalPosts(self._writer)
        self.audience = JournalAudience(self._writer)
        self.decisions = JournalDecisions(self._writer)

    @classmethod
    def of(cls, config: Config, paths: Paths) -> Journal:
        """The journal of a channel. Raises ConfigError: the address of the database is none."""
        settings = config.journal
        url = settings.url.get_secret_value() if settings.url is not None else None
        keep = Keep(settings.keep_days, settings.viewer_days)
        return cls(journal_place(url, config.channel, paths.journal), keep)

    @property
    def error(self) -> str:
        return self._writer.error

    @property
    def lost(self) -> int:
        return self._writer.lost

    async def open(self) -> None:
        """Starts the writer and opens the file. Raises JournalError; it goes on trying in the background then."""
        self._writer.start()
        await self.flush()

    def close(self) -> None:
        self._writer.close()

    async def accept(self, prompt: Inbound) -> None:
        """Returns when the prompt is synced to disk. Raises JournalError, and then it is not accepted."""
        row = prompt_row(prompt)
        sql = f"INSERT INTO prompts ({PROMPT_COLUMNS}) VALUES ({', '.join('?' * len(row))})"
        await self._writer.durable(lambda db: db.execute(sql, row) and None)

    async def start(self, prompt: str) -> None:
        """From now on playout may have heard of it. Raises JournalError."""
        sql = "UPDATE prompts SET state = 'started' WHERE id = ? AND state = 'queued'"
        await self._writer.durable(lambda db: db.execute(sql, (prompt,)) and None)

    def requeue(self, prompt: str) -> None:
        """It goes back to the queue as if it had never been begun."""

        def job(db: Database) -> None:
            db.execute("UPDATE prompts SET state = 'queued', scripted = 0 WHERE id = ?", (prompt,))
            db.execute("DELETE FROM script WHERE prompt = ?", (prompt,))

        self._writer.deferred(job)

    def hold(self, prompt: str) -> None:
        """It was cut and goes on later: it waits, with what it has turned into."""
        sql = "UPDATE prompts SET state = 'queued' WHERE id = ? AND state = 'started'"
        self._writer.deferred(lambda db: db.execute(sql, (prompt,)) and None)

    def rescript(self, prompt: str, lines: Iterable[Line]) -> None:
        """All lines of a prompt anew."""
        rows = [(prompt, number, line.text, line.verdict, "") for number, line in enumerate(lines)]

        def job(db: Database) -> None:
            db.execute("DELETE FROM script WHERE prompt = ?", (prompt,))
            for row in rows:
                db.execute("INSERT INTO script VALUES (?, ?, ?, ?, ?)", row)

        self._writer.deferred(job)

    def finish(self, prompt: str, state: str, reason: str = "") -> None:
        """`state`: "done", "cut" or "skipped"."""
        row = (state, reason, time.time_ns(), prompt)

        def job(db: Database) -> None:
            db.execute("UPDATE prompts SET state = ?, reason = ?, finished_ns = ? WHERE id = ?", row)
            db.execute("DELETE FROM script WHERE prompt = ?", (prompt,))
            finish_posts(db, prompt, state, reason, row[2])
            settle(db)

        self._writer.deferred(job)

    def line(self, prompt: str, number: int, verdict: Verdict) -> None:
        row = (prompt, number, verdict.text, verdict.kind.value, verdict.reason)
        sql = (
            "INSERT INTO script VALUES (?, ?, ?, ?, ?) ON CONFLICT (prompt, number) DO UPDATE SET"
            " text = excluded.text, verdict = excluded.verdict, reason = excluded.reason"
        )
        self._writer.deferred(lambda db: db.execute(sql, row) and None)

    def script_complete(self, prompt: str) -> None:
        sql = "UPDATE prompts SET scripted = 1 WHERE id = ?"
        self._writer.deferred(lambda db: db.execute(sql, (prompt,)) and None)

    def aired(self, event: Aired, verdict: str) -> None:
        """Puts an `Aired` event into the as-run log ("done" has no row of its own). One told twice counts once."""
        if event.event == "on_air":
            self._writer.deferred(lambda db: begin(db, event, verdict, "on_air"))
        elif event.event in ("heard", "cut"):
            self._writer.deferred(lambda db: end(db, event, verdict))

    def broken_off(self, prompt: str, generation: int) -> None:
        """Playout died: how much of the sentence on air was heard will never be known."""
        sql = "UPDATE asrun SET outcome = 'lost' WHERE prompt = ? AND generation = ? AND outcome = 'on_air'"
        self._writer.deferred(lambda db: db.execute(sql, (prompt, generation)) and None)

    def break_off_all(self) -> None:
        """Nothing is on air: sentences whose end was never reported (this process died meanwhile) are lost."""
        sql = "UPDATE asrun SET outcome = 'lost' WHERE outcome = 'on_air'"
        self._writer.deferred(lambda db: db.execute(sql) and None)

    def arrive(self, began_ns: int) -> None:
        """A director begins. The time without one, if it was worth telling, goes into the as-run log as a gap."""
        self._writer.deferred(lambda db: mind_the_gap(db, began_ns))

    def live(self) -> None:
        """Call every ALIVE_SECONDS. Not while nothing can be written: the log has the first claim on what waits."""
        if not self.error and not self._left:
            self._writer.deferred(sign_of_life)

    def leave(self) -> None:
        """The director ends because it was asked to."""
        self._left = True
        self._writer.deferred(lambda db: sign_of_life(db, leaving=True))

    async def set_panicked(self, on: bool, by: Origin) -> None:
        """Raises JournalError; the state in the file is then the old one."""
        value = f"on {by.source}" if on else f"off {by.source}"
        await self._writer.durable(lambda db: put_state(db, "panic", value))

    async def panicked(self) -> bool | None:
        """None when nothing was ever written about it. Raises JournalError."""
        value: str | None = await self._writer.durable(lambda db: get_state(db, "panic"))
        return None if value is None else value.startswith("on")

    async def unfinished(self) -> list[Unfinished]:
        """Oldest first. Raises JournalError."""
        found: list[Unfinished] = await self._writer.durable(_unfinished)
        return found

    async def prune(self) -> None:
        """Drops what is older than may be kept, bite by bite. Raises JournalError."""
        for bite in bites(self._keep, time.time_ns()):
            more = True
            while more:
                more = await self._writer.durable(bite)
                await asyncio.sleep(BREATH_SECONDS if more else 0)

    async def flush(self) -> None:
        """Returns when everything given before is on disk. Raises JournalError."""
        await self._writer.durable(lambda db: None)


def _unfinished(db: Database) -> list[Unfinished]:
    rows = db.execute(
        f"SELECT {PROMPT_COLUMNS}, state, scripted FROM prompts"
        " WHERE state IN ('queued', 'started') ORDER BY received_ns"
    ).fetchall()
    return [_restored(db, row) for row in rows]


def _restored(db: Database, row: tuple[Any, ...]) -> Unfinished:
    *columns, state, scripted = row
    prompt = prompt_of(columns)
    identity = prompt.id
    lines = db.execute("SELECT text, verdict FROM script WHERE prompt = ? ORDER BY number", (identity,)).fetchall()
    heard = db.execute(
        "SELECT text, generation, sentence FROM asrun WHERE prompt = ? AND outcome = 'heard' ORDER BY row",
        (identity,),
    ).fetchall()
    script = tuple(Line(*line) for line in lines)
    texts, known = tuple(row[0] for row in heard), frozenset((row[1], row[2]) for row in heard)
    return Unfinished(prompt, state == "started", script, bool(scripted), texts, known)
