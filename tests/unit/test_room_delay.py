"""The broadcast delay and taking off the air: what playout is told, and when. No sockets, virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from broadcaster.director.delay import Delay
from broadcaster.director.pulse import Pulse
from broadcaster.director.rundown import Rundown
from broadcaster.director.transmission import AHEAD_DELAYED
from broadcaster.director.utterance import Script, Utterance
from broadcaster.journal import Journal, Line
from broadcaster.types import Inbound, Origin, PromptKind
from broadcaster.wire import Aired, Welcome
from tests.fakes.voice import run_virtually
from tests.unit.test_director_rundown import Board, Wire, piece

pytestmark = pytest.mark.unit

DELAY = 5.0


class DelayBoard(Board):
    """A rundown with a delay on the virtual loop's clock. `sent` is (seconds, type, utterance, sentence)."""

    def __init__(self, folder: Path, seconds: float = DELAY) -> None:
        super().__init__(folder)
        loop = asyncio.get_running_loop()
        self.began = loop.time()
        self.sent: list[tuple[float, str, str, int]] = []
        self.wire = _Timed(self.sent, lambda: loop.time() - self.began)
        self.rundown = Rundown(
            self.wire,
            Journal(folder / "unused.sqlite"),
            Pulse(),
            self.events.append,
            lambda utterance, state, reason, event: self.ended.append((utterance.id, state, reason)),
            loop.time,
            delay=Delay(seconds),
        )
        self.rundown.up(Welcome(0, 25, 200, 0))
        self.sent.clear()

    def speaks(self) -> list[tuple[float, str, int]]:
        return [(at, name, sentence) for at, kind, name, sentence in self.sent if kind == "Speak"]

    def begin(self, name: str, *, resumable: bool = False) -> Utterance:
        utterance = Utterance(Inbound(name, PromptKind.SAY, name, Origin("test"), resumable=resumable))
        self.rundown.add(utterance)
        return utterance

    def line(self, utterance: Utterance) -> str:
        """One more sentence is admitted."""
        text = f"{utterance.id}{len(utterance.script.lines)}。"
        utterance.script.add(Line(text, "pass"))
        self.rundown.admitted(utterance)
        return text

    def sentence(self, utterance: Utterance, seconds: float = 1.0) -> None:
        """One more sentence, admitted and spoken."""
        number = len(utterance.script.lines)
        self.rundown.give(utterance, piece(number, self.line(utterance), seconds), 0)

    def reported(self, event: str, utterance: Utterance, sentence: int = 0) -> None:
        text = utterance.texts[sentence] if 0 <= sentence < len(utterance.texts) else ""
        known = self.rundown.aired(Aired(event, utterance.generation, utterance.id, sentence, text, "tone", 7, 0, 0))
        assert known

    async def play(self, utterance: Utterance, sentence: int, seconds: float = 1.0) -> None:
        self.reported("on_air", utterance, sentence)
        await asyncio.sleep(seconds)
        self.reported("heard", utterance, sentence)


class _Timed(Wire):
    def __init__(self, sent: list[tuple[float, str, str, int]], now: Callable[[], float]) -> None:
        super().__init__()
        self._sent = sent
        self._now = now

    def send(self, message: Any) -> bool:
        name, sentence = getattr(message, "utterance", ""), getattr(message, "sentence", -1)
        self._sent.append((round(self._now(), 3), type(message).__name__, name, sentence))
        return super().send(message)

    def brake(self, message: Any) -> bool:
        self._sent.append((round(self._now(), 3), type(message).__name__, "", -1))
        return super().brake(message)


def virtually(test: Callable[[DelayBoard], Awaitable[None]], folder: Path, seconds: float = DELAY) -> None:
    async def main() -> None:
        await test(DelayBoard(folder, seconds))

    run_virtually(main())


def test_nothing_is_heard_before_its_time_and_what_follows_comes_without_a_hole(tmp_path: Path) -> None:
    async def test(board: DelayBoard) -> None:
        first = board.begin("a")
        for _ in range(3):
            board.sentence(first)
            await asyncio.sleep(0.5)  # written faster than it is spoken
        board.rundown.complete(first)
        await asyncio.sleep(DELAY - 1.5)
        # The sound of the first lasts longer than the others still have to wait: playout gets all of it in one go.
        assert board.speaks() == [(5.0, "a", 0), (5.0, "a", 1), (5.0, "a", 2)]
        assert board.sent[-1] == (5.0, "End", "a", -1)

    virtually(test, tmp_path)


