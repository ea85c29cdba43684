"""One suite over every source of `registry.SOURCES`: the real class beside a local platform that speaks its wire.

To add a source, write `tests/contract/source_cases/<its name>.py` with a `CASE`, and a fake of its platform in
`tests/fakes/`. What only one source has is tested in `test_source_<its name>.py`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from broadcaster import registry
from broadcaster.errors import SourceError
from broadcaster.ports import Source
from broadcaster.types import Post, PostKind
from tests.contract.source_cases.case import LABEL, NAME, PRICE, TEXT, SourceCase, all_cases, case_of
from tests.fakes.intake import KeepingIntake

pytestmark = pytest.mark.contract

CASES = all_cases()

GOODBYE_S = 3.0
"""`director.feeds` gives no source longer to close."""

over_all = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())


@pytest.mark.parametrize("name", registry.SOURCES)
def test_every_source_has_a_case(name: str) -> None:
    assert case_of(name) is not None, f"write tests/contract/source_cases/{name}.py"


@over_all
async def test_what_comes_in_is_brought_once(case: SourceCase, tmp_path: Path) -> None:
    async with case.there(tmp_path) as platform:
        intake = KeepingIntake()
        running = await started(platform.source, intake)
        await platform.comment()
        await platform.gift()
        await until(lambda: len(intake.posts) >= 2, running)
        await ended(running)
        comment, gift = sorted(intake.posts, key=lambda post: post.price)
        assert (comment.kind, comment.text, comment.price) == (PostKind.COMMENT, TEXT, 0)
        assert (gift.kind, gift.item, gift.price, gift.paid) == (PostKind.GIFT, TEXT, PRICE, True)
        for post in (comment, gift):
            assert isinstance(post, Post)
            assert post.source == LABEL
            assert post.id
            assert post.viewer is not None
            assert (post.viewer.name, bool(post.viewer.id)) == (NAME, True)
            assert post.at_ns > 0
            assert post.received_ns > 0


@over_all
async def test_it_says_how_it_is(case: SourceCase, tmp_path: Path) -> None:
    async with case.there(tmp_path) as platform:
        source = platform.source
        assert source.name == LABEL
        check(source.status(), False, case)
        running = await started(source, KeepingIntake())
        check(source.status(), True, case)
        await ended(running)
        check(source.status(), False, case)


@over_all
async def test_cancelled_it_says_goodbye_and_can_be_run_again(case: SourceCase, tmp_path: Path) -> None:
    async with case.there(tmp_path) as platform:
        for _ in range(2):
            await ended(await started(platform.source, KeepingIntake()))
            assert platform.left()


@over_all
async def test_a_journal_that_never_answers_does_not_keep_it(case: SourceCase, tmp_path: Path) -> None:
    async with case.there(tmp_path) as platform:
        intake = KeepingIntake()
        intake.hangs = True
        running = await started(platform.source, intake)
        giving = asyncio.ensure_future(_given(platform.gift))
        await until(lambda: bool(intake.posts), running)
        await ended(running)
        giving.cancel()
        await asyncio.gather(giving, return_exceptions=True)


@over_all
async def test_what_is_away_is_a_source_error(
    case: SourceCase, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with case.away(tmp_path) as source:
        with caplog.at_level(logging.DEBUG), pytest.raises(SourceError) as caught:
            await asyncio.wait_for(source.run(KeepingIntake()), 10)
        check(source.status(), False, case)
        told = f"{caught.value} {caught.value.__cause__!r}"
        assert not held(told, case)
        assert len(str(caught.value)) > 10


@over_all
async def test_neither_keys_nor_viewers_are_logged(
    case: SourceCase, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with case.there(tmp_path) as platform:
        with caplog.at_level(logging.DEBUG, logger="sources"), caplog.at_level(logging.INFO):
            intake = KeepingIntake()
            running = await started(platform.source, intake)
            await platform.comment()
            await platform.gift()
            await until(lambda: len(intake.posts) >= 2, running)
            await ended(running)
        for record in caplog.records:
            assert not held(f"{record.getMessage()} {record.__dict__}", case, TEXT, NAME)


def held(text: str, case: SourceCase, *more: str) -> list[str]:
    return [word for word in (*case.secrets, *more) if word in text]


def check(status: dict[str, Any], connected: bool, case: SourceCase) -> None:
    assert status.pop("connected") is connected
    assert isinstance(status.pop("note"), str)
    assert all(type(value) is int and value >= 0 for value in status.values()), status
    assert not held(str(status), case)


async def started(source: Source, intake: KeepingIntake) -> asyncio.Task[None]:
    running = asyncio.create_task(source.run(intake))
    await until(lambda: bool(source.status()["connected"]), running)
    return running


async def ended(running: asyncio.Task[None]) -> None:
    """Cancels it; it has to be gone within the time that the director gives it."""
    running.cancel()
    done, _ = await asyncio.wait({running}, timeout=GOODBYE_S)
    assert done, "it did not close in time"
    with suppress(asyncio.CancelledError):
        running.result()


async def until(holds: Callable[[], bool], running: asyncio.Task[None], seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not holds():
            if running.done():
                running.result()
            await asyncio.sleep(0.002)


async def _given(give: Callable[[], Awaitable[None]]) -> None:
    """A platform with an acknowledgement may be refused here, or wait."""
    with suppress(Exception):
        await give()
