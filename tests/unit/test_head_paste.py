"""A face pasted into the mouth's region is the face pasted into the whole picture."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from broadcaster.head.colour import rgb_of
from broadcaster.head.paste import GRID, LEAST_BOX, MARGIN, Paster, cut_face
from broadcaster.types import FaceCrop, MouthBox
from tests.support.blending import Planes, blended, crop_with_mask, expanded_mask, i420, rgb

pytestmark = pytest.mark.unit

WIDTH, HEIGHT = 640, 360


def noise(*shape: int, seed: int = 1, low: int = 0, high: int = 256) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(low, high, shape, dtype=np.uint8)


def scene(width: int = WIDTH, height: int = HEIGHT) -> Planes:
    """Planes whose every colour RGB can say."""
    coarse = noise(height // 2, width // 2, 3, low=40, high=210)
    pixels = np.repeat(np.repeat(coarse, 2, 0), 2, 1)
    return i420(np.clip(pixels + noise(height, width, 1, seed=2, high=12), 0, 255).astype(np.uint8))


def parts(box: MouthBox, planes: bytes) -> Planes:
    data, luma = np.frombuffer(planes, np.uint8), box.width * box.height
    half = (box.height // 2, box.width // 2)
    return (
        data[:luma].reshape(box.height, box.width),
        data[luma : luma + luma // 4].reshape(half),
        data[luma + luma // 4 :].reshape(half),
    )


def cut(planes: Planes, box: MouthBox) -> Planes:
    y, u, v = (
        plane[box.y // s : (box.y + box.height) // s, box.x // s : (box.x + box.width) // s]
        for plane, s in zip(planes, (1, 2, 2), strict=True)
    )
    return y, u, v


def pasted(base: Planes, box: MouthBox, planes: bytes) -> Planes:
    whole = tuple(plane.copy() for plane in base)
    for into, part in zip(cut(whole, box), parts(box, planes), strict=True):  # type: ignore[arg-type]
        into[...] = part
    return whole  # type: ignore[return-value]


def apart(one: Planes, other: Planes) -> int:
    return max(int(np.abs(a.astype(int) - b.astype(int)).max()) for a, b in zip(one, other, strict=True))


CROPS = {
    "even": crop_with_mask(170, 20, 470, 340),
    "odd": crop_with_mask(171, 15, 454, 346),
    "smaller than the face": crop_with_mask(300, 100, 435, 263),
    "at an odd corner": crop_with_mask(301, 101, 441, 301),
}


@pytest.mark.parametrize("name", CROPS)
@pytest.mark.parametrize("smooth", [True, False])
def test_the_blend_is_that_of_the_whole_picture_in_rgb(name: str, smooth: bool) -> None:
    crop, base = CROPS[name], scene()
    face = noise(256, 256, 3, seed=5)
    if smooth:
        import cv2

        face = cv2.GaussianBlur(face, (0, 0), 6)
    box, planes = Paster(WIDTH, HEIGHT).paste(base, crop, face)
    ours = pasted(base, box, planes)
    square, mask = expanded_mask(crop)
    theirs = i420(blended(rgb(base)[..., ::-1], face[..., ::-1], crop, square, mask)[..., ::-1])
    worst = apart(ours, theirs)
    print(f"crop {name}, smooth {smooth}: {worst} LSB from the PIL method")
    assert worst <= 1
    assert apart(ours, base) > 20


def test_a_face_shrunk_by_more_than_half_is_averaged() -> None:
    checkers = np.indices((256, 256)).sum(axis=0).astype(np.uint8)[..., None] % 2 * np.full(3, 255, np.uint8)
    grey = tuple(np.full(plane.shape, 128, np.uint8) for plane in scene())
    box, planes = Paster(WIDTH, HEIGHT).paste(grey, crop_with_mask(300, 100, 400, 220), checkers)  # type: ignore[arg-type]
    assert np.ptp(parts(box, planes)[0]) < 40


def test_the_box_is_even_on_its_grid_and_equal_to_the_base_at_its_edges() -> None:
    base, face = scene(), noise(256, 256, 3)
    for crop in CROPS.values():
        box, planes = Paster(WIDTH, HEIGHT).paste(base, crop, face)
        assert {n % GRID for n in (box.x, box.y, box.x + box.width, box.y + box.height)} == {0}
        for got, was, scale in zip(parts(box, planes), cut(base, box), (1, 2, 2), strict=True):
            changed = np.argwhere(got != was)
            assert changed.size
            assert changed.min() >= MARGIN // scale
            assert (np.array(got.shape) - changed.max(axis=0) > MARGIN // scale).all()


def test_the_margin_is_what_the_compositor_fades_in_over() -> None:
    from broadcaster.studio.compositor import FEATHER

    assert MARGIN >= FEATHER


def test_the_upper_half_of_the_face_stays_the_bases() -> None:
    crop = CROPS["even"]
    box = Paster(WIDTH, HEIGHT).box(crop)
    assert box.y >= (crop.top + crop.bottom) // 2 - MARGIN - GRID
    assert box.height < 0.6 * (crop.bottom - crop.top)


def test_a_share_lies_between_base_and_face() -> None:
    base, face, crop = scene(), noise(256, 256, 3), CROPS["even"]
    paster = Paster(WIDTH, HEIGHT)
    none, half, full = (parts(*paster.paste(base, crop, face, share)) for share in (0.0, 0.5, 1.0))
    nobody = parts(*paster.paste(base, crop, None))
    assert apart(none, nobody) == 0
    for a, b, c in zip(none, half, full, strict=True):
        assert np.abs((a.astype(float) + c) / 2 - b).max() <= 1.0


def test_one_size_of_box_whatever_is_pasted() -> None:
    base, crop, paster = scene(), CROPS["odd"], Paster(WIDTH, HEIGHT)
    boxes = {paster.paste(base, crop, noise(n, n, 3), 0.3)[0] for n in (96, 160, 256)}
    assert boxes | {paster.paste(base, crop, None)[0]} == {paster.box(crop)}


@settings(deadline=None)
@given(
    left=st.integers(-500, 800),
    top=st.integers(-500, 500),
    width=st.integers(8, 500),
    height=st.integers(8, 500),
    size=st.sampled_from([96, 160, 256]),
)
def test_a_face_that_leaves_the_picture(left: int, top: int, width: int, height: int, size: int) -> None:
    crop = crop_with_mask(left, top, left + width, top + height)
    base, face = SMALL, noise(size, size, 3)
    paster = Paster(160, 90)
    box, planes = paster.paste(base, crop, face)
    assert 0 <= box.x < box.x + box.width <= 160
    assert 0 <= box.y < box.y + box.height <= 90
    assert not (box.x | box.y | box.width | box.height) & 1
    assert len(planes) == box.width * box.height * 3 // 2
    padding = 2 * max(abs(left), abs(top)) + 1100
    far = tuple(np.pad(plane, padding // (1 if n == 0 else 2), mode="edge") for n, plane in enumerate(base))
    moved = crop_with_mask(left + padding, top + padding, left + padding + width, top + padding + height)
    inside = Paster(far[0].shape[1], far[0].shape[0]).paste(far, moved, face)  # type: ignore[arg-type]
    whole = pasted(far, *inside)  # type: ignore[arg-type]
    back = cut(whole, MouthBox(padding, padding, 160, 90))
    assert apart(pasted(base, box, planes), back) == 0


SMALL = scene(160, 90)


def test_a_crop_without_a_mask_paints_nothing() -> None:
    crop = FaceCrop(100, 100, 200, 220, np.zeros((64, 64), np.uint8))
    base = scene()
    box, planes = Paster(WIDTH, HEIGHT).paste(base, crop, noise(256, 256, 3))
    assert (box.width, box.height) == (LEAST_BOX, LEAST_BOX)
    assert apart(parts(box, planes), cut(base, box)) == 0


def test_a_cut_face_is_the_picture_under_the_crop() -> None:
    base = scene()
    whole = rgb(base)
    flat = (
        np.full((HEIGHT, WIDTH), 120, np.uint8),
        *(np.full((HEIGHT // 2, WIDTH // 2), n, np.uint8) for n in (90, 150)),
    )
    crop = crop_with_mask(101, 31, 357, 287)
    face = cut_face(base, crop, 256)
    assert (face.shape, face.dtype) == ((256, 256, 3), np.uint8)
    assert np.abs(face[..., 1].astype(int) - whole[31:287, 101:357, 1]).mean() < 25  # chroma is interpolated
    even = cut_face(flat, crop, 96)  # type: ignore[arg-type]
    assert np.ptp(even.reshape(-1, 3), axis=0).max() == 0
    assert np.abs(even[0, 0].astype(int) - rgb(flat)[0, 0]).max() <= 1  # type: ignore[arg-type]


def test_a_face_is_cut_by_lanczos_unless_something_else_is_said() -> None:
    import cv2

    base, crop = scene(), crop_with_mask(100, 30, 300, 250)
    seen = rgb_of(*base)[30:250, 100:300]
    for said, method in ((None, cv2.INTER_LANCZOS4), (cv2.INTER_AREA, cv2.INTER_AREA)):
        wanted = cv2.resize(seen, (256, 256), interpolation=method)[8:-8, 8:-8]  # chroma at the edge is the crop's
        assert np.array_equal(cut_face(base, crop, 256, said)[8:-8, 8:-8], wanted)


def test_a_crop_over_the_edge_repeats_the_last_pixels() -> None:
    base = scene()
    y = base[0].copy()
    y[:, -1], y[-1, :] = 200, 200
    grey = (y, np.full_like(base[1], 128), np.full_like(base[2], 128))
    crop = crop_with_mask(WIDTH - 128, HEIGHT - 128, WIDTH + 128, HEIGHT + 128)
    face = cut_face(grey, crop, 256)
    assert np.ptp(face[140:, :]) <= 1
    assert np.ptp(face[:, 140:]) <= 1
    assert np.abs(face[200, 200].astype(int) - round((200 - 16) * 255 / 219)).max() <= 1
    outside = crop_with_mask(WIDTH + 50, -300, WIDTH + 150, -200)
    assert cut_face(base, outside, 96).shape == (96, 96, 3)