def test_a_slow_writer_is_heard_late_never_early(tmp_path: Path) -> None:
    async def test(board: DelayBoard) -> None:
        first = board.begin("a")
        board.sentence(first)
        await asyncio.sleep(4.0)
        board.sentence(first)  # may be heard at 9.0; the first ends at 6.0
        await asyncio.sleep(1.0)
        await board.play(first, 0)
        await asyncio.sleep(10.0)
        assert board.speaks() == [(5.0, "a", 0), (9.0, "a", 1)]

    virtually(test, tmp_path)


def test_whoever_listens_is_told_while_it_can_be_dropped(tmp_path: Path) -> None:
    async def test(board: DelayBoard) -> None:
        first = board.begin("a")
        board.sentence(first, 8.0)
        board.line(first)
        assert board.events == [
            {"type": "pending", "id": "a", "sentence": 0, "text": "a0。", "airs_in_s": 5.0},
            {"type": "pending", "id": "a", "sentence": 1, "text": "a1。", "airs_in_s": 13.0},
        ]

    virtually(test, tmp_path)


def test_without_a_delay_nobody_is_told_and_everything_goes_at_once(tmp_path: Path) -> None:
    async def test(board: DelayBoard) -> None:
        first = board.begin("a")
        board.sentence(first)
        assert not board.events
        assert board.speaks() == [(0.0, "a", 0)]

    virtually(test, tmp_path, 0.0)


def test_dropped_in_time_it_is_never_heard(tmp_path: Path) -> None:
    async def test(board: DelayBoard) -> None:
        first, second = board.begin("a"), board.begin("b")
        board.sentence(first)
        board.rundown.complete(first)
        board.sentence(second)
        board.rundown.complete(second)
        await asyncio.sleep(DELAY - 0.1)
        assert board.rundown.take_off("a", "dropped")
        await asyncio.sleep(10.0)
        assert board.speaks() == [(5.0, "b", 0)]
        assert board.ended == [("a", "skipped", "dropped")]
        assert not board.rundown.take_off("a", "dropped")

    virtually(test, tmp_path)


def test_dropped_on_air_its_sentence_ends_and_nothing_follows(tmp_path: Path) -> None:
    async def test(board: DelayBoard) -> None:
        first = board.begin("a", resumable=True)
        for _ in range(3):
            board.sentence(first)
        board.rundown.complete(first)
        await asyncio.sleep(DELAY)
        board.reported("on_air", first, 0)
        assert board.rundown.take_off("a", "dropped")
        assert board.sent[-1][1:] == ("Trim", "a", 0)
        board.reported("heard", first, 0)
        board.reported("done", first, -1)
        assert board.ended == [("a", "cut", "dropped")]  # it does not go on later, as a resumable one would

    virtually(test, tmp_path)


def test_dropped_at_once_it_is_cut(tmp_path: Path) -> None:
    async def test(board: DelayBoard) -> None:
        first, second = board.begin("a"), board.begin("b")
        board.sentence(first)
        board.rundown.complete(first)
        board.sentence(second)
        board.rundown.complete(second)
        await asyncio.sleep(DELAY)
        board.reported("on_air", first, 0)
        generation = first.generation
        board.rundown.take_off("a", "dropped", at_once=True)
        assert [kind for _, kind, _, _ in board.sent][-3:] == ["Cut", "Speak", "End"]  # b goes out again
        board.rundown.aired(Aired("cut", generation, "a", 0, "a0。", "tone", 7, 480, 0))
        assert board.ended == [("a", "cut", "dropped")]

    virtually(test, tmp_path)


