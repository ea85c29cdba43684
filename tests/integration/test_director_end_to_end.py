"""A director with an end-to-end voice: what is heard of it, what the gate keeps off, who answers when it fails."""

from __future__ import annotations

import asyncio
import io
import random
import wave
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from broadcaster.brain.end_to_end.openai_realtime import OpenAIRealtimeVoice
from broadcaster.config.brains import OpenAIRealtime
from broadcaster.director.end_to_end import EndToEndDesk, Guest
from broadcaster.errors import Refused, VoiceError
from broadcaster.paths import Paths
from broadcaster.supervisor.breaker import CircuitBreaker
from broadcaster.types import Origin, PromptKind, RawSound, Role, Speech, Verdict, VerdictKind
from tests.fakes.gate import PassGate
from tests.fakes.realtime_server import Fault, RealtimeServer, sound
from tests.fakes.voice_peer import tone
from tests.support.directing import MODERATOR, Brain, Station, station
from tests.support.waiting import until

pytestmark = pytest.mark.integration

KEY = "sk-canary-0123456789abcdef"
SENTENCES = ["大家好，欢迎来到直播间。", "今天我们聊聊天气。"]
CASCADE = "这是自己的声音。"


def finished(name: str, sounds: Sequence[RawSound], sentences: Sequence[str]) -> list[tuple[int, Speech]]:
    """In place of the real finishing, which has its own tests: a soft tone for every sentence."""
    assert b"".join(each.data for each in sounds)
    return [(number, tone(4800)) for number, _ in enumerate(sentences) for _ in range(2)]


class Censor(PassGate):
    """A gate that treats one sentence in its own way."""

    def __init__(self, word: str, kind: VerdictKind, instead: str = "") -> None:
        self.word, self.kind, self.instead = word, kind, instead
        self.seen: list[tuple[str, str]] = []

    async def admit(self, text: str, origin: Origin) -> Verdict:
        self.seen.append((text, origin.source))
        hit = self.word in text and origin.source == "openai_realtime"
        return Verdict(self.kind, self.instead or text) if hit else Verdict(VerdictKind.PASS, text)


@asynccontextmanager
async def on_air(
    paths: Paths, *, fault: Fault | None = None, gate: Any = None, finish: Any = finished, playout: bool = True
) -> AsyncIterator[tuple[Station, RealtimeServer, Brain]]:
    gate = gate or PassGate()
    cascade = Brain("rules", [CASCADE])
    async with RealtimeServer(fault=fault) as server:
        link = OpenAIRealtime(base_url=server.http_url, api_key=SecretStr(KEY), model="talk-1")
        clock = asyncio.get_running_loop().time
        guest = Guest("openai_realtime", OpenAIRealtimeVoice(link), CircuitBreaker(clock, random.Random(1)), 0.4, 1.0)
        desk = EndToEndDesk([guest], gate=gate, finish=finish)
        async with station(paths, brains=[cascade], gate=gate, end_to_end=desk, playout=playout) as running:
            yield running, server, cascade
        await desk.close()


def heard(running: Station, prompt: str) -> list[tuple[str, str]]:
    """(text, engine) of every sentence that was heard in full, in order."""
    events = (event for event in running.playout.aired if event.event == "heard" and event.utterance == prompt)
    return [(event.text, event.engine) for event in events]


async def answered(running: Station) -> tuple[str, list[tuple[str, str]]]:
    prompt = await running.say("聊点什么？", PromptKind.ASK)
    await running.ended(prompt.id)
    return prompt.id, heard(running, prompt.id)


async def test_its_sound_is_heard_and_what_it_said_is_remembered(paths: Paths) -> None:
    remembered: list[tuple[int, str]] = []
    async with on_air(paths) as (running, server, cascade):
        running.mind.heard = lambda prompt, sentence, text: remembered.append((sentence, text))  # type: ignore[method-assign]
        prompt, said = await answered(running)
        assert said == [(sentence, "openai_realtime") for sentence in SENTENCES]
        assert running.types(prompt) == ["on_air", "on_air", "done"]
        assert remembered == list(enumerate(SENTENCES))
        assert "聊点什么？" in str(server.requests[0].items)
        assert (cascade.turns, running.speaker.runs) == ([], [])
        (link,) = running.director.status()["brain"]["end_to_end"]
        assert link == {"name": "openai_realtime", "state": "closed", "answered": 1, "failures": 0, "error": ""}
        await running.director.journal.flush()
        rows = await running.director.asrun()
        assert {(row["engine"], row["outcome"]) for row in rows} == {("openai_realtime", "heard")}


