"""The desk of end-to-end voices in virtual time: deadlines, order, what is spent, how sentences are numbered."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from broadcaster.director.end_to_end import EndToEndDesk, Guest, Reply
from broadcaster.errors import BrainError
from broadcaster.supervisor.breaker import CircuitBreaker
from broadcaster.types import Inbound, Message, Origin, PromptKind, RawSound, Speech, Turn, Usage
from tests.fakes.gate import PassGate
from tests.fakes.voice import run_virtually
from tests.fakes.voice_peer import tone

pytestmark = pytest.mark.unit

PROMPT = Inbound("p1", PromptKind.ASK, "在吗？", Origin("test"), received_ns=1_000_000_000_000)
SOUND = RawSound(bytes(48_000), 24_000)
ANSWER = ("在的。", SOUND, "请说。", SOUND, Usage(3, 4))


class Scripted:
    """An engine that plays its items; a number is a pause in seconds, an error is raised."""

    def __init__(self, *script: Any) -> None:
        self.name = "scripted"
        self.script = script
        self.asked = self.closed = 0

    async def converse(self, turn: Turn) -> AsyncIterator[RawSound | str | Usage]:
        self.asked += 1
        try:
            for item in self.script:
                if isinstance(item, float):
                    await asyncio.sleep(item)
                elif isinstance(item, BrainError):
                    raise item
                else:
                    yield item
        finally:
            self.closed += 1

    async def close(self) -> None:
        pass


def finished(name: str, sounds: Sequence[RawSound], sentences: Sequence[str]) -> list[tuple[int, Speech]]:
    return [(number, tone(480)) for number, _ in enumerate(sentences)]


def guest(engine: Scripted, name: str = "first") -> Guest:
    clock = asyncio.get_running_loop().time
    return Guest(name, engine, CircuitBreaker(clock, random.Random(1)), 2.0, 5.0)


def desk(*guests: Guest, **options: Any) -> EndToEndDesk:
    return EndToEndDesk(guests, **{"gate": PassGate(), "finish": finished, "threads": False, **options})


async def turn() -> Turn:
    return Turn(PROMPT, "你是小播。", (Message("user", PROMPT.text),))


async def timed(asked: EndToEndDesk) -> tuple[Reply | None, float]:
    clock = asyncio.get_running_loop().time
    began = clock()
    return await asked.answer(PROMPT, turn), clock() - began


@pytest.mark.parametrize(
    ("script", "seconds", "why"),
    [
        ((60.0, *ANSWER), 2.0, "no sound within 2 s"),
        (("在的。", 60.0, SOUND), 2.0, "no sound within 2 s"),
        (("在的。", SOUND, 60.0), 5.0, "no whole answer within 5 s"),
        ((1.0, BrainError("it broke")), 1.0, "it broke"),
        ((SOUND,), 0.0, "without its sound or without its transcript"),
        (("在的。",), 0.0, "without its sound or without its transcript"),
        (("长" * 2001, SOUND), 0.0, "does not end"),
        (("长", RawSound(bytes(24_000 * 2 * 121), 24_000)), 0.0, "does not end"),
    ],
)
def test_it_is_given_up_in_time_and_its_request_closed(script: tuple[Any, ...], seconds: float, why: str) -> None:
    async def scene() -> None:
        engine = Scripted(*script)
        asked = desk(guest(engine))
        reply, took = await timed(asked)
        assert reply is None
        assert took == pytest.approx(seconds, abs=0.01)
        assert (engine.asked, engine.closed) == (1, 1)
        (status,) = asked.status()
        assert why in status["error"]

    run_virtually(scene())


def test_a_slow_gate_counts_against_the_whole() -> None:
    class Slow(PassGate):
        async def admit(self, text: str, origin: Origin) -> Any:
            await asyncio.sleep(3.0)
            return await super().admit(text, origin)

    async def scene() -> None:
        reply, took = await timed(desk(guest(Scripted(*ANSWER)), gate=Slow()))
        assert reply is None
        assert took == pytest.approx(5.0, abs=0.01)

    run_virtually(scene())


def test_they_are_asked_in_order_and_only_while_they_may_be() -> None:
    async def scene() -> None:
        broken, well = Scripted(BrainError("no", denied=True)), Scripted(*ANSWER)
        asked = desk(guest(broken, "first"), guest(well, "second"))
        for _ in range(2):
            reply, _ = await timed(asked)
            assert reply is not None
            assert {piece.engine for piece in reply.pieces} == {"second"}
        assert (broken.asked, well.asked) == (1, 2)
        assert [each["state"] for each in asked.status()] == ["open", "closed"]

    run_virtually(scene())


def test_what_it_takes_is_told_and_what_is_spent_is_not_asked() -> None:
    async def scene() -> None:
        spent: list[tuple[str, Usage]] = []
        engine = Scripted(*ANSWER)
        told = {
            "spent": lambda guest, usage: spent.append((guest.name, usage)),
            "affordable": lambda guest: not spent,
        }
        asked = desk(guest(engine), **told)
        assert (await timed(asked))[0] is not None
        assert (await timed(asked))[0] is None
        assert spent == [("first", Usage(3, 4))]
        assert engine.asked == 1

    run_virtually(scene())


def test_an_old_question_is_left_to_the_mind() -> None:
    async def scene() -> None:
        engine = Scripted(*ANSWER)
        now = [PROMPT.received_ns + 10_000_000_000]
        asked = desk(guest(engine), stale_after_s=10.0, wall_ns=lambda: now[0])
        assert (await timed(asked))[0] is not None
        now[0] += 1
        assert (await timed(asked))[0] is None
        assert engine.asked == 1

    run_virtually(scene())


def test_a_sentence_without_sound_of_its_own_goes_with_the_one_before() -> None:
    async def scene() -> None:
        def gaps(name: str, sounds: Sequence[RawSound], sentences: Sequence[str]) -> list[tuple[int, Speech]]:
            assert sentences == ["嗯。", "一号。", "二号。", "三号。"]
            return [(1, tone(480)), (1, tone(480)), (3, tone(480))]

        reply, _ = await timed(desk(guest(Scripted("嗯。一号。二号。三号。", SOUND)), finish=gaps))
        assert reply is not None
        told = [(piece.sentence, piece.opens, piece.last) for piece in reply.pieces]
        assert told == [(1, "嗯。一号。二号。", False), (1, None, False), (3, "三号。", True)]
        assert [verdict.text for verdict in reply.verdicts] == ["嗯。", "一号。", "二号。", "三号。"]

    run_virtually(scene())


def test_broken_off_it_has_neither_failed_nor_kept_its_breaker() -> None:
    async def scene() -> None:
        engine = Scripted(1.0, *ANSWER)
        asked = desk(guest(engine))
        task = asyncio.create_task(asked.answer(PROMPT, turn))
        await asyncio.sleep(0.5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert engine.closed == 1
        assert asked.status()[0]["failures"] == 0
        assert (await timed(asked))[0] is not None

    run_virtually(scene())


def test_of_sound_that_says_what_must_not_be_spoken_only_the_rest_of_its_text_is_used() -> None:
    async def scene() -> None:
        engine = Scripted("（笑）在的。请说。", SOUND)
        reply, _ = await timed(desk(guest(engine), clean=lambda text: text.replace("（笑）", "")))
        assert reply is not None
        assert reply.pieces == ()
        assert [verdict.text for verdict in reply.verdicts] == ["在的。", "请说。"]
        reply, _ = await timed(desk(guest(engine), clean=lambda text: text.replace("。", "！")))
        assert reply is not None
        assert [piece.opens for piece in reply.pieces] == ["（笑）在的！", "请说！"]

    run_virtually(scene())


def test_together_they_have_no_longer_than_the_longest_of_one() -> None:
    async def scene() -> None:
        stalled = [Scripted("在的。", SOUND, 60.0) for _ in range(3)]
        asked = desk(*(guest(engine, str(number)) for number, engine in enumerate(stalled)))
        reply, took = await timed(asked)
        assert reply is None
        assert took == pytest.approx(5.0, abs=0.01)
        assert [engine.asked for engine in stalled] == [1, 0, 0]
        late = Scripted(60.0)
        reply, took = await timed(desk(guest(late, "first"), guest(Scripted(2.5, *ANSWER), "second")))
        assert (reply, took) == (None, pytest.approx(4.0, abs=0.01))
        reply, took = await timed(desk(guest(late, "first"), guest(Scripted("在的。", SOUND, 60.0), "second")))
        assert (reply, took) == (None, pytest.approx(5.0, abs=0.01))

    run_virtually(scene())


def test_a_fault_of_its_own_is_a_failure_like_any_other() -> None:
    async def scene() -> None:
        def broken(name: str, sounds: Sequence[RawSound], sentences: Sequence[str]) -> list[tuple[int, Speech]]:
            raise ZeroDivisionError

        asked = desk(guest(Scripted(*ANSWER)), finish=broken)
        assert (await timed(asked))[0] is None
        assert "ZeroDivisionError" in asked.status()[0]["error"]

    run_virtually(scene())


def test_a_question_that_is_cancelled_leaves_the_breaker_as_it_was() -> None:
    async def work() -> None:
        engine = Scripted(BrainError("500"))
        one = guest(engine)
        asked = desk(one)
        while one.breaker.state == "closed":
            await timed(asked)
        engine.script = (1.0, *ANSWER)
        await asyncio.sleep(3600.0)
        assert one.breaker.state == "half_open"
        tried = engine.asked
        began = asyncio.create_task(asked.answer(PROMPT, turn))
        await asyncio.sleep(0.5)
        assert engine.asked == tried + 1
        began.cancel()
        await asyncio.wait({began})
        assert (await timed(asked))[0] is not None, "the probe was given back"

    run_virtually(work())
