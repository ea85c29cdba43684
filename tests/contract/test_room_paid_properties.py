"""What was paid for, whatever happens to it: one end for every post, and nobody is thanked twice. Property tests."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from broadcaster.journal import Journal
from broadcaster.types import Inbound, Lane, Post, PostKind
from tests.support.till import Box, chat, counter, gift, now

pytestmark = pytest.mark.contract


_STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("bring"), st.lists(st.tuples(st.integers(0, 25), st.sampled_from(["chat", "gift", "small"])))
        ),
        st.tuples(st.just("revoke"), st.integers(0, 25)),
        st.tuples(st.just("end"), st.integers(1, 4)),
        st.tuples(st.just("close window"), st.none()),
        st.tuples(st.just("crash"), st.none()),
    ),
    min_size=3,
    max_size=20,
)


@settings(max_examples=15, deadline=None, phases=[Phase.reuse, Phase.generate])
@given(_STEPS, st.integers(1, 5))
def test_whatever_happens_every_post_has_one_end_and_is_told_of_once(steps: list[tuple[str, Any]], room: int) -> None:
    """Sent again, taken back, more than fits, killed: and then left in peace."""
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_live_through(Path(folder, "journal.sqlite"), steps, room))


async def _live_through(path: Path, steps: list[tuple[str, Any]], room: int) -> None:
    ended: list[Inbound] = []
    sent: set[str] = set()
    left: list[tuple[str, Any]] = [*steps, ("crash", None)]
    restored: list[Inbound] = []
    while left:
        async with counter(path, room) as made:
            made.queue = restored
            while left:
                what, about = left.pop(0)
                if what == "crash":
                    break
                await _do(made, what, about, ended, sent)
            await asyncio.sleep(0)
        journal = Journal(path)
        await journal.open()
        restored = [entry.prompt for entry in await journal.unfinished()]
        journal.close()
    async with counter(path, room) as made:
        made.queue = restored
        await _all_said(made, ended)
        states = await made.states()
    told = Counter(key for prompt in ended for key in _keys(path, prompt))
    assert set(states) >= sent
    assert set(states.values()) <= {"done", "revoked"}
    assert {key for key, state in states.items() if state == "done"} <= set(told)
    assert set(told.values()) <= {1}


async def _do(made: Box, what: str, about: Any, ended: list[Inbound], sent: set[str]) -> None:
    if what == "bring":
        posts = [chat(f"{n}") if kind == "chat" else gift(f"{n}", who=str(n), price=60_000 if kind == "gift" else 1)
                 for n, kind in about]  # fmt: skip
        sent |= {post.key for post in posts}
        await made.bring(*posts)
    elif what == "revoke":
        before = len(made.revoked)
        await made.bring(Post("test", PostKind.REVOKE, revokes=(str(about),), received_ns=now()))
        await asyncio.sleep(0)
        for prompt in made.revoked[before:]:
            found = next((each for each in made.queue if each.id == prompt), None)
            if found is not None:
                made.queue.remove(found)
                made.journal.finish(found.id, "skipped", "revoked")
                made.till.freed()
    elif what == "end":
        for _ in range(min(about, len(made.queue))):
            ended.append(made.end())
    else:
        await asyncio.sleep(0)
        if parts := made.window.close(1e9):
            made.till.thank(parts, Lane.THANKS)


async def _all_said(made: Box, ended: list[Inbound]) -> None:
    async with asyncio.timeout(10):
        while set((await made.states()).values()) & {"waiting", "queued"}:
            await _do(made, "close window", None, ended, set())
            await _do(made, "end", 100, ended, set())
            await asyncio.sleep(0.005)


def _keys(path: Path, prompt: Inbound) -> list[str]:
    db = sqlite3.connect(path)
    try:
        return [
            row[0] for row in db.execute("SELECT key FROM posts WHERE prompt = ? AND state = 'done'", (prompt.id,))
        ]
    finally:
        db.close()
