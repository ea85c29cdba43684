"""Expanding an avatar: once, whole or not at all, without a seam, with the landmarks where the pixels are."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from broadcaster.config.avatar import Idle
from broadcaster.errors import AssetError
from broadcaster.studio.avatar import ExpandedAvatar, expand, open_pack
from broadcaster.studio.avatar_loop import choose_view, eye_closure, to_i420
from tests.support.faces import HOST, host

pytestmark = pytest.mark.unit

SMALL = (320, 180, 25)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> ExpandedAvatar:
    return expand(HOST, tmp_path_factory.mktemp("cache"), *SMALL)


@pytest.fixture(scope="module")
def avatar(tmp_path_factory: pytest.TempPathFactory) -> ExpandedAvatar:
    return host(tmp_path_factory.getbasetemp())


def test_planes_have_the_right_shape_and_are_read_only(small: ExpandedAvatar) -> None:
    assert (small.width, small.height, small.fps) == SMALL
    assert small.loop_frames >= 8 * small.fps
    y, u, v = small.frame(small.loop_frames - 1)
    assert (y.shape, u.shape, v.shape) == ((180, 320), (90, 160), (90, 160))
    assert all(plane.dtype == np.uint8 and not plane.flags.writeable for plane in (y, u, v))


def test_a_second_expansion_is_the_first(small: ExpandedAvatar) -> None:
    inode = (small.root / "base.i420").stat().st_ino
    calls: list[tuple[int, int]] = []
    again = expand(HOST, small.root.parents[1], *SMALL, progress=lambda done, total: calls.append((done, total)))
    assert again.root == small.root
    assert (again.root / "base.i420").stat().st_ino == inode
    assert calls == []


def test_progress_counts_every_frame_and_the_result_is_the_same(small: ExpandedAvatar, tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    other = expand(HOST, tmp_path, *SMALL, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(n, other.loop_frames) for n in range(1, other.loop_frames + 1)]
    for name in ("base.i420", "pack.json", "inner.npz"):
        assert (other.root / name).read_bytes() == (small.root / name).read_bytes()


def test_changed_data_expand_beside_the_old(small: ExpandedAvatar, tmp_path: Path) -> None:
    changed = shutil.copytree(HOST, tmp_path / "avatar")
    with (changed / "avatar.yaml").open("a") as file:
        file.write("mouth: {opening: 0.9}\n")
    assert expand(changed, small.root.parents[1], *SMALL).root.name != small.root.name
    assert small.root.is_dir()


def test_only_the_expansion_before_is_kept(small: ExpandedAvatar, tmp_path: Path) -> None:
    folder = shutil.copytree(HOST, tmp_path / "host")
    shipped = (folder / "avatar.yaml").read_text()
    packs = []
    for opening in (0.7, 0.8, 0.9):
        (folder / "avatar.yaml").write_text(f"{shipped}mouth: {{opening: {opening}}}\n")
        packs.append(expand(folder, tmp_path, *SMALL).root)
    other = expand(folder, tmp_path, 640, 360, 25).root
    assert len(set(packs)) == 3
    assert {p for p in (tmp_path / "avatars").iterdir() if p.is_dir()} == {*packs[1:], other}
    assert bytes(open_pack(packs[1]).frame(0)[0]) == bytes(small.frame(0)[0])


def test_a_kill_half_way_leaves_no_half_pack(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys; from pathlib import Path; from broadcaster.studio.avatar import expand\n"
        "def die(done, total):\n"
        "    if done == 40: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"expand(Path({str(HOST)!r}), Path({str(tmp_path)!r}), 320, 180, 25, die)\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], cwd=Path(__file__).parents[2], check=False)
    assert ended.returncode == -signal.SIGKILL
    left = [path for path in (tmp_path / "avatars").iterdir() if path.is_dir()]
    assert [path.name[:8] for path in left] == [".making-"]
    made = expand(HOST, tmp_path, *SMALL)
    assert made.frame(made.loop_frames - 1)[0].any()
    assert [path for path in (tmp_path / "avatars").iterdir() if path.is_dir()] == [made.root]


def test_an_error_half_way_leaves_no_pack(tmp_path: Path) -> None:
    broken = shutil.copytree(HOST, tmp_path / "avatar")
    (broken / "teeth-upper.webp").write_bytes(b"no picture")
    with pytest.raises(AssetError, match=r"teeth-upper\.webp: not a picture"):
        expand(broken, tmp_path / "cache", *SMALL)
    packs = list((tmp_path / "cache" / "avatars").glob("host-*"))
    assert packs == []


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("base.i420", b"short", r"base\.i420: 5 bytes do not hold \d+ pictures; remove"),
        ("base.i420", None, r"base\.i420: missing; remove"),
        ("pack.json", b"{}", r"pack\.json: damaged"),
        ("pack.json", b"\x00", r"pack\.json: damaged"),
        ("pack.json", None, r"pack\.json: missing"),
    ],
)
def test_a_damaged_pack_is_refused(
    small: ExpandedAvatar, tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    pack = shutil.copytree(small.root, tmp_path / "pack")
    (pack / name).unlink()
    if content is not None:
        (pack / name).write_bytes(content)
    with pytest.raises(AssetError, match=message):
        open_pack(pack)


def test_damaged_inner_mouth_is_refused(small: ExpandedAvatar, tmp_path: Path) -> None:
    pack = shutil.copytree(small.root, tmp_path / "pack")
    (pack / "inner.npz").write_bytes(b"nothing")
    with pytest.raises(AssetError, match=r"inner\.npz: damaged"):
        open_pack(pack).inner_mouth("upper")


def test_a_picture_too_small_for_a_mouth_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AssetError, match="does not fit into a picture of 64x36"):
        expand(HOST, tmp_path, 64, 36, 25)


@pytest.mark.parametrize(("width", "height"), [(1280, 720), (720, 1280), (1920, 1080), (160, 160)])
def test_any_shape_of_picture_keeps_the_face_in_view(width: int, height: int) -> None:
    still = (1920, 1280)
    view = choose_view(width, height, still, (0.5, 0.47))
    assert view.scale * still[0] >= width - 1e-6
    assert view.scale * still[1] >= height - 1e-6
    corner = view.to_picture(np.array([[view.left, view.top]]))[0]
    far = np.array([[view.left + width / view.scale, view.top + height / view.scale]])
    assert np.allclose(corner, view.scale / 2 - 0.5 + 0 * corner)
    assert np.allclose(view.to_picture(far)[0] + 0.5 - view.scale / 2, (width, height))
    assert far[0, 0] <= still[0] + 1e-6
    assert far[0, 1] <= still[1] + 1e-6


def test_colours_are_bt709_limited() -> None:
    colours = {(255, 255, 255): (235, 128, 128), (0, 0, 0): (16, 128, 128), (0, 0, 255): (63, 102, 240)}
    for bgr, wanted in colours.items():
        planes = to_i420(np.full((4, 4, 3), bgr, np.uint8))
        assert tuple(int(plane[0, 0]) for plane in planes) == wanted


def test_the_loop_has_no_seam(avatar: ExpandedAvatar) -> None:
    def step(a: int, b: int) -> float:
        now, after = avatar.frame(a)[0].astype(np.int16), avatar.frame(b)[0].astype(np.int16)
        return float(np.abs(after - now).mean())

    steps = [step(n, n + 1) for n in range(avatar.loop_frames - 1)]
    seam = step(avatar.loop_frames - 1, 0)
    assert min(steps) > 0.0, "a loop that stands still is not alive"
    assert seam <= np.median(steps) * 1.5
    assert seam <= max(steps)


def test_blinks_go_round_the_loop() -> None:
    idle = Idle(seconds=10, blinks=[1.6, 9.95])
    assert eye_closure(1.6, idle) == 1.0
    assert eye_closure(3.0, idle) == 0.0
    assert eye_closure(0.0, idle) == pytest.approx(1.0)
    assert 0.0 < eye_closure(1.55, idle) < 1.0
    assert eye_closure(1.85, idle) == 0.0


def test_landmarks_follow_the_pixels_through_the_loop(avatar: ExpandedAvatar) -> None:
    """The mouth cut out around its landmarks is the same picture in every frame, up to interpolation."""
    import cv2

    size = (round(avatar.mouth_box.width * 0.6), round(avatar.mouth_box.height * 0.4))
    centre = avatar.landmarks["lip_line"].mean(axis=0)
    shift = np.array([[1, 0, centre[0] - size[0] / 2], [0, 1, centre[1] - size[1] / 2], [0, 0, 1]])

    def mouth(index: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
        forward = np.vstack([avatar.motion[index], [0, 0, 1]]) @ shift
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        luma = np.ascontiguousarray(avatar.frame(index)[0])
        return np.asarray(cv2.warpAffine(luma, forward[:2], size, flags=flags), dtype=np.float32)

    moved = [float(np.abs(avatar.motion[n, :, 2] - avatar.motion[0, :, 2]).max()) for n in range(avatar.loop_frames)]
    assert max(moved) > 0.5, "the head must move for this to show anything"
    first = mouth(0)
    for index in range(0, avatar.loop_frames, 7):
        assert float(np.abs(mouth(index) - first).mean()) < 1.0
    still = np.ascontiguousarray(avatar.frame(int(np.argmax(moved)))[0])
    unmoved = cv2.warpAffine(still, shift[:2], size, flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP)
    assert float(np.abs(unmoved.astype(np.float32) - first).mean()) > 1.0


def test_facts_are_plain_json(small: ExpandedAvatar) -> None:
    facts = json.loads((small.root / "pack.json").read_text())
    assert facts["loop_frames"] == small.loop_frames
    assert set(facts["landmarks"]) == set(small.landmarks)
