"""What answers cost: tokens and money of the day, per link, kept in the ledger. Director's event loop."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from broadcaster.errors import JournalError
from broadcaster.ports import Ledger
from broadcaster.types import Spent, Usage

log = logging.getLogger(__name__)

MICRO: Final = 1_000_000
"""Money is counted in millionths: a token's price is that of a million, divided by this."""


def machine_day() -> str:
    return datetime.now().astimezone().date().isoformat()


class Budget:
    """`per_day` in units of `currency`, None without a limit; `today` gives the date as YYYY-MM-DD.

    A question asked while something is left is answered in full: a day may cost one answer more than the limit.
    """

    def __init__(
        self, per_day: float | None = None, currency: str = "CNY", today: Callable[[], str] = machine_day
    ) -> None:
        self._limit = None if per_day is None else round(per_day * MICRO)
        self._currency = currency
        self._today = today
        self._day = today()
        self._ledger: Ledger | None = None
        self._spent: dict[str, Spent] = {}
        self._left: tuple[str, dict[str, Spent]] = ("", {})
        """The day before this one: a clock that is set back at midnight comes to it again."""
        self._told = False

    async def open(self, ledger: Ledger) -> None:
        """What this day has cost before. Never fails: what cannot be read counts as nothing, and is told."""
        self._ledger = ledger
        self._turn_the_page()
        try:
            before = await ledger.spent(self._day)
        except JournalError as err:
            log.warning("what was spent today is not known; it counts from now", extra={"reason": str(err)})
            return
        for entry in before:
            self._add(entry)
        self._tell()

    def allows(self, *, priced: bool) -> bool:
        """Whether a link may be asked; one without a price always."""
        self._turn_the_page()
        return not priced or not self._used_up()

    def spend(self, link: str, usage: Usage, price_in: float, price_out: float) -> None:
        """Prices are those of a million tokens."""
        self._turn_the_page()
        cost = round(usage.prompt_tokens * price_in + usage.completion_tokens * price_out)
        entry = Spent(link, 1, usage.prompt_tokens, usage.completion_tokens, cost)
        self._add(entry)
        if self._ledger is not None:
            self._ledger.add(self._day, entry)
        self._tell()

    def status(self) -> dict[str, Any]:
        """Of today: limit (None: there is none), spent, currency, tokens; and per link requests, tokens and cost."""
        self._turn_the_page()
        entries = self._spent.values()
        return {
            "limit": None if self._limit is None else self._limit / MICRO,
            "spent": sum(entry.cost for entry in entries) / MICRO,
            "currency": self._currency,
            "tokens": sum(entry.prompt_tokens + entry.completion_tokens for entry in entries),
            "links": [
                {
                    "name": entry.link,
                    "requests": entry.requests,
                    "prompt_tokens": entry.prompt_tokens,
                    "completion_tokens": entry.completion_tokens,
                    "cost": entry.cost / MICRO,
                }
                for entry in entries
            ],
        }

    def _add(self, entry: Spent) -> None:
        before = self._spent.get(entry.link, Spent(entry.link, 0, 0, 0, 0))
        self._spent[entry.link] = Spent(
            entry.link,
            before.requests + entry.requests,
            before.prompt_tokens + entry.prompt_tokens,
            before.completion_tokens + entry.completion_tokens,
            before.cost + entry.cost,
        )

    def _used_up(self) -> bool:
        return self._limit is not None and sum(entry.cost for entry in self._spent.values()) >= self._limit

    def _tell(self) -> None:
        if self._used_up() and not self._told:
            self._told = True
            log.warning("the day's budget is spent; brains with a price are not asked until tomorrow")

    def _turn_the_page(self) -> None:
        today = self._today()
        if today == self._day:
            return
        again = self._left[1] if self._left[0] == today else {}
        self._left = (self._day, self._spent)
        self._day, self._spent = today, again
        if self._told:
            self._told = False
            log.info("a new day: brains with a price are asked again")
        self._tell()
