"""One suite over every voice engine of `registry.VOICES`: the real SDK or HTTP client against a local server.

To add an engine, write `tests/contract/voice_cases/<its name>.py` with

    CASES = [MyCase()]            # one per setting that changes the wire (a format, a mode)

    class MyCase(VoiceCase):      # see `voice_cases/case.py`; `openai_speech.py` is an example over HTTP,
        engine = "my_engine"      # `edge.py` one over a websocket with an SDK that takes no address
        rate = 24_000             # of what the fake sends by default
        exact = True              # bits are compared; False behind a lossy codec
        words = False             # TimedWords are promised
        needs_reference = False   # zero-shot: VoiceError without a recording
        outcomes = {**OVER_HTTP, Fault.STEREO: Outcome("all", "well", channels=2), ...}
        impossible = {Fault.OTHER_RATE: "the wire has no place to tell a rate"}
        def serve(self): ...      # async context manager: a fake of `tests/fakes/` with `fault`, `sound`,
                                  # `requests`, `left` and `open` (Protocol `VoiceServer`)
        def link(self, server, **options): ...   # its settings, SECRET as the key
        def text_of(self, request): ...          # what a request asked to be spoken
        def speed_of(self, request): ...         # and how fast
        def patch(self, monkeypatch, server): ...   # only for an SDK that takes no address

Every fault of `Fault` but those of ENDLESS must be in `outcomes` or, with the reason, in `impossible`. What only
one engine has (a trap of its SDK, a field of its request) is tested in `test_voice_<engine>.py`, with the same fake.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from broadcaster import registry
from broadcaster.errors import VoiceError
from broadcaster.ports import VoiceEngine
from broadcaster.types import Manner, Piece, RawSound, VoiceReference
from tests.contract.voice_cases.case import (
    AGAIN,
    ENDLESS,
    OTHER_RATE,
    SECRET,
    TEXT,
    Fault,
    VoiceCase,
    VoiceServer,
    all_cases,
    cases_of,
    reference,
    sound,
)
from tests.support.waiting import until

pytestmark = pytest.mark.contract

CASES = all_cases()
FAULTS = [(case, fault) for case in CASES for fault in case.outcomes]

NEVER_S = 10.0
"""Longer than anything here takes: a wait that runs out is a failure."""

GIVES_UP_S = 0.05
"""How long the listener of an endless answer waits for more."""

LOSSY_PADDING_S = 0.2
"""What a codec puts around a sound (MP3: up to 70 ms, and again for each file of a ZIP)."""


@dataclass
class Take:
    """What was heard of one piece."""

    chunks: list[RawSound] = field(default_factory=list)
    gave_up: bool = False
    error: VoiceError | None = None

    @property
    def data(self) -> bytes:
        return b"".join(chunk.data for chunk in self.chunks)


async def listen(
    engine: VoiceEngine,
    text: str = TEXT,
    *,
    manner: Manner | None = None,
    first: float = NEVER_S,
    gap: float = NEVER_S,
) -> Take:
    """Speaks one piece, as whoever iterates does: gives up when nothing comes, and closes the stream in any case."""
    take = Take()
    piece = Piece(text, "zh", 0, manner or Manner())
    async with aclosing(engine.stream(piece)) as stream:  # type: ignore[type-var]
        try:
            while True:
                async with asyncio.timeout(gap if take.chunks else first):
                    chunk = await anext(stream, None)
                if chunk is None:
                    break
                take.chunks.append(chunk)
        except TimeoutError:
            take.gave_up = True
        except VoiceError as err:
            take.error = err
    return take


@dataclass
class Bench:
    case: VoiceCase
    server: VoiceServer
    engine: VoiceEngine
    speaker: VoiceReference


def threads() -> set[threading.Thread]:
    """Without the loop's own workers, which stay for the next call of `to_thread`."""
    return {thread for thread in threading.enumerate() if not thread.name.startswith("asyncio_")}


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[VoiceCase], object]:
    """A server and an engine beside it; behind them no task, no thread and no connection may be left."""

    @asynccontextmanager
    async def made(case: VoiceCase, **options: object) -> AsyncIterator[Bench]:
        tasks, running = asyncio.all_tasks(), threads()
        async with AsyncExitStack() as stack:
            server = await stack.enter_async_context(case.serve())
            case.patch(monkeypatch, server)
            speaker = reference(tmp_path)
            engine = case.make(server, speaker, **options)
            try:
                yield Bench(case, server, engine, speaker)
            finally:
                await engine.close()
            await until(lambda: server.open == 0)
        await until(lambda: asyncio.all_tasks() <= tasks)
        await until(lambda: threads() <= running)

    return made


