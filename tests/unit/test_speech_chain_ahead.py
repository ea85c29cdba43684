"""The chain and the air, in virtual time: how far ahead is spoken, what is let go when, and when the air runs dry."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable

import numpy as np
import pytest

from broadcaster.speech import words
from broadcaster.speech.pacing import LET_GO_S
from broadcaster.speech.pipeline import PacedSpeaker
from broadcaster.types import SAMPLE_RATE, Manner, Piece
from tests.fakes.voice import run_virtually
from tests.fakes.voice_links import FaultyLink, SureLink, said
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
    start,
    typed,
    wrong,
)

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module", autouse=True)
def _word_list() -> None:
    words.load()


# -- look-ahead ---------------------------------------------------------------------------------------------------


def test_two_requests_are_under_way_and_the_second_waits_for_the_first_sound() -> None:
    one, last = FaultyLink("one", first_s=1.0, rtf=0.5), SureLink()
    channel = run_virtually(start(one, last, say=(ONE, TWO, THREE)))
    assert one.most_under_way == 2
    assert set(channel.ears.gaps) == {0.0}
    stalling, last = FaultyLink("one", always("stall")), SureLink()
    run_virtually(start(stalling, last, say=(THREE,)))
    assert stalling.most_under_way == 1


def test_the_first_piece_is_let_go_while_it_comes_and_the_others_whole() -> None:
    one, last = FaultyLink("one", first_s=0.5, rtf=0.5, chunk_s=0.1), SureLink()

    async def main() -> Channel:
        channel = await Channel(one, last).say(*WARM)
        one.asked.clear()
        channel.pieces.clear()
        return await channel.say(ONE, TWO)

    channel = run_virtually(main())
    sizes = [len(piece.speech.pcm) / SAMPLE_RATE for _, piece in channel.pieces]
    first = len(said(one.asked[0].text)) * 0.2
    assert sizes[0] < first - 0.2
    chunks = next(n for n in range(1, len(sizes) + 1) if sum(sizes[:n]) >= first)
    assert chunks > 2
    assert len(sizes) - chunks == len(one.asked) - 1, "and no chunk apart behind the first piece"


def test_a_sentence_that_is_not_whole_is_let_go_late() -> None:
    slow = FaultyLink("one", first_s=0.4, rtf=0.7)
    channel = run_virtually(start(slow, SureLink(), say=(TWO, ONE, ONE)))
    end = 0.0
    early = []
    for at_s, piece in channel.pieces:
        if piece.opens is None and piece.sentence > 0:
            early.append(end - at_s)
        end = max(end, at_s) + len(piece.speech.pcm) / SAMPLE_RATE
    assert early
    assert wrong(channel, TWO, ONE, ONE) == []
    assert channel.ears.gaps == [0.0, 0.0]


@pytest.mark.parametrize("seconds", [2.0, 20.0])
def test_synthesis_runs_ahead_of_air_by_so_much_at_most(seconds: float) -> None:
    one = FaultyLink("one", first_s=0.1, rtf=0.05)

    async def main() -> float:
        speaker = PacedSpeaker(chain_of(one, SureLink()), look_ahead_s=seconds)
        clock = asyncio.get_running_loop().time
        heard = 0.0
        most = 0.0
        began = None
        async for piece in speaker.speak(typed(*[ONE] * 20), 1):
            began = clock() if began is None else began
            heard += len(piece.speech.pcm) / SAMPLE_RATE
            asked = sum(len(said(p.text)) for p in one.asked) * 0.2
            most = max(most, asked - (clock() - began))
            await asyncio.sleep(max(0.0, began + heard - clock() - 10.0))
        return most

    most = run_virtually(main())
    assert seconds * 0.6 <= most <= seconds + 2 * 8.5, "two pieces of 40 characters may be under way on top of it"


class Draining:
    """Port `Hands`: half a minute of sound waits at first, and is heard as time goes by."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock

    def unheard(self) -> float:
        return max(0.0, 30.0 - self._clock())

    def lips(self) -> float:
        return 0.0


