"""MP3, Opus and FLAC to s16le, however the bytes are cut."""

from __future__ import annotations

import numpy as np
import pytest

from broadcaster.errors import VoiceError
from broadcaster.speech.remote.decode import Mp3Stream, OpusStream, WholeFile, decoded
from tests.contract.voice_cases.case import sound
from tests.fakes.voice_server import encoded

pytestmark = pytest.mark.unit

PCM = sound(24_000, 0.5)


def read(reader: Mp3Stream | OpusStream | WholeFile, data: bytes, step: int) -> bytes:
    parts = [reader.feed(data[at : at + step]) for at in range(0, len(data), step)]
    return b"".join([*parts, reader.finish()])


def samples(data: bytes) -> np.ndarray:
    return np.frombuffer(data, "<i2").astype(float)


def likeness(heard: bytes, meant: bytes) -> float:
    """Largest correlation over all delays; 1.0 for the same sound."""
    a, b = samples(heard), samples(meant)
    return float(np.correlate(a, b, "full").max() / np.sqrt((a**2).sum() * (b**2).sum()))


@pytest.mark.parametrize(("form", "made", "rate"), [("mp3", Mp3Stream, 24_000), ("opus", OpusStream, 48_000)])
def test_a_stream_sounds_as_it_did_and_the_same_for_every_cut(form: str, made: type, rate: int) -> None:
    meant = sound(rate, 0.5)
    data = encoded(form, meant, rate)
    readers = [made() for _ in range(4)]
    heard = {read(reader, data, step) for reader, step in zip(readers, (1, 7, 1000, len(data)), strict=True)}
    assert len(heard) == 1
    assert {(reader.rate, reader.channels) for reader in readers} == {(rate, 1)}
    assert likeness(heard.pop(), meant) > 0.97


@pytest.mark.parametrize(("form", "made", "rate"), [("mp3", Mp3Stream, 24_000), ("opus", OpusStream, 48_000)])
def test_sound_comes_out_while_it_still_comes_in(form: str, made: type, rate: int) -> None:
    data = encoded(form, sound(rate, 0.5), rate)
    assert made().feed(data[: len(data) // 2])


@pytest.mark.parametrize("form", ["mp3", "opus"])
def test_two_channels_stay_two(form: str) -> None:
    both = np.stack([samples(PCM), samples(PCM)[::-1]], axis=1).astype("<i2").tobytes()
    rate = 48_000 if form == "opus" else 24_000
    reader = OpusStream() if form == "opus" else Mp3Stream()
    heard = read(reader, encoded(form, both, rate, 2), 500)
    assert reader.channels == 2
    assert abs(len(heard) - len(both)) < 0.1 * 4 * rate


def test_a_tag_before_the_sound_is_no_sound() -> None:
    tag = b"ID3\x04\0\0" + bytes([0, 0, 2, 0]) + b"\xff\xf3\x84\xc4" * 64
    data = encoded("mp3", PCM, 24_000)
    assert read(Mp3Stream(), tag + data[data.index(b"\xff\xf3") :], 3) == read(
        Mp3Stream(), data[data.index(b"\xff\xf3") :], 500
    )


def test_flac_is_exact_but_comes_at_the_end() -> None:
    reader = WholeFile()
    assert read(reader, encoded("flac", PCM, 24_000), 100) == PCM
    assert (reader.rate, reader.channels) == (24_000, 1)


def test_a_whole_mp3_is_decoded_too() -> None:
    pcm, rate, channels = decoded(encoded("mp3", PCM, 24_000))
    assert (rate, channels) == (24_000, 1)
    assert likeness(pcm, PCM) > 0.97


def test_what_is_no_sound_is_an_error_or_nothing() -> None:
    with pytest.raises(VoiceError, match="cannot be decoded"):
        decoded(b"this is no file at all, whatever its name says" * 20)
    with pytest.raises(VoiceError, match="no Ogg"):
        OpusStream().feed(b"{}" * 40)
    page = b"OggS" + bytes(22) + bytes([1, 20]) + b"\x01vorbis".ljust(20, b"\0")
    with pytest.raises(VoiceError, match="no Opus"):
        OpusStream().feed(page)
    assert read(Mp3Stream(), b"no mp3 at all, but quite long " * 50, 100) == b""
