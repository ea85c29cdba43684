"""What every voice engine of the registry owes: timed, levelled, trimmed speech, clear errors, cancellation."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pyloudnorm
import pytest

from broadcaster import registry
from broadcaster.config import VoiceConfig
from broadcaster.errors import ConfigError, VoiceError
from broadcaster.ports import StreamingSynthesiser, Synthesiser
from broadcaster.speech.engines import create, problems
from broadcaster.types import SAMPLE_RATE, Speech, Viseme
from tests.support.embedded import embedded

pytestmark = pytest.mark.contract

TEXTS = [
    ("大家好，欢迎来到直播间。", "zh"),
    ("明天上午九点不见不散！", "zh"),
    ("好", "zh"),
    ("涨了3.5%，收于3,245.67点。", "zh"),
    ("我们用OpenAI的模型。", "zh"),
    ("Welcome to the show, my friends.", "en"),
    ("Boom!", "en"),
]
CASES = [(name, text, language) for name in registry.SYNTHESISERS for text, language in TEXTS]


def never() -> bool:
    return False


@cache
def engine(name: str) -> Synthesiser:
    if name == "kokoro":
        return embedded()
    made = create(VoiceConfig(engine=name))
    made.load()
    return made


@cache
def speech(name: str, text: str, language: str) -> Speech:
    config = VoiceConfig(engine=name)
    voice = config.zh if language == "zh" else config.en
    return engine(name).synthesise(text, language, voice, 1.0, never)


@pytest.mark.parametrize(("name", "text", "language"), CASES)
def test_sound_is_mono_48k_level_and_clean(name: str, text: str, language: str) -> None:
    pcm = speech(name, text, language).pcm
    assert pcm.dtype == np.int16
    assert pcm.ndim == 1
    assert 0.1 * SAMPLE_RATE < len(pcm) < 8 * SAMPLE_RATE
    samples = pcm / 32768.0
    assert np.abs(samples).max() < 0.9, "the AAC encoder needs room above the peaks"
    assert abs(samples.mean()) < 0.002
    assert np.abs(pcm[[0, -1]]).max() <= 30, "an edge that does not begin and end in silence clicks"
    if len(pcm) > 0.4 * SAMPLE_RATE:
        assert pyloudnorm.Meter(SAMPLE_RATE).integrated_loudness(samples) == pytest.approx(-16, abs=2)


@pytest.mark.parametrize(("name", "text", "language"), CASES)
def test_silence_is_trimmed(name: str, text: str, language: str) -> None:
    pcm = np.abs(speech(name, text, language).pcm.astype(np.int32))
    heard = np.flatnonzero(pcm > pcm.max() * 0.02)
    assert heard[0] < 0.12 * SAMPLE_RATE
    assert len(pcm) - heard[-1] < 0.12 * SAMPLE_RATE


@pytest.mark.parametrize(("name", "text", "language"), CASES)
def test_phones_cover_the_sound_in_order(name: str, text: str, language: str) -> None:
    made = speech(name, text, language)
    assert made.phones
    assert all(p.end > p.start for p in made.phones)
    assert [p.start for p in made.phones[1:]] == [p.end for p in made.phones[:-1]], "no gap and no overlap"
    assert 0 <= made.phones[0].start <= 0.05 * SAMPLE_RATE
    assert made.phones[-1].end == len(made.pcm)
    assert {p.viseme for p in made.phones} - {Viseme.SIL}


@pytest.mark.parametrize("name", registry.SYNTHESISERS)
def test_lips_close_for_bilabials(name: str) -> None:
    assert Viseme.PP in {p.viseme for p in speech(name, "明天上午九点不见不散！", "zh").phones}


@pytest.mark.parametrize("name", registry.SYNTHESISERS)
def test_the_same_text_gives_the_same_samples(name: str) -> None:
    text, language = TEXTS[0]
    again = engine(name).synthesise(text, language, VoiceConfig().zh, 1.0, never)
    assert np.array_equal(again.pcm, speech(name, text, language).pcm)
    assert again.phones == speech(name, text, language).phones


@pytest.mark.parametrize("name", registry.SYNTHESISERS)
def test_speed_changes_the_length(name: str) -> None:
    text, language = TEXTS[0]
    fast = engine(name).synthesise(text, language, VoiceConfig().zh, 1.5, never)
    assert len(fast.pcm) < 0.85 * len(speech(name, text, language).pcm)


def fundamental(pcm: np.ndarray[tuple[int], np.dtype[np.int16]]) -> float:
    """Hz between 60 and 500: the median over the loud frames of the strongest period."""
    frame, found = 2400, []
    for start in range(0, len(pcm) - frame, frame // 2):
        piece = pcm[start : start + frame].astype(float)
        if np.abs(piece).max() < np.abs(pcm.astype(int)).max() / 4:
            continue
        likeness = np.correlate(piece, piece, "full")[frame - 1 :]
        low, high = SAMPLE_RATE // 500, SAMPLE_RATE // 60
        found.append(SAMPLE_RATE / (low + int(np.argmax(likeness[low:high]))))
    return float(np.median(found))


@pytest.mark.parametrize("name", registry.SYNTHESISERS)
@pytest.mark.parametrize("pitch", [-4.0, 4.0])
def test_pitch_changes_the_voice_and_neither_its_length_nor_its_lips(name: str, pitch: float) -> None:
    text, language = TEXTS[0]
    plain = speech(name, text, language)
    other = engine(name).synthesise(text, language, VoiceConfig().zh, 1.0, never, pitch)
    ratio = fundamental(other.pcm) / fundamental(plain.pcm)
    assert 12 * np.log2(ratio) == pytest.approx(pitch, abs=1.0)
    assert len(other.pcm) == len(plain.pcm)
    assert other.phones == plain.phones


@pytest.mark.parametrize("name", registry.SYNTHESISERS)
def test_what_streams_is_what_comes_whole(name: str) -> None:
    text, language = "我们用OpenAI的模型。", "zh"
    made = engine(name)
    if not isinstance(made, StreamingSynthesiser):
        return
    chunks = [
        chunk for chunk in made.stream(text, language, VoiceConfig().zh, 1.0, never) if isinstance(chunk, Speech)
    ]
    assert len(chunks) > 1, "each stretch of a language as soon as it is there"
    assert all(chunk.phones[-1].end == len(chunk.pcm) for chunk in chunks)
    assert np.array_equal(np.concatenate([chunk.pcm for chunk in chunks]), speech(name, text, language).pcm)


def test_a_voice_speaks_its_own_language_and_leaves_the_other_to_the_configured_one() -> None:
    kokoro = engine("kokoro")
    text, language = TEXTS[0]
    english = kokoro.synthesise(text, language, "am_michael", 1.0, never)
    assert np.array_equal(english.pcm, speech("kokoro", text, language).pcm)


@pytest.mark.parametrize("name", registry.SYNTHESISERS)
@pytest.mark.parametrize("text", ["", "……", "😂", " \n"])
def test_nothing_to_say_is_a_final_error(name: str, text: str) -> None:
    with pytest.raises(VoiceError) as caught:
        engine(name).synthesise(text, "zh", VoiceConfig().zh, 1.0, never)
    assert not caught.value.retryable


@pytest.mark.parametrize("name", registry.SYNTHESISERS)
def test_a_request_cancelled_before_it_began_is_not_made(name: str) -> None:
    with pytest.raises(VoiceError, match="cancelled"):
        engine(name).synthesise("大家好", "zh", VoiceConfig().zh, 1.0, lambda: True)


def test_kokoro_stops_in_the_middle_of_a_run() -> None:
    kokoro = engine("kokoro")
    asked = 0

    def second_thoughts() -> bool:
        nonlocal asked
        asked += 1
        return asked > 1

    long = "人工智能的发展非常迅速，每天都有新的模型发布，大家一定要跟上时代的步伐，不然就会被淘汰，" * 2
    with pytest.raises(VoiceError, match="cancelled"):
        kokoro.synthesise(long, "zh", VoiceConfig().zh, 1.0, second_thoughts)
    assert asked >= 2
    assert len(kokoro.synthesise("好", "zh", VoiceConfig().zh, 1.0, never).pcm) > 0, "and is well afterwards"


def test_an_unknown_voice_is_named_with_the_known_ones() -> None:
    with pytest.raises(VoiceError, match=r"no voice 'nobody'; it has zf_xiaoxiao") as caught:
        engine("kokoro").synthesise("好", "zh", "nobody", 1.0, never)
    assert not caught.value.retryable


@pytest.mark.parametrize(
    ("config", "complaint"),
    [
        (
            VoiceConfig(engine="parrot"),
            r"voice.engine: there is no voice engine named 'parrot' -> use one of: kokoro",
        ),
        (VoiceConfig(zh="zf_nobody"), r"voice.zh: kokoro has no voice 'zf_nobody' -> use one of: zf_xiaoxiao"),
        (VoiceConfig(model=Path("/no/such.onnx")), r"voice.model: there is no file /no/such.onnx"),
    ],
)
def test_a_wrong_configuration_says_what_to_do(config: VoiceConfig, complaint: str) -> None:
    assert len(problems(config)) == 1
    with pytest.raises(ConfigError, match=complaint):
        create(config)


def test_every_shipped_voice_speaks() -> None:
    kokoro = engine("kokoro")
    for voice in kokoro.voices:
        language = "en" if voice.startswith("a") else "zh"
        text = "Good evening." if language == "en" else "晚上好。"
        assert len(kokoro.synthesise(text, language, voice, 1.0, never).pcm) > 0.3 * SAMPLE_RATE
