"""What playout is given and in which generation: cutting, coming back, counting. No sockets, no time."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from broadcaster.director.agreement import Agreement
from broadcaster.director.durable import Durable
from broadcaster.director.pulse import Pulse
from broadcaster.director.rundown import RESENDS, Rundown
from broadcaster.director.utterance import Utterance
from broadcaster.journal import Journal, Line
from broadcaster.types import SAMPLE_RATE, Inbound, Origin, PromptKind, Speech, SpokenPiece
from broadcaster.wire import Aired, Cut, Panic, Welcome
from tests.fakes.playout_peer import playout_status

pytestmark = pytest.mark.unit


class Wire:
    """A link that keeps what it was given."""

    def __init__(self) -> None:
        self.connected = True
        self.out: list[Any] = []

    def send(self, message: Any) -> bool:
        self.out.append(message)
        return True

    def brake(self, message: Cut | Panic) -> bool:
        self.out.append(message)
        return True

    def take(self) -> list[tuple[Any, ...]]:
        """(type, generation, utterance, sentence) of what came since the last call."""
        out, self.out = self.out, []
        return [
            tuple(
                part
                for part in (
                    type(m).__name__,
                    m.generation,
                    getattr(m, "utterance", None),
                    getattr(m, "sentence", None),
                )
                if part is not None
            )
            for m in out
        ]


class Board:
    """A rundown with everything around it recorded."""

    def __init__(self, folder: Path) -> None:
        self.wire = Wire()
        self.events: list[dict[str, Any]] = []
        self.ended: list[tuple[str, str, str]] = []
        self.now = 0.0
        self.rundown = Rundown(
            self.wire,
            Journal(folder / "unused.sqlite"),
            Pulse(),
            self.events.append,
            lambda utterance, state, reason, event: self.ended.append((utterance.id, state, reason)),
            lambda: self.now,
        )
        self.rundown.up(Welcome(0, 25, 200, 0))

    def add(self, name: str, sentences: int = 2, *, complete: bool = True) -> Utterance:
        utterance = Utterance(Inbound(name, PromptKind.SAY, name, Origin("test")))
        for number in range(sentences):
            utterance.script.add(Line(f"{name}{number}。", "pass"))
        utterance.script.close()
        self.rundown.add(utterance)
        for number in range(sentences):
            self.rundown.give(utterance, piece(number, f"{name}{number}。"), 0)
        if complete:
            self.rundown.complete(utterance)
        return utterance

    def aired(self, event: str, utterance: Utterance, sentence: int = 0, samples: int = 0) -> bool:
        text = utterance.texts[sentence]
        return self.rundown.aired(
            Aired(event, utterance.generation, utterance.id, sentence, text, "tone", 7, samples, 0)
        )


def piece(sentence: int, opens: str | None, seconds: float = 1.0) -> SpokenPiece:
    pcm = np.zeros(int(seconds * SAMPLE_RATE), dtype=np.int16)
    return SpokenPiece(sentence, opens, Speech(pcm), "tone")


@pytest.fixture
def board(tmp_path: Path) -> Board:
    return Board(tmp_path)


def test_a_fresh_director_goes_on_above_what_playout_has_seen(tmp_path: Path) -> None:
    board = Board(tmp_path)
    board.rundown.up(Welcome(0, 25, 200, 41))
    assert board.rundown.generation == 42
    assert board.wire.take() == []


def test_sound_goes_out_as_it_comes_and_end_after_the_last(board: Board) -> None:
    board.add("a")
    assert board.wire.take() == [("Speak", 1, "a", 0), ("Speak", 1, "a", 1), ("End", 1, "a")]


def test_the_next_utterance_never_overtakes_one_that_is_still_made(board: Board) -> None:
    first = board.add("a", complete=False)
    board.add("b")
    assert ("Speak", 1, "b", 0) not in board.wire.take()
    board.rundown.complete(first)
    assert board.wire.take() == [("End", 1, "a"), ("Speak", 1, "b", 0), ("Speak", 1, "b", 1), ("End", 1, "b")]


def test_nothing_is_sent_while_playout_is_away_and_everything_when_it_comes(board: Board) -> None:
    board.wire.connected = False
    board.add("a")
    assert board.wire.take() == []
    board.wire.connected = True
    board.rundown.up(Welcome(0, 25, 200, 0))
    assert board.wire.take()[1:] == [("Speak", 2, "a", 0), ("Speak", 2, "a", 1), ("End", 2, "a")]


def test_there_is_room_for_two_and_ten_seconds(board: Board) -> None:
    first = board.add("a", 6)
    assert board.rundown.has_room()
    assert board.rundown.seconds_over() == -4.0
    board.add("b", 6)
    assert not board.rundown.has_room()
    assert board.rundown.seconds_over() == 2.0
    board.aired("on_air", first, 0)
    board.now += 0.75
    assert board.rundown.seconds_over() == 1.25
    board.now += 5.0  # no more of a sentence than it has can have been heard
    assert board.rundown.seconds_over() == 1.0
    board.aired("heard", first, 0)
    assert board.rundown.seconds_over() == 1.0


def test_the_life_of_an_utterance(board: Board) -> None:
    utterance = board.add("a")
    board.aired("on_air", utterance, 0)
    board.aired("heard", utterance, 0)
    board.aired("on_air", utterance, 1)
    assert [event["sentence"] for event in board.events] == [0, 1]
    assert utterance.heard == 1
    board.aired("heard", utterance, 1)
    board.aired("done", utterance, 1)
    assert board.ended == [("a", "done", "")]
    assert not board.aired("done", utterance, 1)


async def test_an_interrupt_sends_one_cut_and_the_next_again_in_the_new_generation(board: Board) -> None:
    first = board.add("a")
    board.add("b", 1)
    board.aired("on_air", first)
    board.wire.take()
    assert board.rundown.interrupt() is first
    assert board.wire.take() == [("Cut", 2), ("Speak", 2, "b", 0), ("End", 2, "b")]
    assert board.ended == []
    assert not board.rundown.nothing_leaving
    board.aired("cut", first, 0, 123)
    assert board.ended == [("a", "cut", "interrupted")]
    assert board.rundown.nothing_leaving


async def test_an_interrupt_before_anything_was_sent_is_a_skip(board: Board) -> None:
    utterance = Utterance(Inbound("a", PromptKind.ASK, "a", Origin("test")))
    board.rundown.add(utterance)
    assert board.rundown.interrupt() is utterance
    assert board.ended == [("a", "skipped", "interrupted")]
    assert board.rundown.interrupt() is None
    assert board.wire.take() == [("Cut", 2), ("Cut", 3)]


async def test_an_interrupt_when_the_utterance_just_ended_is_not_a_cut_of_it_twice(board: Board) -> None:
    utterance = board.add("a", 1)
    board.aired("on_air", utterance)
    board.rundown.interrupt()
    board.aired("heard", utterance)
    board.aired("done", utterance)
    assert board.ended == [("a", "cut", "interrupted")]


async def test_a_panic_cuts_what_is_heard_gives_the_rest_back_and_sends_nothing_until_resumed(board: Board) -> None:
    first, second = board.add("a"), board.add("b")
    board.aired("on_air", first)
    board.wire.take()
    assert board.rundown.panic() == [second]
    assert board.wire.take() == [("Panic", 2)]
    assert not board.rundown.has_room()
    board.rundown.resume()
    assert board.wire.take() == [("Panic", 3)]
    assert board.rundown.has_room()


def test_after_a_death_the_broken_sentence_is_repeated_once_and_what_was_heard_is_not(board: Board) -> None:
    first, _ = board.add("a", 3), board.add("b", 1)
    board.aired("on_air", first, 0)
    board.aired("heard", first, 0)
    board.aired("on_air", first, 1)
    board.rundown.down()
    board.wire.take()
    board.rundown.up(Welcome(0, 25, 200, 0))
    assert board.wire.take() == [
        ("Cut", 2),
        ("Speak", 2, "a", 1),
        ("Speak", 2, "a", 2),
        ("End", 2, "a"),
        ("Speak", 2, "b", 0),
        ("End", 2, "b"),
    ]
    assert board.rundown.repeated == 1
    board.aired("on_air", first, 1)
    board.rundown.down()
    board.rundown.up(Welcome(0, 25, 200, 0))
    assert next(m for m in board.wire.take() if m[0] == "Speak") == ("Speak", 3, "a", 2)
    assert board.rundown.sentences_skipped == 1
    assert board.rundown.repeated == 1


def test_an_utterance_that_playout_dies_of_each_time_makes_way_for_the_next(board: Board) -> None:
    board.add("a", 1)
    board.add("b", 1)
    for _ in range(RESENDS + 1):
        board.rundown.down()
        board.rundown.up(Welcome(0, 25, 200, 0))
    assert board.ended == [("a", "skipped", "playout")]
    assert board.wire.take()[-2:] == [("Speak", 7, "b", 0), ("End", 7, "b")]


def test_when_only_the_report_of_the_end_was_lost_it_is_done(board: Board) -> None:
    utterance = board.add("a", 1)
    board.aired("on_air", utterance)
    board.aired("heard", utterance)
    board.rundown.down()
    board.wire.take()
    board.rundown.up(Welcome(0, 25, 200, 0))
    assert board.ended == [("a", "done", "")]
    assert board.wire.take() == [("Cut", 2)]


def test_a_panic_is_the_first_thing_a_new_playout_hears(board: Board) -> None:
    board.rundown.panic()
    board.rundown.down()
    board.wire.take()
    board.rundown.up(Welcome(0, 25, 200, 9))
    assert board.wire.take() == [("Panic", 10)]


def test_reports_of_an_older_generation_change_nothing(board: Board) -> None:
    first, second = board.add("a"), board.add("b")
    board.aired("on_air", first)
    old = second.generation
    board.rundown.give_again()
    assert not board.rundown.aired(Aired("cut", old, "b", 0, "", "", 1, 0, 0))
    assert board.ended == []


def test_it_waits_for_playout_only_when_playout_could_go_on(board: Board) -> None:
    assert not board.rundown.waits_for_playout
    utterance = board.add("a", 1, complete=False)
    assert board.rundown.waits_for_playout
    board.aired("on_air", utterance)
    assert not board.rundown.waits_for_playout  # a hole: the voice has more to come
    board.rundown.complete(utterance)
    assert board.rundown.waits_for_playout


def test_dropping_what_was_partly_given_ends_it_where_it_is(board: Board) -> None:
    utterance = board.add("a", 1, complete=False)
    board.rundown.drop(utterance, "voice")
    assert board.wire.take()[-1] == ("End", 1, "a")
    board.aired("on_air", utterance)
    board.aired("heard", utterance)
    board.aired("done", utterance)
    assert board.ended == [("a", "cut", "voice")]


def test_the_speaker_goes_on_after_what_is_whole_and_again_with_what_may_not_be(board: Board) -> None:
    utterance = Utterance(Inbound("x", PromptKind.SAY, "x", Origin("test")))
    for line in ("第一句。", "第二句。", "第二句。", "第四句。"):
        utterance.script.add(Line(line, "pass"))
    assert utterance.rewind() == (0, 0)
    utterance.add(piece(0, "第一句。"), 0)
    utterance.add(piece(1, "第二句。"), 0)
    assert utterance.rewind() == (4, 1)  # none of it was sent: it is simply made again
    assert [held.sentence for held in utterance.pieces] == [0]
    utterance.add(piece(0, "第二句。"), 1)
    utterance.sent = 2
    assert utterance.rewind() == (4, 2)  # a part of it may be on its way: said again, as a sentence of its own
    utterance.add(piece(0, "第二句。"), 2)
    utterance.add(piece(1, "第二句。"), 2)
    assert utterance.starts == [0, 4, 4, 8]
    utterance.hear(3)
    assert utterance.rewind() == (12, 4)


def test_verdicts_belong_to_the_line_a_sentence_comes_from(board: Board) -> None:
    utterance = Utterance(Inbound("x", PromptKind.SAY, "x", Origin("test")))
    for text, verdict in (("一，二。", "pass"), (" 三。", "mask"), ("四。", "replace")):
        utterance.script.add(Line(text, verdict))
    for number, text in enumerate(("一，二。", "三。", "四。")):
        utterance.add(piece(number, text), 0)
    assert [utterance.verdict(n) for n in range(4)] == ["pass", "mask", "replace", ""]


class Agreeing:
    """An agreement over a board, with a clock of its own."""

    def __init__(self, board: Board, folder: Path) -> None:
        self.now = 100.0
        self.board = board
        self.durable = Durable(Journal(folder / "unused.sqlite"), folder / "panic")
        self.agreement = Agreement(board.rundown, self.durable, self.panic, lambda: self.now)

    def panic(self) -> None:
        self.board.rundown.panic()
        self.agreement.panic_commanded()

    def report(self, **fields: Any) -> list[tuple[Any, ...]]:
        self.board.wire.take()
        self.now += 1.0
        self.agreement.check(playout_status(1, **fields))
        return self.board.wire.take()


def test_what_playout_has_lost_is_given_again_after_three_reports(board: Board, tmp_path: Path) -> None:
    agreeing = Agreeing(board, tmp_path)
    board.add("a", 1)
    assert [agreeing.report() for _ in range(2)] == [[], []]
    assert agreeing.report(queued_ms=40) == []  # it has something after all
    assert [agreeing.report() for _ in range(2)] == [[], []]
    assert agreeing.report() == [("Cut", 2), ("Speak", 2, "a", 0), ("End", 2, "a")]
    assert agreeing.agreement.unstuck == 1
    assert [agreeing.report(talking="a") for _ in range(5)] == [[]] * 5


def test_only_this_directors_resume_lifts_a_panic_of_playout(board: Board, tmp_path: Path) -> None:
    agreeing = Agreeing(board, tmp_path)
    agreeing.durable.panicked = False
    agreeing.panic()
    board.rundown.resume()
    agreeing.agreement.resumed()
    assert agreeing.report(panicked=True) == []  # that report may be from before
    assert [kind for kind, *_ in agreeing.report(panicked=True)] == ["Panic"]  # told again: it had not heard it
    assert not board.rundown.panicked
    assert agreeing.report(panicked=False) == []
    agreeing.now += 10
    assert [kind for kind, *_ in agreeing.report(panicked=True)] == ["Panic"]  # a new one, given past the director
    assert board.rundown.panicked
    assert agreeing.durable.panicked


def test_the_directors_panic_counts_when_playout_knows_of_none(board: Board, tmp_path: Path) -> None:
    agreeing = Agreeing(board, tmp_path)
    agreeing.panic()
    assert agreeing.report(panicked=False) == []
    assert [kind for kind, *_ in agreeing.report(panicked=False)] == ["Panic"]
    assert board.rundown.panicked


def test_a_panic_given_while_no_director_answered_is_found_and_saved(tmp_path: Path) -> None:
    marker = tmp_path / "panic"
    marker.touch()

    async def run() -> None:
        journal = Journal(tmp_path / "journal.sqlite")
        await journal.open()
        await journal.set_panicked(False, Origin("test"))
        durable = Durable(journal, marker)
        await durable.read()
        assert durable.panicked
        await durable.save(True, Origin("test"))
        assert not marker.exists()
        assert await journal.panicked()
        await asyncio.to_thread(journal.close)

    asyncio.run(run())


def test_a_panic_of_playout_that_no_journal_knows_of_becomes_the_channels(board: Board, tmp_path: Path) -> None:
    agreeing = Agreeing(board, tmp_path)
    assert agreeing.report(panicked=True) == [("Panic", 2)]
    assert board.rundown.panicked
