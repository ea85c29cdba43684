"""Any sound file as plain samples. Blocking; used in worker threads."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from broadcaster.errors import AssetError

if TYPE_CHECKING:
    import av

_SAMPLE_BYTES: Final = 2

_FORMATS: Final = "wav,w64,flac,mp3,ogg,aac,aiff,caf,au,amr,matroska,webm,mov"
"""Containers that hold their own sound. Playlists and the like, which name other files and addresses, are none."""


def decoded(source: Path | IO[bytes], rate: int, longest_s: float) -> bytes:
    """The first sound track of a file, mixed to mono: s16le at `rate`. Raises AssetError.

    Decoding stops behind `longest_s`, and the file is then refused: nobody is kept busy by a film.
    """
    import av
    import av.error

    limit = int(longest_s * rate) * _SAMPLE_BYTES
    parts: list[bytes] = []
    size = 0
    try:
        name = str(source) if isinstance(source, Path) else source
        limits = {"format_whitelist": _FORMATS, "protocol_whitelist": "file" if isinstance(source, Path) else "none"}
        with av.open(name, mode="r", metadata_errors="ignore", options=limits) as container:
            stream = next(iter(container.streams.audio), None)
            if stream is None:
                raise AssetError("there is no sound in it -> send a WAV, FLAC, MP3 or Opus file")
            resampler: Any = av.AudioResampler(format="s16", layout="mono", rate=rate)
            for frame in chain(container.decode(stream), [None]):  # None brings what the resampler kept
                for mono in resampler.resample(frame):
                    parts.append(_bytes(mono))
                    size += len(parts[-1])
                if size > limit:
                    raise AssetError(f"it lasts more than {longest_s:g} s -> send a shorter one")
    except av.error.FileNotFoundError as err:
        raise AssetError("there is no such file -> check the path") from err
    except (av.error.FFmpegError, OSError, ValueError) as err:
        raise AssetError("it cannot be read as sound -> send a WAV, FLAC, MP3 or Opus file") from err
    if size == 0:
        raise AssetError("there is no sound in it -> send a WAV, FLAC, MP3 or Opus file")
    return b"".join(parts)


def _bytes(frame: av.AudioFrame) -> bytes:
    return frame.to_ndarray().astype("<i2").tobytes()
