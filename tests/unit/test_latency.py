"""Traces of turns: stamps to spans, the table, the histograms, what is stored, and `broadcaster latency` over it."""

from __future__ import annotations

import asyncio
import json
import re
import time
from dataclasses import replace
from pathlib import Path

import pytest

from broadcaster.cli.main import main
from broadcaster.director.trace import Tracer
from broadcaster.journal import Journal, traces
from broadcaster.journal.traces import read_traces
from broadcaster.latency import STAGES, Histogram, Latencies, Trace, percentile, summary
from broadcaster.paths import channel_paths
from broadcaster.telemetry.metrics import Metrics
from broadcaster.types import Inbound, Origin, PieceTimes, PromptKind
from broadcaster.wire import PackageOnAir

pytestmark = pytest.mark.unit

FIRST = Trace(
    "p1", 0, "ask", "qwen", "edge", 1,
    {
        "accepted": -120.0, "kept": -110.0, "begun": 0.0, "text": 300.0, "package": 350.0, "asked": 351.0,
        "sound": 600.0, "released": 610.0, "playout": 611.0, "free": 1000.0, "lips": 1020.0, "on_air": 1040.0,
    },
)  # fmt: skip
LATER = Trace(
    "p1", 1, "ask", "qwen", "edge", 2,
    {"package": 700.0, "asked": 710.0, "sound": 900.0, "released": 1500.0, "playout": 1501.0, "on_air": 3000.0},
)  # fmt: skip


class Desk:
    """A tracer on a clock of its own."""

    def __init__(self) -> None:
        self.now = 100.0
        self.kept: list[Trace] = []
        self.tracer = Tracer(lambda: self.now, self.kept.append)

    def turn(self, name: str = "p1", *, accepted: bool = True) -> Inbound:
        prompt = Inbound(name, PromptKind.ASK, "你好", Origin("test"), time.time_ns())
        if accepted:
            self.tracer.accepted(prompt)
        self.now += 1.0
        self.tracer.begun(prompt)
        self.now += 0.5
        self.tracer.written(name, "broken")
        self.tracer.written(name, "qwen")
        self.tracer.written(name, "")
        return prompt

    def package(self, number: int, *, name: str = "p1", gap_ms: int = 0, lips: bool = True) -> None:
        times = PieceTimes(self.now, self.now + 0.1, self.now + 0.3, self.now + 0.4, self.now + 0.5)
        self.tracer.given(name, number, times, "edge")
        self.now += 1.0
        ns = int(self.now * 1e9)
        told = PackageOnAir(
            1, name, number, ns - 400_000_000, ns - 400_000_000 if number == 0 else 0,
            ns - 30_000_000 if lips else 0, ns, gap_ms,
        )  # fmt: skip
        self.tracer.aired(told)


def test_the_spans_of_a_package_are_all_of_its_time() -> None:
    assert sum(FIRST.spans.values()) == pytest.approx(FIRST.total_ms) == pytest.approx(1160)
    assert list(FIRST.spans) == [name for name in STAGES if name != "accepted"]
    assert FIRST.own_ms == pytest.approx(1160 - 110 - 389)
    assert LATER.margin_ms == pytest.approx(1499)
    assert replace(LATER, gap_ms=80).margin_ms == -80


def test_a_stage_that_nobody_stamped_is_part_of_the_next() -> None:
    stages = {name: at for name, at in FIRST.stages.items() if name not in ("lips", "text")}
    bare = replace(FIRST, stages=stages)
    assert bare.spans["package"] == 350
    assert bare.spans["on_air"] == 40
    assert sum(bare.spans.values()) == pytest.approx(bare.total_ms)


def test_stamps_that_cross_make_no_negative_span() -> None:
    crossed = replace(FIRST, stages={**FIRST.stages, "text": 700.0})
    assert min(crossed.spans.values()) == 0
    assert sum(crossed.spans.values()) == pytest.approx(crossed.total_ms)


