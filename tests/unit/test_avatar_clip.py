"""Clips as base frames: the right picture at any size and rate, and the face where the picture has it."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from broadcaster.errors import AssetError
from broadcaster.face.landmarks import moved
from broadcaster.face.topology import LIPS_OUTER
from broadcaster.head.prepare.mesh import FaceMesher
from broadcaster.studio.avatar import ExpandedAvatar, expand
from broadcaster.studio.avatar_clip import choose_clip_view, frames_shown
from broadcaster.studio.avatar_faces import moving_boxes
from broadcaster.studio.avatar_source import AvatarSource, load_source
from broadcaster.studio.coded import clip_facts, pictures_of
from broadcaster.types import MouthBox
from tests.support.clips import CALM, make_clip_avatar
from tests.support.faces import HOST
from tests.support.synthetic import MovingHead

pytestmark = pytest.mark.unit

SIZE = (320, 180)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, MovingHead]:
    """A head that comes 30 % nearer."""
    motion = replace(CALM, period=2.0, nearer=0.3)
    return make_clip_avatar(tmp_path_factory.mktemp("clip"), size=SIZE, motion=motion)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def raw(prepared: tuple[Path, MovingHead], cache: Path) -> ExpandedAvatar:
    return expand(prepared[0], cache, *SIZE, 25)


@pytest.fixture
def folder(prepared: tuple[Path, MovingHead], tmp_path: Path) -> Path:
    return Path(shutil.copytree(prepared[0], tmp_path / "mover"))


def edit(folder: Path, **changes: Any) -> Path:
    path = folder / "avatar.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | changes))
    return folder


def test_pictures_are_those_of_the_clip(raw: ExpandedAvatar, prepared: tuple[Path, MovingHead]) -> None:
    assert (raw.kind, raw.decoded, raw.loop_frames) == ("clip", False, 50)
    for index, picture in enumerate(pictures_of(prepared[0] / "clip.mkv")):
        for one, other in zip(raw.frame(index), picture, strict=True):
            assert np.array_equal(one, other)
    assert raw.source_frames.tolist() == list(range(50))


def test_landmarks_mesh_and_motion_lie_where_the_head_is(
    raw: ExpandedAvatar, prepared: tuple[Path, MovingHead]
) -> None:
    head = prepared[1]
    rest = int(np.argmin(np.abs(raw.motion - [[1, 0, 0], [0, 1, 0]]).sum(axis=(1, 2))))
    undo = np.linalg.inv(np.vstack([head.motion[rest], [0, 0, 1]]))
    for index in range(raw.loop_frames):
        truth = (np.vstack([head.motion[index], [0, 0, 1]]) @ undo)[:2]
        assert np.abs(raw.points("lips_outer", index) - moved(raw.landmarks["lips_outer"], truth)).max() < 0.01
        assert np.abs(raw.mesh(index) - moved(raw.mesh(rest).astype(np.float64), truth)).max() < 0.01


def test_mouth_boxes_are_of_one_even_size_and_hold_the_moved_mouth(raw: ExpandedAvatar) -> None:
    rest = raw.mouth_box
    boxes = [raw.mouth_box_at(index) for index in range(raw.loop_frames)]
    assert {(box.width, box.height) for box in boxes} == {(rest.width, rest.height)}
    assert not any((box.x | box.y | box.width | box.height) % 2 for box in (rest, *boxes))
    assert len({(box.x, box.y) for box in boxes}) > 5
    for index, box in enumerate(boxes):
        points = np.vstack([raw.points(name, index) for name in ("lips_outer", "chin", "nose_base")])
        inside = points - (box.x, box.y)
        assert (inside > 0).all()
        assert (inside < (box.width, box.height)).all()
        assert box.x + box.width <= raw.width
        assert box.y + box.height <= raw.height


@given(st.integers(0, 200), st.integers(0, 100), st.floats(0.7, 2.0), st.floats(-60, 60), st.floats(-60, 60))
def test_boxes_of_any_motion_are_even_and_inside(x: int, y: int, scale: float, dx: float, dy: float) -> None:
    rest = MouthBox(2 * (x // 2), 2 * (y // 2), 96, 72)
    motion = np.array([[[1, 0, 0], [0, 1, 0]], [[scale, 0.1, dx], [-0.1, scale, dy]]], dtype=np.float64)
    box, corners = moving_boxes(rest, motion, 320, 180)
    assert box.width >= rest.width
    assert box.height >= rest.height
    for left, top in [(box.x, box.y), *corners.tolist()]:
        assert left % 2 == top % 2 == box.width % 2 == box.height % 2 == 0
        assert 0 <= left <= 320 - box.width
        assert 0 <= top <= 180 - box.height


def test_crops_keep_the_face_and_scale_with_the_picture(prepared: tuple[Path, MovingHead], cache: Path) -> None:
    small, large = (expand(prepared[0], cache, w, h, 25) for w, h in ((320, 180), (640, 360)))
    for index in range(0, 50, 7):
        one, two = small.crop(index), large.crop(index)
        assert np.abs(np.subtract((two.left, two.top), (2 * one.left, 2 * one.top))).max() <= 1
        assert two.right - two.left == 2 * (one.right - one.left)
        assert np.array_equal(one.mask, two.mask)
        assert one.mask.shape == (64, 64)
        assert not one.mask[:32].any()
        assert one.mask[50, 32] == 255
        mouth = small.points("lip_line", index).mean(axis=0)
        assert one.left < mouth[0] < one.right
        assert (one.top + one.bottom) / 2 < mouth[1] < one.bottom
        assert np.allclose(2 * small.mesh(index) + 0.5, large.mesh(index), atol=1e-3)


def test_mouth_settings_move_the_crop_and_the_mask(raw: ExpandedAvatar, folder: Path, tmp_path: Path) -> None:
    wider = expand(edit(folder, mouth={"margin": 20, "mask": "neck"}), tmp_path, *SIZE, 25)
    assert (wider.mouth.margin, wider.mouth.mask) == (20, "neck")
    for index in (0, 25):
        one, two = raw.crop(index), wider.crop(index)
        assert (two.left, two.right) == (one.left, one.right)
        assert two.bottom - one.bottom == pytest.approx(10, abs=1)
        assert not np.array_equal(one.mask, two.mask)


def test_there_and_back_shows_one_picture_with_one_face(tmp_path: Path) -> None:
    root, _ = make_clip_avatar(tmp_path, size=SIZE, seconds=0.8, pingpong=True, motion=replace(CALM, period=2.0))
    pack = expand(root, tmp_path / "cache", *SIZE, 25)
    numbers = pack.source_frames
    assert numbers.tolist() == [*range(20), *range(18, 0, -1)]
    assert np.array_equal(pack.mesh(19 - 3), pack.mesh(19 + 3))
    assert pack.crop(16).left == pack.crop(22).left
    assert np.array_equal(pack.motion[16], pack.motion[22])


@given(st.integers(1, 400), st.sampled_from([Fraction(24), Fraction(25), Fraction(30), Fraction(15)]))
def test_another_rate_shows_the_nearest_frame_and_closes_the_loop(count: int, rate: Fraction) -> None:
    for fps in (24, 25, 30, 50, 60):
        shown = frames_shown(count, rate, fps)
        assert abs(Fraction(len(shown), fps) - count / rate) <= Fraction(1, 2 * fps) or len(shown) == 1
        assert (np.diff(shown) >= 0).all()
        assert 0 <= shown[0]
        assert shown[-1] < count
        middle = (np.arange(len(shown)) + 0.5) * count / len(shown)
        assert (np.abs(middle - (shown + 0.5)) <= 0.5).all()
        if fps == rate:
            assert shown.tolist() == list(range(count))


def test_a_pack_of_twice_the_rate_shows_each_picture_twice(prepared: tuple[Path, MovingHead], cache: Path) -> None:
    pack = expand(prepared[0], cache, *SIZE, 50)
    assert pack.loop_frames == 100
    assert pack.source_frames.tolist() == [n // 2 for n in range(100)]
    assert np.array_equal(pack.frame(40)[0], pack.frame(41)[0])
    assert np.array_equal(pack.mesh(40), pack.mesh(41))


@given(
    st.integers(80, 1000).map(lambda n: 2 * n), st.integers(80, 1000).map(lambda n: 2 * n),
    st.sampled_from([(1920, 1080), (1080, 1920), (640, 480), (322, 182)]),
    st.tuples(st.floats(0, 1), st.floats(0, 1)),
)  # fmt: skip
@settings(max_examples=60)
def test_any_shape_of_picture_is_cut_out_of_the_clip(
    width: int, height: int, clip: tuple[int, int], focus: tuple[float, float]
) -> None:
    view = choose_clip_view(width, height, clip, focus)
    assert not any(value % 2 for value in (*view.scaled, view.left, view.top))
    assert 0 <= view.left <= view.scaled[0] - width
    assert 0 <= view.top <= view.scaled[1] - height
    assert view.scaled[0] == width or view.scaled[1] == height
    assert view.scales[0] == pytest.approx(view.scales[1], rel=0.02)
    ends = view.to_picture(np.array([[-0.5, -0.5], [clip[0] - 0.5, clip[1] - 0.5]]))
    assert np.allclose(ends + 0.5, [(-view.left, -view.top), np.subtract(view.scaled, (view.left, view.top))])


def test_a_tall_picture_keeps_the_face(prepared: tuple[Path, MovingHead], cache: Path) -> None:
    pack = expand(prepared[0], cache, 180, 320, 25)
    box = pack.mouth_box_at(0)
    middle = pack.points("lip_line", 0).mean(axis=0)
    assert np.abs(middle - (box.x + box.width / 2, box.y + box.height / 2)).max() < box.height / 3
    luma = pack.frame(0)[0].astype(np.int16)
    x, y = (round(value) for value in middle)
    assert luma[y + 24, x] - luma[y, x] > 20, "skin is lighter than lips: the mouth is where the landmarks say"


def test_gestures_and_settings_are_carried(folder: Path, tmp_path: Path) -> None:
    pack = expand(edit(folder, gestures={"nod": {"start": 0.5, "end": 1.5}}), tmp_path, *SIZE, 25)
    assert (pack.gestures["nod"].start, pack.gestures["nod"].end) == (0.5, 1.5)
    with pytest.raises(AssetError, match=r"gestures\.nod: 9\.0 s is after the end of the loop \(2 s\)"):
        expand(edit(folder, gestures={"nod": {"start": 0.5, "end": 9}}), tmp_path, *SIZE, 25)


def test_the_inner_mouth_lies_in_the_mouth(raw: ExpandedAvatar) -> None:
    box = raw.mouth_box
    alpha = raw.inner_mouth("upper")[3]
    assert alpha.shape == (box.height, box.width)
    rows, columns = np.nonzero(alpha > 128)
    centre = raw.landmarks["lip_line"].mean(axis=0) - (box.x, box.y)
    assert abs(columns.mean() - centre[0]) < 4
    assert abs(rows.mean() - centre[1]) < 8


def faces(**changes: Any) -> Any:
    def change(folder: Path) -> None:
        with np.load(folder / "faces.npz") as stored:
            arrays = dict(stored)
        for name, value in changes.items():
            if value is None:
                del arrays[name]
            else:
                arrays[name] = value(arrays[name])
        np.savez(folder / "faces.npz", **arrays)

    return change


def shorter(folder: Path) -> None:
    faces(**{name: (lambda a: a[:-1]) for name in ("mesh", "boxes", "masks", "source")})(folder)


def cut_short(folder: Path) -> None:
    path = folder / "clip.mkv"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


FAULTS: dict[str, tuple[Any, str]] = {
    "no clip": (lambda f: (f / "clip.mkv").unlink(), r"clip\.mkv: missing; restore"),
    "no faces": (lambda f: (f / "faces.npz").unlink(), r"faces\.npz: missing; restore"),
    "clip is text": (lambda f: (f / "clip.mkv").write_text("x"), r"clip\.mkv: not a video that can be read"),
    "clip is cut short": (cut_short, r"clip\.mkv: (\d+ pictures, but|damaged).*prepare the avatar"),
    "faces are text": (lambda f: (f / "faces.npz").write_text("x"), r"faces\.npz: damaged \("),
    "no masks": (faces(masks=None), r"faces\.npz: .*masks.*; prepare the avatar again"),
    "half the meshes": (faces(mesh=lambda a: a[::2]), r"faces\.npz: mesh: float32 \(25, 468, 2\)"),
    "doubles": (faces(mesh=lambda a: a.astype(np.float64)), r"mesh: float64"),
    "not a number": (faces(mesh=lambda a: a * np.float32("nan")), r"a mesh that is not finite"),
    "empty box": (faces(boxes=lambda a: a * 0), r"a box without area"),
    "rest is not there": (faces(rest=lambda a: np.int32(50)), r"rest: must be one of the 50 frames"),
    "one face less": (shorter, r"clip\.mkv: 50 pictures, but the faces of 49 are known"),
    "pickles": (faces(source=lambda a: a.astype(object)), r"faces\.npz: damaged"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_wrong_with_a_clip_is_said(folder: Path, tmp_path: Path, fault: str) -> None:
    change, message = FAULTS[fault]
    change(folder)
    with pytest.raises(AssetError, match=message):
        expand(folder, tmp_path / "cache", *SIZE, 25)
    assert not list((tmp_path / "cache").glob("avatars/mover-*"))


@pytest.mark.parametrize("fps", [15, 24, 25, 30])
def test_the_rate_of_a_clip_is_read_exactly(tmp_path: Path, fps: int) -> None:
    root, _ = make_clip_avatar(tmp_path, size=(160, 90), fps=fps, seconds=0.6)
    assert clip_facts(root / "clip.mkv").rate == fps


def test_a_still_with_a_mesh_has_crops_that_follow_the_head(tmp_path: Path) -> None:
    still = load_source(HOST)
    assert isinstance(still, AvatarSource)
    found = FaceMesher().find(still.still())[0].mesh
    folder = shutil.copytree(HOST, tmp_path / "host")
    document = json.loads((folder / "landmarks.json").read_text()) | {"mesh": found.tolist()}
    (folder / "landmarks.json").write_text(json.dumps(document))
    pack = expand(folder, tmp_path, *SIZE, 25)
    assert (pack.kind, pack.has_mesh) == ("still", True)
    crops = [pack.crop(index) for index in range(pack.loop_frames)]
    assert len({(crop.right - crop.left, crop.bottom - crop.top) for crop in crops}) == 1
    for index, crop in enumerate(crops):
        mesh = pack.mesh(index)
        assert abs((crop.left + crop.right) / 2 - (mesh[:, 0].min() + mesh[:, 0].max()) / 2) < 2
        assert pack.mouth_box_at(index) == pack.mouth_box
    rest = pack.mesh(0) - moved(pack.mesh(0).astype(np.float64), pack.motion[0])
    assert np.abs(rest).max() < 3
    lips = pack.points("lips_outer", 40).mean(axis=0)
    assert np.abs(lips - pack.mesh(40)[list(LIPS_OUTER)].mean(axis=0)).max() < 2


def test_a_still_without_a_mesh_says_what_to_do(tmp_path: Path) -> None:
    folder = shutil.copytree(HOST, tmp_path / "host")
    document = json.loads((folder / "landmarks.json").read_text())
    document.pop("mesh", None)
    (folder / "landmarks.json").write_text(json.dumps(document))
    pack = expand(folder, tmp_path, *SIZE, 25)
    assert not pack.has_mesh
    for ask in (pack.mesh, pack.crop):
        with pytest.raises(AssetError, match="no face mesh: prepare it again with `broadcaster avatar prepare`"):
            ask(0)
