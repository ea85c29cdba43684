"""The embedded voice as it goes on air: text to paced pieces through the voice process, heard as one stream."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import numpy as np
import pyloudnorm
import pytest

from broadcaster.config import VoiceConfig
from broadcaster.errors import VoiceError
from broadcaster.paths import Paths
from broadcaster.speech.client import VoiceClient
from broadcaster.speech.kokoro import KokoroSynthesiser
from broadcaster.speech.pipeline import PacedSpeaker
from broadcaster.speech.process import run_voice
from broadcaster.types import SAMPLE_RATE, SpokenPiece, Viseme

pytestmark = pytest.mark.integration

TEXTS = [
    "大家好，欢迎来到直播间。", "谢谢这位朋友的礼物！", "今天天气不错，我们出去走走吧。", "好的。",
    "明天上午九点不见不散。",
    "涨了3.5%，收于3,245.67点。", "房间号12345。", "666，太强了！", "我们用OpenAI的模型。", "这是AI生成的内容。",
    "你问得很好，我来回答。", "爸爸妈妈泡了一杯茶。", "现在是15:05。", "不用客气。", "别忘了点关注。",
    "苹果和葡萄都卖完了。", "Good evening, everyone.", "See you tomorrow at nine.", "It costs $0.27.",
    "晚安，朋友们。",
    "人工智能的发展非常迅速，每天都有新的模型发布，大家一起来看看。",
]  # fmt: skip


async def once(text: str) -> AsyncIterator[str]:
    yield text


async def _speak_all(paths: Paths) -> list[list[SpokenPiece]]:
    config = VoiceConfig()
    stop = threading.Event()
    process = threading.Thread(target=run_voice, args=(config, paths, lambda *beat: None, stop))
    process.start()
    voice = VoiceClient(config, paths, lambda reason: pytest.fail(reason), away_s=60)
    try:
        await voice.warm()
        speaker = PacedSpeaker(voice, paced=False, cache=paths.cache)
        return [[piece async for piece in speaker.speak(once(text), n)] for n, text in enumerate(TEXTS)]
    finally:
        await voice.close()
        stop.set()
        await asyncio.to_thread(process.join)


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> list[list[SpokenPiece]]:
    root = tmp_path_factory.mktemp("v")
    paths = Paths(root / "s", root / "r", root / "c")
    paths.ensure()
    return asyncio.run(_speak_all(paths))


def sound(pieces: list[SpokenPiece]) -> np.ndarray:
    return np.concatenate([piece.speech.pcm for piece in pieces]) / 32768.0


def test_every_text_is_spoken_by_kokoro(spoken: list[list[SpokenPiece]]) -> None:
    assert ["".join(p.opens or "" for p in pieces) for pieces in spoken] == TEXTS
    assert {p.engine for pieces in spoken for p in pieces} == {"kokoro"}


def test_loudness_is_the_same_for_all(spoken: list[list[SpokenPiece]]) -> None:
    meter = pyloudnorm.Meter(SAMPLE_RATE)
    measured = {t: meter.integrated_loudness(sound(p)) for t, p in zip(TEXTS, spoken, strict=True)}
    assert len(measured) >= 20
    wrong = {text: round(lufs, 1) for text, lufs in measured.items() if not -18 <= lufs <= -14}
    assert wrong == {}


def test_nothing_clips_and_there_is_no_dc(spoken: list[list[SpokenPiece]]) -> None:
    for pieces in spoken:
        samples = sound(pieces)
        assert np.abs(samples).max() < 0.9
        assert abs(samples.mean()) < 0.002


def test_joints_do_not_click(spoken: list[list[SpokenPiece]]) -> None:
    """Within 1 ms of each joint no step is larger than the steps that speech itself makes."""
    samples = np.concatenate([sound(pieces) for pieces in spoken])
    steps = np.abs(np.diff(samples))
    usual = np.percentile(steps[steps > 1e-4], 50)
    position = 0
    for piece in [p for pieces in spoken for p in pieces][:-1]:
        position += len(piece.speech.pcm)
        assert steps[position - 48 : position + 48].max() < usual


def test_sentences_end_with_their_pause(spoken: list[list[SpokenPiece]]) -> None:
    for text, pieces in zip(TEXTS, spoken, strict=True):
        if text[-1] in "。！.":
            tail = np.abs(pieces[-1].speech.pcm[-round(0.2 * SAMPLE_RATE) :])
            assert tail.max() == 0, text


def test_phones_run_through_without_gap_and_lips_close(spoken: list[list[SpokenPiece]]) -> None:
    for pieces in spoken:
        for piece in pieces:
            phones = piece.speech.phones
            assert [p.start for p in phones[1:]] == [p.end for p in phones[:-1]]
            assert phones[-1].end == len(piece.speech.pcm)
    closures = [p for p in spoken[TEXTS.index("爸爸妈妈泡了一杯茶。")][0].speech.phones if p.viseme is Viseme.PP]
    assert [p.symbol for p in closures] == ["p", "p", "m", "m", "p", "p"]


def test_vowels_are_louder_than_closed_lips(spoken: list[list[SpokenPiece]]) -> None:
    """The durations fit the sound: open mouths where the energy is. (Plosives only: a nasal hums.)"""
    energy: dict[bool, list[float]] = {True: [], False: []}
    for pieces in spoken:
        for piece in pieces:
            samples = piece.speech.pcm / 32768.0
            for phone in piece.speech.phones:
                if phone.viseme is Viseme.AA or phone.symbol == "p":
                    energy[phone.viseme is Viseme.AA].append(float(np.mean(samples[phone.start : phone.end] ** 2)))
    assert len(energy[False]) >= 10
    assert np.median(energy[True]) > 4 * np.median(energy[False])


def test_closing_it_ends_the_warm_up() -> None:
    engine = KokoroSynthesiser(VoiceConfig())
    engine.close()
    with pytest.raises(VoiceError, match="cancelled"):
        engine.load()
