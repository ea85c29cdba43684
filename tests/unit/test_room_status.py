"""What `broadcaster status` says of the sources and the room."""

from __future__ import annotations

from typing import Any

import pytest

from broadcaster.cli.status import page, terminal
from tests.fakes.station import FakeStation

pytestmark = pytest.mark.unit


def source(state: str, **more: Any) -> dict[str, Any]:
    return {
        "name": "live", "type": "bilibili", "state": state, "error": "", "note": "", "retry_in_s": 0.0, "restarts": 0,
        "received": 12, "paid": 3, "kinds": {}, "counters": {}, "recording": None, **more,
    }  # fmt: skip


def printed(*sources: dict[str, Any], **room: Any) -> str:
    console = terminal()
    with console.capture() as capture:
        console.print(page(FakeStation().status() | {"sources": list(sources), **room}))
    return capture.get()


def test_each_source_says_how_it_is() -> None:
    said = printed(
        source("live", note="in room 7"),
        source("waiting", name="other", error="no route", retry_in_s=70.0),
        source("failed", name="third", error="wrong key -> check it"),
        source("off", name="fourth"),
    )
    assert "live: live, 12 posts, 3 paid, in room 7" in said
    assert "other: waiting, 12 posts, 3 paid, no route (next try in 1m10s)" in said
    assert "third: failed, 12 posts, 3 paid, wrong key -> check it" in said
    assert "fourth" not in said


def test_the_room_says_what_was_dropped_and_why() -> None:
    room = {"viewers": 7, "shed": {}, "dropped": {"rate": 5, "viewer_rate": 9}, "on_disk": {"support": 2}}
    queue = {"length": 1, "capacity": 9, "drops": {"comment:full": 4}, "merged": {"comment": 6}}
    said = printed(source("live"), room=room, queue=queue)
    assert "7 viewers; 2 paid wait on disk; 6 merged; dropped viewer_rate 9, rate 5, comment:full 4" in said
    assert "viewers" not in printed(source("off"))
