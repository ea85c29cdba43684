"""Whatever the timing of speech, head and cuts: every sample that is not cut is heard once and in order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broadcaster.playout.talk import START_DEADLINE_TICKS, TAIL_TICKS, Talk
from broadcaster.types import MouthBox, MouthPatch, PcmArray, base_index
from broadcaster.wire import Aired, Anchor, AnyMessage, Cut, End, Speak

pytestmark = pytest.mark.unit

LOOP = 7
TICK = 1920


@dataclass(frozen=True)
class Chunk:
    wait: int
    samples: int
    near: bool


@dataclass(frozen=True)
class Line:
    chunks: list[Chunk]
    end_wait: int
    end_near: bool
    cut_after: int | None


chunks = st.builds(Chunk, wait=st.integers(0, 12), samples=st.integers(1, 6 * TICK), near=st.booleans())
lines = st.builds(
    Line,
    chunks=st.lists(chunks, min_size=1, max_size=4),
    end_wait=st.integers(0, 6),
    end_near=st.booleans(),
    cut_after=st.none() | st.integers(0, 15),
)


class Run:
    def __init__(self, lead: int, delays: list[int]) -> None:
        self.events: list[Aired] = []
        self.sound: list[PcmArray] = []
        self.tick = 0
        self._delays = delays
        self._patches: list[tuple[int, MouthPatch]] = []
        self.talk = Talk(25, LOOP, self._to_head, self.events.append)
        self.talk.head_changed(lead)

    def _to_head(self, message: AnyMessage) -> None:
        if isinstance(message, Anchor):
            delay = self._delays[message.epoch % len(self._delays)]
            box = MouthBox(0, 0, 2, 2)
            self._patches += [
                (
                    self.tick + delay,
                    MouthPatch(message.generation, message.epoch, n, base_index(n, LOOP), box, bytes(6)),
                )
                for n in range(message.first_tick, message.first_tick + 40)
            ]

    def run(self, ticks: int) -> None:
        for _ in range(ticks):
            due = [patch for at, patch in self._patches if at <= self.tick]
            self._patches = [(at, patch) for at, patch in self._patches if at > self.tick]
            for patch in due:
                self.talk.patch(patch)
            mouth = self.talk.pull(self.tick)
            assert mouth is None or (mouth.patch.tick == self.tick and mouth.patch.base == self.tick % LOOP)
            sound = self.talk.take(self.tick)
            assert sound is None or len(sound) == TICK
            if sound is not None:
                self.sound.append(sound)
            self.tick += 1

    def send(self, message: AnyMessage, near: bool) -> None:
        self.talk.handle(message, 1_000_000 if near else 39_000_000)


@settings(max_examples=300, deadline=None)
@given(
    script=st.lists(lines, min_size=1, max_size=4),
    lead=st.integers(0, 3),
    delays=st.lists(st.integers(0, 15), min_size=1, max_size=5),
)
def test_every_sample_is_heard_once_and_in_order(script: list[Line], lead: int, delays: list[int]) -> None:
    run = Run(lead, delays)
    generation, counter = 1, 1
    expected: dict[str, list[int]] = {}
    cut: set[str] = set()
    for number, line in enumerate(script):
        name = f"u{number}"
        expected[name] = []
        for chunk in line.chunks:
            run.run(chunk.wait)
            values = [(counter + i) % 32_000 + 1 for i in range(chunk.samples)]
            counter += chunk.samples
            opens = name if not expected[name] else None
            expected[name] += values
            pcm = np.array(values, dtype="<i2").tobytes()
            run.send(Speak(generation, name, 0, opens, pcm, [], "scripted"), chunk.near)
        run.run(line.end_wait)
        run.send(End(generation, name), line.end_near)
        if line.cut_after is not None:
            run.run(line.cut_after)
            done = {e.utterance for e in run.events if e.event == "done"}
            cut |= set(expected) - done - cut
            generation += 1
            run.send(Cut(generation), False)
    total = sum(len(values) for values in expected.values())
    bound = total // TICK + (START_DEADLINE_TICKS + TAIL_TICKS + 4) * (4 * len(script) + 1)
    run.run(bound)

    assert not run.talk.busy
    assert [e.utterance for e in run.events if e.event == "done"] == [n for n in expected if n not in cut]
    heard = np.concatenate(run.sound) if run.sound else np.zeros(0, np.int16)
    whole = [value for name in expected if name not in cut for value in expected[name]]
    if not cut:
        assert heard[heard != 0].tolist() == whole
    on_air = [e.utterance for e in run.events if e.event == "on_air"]
    assert on_air == sorted(set(on_air))
    assert all(e.event != "heard" or e.samples == len(expected[e.utterance]) for e in run.events)
