"""Pictures of wide gamut or high dynamic range as the BT.709 pictures that a channel shows. Tables and one matrix.

Method, for every picture by itself (no state, so a loop's brightness never pumps):

    1. code value -> linear light, by a table: SMPTE ST 2084 (PQ) in nits; ARIB STD-B67 (HLG) with the system gamma
       1.2 of a 1000-nit display (BT.2100); BT.2020 of ordinary range by the power 2.4 (BT.1886).
    2. linear BT.2020 -> linear BT.709 (BT.2087), what falls outside is clipped.
    3. HDR only: 203 nits, the reference white of BT.2408, become 1; a knee that starts at 0.6 with slope 1 brings
       1000 nits to 1. It works on the largest of the three components, so hues stay.
    4. linear light -> code value by the inverse of BT.1886.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

Kind = Literal["PQ", "HLG", "BT.2020"]

REFERENCE_WHITE: Final = 203.0
"""Nits of a white sheet of paper in HDR (BT.2408)."""

PEAK: Final = 1000.0
"""Nits that become the brightest white: what the common masters and HLG are made for."""

KNEE: Final = 0.6
"""Below this share of the reference white nothing is bent: faces lie there (BT.2408: skin 26 to 70 % signal)."""

CODES: Final = 4096
"""Steps of the tables: 12 bits, what PQ needs to show no bands (ST 2084)."""

TO_709: Final = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], dtype=np.float32
)
"""Linear R, G, B of BT.2020 to those of BT.709 (BT.2087)."""


def pq_nits(code: NDArray[np.float64]) -> NDArray[np.float64]:
    """ST 2084: code value 0..1 to nits."""
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    power = np.power(code, 1 / m2)
    return np.asarray(10_000.0 * np.power(np.maximum(power - c1, 0.0) / (c2 - c3 * power), 1 / m1))


def hlg_scene(code: NDArray[np.float64]) -> NDArray[np.float64]:
    """ARIB STD-B67: code value 0..1 to scene light 0..1."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(code <= 0.5, code**2 / 3.0, (np.exp((code - c) / a) + b) / 12.0)


def shoulder(light: NDArray[np.float32], peak: float) -> NDArray[np.float32]:
    """Light in units of the reference white to 0..1: as it is up to the knee, `peak` becomes 1."""
    room, reach = 1.0 - KNEE, peak - KNEE
    bend = 1.0 / room - 1.0 / reach
    over = np.maximum(light - KNEE, 0.0)
    return np.minimum(np.where(light <= KNEE, light, KNEE + over / (1.0 + over * bend)), 1.0).astype(np.float32)


@lru_cache(maxsize=4)
def _linear(kind: Kind) -> NDArray[np.float32]:
    """Table of CODES steps to linear light; for HLG still scene light."""
    code = np.arange(CODES) / (CODES - 1)
    if kind == "PQ":
        return (pq_nits(code) / REFERENCE_WHITE).astype(np.float32)
    if kind == "HLG":
        return hlg_scene(code).astype(np.float32)
    return np.power(code, 2.4).astype(np.float32)


@lru_cache(maxsize=1)
def _encoded() -> NDArray[np.uint8]:
    """Table from the fourth root of linear light (it gives the dark its share of the steps) to 8-bit code values."""
    root = np.arange(CODES) / (CODES - 1)
    return np.rint(255.0 * np.power(root**4, 1 / 2.4)).astype(np.uint8)


def to_bt709(rgb: NDArray[np.uint16], kind: Kind) -> NDArray[np.uint8]:
    """(h, w, 3) R, G, B of BT.2020, 16-bit full range, to B, G, R of BT.709, 8-bit full range."""
    import cv2

    light = _linear(kind)[rgb >> 4]
    if kind == "HLG":
        luma = cv2.transform(light, np.array([[0.2627, 0.6780, 0.0593]], dtype=np.float32))
        light *= (np.power(np.maximum(luma, 1e-6), 0.2) * (PEAK / REFERENCE_WHITE)).reshape(*luma.shape[:2], 1)
    light = np.maximum(cv2.transform(light, TO_709), 0.0)
    if kind != "BT.2020":
        largest = np.maximum(light.max(axis=2, keepdims=True), 1e-6)
        light *= shoulder(largest, PEAK / REFERENCE_WHITE) / largest
    root = np.sqrt(np.sqrt(np.minimum(light, 1.0)))
    coded = _encoded()[(root * (CODES - 1) + 0.5).astype(np.uint16)]
    return np.ascontiguousarray(coded[:, :, ::-1])
