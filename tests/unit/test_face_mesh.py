"""The mesh networks through OpenCV: what they find and what not, and that they are the ones that were checked."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from broadcaster.errors import AssetError
from broadcaster.face import face_width, moved
from broadcaster.head.prepare.covered import covered, trace_of
from broadcaster.head.prepare.mesh import ASSETS, FAR, MESH, NEAR, SHA256, FaceMesher, FoundFace, _apart
from tests.support.meshes import host_mesh, rest_mesh
from tests.support.synthetic import HOST, Motion, MovingHead
from tests.support.turned import turned_aside

pytestmark = pytest.mark.unit

Image = NDArray[np.uint8]

STILL = Motion(blinks=(), sway=0, nod=0, tilt=0, turn=0, nearer=0)


@cache
def mesher() -> FaceMesher:
    return FaceMesher()


@cache
def picture(width: int = 640, height: int = 360) -> Image:
    return MovingHead(width, height, 25, 0.04, STILL).frame(0)


def the_face(bgr: Image) -> FoundFace:
    (face,) = mesher().find(bgr)
    return face


def turned(bgr: Image, degrees: float) -> tuple[Image, NDArray[np.float64]]:
    """Clockwise about the middle."""
    height, width = bgr.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), -degrees, 1.0)
    return cv2.warpAffine(bgr, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE), matrix


def test_the_networks_are_small_and_the_ones_that_were_checked() -> None:
    assert sum((ASSETS / name).stat().st_size for name in SHA256) < 3_000_000
    for name, digest in SHA256.items():
        assert hashlib.sha256((ASSETS / name).read_bytes()).hexdigest() == digest
    notice = (ASSETS / "NOTICE").read_text()
    assert all(path.name in notice for path in ASSETS.iterdir() if path.name != "NOTICE")


@pytest.mark.parametrize("name", [NEAR, FAR, MESH])
def test_a_missing_or_damaged_network_is_said_by_name(name: str, tmp_path: Path) -> None:
    for each in SHA256:
        shutil.copy(ASSETS / each, tmp_path / each)
    data = bytearray((tmp_path / name).read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / name).write_bytes(data)
    with pytest.raises(AssetError, match=rf"{name}: the face network is damaged .* install"):
        FaceMesher(assets=tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(AssetError, match=rf"{name}: the face network cannot be read: No such file"):
        FaceMesher(assets=tmp_path)


def test_the_presenters_face_is_where_its_landmarks_say() -> None:
    still = cv2.imread(str(HOST / "still.webp"))
    face = the_face(still)
    assert face.score > 0.9
    assert face.mesh_score > 0.99
    assert face.mesh.shape == (468, 2)
    assert face.mesh.dtype == np.float32
    assert max(abs(face.yaw), abs(face.roll)) < 3
    assert abs(face.pitch) < 10
    off = np.abs(face.mesh - host_mesh()).max()
    print(f"mesh against the stored one: {off:.3f} of {face_width(face.mesh):.0f} pixels")
    assert off < 0.5


@pytest.mark.parametrize("size", [(1920, 1080), (640, 360), (320, 180), (402, 718)])
def test_a_face_is_found_at_any_size_and_shape(size: tuple[int, int]) -> None:
    off = np.abs(the_face(picture(*size)).mesh - rest_mesh(*size)).mean()
    assert off < 0.015 * face_width(rest_mesh(*size))


@pytest.mark.parametrize("degrees", [-40, 20, 60])
def test_a_head_that_is_tilted_is_meshed_as_well(degrees: int) -> None:
    bgr, matrix = turned(picture(), degrees)
    face = the_face(bgr)
    expected = moved(rest_mesh(640, 360).astype(np.float64), matrix)
    assert np.abs(face.mesh - expected).mean() < 0.02 * face_width(face.mesh)
    assert face.roll == pytest.approx(degrees, abs=4)
    assert abs(face.yaw) < 5


@pytest.mark.parametrize("degrees", [-45, -25, -12, 12, 25, 45])
def test_a_head_that_turns_aside_or_nods_is_told_by_how_much(degrees: int) -> None:
    oval = rest_mesh(640, 360).astype(np.float64)
    aside = the_face(turned_aside(picture(), oval, degrees))
    print(f"{degrees} degrees aside: yaw {aside.yaw:.0f}, pitch {aside.pitch:.0f}, roll {aside.roll:.0f}")
    assert aside.yaw == pytest.approx(degrees, abs=6)
    assert abs(aside.roll) < 4
    if abs(degrees) <= 25:
        nodding = the_face(turned_aside(picture(), oval, degrees, down=True))
        print(f"{degrees} degrees down: pitch {nodding.pitch:.0f}")
        assert nodding.pitch == pytest.approx(degrees, abs=8)
        assert abs(nodding.yaw) < 4


def test_nothing_is_found_where_nothing_is() -> None:
    rng = np.random.default_rng(1)
    grain = rng.integers(0, 255, (360, 640, 3), dtype=np.uint8)
    for empty in (np.zeros((3, 2, 3), np.uint8), np.full((1, 900, 3), 200, np.uint8), grain, picture()[:, :120]):
        assert mesher().find(np.ascontiguousarray(empty)) == []


def test_two_faces_are_two_and_the_larger_comes_first() -> None:
    far = cv2.resize(picture(), None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)
    wall = np.full((360, 1000, 3), 90, np.uint8)
    wall[40 : 40 + far.shape[0], : far.shape[1]] = far
    wall[:, 400:960] = picture()[:, 40:600]
    first, second = mesher().find(wall)
    assert face_width(first.mesh) / face_width(second.mesh) == pytest.approx(1 / 0.6, rel=0.05)
    assert first.mesh[:, 0].mean() > 500 > second.mesh[:, 0].mean()


def test_a_face_too_small_for_both_detectors_is_still_told_from_none() -> None:
    far = cv2.resize(picture(), (320, 180), interpolation=cv2.INTER_AREA)
    hall = np.full((1080, 1920, 3), 120, np.uint8)
    hall[200:380, 900:1220] = far
    assert 50 < face_width(the_face(hall).mesh) < 65


def test_following_gives_what_looking_gives_and_never_drifts() -> None:
    head = MovingHead(640, 360, 25, 1.2, Motion(period=1.2))
    face = the_face(head.frame(0))
    for number in range(1, len(head)):
        bgr = head.frame(number)
        followed = mesher().follow(bgr, face)
        assert followed is not None
        face = followed
        if number % 7 == 0:
            assert np.abs(face.mesh - the_face(bgr).mesh).mean() < 0.01 * face_width(face.mesh)
    wide = face_width(face.mesh)
    for away in (0.3, 0.6, 0.9, 1.3, 2.0):
        lost = mesher().follow(bgr, replace(face, mesh=face.mesh + np.float32([away * wide, 0])))
        assert lost is None or np.abs(lost.mesh - face.mesh).mean() < 0.02 * wide, away
    assert mesher().follow(np.full_like(bgr, 90), face) is None


def test_what_is_before_the_mouth_is_seen_and_speech_is_not_taken_for_it() -> None:
    head = MovingHead(640, 360, 25, 3.0, Motion(period=3.0, speech=((0.4, 1.6),)))
    skin, cloth = (150, 170, 205), (60, 60, 60)
    traces, hidden = [], []
    for number in range(0, len(head), 2):
        bgr = head.frame(number)
        hidden.append(52 <= number < 66)
        if hidden[-1]:
            x, y = (int(value) for value in head.points("lip_line", number).mean(axis=0))
            cv2.ellipse(bgr, (x, y + 8), (34, 24), 0, 0, 360, skin if number % 4 else cloth, -1)
        traces.append(trace_of(bgr, the_face(bgr).mesh))
    assert covered(np.array(traces)).tolist() == hidden
    assert covered(np.zeros((0, len(traces[0])), np.uint8)).tolist() == []


def test_of_meshes_over_each_other_the_surer_one_stays_and_others_beside_it() -> None:
    mesh = host_mesh()
    one, surer = (FoundFace(0.9, mesh, certain, 0, 0, 0) for certain in (0.8, 0.9))
    beside = FoundFace(0.9, 0.5 * mesh + np.float32([1500, 0]), 0.7, 0, 0, 0)
    assert _apart([beside, one, surer]) == [surer, beside]


def test_even_a_cut_in_its_place_is_looked_at_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    face = the_face(picture())
    runs: list[object] = []
    run = FaceMesher._run

    def counted(self: FaceMesher, bgr: Image, cut: object) -> object:
        runs.append(cut)
        return run(self, bgr, cut)  # type: ignore[arg-type]

    monkeypatch.setattr(FaceMesher, "_run", counted)
    assert mesher().follow(picture(), face) is not None
    assert len(runs) == 2
