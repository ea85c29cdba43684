"""What follows from a face mesh: point sets, affines, crops and masks."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from broadcaster.config.avatar import Mouth
from broadcaster.errors import AssetError
from broadcaster.face import (
    MASK_SIZE,
    POINTS,
    affine_between,
    crop_box,
    crop_edges,
    eye_openness,
    face_width,
    landmarks_of,
    mask_of,
    mouth_openness,
    moved,
    topology,
)
from broadcaster.studio.avatar_source import POINT_SETS, SINGLE_POINTS
from tests.support.meshes import host_mesh

pytestmark = pytest.mark.unit

Array = NDArray[np.float64]

MESH = host_mesh()


def similarity(scale: float, degrees: float, x: float, y: float) -> Array:
    """(2, 3), about the origin."""
    angle = np.radians(degrees)
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    return np.array([[cos, -sin, x], [sin, cos, y]])


affines = st.builds(similarity, st.floats(0.2, 3), st.floats(-15, 15), st.floats(-500, 2000), st.floats(-500, 2000))
versions = st.sampled_from(["1.0", "1.5"])


def mesh_after(affine: Array) -> NDArray[np.float32]:
    return moved(MESH.astype(np.float64), affine).astype(np.float32)


def test_every_index_is_a_point_of_the_mesh_and_no_contour_names_one_twice() -> None:
    for name in dir(topology):
        value = getattr(topology, name)
        if not name.isupper() or not isinstance(value, tuple):
            continue
        flat = np.array(value).ravel().tolist()
        assert all(0 <= index < POINTS for index in flat), name
        assert len(set(flat)) == len(flat), name


def test_a_mesh_gives_every_set_an_avatar_needs_in_its_order() -> None:
    sets = landmarks_of(MESH)
    for name, least in {**POINT_SETS, **dict.fromkeys(SINGLE_POINTS, 1)}.items():
        assert sets[name].shape[0] >= least, name
        assert sets[name].dtype == np.float64
    lips, line, oval = sets["lips_outer"], sets["lip_line"], sets["face_oval"]
    assert np.argmin(lips[:, 0]) == 0
    right = int(np.argmax(lips[:, 0]))
    assert lips[1:right, 1].max() < lips[right + 1 :, 1].min(), "the upper lip comes first"
    assert (np.diff(line[:, 0]) > 0).all()
    np.testing.assert_array_equal(line[[0, -1]], lips[[0, right]])
    x, y = oval.T
    assert np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y) > 0, "clockwise, as y points down"
    assert sets["left_eye"][:, 0].max() < sets["right_eye"][:, 0].min()
    assert sets["nose_base"][0, 1] < line[:, 1].min() < sets["chin"][0, 1] < sets["neck"][0, 1]
    assert sets["shoulders"][0, 0] < oval[:, 0].min() < oval[:, 0].max() < sets["shoulders"][1, 0]


def test_the_mesh_agrees_with_what_was_read_from_the_rendering() -> None:
    from broadcaster.studio.avatar_source import load_source
    from tests.support.synthetic import HOST

    drawn, found = load_source(HOST).landmarks, landmarks_of(MESH)
    width = face_width(MESH)
    for name, most in {
        "lip_line": 0.015,
        "left_eye": 0.02,
        "right_eye": 0.02,
        "chin": 0.01,
        "nose_base": 0.04,
    }.items():
        off = float(np.abs(drawn[name].mean(axis=0) - found[name].mean(axis=0)).max())
        assert off < most * width, f"{name}: {off:.1f} pixels"
    np.testing.assert_allclose(drawn["lip_line"][[0, -1]], found["lip_line"][[0, -1]], atol=0.02 * width)


@given(affines)
def test_point_sets_go_with_the_face(affine: Array) -> None:
    before, after = landmarks_of(MESH), landmarks_of(mesh_after(affine))
    tolerance = 1e-3 * face_width(MESH) * max(1.0, float(np.hypot(*affine[0, :2])))
    for name in before:
        np.testing.assert_allclose(after[name], moved(before[name], affine), atol=tolerance, err_msg=name)


@given(affines, st.floats(-0.25, 0.25), st.floats(0.8, 1.2), st.integers(0, 2**32 - 1))
def test_an_affine_is_recovered_whatever_lips_and_lids_do(
    affine: Array, shear: float, stretch: float, seed: int
) -> None:
    affine = affine.copy()
    affine[:, :2] = affine[:, :2] @ np.array([[1.0, shear], [0.0, stretch]])
    mesh = mesh_after(affine)
    speaking = [
        *(topology.CHIN, *topology.LIPS_OUTER, *topology.LIPS_INNER_UPPER, *topology.LIPS_INNER_LOWER),
        *(index for lids in (topology.LEFT_LIDS, topology.RIGHT_LIDS) for pair in lids for index in pair),
    ]
    mesh[speaking] += np.random.default_rng(seed).normal(0, 20, (len(speaking), 2)).astype(np.float32)
    found = affine_between(MESH, mesh)
    np.testing.assert_allclose(moved(MESH.astype(np.float64), found), mesh_after(affine), atol=0.02)


def test_openness_is_the_gap_in_widths_of_the_mouth_and_no_matter_of_size() -> None:
    gap = 0.3 * float(np.hypot(*(MESH[291] - MESH[61])))
    opened = MESH.copy()
    opened[list(topology.LIPS_INNER_LOWER[1:-1])] += (0, gap)
    assert mouth_openness(MESH) < 0.06
    assert mouth_openness(opened) - mouth_openness(MESH) == pytest.approx(0.3, abs=0.01)
    shut = MESH.copy()
    for lids in (topology.LEFT_LIDS, topology.RIGHT_LIDS):
        for high, low in lids:
            shut[high] = shut[low]
    assert eye_openness(MESH) > 0.25
    assert eye_openness(shut) == pytest.approx(0.0, abs=1e-6)
    small = similarity(0.25, 8, 90, 20)
    assert mouth_openness(moved(opened, small).astype(np.float32)) == pytest.approx(mouth_openness(opened), abs=1e-3)


@given(st.integers(-900, 900), st.integers(-900, 900), versions)
def test_a_crop_goes_with_the_face(x: int, y: int, version: str) -> None:
    moved_by = np.array([x, y, x, y])
    there = crop_edges((MESH + np.float32([x, y])).astype(np.float32), version, Mouth())
    np.testing.assert_allclose(there, np.array(crop_edges(MESH, version, Mouth())) + moved_by, atol=1e-2)


@given(st.floats(0.2, 3.0), st.integers(-20, 20), st.integers(0, 40))
def test_a_crop_is_upstreams_rule(scale: float, shift: int, margin: int) -> None:
    mesh = (MESH * np.float32(scale)).astype(np.float32)
    mouth = Mouth(shift=shift, margin=margin)
    jaw = mesh[list(topology.JAW_68)]
    middle = float(mesh[168, 1] + 2 / 3 * (mesh[4, 1] - mesh[168, 1]))
    chin = float(jaw[:, 1].max())
    for version, moved_middle, below in (("1.0", middle + shift, 0), ("1.5", middle, margin)):
        left, top, right, bottom = crop_edges(mesh, version, mouth)
        assert (left, right) == pytest.approx((jaw[:, 0].min(), jaw[:, 0].max()))
        assert bottom == pytest.approx(chin + below)
        above, below_it = moved_middle - top, chin - moved_middle
        assert above == pytest.approx(below_it, abs=1e-3), "as far up from the nose as down to the chin"
        box = crop_box(mesh, version, mouth)
        assert box == tuple(round(edge) for edge in (left, top, right, bottom))


def test_a_crop_may_reach_over_the_edge_or_be_clipped_there() -> None:
    mesh = (MESH - np.float32([800, 480])).astype(np.float32)
    left, top, *_ = crop_box(mesh, "1.5", Mouth())
    assert left < 0
    assert top < 0
    clipped = crop_box(mesh, "1.5", Mouth(), (300, 230))
    assert clipped[:2] == (0, 0)
    assert clipped[2] <= 300
    assert clipped[3] == 230


@pytest.mark.parametrize("mesh", [MESH * np.float32(0.01), np.full_like(MESH, np.nan), np.zeros_like(MESH)])
def test_what_is_no_face_makes_no_crop(mesh: NDArray[np.float32]) -> None:
    with pytest.raises(AssetError, match=r"the face is larger|prepare the avatar again"):
        crop_box(mesh, "1.5", Mouth())


@pytest.mark.parametrize("version", ["1.0", "1.5"])
@pytest.mark.parametrize("kind", ["jaw", "neck"])
def test_a_mask_is_the_lower_face_and_dies_out_before_every_edge(version: str, kind: str) -> None:
    mouth = Mouth(mask=kind)  # type: ignore[arg-type]
    box = crop_box(MESH, version, mouth)
    mask = mask_of(MESH, box, mouth)
    assert mask.shape == (MASK_SIZE, MASK_SIZE)
    assert mask.dtype == np.uint8
    assert not mask[: MASK_SIZE // 2].any()
    assert not np.concatenate([mask[-1], mask[:, 0], mask[:, -1]]).any()
    scale = MASK_SIZE / np.array([box[2] - box[0], box[3] - box[1]])
    cells = (MESH - np.array(box[:2])) * scale - 0.5
    for x, y in np.rint(cells[list(topology.LIPS_OUTER)]).astype(int):
        assert mask[y, x] > 250, "all of the lips is generated"
    outline = cells[list(topology.FACE_OVAL)].astype(np.float32)
    for y, x in np.argwhere(mask > 25):
        away = -cv2.pointPolygonTest(outline, (float(x), float(y)), measureDist=True)
        assert away < (7 if kind == "neck" else 4), "the background is left alone"


def test_a_neck_mask_shows_all_that_a_jaw_mask_shows_and_more() -> None:
    box = crop_box(MESH, "1.5", Mouth(margin=30))
    jaw, neck = (mask_of(MESH, box, Mouth(mask=kind)).astype(int) for kind in ("jaw", "neck"))  # type: ignore[arg-type]
    assert (neck >= jaw - 1).all()
    assert neck.sum() > 1.03 * jaw.sum()


@given(affines)
def test_a_mask_goes_with_the_face_whatever_its_size(affine: Array) -> None:
    upright = affine.copy()
    upright[:, :2] = np.eye(2) * np.hypot(*affine[0, :2])
    edges = np.array(crop_edges(MESH, "1.0", Mouth()))
    there = np.concatenate([moved(edges[None, :2], upright)[0], moved(edges[None, 2:], upright)[0]])
    one = mask_of(MESH, tuple(edges), Mouth()).astype(int)  # type: ignore[arg-type]
    other = mask_of(mesh_after(upright), tuple(there), Mouth()).astype(int)  # type: ignore[arg-type]
    assert np.abs(one - other).max() <= 6


def test_a_mask_moves_as_smoothly_as_the_face() -> None:
    box = crop_box(MESH, "1.5", Mouth())
    step = face_width(MESH) / 1000
    masks = [mask_of((MESH + np.float32([i * step, i * step])), box, Mouth()).astype(int) for i in range(12)]
    changes = [int(np.abs(after - before).max()) for before, after in pairwise(masks)]
    print(f"mask: at most {max(changes)} of 255 for each thousandth of the face's width")
    assert 0 < max(changes) <= 6


def around_face(margin: float) -> tuple[int, int, int, int]:
    """A box with room on every side of the face: `margin` of its size."""
    low, high = MESH.min(axis=0), MESH.max(axis=0)
    room = margin * (high - low)
    left, top, right, bottom = (round(float(edge)) for edge in (*(low - room), *(high + room)))
    return left, top, right, bottom


def test_the_edge_of_a_mask_is_upstreams_gaussian_just_below_the_chin() -> None:
    box = around_face(0.3)
    mask = mask_of(MESH, box, Mouth(), 0.3)
    x, y = (MESH[topology.CHIN] - box[:2]) * MASK_SIZE / (np.array(box[2:]) - box[:2]) - 0.5
    column = mask[:, round(float(x))].astype(float)
    rows = np.arange(MASK_SIZE)
    below = rows > y - 3
    middle = float(np.interp(-127.5, -column[below], rows[below]))
    face = float(MESH[topology.CHIN, 1] - MESH[topology.FOREHEAD, 1])
    cell = (box[3] - box[1]) / MASK_SIZE
    assert (middle - y) * cell == pytest.approx(0.03 * face, rel=0.15)
    steepest = -np.diff(column).min()
    assert steepest == pytest.approx(255 / (1.55 * np.sqrt(2 * np.pi)), rel=0.05)


def test_a_mask_stays_off_the_outline_of_the_cheeks() -> None:
    box = around_face(0.3)
    mask = mask_of(MESH, box, Mouth(), 0.3)
    scale = MASK_SIZE / (np.array(box[2:]) - box[:2])
    for point in (93, 132, 58, 323, 361, 288):
        x, y = np.rint((MESH[point] - box[:2]) * scale - 0.5).astype(int)
        assert 5 < mask[y, x] < 115, point


def test_a_mask_fades_within_four_cells_of_a_box_that_cuts_the_face() -> None:
    mouth = MESH[list(topology.LIPS_OUTER)]
    left, top, right, bottom = (round(float(edge)) for edge in (*mouth.min(axis=0), *mouth.max(axis=0)))
    mask = mask_of(MESH, (left, top, right, bottom), Mouth(), 0.5)
    ease = [0, 40, 128, 215, 255]
    assert mask[50, :5].tolist() == mask[50, :-6:-1].tolist() == mask[:-6:-1, 32].tolist() == ease
    assert mask[30:36, 32].tolist() == [0, 0, *ease[1:]]


@pytest.mark.parametrize("squashed", [(1, 0.005), (0.005, 1)])
def test_a_face_without_height_or_width_makes_no_crop(squashed: tuple[float, float]) -> None:
    with pytest.raises(AssetError, match=r"too small, or not a face"):
        crop_box(MESH * np.float32(squashed), "1.5", Mouth(margin=0))


def test_a_lip_line_goes_to_the_right_even_where_the_lips_fold_back() -> None:
    folded = MESH.copy()
    lips = [*topology.LIPS_INNER_UPPER, *topology.LIPS_INNER_LOWER, *topology.MOUTH_CORNERS]
    folded[lips, 0] = folded[topology.MOUTH_CORNERS[0], 0]
    assert (np.diff(landmarks_of(folded)["lip_line"][:, 0]) > 0).all()


def test_shoulders_are_guessed_from_the_size_of_the_face() -> None:
    chin, height = MESH[topology.CHIN], MESH[topology.CHIN] - MESH[topology.FOREHEAD]
    shoulders = landmarks_of(MESH)["shoulders"]
    np.testing.assert_allclose(shoulders.mean(axis=0), chin + 0.65 * height, atol=0.01)
    assert np.hypot(*(shoulders[1] - shoulders[0])) == pytest.approx(2.3 * face_width(MESH), rel=1e-4)


def test_a_wink_is_no_blink() -> None:
    winking = MESH.copy()
    for high, low in topology.LEFT_LIDS:
        winking[high] = winking[low]
    assert eye_openness(winking) > 0.25