@pytest.mark.parametrize(
    ("kind", "instead", "spoken"),
    [
        (VerdictKind.DROP, "", SENTENCES[:1]),
        (VerdictKind.HOLD, "", SENTENCES[:1]),
        (VerdictKind.MASK, "今天我们聊聊***。", [SENTENCES[0], "今天我们聊聊***。"]),
        (VerdictKind.REPLACE, "换个话题吧。", [SENTENCES[0], "换个话题吧。"]),
    ],
)
async def test_nothing_is_heard_of_a_sound_that_the_gate_does_not_pass_whole(
    paths: Paths, kind: VerdictKind, instead: str, spoken: list[str]
) -> None:
    gate = Censor("天气", kind, instead)
    async with on_air(paths, gate=gate) as (running, _, cascade):
        _, said = await answered(running)
        assert said == [(sentence, "tone") for sentence in spoken]
        assert cascade.turns == []
        assert [text for text, source in gate.seen if source == "openai_realtime"] == SENTENCES


async def test_when_the_gate_leaves_nothing_brain_and_voice_answer(paths: Paths) -> None:
    async with on_air(paths, gate=Censor("", VerdictKind.DROP)) as (running, _, cascade):
        _, said = await answered(running)
        assert said == [(CASCADE, "tone")]
        assert len(cascade.turns) == 1


@pytest.mark.parametrize("fault", list(Fault), ids=lambda fault: fault.name.lower())
async def test_whatever_fails_brain_and_voice_answer_and_nothing_of_it_is_heard(paths: Paths, fault: Fault) -> None:
    async with on_air(paths, fault=fault) as (running, server, _):
        prompt, said = await answered(running)
        assert said == [(CASCADE, "tone")]
        assert running.types(prompt) == ["on_air", "done"]
        (link,) = running.director.status()["brain"]["end_to_end"]
        assert (link["answered"], link["failures"]) == (0, 1)
        assert link["state"] == ("open" if fault is Fault.UNAUTHORIZED else "closed")
        assert KEY not in link["error"]
        await until(lambda: server.open == 0)


async def test_sound_that_cannot_be_its_transcript_is_not_heard(paths: Paths) -> None:
    def refuse(name: str, sounds: Sequence[RawSound], sentences: Sequence[str]) -> list[tuple[int, Speech]]:
        raise VoiceError("the sound is too long for its text")

    async with on_air(paths, finish=refuse) as (running, _, _):
        assert (await answered(running))[1] == [(CASCADE, "tone")]


async def test_one_that_keeps_failing_is_left_alone(paths: Paths) -> None:
    async with on_air(paths, fault=Fault.ERROR) as (running, server, cascade):
        for _ in range(4):
            await answered(running)
        assert len(server.requests) == 3
        assert len(cascade.turns) == 4


async def test_an_interruption_cuts_it_and_cancels_what_is_still_asked(paths: Paths) -> None:
    def long(name: str, sounds: Sequence[RawSound], sentences: Sequence[str]) -> list[tuple[int, Speech]]:
        return [(number, tone(480_000)) for number, _ in enumerate(sentences)]

    async with on_air(paths, finish=long) as (running, server, _):
        prompt = await running.say("说长一点。", PromptKind.ASK)
        await until(lambda: running.playout.talking == prompt.id)
        await running.director.interrupt(MODERATOR)
        await running.ended(prompt.id)
        assert running.types(prompt.id)[-1] == "cut"
        server.fault = Fault.SLOW
        asked = await running.say("还在吗？", PromptKind.ASK)
        await until(lambda: len(server.requests) == 2)
        await running.director.interrupt(MODERATOR)
        await running.ended(asked.id)
        await until(lambda: server.cancels == 1 and server.open == 0)
        assert running.director.status()["brain"]["end_to_end"][0]["failures"] == 0


