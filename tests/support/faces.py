"""Speech with known phones and the shipped avatar, expanded small, for tests of the head."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from broadcaster.head.track import Track
from broadcaster.studio.avatar import ExpandedAvatar, expand
from broadcaster.types import SAMPLE_RATE

HOST = Path(__file__).parents[2] / "avatars" / "host"

MS = SAMPLE_RATE // 1000

PhoneRow = tuple[str, str, int, int]


@cache
def host(folder: Path, width: int = 640, height: int = 360, fps: int = 25) -> ExpandedAvatar:
    """The shipped presenter, expanded once per folder and size."""
    return expand(HOST, folder, width, height, fps)


def phones(*spoken: tuple[str, int], start_ms: int = 80) -> list[PhoneRow]:
    """Phones one after the other from (viseme, milliseconds)."""
    rows, at = [], start_ms * MS
    for viseme, length in spoken:
        rows.append((viseme, viseme, at, at + length * MS))
        at += length * MS
    return rows


def voiced(samples: int, seed: int = 1, level: float = 0.12) -> bytes:
    """s16le noise of the given RMS."""
    noise = np.random.default_rng(seed).normal(0.0, level * 32767, samples)
    return np.clip(noise, -32768, 32767).astype("<i2").tobytes()


def track_of(rows: list[PhoneRow], tail_ms: int = 160, complete: bool = True) -> Track:
    """One utterance: the phones over noise, with silence's worth of room behind them."""
    track = Track()
    track.add(voiced(rows[-1][3] + tail_ms * MS), rows)
    if complete:
        track.end()
    return track


def babble(seconds: float, seed: int = 3) -> list[PhoneRow]:
    """Consonant-vowel syllables like Mandarin's, bilabials among them."""
    rng = np.random.default_rng(seed)
    rows: list[PhoneRow] = []
    at = 80 * MS
    while at < seconds * SAMPLE_RATE:
        onset = str(rng.choice(["PP", "DD", "kk", "CH", "SS", "nn", "FF", "PP"]))
        vowel = str(rng.choice(["aa", "E", "ih", "oh", "ou"]))
        for viseme, length in ((onset, int(rng.integers(60, 100))), (vowel, int(rng.integers(110, 220)))):
            rows.append((viseme, viseme, at, at + length * MS))
            at += length * MS
    return rows


def planes(patch: bytes, width: int, height: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]:
    """Y, U, V of a patch."""
    data = np.frombuffer(patch, dtype=np.uint8)
    luma, half = width * height, (height // 2, width // 2)
    chroma = half[0] * half[1]
    return (
        data[:luma].reshape(height, width),
        data[luma : luma + chroma].reshape(half),
        data[luma + chroma :].reshape(half),
    )