def test_a_sentence_that_began_while_it_was_dropped_is_broken_off(tmp_path: Path) -> None:
    async def test(board: DelayBoard) -> None:
        first = board.begin("a")
        for _ in range(3):
            board.sentence(first)
        board.rundown.complete(first)
        board.reported("on_air", first, 0)
        board.rundown.take_off("a", "dropped")
        generation = first.generation
        board.reported("heard", first, 0)
        board.reported("on_air", first, 1)  # playout had begun it before it knew
        assert "Cut" in [kind for _, kind, _, _ in board.sent]
        board.rundown.aired(Aired("cut", generation, "a", 1, "a1。", "tone", 7, 480, 0))
        assert board.ended == [("a", "cut", "dropped")]

    virtually(test, tmp_path, 0.0)


def test_dropped_while_it_is_still_being_written(tmp_path: Path) -> None:
    async def test(board: DelayBoard) -> None:
        first = board.begin("a")
        board.sentence(first)
        board.rundown.take_off("a", "dropped")
        assert board.ended == [("a", "skipped", "dropped")]

    virtually(test, tmp_path)


@pytest.mark.parametrize("dies", [True, False])
def test_a_drop_holds_when_playout_dies(tmp_path: Path, dies: bool) -> None:
    async def test(board: DelayBoard) -> None:
        first = board.begin("a")
        for _ in range(3):
            board.sentence(first)
        board.rundown.complete(first)
        await asyncio.sleep(DELAY)
        board.reported("on_air", first, 0)
        board.rundown.take_off("a", "dropped")
        if dies:
            board.rundown.down()
            board.rundown.up(Welcome(0, 25, 200, 0))
        else:
            board.reported("heard", first, 0)
            board.reported("done", first, -1)
        assert board.ended == [("a", "cut", "dropped")]

    virtually(test, tmp_path)


def test_an_interrupt_sends_nothing_before_its_time(tmp_path: Path) -> None:
    async def test(board: DelayBoard) -> None:
        first = board.begin("a")
        board.sentence(first, 4.0)
        board.rundown.complete(first)
        await asyncio.sleep(3.0)
        second = board.begin("b")
        board.sentence(second)
        board.rundown.complete(second)
        await asyncio.sleep(DELAY - 3.0)
        board.reported("on_air", first, 0)
        board.rundown.interrupt()
        await asyncio.sleep(5.0)
        assert board.speaks() == [(5.0, "a", 0), (8.0, "b", 0)]

    virtually(test, tmp_path)


def test_a_playout_that_comes_back_gets_what_may_be_heard_and_the_rest_in_time(tmp_path: Path) -> None:
    async def test(board: DelayBoard) -> None:
        first = board.begin("a")
        board.sentence(first, 4.0)
        await asyncio.sleep(4.0)
        board.sentence(first)
        board.rundown.complete(first)
        await asyncio.sleep(1.0)
        board.reported("on_air", first, 0)
        board.sent.clear()
        board.rundown.down()
        board.rundown.up(Welcome(0, 25, 200, 0))
        await asyncio.sleep(6.0)
        assert board.speaks() == [(5.0, "a", 0), (9.0, "a", 1)]

    virtually(test, tmp_path)


def test_so_much_is_prepared_that_the_delay_is_waited_for_once(tmp_path: Path) -> None:
    async def test(board: DelayBoard) -> None:
        given = 0
        while board.rundown.has_room() and given < AHEAD_DELAYED:
            utterance = board.begin(f"p{given}")
            board.sentence(utterance)
            board.rundown.complete(utterance)
            given += 1
        assert given == 3  # over in 8 s: the next one, begun now, can be heard in 5 s, and 3 s are for its making

    virtually(test, tmp_path)


def test_the_script_knows_when_its_lines_were_admitted() -> None:
    script = Script()
    script.add(Line("一句。", "pass"))
    assert script.stamp(1.0) == [0]
    script.add(Line("两句。", "pass"))
    script.add(Line("三句。", "pass"))
    assert script.stamp(2.0) == [1, 2]
    assert script.stamp(3.0) == []
    assert [script.admitted(0, 3), script.admitted(2, 3), script.admitted(3, 6)] == [1.0, 2.0, 2.0]
    script.insert(4, Line("桥。", "bridge"))
    assert script.stamp(4.0) == [2]
    assert script.admitted(3, 1) == 2.0
    assert script.admitted(4, 2) == 4.0
    script.remove(4, "bridge")
    assert script.admitted(3, 3) == 2.0