def test_every_registered_engine_is_in_this_suite() -> None:
    missing = [name for name in registry.VOICES if not cases_of(name)]
    assert not missing, f"write tests/contract/voice_cases/<name>.py for {', '.join(missing)}"
    assert len({str(case) for case in CASES}) == len(CASES)
    assert all(case.engine in registry.VOICES for case in CASES)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_case_says_what_becomes_of_every_fault(case: VoiceCase) -> None:
    assert set(case.outcomes) | set(case.impossible) == set(Fault) - set(ENDLESS)
    assert not set(case.outcomes) & set(case.impossible)
    assert all(case.impossible.values())


def check_all(case: VoiceCase, take: Take, sent: bytes, rate: int, channels: int = 1) -> None:
    assert {chunk.rate for chunk in take.chunks} == {rate}
    assert {chunk.channels for chunk in take.chunks} == {channels}
    wanted = np.repeat(np.frombuffer(sent, "<i2"), channels)
    if case.exact:
        assert take.data == wanted.tobytes()
        return
    heard, meant = (np.frombuffer(data, "<i2").astype(float) for data in (take.data, wanted.tobytes()))
    padding = (len(heard) - len(meant)) / channels / rate
    assert 0 <= padding <= LOSSY_PADDING_S
    assert (heard**2).sum() == pytest.approx((meant**2).sum(), rel=0.2)


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_it_speaks_one_piece_after_the_other(case: VoiceCase, bench: Callable) -> None:
    async with bench(case) as on:
        assert on.engine.name == on.case.link(on.server).label
        first = await listen(on.engine)
        check_all(case, first, on.server.sound, case.rate)
        sent, on.server.sound = on.server.sound, sound(case.rate, 0.3)
        second = await listen(on.engine, AGAIN)
        check_all(case, second, on.server.sound, case.rate)
        assert (first.error, second.error, sent != on.server.sound) == (None, None, True)
        assert [case.text_of(request) for request in on.server.requests] == [TEXT, AGAIN]
        assert on.server.left == 0


@pytest.mark.parametrize("case", [case for case in CASES if case.words], ids=str)
async def test_words_come_with_their_times(case: VoiceCase, bench: Callable) -> None:
    async with bench(case) as on:
        take = await listen(on.engine)
        words = [word for chunk in take.chunks for word in chunk.words]
        seconds = len(take.data) / 2 / case.rate
        assert "".join(word.text for word in words) == TEXT.rstrip("。")
        assert all(0 <= word.start < word.end <= seconds + 0.1 for word in words)
        assert [word.start for word in words] == sorted(word.start for word in words)
        assert words[-1].end > seconds / 2, "seconds, not ticks or milliseconds"


