"""What a source received is written down: bounded, private, and never in the way."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from broadcaster.types import Post, PostKind, Viewer
from sources.posts import read_recorded
from sources.recorder import Recorder
from tests.fakes.intake import KeepingIntake

pytestmark = pytest.mark.unit

DAY_NS = 86_400 * 1_000_000_000
NOON_NS = 1_760_000_000 * 1_000_000_000


def comment(number: int, text: str = "你好", **more: Any) -> Post:
    return Post("live", PostKind.COMMENT, f"c{number}", Viewer("u", "小满"), text, **more)


def lines(folder: Path) -> list[Post]:
    files = sorted(folder.glob("live-*.jsonl"))
    return [read_recorded(line, "x", 0)[0] for file in files for line in file.read_bytes().splitlines()]


def written(recorder: Recorder, count: int) -> None:
    """Waits until the thread has dealt with so many posts."""
    done = threading.Event()
    for _ in range(2_000):
        if recorder.written + recorder.lost >= count:
            return
        done.wait(0.005)
    raise AssertionError(f"{recorder.status()}")


def test_it_passes_on_and_writes_down(tmp_path: Path) -> None:
    intake, folder = KeepingIntake(), tmp_path / "new" / "room"
    recorder = Recorder(intake, folder, "live", 10, wall_ns=lambda: NOON_NS)
    posts = [comment(1, received_ns=5_000_000), comment(2)]
    assert recorder.bring(posts).done()
    recorder.close()
    assert intake.posts == posts
    assert [post.id for post in lines(folder)] == ["c1", "c2"]
    (file,) = folder.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    times = [read_recorded(line, "x", 0)[1] for line in file.read_bytes().splitlines()]
    assert times == [5, NOON_NS // 1_000_000]
    assert recorder.status()["written"] == 2


def test_a_refusal_of_the_journal_reaches_the_source(tmp_path: Path) -> None:
    intake = KeepingIntake()
    intake.refuses = True
    recorder = Recorder(intake, tmp_path, "live", 10)
    future = recorder.bring([Post("live", PostKind.GIFT, "g", Viewer("u", "n"), price=5)])
    assert future.exception() is not None
    recorder.close()
    assert [post.price for post in lines(tmp_path)] == [5]


def test_every_day_has_its_own_file(tmp_path: Path) -> None:
    now = [NOON_NS]
    recorder = Recorder(KeepingIntake(), tmp_path, "live", 10, wall_ns=lambda: now[0])
    for day in range(3):
        now[0] = NOON_NS + day * DAY_NS
        recorder.bring([comment(day)])
        written(recorder, day + 1)
    recorder.close()
    assert len(list(tmp_path.iterdir())) == 3


def test_the_megabytes_are_kept_and_the_oldest_go_first(tmp_path: Path) -> None:
    stranger = tmp_path / "other-20200101-000000.jsonl"
    stranger.write_bytes(b"x" * 3_000_000)
    now, most = [NOON_NS], 0
    recorder = Recorder(KeepingIntake(), tmp_path, "live", 1, wall_ns=lambda: now[0])
    for batch in range(60):
        now[0] += 1_000_000_000
        recorder.bring([comment(batch * 40 + n, "长" * 300) for n in range(40)])
        written(recorder, (batch + 1) * 40)
        most = max(most, sum(file.stat().st_size for file in tmp_path.glob("live-*")))
    recorder.close()
    assert recorder.lost == 0
    assert 700_000 < most <= 1_000_000
    kept = [int(post.id[1:]) for post in lines(tmp_path)]
    assert kept == list(range(kept[0], 2400))
    assert stranger.exists()


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """A disk that is full, as the kernel tells it."""
    full, write = [False], os.write

    def maybe(fd: int, data: bytes) -> int:
        if full[0] and len(data) > 10:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(fd, data)

    monkeypatch.setattr("sources.recorder.os.write", maybe)
    return lambda on: full.__setitem__(0, on)


def test_what_comes_after_half_a_line_is_in_another_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write, left = os.write, [1, 0]  # writes that still succeed: a part of the first line, then nothing

    def partly(fd: int, data: bytes) -> int:
        if len(data) < 10 or not left:  # somebody else writes
            return write(fd, data)
        if left.pop(0):
            return write(fd, data[:20])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("sources.recorder.os.write", partly)
    recorder = Recorder(KeepingIntake(), tmp_path, "live", 10, retry_s=0.0)
    for number in (1, 2):
        recorder.bring([comment(number)])
        written(recorder, number)
    recorder.close()
    torn, whole = sorted(path.read_bytes() for path in tmp_path.glob("live-*.jsonl"))
    assert len(torn) == 20
    assert read_recorded(whole.rstrip(b"\n"), "x", 0)[0].id == "c2"


def test_a_full_disk_is_told_once_and_stops_nothing(
    tmp_path: Path, failing: Callable[[bool], None], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    intake = KeepingIntake()
    recorder = Recorder(intake, tmp_path, "live", 10, retry_s=0.0)
    failing(True)
    for number in range(20):
        recorder.bring([comment(number)])
    written(recorder, 20)
    assert recorder.status()["error"]
    failing(False)
    recorder.bring([comment(20)])
    written(recorder, 21)
    recorder.close()
    assert len(intake.posts) == 21
    assert (recorder.lost, recorder.written) == (20, 1)
    assert [record.getMessage() for record in caplog.records] == ["nothing is recorded", "it is recorded again"]
    assert "小满" not in caplog.text
    assert recorder.status()["error"] == ""
