"""Alarms: which edges, when, once each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from broadcaster.alarms import QUEUE_EVENTS, Alarms, Level, Receiver, free_megabytes
from broadcaster.config import Alarm

pytestmark = pytest.mark.unit

ALL = [
    "sink_down", "sink_key_rejected", "source_down", "voice_degraded", "head_degraded", "disk_low",
    "playout_restarted", "encoder_replaced", "panic",
]  # fmt: skip


class Watch:
    """Alarms under a clock of its own; `told` is what receivers were offered."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.alarms = Alarms([Alarm(on=ALL)], "demo", lambda: self.now)
        self.status: dict[str, Any] = {
            "panicked": False,
            "counters": {},
            "clock": {"connected": True, "encoder": "x264", "encoder_restarts": 0},
            "voice": {"degraded": False, "error": ""},
            "head": {"connected": True, "degraded": False, "note": ""},
            "sources": [],
            "sinks": [],
        }
        self.restarts = 0
        self.told: list[tuple[str, str, str]] = []

    def seconds(self, count: int) -> list[tuple[str, str, str]]:
        """Lets time pass, and returns (alarm, state, of) of what was told meanwhile."""
        told = []
        for _ in range(count):
            self.alarms.observe(self.status, self.restarts)
            queue = self.alarms.receivers[0]._queue
            while not queue.empty():
                event = queue.get_nowait()
                told.append((event["alarm"], event["state"], event["of"]))
            self.now += 1.0
        return told

    def sink(self, state: str, name: str = "main") -> None:
        self.status["sinks"] = [{"name": name, "state": state, "error": "why"}]


@pytest.fixture
def watch() -> Watch:
    made = Watch()
    made.seconds(3)
    return made


def test_a_level_is_told_once_when_it_lasts_and_once_when_it_is_over() -> None:
    level = Level(raise_after=3, clear_after=2)
    edges = [level.update(faulty, now) for now, faulty in enumerate([True] * 5 + [False] * 4)]
    assert edges == [None, None, None, "raised", None, None, None, "cleared", None]
    flapping = [level.update(now % 2 == 0, now) for now in range(10, 30)]
    assert set(flapping) == {None}


def test_a_sink_is_down_after_thirty_seconds_and_up_again_after_five(watch: Watch) -> None:
    watch.sink("live")
    assert watch.seconds(5) == []
    watch.sink("waiting")
    assert watch.seconds(30) == []
    assert watch.seconds(10) == [("sink_down", "raised", "main")]
    watch.sink("live")
    assert watch.seconds(5) == []
    assert watch.seconds(5) == [("sink_down", "cleared", "main")]


def test_a_source_is_down_after_thirty_seconds_and_at_once_when_it_cannot_work(watch: Watch) -> None:
    watch.status["sources"] = [{"name": "room", "state": "connecting", "error": ""}]
    assert watch.seconds(20) == []
    watch.status["sources"][0]["state"] = "waiting"
    assert watch.seconds(15) == [("source_down", "raised", "room")]
    watch.status["sources"][0]["state"] = "live"
    assert watch.seconds(10) == [("source_down", "cleared", "room")]
    watch.status["sources"][0]["state"] = "failed"
    assert watch.seconds(1) == [("source_down", "raised", "room")]
    watch.status["sources"][0]["state"] = "off"
    assert watch.seconds(10) == [("source_down", "cleared", "room")]


def test_a_rejected_key_is_told_at_once_and_a_paused_sink_is_no_fault(watch: Watch) -> None:
    watch.sink("suspended")
    assert watch.seconds(2) == [("sink_key_rejected", "raised", "main")]
    watch.sink("paused")
    assert watch.seconds(60) == [("sink_key_rejected", "cleared", "main")]


def test_a_sink_that_was_removed_has_no_faults_any_more(watch: Watch) -> None:
    watch.sink("failed")
    watch.seconds(40)
    watch.status["sinks"] = []
    assert watch.seconds(1) == [("sink_down", "cleared", "main")]
    assert watch.alarms.active == set()


def test_nothing_is_raised_or_cleared_about_sinks_while_playout_is_away(watch: Watch) -> None:
    watch.sink("failed")
    watch.seconds(20)
    watch.status["clock"] = {"connected": False}
    watch.status["sinks"] = []
    assert watch.seconds(60) == []


def test_panic(watch: Watch) -> None:
    watch.status["panicked"] = True
    assert watch.seconds(5) == [("panic", "raised", "")]
    watch.status["panicked"] = False
    assert watch.seconds(5) == [("panic", "cleared", "")]


def test_a_panic_that_is_over_between_two_looks_is_told_too(watch: Watch) -> None:
    watch.status["counters"] = {"panics": 1}
    assert watch.seconds(5) == [("panic", "raised", ""), ("panic", "cleared", "")]


def test_moments_are_over_after_a_minute_of_quiet(watch: Watch) -> None:
    watch.restarts = 1
    assert watch.seconds(30) == [("playout_restarted", "raised", "")]
    watch.restarts = 2
    assert watch.seconds(59) == []
    assert watch.seconds(5) == [("playout_restarted", "cleared", "")]
    watch.status["clock"]["encoder_restarts"] = 1
    assert watch.seconds(70) == [("encoder_replaced", "raised", ""), ("encoder_replaced", "cleared", "")]


def test_the_first_count_seen_is_no_event() -> None:
    watch = Watch()
    watch.restarts, watch.status["clock"]["encoder_restarts"] = 7, 7
    assert watch.seconds(3) == []


def test_voice_and_head_may_restart_within_five_seconds(watch: Watch) -> None:
    watch.alarms.child("voice", "exited", "killed by SIGKILL")
    watch.status["head"] = {"connected": False}
    assert watch.seconds(4) == []
    watch.alarms.child("voice", "started", "2")
    watch.status["head"] = {"connected": True, "degraded": False, "note": ""}
    assert watch.seconds(10) == []
    watch.status["voice"] = {"degraded": True, "error": "no answer"}
    watch.status["head"] = {"connected": True, "degraded": True, "note": "still instead of warp"}
    assert watch.seconds(10) == [("voice_degraded", "raised", ""), ("head_degraded", "raised", "")]


def test_a_head_that_was_never_there_is_no_fault_of_this_run() -> None:
    watch = Watch()
    watch.status["head"] = {"connected": False}
    assert watch.seconds(20) == []


def test_disks_are_told_by_folder(watch: Watch) -> None:
    watch.alarms.disk("/rec", True, 12)
    assert watch.seconds(1) == [("disk_low", "raised", "/rec")]
    watch.alarms.disk("/rec", True, 11)
    watch.alarms.disk("/rec", False, 5000)
    assert watch.seconds(1) == [("disk_low", "cleared", "/rec")]


def test_free_space_is_measured_where_the_folder_will_be(tmp_path: Path) -> None:
    assert free_megabytes(tmp_path / "not" / "yet") == pytest.approx(free_megabytes(tmp_path), abs=50)


EVENT = {"channel": "demo", "alarm": "panic", "state": "raised", "of": "", "detail": "", "time": "now"}


def test_only_wanted_alarms_are_queued_and_the_oldest_go_when_it_is_full() -> None:
    receiver = Receiver(Alarm(on=["panic"]))
    receiver.offer({**EVENT, "alarm": "disk_low"})
    for number in range(QUEUE_EVENTS + 2):
        receiver.offer({**EVENT, "of": str(number)})
    assert receiver._queue.qsize() == QUEUE_EVENTS
    assert receiver.dropped == 2
    assert receiver._queue.get_nowait()["of"] == "2"