async def test_after_a_restart_the_rest_is_said_by_the_channels_own_voice(paths: Paths) -> None:
    def long(name: str, sounds: Sequence[RawSound], sentences: Sequence[str]) -> list[tuple[int, Speech]]:
        return [(0, tone(4_800)), (1, tone(4_800_000))]

    async with on_air(paths, finish=long) as (running, _, _):
        prompt = await running.say("说长一点。", PromptKind.ASK)
        await until(
            lambda: running.playout.heard(prompt.id) == SENTENCES[:1] and running.playout.talking == prompt.id
        )
        await running.director.journal.flush()
    async with on_air(paths) as (running, server, cascade):
        await running.ended(prompt.id)
        assert heard(running, prompt.id) == [(SENTENCES[1], "tone")]
        assert (server.requests, cascade.turns) == ([], [])


async def test_a_text_to_be_said_does_not_go_there(paths: Paths) -> None:
    async with on_air(paths) as (running, server, _):
        prompt = await running.say("大家好。")
        await running.ended(prompt.id)
        assert server.requests == []
        assert heard(running, prompt.id) == [("大家好。", "tone")]


# -- recorded questions ---------------------------------------------------------------------------------------


def recording(seconds: float = 1.0) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(24_000)
        file.writeframes(sound(seconds))
    return out.getvalue()


async def test_a_recorded_question_is_heard_by_the_model_and_deleted_afterwards(paths: Paths) -> None:
    async with on_air(paths) as (running, server, _):
        name = await running.director.attach(recording(), MODERATOR)
        assert [path.name for path in files(paths)] == [f"{name}.wav"]
        prompt = await running.director.accept(PromptKind.ASK, "观众的提问", MODERATOR, recording=name)
        await running.ended(prompt.id)
        assert server.requests[0].items[-1]["content"][1]["type"] == "input_audio"
        assert files(paths) == []
        with pytest.raises(Refused, match="no such recording"):
            await running.director.accept(PromptKind.ASK, "再来一次", MODERATOR, recording=name)


async def test_what_is_no_question_is_refused(paths: Paths) -> None:
    async with on_air(paths) as (running, _, _):
        director = running.director
        for data, why in ((b"no sound at all", "cannot be read as sound"), (recording(61.0), "more than 60 s")):
            with pytest.raises(Refused, match=why):
                await director.attach(data, MODERATOR)
        with pytest.raises(Refused, match="needs the role"):
            await director.attach(recording(), Origin("test", role=Role.VIEWER))
        name = await director.attach(recording(), MODERATOR)
        with pytest.raises(Refused, match="only a question"):
            await director.accept(PromptKind.SAY, "念一下", MODERATOR, recording=name)
        with pytest.raises(Refused, match="no such recording"):
            await director.accept(PromptKind.ASK, "天气", MODERATOR, recording="../../etc/passwd")
        assert len(files(paths)) == 1


async def test_without_an_end_to_end_voice_a_recording_is_refused(paths: Paths) -> None:
    async with station(paths, brains=[Brain("rules", [CASCADE])]) as running:
        with pytest.raises(Refused, match="nobody here can listen"):
            await running.director.attach(recording(), MODERATOR)
        assert files(paths) == []


async def test_a_start_deletes_recordings_that_nobody_asks_any_more(paths: Paths) -> None:
    async with on_air(paths) as (running, _, _):
        await running.director.panic(Origin("test", role=Role.OPERATOR))
        await running.director.attach(recording(), MODERATOR)
    assert len(files(paths)) == 1
    async with on_air(paths):
        assert files(paths) == []


async def test_a_recording_outlives_the_director_like_its_question(paths: Paths) -> None:
    async with on_air(paths, playout=False) as (running, server, _):
        name = await running.director.attach(recording(), MODERATOR)
        prompt = await running.director.accept(PromptKind.ASK, "观众的提问", MODERATOR, recording=name)
        assert server.requests == []
    async with on_air(paths) as (running, server, _):
        await running.ended(prompt.id)
        assert server.requests[0].items[-1]["content"][1]["type"] == "input_audio"
        assert files(paths) == []


def files(paths: Paths) -> list[Path]:
    return sorted(paths.questions.glob("*")) if paths.questions.exists() else []
