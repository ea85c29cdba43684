"""What playout is told when a prompt makes way for another one, and what becomes of it. No sockets, no time."""

from __future__ import annotations

from pathlib import Path

import pytest

from broadcaster.director.turns import Cutting
from broadcaster.director.utterance import Utterance
from broadcaster.types import Inbound, Origin, PromptKind
from broadcaster.wire import Aired, Welcome
from tests.unit.test_director_rundown import Board, piece

pytestmark = pytest.mark.unit


class WayBoard(Board):
    def resumable(self, name: str, sentences: int = 3, *, made: int | None = None) -> Utterance:
        """Of `made` sentences the sound is there; all of it when None."""
        utterance = Utterance(Inbound(name, PromptKind.SAY, name, Origin("test"), resumable=True))
        self.rundown.add(utterance)
        for number in range(sentences if made is None else made):
            self.rundown.give(utterance, piece(number, f"{name}{number}。"), 0)
        if made is None:
            self.rundown.complete(utterance)
        return utterance

    def make_way(self, way: Cutting = Cutting.AFTER_SENTENCE) -> bool:
        return self.rundown.make_way(lambda other: way if other.resumable else Cutting.NEVER)

    def done(self, utterance: Utterance) -> None:
        self.rundown.aired(Aired("done", utterance.generation, utterance.id, -1, "", "tone", 9, 0, 0))


@pytest.fixture
async def board(tmp_path: Path) -> WayBoard:
    return WayBoard(tmp_path)


async def test_it_is_trimmed_behind_the_sentence_on_air_and_held(board: WayBoard) -> None:
    long = board.resumable("a")
    board.aired("on_air", long)
    board.wire.take()
    assert board.make_way()
    assert board.wire.take() == [("Trim", 1, "a", 0)]
    assert not board.make_way()  # once is enough
    board.aired("heard", long)
    board.done(long)
    assert board.ended == [("a", "held", "interrupted")]


async def test_it_is_trimmed_only_when_its_sentence_is_whole(board: WayBoard) -> None:
    long = board.resumable("a", made=1)
    board.aired("on_air", long)
    board.make_way()
    assert "Trim" not in [message[0] for message in board.wire.take()]
    board.rundown.give(long, piece(0, None), 0)
    board.rundown.give(long, piece(1, "a1。"), 0)
    assert board.wire.take() == [("Speak", 1, "a", 0), ("Trim", 1, "a", 0)]


async def test_what_waits_behind_it_counts_no_more_for_the_sound_in_hand(board: WayBoard) -> None:
    long = board.resumable("a", 20)
    assert board.rundown.seconds_over() > 0
    board.aired("on_air", long)
    board.make_way()
    assert board.rundown.seconds_unheard() <= 1.0


async def test_in_its_last_sentence_it_is_simply_done(board: WayBoard) -> None:
    long = board.resumable("a", 1)
    board.aired("on_air", long)
    board.make_way()
    board.aired("heard", long)
    board.done(long)
    assert board.ended == [("a", "done", "")]


async def test_when_playout_had_begun_the_next_sentence_that_one_ends(board: WayBoard) -> None:
    long = board.resumable("a")
    board.aired("on_air", long)
    board.make_way()
    board.wire.take()
    board.aired("heard", long)
    board.aired("on_air", long, 1)
    assert board.wire.take() == [("Trim", 1, "a", 1)]


async def test_when_the_next_sentence_is_not_whole_it_is_cut_and_said_again_later(board: WayBoard) -> None:
    long = board.resumable("a", made=2)
    board.aired("on_air", long)
    board.make_way()
    board.aired("heard", long)
    board.wire.take()
    board.aired("on_air", long, 1)
    assert board.wire.take() == [("Cut", 2)]
    board.aired("cut", long, 1, samples=480)
    assert board.ended == [("a", "held", "interrupted")]
    assert long.rest().heard == 1


async def test_at_once_the_generation_rises_and_what_stays_is_sent_again(board: WayBoard) -> None:
    long = board.resumable("a")
    other = board.add("b", 1)
    board.aired("on_air", long)
    board.wire.take()
    board.make_way(Cutting.AT_ONCE)
    assert board.wire.take() == [("Cut", 2), ("Speak", 2, "b", 0), ("End", 2, "b")]
    assert board.rundown.active == [other]
    board.aired("cut", long, samples=100)
    assert board.ended == [("a", "held", "interrupted")]


async def test_what_has_not_begun_is_taken_back_unheard(board: WayBoard) -> None:
    board.add("b", 1)
    long = board.resumable("a")
    board.wire.take()
    board.make_way(Cutting.AT_ONCE)
    assert board.wire.take() == [("Trim", 1, "a", -1)]
    board.done(long)
    assert board.ended == [("a", "back", "")]


async def test_interrupted_while_it_makes_way_it_ends_for_good(board: WayBoard) -> None:
    long = board.resumable("a")
    board.aired("on_air", long)
    board.make_way()
    board.rundown.interrupt()
    board.aired("cut", long, samples=100)
    assert board.ended == [("a", "cut", "interrupted")]


async def test_a_panic_while_it_makes_way_ends_it_for_good(board: WayBoard) -> None:
    long = board.resumable("a")
    board.aired("on_air", long)
    board.make_way()
    assert board.rundown.panic() == []
    board.aired("cut", long, samples=100)
    assert board.ended == [("a", "cut", "panic")]


async def test_a_playout_that_comes_back_gets_the_sentence_and_no_more(board: WayBoard) -> None:
    long = board.resumable("a")
    board.aired("on_air", long)
    board.make_way()
    board.rundown.down()
    board.wire.take()
    board.rundown.up(Welcome(0, 25, 200, 0))
    assert board.wire.take() == [("Cut", 2), ("Speak", 2, "a", 0), ("Trim", 2, "a", 0)]


async def test_a_playout_that_dies_after_the_sentence_was_heard_has_nothing_to_get(board: WayBoard) -> None:
    long = board.resumable("a")
    board.aired("on_air", long)
    board.make_way()
    board.aired("heard", long)
    board.rundown.down()
    board.rundown.up(Welcome(0, 25, 200, 0))
    assert board.ended == [("a", "held", "interrupted")]


@pytest.mark.parametrize(("paid", "state"), [(30_000, "held"), (0, "cut")])
async def test_the_end_of_the_daemon_holds_what_was_paid_for(board: WayBoard, paid: int, state: str) -> None:
    said = Utterance(Inbound("a", PromptKind.ASK, "a", Origin("room"), paid=paid))
    board.rundown.add(said)
    for number in range(2):
        board.rundown.give(said, piece(number, f"a{number}。"), 0)
    board.rundown.complete(said)
    board.aired("on_air", said)
    assert board.rundown.stop(said) == []
    board.aired("cut", said, 0, samples=480)
    assert board.ended == [("a", state, "stopped")]
