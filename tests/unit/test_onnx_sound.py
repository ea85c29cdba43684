"""What a network hears of a picture: the same numbers however the speech came, and nothing that has not sounded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from broadcaster.head.downsample import REACH, downsampled
from broadcaster.head.onnx.network import EncoderSound, MelSound
from broadcaster.head.onnx.sessions import Encoder
from broadcaster.head.onnx.sound import EncoderFeature, Feature, MelFeature
from broadcaster.head.slaney import mel_bands
from broadcaster.head.track import Track
from tests.support.faces import MS, voiced
from tests.support.onnx_heads import FEATHERTALK, WAV2LIP, feathertalk

pytestmark = pytest.mark.unit

TICK = 1920
SECONDS = 1.2
SOUND = voiced(round(SECONDS * 48_000), seed=4)


def track_in(pieces: list[int], complete: bool = True) -> Track:
    """`SOUND` in pieces that end at these samples."""
    track, at = Track(), 0
    for end in [*sorted(piece for piece in pieces if piece < len(SOUND) // 2), len(SOUND) // 2]:
        track.add(SOUND[2 * at : 2 * end], [])
        at = end
    if complete:
        track.end()
    return track


def mel(**changed: Any) -> MelFeature:
    return MelFeature(MelSound.model_validate({**WAV2LIP["sound"], **changed}))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return feathertalk(tmp_path_factory.mktemp("feathertalk"))


class Counted:
    """The real encoder, and how often it ran."""

    def __init__(self, encoder: Encoder) -> None:
        self.runs = 0
        self._encoder = encoder

    def features(self, waveform: NDArray[np.float32]) -> NDArray[np.float32]:
        self.runs += 1
        return self._encoder.features(waveform)


def features(folder: Path, **changed: Any) -> tuple[EncoderFeature, Counted]:
    sound = EncoderSound.model_validate({**FEATHERTALK["sound"], **changed})
    opened: list[Counted] = []

    def open_encoder(samples: int, count: int) -> Counted:
        opened.append(Counted(Encoder(folder, sound, "cpu", 1, samples, count)))
        return opened[0]

    return EncoderFeature(sound, open_encoder), opened[0]


def plain_mel() -> NDArray[np.float64]:
    """(80, columns) of the whole of `SOUND`, one spectrum after the other."""
    pcm = np.frombuffer(SOUND, "<i2")
    wave = downsampled(pcm, -401, len(pcm) // 3 + 400).astype(np.float64)
    sharpened = wave[1:] - 0.97 * wave[:-1]
    bands = mel_bands(80, 800, 16_000, 55, 7600)
    columns = []
    for start in range(0, len(sharpened) - 800, 200):
        window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(800) / 800)
        level = bands @ np.abs(np.fft.rfft(sharpened[start : start + 800] * window))
        columns.append(np.clip(8 * (20 * np.log10(np.maximum(1e-5, level)) - 20 + 100) / 100 - 4, -4, 4))
    return np.array(columns).T


def test_the_mel_of_a_picture_is_cut_from_that_of_the_whole_clip() -> None:
    whole, track, feature = plain_mel(), track_in([]), mel()
    worst = 0.0
    for tick in range(20):
        column = int(tick * 80 / 25)
        mine = feature.of(track, tick * TICK)
        assert (mine.shape, mine.dtype) == ((1, 80, 16), np.float32)
        worst = max(worst, float(np.abs(mine[0] - whole[:, column : column + 16]).max()))
    print(f"mel of a picture, apart from that of the whole clip: {worst:.1e}")
    assert worst < 1e-5


def test_a_shift_is_a_later_column() -> None:
    track = track_in([])
    later = mel(offset_ms=50).of(track, 5 * TICK)
    assert np.array_equal(later[0][:, :12], mel().of(track, 5 * TICK)[0][:, 4:])


def test_silence_is_the_lowest_level_and_before_the_speech_too() -> None:
    track = Track()
    track.add(bytes(2 * 48_000), [])
    track.end()
    assert (mel().of(track, 4800) == -4).all()
    assert (mel().of(track_in([]), -20 * TICK) == -4).all()


def test_slaney_bands_have_equal_area_and_no_hole() -> None:
    bands = mel_bands(80, 800, 16_000, 55, 7600)
    assert bands.shape == (80, 401)
    assert (bands.sum(axis=1)[20:] * 20 - 1 < 0.05).all()
    peaks = bands.argmax(axis=1)
    assert (np.diff(peaks) >= 0).all()
    assert not bands[:, 382:].any()


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, 57_000), max_size=4), st.integers(0, 24), st.sampled_from(["mel", "encoder"]))
def test_neither_pieces_nor_what_follows_change_a_picture(
    folder: Path, pieces: list[int], tick: int, kind: str
) -> None:
    """What was known when a picture was first possible gives the same bits as the whole utterance."""
    feature: Feature = mel() if kind == "mel" else features(folder)[0]
    start = tick * TICK
    whole = feature.of(track_in([]), start).copy()
    feature.begin()
    assert np.array_equal(feature.of(track_in(pieces), start), whole)
    needed = feature.needs(start)
    if needed > len(SOUND) // 2:
        return
    feature.begin()
    partly = Track()
    partly.add(SOUND[: 2 * needed], [])
    assert np.array_equal(feature.of(partly, start), whole)
    partly.add(voiced(9600, seed=9), [])
    assert np.array_equal(feature.of(partly, start), whole)


def test_the_look_ahead_is_bounded(folder: Path) -> None:
    ahead = [mel().needs(tick * TICK) - tick * TICK for tick in range(50)]
    print(f"a picture hears up to {max(ahead) / MS:.0f} ms after its start (mel)")
    assert max(ahead) <= 220 * MS
    feature, _ = features(folder)
    ahead = [feature.needs(tick * TICK) - tick * TICK for tick in range(50)]
    print(f"a picture hears up to {max(ahead) / MS:.0f} ms after its start (encoder)")
    assert max(ahead) <= (80 + 80 + 80 + 25) * MS


def test_features_are_those_of_the_whole_clip_and_zeros_around_it(folder: Path) -> None:
    feature, counted = features(folder)
    track = track_in([])
    pcm = np.frombuffer(SOUND, "<i2")
    wave = downsampled(pcm, 0, len(pcm) // 3)
    count = (len(wave) - 400) // 320 + 1
    whole = Encoder(
        folder, EncoderSound.model_validate(FEATHERTALK["sound"]), "cpu", 1, 400 + 320 * (count - 1), count
    )
    wanted = np.pad(whole.features(wave[: 400 + 320 * (count - 1)]), ((4, 8), (0, 0)))
    for tick in range(30):
        mine = feature.of(track, tick * TICK).reshape(8, 32)
        assert np.allclose(mine, wanted[2 * tick : 2 * tick + 8], atol=1e-5)
    assert not feature.of(track, 40 * TICK).any()
    assert counted.runs == -(-count // 4), "each block once"


def test_a_block_that_heard_too_little_is_made_again(folder: Path) -> None:
    feature, counted = features(folder)
    track = Track()
    track.add(SOUND[: 2 * 20_000], [])
    early = feature.of(track, 18_000).copy()
    runs = counted.runs
    track.add(SOUND[2 * 20_000 :], [])
    later = feature.of(track, 18_000).copy()
    assert not np.array_equal(early, later)
    assert counted.runs > runs
    track.trim(20_000)
    assert np.array_equal(feature.of(track, 18_000), early)
    feature.begin()
    assert np.array_equal(feature.of(track, 18_000), early)


def test_normalisation(folder: Path) -> None:
    track = track_in([])
    plain = features(folder)[0].of(track, 10 * TICK)
    speech = features(folder, normalise="speech")[0].of(track, 10 * TICK)
    assert np.allclose(speech, plain / 0.1, atol=1e-4)
    window = features(folder, normalise="window")[0].of(track, 10 * TICK)
    pcm = np.frombuffer(SOUND, "<i2")
    level = downsampled(pcm, 0, len(pcm) // 3).std()
    assert float(np.median(window / plain)) == pytest.approx(1 / level, rel=0.05)


def test_what_a_block_heard_around_it_is_no_longer_true_when_more_has_come(folder: Path) -> None:
    """An encoder that hears the whole window (here: its level) gives other numbers for the same block."""
    feature, fresh = (features(folder, normalise="window")[0] for _ in range(2))
    track = Track()
    track.add(SOUND[: 2 * 20_000], [])
    early = feature.of(track, 16_000).copy()
    track.add(SOUND[2 * 20_000 :], [])
    later = feature.of(track, 16_000).copy()
    assert np.array_equal(later, fresh.of(track, 16_000))
    assert not np.array_equal(early, later)


def test_blocks_are_kept_but_not_for_ever(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broadcaster.head.onnx.sound.BLOCKS_KEPT", 3)
    feature, counted = features(folder)
    track = track_in([])
    for start in (0, 20 * TICK, 25 * TICK, 0):
        feature.of(track, start)
    assert len(feature._kept) == 3
    assert counted.runs == 1 + 2 + 3 + 1, "the first block was forgotten, and made again"


@pytest.mark.parametrize(("past", "future", "run"), [(600, 80, 30 + 4 + 4), (600, 70, 30 + 4 + 4), (0, 0, 4)])
def test_a_run_is_the_block_and_at_least_what_is_to_be_heard_around_it(past: int, future: int, run: int) -> None:
    asked: list[tuple[int, int]] = []
    sound = EncoderSound.model_validate({**FEATHERTALK["sound"], "past_ms": past, "future_ms": future})
    feature = EncoderFeature(sound, lambda samples, count: asked.append((samples, count)))
    assert asked == [(400 + 320 * (run - 1), run)]
    assert feature.needs(0) - 3 * (400 + 320 * (run - past // 20 - 1)) == REACH - 2, "block 0 and what follows it"
