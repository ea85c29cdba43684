"""The AI label: text drawn once with Pillow, laid over every base frame in I420. Runs in the playout process.

Required on every frame from the first (GB 45438-2025: text height >= 5 % of the shorter side; the draft rules
on digital humans ask for the words 数字人 in view throughout), so nothing here can switch it off.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from broadcaster.errors import AssetError, ConfigError
from broadcaster.types import MouthBox, Plane

REQUIRED_WORDS = ("AI生成", "数字人")
MIN_HEIGHT = 0.05
"""Ink height of a character over the picture's shorter side."""

_PLATE = (24, 26, 32)
_PLATE_ALPHA = 0.72
_INK = (255, 255, 255)


def label_font() -> Path:
    """The Noto Sans CJK file (OFL 1.1) of the package `cvttf-notosanscjk-medium`. Raises AssetError."""
    try:
        import cvttf_NotoSansCJK_Medium as package
    except ImportError as err:
        raise AssetError("the label's font package is missing: pip install cvttf-notosanscjk-medium==1.0") from err
    return Path(package.__file__).parent / "NotoSansCJKtc-Medium.otf"


@dataclass(frozen=True, slots=True)
class Overlay:
    """A picture region with alpha, in I420 parts. Arrays are (height, width) and (height/2, width/2) float32;
    `ink` planes are already multiplied by alpha."""

    box: MouthBox
    ink: tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]
    keep: tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]

    def over(self, base: tuple[Plane, Plane, Plane]) -> tuple[Plane, Plane, Plane]:
        """The region of `base` (three full planes) with this overlay on it, as three new arrays."""
        box = self.box
        parts = []
        for plane, scale, ink, keep in zip(base, (1, 2, 2), self.ink, self.keep, strict=True):
            region = region_of(plane, box, scale)
            parts.append((region * keep + ink + np.float32(0.5)).astype(np.uint8))
        return parts[0], parts[1], parts[2]


def region_of(plane: Plane, box: MouthBox, scale: int) -> Plane:
    """The view of `box` in a plane that is `scale` times smaller than the picture (1 luma, 2 chroma)."""
    top, left = box.y // scale, box.x // scale
    return plane[top : top + box.height // scale, left : left + box.width // scale]


def draw_label(text: str, corner: str, height_percent: float, width: int, height: int) -> Overlay:
    """The label for a picture of width x height pixels.

    Raises ConfigError when the text lacks a required word or does not fit, AssetError without the font.
    """
    for word in REQUIRED_WORDS:
        if word not in text:
            raise ConfigError(f'label.text must contain "{word}" (the law asks for it): it is {text!r}')
    short = min(width, height)
    wanted = short * max(MIN_HEIGHT, height_percent / 100)
    font = _font_with_ink_height(wanted)
    left, top, right, bottom = font.getbbox(text, language="zh-Hans")
    pad_x, pad_y, margin = round(wanted * 0.55), round(wanted * 0.35), _even(short * 0.03)
    box_width = _even(right - left + 2 * pad_x + 1)
    box_height = _even(bottom - top + 2 * pad_y + 1)
    if box_width + 2 * margin > width:
        raise ConfigError(
            f"label.text is too long: {box_width} pixels wide at the required height, the picture has {width}; "
            "shorten the text"
        )
    image = Image.new("L", (box_width, box_height), 0)
    plate = Image.new("L", (box_width * 4, box_height * 4), 0)
    ImageDraw.Draw(plate).rounded_rectangle(
        (0, 0, box_width * 4 - 1, box_height * 4 - 1), radius=round(wanted * 1.2), fill=255
    )
    plate = plate.resize((box_width, box_height), Image.Resampling.LANCZOS)
    ImageDraw.Draw(image).text((pad_x - left, pad_y - top), text, fill=255, font=font, language="zh-Hans")
    y = margin if corner.startswith("top") else _even(height - margin - box_height)
    x = margin if corner.endswith("left") else _even(width - margin - box_width)
    return _to_overlay(np.asarray(plate), np.asarray(image), MouthBox(x, y, box_width, box_height))


def _font_with_ink_height(wanted: float) -> ImageFont.FreeTypeFont:
    path = label_font()
    size = round(wanted)
    while True:
        font = ImageFont.truetype(str(path), size, layout_engine=ImageFont.Layout.RAQM)
        _, top, _, bottom = font.getbbox("生", language="zh-Hans")
        if bottom - top >= wanted:
            return font
        size += 1


def _to_overlay(plate: Plane, ink: Plane, box: MouthBox) -> Overlay:
    text_alpha = ink.astype(np.float32) / np.float32(255)
    under_alpha = plate.astype(np.float32) / np.float32(255) * np.float32(_PLATE_ALPHA) * (1 - text_alpha)
    alpha = text_alpha + under_alpha
    inks, keeps = [], []
    for scale, ink_value, plate_value in zip((1, 2, 2), _yuv(_INK), _yuv(_PLATE), strict=True):
        text, under, total = (_shrink(a, scale) for a in (text_alpha, under_alpha, alpha))
        inks.append((text * ink_value + under * plate_value).astype(np.float32))
        keeps.append((1 - total).astype(np.float32))
    return Overlay(box, (inks[0], inks[1], inks[2]), (keeps[0], keeps[1], keeps[2]))


def _shrink(alpha: NDArray[np.float32], scale: int) -> NDArray[np.float32]:
    if scale == 1:
        return alpha
    height, width = alpha.shape
    halved: NDArray[np.float32] = alpha.reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3))
    return halved


def _yuv(rgb: tuple[int, int, int]) -> tuple[float, float, float]:
    """BT.709 limited range."""
    r, g, b = (value / 255 for value in rgb)
    luma = 0.2126 * r + 0.7152 * g + 0.0722 * b
    return 16 + 219 * luma, 128 + 224 * (b - luma) / 1.8556, 128 + 224 * (r - luma) / 1.5748


def _even(value: float) -> int:
    return int(value) // 2 * 2
