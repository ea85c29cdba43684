"""Paid posts that the journal would not take: tried again, and one that it never takes holds up nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import Future
from typing import cast

import pytest

from broadcaster.director.room.intake import RoomIntake
from broadcaster.errors import JournalError
from broadcaster.journal.posts import JournalPosts, Stored
from broadcaster.types import Post, PostKind
from tests.support.hurried import hurried

pytestmark = pytest.mark.unit


class Moody:
    """A journal that takes nothing while it has an `error`, and never what is named bad."""

    def __init__(self) -> None:
        self.error = "the disk is full"
        self.taken: list[str] = []

    def bring(self, posts: Sequence[Post], session_ns: int) -> Future[Stored]:
        done: Future[Stored] = Future()
        if self.error or any(post.text == "bad" for post in posts):
            done.set_exception(JournalError(self.error or "an entry that cannot be stored"))
        else:
            self.taken += [post.id for post in posts]
            done.set_result(Stored(tuple(posts), ()))
        return done


def test_what_is_owed_is_stored_in_order_and_a_post_that_never_can_be_is_left_behind() -> None:
    async def evening() -> None:
        journal = Moody()
        intake = RoomIntake(
            cast("JournalPosts", journal),
            free=lambda post: None, stored=lambda stored: None, live=lambda post: None, session_ns=lambda: 0,
        )  # fmt: skip
        catching = asyncio.create_task(intake.catch_up())
        posts = [
            Post("r", PostKind.SUPER_CHAT, str(number), text="bad" if number in (0, 3) else "", price=1000)
            for number in range(6)
        ]
        outcome = intake.bring(posts)
        with pytest.raises(JournalError):
            await asyncio.wrap_future(outcome)
        await asyncio.sleep(5)
        assert (intake.owed, journal.taken) == (6, [])
        journal.error = ""
        await asyncio.sleep(5)
        assert (intake.owed, intake.paid_lost, journal.taken) == (0, 2, ["1", "2", "4", "5"])
        catching.cancel()

    hurried(evening())
