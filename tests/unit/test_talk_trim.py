"""`Trim`: an utterance ends behind a sentence, to the sample; nothing of the next one is heard or shown."""

from __future__ import annotations

import numpy as np
import pytest

from broadcaster.head.desk import Desk
from broadcaster.head.track import Track
from broadcaster.wire import Anchor, Speak, Trim, Window
from tests.unit.test_talk import FAR, TICK, Stage

pytestmark = pytest.mark.unit

FIRST = 5 * TICK + 700
SECOND = 4 * TICK + 100


def stage_with_three_sentences() -> Stage:
    stage = Stage()
    for number, samples in enumerate((FIRST, SECOND, 6 * TICK)):
        stage.speak("a", samples, opens=f"s{number}", sentence=number)
    return stage


def told(stage: Stage, utterance: str = "a") -> list[tuple[str, int, int]]:
    return [(e.event, e.sentence, e.samples) for e in stage.events if e.utterance == utterance]


def trim(stage: Stage, sentence: int, utterance: str = "a", generation: int = 1) -> None:
    stage.talk.handle(Trim(generation, utterance, sentence), FAR)


def test_the_sound_ends_with_the_sentence_and_the_next_utterance_follows_without_a_hole() -> None:
    stage = stage_with_three_sentences()
    stage.run(3)
    trim(stage, 0)
    stage.speak("b", 3 * TICK)
    stage.end("b")
    stage.run(40)
    sound = np.concatenate([s for s in stage.sound if s is not None])
    assert np.array_equal(sound[:FIRST], np.arange(1, FIRST + 1) % 30_000 + 1)
    assert not sound[FIRST : 6 * TICK].any()
    assert told(stage) == [("on_air", 0, 0), ("heard", 0, FIRST), ("done", -1, 0)]
    assert [event for event, *_ in told(stage, "b")] == ["on_air", "heard", "done"]
    assert stage.talk.counters.holes == 0


def test_a_sentence_that_has_begun_ends_first() -> None:
    stage = stage_with_three_sentences()
    stage.run(8)
    trim(stage, 0)
    stage.run(40)
    assert told(stage)[-3:] == [("on_air", 1, 0), ("heard", 1, SECOND), ("done", -1, 0)]


def test_one_that_comes_too_late_for_a_sentence_that_may_not_be_whole_is_ignored() -> None:
    stage = Stage()
    stage.speak("a", FIRST, opens="s0")
    stage.speak("a", SECOND, opens="s1", sentence=1)
    stage.run(8)
    trim(stage, 0)
    stage.speak("a", SECOND, opens=None, sentence=1)
    stage.end("a")
    stage.run(40)
    assert told(stage)[-2:] == [("heard", 1, 2 * SECOND), ("done", -1, 0)]


def test_what_has_not_begun_goes_at_once() -> None:
    stage = stage_with_three_sentences()
    stage.speak("b", 3 * TICK)
    stage.speak("c", 3 * TICK)
    stage.end("c")
    stage.run(2)
    trim(stage, -1, "b")
    assert told(stage, "b") == [("done", -1, 0)]
    trim(stage, 0)
    stage.run(40)
    assert [event for event, *_ in told(stage, "c")] == ["on_air", "heard", "done"]


def test_an_utterance_that_waits_for_its_lips_can_be_taken_back() -> None:
    stage = Stage(delay=None)
    stage.speak("a", 5 * TICK)
    stage.run(3)
    trim(stage, -1)
    assert told(stage) == [("done", -1, 0)]
    stage.run(20)
    assert all(sound is None for sound in stage.sound)


def test_in_a_hole_behind_the_sentence_it_is_over_at_once() -> None:
    stage = Stage()
    stage.speak("a", 3 * TICK, opens="s0")
    stage.run(8)
    trim(stage, 0)
    assert told(stage) == [("on_air", 0, 0), ("heard", 0, 3 * TICK), ("done", -1, 0)]


def test_one_for_another_generation_or_another_utterance_changes_nothing() -> None:
    stage = stage_with_three_sentences()
    stage.end("a")
    stage.run(2)
    trim(stage, 0, generation=2)
    trim(stage, 0, "z")
    stage.run(40)
    assert told(stage)[-2:] == [("heard", 2, 6 * TICK), ("done", -1, 0)]


def test_the_head_is_told_how_much_remains_and_no_mouth_of_the_next_sentence_is_shown() -> None:
    stage = stage_with_three_sentences()
    stage.run(4)
    stage._due.clear()  # what this head made before is all there will be
    trim(stage, 0)
    assert [m.samples for m in stage.head if isinstance(m, Trim)] == [FIRST]
    stage.run(20)
    last = max(n for n, mouth in enumerate(stage.mouths) if mouth is not None)
    assert last == stage.first_sound() + FIRST // TICK


def test_the_head_makes_again_what_it_made_of_the_rest() -> None:
    desk = Desk(25, 2)
    for number in range(2):
        desk.speak(Speak(1, "a", number, f"s{number}", bytes(2 * 10 * TICK), [("a", "aa", 0, 10 * TICK)]))
    desk.anchor(Anchor(1, "a", 1, 100, 0))
    desk.window(Window(101, 130))
    for tick in range(102, 120):
        desk.rendered(tick)
    desk.trim(Trim(1, "a", 0, 10 * TICK))
    work = desk.work()
    assert work is not None
    assert work[0] == 106  # 140 ms before the end: so far engines look ahead
    for tick in range(108, 114):
        desk.rendered(tick)
    assert desk.work() is None  # 4 pictures at rest after the last sample, and no more


def test_a_track_is_shortened_with_its_phones() -> None:
    track = Track()
    track.add(b"\x01\x00" * 100, [("a", "aa", 0, 60), ("b", "PP", 60, 100)])
    track.add(b"\x02\x00" * 100, [("c", "aa", 0, 100)])
    track.trim(80)
    assert (track.samples, track.complete) == (80, True)
    assert track.phones() == [("a", "aa", 0, 60), ("b", "PP", 60, 80)]
    assert track.pcm(70, 90) == b"\x01\x00" * 10 + bytes(20)
    track.trim(500)
    assert track.samples == 80
