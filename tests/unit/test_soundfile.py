"""Sound files from strangers: what is read, and what is not."""

from __future__ import annotations

import io
import wave
from pathlib import Path

import av
import numpy as np
import pytest

from broadcaster.errors import AssetError
from broadcaster.soundfile import decoded

pytestmark = pytest.mark.unit

TONE = (8000 * np.sin(np.arange(48_000) * 0.05)).astype("<i2")


def wav(pcm: bytes, rate: int = 48_000, channels: int = 1) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(pcm)
    return out.getvalue()


def encoded(container: str, codec: str) -> bytes:
    out = io.BytesIO()
    with av.open(out, "w", format=container) as file:
        stream = file.add_stream(codec, rate=48_000)
        frame = av.AudioFrame.from_ndarray(TONE[np.newaxis].astype(np.int16), format="s16", layout="mono")
        frame.sample_rate = 48_000
        for packet in (*stream.encode(frame), *stream.encode(None)):
            file.mux(packet)
    return out.getvalue()


@pytest.mark.parametrize(
    ("container", "codec"),
    [("flac", "flac"), ("mp3", "libmp3lame"), ("ogg", "libopus"), ("mp4", "aac"), ("webm", "libopus")],
)
def test_the_usual_files_are_read(container: str, codec: str) -> None:
    data = encoded(container, codec)
    pcm = np.frombuffer(decoded(io.BytesIO(data), 24_000, 60.0), "<i2")
    assert len(pcm) == pytest.approx(24_000, abs=1_500)
    assert float(np.abs(pcm).max()) > 3_000


def test_rate_and_channels_are_changed(tmp_path: Path) -> None:
    path = tmp_path / "question.wav"
    path.write_bytes(wav(np.repeat(TONE, 2).tobytes(), channels=2))
    assert len(decoded(path, 16_000, 60.0)) == pytest.approx(2 * 16_000, abs=100)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "cannot be read"),
        (b"no sound at all", "cannot be read"),
        (wav(b""), "no sound"),
        (wav(bytes(2 * 48_000 * 3)), "more than 2 s"),
    ],
)
def test_what_is_no_question_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(AssetError, match=why):
        decoded(io.BytesIO(data), 24_000, 2.0)


def test_a_file_that_names_other_files_is_not_followed(tmp_path: Path) -> None:
    path = tmp_path / "private.wav"
    path.write_bytes(wav(TONE.tobytes()))
    playlists = [
        f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{path}\n#EXT-X-ENDLIST\n",
        f"ffconcat version 1.0\nfile '{path}'\n",
        f"#EXTM3U\n#EXTINF:1,\nfile://{path}\n",
    ]
    for text in playlists:
        with pytest.raises(AssetError, match="cannot be read"):
            decoded(io.BytesIO(text.encode()), 24_000, 2.0)


def test_a_file_that_is_not_there_is_named_so(tmp_path: Path) -> None:
    with pytest.raises(AssetError, match="no such file"):
        decoded(tmp_path / "gone.wav", 24_000, 2.0)
