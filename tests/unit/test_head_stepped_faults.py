"""Stand-ins that fail, engines that fail where they begin, retries, trims while fewer pictures are made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from broadcaster.errors import HeadError
from broadcaster.head.between import between, planes_of, rendered
from broadcaster.head.desk import SEEN_AHEAD
from broadcaster.head.ladder import TOO_LATE
from broadcaster.head.stepped import FIRST_RETRY_S, LAST_RETRY_S, SteppedHead
from broadcaster.head.still import StillHead
from broadcaster.head.timeline import Timeline
from broadcaster.ports import TalkingHead
from broadcaster.studio.avatar import ExpandedAvatar
from broadcaster.types import MouthBox, MouthPatch, samples_at
from tests.fakes.heads import PlainHead, lightened
from tests.support.faces import babble, host, track_of
from tests.unit.test_head_stepped import join_loading, luma_change, speak, ticks

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def avatar(tmp_path_factory: pytest.TempPathFactory) -> ExpandedAvatar:
    return host(tmp_path_factory.getbasetemp())


class Frail(PlainHead):
    """Fails in `begin` too, by request; remembers that it was closed."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.begin_fails: list[Exception] = []
        self.closed = 0

    def begin(self, generation: int, epoch: int, track: object, first_tick: int, first_sample: int) -> None:
        if self.begin_fails:
            raise self.begin_fails.pop(0)
        super().begin(generation, epoch, track, first_tick, first_sample)  # type: ignore[arg-type]

    def close(self) -> None:
        self.closed += 1


class Frails:
    """Engines by name; what each next one of a name fails with when it is loaded."""

    def __init__(self) -> None:
        self.made: dict[str, list[Frail]] = {}
        self.load_fails: dict[str, list[Exception]] = {}

    def __call__(self, name: str) -> TalkingHead:
        if name == "still":
            return StillHead()
        engine = Frail(name)
        engine.fails += self.load_fails.pop(name, [])
        self.made.setdefault(name, []).append(engine)
        return engine

    def last(self, name: str) -> Frail:
        return self.made[name][-1]


@pytest.fixture
def frails() -> Frails:
    return Frails()


def loaded(frails: Frails, avatar: ExpandedAvatar, now: Callable[[], float] = lambda: 0.0) -> SteppedHead:
    head = SteppedHead("plain", frails, now)
    head.load(avatar)
    return head


def step_down(head: SteppedHead, steps: int) -> None:
    for _ in range(steps):
        head.late(TOO_LATE)


def test_an_engine_that_fails_in_begin_is_replaced_like_any_other(frails: Frails, avatar: ExpandedAvatar) -> None:
    head = loaded(frails, avatar)
    frails.last("plain").begin_fails.append(HeadError("the server is away"))
    speak(head)
    assert (head.name, head.note) == ("warp", "plain failed: the server is away")
    assert ticks(list(head.render(0, 9))) == list(range(10))


def test_a_stride_that_cannot_begin_hands_over_in_the_middle(frails: Frails, avatar: ExpandedAvatar) -> None:
    head = loaded(frails, avatar)
    speak(head)
    assert ticks(list(head.render(0, 9))) == list(range(10))
    frails.last("plain").begin_fails.append(RuntimeError("no memory"))
    step_down(head, 1)
    assert (head.name, head.step) == ("warp", "")
    assert ticks(list(head.render(10, 19))) == list(range(10, 20))


def test_when_not_one_can_begin_it_says_so(
    frails: Frails, avatar: ExpandedAvatar, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: StillHead, *args: object) -> None:
        raise HeadError("no picture", retryable=False)

    head = loaded(frails, avatar)
    monkeypatch.setattr(StillHead, "begin", broken)
    frails.last("plain").begin_fails.append(RuntimeError("no memory"))
    frails.last("warp").begin_fails.append(RuntimeError("no lips"))
    with pytest.raises(HeadError, match=r"plain failed: no memory; warp failed: no lips; still failed: no picture"):
        speak(head)


