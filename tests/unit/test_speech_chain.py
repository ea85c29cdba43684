"""The chain in virtual time: who takes over from where, what is asked and what is not, and what the breakers see."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable, Sequence

import numpy as np
import pytest

from broadcaster.errors import VoiceError
from broadcaster.ports import Voice
from broadcaster.speech import words
from broadcaster.speech.chain import ChainVoice, Link
from broadcaster.speech.pacing import LET_GO_S
from broadcaster.speech.pipeline import PacedSpeaker
from broadcaster.speech.slots import CUT_PAUSE, TAIL
from broadcaster.supervisor.breaker import FAILURES, CircuitBreaker
from broadcaster.types import SAMPLE_RATE, Manner, Piece, Speech, SpokenPiece
from tests.fakes.voice import run_virtually
from tests.fakes.voice_links import FADED, Ears, FaultyLink, SureLink, once_and_in_order, said, spelled

pytestmark = pytest.mark.unit

ONE = "今天我们一起去城市里的公园看看花开得怎么样，顺便喝一杯热热的茶，听一听老朋友讲的故事。"
TWO = "明天晚上有一场很好看的电影，大家都可以来。"
THREE = "周末坐火车去海边旅行。"
SHORT = "大家好。"
WARM = (TWO, THREE)
"""Said first where the speed of a voice has to be known."""

Fault = Callable[[Piece, int], str | None]


@pytest.fixture(scope="module", autouse=True)
def _word_list() -> None:
    words.load()


def at(call: int, fault: str) -> Fault:
    return lambda piece, number: fault if number == call else None


def on(text: str, fault: str) -> Fault:
    return lambda piece, number: fault if piece.text.startswith(text) else None


def always(fault: str) -> Fault:
    return lambda piece, number: fault


def chain_of(*voices: Voice, languages: Sequence[str] = ("zh", "en")) -> ChainVoice:
    """Breakers before all but the last. `languages` are the first link's."""
    clock = asyncio.get_running_loop().time
    links = [Link(voice.name, voice, CircuitBreaker(clock, random.Random(1))) for voice in voices[:-1]]
    if links:
        links[0].languages = frozenset(languages)
    return ChainVoice([*links, Link(voices[-1].name, voices[-1])])


class Channel:
    """A chain, what was heard through it, and when each piece was let go."""

    def __init__(self, *voices: Voice, languages: Sequence[str] = ("zh", "en"), paced: bool = True) -> None:
        self.chain = chain_of(*voices, languages=languages)
        self.speaker = PacedSpeaker(self.chain, paced=paced)
        self.ears = Ears()
        self.pieces: list[tuple[float, SpokenPiece]] = []

    async def say(self, *sentences: str, manner: Manner | None = None) -> Channel:
        clock = asyncio.get_running_loop().time
        self.ears.silence()
        spoken = self.speaker.speak(typed(*sentences), 1, *([manner] if manner else []))
        async for piece in spoken:
            self.pieces.append((clock(), piece))
            self.ears.take(clock(), piece)
        self.ears.end()
        return self

    @property
    def engines(self) -> list[tuple[int, str]]:
        return self.ears.engines


async def typed(*sentences: str) -> AsyncIterator[str]:
    for sentence in sentences:
        yield sentence


def wrong(channel: Channel, *sentences: str) -> list[str]:
    return once_and_in_order(channel.ears.text, "".join(map(said, sentences)))


# -- taking over ------------------------------------------------------------------------------------------------


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


async def start(*voices: Voice, say: Sequence[str], languages: Sequence[str] = ("zh", "en")) -> Channel:
    return await Channel(*voices, languages=languages).say(*say)


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
    one = FaultyLink("one", on(ONE[:4], "cut inside"), rtf=0.8, chunk_s=0.1, cut_at=0.9)
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


# -- bad sentences and dead voices --------------------------------------------------------------------------------


