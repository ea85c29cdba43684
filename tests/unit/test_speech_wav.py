"""The header of a WAV that is still being written, cut anywhere; what is refused."""

from __future__ import annotations

import struct
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcaster.errors import VoiceError
from broadcaster.speech.remote.wav import HEADER_LIMIT, WavStream

pytestmark = pytest.mark.unit

SOUND = bytes(range(256)) * 2
LIST = b"LIST" + struct.pack("<I", 5) + b"INFOx" + b"\0"
"""A chunk of an odd size, padded."""


def file(
    *, size: int = 0, extra: bytes = b"", kind: int = 1, bits: int = 16, channels: int = 1, fmt: bytes | None = None
) -> bytes:
    if fmt is None:
        fmt = struct.pack("<HHIIHH", kind, channels, 32_000, 64_000 * channels, 2 * channels, bits)
    head = b"RIFF" + struct.pack("<I", 36) + b"WAVE" + b"fmt " + struct.pack("<I", len(fmt)) + fmt
    return head + extra + b"data" + struct.pack("<I", size)


def read(stream: WavStream, data: bytes, cuts: list[int]) -> bytes:
    edges = [0, *sorted(cuts), len(data)]
    heard = b"".join(stream.feed(data[a:b]) for a, b in pairwise(edges))
    stream.finish()
    return heard


@given(
    cuts=st.lists(st.integers(0, 600), max_size=12).map(lambda cuts: [min(cut, 570) for cut in cuts]),
    size=st.sampled_from([0, 0xFFFF_FFFF, 0x7FFF_FFFF, len(SOUND)]),
    extra=st.sampled_from([b"", LIST, LIST * 2]),
    channels=st.sampled_from([1, 2]),
)
def test_however_it_is_cut_the_sound_is_the_same(cuts: list[int], size: int, extra: bytes, channels: int) -> None:
    stream = WavStream()
    assert read(stream, file(size=size, extra=extra, channels=channels) + SOUND, cuts) == SOUND
    assert (stream.rate, stream.channels) == (32_000, channels)


def test_what_follows_the_sound_is_left_out_where_the_header_tells_its_size() -> None:
    assert read(WavStream(), file(size=len(SOUND)) + SOUND + LIST, [100, 500]) == SOUND


def test_less_than_the_header_promised_was_cut_off() -> None:
    with pytest.raises(VoiceError, match="12 bytes of it did not come"):
        read(WavStream(), file(size=len(SOUND)) + SOUND[:-12], [])
    with pytest.raises(VoiceError, match="inside the WAV header"):
        read(WavStream(), file()[:30], [])


def test_the_extensible_form_of_16_bit_pcm_is_taken() -> None:
    fmt = struct.pack("<HHIIHHHHI", 0xFFFE, 2, 44_100, 176_400, 4, 16, 22, 16, 3) + struct.pack("<H", 1) + bytes(14)
    stream = WavStream()
    assert read(stream, file(fmt=fmt) + SOUND, [13, 41]) == SOUND
    assert (stream.rate, stream.channels) == (44_100, 2)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b'{"message": "tts failed"}', "no WAV"),
        (b"RIFF\x24\0\0\0AVI fmt ", "no WAV"),
        (file(kind=3, bits=32), r"not 16-bit PCM \(format 3, 32 bits\)"),
        (file(bits=24), r"not 16-bit PCM \(format 1, 24 bits\)"),
        (file(channels=0), "no channels"),
        (b"RIFF\0\0\0\0WAVEdata\0\0\0\0", "has no format"),
        (b"RIFF\0\0\0\0WAVEjunk" + struct.pack("<I", 0xFFFFFF) + bytes(HEADER_LIMIT), "does not end"),
    ],
)
def test_what_cannot_be_played_is_refused_and_said(data: bytes, says: str) -> None:
    with pytest.raises(VoiceError, match=says):
        WavStream().feed(data)