def test_a_stand_in_that_fails_costs_only_its_own_step(frails: Frails, avatar: ExpandedAvatar) -> None:
    head = loaded(frails, avatar)
    step_down(head, 3)
    speak(head)
    assert head.name == "warp"
    frails.last("warp").fails.append(RuntimeError("no lips"))
    assert ticks(list(head.render(0, 9))) == list(range(10))
    assert (head.name, head.step, frails.last("warp").closed, frails.last("plain").closed) == ("still", "still", 1, 0)
    assert head.note == "plain is too slow here; warp failed: no lips"
    for tick in range(10, 400):
        list(head.render(tick, tick))
    track = track_of(babble(20.0))
    head.begin(2, 1, track, 400, 0)
    assert ticks(list(head.render(400, 800))) == list(range(400, 801))
    speak(head, 900, generation=3)
    assert (head.name, head.step) == ("plain", "third"), "the engine itself was never at fault"
    assert not head.degraded


def test_the_last_step_that_fails_goes_back_to_one_that_works(
    frails: Frails, avatar: ExpandedAvatar, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = loaded(frails, avatar)
    step_down(head, 4)

    def broken(self: StillHead, *args: object) -> None:
        raise HeadError("no picture", retryable=False)

    monkeypatch.setattr(StillHead, "begin", broken)
    speak(head)
    assert (head.name, head.step) == ("warp", "warp")
    assert ticks(list(head.render(0, 9))) == list(range(10))


def test_a_stand_in_that_cannot_be_loaded_is_no_step(frails: Frails, avatar: ExpandedAvatar) -> None:
    frails.load_fails["warp"] = [HeadError("no inner mouth", retryable=False)]
    head = loaded(frails, avatar)
    assert not head.degraded, "the engine itself is at work"
    step_down(head, 3)
    speak(head)
    assert (head.name, head.step, head.degraded) == ("still", "still", True)
    step_down(head, 1)
    assert (head.name, head.counts["stepped_down"]) == ("still", 3)


def test_an_engine_that_is_away_is_asked_for_again_and_again_while_nobody_speaks(
    frails: Frails, avatar: ExpandedAvatar
) -> None:
    clock = [0.0]
    head = loaded(frails, avatar, lambda: clock[0])
    speak(head)
    frails.last("plain").fails.append(HeadError("the server is away"))
    list(head.render(0, 9))
    made: list[Frail] = []
    for pause in (1, 2, 4, 8, 16, 24, 24):
        frails.load_fails["plain"] = [HeadError("still away")]
        clock[0] += FIRST_RETRY_S * pause - 0.1
        head.idle()
        assert len(frails.made["plain"]) == 1 + len(made), "not before the pause is over"
        clock[0] += 0.1
        head.idle()
        join_loading()
        head.idle()
        made.append(frails.last("plain"))
        assert (len(frails.made["plain"]), head.note) == (1 + len(made), "plain cannot be loaded: still away")
    clock[0] += LAST_RETRY_S
    head.idle()
    join_loading()
    head.idle()
    assert head.name == "warp", "nothing changes but where an utterance begins"
    speak(head, 100, generation=2)
    assert (head.name, head.degraded, head.counts["returned"]) == ("plain", False, 1)


def test_an_engine_that_comes_back_only_to_fail_is_tried_less_and_less(
    frails: Frails, avatar: ExpandedAvatar
) -> None:
    clock = [0.0]
    head = loaded(frails, avatar, lambda: clock[0])

    def fails_after(seconds: float, generation: int) -> None:
        """The pause after the fault is just so long."""
        speak(head, 100 * generation, generation=generation)
        assert head.name == "plain"
        frails.last("plain").fails.append(HeadError("the server hangs up"))
        list(head.render(100 * generation, 100 * generation + 9))
        count = len(frails.made["plain"])
        clock[0] += seconds - 0.1
        head.idle()
        assert len(frails.made["plain"]) == count
        clock[0] += 0.1
        head.idle()
        join_loading()
        assert len(frails.made["plain"]) == count + 1

    for number, pause in enumerate((1, 2, 4), 1):
        fails_after(pause * FIRST_RETRY_S, number)
    speak(head, 1000, generation=10)
    list(head.render(1000, 1009))
    fails_after(FIRST_RETRY_S, 11)


@pytest.mark.parametrize("downs", [0, 1, 2])
def test_a_trim_leaves_no_picture_that_heard_what_is_gone(frails: Frails, avatar: ExpandedAvatar, downs: int) -> None:
    """Whatever lay ready for interpolation, from the tick that the desk goes back to on all is as if never known."""
    pictures = 12
    for reached in range(7, 20):
        head = loaded(frails, avatar)
        step_down(head, downs)
        track = speak(head, 0)
        list(head.render(0, reached))
        track.trim(pictures * samples_at(1, avatar.fps))
        line = Timeline(1, 1, 0, 0, avatar.fps)
        again = min(reached + 1, line.tick_of(track.samples - head.seen_ahead))
        after = list(head.render(again, 40))
        fresh = loaded(frails, avatar)
        step_down(fresh, downs)
        fresh.begin(1, 1, track, 0, 0)
        whole = {patch.tick: patch for patch in fresh.render(0, 40)}
        assert after == [whole[tick] for tick in range(again, max(whole) + 1)], reached


@pytest.mark.parametrize(("downs", "more"), [(0, 0), (1, 1), (2, 2), (3, 0)])
def test_pictures_in_between_look_further_ahead(
    frails: Frails, avatar: ExpandedAvatar, downs: int, more: int
) -> None:
    head = loaded(frails, avatar)
    step_down(head, downs)
    assert head.seen_ahead == SEEN_AHEAD + more * samples_at(1, avatar.fps)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_mouth_that_leaves_the_picture_leaves_a_patch_within_it(avatar: ExpandedAvatar, sign: int) -> None:
    class Far:
        width, height, fps, loop_frames, frame = avatar.width, avatar.height, avatar.fps, 100, avatar.frame

        def mouth_box_at(self, index: int) -> MouthBox:
            shift = sign * 2000 * (index == 11)
            return replace(avatar.mouth_box, x=avatar.mouth_box.x + shift, y=avatar.mouth_box.y + shift)

    line = Timeline(1, 1, 0, 0, avatar.fps)
    first, last = (rendered(avatar, lightened(avatar, line, tick, 3)) for tick in (10, 12))
    patch: MouthPatch = between(Far(), 11, first, last)  # type: ignore[arg-type]
    box = patch.box
    assert 0 <= box.x < box.x + box.width <= avatar.width
    assert 0 <= box.y < box.y + box.height <= avatar.height
    assert planes_of(patch)[0].shape == (box.height, box.width)
    assert luma_change(avatar, patch) == 0


def test_thinned_no_picture_is_rendered_twice(frails: Frails, avatar: ExpandedAvatar) -> None:
    head = loaded(frails, avatar)
    step_down(head, 1)
    speak(head)
    for first, last in ((0, 0), (1, 4), (5, 5), (6, 11), (12, 12), (13, 29)):
        assert ticks(list(head.render(first, last))) == list(range(first, last + 1))
    assert list(head.render(30, 29)) == []
    assert frails.last("plain").rendered == list(range(0, 31, 2))


def test_thinned_nothing_of_an_anchor_is_left_for_the_next(frails: Frails, avatar: ExpandedAvatar) -> None:
    """Not even where the next begins with just the picture that lay ready."""
    head = loaded(frails, avatar)
    step_down(head, 1)
    track = speak(head)
    list(head.render(0, 9))
    head.begin(1, 2, track, 10, 4 * samples_at(1, avatar.fps))
    assert [(patch.epoch, patch.tick) for patch in head.render(10, 15)] == [(2, tick) for tick in range(10, 16)]


def test_the_lead_is_that_of_the_engine_that_was_loaded(frails: Frails, avatar: ExpandedAvatar) -> None:
    head = SteppedHead("plain", frails, lambda: 0.0)
    frails.last("plain").lead_ticks = 7
    assert head.lead_ticks == 3
    head.load(avatar)
    assert head.lead_ticks == 7


def test_counts_go_on_whichever_engine_is_at_work(frails: Frails, avatar: ExpandedAvatar) -> None:
    head = loaded(frails, avatar)
    step_down(head, 2)
    frails.last("plain").begin_fails.append(RuntimeError("no memory"))
    speak(head)
    assert (head.name, head.counts["stepped_down"], head.counts["stepped_up"]) == ("warp", 2, 0)


def test_only_one_try_is_under_way_at_a_time(frails: Frails, avatar: ExpandedAvatar) -> None:
    clock = [0.0]
    frails.load_fails["plain"] = [HeadError("the server is away")]
    head = loaded(frails, avatar, lambda: clock[0])
    clock[0] += FIRST_RETRY_S
    head.idle()
    clock[0] += 10 * LAST_RETRY_S
    head.idle()
    join_loading()
    head.idle()
    assert len(frails.made["plain"]) == 2


def test_before_the_first_word_an_engine_takes_over_as_soon_as_it_is_loaded(
    frails: Frails, avatar: ExpandedAvatar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Frail, "loads_long", True, raising=False)
    head = SteppedHead("plain", frails, lambda: 0.0)
    head.load(avatar, wait=False)
    assert (head.name, head.note, head.degraded) == ("warp", "plain is being loaded", False)
    join_loading()
    head.idle()
    assert (head.name, head.note, head.counts["returned"]) == ("plain", "", 0)
    speak(head)
    assert ticks(list(head.render(0, 9))) == list(range(10))


def test_it_is_made_again_by_the_name_it_was_asked_for_by(frails: Frails, avatar: ExpandedAvatar) -> None:
    asked: list[str] = []

    def make(name: str) -> TalkingHead:
        asked.append(name)
        return frails("plain" if name == "package.module:make" else name)

    frails.load_fails["plain"] = [HeadError("the server is away")]
    clock = [0.0]
    head = SteppedHead("package.module:make", make, lambda: clock[0])
    head.load(avatar)
    clock[0] += FIRST_RETRY_S
    head.idle()
    join_loading()
    assert asked == ["package.module:make", "warp", "still", "package.module:make"]


def test_nothing_late_is_no_news(frails: Frails, avatar: ExpandedAvatar) -> None:
    head = loaded(frails, avatar)
    step_down(head, 1)
    speak(head, seconds=12.0)
    for first in range(0, 250, 50):
        list(head.render(first, first + 49))
        head.late(0)
    speak(head, 400, generation=2)
    assert head.step == ""


@pytest.mark.parametrize("own", [False, True])
def test_a_device_that_stays_broken_asks_for_a_new_process(frails: Frails, avatar: ExpandedAvatar, own: bool) -> None:
    clock = [0.0]
    head = loaded(frails, avatar, lambda: clock[0])
    head._own_device = own  # what `own_device` of the engine says
    speak(head)
    frails.last("plain").fails.append(HeadError("a batch of faces failed: an illegal memory access"))
    list(head.render(0, 10))
    assert (head.name, head.worn) == ("warp", False), "it is tried here once"
    frails.load_fails["plain"] = [HeadError("an illegal memory access")]
    clock[0] += FIRST_RETRY_S
    head.idle()
    join_loading()
    head.idle()
    assert head.worn is own


def test_a_device_that_could_never_be_loaded_asks_for_nothing(frails: Frails, avatar: ExpandedAvatar) -> None:
    clock = [0.0]
    frails.load_fails["plain"] = [HeadError("no memory is left")]
    head = loaded(frails, avatar, lambda: clock[0])
    head._own_device = True
    frails.load_fails["plain"] = [HeadError("no memory is left")]
    clock[0] += FIRST_RETRY_S
    head.idle()
    join_loading()
    head.idle()
    assert not head.worn, "a new process would not fare better"