@pytest.mark.parametrize(("case", "fault"), FAULTS, ids=str)
async def test_a_fault_ends_as_the_case_says(case: VoiceCase, fault: Fault, bench: Callable) -> None:
    outcome = case.outcomes[fault]
    async with bench(case) as on:
        rate = outcome.rate or case.rate
        if fault is Fault.OTHER_RATE:
            on.server.sound = sound(OTHER_RATE)
        on.server.fault = fault
        take = await listen(on.engine)
        assert not take.gave_up
        assert ("well" if take.error is None else "retry" if take.error.retryable else "final") == outcome.ends
        if take.error is not None:
            said = f"{take.error}"
            assert outcome.says in said
            assert SECRET not in said
            assert TEXT not in said
        whole = len(on.server.sound) * outcome.channels
        match outcome.heard:
            case "all":
                check_all(case, take, on.server.sound, rate, outcome.channels)
            case "some":
                assert 0 < len(take.data) < whole
            case "none":
                assert not take.data
        assert len(on.server.requests) <= 1, "an engine runs once; who repeats is decided elsewhere"

        on.server.fault = None
        on.server.sound = sound(case.rate)
        well = await listen(on.engine, AGAIN)
        assert well.error is None
        check_all(case, well, on.server.sound, case.rate)


@pytest.mark.parametrize("fault", ENDLESS)
@pytest.mark.parametrize("case", CASES, ids=str)
async def test_giving_up_closes_the_connection(case: VoiceCase, fault: Fault, bench: Callable) -> None:
    async with bench(case) as on:
        on.server.fault = fault
        some = fault is Fault.STALL and case.streams
        take = await listen(on.engine, first=NEVER_S if some else GIVES_UP_S, gap=GIVES_UP_S)
        assert take.gave_up
        assert bool(take.data) is some
        await until(lambda: on.server.left == len(on.server.requests))  # a slow machine may not have asked yet
        on.server.fault = None
        well = await listen(on.engine, AGAIN)
        check_all(case, well, on.server.sound, case.rate)


@pytest.mark.parametrize("case", [case for case in CASES if case.streams], ids=str)
async def test_closing_the_stream_after_its_first_sound_closes_the_connection(
    case: VoiceCase, bench: Callable
) -> None:
    async with bench(case) as on:
        on.server.fault = Fault.STALL
        stream = on.engine.stream(Piece(TEXT, "zh", 0))
        async with asyncio.timeout(NEVER_S):
            assert (await anext(stream)).data
            await stream.aclose()  # type: ignore[attr-defined]
        await until(lambda: on.server.left == 1)


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_cancelling_the_listener_closes_the_connection(case: VoiceCase, bench: Callable) -> None:
    async with bench(case) as on:
        on.server.fault = Fault.SLOW_START
        task = asyncio.create_task(listen(on.engine))
        await until(lambda: len(on.server.requests) == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: on.server.left == 1)


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_nobody_there_is_an_error_that_may_pass(case: VoiceCase, bench: Callable) -> None:
    async with bench(case) as on:
        pass
    engine = case.make(on.server, on.speaker)
    try:
        take = await listen(engine)
    finally:
        await engine.close()
    assert take.error is not None
    assert take.error.retryable
    assert SECRET not in str(take.error)


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_a_server_that_takes_no_connection_is_given_up(
    case: VoiceCase, bench: Callable, hole: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bench(case) as on:
        pass
    on.server.port = hole
    case.patch(monkeypatch, on.server)
    engine = case.make(on.server, on.speaker, connect_timeout_s=0.1)
    try:
        take = await listen(engine)
    finally:
        await engine.close()
    assert not take.gave_up
    assert take.error is not None
    assert take.error.retryable
    assert "0.1 s" in str(take.error)


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_speed_is_the_links_times_the_messages(case: VoiceCase, bench: Callable) -> None:
    async with bench(case, speed=1.25) as on:
        await listen(on.engine, manner=Manner(speed=1.2))
        asked = case.speed_of(on.server.requests[-1])
        assert asked == (pytest.approx(1.5, abs=0.01) if getattr(on.engine, "own_speed", False) else None)


@pytest.mark.parametrize("case", [case for case in CASES if case.needs_reference], ids=str)
async def test_without_a_recording_it_says_how_to_add_one(case: VoiceCase) -> None:
    async with case.serve() as server:
        engine = case.make(server, None)
        take = await listen(engine)
        await engine.close()
        assert take.error is not None
        assert not take.error.retryable
        assert "broadcaster voice add" in str(take.error)
        assert not server.requests
