"""The budget of the day: what answers cost, and who is asked when it is spent."""

from __future__ import annotations

import pytest

from broadcaster.brain.budget import Budget
from broadcaster.brain.chain import Chain
from broadcaster.errors import BrainError
from broadcaster.types import Usage
from tests.support.chains import TURN, Book, chain, link, model, take, virtual

pytestmark = pytest.mark.unit


class Days:
    def __init__(self) -> None:
        self.today = "2026-03-02"

    def __call__(self) -> str:
        return self.today


@virtual
async def test_when_the_day_is_spent_priced_links_wait_for_tomorrow_also_after_a_restart() -> None:
    days, book = Days(), Book()
    dear = model("dear", "好。", Usage(1200, 300))
    free = model("free", "免费的。")

    async def started() -> Chain:
        budget = Budget(0.01, "CNY", days)
        await budget.open(book)
        return chain(link(dear, price_in=4.0, price_out=4.0), link(free), budget=budget)

    tried = await started()
    assert [(await take(tried.reply(TURN))).brains for _ in range(3)] == [["dear"], ["dear"], ["free"]]
    tried = await started()
    assert (await take(tried.reply(TURN))).brains == ["free"]
    days.today = "2026-03-03"
    assert (await take(tried.reply(TURN))).brains == ["dear"]
    assert [(day, entry.link, entry.cost) for day, entry in book.rows if entry.cost] == [
        ("2026-03-02", "dear", 6000),
        ("2026-03-02", "dear", 6000),
        ("2026-03-03", "dear", 6000),
    ]


@virtual
async def test_a_clock_that_is_set_back_over_midnight_does_not_open_the_purse_again() -> None:
    days = Days()
    budget = Budget(1.0, "CNY", days)
    budget.spend("dear", Usage(10**6, 0), 1.0, 0.0)
    today = days.today
    for days.today, open_again in (("2026-03-03", True), (today, False), ("2026-03-03", True)):
        assert budget.allows(priced=True) is open_again


@virtual
async def test_what_a_server_does_not_count_is_estimated() -> None:
    budget = Budget(None, "USD")
    await take(chain(link(model("m", "今天晴。"), price_out=1.0), budget=budget).reply(TURN))
    found = budget.status()
    assert found["tokens"] > 10
    assert found["spent"] > 0
    assert (found["limit"], found["currency"]) == (None, "USD")


@virtual
async def test_an_answer_that_was_cut_off_costs_too_and_a_refused_request_nothing() -> None:
    budget = Budget()
    await take(chain(link(model("m", "今天", 100.0), gap_s=1.0), budget=budget).reply(TURN))
    await take(chain(link(model("n", BrainError("401", denied=True))), budget=budget).reply(TURN))
    assert [entry["name"] for entry in budget.status()["links"]] == ["m"]


# -- mind ---------------------------------------------------------------------------------------------------------
