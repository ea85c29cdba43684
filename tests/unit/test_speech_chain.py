"""The chain in virtual time: who takes over from where, and what an interrupt leaves behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import numpy as np
import pytest

from broadcaster.speech import words
from broadcaster.speech.chain import ChainVoice
from broadcaster.speech.pipeline import PacedSpeaker
from broadcaster.speech.slots import CUT_PAUSE, TAIL
from broadcaster.supervisor.breaker import FAILURES
from broadcaster.types import Manner, Piece
from tests.fakes.voice import run_virtually
from tests.fakes.voice_links import FADED, FaultyLink, SureLink, said
from tests.support.voice_chain import (
    ONE,
    SHORT,
    THREE,
    TWO,
    WARM,
    Channel,
    always,
    at,
    chain_of,
    on,
    start,
    typed,
    wrong,
)

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module", autouse=True)
def _word_list() -> None:
    words.load()


# -- taking over --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["stall", "error", "silence", "refuse", "denied"])
def test_a_sentence_not_yet_heard_is_taken_over_from_its_start(fault: str) -> None:
    """Its second piece fails after the first was made: the next voice says both."""

    def second(piece: Piece, call: int) -> str | None:
        return fault if piece.sentence == 1 and not piece.text.startswith(ONE[:2]) else None

    one, two, last = FaultyLink("one", second), FaultyLink("two"), SureLink()
    channel = run_virtually(start(one, two, last, say=(TWO * 2, ONE, THREE)))
    assert wrong(channel, TWO, TWO, ONE, THREE) == []
    for sentence in {piece.sentence for _, piece in channel.pieces}:
        assert len({engine for number, engine in channel.engines if number == sentence}) == 1, "one voice a sentence"


def test_pieces_already_made_are_made_again_by_the_voice_that_takes_over() -> None:
    def late(piece: Piece, call: int) -> str | None:
        return "stall" if piece.text.endswith("。") and piece.sentence == 1 else None

    long = ONE[:-1] + "，" + ONE
    one, two, last = FaultyLink("one", late), FaultyLink("two"), SureLink()
    channel = run_virtually(start(one, two, last, say=(ONE, long, THREE)))
    assert wrong(channel, ONE, long, THREE) == []
    again = [piece.text for piece in two.asked if piece.sentence == 1]
    assert len(again) >= 2
    assert "".join(again) == long, "all of it, though the first voice had made most"
    assert [engine for number, engine in channel.engines] == ["one", "two", "one"]


def test_a_sentence_partly_let_go_goes_on_from_the_first_clause_not_begun() -> None:
    one, two, last = FaultyLink("one", rtf=0.8), FaultyLink("two"), SureLink()
    one.fault = lambda piece, call: "error" if call == 2 else None
    long = ONE[:-1] + "，" + ONE
    channel = run_virtually(start(one, two, last, say=(long,)))
    assert wrong(channel, long) == []
    assert FADED not in channel.ears.text
    assert channel.engines == [(0, "one"), (0, "two")]
    failed = one.asked[2].text
    assert "".join(piece.text for piece in two.asked) == long[long.index(failed) :], "and nothing before it"


@pytest.mark.parametrize("paced", [True, False])
def test_a_clause_cut_inside_is_faded_out_and_said_again_alone(paced: bool) -> None:
    one = FaultyLink("one", on(ONE[:4], "cut inside"), rtf=0.9, chunk_s=0.1, cut_at=0.9)
    two, last = FaultyLink("two"), SureLink()

    async def main() -> Channel:
        channel = await Channel(one, two, last, paced=paced).say(*WARM)
        return await channel.say(ONE, THREE)

    channel = run_virtually(main())
    assert wrong(channel, *WARM, ONE, THREE) == []
    assert channel.ears.openings == [*WARM, ONE, THREE]
    if not paced:
        assert FADED not in channel.ears.text, "off line nothing is let go before its sentence is whole"
        assert channel.chain.repeated == 0
        return
    assert channel.ears.text.count(FADED) == 1
    assert channel.chain.repeated == 1
    before, behind = channel.ears.text.split(FADED)
    assert behind.startswith(said(two.asked[0].text))
    assert said(two.asked[0].text).startswith(before.removeprefix(said("".join(WARM)))[:-1])
    assert two.asked[0].text in [piece.text for piece in one.asked], "that clause alone"
    closing = next(piece for _, piece in channel.pieces if len(piece.speech.pcm) == TAIL + CUT_PAUSE)
    tail = np.abs(closing.speech.pcm[:TAIL].astype(int))
    assert tail[0] > 0
    assert tail[-1] == 0
    assert (np.diff(tail) <= 0).all()
    assert not closing.speech.pcm[TAIL:].any()


def test_each_link_is_asked_in_turn_and_the_last_one_last() -> None:
    one, two, last = FaultyLink("one", always("error")), FaultyLink("two", always("stall")), SureLink()
    channel = run_virtually(start(one, two, last, say=(SHORT,)))
    assert wrong(channel, SHORT) == []
    assert [len(voice.asked) for voice in (one, two, last)] == [1, 1, 1]
    assert channel.engines == [(0, "last")]


def test_the_next_sentence_is_asked_of_the_first_link_again() -> None:
    one, last = FaultyLink("one", at(0, "error")), SureLink()
    channel = run_virtually(start(one, last, say=(THREE, TWO)))
    assert channel.engines == [(0, "last"), (1, "one")]


def test_phones_cover_every_piece_across_fades_and_pauses() -> None:
    one, last = FaultyLink("one", at(0, "cut inside"), chunk_s=0.2), SureLink()
    channel = run_virtually(start(one, last, say=(ONE, TWO)))
    for _, piece in channel.pieces:
        bounds = [0, *(edge for phone in piece.speech.phones for edge in (phone.start, phone.end))]
        assert bounds == sorted(bounds)
        assert bounds[-1] == len(piece.speech.pcm)
        assert sum(phone.end - phone.start for phone in piece.speech.phones) == len(piece.speech.pcm)


def test_a_voice_that_breaks_in_an_unforeseen_way_is_taken_over_too(caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        name = "broken"

        async def speak(self, piece: Piece, generation: int) -> AsyncIterator[object]:
            raise KeyError(piece.text)
            yield

    channel = run_virtually(start(Broken(), SureLink(), say=(THREE,)))  # type: ignore[arg-type]
    assert channel.engines == [(0, "last")]
    assert channel.chain.links[0].error == "KeyError inside of the voice"
    assert THREE[:4] not in "".join(record.getMessage() for record in caplog.records)


def test_a_voice_that_returns_nothing_is_taken_over() -> None:
    class Empty:
        name = "empty"

        async def speak(self, piece: Piece, generation: int) -> AsyncIterator[object]:
            return
            yield

    channel = run_virtually(start(Empty(), SureLink(), say=(THREE,)))  # type: ignore[arg-type]
    assert channel.engines == [(0, "last")]


# -- interrupting -------------------------------------------------------------------------------------------------


def test_closing_cancels_every_request_at_once_and_asks_nothing_more() -> None:
    one, last = FaultyLink("one", first_s=0.5, rtf=0.9), SureLink()

    async def main() -> tuple[float, int]:
        speaker = PacedSpeaker(chain_of(one, last))
        stream = speaker.speak(typed(ONE, TWO, THREE), 1)
        await anext(stream)
        await asyncio.sleep(0.6)
        asked = len(one.asked)
        under_way = one.under_way
        before = asyncio.get_running_loop().time()
        await stream.aclose()
        took = asyncio.get_running_loop().time() - before
        assert one.under_way == 0
        assert one.cancelled == under_way == 2
        await asyncio.sleep(30)
        return took, len(one.asked) - asked

    assert run_virtually(main()) == (0.0, 0)
    assert last.asked == []


def test_a_cancelled_try_leaves_the_breaker_half_open() -> None:
    faults = ["error"] * FAILURES
    one = FaultyLink("one", lambda piece, call: faults[call] if call < len(faults) else None, first_s=2.0)

    async def main() -> list[str]:
        channel = Channel(one, SureLink())
        for _ in range(FAILURES):
            await channel.say(THREE)
        await asyncio.sleep(10)
        stream = channel.speaker.speak(typed(THREE), 1)
        first = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(1)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        states = [channel.chain.links[0].breaker.state]
        await channel.say(THREE)
        return [*states, channel.chain.links[0].breaker.state]

    assert run_virtually(main()) == ["half_open", "closed"]


def test_no_two_requests_have_the_same_number() -> None:
    """A cancelled request takes all with lower numbers along in the voice process."""
    numbers: list[int] = []

    class Numbered(SureLink):
        async def speak(self, piece: Piece, generation: int) -> AsyncIterator[object]:  # type: ignore[override]
            numbers.append(generation)
            async for chunk in super().speak(piece, generation):
                yield chunk

    async def main() -> None:
        speaker = PacedSpeaker(Numbered())
        for generation in (5, 6, 7):
            async for _ in speaker.speak(typed(ONE, TWO), generation):
                pass

    run_virtually(main())
    assert len(numbers) > 6
    assert numbers == sorted(set(numbers))
    assert numbers[0] > 5


def test_the_manner_reaches_every_link() -> None:
    manner = Manner(speed=1.2, pitch=-2.0, voice="x")
    one, last = FaultyLink("one", always("error")), SureLink()

    async def main() -> None:
        await Channel(one, last).say(THREE, manner=manner)

    run_virtually(main())
    assert {piece.manner for piece in [*one.asked, *last.asked]} == {manner}


def test_a_chain_needs_a_link() -> None:
    with pytest.raises(ValueError, match="at least one link"):
        ChainVoice([])
