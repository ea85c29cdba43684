"""Pasting a face the long way: the whole picture in RGB, through PIL, as MuseTalk's real-time script does it."""

from __future__ import annotations

from copy import deepcopy

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from broadcaster.types import FaceCrop, Plane

Pixels = NDArray[np.uint8]
Planes = tuple[Plane, Plane, Plane]

_KR, _KB = 0.2126, 0.0722


def crop_with_mask(left: int, top: int, right: int, bottom: int) -> FaceCrop:
    """A crop whose mask is a soft ellipse in the lower half, 0 along the edges."""
    y, x = np.mgrid[0:64, 0:64] / 63.0
    away = np.hypot((x - 0.5) / 0.36, (y - 0.74) / 0.2)
    mask = np.clip(255 * (1.4 - away) / 0.6, 0, 255)
    mask[:33] = mask[-1] = 0
    return FaceCrop(left, top, right, bottom, np.rint(mask).astype(np.uint8))


def rgb(planes: Planes) -> Pixels:
    """I420 of BT.709 limited -> RGB (h, w, 3), each chroma sample for its four pixels."""
    y, u, v = (plane.astype(np.float64) for plane in planes)
    luma = (y - 16) / 219
    blue, red = ((np.repeat(np.repeat(plane, 2, 0), 2, 1) - 128) / 224 for plane in (u, v))
    r, b = luma + 2 * (1 - _KR) * red, luma + 2 * (1 - _KB) * blue
    g = (luma - _KR * r - _KB * b) / (1 - _KR - _KB)
    return np.rint(np.clip(np.stack([r, g, b], axis=2) * 255, 0, 255)).astype(np.uint8)


def i420(pixels: Pixels) -> Planes:
    """RGB -> planes, chroma the mean of four pixels."""
    r, g, b = np.moveaxis(pixels / 255.0, 2, 0)
    luma = _KR * r + (1 - _KR - _KB) * g + _KB * b
    blue, red = 224 * (b - luma) / (2 * (1 - _KB)) + 128, 224 * (r - luma) / (2 * (1 - _KR)) + 128
    halves = (plane.reshape(luma.shape[0] // 2, 2, luma.shape[1] // 2, 2).mean(axis=(1, 3)) for plane in (blue, red))
    u, v = (np.rint(half).astype(np.uint8) for half in halves)
    return np.rint(219 * luma + 16).astype(np.uint8), u, v


def expanded_mask(crop: FaceCrop) -> tuple[tuple[int, int, int, int], Pixels]:
    """The square around the crop, and the mask at its full size in three channels, as a prepared avatar of MuseTalk
    is read back."""
    width, height = crop.right - crop.left, crop.bottom - crop.top
    x, y = (crop.left + crop.right) // 2, (crop.top + crop.bottom) // 2
    half = int(max(width, height) // 2 * 1.5)
    mask = np.zeros((2 * half, 2 * half), np.uint8)
    into = mask[crop.top - y + half : crop.bottom - y + half, crop.left - x + half : crop.right - x + half]
    into[...] = cv2.resize(crop.mask, (width, height), interpolation=cv2.INTER_LINEAR)
    return (x - half, y - half, x + half, y + half), np.repeat(mask[..., None], 3, axis=2)


def blended(frame: Pixels, face: Pixels, crop: FaceCrop, square: tuple[int, int, int, int], mask: Pixels) -> Pixels:
    """A copy of `frame` with the face in it; both BGR, and PIL wants RGB."""
    copied = deepcopy(frame)
    resized = cv2.resize(face, (crop.right - crop.left, crop.bottom - crop.top))
    body = Image.fromarray(copied[:, :, ::-1])
    around = body.crop(square)
    around.paste(Image.fromarray(resized[:, :, ::-1]), (crop.left - square[0], crop.top - square[1]))
    body.paste(around, square[:2], Image.fromarray(mask).convert("L"))
    return np.array(body)[:, :, ::-1]
