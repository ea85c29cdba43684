"""The Prometheus text: names, values, escaping, and what must never be in it."""

from __future__ import annotations

from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from broadcaster.telemetry.metrics import SINK_STATES, Metrics, TooManyClients
from broadcaster.telemetry.processes import channel_processes, role_of
from tests.fakes.station import FakeStation, sink_status

pytestmark = pytest.mark.unit


def samples(text: bytes) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def rendered(
    status: dict[str, Any], metrics: Metrics | None = None
) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return samples((metrics or Metrics(processes=lambda: [])).render(status))


def labels(**values: str) -> frozenset[tuple[str, str]]:
    return frozenset(values.items())


def test_the_clock_is_counted() -> None:
    found = rendered(FakeStation(tick=12345).status())
    assert found["broadcaster_frames_total", labels()] == 12345
    assert found["broadcaster_late_ticks_total", labels()] == 3
    assert found["broadcaster_held_ticks_total", labels()] == 2
    assert found["broadcaster_reanchored_total", labels()] == 0
    assert found["broadcaster_av_skew_ms", labels()] == pytest.approx(0.4)
    assert found["broadcaster_queue_length", labels()] == 0
    assert found["broadcaster_queue_capacity", labels()] == 200


def test_each_sink_is_in_exactly_one_state() -> None:
    station = FakeStation()
    station.sinks = [
        sink_status("main", "rtmp", "live", queue_ms=120, dropped_frames=7, bytes=9_000, reconnects=4, uptime_s=60.5),
        sink_status("spare", "rtmp", "suspended", queue_ms=0),
    ]
    found = rendered(station.status())
    for name, state in (("main", "live"), ("spare", "suspended")):
        on = [
            word
            for word in SINK_STATES
            if found["broadcaster_sink_state", labels(sink=name, type="rtmp", state=word)] == 1
        ]
        assert on == [state]
    assert found["broadcaster_sink_queue_ms", labels(sink="main")] == 120
    assert found["broadcaster_sink_dropped_frames_total", labels(sink="main")] == 7
    assert found["broadcaster_sink_bytes_total", labels(sink="main")] == 9000
    assert found["broadcaster_sink_reconnects_total", labels(sink="main")] == 4
    assert found["broadcaster_sink_session_age_seconds", labels(sink="main")] == 60.5


def test_prompts_are_counted_by_kind_and_result() -> None:
    metrics = Metrics(processes=lambda: [])
    metrics.count_prompt("say", {"type": "accepted", "id": "1"})
    metrics.count_prompt("say", {"type": "accepted", "id": "2"})
    metrics.count_prompt("ask", {"type": "error", "code": "full"})
    found = rendered(FakeStation().status(), metrics)
    assert found["broadcaster_prompts_total", labels(kind="say", result="accepted")] == 2
    assert found["broadcaster_prompts_total", labels(kind="ask", result="full")] == 1


def test_clients_are_counted_while_they_are_there_and_bounded() -> None:
    metrics = Metrics(processes=lambda: [])
    with metrics.client("prompts", 2), metrics.client("prompts", 2):
        with pytest.raises(TooManyClients), metrics.client("prompts", 2):
            pass
        with metrics.client("prompts", None):
            assert rendered({}, metrics)["broadcaster_console_clients", labels(socket="prompts")] == 3
    assert rendered({}, metrics)["broadcaster_console_clients", labels(socket="prompts")] == 0


def test_memory_is_summed_by_role() -> None:
    metrics = Metrics(processes=lambda: [("sink", 10), ("sink", 5), ("voice", 7)])
    found = rendered({}, metrics)
    assert found["broadcaster_resident_bytes", labels(role="sink")] == 15
    assert found["broadcaster_resident_bytes", labels(role="voice")] == 7


@pytest.mark.parametrize("status", [{}, {"clock": None, "sinks": None, "voice": None, "counters": None}])
def test_a_channel_that_knows_nothing_yet_still_renders(status: dict[str, Any]) -> None:
    assert rendered(status)["broadcaster_playout_connected", labels()] == 0


