"""Raw sound to speech: any form and any chunking gives the same; levels, the mouth, and what the engine is asked."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broadcaster.config.voices import EdgeVoice
from broadcaster.errors import VoiceError
from broadcaster.speech.dsp.loudness import CEILING, integrated, true_peak
from broadcaster.speech.finished import FinishedVoice
from broadcaster.speech.reading import ssml
from broadcaster.speech.reading.lexicon import Entry, Lexicon
from broadcaster.types import Manner, PcmArray, Phone, Piece, RawSound, TimedWord, Viseme
from tests.fakes.raw_voice import ScriptedEngine, cut_up, raw, silence, voiced
from tests.fakes.voice import run_virtually
from tests.support.finishing import (
    LINK,
    SOUND,
    TEXT,
    WHOLE,
    Mouth,
    Mouths,
    heard,
    spoken,
    voice,
)

pytestmark = pytest.mark.unit


# -- form ---------------------------------------------------------------------------------------------------------


@given(cuts=st.lists(st.integers(0, 2 * len(SOUND)), max_size=25))
@settings(max_examples=10, deadline=None)
def test_any_chunking_of_the_bytes_gives_the_same_samples(cuts: list[int]) -> None:
    data = raw(SOUND).data
    edges = [0, *sorted(cuts), len(data)]
    assert np.array_equal(spoken([RawSound(data[a:b], 24_000) for a, b in pairwise(edges)]), WHOLE)


def test_an_odd_byte_at_the_end_is_left_out() -> None:
    assert np.array_equal(spoken([raw(SOUND), RawSound(b"\x07", 24_000)]), WHOLE)


def test_two_channels_alike_are_one() -> None:
    assert np.array_equal(spoken([raw(SOUND, channels=2)]), WHOLE)


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000])
def test_every_rate_gives_48_khz_at_the_target(rate: int) -> None:
    pcm = spoken([raw(np.concatenate([silence(0.5, rate), voiced(2.5, rate), silence(0.7, rate)]), rate)])
    assert len(pcm) / 48_000 == pytest.approx(2.5 + 0.08, abs=0.03)
    assert integrated(pcm / 32768) == pytest.approx(-16, abs=1.0)


@pytest.mark.parametrize(("rate", "channels"), [(7_999, 1), (96_000, 1), (0, 1), (24_000, 0), (24_000, 6)])
def test_a_form_that_cannot_be_is_an_error_that_another_run_does_not_mend(rate: int, channels: int) -> None:
    with pytest.raises(VoiceError, match="one: the sound has") as caught:
        spoken([RawSound(raw(SOUND).data, rate, channels)])
    assert not caught.value.retryable


def test_a_rate_that_changes_in_mid_piece_is_an_error() -> None:
    with pytest.raises(VoiceError, match="changed in the middle"):
        spoken([raw(SOUND), raw(SOUND, 44_100)])


async def test_threads_do_not_change_a_bit() -> None:
    finished = FinishedVoice(ScriptedEngine([raw(SOUND)]), LINK, loudness_lufs=-16.0, mouth=Mouths())
    assert finished.name == "one"
    assert np.array_equal(np.concatenate([chunk.pcm for chunk in await heard(finished)]), WHOLE)
    await finished.close()


# -- what goes on air ---------------------------------------------------------------------------------------------


def test_ends_are_faded_silence_is_trimmed_dc_and_clicks_are_gone() -> None:
    pcm = voiced(2.5, level=0.2).astype(np.int32)
    pcm = np.concatenate([silence(1.0), pcm, silence(1.0)]) + 900
    for place in range(26_000, 80_000, 6_100):
        pcm[place] += 15_000
    out = spoken([raw(pcm.astype(np.int16))])
    clean = spoken([raw(np.concatenate([silence(1.0), voiced(2.5, level=0.2), silence(1.0)]))])
    assert len(out) == len(clean)
    assert abs(out.mean()) < 5
    assert abs(int(out[0])) < 20
    assert abs(int(out[-1])) < 20
    assert np.abs(out.astype(int) - clean).max() < 4_500  # at 15,000 x gain 1.5 each click would stand out by 20,000


def test_a_peak_that_wrapped_round_is_put_back() -> None:
    loud = voiced(2.5, level=0.9).astype(np.int64) * 5 // 4
    wrapped = ((loud + 32768) % 65536 - 32768).astype(np.int16)
    assert (wrapped != loud).sum() > 20
    low = spoken([raw((loud // 2).astype(np.int16))])
    out = spoken([raw(wrapped)])
    assert np.abs(out.astype(int) - low).max() < 150


def test_true_peak_stays_under_the_ceiling_whatever_comes() -> None:
    loud = voiced(2.5, level=0.2).astype(np.float64)
    for place in range(9_000, 60_000, 9_000):
        loud[place : place + 240] += 25_000 * np.sin(2 * np.pi * np.arange(240) / 60)
    out = spoken([raw(np.rint(loud).astype(np.int16))])
    assert np.abs(out).max() > 20_000
    assert true_peak(out / 32768.0) <= CEILING * 1.001


def test_chunks_come_early_and_are_not_crumbs() -> None:
    engine = ScriptedEngine(cut_up(SOUND, 961), per_piece=[cut_up(SOUND, 961)])
    finished = voice(engine)

    async def sizes() -> list[int]:
        await heard(finished)
        return [len(chunk.pcm) for chunk in await heard(finished)]

    lengths = run_virtually(sizes())
    assert min(lengths[1:-1]) >= 4800
    assert 2800 <= lengths[0] <= 4800


def test_the_first_chunk_is_there_before_the_piece_is_sent() -> None:
    async def first(finished: FinishedVoice, engine: ScriptedEngine) -> int:
        await heard(finished)
        sent = engine.sent
        stream = finished.speak(Piece(TEXT, "zh", 0), 1)
        async with aclosing(stream):  # type: ignore[type-var]
            await anext(stream)
            return engine.sent - sent

    engine = ScriptedEngine(cut_up(SOUND, 960))  # 20 ms each
    assert run_virtually(first(voice(engine), engine)) <= 9


# -- levels -------------------------------------------------------------------------------------------------------


def test_pieces_come_within_one_lu_once_the_voice_is_known() -> None:
    levels = [0.15 * 10 ** (db / 20) for db in (0, 1, -1, 0.5, -0.5, 1, -1, 0)]
    scripts = [cut_up(voiced(2.0 + n % 3, level=level), 3000) for n, level in enumerate(levels)]
    finished = voice(ScriptedEngine(scripts[0], scripts[1:]))

    async def loudness() -> list[float]:
        return [integrated(np.concatenate([chunk.pcm for chunk in await heard(finished)]) / 32768.0) for _ in scripts]

    measured = run_virtually(loudness())
    assert all(abs(lufs + 16) < 1.0 for lufs in measured[2:]), measured


def test_a_refused_piece_teaches_nothing_about_the_level() -> None:
    loud = [raw(voiced(30.0, level=0.9))]
    right = [raw(voiced(2.5, level=0.15))]
    finished = voice(ScriptedEngine(right, [loud, right]))

    async def run() -> tuple[PcmArray, PcmArray]:
        await heard(finished)
        with pytest.raises(VoiceError):
            await heard(finished)
        again = np.concatenate([chunk.pcm for chunk in await heard(finished)])
        other = voice(ScriptedEngine(right))
        await heard(other)
        return again, np.concatenate([chunk.pcm for chunk in await heard(other)])

    again, expected = run_virtually(run())
    assert np.array_equal(again, expected)


# -- the mouth ----------------------------------------------------------------------------------------------------


def test_the_mouth_hears_every_sample_once_and_knows_the_end() -> None:
    mouths = Mouths()
    chunks = run_virtually(heard(voice(ScriptedEngine(cut_up(SOUND, 4800)), mouth=mouths), "你好，我有3个苹果给大家"))
    mouth = mouths.made[0]
    assert len(mouths.made) == 1
    assert mouth.reading == "你好，我有三个苹果给大家"
    assert mouth.lengths == [len(chunk.pcm) for chunk in chunks]
    assert mouth.lasts == [False] * (len(chunks) - 1) + [True]
    assert all(chunk.phones == (Phone("a", Viseme.AA, 0, len(chunk.pcm)),) for chunk in chunks)


@pytest.mark.parametrize("speed", [1.0, 1.25])
def test_times_of_words_follow_the_trimming_and_the_tempo(speed: float) -> None:
    words = [TimedWord("今天", 1.0, 1.5), TimedWord("很好", 2.0, 2.5)]
    pcm = np.concatenate([silence(1.0), SOUND])
    engine = ScriptedEngine([raw(pcm[:2400], words=words[:1]), raw(pcm[2400:], words=words[1:])])
    mouths = Mouths()
    run_virtually(heard(voice(engine, mouth=mouths), manner=Manner(speed)))
    told = mouths.made[0].words
    assert [word.text for word in told] == ["今天", "很好"]
    assert told[0].start == pytest.approx(0.03 / speed, abs=0.02)
    assert told[1].end == pytest.approx(1.53 / speed, abs=0.02)


def test_a_mouth_that_breaks_costs_no_sound(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Mouth):
        def feed(self, pcm: PcmArray, *, last: bool, words: Sequence[TimedWord] = ()) -> tuple[Phone, ...]:
            raise RuntimeError("no lips")

    finished = FinishedVoice(ScriptedEngine([raw(SOUND)]), LINK, loudness_lufs=-16, mouth=Broken, threads=False)
    chunks = run_virtually(heard(finished))
    assert np.array_equal(np.concatenate([chunk.pcm for chunk in chunks]), WHOLE)
    assert all(chunk.phones == (Phone("", Viseme.SIL, 0, len(chunk.pcm)),) for chunk in chunks)
    assert [record.message for record in caplog.records] == ["a sentence is spoken with a closed mouth"]


# -- what the engine is asked -------------------------------------------------------------------------------------


def test_the_engine_gets_the_reading_and_no_markup_from_outside() -> None:
    engine = ScriptedEngine([raw(SOUND)])
    mouths = Mouths()

    async def asked() -> None:
        await heard(voice(engine, mouth=mouths), "今天是5月1日，天气很好")
        await heard(voice(engine, mouth=mouths), '<speak>今天<break time="3s"/>天气很好我们出去走走</speak>')

    run_virtually(asked())
    assert engine.asked[0].text == "今天是五月一日，天气很好"
    assert not set('<>="') & set(engine.asked[1].text)


def test_the_lexicon_reaches_the_engine_as_ssml_and_the_mouth_as_text() -> None:
    lexicon = Lexicon([Entry("还款", pinyin=("huan2", "kuan3")), Entry("小播", say="小波")])
    engine = ScriptedEngine([raw(SOUND)])
    mouths = Mouths()
    for takes_ssml in (True, False):
        finished = voice(engine, mouth=mouths, reader=ssml.reader(lexicon, takes_ssml=takes_ssml))
        run_virtually(heard(finished, "小播今天记得还款好不好呀"))
    marked, plain = (piece.text for piece in engine.asked)
    assert marked == '<speak>小波今天记得<phoneme alphabet="py" ph="huan2 kuan3">还款</phoneme>好不好呀</speak>'
    assert plain == "小波今天记得还款好不好呀"
    assert [mouth.reading for mouth in mouths.made] == [plain, plain]


def test_a_text_without_anything_to_say_is_not_sent() -> None:
    engine = ScriptedEngine([raw(SOUND)])
    with pytest.raises(VoiceError, match="nothing of that text") as caught:
        run_virtually(heard(voice(engine), "https://example.com/a"))
    assert not caught.value.retryable
    assert engine.asked == []


def test_speed_is_changed_afterwards_only_for_engines_that_cannot() -> None:
    link = EdgeVoice(name="one", speed=1.25)
    lengths = {}
    for own in (False, True):
        engine = ScriptedEngine([raw(SOUND)], own_speed=own)
        chunks = run_virtually(heard(voice(engine, link, persona=Manner(0.8, 0, "mimi")), manner=Manner(1.6)))
        lengths[own] = sum(len(chunk.pcm) for chunk in chunks)
        assert engine.asked[0].manner.speed == pytest.approx(1.28)
        assert engine.asked[0].manner.voice == "mimi"
    assert lengths[True] == len(WHOLE)
    assert lengths[False] == pytest.approx(len(WHOLE) / 1.6, abs=3)


def test_pitch_is_changed_afterwards_and_the_length_stays() -> None:
    engine = ScriptedEngine([raw(SOUND)])
    chunks = run_virtually(heard(voice(engine, EdgeVoice(name="one", pitch=3)), manner=Manner(1.0, 1.0)))
    pcm = np.concatenate([chunk.pcm for chunk in chunks])
    assert abs(len(pcm) - len(WHOLE)) < 8
    assert pitch_of(pcm) / pitch_of(WHOLE) == pytest.approx(2 ** (4 / 12), rel=0.02)


def test_message_presenter_and_link_together_keep_the_limits() -> None:
    engine = ScriptedEngine([raw(SOUND)], own_speed=True)
    link = EdgeVoice(name="one", speed=1.6, pitch=4)
    run_virtually(heard(voice(engine, link, persona=Manner(1.5, 3)), manner=Manner(1.5, 3)))
    (asked,) = engine.asked
    assert link.speed * asked.manner.speed == pytest.approx(2.0)
    assert link.pitch + asked.manner.pitch == pytest.approx(6.0)


def pitch_of(pcm: PcmArray) -> float:
    middle = pcm[20_000:52_768] * np.hanning(32_768)
    spectrum = np.abs(np.fft.rfft(middle, 1 << 18))
    low = spectrum[: (1 << 18) * 400 // 48_000]
    return float(np.argmax(low)) * 48_000 / (1 << 18)