def test_the_table_tells_first_and_later_packages_apart() -> None:
    found = summary([FIRST, LATER, replace(LATER, package=2, gap_ms=200)])
    rows = {row["stage"]: row for row in found["stages"]}
    assert (found["turns"], found["packages"]) == (1, 3)
    assert rows["text"]["first"] == {"n": 1, "p50": 300, "p95": 300, "max": 300}
    assert rows["text"]["later"] is None
    assert rows["sound"]["later"] == {"n": 2, "p50": 190, "p95": 190, "max": 190}
    assert rows["total"]["first"]["max"] == 1160
    assert found["later"] == {
        "n": 2, "late": 1, "silence_ms": 200, "margin": {"p50": -200, "p5": -200, "min": -200},
    }  # fmt: skip
    assert summary([])["stages"] == []


def test_percentiles_are_of_the_nearest_rank() -> None:
    values = [float(n) for n in range(1, 101)]
    assert (percentile(values, 50), percentile(values, 95), percentile(values, 100)) == (50, 95, 100)
    assert percentile([7.0], 5) == 7


def test_a_histogram_counts_what_is_not_above_each_bound() -> None:
    histogram = Histogram((0.1, 1.0))
    for seconds in (0.05, 0.1, 0.5, 2.0):
        histogram.observe(seconds)
    assert histogram.buckets() == [("0.1", 2), ("1", 3), ("+Inf", 4)]
    assert histogram.total == pytest.approx(2.65)


def test_the_stamps_of_all_stages_come_together() -> None:
    desk = Desk()
    desk.turn()
    desk.package(0)
    desk.package(1)
    desk.package(2, gap_ms=120)
    first, second, third = desk.kept
    assert list(first.stages) == list(STAGES)
    assert first.spans["begun"] == pytest.approx(1000, abs=1)
    assert first.spans["text"] == pytest.approx(500)
    assert first.spans["sound"] == pytest.approx(200)
    assert first.spans["on_air"] == pytest.approx(30)
    assert (first.brain, first.voice, first.kind) == ("qwen", "edge", "ask")
    assert first.first
    assert set(second.stages) == {"package", "asked", "sound", "released", "playout", "lips", "on_air"}
    assert second.margin_ms == pytest.approx(400)
    assert third.margin_ms == -120


def test_a_turn_leaves_one_line_of_numbers_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk()
    desk.turn()
    desk.package(0)
    desk.package(1, gap_ms=120)
    with caplog.at_level("INFO"):
        desk.tracer.ended("p1")
        desk.tracer.ended("p1")
    (record,) = caplog.records
    assert record.message == "a turn was on air"
    assert vars(record)["text_ms"] == 500
    assert vars(record)["late"] == 1
    assert "你好" not in str(vars(record))
    assert desk.tracer.last is not None
    assert desk.tracer.last["least_margin_ms"] == -120
    assert desk.tracer.last["id"] == "p1"


def test_a_package_that_is_heard_again_after_a_fault_counts_once() -> None:
    desk = Desk()
    desk.turn()
    desk.package(0)
    desk.package(0)
    assert len(desk.kept) == 1


def test_what_nobody_here_has_given_is_not_traced() -> None:
    desk = Desk()
    desk.package(0)
    desk.turn(accepted=False)
    desk.tracer.aired(PackageOnAir(1, "p1", 5, 1, 0, 0, 2))
    assert desk.kept == []


def test_a_turn_that_goes_on_after_a_restart_is_no_first_package() -> None:
    desk = Desk()
    desk.turn(accepted=False)
    desk.package(0)
    desk.tracer.ended("p1")
    assert not desk.kept[0].first
    assert summary(desk.kept)["turns"] == 0
    assert desk.tracer.last is None


def test_what_goes_on_after_a_cut_has_no_margin() -> None:
    again = replace(LATER, stages={**LATER.stages, "free": 2900.0})
    assert summary([FIRST, again])["later"]["n"] == 0
    assert LATER.later


