"""The finishing of raw sound on real speech: level, true peak, no repairs where nothing is broken, the real mouth."""

from __future__ import annotations

from contextlib import aclosing

import numpy as np
import pyloudnorm
import pytest

from broadcaster.config import VoiceConfig
from broadcaster.config.voices import EdgeVoice
from broadcaster.speech import kokoro
from broadcaster.speech.dsp.loudness import CEILING, true_peak
from broadcaster.speech.dsp.repair import Repairer
from broadcaster.speech.finished import FinishedVoice
from broadcaster.speech.foreign import PAUSE, PIECE, SHORTEST_PIECE, ForeignSound
from broadcaster.speech.mouth.alignment import Aligner
from broadcaster.types import PcmArray, Piece, RawSound, Viseme
from tests.fakes.raw_voice import ScriptedEngine, cut_up
from tests.support.embedded import embedded

pytestmark = pytest.mark.integration

TEXTS = [
    ("zh", "大家好，欢迎来到直播间。"),
    ("zh", "八百标兵奔北坡，炮兵并排北边跑。"),
    ("zh", "谢谢你的提问。"),
]


@pytest.fixture(scope="module")
def pieces() -> list[PcmArray]:
    """Kokoro's speech at the level that the model gives it, 48 kHz."""
    config = VoiceConfig()
    engine = embedded()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kokoro, "levelled", lambda pcm, target: pcm)
        voices = {"zh": config.zh, "en": config.en}
        return [engine.synthesise(text, lang, voices[lang], 1.0, lambda: False).pcm for lang, text in TEXTS]


async def test_pieces_are_within_one_lu_once_the_voice_is_known(pieces: list[PcmArray]) -> None:
    scripts = [cut_up(pcm, 4_801, 48_000) for pcm in pieces]
    voice = FinishedVoice(ScriptedEngine(scripts[0], scripts[1:]), EdgeVoice(), loudness_lufs=-16.0, mouth=Aligner)
    off: list[float] = []
    for number, (language, text) in enumerate(TEXTS):
        stream = voice.speak(Piece(text, language, number), number)
        async with aclosing(stream):  # type: ignore[type-var]
            chunks = [chunk async for chunk in stream]
        for chunk in chunks:
            assert chunk.phones[0].start == 0
            assert chunk.phones[-1].end == len(chunk.pcm)
        pcm = np.concatenate([chunk.pcm for chunk in chunks]) / 32768.0
        assert abs(len(pcm) - len(pieces[number])) < 2_000
        assert true_peak(pcm) <= CEILING * 1.001
        off.append(float(pyloudnorm.Meter(48_000).integrated_loudness(pcm)) + 16.0)
    assert max(map(abs, off[1:])) < 1.0, off


def test_nothing_is_mended_in_clean_speech(pieces: list[PcmArray]) -> None:
    for pcm in pieces:
        repairer = Repairer(48_000)
        samples = pcm.astype(np.float64)
        out = np.concatenate([repairer.push(samples), repairer.finish()])
        assert np.array_equal(out, samples)
        assert repairer.mended == 0


def test_one_sound_is_divided_where_its_sentences_end(pieces: list[PcmArray]) -> None:
    gap = np.zeros(9_600, np.int16)
    whole = np.concatenate([pieces[0], gap, pieces[1], gap, pieces[2]])
    texts = [text for _, text in TEXTS]
    made = ForeignSound(loudness_lufs=-16.0).finish("model", [RawSound(whole.astype("<i2").tobytes(), 48_000)], texts)
    pcm = np.concatenate([speech.pcm for _, speech in made])
    length = {number: sum(len(s.pcm) for n, s in made if n == number) for number in range(3)}
    first, second = length[0], length[0] + length[1]
    trimmed = len(whole) + PAUSE - len(pcm)
    assert 0 <= trimmed < 4_800
    kept = 3_840  # what the voice itself leaves around a sentence
    at = len(pieces[0])
    assert at - kept - trimmed <= first <= at + len(gap) + kept
    at += len(gap) + len(pieces[1])
    assert at - kept - trimmed <= second <= at + len(gap) + kept
    assert [number for number, _ in made] == sorted(number for number, _ in made)
    for _, speech in made:
        assert SHORTEST_PIECE <= len(speech.pcm) <= PIECE + SHORTEST_PIECE
        assert (speech.phones[0].start, speech.phones[-1].end) == (0, len(speech.pcm))
    loud = float(pyloudnorm.Meter(48_000).integrated_loudness(pcm / 32768.0))
    assert abs(loud + 16.0) < 1.5
    assert {phone.viseme for _, speech in made for phone in speech.phones} >= {Viseme.PP, Viseme.AA, Viseme.SIL}
