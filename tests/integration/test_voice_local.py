"""The process `voice-local` and its engine at the director: loading, streaming, cancelling, hanging, dying."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from broadcaster.config import VoiceConfig
from broadcaster.config.voices import CosyVoiceLocal, local_voice
from broadcaster.errors import VoiceError
from broadcaster.paths import Paths
from broadcaster.speech import engines
from broadcaster.speech.finished import FinishedVoice
from broadcaster.speech.local import LocalEngine
from broadcaster.speech.mouth.alignment import Aligner
from broadcaster.speech.process import run_local_voice
from broadcaster.types import Manner, Piece, RawSound
from tests.fakes.cosyvoice import PACKAGE, SAMPLES_PER_CHARACTER, asked, model_folder, reference

pytestmark = pytest.mark.integration

LONG = "今天天气晴朗适合出门走走我们聊一聊吧"


def settings(model: Path, **changes: object) -> dict[str, Any]:
    return {"engine": "cosyvoice", "model_dir": str(model), "package_dir": str(PACKAGE), **changes}


class Beats:
    def __init__(self) -> None:
        self.seen: list[tuple[int, bool, str]] = []

    def __call__(self, progress: int, ready: bool, note: str) -> None:
        self.seen.append((progress, ready, note))

    async def until(self, count: int) -> None:
        for _ in range(1000):
            if len(self.seen) >= count:
                return
            await asyncio.sleep(0.02)
        raise TimeoutError(f"{len(self.seen)} beats of {count}")


@contextlib.contextmanager
def served(paths: Paths, folder: Path, *, timeout_s: float = 10.0, **script: object) -> Iterator[tuple[Any, Beats]]:
    """`run_local_voice` in a thread of this process; its engine and its beats."""
    config = VoiceConfig.model_validate(
        {"chain": [settings(model_folder(folder, 3, **script))], "request_timeout_s": timeout_s}
    )
    speaker = reference(folder)
    engine = engines.create_local(config, speaker)
    beats, stop = Beats(), threading.Event()
    arguments = (config, paths, speaker, beats, stop, engine)
    thread = threading.Thread(target=run_local_voice, args=arguments)
    kept = sys.path[:]
    thread.start()
    try:
        yield engine, beats
    finally:
        if "cosyvoice.cli.cosyvoice" in sys.modules:
            sys.modules["cosyvoice.cli.cosyvoice"].RELEASE.set()
        stop.set()
        thread.join(10)
        sys.path[:] = kept
        for name in [name for name in sys.modules if name.partition(".")[0] in ("cosyvoice", "matcha")]:
            del sys.modules[name]
        assert not thread.is_alive()
        assert not paths.local_voice_socket.exists()


def local(paths: Paths, folder: Path, **changes: object) -> LocalEngine:
    link = CosyVoiceLocal.model_validate(settings(folder / "model3", **changes))
    return LocalEngine(link, paths.local_voice_socket)


async def say(engine: LocalEngine, text: str, manner: Manner | None = None) -> list[RawSound]:
    return [sound async for sound in engine.stream(Piece(text, "zh", 0, manner or Manner()))]


async def refusal(engine: LocalEngine) -> str:
    """Why it does not speak now; empty when it does."""
    try:
        await say(engine, "好")
    except VoiceError as err:
        return f"{err}, retryable: {err.retryable}"
    return ""


async def ready(engine: LocalEngine) -> list[str]:
    """Waits until the model is loaded; the reasons that were given until then."""
    reasons: dict[str, None] = {}
    for _ in range(1000):
        why = await refusal(engine)
        if not why:
            return list(reasons)
        reasons[why] = None
        await asyncio.sleep(0.02)
    raise TimeoutError(f"the model was not loaded: {list(reasons)}")


def tables(engine: Any) -> list[dict[str, object]]:
    inner = engine._model.model
    return [inner.tts_speech_token_dict, inner.llm_end_dict, inner.hift_cache_dict]


async def test_sound_streams_raw_at_the_models_rate(paths: Paths, short_dir: Path) -> None:
    with served(paths, short_dir, sample_rate=22_050) as (_, beats):
        voice = local(paths, short_dir, speed=1.25)
        await ready(voice)
        (whole,) = await say(voice, "大家好")
        assert (whole.rate, whole.channels) == (22_050, 1)
        assert len(whole.data) // 2 == 22_050 * 3 // 5 * 4 // 5
        sounds = await say(voice, LONG, Manner(speed=0.8))
        assert [len(sound.data) // 2 for sound in sounds] == [22_050, 44_100, 13_230]
        both = await asyncio.gather(say(voice, "好"), say(voice, "再见"))
        assert [sum(len(sound.data) for sound in sounds) for sounds in both] == [2 * 3528, 2 * 7056]
        await beats.until(2)
    assert beats.seen[-1][1]
    assert "cosyvoice: " in beats.seen[-1][2]
    spoken = [(note["text"], note["speed"]) for note in asked(short_dir / "model3") if "mode" in note]
    assert spoken[-2:] == [("好", 1.25), ("再见", 1.25)]


async def test_while_it_loads_every_call_fails_at_once(paths: Paths, short_dir: Path) -> None:
    voice = local(paths, short_dir)
    assert await refusal(voice) == "the local voice is not running (No such file or directory), retryable: True"
    with served(paths, short_dir, load_s=1.2) as (_, beats):
        assert (await ready(voice))[-1] == "the local voice still loads its model, retryable: True"
        await beats.until(3)
    assert not beats.seen[0][1]
    assert beats.seen[-1][1]
    assert [progress for progress, _, _ in beats.seen] == list(range(1, len(beats.seen) + 1))


async def test_closing_the_iterator_cancels_and_frees_the_model(paths: Paths, short_dir: Path) -> None:
    with served(paths, short_dir) as (engine, _):
        voice = local(paths, short_dir)
        await ready(voice)
        before = engine._model.model.written
        stream: AsyncIterator[RawSound] = voice.stream(Piece("今天天气晴朗慢" + LONG, "zh", 0))
        assert len((await anext(stream)).data) == 2 * 24_000
        await stream.aclose()  # type: ignore[attr-defined]
        assert sum(len(sound.data) for sound in await say(voice, "好")) == 2 * SAMPLES_PER_CHARACTER
        assert engine._model.model.written == before + 30 + 5
        assert tables(engine) == [{}, {}, {}]


async def test_errors_come_back_and_the_next_piece_is_spoken(paths: Paths, short_dir: Path) -> None:
    with served(paths, short_dir):
        voice = local(paths, short_dir)
        await ready(voice)
        for text, complaint in (
            ("崩", "CosyVoice failed: RuntimeError: CUDA error: out of memory"),
            ("空", "CosyVoice made no sound"),
            ("噪", "samples that are not numbers"),
        ):
            with pytest.raises(VoiceError, match=complaint) as caught:
                await say(voice, text)
            assert caught.value.retryable
            assert sum(len(sound.data) for sound in await say(voice, "好")) == 2 * SAMPLES_PER_CHARACTER


async def test_a_model_that_hangs_stops_the_beats_even_when_nobody_waits_for_it(
    paths: Paths, short_dir: Path
) -> None:
    with served(paths, short_dir, timeout_s=0.3) as (_, beats):
        voice = local(paths, short_dir)
        await ready(voice)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await say(voice, "停")
        await beats.until(len(beats.seen) + 3)
        assert beats.seen[-1][0] == beats.seen[-2][0], "this is how the parent knows that it has to be replaced"


async def test_the_chain_gets_finished_speech_of_it(paths: Paths, short_dir: Path) -> None:
    with served(paths, short_dir):
        engine = local(paths, short_dir, pitch=2.0)
        await ready(engine)
        voice = FinishedVoice(engine, engine._link, loudness_lufs=-16.0, mouth=Aligner)
        chunks = [chunk async for chunk in voice.speak(Piece(LONG, "zh", 0), 1)]
        seconds = sum(len(chunk.pcm) for chunk in chunks) / 48_000
        assert len(chunks) > 1
        assert seconds == pytest.approx(len(LONG) * 0.2, abs=0.15)
        for chunk in chunks:
            assert [p.start for p in chunk.phones] == [0, *(p.end for p in chunk.phones[:-1])]
            assert chunk.phones[-1].end == len(chunk.pcm)
        with pytest.raises(VoiceError, match="out of memory"):
            _ = [chunk async for chunk in voice.speak(Piece("崩", "zh", 0), 1)]


# -- as a process of its own -----------------------------------------------------------------------------------------


def start(short_dir: Path, model: Path, **changes: object) -> subprocess.Popen[bytes]:
    """The role as the parent starts it, by hand: without beats, its configuration on standard input."""
    chain = [settings(model, mode="sft", voice="中文女", **changes)]
    config = {"channel": "test", "state_dir": str(short_dir), "voice": {"chain": chain}}
    with (short_dir / "local.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "broadcaster.app", "voice-local"], stdin=subprocess.PIPE, stdout=log, stderr=log
        )
    assert process.stdin is not None
    process.stdin.write(yaml.safe_dump(config, allow_unicode=True).encode())
    process.stdin.close()
    return process


async def test_a_process_that_dies_fails_the_piece_and_the_next_one_speaks_again(
    paths: Paths, short_dir: Path
) -> None:
    model = model_folder(short_dir, 3, speakers=["中文女"])
    voice = local(paths, short_dir)
    process = start(short_dir, model)
    try:
        await ready(voice)
        stream = voice.stream(Piece("今天天气晴朗慢" + LONG, "zh", 0))
        await anext(stream)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        with pytest.raises(VoiceError, match=r"ended in the middle of a piece|broke the connection") as caught:
            await anext(stream)
        assert caught.value.retryable
        with pytest.raises(VoiceError, match="not running"):
            await say(voice, "好")
        process = start(short_dir, model)
        await ready(voice)
        process.terminate()
        assert await asyncio.to_thread(process.wait, 10) == 0
        log = (short_dir / "local.log").read_text()
        assert "voice ready" in log
        assert "今天" not in log
    finally:
        process.kill()
        process.wait()


def test_a_configuration_that_cannot_work_ends_the_process_for_good(short_dir: Path) -> None:
    process = start(short_dir, short_dir / "nothing")
    assert process.wait(20) == 78
    assert "there is no folder" in (short_dir / "local.log").read_text()


def test_the_link_is_the_first_one_that_is_enabled(short_dir: Path) -> None:
    model = model_folder(short_dir)
    chain = [settings(model, enabled=False), {"engine": "edge"}, settings(model, name="second")]
    found = local_voice(VoiceConfig.model_validate({"chain": chain}).chain)
    assert found is not None
    assert found.label == "second"
