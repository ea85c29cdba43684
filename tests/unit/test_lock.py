"""One instance per channel."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from broadcaster.errors import AlreadyRunning
from broadcaster.lock import ChannelLock, holder_of

pytestmark = pytest.mark.unit


def test_a_second_instance_is_told_who_holds_the_channel(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with ChannelLock(path, "news"), pytest.raises(AlreadyRunning) as refusal, ChannelLock(path, "news"):
        pass
    assert "'news'" in str(refusal.value)
    assert str(os.getpid()) in str(refusal.value)
    assert str(path) in str(refusal.value)


def test_a_channel_is_free_after_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    for _ in range(2):
        with ChannelLock(path, "news"):
            assert holder_of(path) == os.getpid()
        assert holder_of(path) is None


def test_a_stale_file_is_no_owner(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.write_text("999999999999 and more\n")
    assert holder_of(path) is None
    with ChannelLock(path, "news"):
        assert path.read_text() == f"{os.getpid()}\n"


def test_nobody_has_run_here(tmp_path: Path) -> None:
    assert holder_of(tmp_path / "lock") is None


def test_children_do_not_inherit_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with ChannelLock(path, "news"):
        held = [int(fd.name) for fd in Path("/proc/self/fd").iterdir() if fd.resolve() == path.resolve()]
        assert [os.get_inheritable(fd) for fd in held] == [False]
