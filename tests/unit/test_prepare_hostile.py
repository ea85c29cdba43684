"""What goes wrong in the hands of a user: odd rates, bad moments to break off, files that are not what they seem."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from broadcaster.errors import AssetError
from broadcaster.head.prepare import making, sheet, work
from broadcaster.head.prepare.writing import write_piece
from tests.support.prepared import Watched, head, order_for

pytestmark = pytest.mark.unit


def test_the_contact_sheet_of_a_fast_clip_shows_its_own_pictures(short_dir: Path) -> None:
    """`--fps 60` makes a clip of 60, which is not read as a video of 30."""
    clip = short_dir / "clip.mkv"
    pictures = [head()[k % 60] for k in range(122)]
    write_piece(clip, iter(pictures), 60, 1)
    count = len(pictures)
    meshes = np.full((count, 468, 2), 200, dtype=np.float32)
    boxes = np.tile(np.array([150, 100, 250, 200], dtype=np.int32), (count, 1))
    tiles = making._tiles(clip, 60, meshes, boxes, np.zeros((count, 64, 64), dtype=np.uint8), 3)
    last, first = tiles[-4], tiles[-3]
    assert cv2.PSNR(last, sheet.tile(pictures[-1], "seam: last")) > 32
    assert cv2.PSNR(first, sheet.tile(pictures[0], "seam: first")) > 32


def test_what_was_refused_for_want_of_room_leaves_no_folder(short_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order = order_for(short_dir / "v")
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 10**9, 1_000_000))  # type: ignore[attr-defined]
        with pytest.raises(AssetError, match="make room"):
            work.prepare_video(order, Watched())
    assert not order.working.exists()