def test_texts_addresses_and_authors_are_no_labels() -> None:
    station = FakeStation()
    station.sinks = [sink_status("main", "rtmp", "failed", address="rtmp://h/live/CANARY", error="CANARY")]
    station.now = {
        "id": "CANARY",
        "kind": "say",
        "sentence": 0,
        "text": "CANARY",
        "origin": "CANARY",
        "author": "CANARY",
    }
    assert b"CANARY" not in Metrics(processes=lambda: []).render(station.status())


@pytest.mark.parametrize(
    ("command", "role"),
    [
        (["python", "-m", "broadcaster.app", "voice"], "voice"),
        (["python", "-m", "sinks.child"], "sink"),
        (["/venv/bin/broadcaster", "run"], "parent"),
        (["chromium"], "other"),
        ([], "other"),
    ],
)
def test_a_role_is_read_off_the_command_line(command: list[str], role: str) -> None:
    assert role_of(command) == role


def test_this_process_has_memory() -> None:
    assert sum(resident for _, resident in channel_processes()) > 1_000_000


def test_brains_their_tokens_and_what_they_cost() -> None:
    status = FakeStation().status()
    link = {"name": "qwen", "state": "open", "answered": 4, "failures": 2, "error": "503"}
    spent = {"name": "qwen", "requests": 5, "prompt_tokens": 900, "completion_tokens": 100, "cost": 0.25}
    budget = {"limit": 1.0, "spent": 0.25, "currency": "CNY", "tokens": 1000, "links": [spent]}
    guest = {"name": "qwen_omni", "state": "half_open", "answered": 7, "failures": 1, "error": ""}
    brain = {"engine": "qwen", "degraded": True, "links": [link], "budget": budget, "end_to_end": [guest]}
    found = rendered({**status, "brain": brain})
    assert found["broadcaster_brain_state", labels(brain="qwen", state="open")] == 1
    assert found["broadcaster_brain_state", labels(brain="qwen", state="closed")] == 0
    assert found["broadcaster_brain_answers_total", labels(brain="qwen", result="answered")] == 4
    assert found["broadcaster_brain_answers_total", labels(brain="qwen", result="failed")] == 2
    assert found["broadcaster_brain_tokens_today", labels(brain="qwen", kind="question")] == 900
    assert found["broadcaster_brain_cost_today", labels(brain="qwen", currency="CNY")] == 0.25
    assert found["broadcaster_brain_state", labels(brain="qwen_omni", state="half_open")] == 1
    assert found["broadcaster_brain_answers_total", labels(brain="qwen_omni", result="answered")] == 7


def test_sources_and_what_becomes_of_their_posts_are_counted() -> None:
    status = FakeStation().status() | {
        "sources": [
            {
                "name": "live",
                "type": "bilibili",
                "state": "live",
                "restarts": 2,
                "kinds": {"gift": 3},
                "counters": {"garbage": 4},
            },
            {"name": "off", "type": "replay", "state": "off", "restarts": 0, "kinds": {}, "counters": {}},
        ],
        "room": {"shed": {"like": 5}, "dropped": {"rate": 6}, "on_disk": {"support": 7}, "viewers": 8},
        "queue": {"length": 1, "capacity": 2, "drops": {"comment:full": 9}, "merged": {"question": 10}},
    }
    found = rendered(status)
    assert found["broadcaster_source_up", labels(source="live", type="bilibili")] == 1
    assert found["broadcaster_source_restarts_total", labels(source="live")] == 2
    assert found["broadcaster_source_posts_total", labels(source="live", kind="gift")] == 3
    assert found["broadcaster_source_events_total", labels(source="live", event="garbage")] == 4
    assert not any(("source", "off") in sample for _, sample in found)
    for where, reason, count in (("shed", "like", 5), ("desk", "rate", 6), ("queue", "comment:full", 9)):
        assert found["broadcaster_room_dropped_total", labels(where=where, reason=reason)] == count
    assert found["broadcaster_room_merged_total", labels(lane="question")] == 10
    assert found["broadcaster_room_on_disk", labels(lane="support")] == 7
    assert found["broadcaster_room_viewers", labels()] == 8
