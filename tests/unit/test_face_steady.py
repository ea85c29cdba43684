"""Meshes over time without jitter or lag, against a head whose motion is known; teeth that fit a new mouth."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from broadcaster.config.avatar import Mouth
from broadcaster.errors import AssetError
from broadcaster.face import (
    crop_box,
    crop_edges,
    eye_openness,
    face_width,
    mask_of,
    mouth_openness,
    moved,
    topology,
)
from broadcaster.head.prepare.covered import TRACE, covered
from broadcaster.head.prepare.mesh import FaceMesher, FoundFace
from broadcaster.head.prepare.stabilise import _whole, steady, steady_boxes
from broadcaster.head.prepare.teeth import MOUTH, inner_mouth, teeth_for
from tests.support.meshes import host_mesh, rest_mesh, true_meshes
from tests.support.synthetic import HOST, Motion, MovingHead

pytestmark = pytest.mark.unit

Meshes = NDArray[np.float32]
Array = NDArray[np.float64]

FPS = 25
STEADY = list(topology.STEADY)


@cache
def head() -> MovingHead:
    """A loop of 3.2 s: it sways, nods, turns, comes nearer, blinks twice, and speaks in its second half."""
    return MovingHead(640, 360, FPS, 3.2, Motion(period=3.2, speech=((1.6, 3.1),), noise=1.5))


@cache
def found() -> Meshes:
    """What the networks see in it, found in every fifth picture and followed from there."""
    mesher = FaceMesher()
    faces: list[FoundFace] = []
    for number, picture in enumerate(head()):
        face = mesher.follow(picture, faces[-1]) if number % 5 else None
        faces.append(face or mesher.find(picture)[0])
    return np.stack([face.mesh for face in faces])


def rms(values: NDArray[np.floating]) -> float:
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))


def jitter(values: NDArray[np.floating], truth: NDArray[np.floating]) -> float:
    """RMS of what trembles from picture to picture: second differences of the error, scaled so that white noise of
    deviation s gives s."""
    off = np.asarray(values, dtype=np.float64) - truth
    return rms(off[2:] - 2 * off[1:-1] + off[:-2]) / np.sqrt(6)


def trembling(meshes: Meshes, deviation: float, seed: int = 1) -> Meshes:
    return (meshes + np.random.default_rng(seed).normal(0, deviation, meshes.shape)).astype(np.float32)


def test_what_the_networks_see_loses_its_jitter_and_stays_where_the_head_is() -> None:
    truth = true_meshes(head())
    still = steady(list(found()), FPS)
    before, after = (jitter(meshes[:, STEADY], truth[:, STEADY]) for meshes in (found(), still))
    off = rms(still[:, STEADY] - truth[:, STEADY])
    wide = face_width(truth[0])
    print(f"mesh: jitter {before:.2f} -> {after:.2f} px RMS, error {off:.2f} px RMS, of a face of {wide:.0f} px")
    assert after < 0.6 * before
    assert off <= 1.02 * rms(found()[:, STEADY] - truth[:, STEADY])
    assert off < 0.01 * wide


def test_boxes_of_one_aspect_follow_the_head_without_trembling() -> None:
    truth = true_meshes(head())
    boxes = steady_boxes(steady(list(found()), FPS), "1.5", Mouth(), FPS)
    plain = np.array([crop_box(mesh, "1.5", Mouth()) for mesh in found()])
    edges = np.array(crop_edges(rest_mesh(640, 360), "1.5", Mouth()))
    middle = np.array([moved((edges[None, :2] + edges[None, 2:]) / 2, affine)[0] for affine in head().motion])
    centre, size = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    was = plain[:, 2:] - plain[:, :2]
    trembles, trembled = jitter(size, size.mean(axis=0)), jitter(was, was.mean(axis=0))
    print(
        f"box: centre's jitter {jitter(centre, middle):.2f} px RMS (whole pixels alone: 0.29), "
        f"off {rms(centre - middle):.2f} px; size's jitter {trembled:.2f} -> {trembles:.2f} px, "
        f"its range {np.ptp(was, axis=0)} -> {np.ptp(size, axis=0)} px"
    )
    assert boxes.dtype == np.int32
    assert jitter(centre, middle) < 0.36
    assert rms(centre - middle) < 0.01 * face_width(truth[0])
    assert trembles < 0.5 * trembled
    assert (np.abs(np.diff(size, axis=0)) <= 1).all()
    aspect = size[:, 0] / size[:, 1]
    assert np.ptp(aspect) < 0.02, "one aspect, but for whole pixels"
    grown = size[:, 0].max() / size[:, 0].min()
    assert 1.01 < grown < 1.07, "and nearer is larger: 5 %"


def test_masks_lie_in_the_lower_face_and_change_with_it_alone() -> None:
    still = steady(list(found()), FPS)
    boxes = steady_boxes(still, "1.5", Mouth(), FPS)
    masks = [mask_of(mesh, tuple(box), Mouth()) for mesh, box in zip(still, boxes.tolist(), strict=True)]
    for index in range(0, len(masks), 9):
        box, mask = boxes[index], masks[index]
        scale = (box[2:] - box[:2]) / 64
        outline = head().points("face_oval", index).astype(np.float32)
        lowest, nose = outline[:, 1].max(), head().points("nose_base", index)[0, 1]
        blur = 2.5 * float(scale.max())
        for row, column in np.argwhere(mask > 25):
            x, y = (np.array([column, row]) + 0.5) * scale + box[:2]
            assert cv2.pointPolygonTest(outline, (float(x), float(y)), measureDist=True) > -blur
            assert y < lowest + blur
        lips = head().points("lips_outer", index)
        cells = np.rint((lips - box[:2]) / scale - 0.5).astype(int)
        assert (mask[cells[:, 1], cells[:, 0]] > 230).all(), "every point of the lips is the engine's"
        assert not mask[: int((nose - box[1]) / scale[1]) - 8].any()
    changes = [int(np.abs(after.astype(int) - before).max()) for before, after in pairwise(masks)]
    print(f"mask: at most {max(changes)} of 255 from picture to picture")
    assert max(changes) < 64


def test_blinks_and_speech_keep_their_size_and_their_moment() -> None:
    still = steady(list(found()), FPS)
    for measure, truth in ((eye_openness, 1 - head().closure), (mouth_openness, head().openness)):
        raw, calm = (np.array([measure(mesh) for mesh in meshes]) for meshes in (found(), still))
        kept = np.ptp(calm) / np.ptp(raw)
        delays = {d: float(np.corrcoef(np.roll(calm, -d)[5:-5], truth[5:-5])[0, 1]) for d in (-2, -1, 0, 1, 2)}
        print(f"{measure.__name__}: {kept:.0%} of its range kept, correlation with the truth {delays[0]:.3f}")
        assert kept > 0.85
        assert max(delays, key=lambda d: delays[d]) == 0
        assert delays[0] > 0.9
    blinked = sum(np.diff((1 - head().closure < 0.5).astype(int)) == 1)
    openness = np.array([eye_openness(mesh) for mesh in still])
    assert sum(np.diff((openness < 0.22).astype(int)) == 1) == blinked == 2


def test_jitter_shrinks_as_far_as_such_kernels_can_and_motion_is_not_delayed() -> None:
    truth = true_meshes(head())
    noisy = trembling(truth, 0.4)
    still = steady(list(noisy), FPS)
    assert jitter(still[:, STEADY], truth[:, STEADY]) < 0.12
    assert rms(still - truth) < 0.2
    position = truth[:, STEADY, 0].mean(axis=1)
    errors = [rms(np.roll(still[:, STEADY, 0].mean(axis=1), -d)[5:-5] - position[5:-5]) for d in (-1, 0, 1)]
    assert errors[1] < 0.1 * min(errors[0], errors[2])


def test_a_loop_is_smoothed_across_its_seam() -> None:
    truth = true_meshes(head())
    still = steady(list(trembling(truth, 0.3)), FPS, loop=True)
    around = np.concatenate([still[-4:], still[:4]])[:, STEADY]
    assert jitter(around, np.concatenate([truth[-4:], truth[:4]])[:, STEADY]) < 0.12
    shifted = steady(list(np.roll(trembling(truth, 0.3), 40, axis=0)), FPS, loop=True)
    np.testing.assert_allclose(np.roll(shifted, -40, axis=0), still, atol=2e-3)


def test_short_gaps_are_bridged_and_long_ones_are_not() -> None:
    truth = true_meshes(head())
    missing = {0, 20, 21, 22, 60, 78, 79}
    gappy = [None if index in missing else mesh for index, mesh in enumerate(truth)]
    still = steady(gappy, FPS)
    assert np.abs(still[20:23] - truth[20:23]).max() < 1.5
    assert np.isfinite(still).all()
    with pytest.raises(AssetError, match=r"away for 0\.40 s from 1\.20 s .* cut the video there"):
        steady([None if 30 <= index < 40 else mesh for index, mesh in enumerate(truth)], FPS)
    with pytest.raises(AssetError, match="no picture shows a face; give a video"):
        steady([None, None], FPS)


@pytest.mark.parametrize("count", [1, 2, 3, 7])
@pytest.mark.parametrize("loop", [False, True])
def test_the_shortest_clips_pass(count: int, loop: bool) -> None:
    truth = true_meshes(head())[:count]
    still = steady(list(truth), FPS, loop=loop)
    assert still.shape == truth.shape
    assert loop or np.abs(still - truth).max() < 2.0
    assert np.isfinite(still).all()
    assert steady_boxes(still, "1.0", Mouth(), FPS, loop=loop).shape == (count, 4)


def test_teeth_are_the_presenters_own_in_the_presenters_mouth() -> None:
    for made, y in zip(teeth_for(host_mesh()), (567, 561), strict=True):
        own = cv2.imread(str(HOST / f"teeth-{made.part}.webp"), cv2.IMREAD_UNCHANGED)
        here = made.pixels[y - made.y :, 866 - made.x :][: own.shape[0], : own.shape[1]]
        visible = own[..., 3] > 200
        assert np.abs(here[visible].astype(int) - own[visible]).max() <= 6
    np.testing.assert_allclose(host_mesh()[list(topology.MOUTH_CORNERS)], MOUTH, atol=0.1)
    assets = Path(teeth_for.__code__.co_filename).parents[1] / "assets"
    assert all((assets / f.name).read_bytes() == f.read_bytes() for f in HOST.glob("teeth-*.webp"))


@pytest.mark.parametrize(("scale", "degrees"), [(0.4, 0), (0.8, 20), (1.7, -10)])
def test_teeth_are_scaled_and_turned_with_the_mouth(scale: float, degrees: float) -> None:
    angle = np.radians(degrees)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    affine = np.column_stack([turn, [700.0, 500.0]])
    mesh = moved(host_mesh().astype(np.float64), affine).astype(np.float32)
    upper, lower = teeth_for(mesh)
    for made, own in zip((upper, lower), teeth_for(host_mesh()), strict=True):
        masses = []
        for picture, at in ((made, np.eye(2, 3)), (own, affine)):
            ys, xs = np.nonzero(picture.pixels[..., 3] > 127)
            centre = np.array([[xs.mean() + picture.x, ys.mean() + picture.y]])
            masses.append((moved(centre, at)[0], len(xs) * abs(np.linalg.det(at[:, :2]))))
        np.testing.assert_allclose(masses[0][0], masses[1][0], atol=1.0)
        assert masses[0][1] == pytest.approx(masses[1][1], rel=0.05)
    named = inner_mouth((upper, lower))
    assert (named.upper.file, named.upper.x, named.upper.y) == ("teeth-upper.png", upper.x, upper.y)


def test_a_mouth_at_the_edge_or_without_size_gets_no_teeth() -> None:
    with pytest.raises(AssetError, match="edge of the picture"):
        teeth_for(host_mesh() - np.float32([900, 0]))
    with pytest.raises(AssetError, match=r"1 pixels wide: too small; .* the face is larger"):
        teeth_for(host_mesh() * np.float32(0.01))


def test_teeth_made_smaller_do_not_flicker() -> None:
    """They are softened first: no rougher than the same picture averaged."""

    def shown(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.asarray(pixels[..., 1] * (pixels[..., 3] / np.float32(255)), dtype=np.float32)

    for whole, small in zip(teeth_for(host_mesh()), teeth_for(host_mesh() * np.float32(0.25)), strict=True):
        height, width = whole.pixels.shape[:2]
        still = np.zeros((1280, 1920), np.float32)
        still[whole.y : whole.y + height, whole.x : whole.x + width] = shown(whole.pixels)
        averaged = cv2.resize(still, (480, 320), interpolation=cv2.INTER_AREA)
        assert np.abs(np.diff(shown(small.pixels), axis=1)).sum() < np.abs(np.diff(averaged, axis=1)).sum()


@pytest.mark.parametrize("gap", [6, 7])
def test_the_longest_gap_that_is_bridged_is_a_quarter_of_a_second(gap: int) -> None:
    truth = true_meshes(head())[:30]
    gappy = [None if 10 <= index < 10 + gap else mesh for index, mesh in enumerate(truth)]
    if gap == 6:
        assert np.isfinite(steady(gappy, FPS)).all()
    else:
        with pytest.raises(AssetError, match=r"away for 0\.28 s"):
            steady(gappy, FPS)


def test_boxes_grow_with_a_face_that_comes_nearer() -> None:
    meshes = np.stack([host_mesh() * np.float32(scale) for scale in np.linspace(0.3, 0.9, 100)])
    boxes = steady_boxes(meshes, "1.0", Mouth(), FPS)
    plain = np.array([crop_box(mesh, "1.0", Mouth()) for mesh in meshes])
    assert np.abs(boxes - plain)[15:-15].max() <= 2


def test_a_box_whose_size_lies_between_two_numbers_keeps_one() -> None:
    wavering = 100.5 + 0.2 * np.sin(np.arange(50))
    assert len(set(_whole(wavering).tolist())) == 1
    assert _whole(np.linspace(100.0, 110.0, 50))[-1] == pytest.approx(110, abs=1)


def traces(faces: int, share: float = 0.0, lips: tuple[int, int] = (150, 150)) -> NDArray[np.uint8]:
    """Of equal faces, of the last of which a `share` is repainted; `lips`: of the others and of the last."""
    rows = np.full((faces, TRACE), 100, np.uint8)
    rows[:, -3:] = 128
    rows[:, -3] = [*[lips[0]] * (faces - 1), lips[1]]
    rows[-1, : 3 * round(share * (TRACE - 3) / 3)] = 200
    return rows


@pytest.mark.parametrize(("share", "hidden"), [(0.27, False), (0.36, True)])
def test_a_third_of_a_lower_face_is_too_much(share: float, hidden: bool) -> None:
    assert covered(traces(9, share)).tolist() == [False] * 8 + [hidden]


@pytest.mark.parametrize(("lips", "hidden"), [((134, 120), False), ((150, 140), False), ((150, 130), True)])
def test_lips_that_are_as_skin_say_nothing_and_others_that_lose_their_colour_do(
    lips: tuple[int, int], hidden: bool
) -> None:
    assert covered(traces(9, lips=lips)).tolist() == [False] * 8 + [hidden]
