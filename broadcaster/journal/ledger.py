"""What the day's answers cost: port `Ledger` on the journal. Called from the director's event loop."""

from __future__ import annotations

from broadcaster.journal.database import Database
from broadcaster.journal.writer import JournalWriter
from broadcaster.types import Spent

_ADD = (
    "INSERT INTO spending VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (day, link) DO UPDATE SET"
    " requests = spending.requests + excluded.requests,"
    " prompt_tokens = spending.prompt_tokens + excluded.prompt_tokens,"
    " completion_tokens = spending.completion_tokens + excluded.completion_tokens,"
    " cost = spending.cost + excluded.cost"
)


class JournalLedger:
    """Port `Ledger`. Days are kept as long as finished prompts are."""

    def __init__(self, writer: JournalWriter) -> None:
        self._writer = writer

    async def spent(self, day: str) -> list[Spent]:
        def job(db: Database) -> list[Spent]:
            sql = "SELECT link, requests, prompt_tokens, completion_tokens, cost FROM spending WHERE day = ?"
            return [Spent(*row) for row in db.execute(sql, (day,))]

        found: list[Spent] = await self._writer.durable(job)
        return found

    def add(self, day: str, entry: Spent) -> None:
        row = (day, entry.link, entry.requests, entry.prompt_tokens, entry.completion_tokens, entry.cost)
        self._writer.deferred(lambda db: db.execute(_ADD, row) and None)
