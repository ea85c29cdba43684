"""Picture files that a model may see: read whole, checked by their first bytes. Blocking."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from broadcaster.errors import ConfigError
from broadcaster.types import Image

MAX_BYTES: Final = 5_000_000
"""What the services take; a picture goes along with every question while its programme is on."""


def read_picture(path: Path) -> Image:
    """JPEG, PNG or WebP. Raises ConfigError ("what is wrong -> what to do")."""
    try:
        size = path.stat().st_size
        data = path.read_bytes() if size <= MAX_BYTES else b""
    except OSError as err:
        raise ConfigError(f"{path}: {err.strerror} -> check the path of the picture") from err
    if size > MAX_BYTES:
        raise ConfigError(f"{path}: larger than {MAX_BYTES // 1_000_000} MB -> make the picture smaller")
    kind = _kind(data)
    if kind is None:
        raise ConfigError(f"{path}: not a JPEG, PNG or WebP picture -> convert it")
    return Image(data, kind)


def _kind(data: bytes) -> str | None:
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return None
