"""The AI label: on, tall enough, and exactly where it should be."""

from __future__ import annotations

import numpy as np
import pytest

from broadcaster.errors import ConfigError
from broadcaster.studio.label import Overlay, draw_label, region_of
from broadcaster.types import Plane

pytestmark = pytest.mark.unit

TEXT = "AI生成 · 数字人直播"
SIZES = [(1280, 720), (720, 1280), (1920, 1080), (640, 360)]


def _flat(width: int, height: int, luma: int) -> tuple[Plane, Plane, Plane]:
    half = np.full((height // 2, width // 2), 128, np.uint8)
    return np.full((height, width), luma, np.uint8), half, half.copy()


def _ink_rows(overlay: Overlay, width: int, height: int) -> int:
    luma = overlay.over(_flat(width, height, 16))[0]
    return int((luma > 180).any(axis=1).sum())


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_characters_are_at_least_five_percent_of_the_shorter_side(width: int, height: int) -> None:
    overlay = draw_label(TEXT, "top-left", 5.0, width, height)
    assert _ink_rows(overlay, width, height) >= 0.05 * min(width, height)


@pytest.mark.parametrize("corner", ["top-left", "top-right", "bottom-left", "bottom-right"])
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_the_box_lies_inside_the_picture_on_even_pixels(corner: str, width: int, height: int) -> None:
    box = draw_label(TEXT, corner, 5.0, width, height).box
    assert (box.x % 2, box.y % 2, box.width % 2, box.height % 2) == (0, 0, 0, 0)
    assert 0 <= box.x
    assert box.x + box.width <= width
    assert 0 <= box.y
    assert box.y + box.height <= height
    assert (box.x < width / 3) == corner.endswith("left")
    assert (box.y < height / 3) == corner.startswith("top")


@pytest.mark.parametrize("luma", [16, 126, 235])
def test_the_text_is_readable_on_any_background(luma: int) -> None:
    overlay = draw_label(TEXT, "top-left", 5.0, 1280, 720)
    pixels = overlay.over(_flat(1280, 720, luma))[0]
    middle = pixels[pixels.shape[0] // 2, 20:-20].astype(int)
    assert middle.max() - middle.min() > 120


def test_outside_its_box_nothing_changes() -> None:
    overlay = draw_label(TEXT, "top-left", 5.0, 1280, 720)
    base = _flat(1280, 720, 90)
    parts = overlay.over(base)
    assert [part.shape for part in parts] == [
        region_of(plane, overlay.box, scale).shape for plane, scale in zip(base, (1, 2, 2), strict=True)
    ]
    assert all(int(plane.min()) == int(plane.max()) for plane in base)


@pytest.mark.parametrize("text", ["", "LIVE", "AI生成", "数字人直播"])
def test_a_label_without_the_required_words_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="must contain"):
        draw_label(text, "top-left", 5.0, 1280, 720)


def test_a_label_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ConfigError, match="too long"):
        draw_label(TEXT * 6, "top-left", 5.0, 720, 1280)
