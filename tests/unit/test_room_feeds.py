"""Sources are run one by one: what fails is tried again, what is over begins anew, and nothing ends the channel."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

import pytest

from broadcaster.director.feeds import Feed, Feeds
from broadcaster.errors import SourceError
from broadcaster.ports import Intake
from broadcaster.types import Post, PostKind, Viewer
from tests.fakes.intake import KeepingIntake
from tests.fakes.voice import run_virtually

pytestmark = pytest.mark.unit

GIFT = Post("room", PostKind.GIFT, "g", Viewer("u", "小满"), price=5)
COMMENT = Post("room", PostKind.COMMENT, "c", Viewer("u", "小满"), "你好")


class Scripted:
    """A source whose runs are scripted: an error to raise after some seconds, or None to go on for ever."""

    def __init__(
        self, *runs: tuple[float, Exception | None], posts: Sequence[Post] = (), goodbye_s: float = 0
    ) -> None:
        self.name = "room"
        self.begun: list[float] = []
        self.closed: list[float] = []
        self.connected = False
        self._runs = list(runs)
        self._posts = posts
        self._goodbye_s = goodbye_s

    async def run(self, intake: Intake) -> None:
        clock = asyncio.get_running_loop().time
        self.begun.append(round(clock(), 1))
        try:
            after, error = self._runs.pop(0) if self._runs else (0.0, None)
            self.connected = error is None or after > 0
            intake.bring(self._posts)
            await asyncio.sleep(after)
            if error is not None:
                raise error
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(self._goodbye_s)
            self.closed.append(round(clock(), 1))
            raise
        finally:
            self.connected = False

    def status(self) -> dict[str, Any]:
        return {"connected": self.connected, "note": "a note", "garbage": 3}


def watched(
    feeds: Feeds, seconds: float, look: Callable[[], None] = lambda: None, intake: Intake | None = None
) -> float:
    """Runs them, looks once in the end, cancels; how long the end took."""

    async def main() -> float:
        loop = asyncio.get_running_loop()
        task = asyncio.ensure_future(feeds.run(intake or KeepingIntake()))
        await asyncio.sleep(seconds)
        assert not task.done()
        look()
        began = loop.time()
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled()
        return loop.time() - began

    return run_virtually(main())


def feeds_of(*sources: Scripted, goodbye_s: float = 3.0) -> Feeds:
    return Feeds([Feed(f"room{n}", "scripted", source) for n, source in enumerate(sources)], goodbye_s=goodbye_s)


def test_a_failing_source_waits_longer_each_time_and_another_goes_on() -> None:
    failing, fine = Scripted(*[(0.0, SourceError("no route"))] * 9), Scripted()
    feeds = feeds_of(failing, fine)

    def look() -> None:
        bad, good = feeds.status()
        assert (bad["state"], bad["error"], bad["restarts"]) == ("waiting", "no route", 5)
        assert bad["retry_in_s"] > 0
        assert (good["state"], good["error"], good["restarts"]) == ("live", "", 0)

    watched(feeds, 24, look)
    waits = [later - before for before, later in zip(failing.begun, failing.begun[1:], strict=False)]
    assert waits == sorted(waits)
    assert fine.begun == [0.0]
    assert fine.closed == [24.0]


def test_a_session_that_is_over_begins_anew_at_once_but_not_in_a_loop() -> None:
    over = SourceError("the game is over", at_once=True)
    source = Scripted((20.0, over), (0.0, over), (0.0, over))
    feeds = feeds_of(source)
    watched(feeds, 60)
    assert source.begun[1] == 20.0
    assert source.begun[2] > 20.7
    assert source.begun[3] > source.begun[2] + 1.4


def test_one_that_cannot_work_is_not_tried_again_and_says_what_to_do(caplog: pytest.LogCaptureFixture) -> None:
    source = Scripted((1.0, SourceError("wrong key -> check it", retryable=False)))
    feeds = feeds_of(source, Scripted())

    def look() -> None:
        assert feeds.status()[0] | {"counters": {}} == feeds.status()[0] | {
            "state": "failed", "error": "wrong key -> check it", "counters": {},
        }  # fmt: skip
        assert feeds.status()[1]["state"] == "live"

    watched(feeds, 500, look)
    assert source.begun == [0.0]
    assert "cannot work as it is set up" in caplog.text


def test_edges_are_told_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    source = Scripted(*[(0.0, SourceError("no route"))] * 4)
    watched(feeds_of(source), 100)
    assert [record.getMessage() for record in caplog.records] == [
        "a source failed; it is tried again",
        "a source works again",
    ]


@pytest.mark.parametrize("fault", [ValueError("小满 said something"), KeyError("小满")])
def test_a_fault_of_the_program_is_told_without_its_words_and_tried_again(
    fault: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    source = Scripted((0.0, fault))
    watched(feeds_of(source), 30)
    assert len(source.begun) == 2
    assert type(fault).__name__ in "".join(str(record.__dict__) for record in caplog.records)
    assert "小满" not in "".join(str(record.__dict__) for record in caplog.records)


def test_sources_get_their_time_to_say_goodbye_and_no_more() -> None:
    quick, slow, stuck = Scripted(goodbye_s=1), Scripted(goodbye_s=2.5), Scripted(goodbye_s=50)
    assert watched(feeds_of(quick, slow, stuck), 10) == pytest.approx(3.0)
    assert (quick.closed, slow.closed, stuck.closed) == ([11.0], [12.5], [])


def test_what_is_received_is_counted_and_brought() -> None:
    source, intake = Scripted(posts=[GIFT, COMMENT, COMMENT]), KeepingIntake()
    feeds = feeds_of(source)

    def look() -> None:
        (status,) = feeds.status()
        assert (status["received"], status["paid"]) == (3, 1)
        assert status["kinds"] == {"gift": 1, "comment": 2}
        assert status["counters"] == {"garbage": 3}
        assert status["note"] == "a note"

    watched(feeds, 1, look, intake)
    assert intake.posts == [GIFT, COMMENT, COMMENT]


def test_one_that_is_switched_off_is_only_shown() -> None:
    feeds = Feeds([Feed("room", "scripted", None)])

    def look() -> None:
        assert feeds.status()[0]["state"] == "off"

    watched(feeds, 5, look)


class Tape:
    def __init__(self, intake: Intake) -> None:
        self.taped: list[Post] = []
        self.closed = False
        self._intake = intake

    def bring(self, posts: Sequence[Post]) -> Future[None]:
        self.taped += posts
        return self._intake.bring(posts)

    def status(self) -> dict[str, Any]:
        return {"written": len(self.taped)}

    def close(self) -> None:
        self.closed = True


def test_a_recorder_sits_in_between_and_is_closed() -> None:
    tapes: list[Tape] = []

    def tape(intake: Intake) -> Tape:
        tapes.append(Tape(intake))
        return tapes[-1]

    intake = KeepingIntake()
    feeds = Feeds([Feed("room", "scripted", Scripted((5.0, SourceError("away")), posts=[GIFT]), tape)])

    def look() -> None:
        assert feeds.status()[0]["recording"] == {"written": 2}
        assert feeds.status()[0]["received"] == 2

    watched(feeds, 20, look, intake)
    assert len(tapes) == 1
    assert tapes[0].closed
    assert tapes[0].taped == intake.posts == [GIFT, GIFT]
