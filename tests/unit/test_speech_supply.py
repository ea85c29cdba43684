"""When a package is taken: at once, when it is large enough, or when waiting for more would make it late."""

from __future__ import annotations

import pytest

from broadcaster.speech import words
from broadcaster.speech.pacing import Pacer, SpeedModel
from broadcaster.speech.supply import ENDED, LOOK_AGAIN_S, MARGIN_S, RATE_AFTER_S, SETTLED_S, Package, Supply

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module", autouse=True)
def _word_list() -> None:
    words.load()


class Desk:
    """A supply whose clock is set by hand, before a voice of 0.5 s a piece and 0.05 s a unit."""

    def __init__(self, *, paced: bool = True, lips: float = 0.0) -> None:
        self.now = 100.0
        speed = SpeedModel()
        speed.fixed, speed.per_unit, speed.spread = 0.5, 0.05, 0.0
        self.pacer = Pacer(speed, lips=lambda: lips)
        self.supply = Supply(self.pacer, lambda: self.now, paced=paced)

    def begun(self, seconds: float) -> None:
        """Something was said, and so much sound is in hand."""
        self.pacer.began(8.0)
        self.pacer.released(self.now, seconds)

    def text(self, ready_s: float = 0.0) -> str:
        found = self.supply.take(ready_s)
        assert isinstance(found, Package), found
        return found.text

    def wait(self, ready_s: float = 0.0) -> float:
        found = self.supply.take(ready_s)
        assert isinstance(found, float), found
        return found


def test_the_first_sentence_is_taken_as_soon_as_its_end_is_certain() -> None:
    desk = Desk()
    assert desk.wait() == SETTLED_S
    desk.supply.feed("好的。")
    assert desk.wait() == SETTLED_S
    desk.now += SETTLED_S
    assert desk.text() == "好的。"


def test_the_first_clause_goes_before_its_sentence_when_it_is_worth_speaking() -> None:
    desk = Desk()
    desk.supply.feed("你好，今天我们")
    assert desk.wait() == SETTLED_S, "two characters are not"
    desk.supply.feed("来聊一聊，天气")
    assert desk.text() == "你好，今天我们来聊一聊，"


def test_a_small_package_waits_for_more_while_there_is_time() -> None:
    desk = Desk()
    desk.supply.feed("是。对。")
    desk.begun(4.0)
    desk.now += SETTLED_S
    left = 4.0 - SETTLED_S - (0.5 + 0.05 * 2) - MARGIN_S
    assert desk.wait() == pytest.approx(left)
    desk.supply.feed("今天我们去公园走走吧。明天")
    assert desk.text() == "是。对。今天我们去公园走走吧。"


def test_a_small_package_is_taken_before_it_is_too_late() -> None:
    desk = Desk(lips=0.3)
    desk.begun(2.0)
    desk.supply.feed("我看到了。")
    desk.now += SETTLED_S
    wait = desk.wait()
    assert wait == pytest.approx(2.0 - SETTLED_S - 0.3 - (0.5 + 0.05 * 4) - MARGIN_S)
    desk.now += wait
    assert desk.text() == "我看到了。"


def test_more_is_not_waited_for_when_the_model_is_too_slow_to_write_it_in_time() -> None:
    for rate, taken in ((30.0, False), (0.5, True)):
        desk = Desk()
        desk.begun(3.0)
        desk.supply.feed("我")
        desk.now += 2 / rate
        desk.begun(3.0)
        desk.supply.feed("看到了。")
        desk.now += max(SETTLED_S, RATE_AFTER_S)
        found = desk.supply.take(0.0)
        assert isinstance(found, Package) is taken, rate


def test_a_clause_is_taken_when_its_sentence_would_come_too_late() -> None:
    desk = Desk()
    desk.begun(2.0)
    desk.supply.feed("今天的天气非常不错，我们")
    wait = desk.wait()
    assert wait == pytest.approx(2.0 - (0.5 + 0.05 * 9) - MARGIN_S)
    desk.now += wait
    assert desk.text() == "今天的天气非常不错，"


def test_it_ends_when_all_was_taken_and_leaves_out_what_nobody_can_say() -> None:
    desk = Desk()
    desk.supply.feed("……")
    desk.supply.feed("好。")
    desk.supply.feed("😂\n")
    desk.supply.finish()
    assert not desk.supply.exhausted
    assert desk.text() == "……好。😂\n"
    assert desk.supply.take(0.0) == ENDED
    assert desk.supply.exhausted


def test_a_package_says_when_its_last_character_came() -> None:
    desk = Desk()
    for part in ("今天天气", "真好。", "我们去公园", "走走吧。"):
        desk.supply.feed(part)
        desk.now += 1.0
    desk.supply.finish()
    first, second = desk.supply.take(0.0), desk.supply.take(0.0)
    assert isinstance(first, Package)
    assert isinstance(second, Package)
    assert (first.text, first.arrived) == ("今天天气真好。", 101.0)
    assert (second.text, second.arrived) == ("我们去公园走走吧。", 103.0)


def test_without_pacing_the_packages_depend_on_the_text_alone() -> None:
    desk = Desk(paced=False)
    desk.supply.feed("好的。")
    desk.now += 60.0
    assert desk.wait() == LOOK_AGAIN_S
    desk.supply.feed("今天我们去公园走走吧。再")
    assert desk.text() == "好的。今天我们去公园走走吧。"
