"""Start, holes, cuts and patches of `Talk`, tick by tick in virtual time."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pytest

from broadcaster.playout.lips import Mouth
from broadcaster.playout.talk import START_DEADLINE_TICKS, TAIL_TICKS, Talk
from broadcaster.studio.compositor import FADE_TICKS
from broadcaster.types import MouthBox, MouthPatch, PcmArray, base_index
from broadcaster.wire import Aired, Anchor, AnyMessage, Cut, End, Speak

pytestmark = pytest.mark.unit

LOOP = 50
TICK = 1920
FAR = 40_000_000
NEAR = 1_000_000


@dataclass
class Stage:
    """A talk with a scripted head: `delay` ticks late, or silent when None."""

    lead: int = 2
    delay: int | None = 0
    events: list[Aired] = field(default_factory=list)
    head: list[AnyMessage] = field(default_factory=list)
    sound: list[PcmArray | None] = field(default_factory=list)
    mouths: list[Mouth | None] = field(default_factory=list)
    tick: int = 0

    def __post_init__(self) -> None:
        self.talk = Talk(25, LOOP, self.head.append, self.events.append)
        self.talk.head_changed(self.lead)
        self._due: list[tuple[int, MouthPatch]] = []
        self._seen = 0

    def speak(self, utterance: str, samples: int, generation: int = 1, left: int = FAR, **extra: object) -> None:
        pcm = np.arange(1, samples + 1, dtype=np.int64) % 30_000 + 1
        opens = extra.get("opens", utterance)
        assert opens is None or isinstance(opens, str)
        sentence = int(str(extra.get("sentence", 0)))
        message = Speak(generation, utterance, sentence, opens, pcm.astype("<i2").tobytes(), [], "scripted")
        self.talk.handle(message, left)

    def end(self, utterance: str, generation: int = 1, left: int = FAR) -> None:
        self.talk.handle(End(generation, utterance), left)

    def lose_head(self) -> None:
        self._due.clear()
        self.talk.head_changed(None)

    def run(self, ticks: int) -> None:
        for _ in range(ticks):
            self._render()
            self.mouths.append(self.talk.pull(self.tick))
            self.sound.append(self.talk.take(self.tick))
            self.tick += 1

    def _render(self) -> None:
        """The head sees new anchors and delivers what is due before this tick."""
        for message in self.head[self._seen :]:
            if isinstance(message, Anchor) and self.delay is not None:
                self._due = [
                    (max(self.tick, n - 3) + self.delay, _patch(n, message.epoch, message.generation))
                    for n in range(message.first_tick, message.first_tick + 200)
                ]
        self._seen = len(self.head)
        now = [patch for due, patch in self._due if due <= self.tick]
        self._due = [(due, patch) for due, patch in self._due if due > self.tick]
        for patch in now:
            self.talk.patch(patch)

    def first_sound(self) -> int:
        return next(n for n, sound in enumerate(self.sound) if sound is not None and sound.any())

    def heard(self) -> PcmArray:
        return np.concatenate([s for s in self.sound if s is not None])


def _patch(tick: int, epoch: int, generation: int) -> MouthPatch:
    box = MouthBox(0, 0, 16, 16)
    return MouthPatch(generation, epoch, tick, base_index(tick, LOOP), box, bytes(16 * 16 * 3 // 2))


def test_starts_at_the_next_tick_when_there_is_time() -> None:
    stage = Stage()
    stage.run(10)
    stage.speak("a", 5 * TICK)
    stage.end("a")
    stage.run(20)
    assert stage.first_sound() == 10
    assert np.array_equal(stage.heard()[: 5 * TICK], np.arange(1, 5 * TICK + 1) % 30_000 + 1)


def test_starts_one_tick_later_when_the_next_one_is_too_near() -> None:
    stage = Stage()
    stage.run(10)
    stage.speak("a", 5 * TICK, left=NEAR)
    stage.end("a", left=NEAR)
    stage.run(20)
    assert stage.first_sound() == 11


@pytest.mark.parametrize("delay", [1, 3])
def test_a_late_head_slips_the_start_and_never_the_sound_after_it(delay: int) -> None:
    stage = Stage(delay=delay)
    stage.speak("a", 50 * TICK)
    stage.end("a")
    stage.run(100)
    first = stage.first_sound()
    assert 0 < first <= START_DEADLINE_TICKS + 1
    assert np.array_equal(stage.heard()[: 50 * TICK], np.arange(1, 50 * TICK + 1) % 30_000 + 1)


@pytest.mark.parametrize("delay", [10, 100, None])
def test_a_head_that_misses_the_deadline_is_not_waited_for(delay: int | None) -> None:
    stage = Stage(delay=delay)
    stage.run(1)
    stage.speak("a", 50 * TICK)
    stage.end("a")
    stage.run(100)
    assert stage.first_sound() == START_DEADLINE_TICKS
    assert stage.talk.counters.started_without_lips == 1
    assert np.array_equal(stage.heard(), np.arange(1, 50 * TICK + 1) % 30_000 + 1)


def test_no_patch_is_shown_on_a_wrong_base() -> None:
    stage = Stage()
    stage.speak("a", 30 * TICK)
    stage.end("a")
    wrong = _patch(5, 1, 1)
    stage.talk.patch(MouthPatch(1, 1, 5, wrong.base + 1, wrong.box, wrong.planes))
    stage.run(60)
    assert stage.talk.counters.patches_late == 1
    for n, mouth in enumerate(stage.mouths):
        if mouth is not None:
            assert (mouth.patch.tick, mouth.patch.base) == (n, base_index(n, LOOP))


def test_a_patch_of_an_older_anchor_is_never_shown() -> None:
    stage = Stage(delay=None)
    stage.speak("a", 30 * TICK)
    stage.end("a")
    stage.run(3)
    epochs = [m.epoch for m in stage.head if isinstance(m, Anchor)]
    assert len(epochs) > 1
    for n in range(3, 40):
        stage.talk.patch(_patch(n, epochs[0], 1))
    stage.run(20)
    assert stage.talk.counters.patches_shown == 0


def test_mouth_fades_in_and_out() -> None:
    stage = Stage()
    stage.speak("a", 10 * TICK)
    stage.end("a")
    stage.run(30)
    gains = [mouth.gain for mouth in stage.mouths if mouth is not None]
    assert gains[:FADE_TICKS] == [1, 2, 3]
    assert gains[-FADE_TICKS + 1 :] == [2, 1]
    assert stage.mouths[stage.first_sound() + 10 + TAIL_TICKS :] == [None] * (30 - 10 - TAIL_TICKS)


def test_a_hole_moves_the_rest_and_is_counted() -> None:
    stage = Stage()
    stage.speak("a", 2 * TICK + 100)
    stage.run(8)
    stage.speak("a", 3 * TICK, opens=None)
    stage.end("a")
    stage.run(20)
    spoken = stage.heard()
    loud = spoken[spoken > 0]
    assert len(loud) == 5 * TICK + 100
    assert stage.talk.counters.holes == 1
    assert stage.talk.counters.hole_ticks == 5
    anchors = [m for m in stage.head if isinstance(m, Anchor)]
    assert anchors[-1].first_sample == 2 * TICK + 100
    assert [e.event for e in stage.events] == ["on_air", "heard", "done"]


def test_speech_that_comes_right_before_a_tick_ends_a_hole_too() -> None:
    stage = Stage()
    stage.speak("a", 2 * TICK)
    stage.run(8)
    stage.speak("a", 3 * TICK, opens=None, left=NEAR)
    stage.end("a", left=NEAR)
    stage.run(20)
    assert [e.event for e in stage.events] == ["on_air", "heard", "done"]


def test_an_end_that_comes_after_the_last_sample_is_no_hole() -> None:
    stage = Stage()
    stage.speak("a", 2 * TICK)
    stage.run(8)
    stage.end("a")
    stage.run(8)
    assert stage.talk.counters.holes == 0
    assert [e.event for e in stage.events] == ["on_air", "heard", "done"]


def test_cut_fades_ten_milliseconds_and_says_how_much_was_heard() -> None:
    stage = Stage()
    stage.speak("a", 50 * TICK)
    stage.speak("b", 50 * TICK)
    stage.run(10)
    stage.talk.handle(Cut(2), FAR)
    stage.run(20)
    last = next(s for s in stage.sound[10:] if s is not None)
    assert last[:480].any()
    assert not last[480:].any()
    assert abs(int(last[479])) < 200
    assert all(s is None for s in stage.sound[11:])
    cut = stage.events[-1]
    assert (cut.event, cut.utterance, cut.text) == ("cut", "a", "a")
    assert cut.samples == 11 * TICK
    assert not stage.talk.busy
    assert any(isinstance(m, Cut) for m in stage.head)


def test_an_utterance_sent_again_within_the_tick_of_its_cut_begins_anew() -> None:
    stage = Stage()
    stage.speak("a", 50 * TICK)
    stage.run(10)
    stage.talk.handle(Cut(2), FAR)
    stage.speak("a", 5 * TICK, generation=2)
    stage.end("a", generation=2)
    stage.run(30)
    assert [e.event for e in stage.events] == ["on_air", "cut", "on_air", "heard", "done"]
    assert stage.events[-2].samples == 5 * TICK


def test_older_generations_are_refused_after_a_cut() -> None:
    stage = Stage()
    stage.talk.handle(Cut(5), FAR)
    stage.speak("old", 10 * TICK, generation=4)
    stage.run(10)
    assert not stage.talk.busy
    stage.speak("new", 10 * TICK, generation=5)
    stage.run(10)
    assert stage.talk.talking == "new"


def test_panic_is_silent_and_bare_within_two_ticks() -> None:
    stage = Stage()
    stage.speak("a", 50 * TICK)
    stage.run(10)
    stage.talk.panic(True, 2)
    stage.run(2)
    assert stage.sound[-1] is None
    assert stage.mouths[-2:] == [None, None]
    stage.speak("b", 10 * TICK, generation=2)
    stage.run(10)
    assert not stage.talk.busy
    stage.talk.panic(False, 2)
    stage.speak("c", 10 * TICK, generation=2)
    stage.run(5)
    assert stage.talk.talking == "c"


def test_a_panic_that_knows_no_generation_drops_everything_and_blocks_nothing_later() -> None:
    stage = Stage()
    stage.speak("a", 50 * TICK, generation=7)
    stage.speak("b", 50 * TICK, generation=7)
    stage.run(10)
    stage.talk.panic(True, 0)
    stage.run(10)
    assert not stage.talk.busy
    stage.talk.panic(False, 0)
    stage.speak("c", 10 * TICK, generation=7)
    stage.run(5)
    assert stage.talk.talking == "c"


def test_utterances_follow_each_other_in_order_after_the_tail() -> None:
    stage = Stage()
    for name in ("a", "b", "c"):
        stage.speak(name, 5 * TICK)
        stage.end(name)
    stage.run(60)
    assert [e.utterance for e in stage.events if e.event == "done"] == ["a", "b", "c"]
    starts = [e.tick for e in stage.events if e.event == "on_air"]
    gaps = [later - earlier - 5 for earlier, later in pairwise(starts)]
    assert gaps == [TAIL_TICKS + 1] * 2


def test_sentences_are_reported_when_their_sound_begins_and_ends() -> None:
    stage = Stage()
    stage.speak("a", 3 * TICK, opens="one")
    stage.speak("a", 2 * TICK, opens=None)
    stage.speak("a", 4 * TICK, opens="two", sentence=1)
    stage.end("a")
    stage.run(30)
    start = stage.first_sound()
    seen = [(e.event, e.sentence, e.text, e.tick - start, e.samples) for e in stage.events]
    assert seen == [
        ("on_air", 0, "one", 0, 0),
        ("heard", 0, "one", 4, 5 * TICK),
        ("on_air", 1, "two", 5, 0),
        ("heard", 1, "two", 8, 4 * TICK),
        ("done", -1, "", 8, 0),
    ]


def test_a_head_that_comes_back_in_mid_utterance_gets_the_rest() -> None:
    stage = Stage()
    stage.speak("a", 100 * TICK)
    stage.end("a")
    stage.run(20)
    stage.lose_head()
    stage.run(10)
    assert stage.mouths[-1] is None
    before = len(stage.head)
    stage.talk.head_changed(2)
    replay = stage.head[before:]
    speak = next(m for m in replay if isinstance(m, Speak))
    anchor = next(m for m in replay if isinstance(m, Anchor))
    aired = sum(e is not None for e in stage.sound)
    assert len(speak.pcm) == (100 - aired) * TICK * 2
    assert (anchor.first_tick, anchor.first_sample) == (stage.tick, 0)
    stage.run(10)
    assert stage.mouths[-1] is not None
    assert np.array_equal(stage.heard(), np.arange(1, 40 * TICK + 1) % 30_000 + 1)


def test_a_new_head_is_told_little_however_long_the_speech_was() -> None:
    stage = Stage()
    for _ in range(10):
        stage.speak("a", 1000 * TICK, opens=None)
    stage.end("a")
    stage.run(7600)
    before = len(stage.head)
    stage.talk.head_changed(2)
    speak = next(m for m in stage.head[before:] if isinstance(m, Speak))
    assert len(speak.pcm) == (10_000 * TICK - sum(len(s) for s in stage.sound if s is not None)) * 2
    stage.run(2500)
    anchors = [m for m in stage.head if isinstance(m, Anchor)]
    assert anchors[-1].first_sample == 0
    assert np.array_equal(stage.heard()[-TICK:], (np.arange(999 * TICK + 1, 1000 * TICK + 1) % 30_000) + 1)


def test_a_fault_reports_everything_in_hand_as_cut() -> None:
    stage = Stage()
    stage.speak("a", 50 * TICK)
    stage.speak("b", 50 * TICK)
    stage.run(10)
    stage.talk.reset()
    assert [(e.event, e.utterance, e.samples) for e in stage.events[1:]] == [("cut", "a", 10 * TICK), ("cut", "b", 0)]
    stage.speak("c", 5 * TICK)
    stage.end("c")
    stage.run(20)
    assert stage.events[-1].event == "done"


def test_without_a_head_it_starts_at_once() -> None:
    stage = Stage(lead=0, delay=None)
    stage.talk.head_changed(None)
    stage.run(4)
    stage.speak("a", 5 * TICK, left=NEAR)
    stage.end("a")
    stage.run(10)
    assert stage.first_sound() == 4
