"""What is cut out of a base picture for a network, what goes in, and what of its answer is painted over."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from broadcaster.config.avatar import Mouth
from broadcaster.errors import AssetError
from broadcaster.head.onnx.network import Network
from broadcaster.head.onnx.picture import Pictures
from broadcaster.head.paste import cut_face
from broadcaster.studio.avatar import ExpandedAvatar
from tests.support.faces import host
from tests.support.onnx_heads import FEATHERTALK, WAV2LIP

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def avatar(tmp_path_factory: pytest.TempPathFactory) -> ExpandedAvatar:
    return host(tmp_path_factory.getbasetemp())


def pictures(avatar: ExpandedAvatar, manifest: dict[str, Any], **changed: Any) -> Pictures:
    picture = {**manifest["picture"], **changed.pop("picture", {})}
    return Pictures(Network.model_validate({**manifest, "picture": picture, **changed}), avatar)


def box(made: Pictures, base: int = 0) -> tuple[int, int, int, int]:
    crop = made.crop(base)
    return crop.left, crop.top, crop.right, crop.bottom


def test_crops_by_rule(avatar: ExpandedAvatar) -> None:
    mesh = avatar.mesh(0)
    low, high = mesh.min(axis=0), mesh.max(axis=0)
    left, top, right, bottom = box(pictures(avatar, WAV2LIP))
    assert np.abs(np.array([left, top, right, bottom]) - [*low, *high]).max() <= 1
    left, top, right, bottom = box(pictures(avatar, FEATHERTALK))
    assert right - left == bottom - top
    assert abs(top - mesh[[33, 263], 1].mean()) <= 1
    crop = avatar.crop(0)
    rule = pictures(avatar, WAV2LIP, picture={"crop": {"rule": "musetalk"}})
    assert box(rule) == (crop.left, crop.top, crop.right, crop.bottom)


def test_margins_and_a_face_that_is_too_small(avatar: ExpandedAvatar) -> None:
    left, top, right, bottom = box(pictures(avatar, WAV2LIP))
    margins = {"left": 0.1, "top": -0.1, "bottom": 0.25}
    wider = box(pictures(avatar, WAV2LIP, picture={"crop": {"margins": margins}}))
    width, height = right - left, bottom - top
    assert (left - wider[0], wider[2] - right) == (pytest.approx(0.1 * width, abs=1), pytest.approx(0, abs=1))
    assert (top - wider[1], wider[3] - bottom) == (
        pytest.approx(-0.1 * height, abs=1),
        pytest.approx(0.25 * height, abs=1),
    )
    narrow = pictures(avatar, WAV2LIP, picture={"crop": {"margins": {"left": -0.46, "right": -0.46}}})
    with pytest.raises(AssetError, match=r"base frame 0 gives a crop of \d+x\d+ pixels: too small"):
        narrow.crop(0)


def test_a_head_that_sways_keeps_the_size_of_its_crop(avatar: ExpandedAvatar) -> None:
    made = pictures(avatar, WAV2LIP)
    boxes = np.array([box(made, base) for base in range(0, avatar.loop_frames, 5)])
    sizes = np.ptp(boxes[:, 2:] - boxes[:, :2], axis=0)
    assert sizes.max() <= 1
    assert np.ptp(boxes[:, 1]) >= 1


def test_wav2lips_input_is_the_masked_face_and_the_face_in_bgr(avatar: ExpandedAvatar) -> None:
    made = pictures(avatar, WAV2LIP)
    cut = made.cut(3)
    given = made.input(cut)
    assert (given.shape, given.dtype) == ((6, 96, 96), np.float32)
    face = cut[..., ::-1].transpose(2, 0, 1) / np.float32(255)
    assert np.array_equal(given[3:], face)
    assert np.array_equal(given[:3, :48], face[:, :48])
    assert not given[:3, 48:].any()
    assert np.array_equal(cut, cut_face(avatar.frame(3), made.crop(3), 96, cv2.INTER_LINEAR))


def test_feathertalks_input_is_the_middle_of_a_larger_crop(avatar: ExpandedAvatar) -> None:
    made = pictures(avatar, FEATHERTALK, picture={"colour": "rgb", "range": "signed"})
    cut = made.cut(0)
    assert cut.shape == (168, 168, 3)
    given = made.input(cut)
    assert given.shape == (6, 160, 160)
    inner = cut[4:164, 4:164].transpose(2, 0, 1).astype(np.float32) / np.float32(127.5) - 1
    assert np.allclose(given[:3], inner, atol=1e-6)
    masked = cv2.rectangle(cut[4:164, 4:164].copy(), (5, 5, 150, 145), (0, 0, 0), -1)
    assert np.allclose(given[3:], masked.transpose(2, 0, 1) / 127.5 - 1, atol=1e-6)
    assert given[3:].min() == -1


def test_the_border_comes_back_around_the_face(avatar: ExpandedAvatar) -> None:
    made = pictures(avatar, FEATHERTALK)
    cut = made.cut(0)
    whole = made.face(cut, np.full((160, 160, 3), 7, np.uint8))
    assert (whole[4:164, 4:164] == 7).all()
    for edge in (np.s_[:4], np.s_[-4:], np.s_[:, :4], np.s_[:, -4:]):
        assert np.array_equal(whole[edge], cut[edge])


@pytest.mark.parametrize("manifest", [WAV2LIP, FEATHERTALK])
def test_masks_leave_alone_what_the_network_copies(avatar: ExpandedAvatar, manifest: dict[str, Any]) -> None:
    picture = manifest["picture"]
    border = picture["crop"].get("border", 0)
    whole = picture["size"] + 2 * border
    top = (border + picture["hidden"].get("top", 0)) / whole * 64
    for blend in ("face", "hidden"):
        mask = pictures(avatar, manifest, blend={"mask": blend}).crop(0).mask
        assert (mask.shape, mask.dtype) == ((64, 64), np.uint8)
        assert mask.max() == 255
        for edge in (mask[0], mask[-1], mask[:, 0], mask[:, -1], mask[: int(top)]):
            assert not edge.any()


def test_the_mask_of_the_face_begins_at_the_nose_and_holds_the_lips(avatar: ExpandedAvatar) -> None:
    for manifest in (WAV2LIP, FEATHERTALK):
        crop = pictures(avatar, manifest).crop(0)
        mesh = (avatar.mesh(0) - (crop.left, crop.top)) * (
            64 / (crop.right - crop.left),
            64 / (crop.bottom - crop.top),
        )
        x, y = np.rint(mesh[[0, 17, 61, 291, 13, 14]]).astype(int).T
        assert crop.mask[y, x].min() > 128, "lips"
        assert not crop.mask[: int(mesh[4, 1]), :].any(), "tip of the nose and all above"


def test_the_avatars_own_mask_holds_here_too(avatar: ExpandedAvatar) -> None:
    jaw, neck = (
        pictures(replace(avatar, mouth=Mouth(mask=mask)), FEATHERTALK).crop(0).mask for mask in ("jaw", "neck")
    )
    assert int(neck.astype(int).sum()) > 1.1 * int(jaw.astype(int).sum())
    assert (neck >= jaw).all()


def test_crops_are_kept_but_not_for_ever(avatar: ExpandedAvatar, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broadcaster.head.onnx.picture.CROPS_KEPT", 3)
    made = pictures(avatar, WAV2LIP)
    first = made.crop(0)
    assert made.crop(0) is first
    for base in range(1, 4):
        made.crop(base)
    assert made.crop(0) is not first


def test_an_avatar_without_a_mesh_is_told_what_to_do(tmp_path: Path, avatar: ExpandedAvatar) -> None:
    class Meshless:
        frame = avatar.frame

        def mesh(self, index: int) -> None:
            raise AssetError("avatar x has no face mesh: prepare it again with `broadcaster avatar prepare`")

    with pytest.raises(AssetError, match="prepare it again"):
        Pictures(Network.model_validate(WAV2LIP), Meshless()).crop(0)  # type: ignore[arg-type]


def test_a_crop_that_ends_at_the_nose_still_shows_something(avatar: ExpandedAvatar) -> None:
    crop = {"margins": {"bottom": -0.45}}
    mask = pictures(avatar, WAV2LIP, picture={"crop": crop}).crop(0).mask
    assert mask.max() > 128
    assert not mask[: int(0.8 * 64)].any()


@pytest.mark.parametrize("margins", [{"top": -0.5, "bottom": -0.45}, {"left": -0.5, "right": -0.45}])
def test_margins_that_leave_next_to_nothing_are_said(avatar: ExpandedAvatar, margins: dict[str, float]) -> None:
    with pytest.raises(AssetError, match=r"too small; choose a larger picture .* `picture.crop` in network\.yaml"):
        pictures(avatar, WAV2LIP, picture={"crop": {"margins": margins}}).crop(0)