def test_sound_that_waits_for_air_elsewhere_counts() -> None:
    """The utterance before is still on air: this one is not made further ahead for it, and nothing is hedged."""
    one = FaultyLink("one", first_s=0.5, rtf=0.05)
    last = SureLink()

    async def main() -> float:
        speaker = PacedSpeaker(chain_of(one, last))
        clock = asyncio.get_running_loop().time
        stream = speaker.speak(typed(*[ONE] * 20), 1, Manner(), Draining(clock))
        first = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(19)
        assert one.asked == []
        await first
        await stream.aclose()
        return clock()

    assert 20.0 < run_virtually(main()) <= 29.0
    assert last.asked == []


def test_the_rule_of_late_release_is_longer_than_a_look_of_the_head() -> None:
    assert 0.5 <= LET_GO_S <= 3.0


# -- the air runs dry ---------------------------------------------------------------------------------------------


def test_the_faded_end_of_a_voice_that_gives_up_does_not_stop_the_voice_beside_it() -> None:
    """It stalls inside of its first piece, and its time-out comes just before the embedded voice gives its sound."""
    one = FaultyLink("one", always("cut inside"), first_s=0.1, rtf=0.1, chunk_s=0.1, cut_at=0.6)
    one.fades = True
    last = SureLink(fixed_s=3.2)
    two = FaultyLink("two")
    channel = run_virtually(start(one, two, last, say=(SHORT,)))
    assert wrong(channel, SHORT) == []
    assert last.asked
    assert two.asked == [], "the embedded voice is nearly ready: nobody else is asked, and paid"
    assert [engine for _, engine in channel.engines] == ["one", "last"]


def test_the_embedded_voice_is_started_beside_a_silent_link_when_the_air_runs_dry() -> None:
    one, two, last = FaultyLink("one", at(1, "stall")), FaultyLink("two"), SureLink()
    channel = run_virtually(start(one, two, last, say=("今天天气很好。", TWO, THREE)))
    assert wrong(channel, "今天天气很好。", TWO, THREE) == []
    assert max(channel.ears.gaps) < 1.0, "the time-out of the first sound is four seconds"
    assert one.cancelled == 1
    assert two.asked == []
    assert channel.engines[:2] == [(0, "one"), (1, "last")]
    assert channel.chain.status()[0]["failures"] == 1


def test_a_link_that_is_in_time_after_all_goes_on_and_the_embedded_voice_is_stopped() -> None:
    one, last = FaultyLink("one", at(1, "slow start"), dice=random.Random(3)), SureLink(fixed_s=3.0)
    channel = run_virtually(start(one, last, say=("今天天气很好。", TWO)))
    assert wrong(channel, "今天天气很好。", TWO) == []
    assert {engine for _, engine in channel.engines} == {"one"}
    assert last.cancelled == len(last.asked) == 1
    assert channel.chain.status()[0]["failures"] == 0


def test_a_clause_that_stalls_inside_does_not_wait_for_its_time_out() -> None:
    class Stalls(FaultyLink):
        async def speak(self, piece: Piece, generation: int) -> AsyncIterator[object]:  # type: ignore[override]
            self.asked.append(piece)
            async for chunk in self._chunks(np.full(SAMPLE_RATE * 3 // 5, 1000, np.int16), None):
                yield chunk
            await asyncio.sleep(60)

    stalls, last = Stalls("one", chunk_s=0.2), SureLink()

    async def main() -> float:
        channel = await Channel(stalls, last).say("今天天气很好，我们出门走走。")
        assert channel.chain.repeated == 1
        assert [engine for _, engine in channel.engines] == ["one", "last"]
        return max(channel.ears.holes)

    assert run_virtually(main()) < 2.0


def test_at_the_start_of_an_utterance_a_slow_link_is_waited_for() -> None:
    one, last = FaultyLink("one", always("slow start")), SureLink()
    channel = run_virtually(start(one, last, say=(SHORT,)))
    assert channel.engines == [(0, "one")]
    assert last.asked == []
