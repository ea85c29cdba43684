"""What an earlier director left can be dropped as well, before it is queued again."""

from __future__ import annotations

import pytest

from broadcaster.config.room import Inbox as Settings
from broadcaster.director.pulse import Pulse
from broadcaster.director.recovery import Recovery
from broadcaster.inbox import Inbox
from broadcaster.journal import Line, Unfinished
from broadcaster.types import Inbound, Origin, PromptKind
from broadcaster.wire import Aired
from tests.unit.test_director_parts import Silent

pytestmark = pytest.mark.unit


def left(name: str, *, started: bool, heard: tuple[str, ...] = ()) -> Unfinished:
    prompt = Inbound(name, PromptKind.SAY, "一。二。", Origin("test"), received_ns=1)
    return Unfinished(prompt, started, (Line("一。", "pass"), Line("二。", "pass")), True, heard, frozenset())


class Left:
    def __init__(self, *found: Unfinished) -> None:
        self.ended: list[tuple[str, str, str]] = []
        self.cuts = 0
        self.inbox = Inbox(Settings(capacity=10))
        self.recovery = Recovery(
            list(found),
            Silent(),  # type: ignore[arg-type]
            self.inbox,
            Pulse(),
            lambda event: None,
            lambda prompt, state, reason, event: self.ended.append((prompt.id, state, reason)),
        )

    def drop(self, name: str) -> bool:
        def cut() -> None:
            self.cuts += 1

        return self.recovery.drop(name, "dropped", cut)


async def test_what_playout_never_had_is_dropped_at_once() -> None:
    made = Left(left("a", started=False), left("b", started=False))
    assert made.drop("a")
    assert made.ended == [("a", "skipped", "dropped")]
    assert not made.drop("a")
    assert not made.drop("nowhere")
    await made.recovery.settle(lambda: None)
    assert [prompt.id for prompt in made.inbox.peek(9)] == ["b"]
    assert made.cuts == 0


async def test_what_playout_may_be_saying_is_cut() -> None:
    made = Left(left("a", started=True))
    assert made.drop("a")
    assert (made.cuts, made.ended) == (1, [])
    made.recovery.aired(Aired("cut", 4, "a", 0, "一。", "tone", 20, 5, 0))
    assert made.ended == [("a", "cut", "dropped")]
    await made.recovery.settle(lambda: None)
    assert len(made.inbox) == 0


@pytest.mark.parametrize("heard", [(), ("一。",)])
async def test_what_playout_does_not_have_any_more_is_not_queued(heard: tuple[str, ...]) -> None:
    made = Left(left("a", started=True, heard=heard))
    assert made.drop("a")
    made.recovery.aired(Aired("done", 4, "a", 0, "", "tone", 20, 5, 0))
    await made.recovery.settle(lambda: None)
    assert made.ended == [("a", "cut", "dropped")]
    assert len(made.inbox) == 0