def test_a_wall_clock_that_is_set_meanwhile_does_no_harm() -> None:
    desk = Desk()
    prompt = Inbound("p1", PromptKind.SAY, "a", Origin("test"), time.time_ns() + 3_600_000_000_000)
    desk.tracer.accepted(prompt)
    desk.tracer.begun(prompt)
    desk.package(0)
    assert desk.kept[0].stages["accepted"] == 0


def test_prompts_that_never_end_are_forgotten() -> None:
    desk = Desk()
    for number in range(100):
        desk.turn(f"p{number}")
    assert len(desk.tracer._turns) <= 16
    desk.tracer.ended("p99")
    assert "p99" not in desk.tracer._turns


def test_the_histograms_are_in_the_metrics() -> None:
    latencies = Latencies()
    for trace in (FIRST, LATER, replace(LATER, package=2, gap_ms=200)):
        latencies.add(trace)
    text = Metrics(processes=lambda: []).render({}, latencies).decode()
    assert 'broadcaster_stage_seconds_count{package="first",stage="total"} 1.0' in text
    assert 'broadcaster_stage_seconds_bucket{le="0.5",package="later",stage="sound"} 2.0' in text
    assert 'broadcaster_package_margin_seconds_bucket{le="0"} 1.0' in text
    assert "broadcaster_late_packages_total 1.0" in text


@pytest.fixture
def config(short_dir: Path) -> Path:
    """A stopped channel with three turns in its journal, one of them long ago."""
    path = short_dir / "config.yaml"
    path.write_text(f"channel: news\nstate_dir: {short_dir}\n")
    paths = channel_paths("news", short_dir)
    paths.ensure()
    now = time.time_ns()

    async def fill() -> None:
        journal = Journal(paths.journal)
        await journal.open()
        journal.traces.keep(replace(FIRST, prompt="old", at_ns=now - 7200 * 10**9))
        for name in ("p1", "p2"):
            journal.traces.keep(replace(FIRST, prompt=name, at_ns=now))
            journal.traces.keep(replace(LATER, prompt=name, at_ns=now))
        await journal.flush()
        journal.close()

    asyncio.run(fill())
    return path


def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    monkeypatch.setattr("sys.argv", ["broadcaster", "latency", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    return capsys.readouterr().out


def test_the_command_shows_a_table_of_a_stopped_channel(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = run(monkeypatch, capsys, "-c", str(config))
    assert "3 turns, 5 packages on air" in text
    assert re.search(r"^text: .* 3 +300 +300 +300", text, re.MULTILINE)
    assert re.search(r"^sound: .* 3 +249 +249 +249 +2 +190 +190 +190", text, re.MULTILINE)
    assert "1,499 ms (median)" in text
    assert "Too late: 0 of 2." in text


def test_the_command_takes_the_last_turns_or_those_since_a_time(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def turns(*words: str) -> int:
        return int(json.loads(run(monkeypatch, capsys, "-c", str(config), "--json", *words))["turns"])

    assert [turns("--last", "1"), turns("--since", "1h"), turns("--since", "1h", "-n", "9"), turns()] == [1, 2, 2, 3]


def test_a_channel_without_turns_says_so(
    short_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = short_dir / "config.yaml"
    path.write_text(f"channel: news\nstate_dir: {short_dir}\n")
    paths = channel_paths("news", short_dir)
    paths.ensure()

    async def empty() -> None:
        journal = Journal(paths.journal)
        await journal.open()
        journal.close()

    asyncio.run(empty())
    assert "no turn was on air" in run(monkeypatch, capsys, "-c", str(path))


async def test_the_journal_keeps_no_more_than_its_bound(short_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traces, "KEEP_TRACES", 10)
    journal = Journal(short_dir / "journal.db")
    await journal.open()
    for number in range(50):
        journal.traces.keep(replace(FIRST, prompt=f"p{number}"))
    await journal.flush()
    journal.close()
    found = read_traces(journal.place)
    assert [trace.prompt for trace in found] == [f"p{number}" for number in range(40, 50)]
    assert found[0] == replace(FIRST, prompt="p40")
