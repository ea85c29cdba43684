"""Which link of the chain is asked: bad sentences and dead voices, what the breakers see, and languages."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest

from broadcaster.errors import VoiceError
from broadcaster.speech import words
from broadcaster.supervisor.breaker import FAILURES
from broadcaster.types import Piece, Speech
from tests.fakes.voice import run_virtually
from tests.fakes.voice_links import FaultyLink, SureLink, spelled
from tests.support.voice_chain import (
    SHORT,
    THREE,
    TWO,
    Channel,
    always,
    start,
    wrong,
)

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module", autouse=True)
def _word_list() -> None:
    words.load()


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
