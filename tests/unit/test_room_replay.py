"""A recording is played at its own pace, faster, in a loop; what is broken in it is counted. Virtual time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from broadcaster.config import ReplaySource
from broadcaster.errors import SourceError
from broadcaster.types import Post, PostKind
from sources.posts import write_post
from sources.replay import Replay
from tests.fakes.intake import KeepingIntake
from tests.fakes.voice import VirtualLoop

pytestmark = pytest.mark.unit

DEMO = Path(__file__).parents[2] / "playlists" / "room.jsonl"


class Loop(VirtualLoop):
    """Virtual time does not wait for threads, so what is given to one is done at once."""

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> Any:
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as err:
            future.set_exception(err)
        return future


def run_virtually(main: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(main)


class Timed(KeepingIntake):
    """Remembers when what came, in seconds of the loop."""

    def __init__(self) -> None:
        super().__init__()
        self.times: list[float] = []

    def bring(self, posts: Any) -> Any:
        self.times += [asyncio.get_running_loop().time()] * len(posts)
        return super().bring(posts)


def recording(folder: Path, *lines: dict[str, Any] | str) -> Path:
    path = folder / "room.jsonl"
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return path


def comment(name: str, at_ms: int) -> dict[str, Any]:
    return {"kind": "comment", "id": name, "viewer": {"id": "u"}, "text": name, "received_ms": at_ms}


def played(path: Path, seconds: float, **settings: Any) -> tuple[Timed, Replay]:
    intake = Timed()
    replay = Replay(ReplaySource(file=path, **settings), wall_ns=lambda: 1_700_000_000_000_000_000)

    async def play() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(seconds):
                await replay.run(intake)

    run_virtually(play())
    return intake, replay


@pytest.mark.parametrize("speed", [1.0, 4.0])
def test_lines_come_at_their_own_pace(tmp_path: Path, speed: float) -> None:
    path = recording(
        tmp_path, *(comment(str(n), 5_000 + at) for n, at in enumerate((0, 0, 500, 4_000, 3_000, 9_000)))
    )
    intake, replay = played(path, 60, speed=speed)
    assert [post.text for post in intake.posts] == ["0", "1", "2", "3", "4", "5"]
    # What is out of order comes with what was before it.
    assert intake.times == pytest.approx([at / speed for at in (0, 0, 0.5, 4, 4, 9)])
    assert replay.status()["note"] == "the recording is over"


def test_a_loop_begins_anew_with_ids_that_were_never_seen(tmp_path: Path) -> None:
    gift = {"kind": "gift", "id": "g", "viewer": {"id": "u"}, "price": 5, "combo": "run", "at_ms": 1_000}
    path = recording(tmp_path, gift, {"kind": "revoke", "revokes": ["g"], "at_ms": 3_000})
    intake, replay = played(path, 5, loop=True)
    assert [post.kind for post in intake.posts] == [PostKind.GIFT, PostKind.REVOKE] * 2 + [PostKind.GIFT]
    gifts = [post for post in intake.posts if post.kind is PostKind.GIFT]
    assert len({post.id for post in gifts}) == len({post.combo for post in gifts}) == 3
    assert [post.revokes for post in intake.posts if post.revokes] == [(post.id,) for post in gifts[:2]]
    assert replay.status()["turns"] == 3


def test_times_are_those_of_now_and_the_source_is_the_replay(tmp_path: Path) -> None:
    intake, _ = played(recording(tmp_path, comment("a", 5)), 1, name="again")
    (post,) = intake.posts
    assert (post.source, post.received_ns, post.at_ns) == ("again", *[1_700_000_000_000_000_000] * 2)


def test_a_recording_without_times_comes_at_once_and_a_loop_of_it_does_not_spin(tmp_path: Path) -> None:
    path = recording(tmp_path, {"kind": "enter", "viewer": {"id": "u"}})
    assert len(played(path, 10.5, loop=True)[0].posts) == 11


def test_broken_lines_are_counted_and_skipped(tmp_path: Path) -> None:
    path = recording(tmp_path, comment("a", 1), "{", "", "x" * 200_000, comment("b", 2))
    intake, replay = played(path, 5)
    assert [post.text for post in intake.posts] == ["a", "b"]
    assert replay.status()["lines_broken"] == 1 + 4  # the long one comes in four pieces


def test_a_recording_without_a_post_is_a_mistake_and_a_missing_one_may_come(tmp_path: Path) -> None:
    for path, retryable in ((recording(tmp_path, "{", "[]"), False), (tmp_path / "none.jsonl", True)):
        with pytest.raises(SourceError) as caught:
            run_virtually(_run(Replay(ReplaySource(file=path, loop=True))))
        assert caught.value.retryable is retryable
        assert path.name in str(caught.value)


def _run(replay: Replay) -> Coroutine[Any, Any, None]:
    return replay.run(KeepingIntake())


def test_many_posts_of_one_moment_come_in_several_goes(tmp_path: Path) -> None:
    path = tmp_path / "room.jsonl"
    path.write_bytes(
        b"".join(write_post(Post("s", PostKind.LIVE_START, f"{n}", received_ns=9)) + b"\n" for n in range(1000))
    )
    intake, _ = played(path, 1)
    assert len(intake.posts) == 1000
    assert max(intake.batches) <= 250


def test_the_demo_room_plays(tmp_path: Path) -> None:
    intake, replay = played(DEMO, 80)
    assert replay.status()["lines_broken"] == 0
    assert {post.kind for post in intake.posts} == set(PostKind)
    assert len(intake.posts) == 36
