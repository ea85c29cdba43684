"""What the head owes playout after each message, in counts and order."""

from __future__ import annotations

import pytest

from broadcaster.head.desk import DUE_TICKS, EAGER_TICKS, UTTERANCES_KEPT, Desk
from broadcaster.wire import Anchor, Cut, End, Speak, Trim, Window

pytestmark = pytest.mark.unit

LEAD = 2


def speak(utterance: str, seconds: float = 1.0, generation: int = 1) -> Speak:
    return Speak(generation, utterance, 0, None, bytes(2 * round(48_000 * seconds)), [])


def anchored(desk: Desk, utterance: str = "u", first_tick: int = 100, generation: int = 1, epoch: int = 1) -> None:
    desk.speak(speak(utterance, generation=generation))
    desk.end(End(generation, utterance))
    desk.anchor(Anchor(generation, utterance, epoch, first_tick, 0))


def test_an_anchor_alone_is_enough_to_begin() -> None:
    desk = Desk(25, LEAD)
    assert desk.work() is None
    anchored(desk)
    assert desk.work() == (100, 100 + LEAD + EAGER_TICKS - 1)


def test_nothing_is_rendered_beyond_the_window() -> None:
    desk = Desk(25, LEAD)
    anchored(desk)
    desk.rendered(100 + LEAD + EAGER_TICKS - 1)
    assert desk.work() is None
    desk.window(Window(99, 115))
    assert desk.work() == (108, 115)


def test_late_work_is_skipped_and_counted() -> None:
    desk = Desk(25, LEAD)
    anchored(desk)
    desk.rendered(100)
    desk.window(Window(104, 116))
    assert desk.work() == (105, 116)
    assert desk.skipped == 4
    assert desk.work() == (105, 116)
    assert desk.skipped == 4


def test_an_older_window_changes_nothing() -> None:
    desk = Desk(25, LEAD)
    anchored(desk)
    desk.window(Window(104, 116))
    desk.window(Window(96, 110))
    assert desk.work() == (105, 116)


def test_a_cut_drops_older_generations_at_once() -> None:
    desk = Desk(25, LEAD)
    anchored(desk)
    desk.cut(Cut(2))
    assert desk.work() is None
    assert desk.spoken is None
    assert desk.anchor(Anchor(1, "u", 2, 120, 0)) is None
    desk.speak(speak("u"))
    assert desk.anchor(Anchor(1, "u", 3, 130, 0)) is None
    anchored(desk, "v", 140, generation=2)
    assert desk.work() == (140, 147)


def test_a_new_anchor_replaces_the_old_even_after_all_was_rendered() -> None:
    desk = Desk(25, LEAD)
    anchored(desk)
    desk.window(Window(99, 300))
    desk.rendered(127)
    assert desk.work() == (128, 300)
    desk.rendered(128)
    assert desk.work() is None
    spoken = desk.anchor(Anchor(1, "u", 2, 131, 0))
    assert spoken is not None
    assert spoken.track.samples == 48_000
    assert desk.work() == (131, 300)


def test_speech_before_and_after_its_anchor_joins_one_track() -> None:
    desk = Desk(25, LEAD)
    desk.speak(speak("u", 0.5))
    spoken = desk.anchor(Anchor(1, "u", 1, 50, 0))
    desk.speak(speak("next", 2.0))
    desk.speak(speak("u", 0.25))
    assert spoken is not None
    assert spoken.track.samples == 36_000
    assert not spoken.track.complete
    desk.end(End(1, "u"))
    assert spoken.track.complete


def test_speech_about_to_sound_does_not_wait_for_more() -> None:
    desk = Desk(25, LEAD)
    desk.speak(speak("u", 0.5))
    spoken = desk.anchor(Anchor(1, "u", 1, 50, 0))
    assert spoken is not None
    desk.rendered(59)
    desk.window(Window(50, 80))
    assert not spoken.track.due
    desk.window(Window(54, 84))
    assert spoken.track.due
    desk.speak(speak("u", 0.5))
    assert not spoken.track.due


def test_pictures_far_from_the_air_wait_for_what_follows_again() -> None:
    desk = Desk(25, LEAD)
    desk.speak(speak("u", 0.5))
    spoken = desk.anchor(Anchor(1, "u", 1, 50, 0))
    assert spoken is not None
    desk.window(Window(49, 80))
    due = []
    for tick in range(50, 58):
        due.append(spoken.track.due)
        desk.rendered(tick)
    assert due == [True] * (LEAD + DUE_TICKS) + [False] * 2


def test_kept_utterances_are_bounded_and_the_one_on_air_stays() -> None:
    desk = Desk(25, LEAD)
    anchored(desk, "air")
    for number in range(3 * UTTERANCES_KEPT):
        desk.speak(speak(f"later-{number}", 0.1))
    spoken = desk.anchor(Anchor(1, "air", 2, 110, 0))
    assert spoken is not None
    assert spoken.track.samples == 48_000
    assert len(desk._tracks) == UTTERANCES_KEPT


def test_a_trim_makes_again_what_heard_what_is_gone_although_all_was_rendered() -> None:
    desk = Desk(25, LEAD)
    anchored(desk)
    desk.window(Window(99, 300))
    for tick in range(100, 129):
        assert desk.work() == (tick, 300)
        desk.rendered(tick)
    assert desk.work() is None
    desk.trim(Trim(1, "u", 0, 24_000))
    assert desk.work() == (109, 300), "12.5 pictures are heard, the ninth looks just so far"


def test_a_trim_never_goes_back_beyond_what_is_on_air() -> None:
    desk = Desk(25, LEAD)
    anchored(desk)
    desk.window(Window(99, 300))
    desk.rendered(120)
    desk.window(Window(113, 300))
    desk.trim(Trim(1, "u", 0, 24_000))
    assert desk.work() == (114, 300)
    assert desk.skipped == 0
    desk.rendered(115)
    assert desk.work() is None, "at rest for four pictures, and over"


def test_a_trim_of_another_utterance_or_generation_changes_nothing() -> None:
    desk = Desk(25, LEAD)
    anchored(desk)
    desk.rendered(104)
    desk.trim(Trim(1, "v", 0, 0))
    desk.trim(Trim(2, "u", 0, 0))
    assert desk.work() == (105, 107)


def test_what_was_never_to_be_rendered_is_not_skipped() -> None:
    desk = Desk(25, LEAD)
    anchored(desk)
    desk.window(Window(99, 300))
    desk.rendered(126)
    desk.window(Window(500, 530))
    assert desk.work() is None
    assert desk.skipped == 2, "127 and 128: one second of sound and four pictures at rest"
    desk.window(Window(600, 630))
    assert desk.work() is None
    assert desk.skipped == 2


def test_an_anchor_in_the_past_skips_what_has_passed() -> None:
    desk = Desk(25, LEAD)
    desk.window(Window(109, 300))
    anchored(desk)
    assert desk.work() == (110, 300)
    assert desk.skipped == 10


def test_a_cut_of_the_generation_on_air_leaves_it_there() -> None:
    desk = Desk(25, LEAD)
    anchored(desk)
    desk.cut(Cut(1))
    assert desk.work() == (100, 107)


def test_long_speech_is_forgotten_behind_the_air() -> None:
    desk = Desk(25, LEAD)
    spoken = desk.anchor(Anchor(1, "u", 1, 100, 0))
    assert spoken is not None
    for second in range(60):
        desk.speak(speak("u"))
        desk.rendered(100 + 25 * second)
    assert len(spoken.track._chunks) <= 12, "ten seconds, and what they begin and end in"
