"""Media time, pictures and mouths. Frozen values, no I/O.

Media time is counted, never measured: a *tick* is one picture (1/fps s), a *sample* is 1/48000 s of
sound, and both are integers from the start of the channel. Monotonic time only says when tick n runs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE: Final = 48_000
"""Samples per second of everything on air; engines of another rate are resampled in `speech`."""


PcmArray = NDArray[np.int16]
"""Mono speech: shape (samples,), int16, 48 kHz."""


Plane = NDArray[np.uint8]
"""One picture plane: shape (height, width), uint8, limited range BT.709."""


def samples_at(tick: int, fps: int) -> int:
    """First sample of `tick`. Exact for every fps that divides 48000 (24, 25, 30, 50, 60)."""
    return tick * SAMPLE_RATE // fps


def base_index(tick: int, loop_frames: int) -> int:
    """Index of the idle base frame shown at `tick`: a pure function, so that the body never jumps."""
    return tick % loop_frames


class Viseme(StrEnum):
    """Mouth shapes, the 15 classes of the Oculus/ARKit convention; every voice engine maps to these."""

    SIL = "sil"
    PP = "PP"  # p b m: lips closed
    FF = "FF"  # f v
    TH = "TH"  # th
    DD = "DD"  # t d, pinyin d t
    KK = "kk"  # k g, pinyin g k h
    CH = "CH"  # ch j sh, pinyin zh ch sh r j q x
    SS = "SS"  # s z, pinyin z c s
    NN = "nn"  # n l
    RR = "RR"  # r
    AA = "aa"
    E = "E"
    IH = "ih"
    OH = "oh"
    OU = "ou"


@dataclass(frozen=True, slots=True)
class Phone:
    """One phoneme of a piece of speech; `start` and `end` are samples from the first sample of its PCM."""

    symbol: str
    viseme: Viseme
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class MouthBox:
    """Region of interest in the picture, all even numbers of pixels (I420 chroma is half size)."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class FaceCrop:
    """What a neural engine cuts out of one base frame: whole picture pixels, `right` and `bottom` exclusive.

    It may reach over the picture's edge. `mask`: uint8 (64, 64) over the box, how much of the engine's face is shown
    (0..255); 0 in the upper half and along the edges.
    """

    left: int
    top: int
    right: int
    bottom: int
    mask: Plane = field(repr=False)


@dataclass(frozen=True, slots=True)
class MouthPatch:
    """Mouth pixels for one tick over one base frame.

    `planes` is I420 of the box: Y (h, w) then U and V (h/2, w/2), C order, concatenated, uint8. `epoch`
    is the number of the (re-)anchoring it was rendered for: a patch of an older epoch is never shown.
    """

    generation: int
    epoch: int
    tick: int
    base: int
    box: MouthBox
    planes: bytes = field(repr=False)