def test_a_sentence_that_every_link_refuses_is_left_out_and_opens_no_breaker(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuse(piece: Piece, call: int) -> str | None:
        return "refuse" if "电影" in piece.text else None

    def fails(piece: Piece, call: int) -> VoiceError | None:
        return VoiceError("no", retryable=False) if "电影" in piece.text else None

    bad = "来看电影。"
    one, two, last = FaultyLink("one", refuse), FaultyLink("two", refuse), SureLink(fails=fails)
    text = [THREE, *[bad] * (FAILURES + 2), THREE]
    with caplog.at_level(logging.INFO):
        channel = run_virtually(start(one, two, last, say=text))
    assert wrong(channel, THREE, THREE) == []
    assert channel.chain.left_out == FAILURES + 2
    assert [link["state"] for link in channel.chain.status()] == ["closed"] * 3
    assert [link["failures"] for link in channel.chain.status()[:2]] == [0, 0]
    assert "电影" not in caplog.text


def test_a_link_that_refuses_what_another_speaks_is_left_alone_in_the_end() -> None:
    one, last = FaultyLink("one", always("refuse")), SureLink()
    channel = run_virtually(start(one, last, say=[THREE] * (FAILURES + 3)))
    assert wrong(channel, *[THREE] * (FAILURES + 3)) == []
    assert len(one.asked) < FAILURES + 3
    assert channel.chain.status()[0]["state"] == "open"


def test_a_wrong_key_is_tried_once() -> None:
    one, last = FaultyLink("one", always("denied")), SureLink()
    channel = run_virtually(start(one, last, say=(THREE, TWO, THREE)))
    assert wrong(channel, THREE, TWO, THREE) == []
    assert len(one.asked) == 1
    status = channel.chain.status()[0]
    assert (status["name"], status["spoken"], status["failures"]) == ("one", 0, 1)
    assert status["error"] == "one: wrong key"
    assert status["state"] != "closed"


def test_a_dead_link_is_left_alone_and_comes_back(caplog: pytest.LogCaptureFixture) -> None:
    alive = False

    def dead(piece: Piece, call: int) -> str | None:
        return None if alive else "error"

    one, last = FaultyLink("one", dead), SureLink()

    async def main() -> list[str]:
        nonlocal alive
        channel = Channel(one, last)
        for _ in range(10):
            await channel.say(SHORT)
        states = [channel.chain.status()[0]["state"]]
        asked = len(one.asked)
        await asyncio.sleep(60)
        states.append(channel.chain.status()[0]["state"])
        alive = True
        await channel.say(SHORT)
        states.append(channel.chain.status()[0]["state"])
        assert len(one.asked) == asked + 1
        assert channel.engines[-1][1] == "one"
        return states

    with caplog.at_level(logging.INFO):
        assert run_virtually(main()) == ["open", "half_open", "closed"]
    edges = [record.message for record in caplog.records if record.message.startswith("a voice")]
    assert edges == ["a voice is not asked for a while", "a voice speaks again"]


def test_when_the_last_voice_fails_too_the_speaker_says_so() -> None:
    def down(piece: Piece, call: int) -> VoiceError:
        return VoiceError("the process is away")

    one, last = FaultyLink("one", always("error")), SureLink(fails=down)
    with pytest.raises(VoiceError, match="the process is away") as caught:
        run_virtually(start(one, last, say=(THREE, THREE, THREE)))
    assert caught.value.retryable


def test_sound_from_a_cache_teaches_nothing_about_its_engine() -> None:
    class Cached:
        name = "cached"

        async def speak(self, piece: Piece, generation: int) -> AsyncIterator[Speech]:
            yield Speech(spelled(piece.text), (), kept=True)

    async def main() -> tuple[str, float, float]:
        channel = Channel(Cached(), SureLink())
        link = channel.chain.links[0]
        before = link.speed.predicted(20)
        for _ in range(FAILURES):
            link.breaker.failed()
        await asyncio.sleep(10)
        await channel.say(SHORT)
        assert channel.engines == [(0, "cached")]
        return link.breaker.state, before, link.speed.predicted(20)

    state, before, after = run_virtually(main())
    assert state == "half_open"
    assert after == before


# -- languages ----------------------------------------------------------------------------------------------------


def test_a_link_is_passed_over_for_a_language_it_lacks() -> None:
    one, last = FaultyLink("one"), SureLink()
    english = "Then we all go home and have a cup of tea. "
    channel = run_virtually(start(one, last, say=(THREE, english, TWO), languages=["zh"]))
    assert channel.engines == [(0, "one"), (1, "last"), (2, "one")]
    assert {piece.language for piece in one.asked} == {"zh"}
    assert {piece.language for piece in last.asked} == {"en"}


def test_a_mixed_sentence_is_split_where_its_voice_cannot_speak_all_of_it() -> None:
    mixed = "今天我们聊聊machine learning还有它的故事。"
    one, last = FaultyLink("one"), SureLink()
    channel = run_virtually(start(one, last, say=(mixed,), languages=["zh"]))
    assert wrong(channel, mixed) == []
    assert [piece.text for piece in last.asked] == ["machine learning"]
    assert [engine for _, engine in channel.engines] == ["one", "last", "one"]
    both, rest = FaultyLink("one"), SureLink()
    run_virtually(start(both, rest, say=(mixed,)))
    assert "".join(piece.text for piece in both.asked) == mixed, "a voice that can speak both is not split"
    assert rest.asked == []


def test_the_foreign_part_fails_alone() -> None:
    mixed = "今天我们聊聊machine learning还有它的故事。"

    def english(piece: Piece, call: int) -> str | None:
        return "error" if piece.language == "en" else None

    async def main() -> Channel:
        channel = Channel(FaultyLink("zh only"), FaultyLink("both", english), SureLink(), languages=["zh"])
        return await channel.say(mixed)

    channel = run_virtually(main())
    assert wrong(channel, mixed) == []
    assert [engine for _, engine in channel.engines] == ["zh only", "last", "zh only"]


# -- look-ahead ---------------------------------------------------------------------------------------------------


def test_two_requests_are_under_way_and_the_second_waits_for_the_first_sound() -> None:
    one, last = FaultyLink("one", first_s=1.0, rtf=0.5), SureLink()
    channel = run_virtually(start(one, last, say=(ONE, TWO, THREE)))
    assert one.most_under_way == 2
    assert channel.ears.gaps == [0.0, 0.0]
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


def test_sound_that_waits_for_air_elsewhere_counts() -> None:
    """The utterance before is still on air: this one is not made further ahead for it, and nothing is hedged."""
    one = FaultyLink("one", first_s=0.5, rtf=0.05)
    last = SureLink()

    async def main() -> float:
        speaker = PacedSpeaker(chain_of(one, last))
        clock = asyncio.get_running_loop().time
        stream = speaker.speak(typed(*[ONE] * 20), 1, Manner(), lambda: max(0.0, 30.0 - clock()))
        first = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(19)
        assert one.asked == []
        await first
        await stream.aclose()
        return clock()

    assert 20.0 < run_virtually(main()) <= 29.0
    assert last.asked == []


# -- the air runs dry ---------------------------------------------------------------------------------------------


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


def test_the_rule_of_late_release_is_longer_than_a_look_of_the_head() -> None:
    assert 0.5 <= LET_GO_S <= 3.0
