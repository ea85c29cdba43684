"""What playout accepts from a head: patches that fit the picture, and nothing else."""

from __future__ import annotations

import pytest

from broadcaster.errors import WireError
from broadcaster.playout.process import to_mouth_patch
from broadcaster.types import MouthBox
from broadcaster.wire import Patch

pytestmark = pytest.mark.unit


def _patch(box: tuple[int, int, int, int], size: int | None = None) -> Patch:
    return Patch(1, 1, 9, 9, box, bytes(box[2] * box[3] * 3 // 2 if size is None else size))


@pytest.mark.parametrize("box", [(0, 0, 2, 2), (0, 0, 640, 360), (638, 358, 2, 2), (200, 100, 64, 48)])
def test_a_patch_that_fits_is_taken(box: tuple[int, int, int, int]) -> None:
    patch = to_mouth_patch(_patch(box), 640, 360)
    assert (patch.box, patch.tick, patch.base) == (MouthBox(*box), 9, 9)


@pytest.mark.parametrize(
    ("box", "size"),
    [
        ((-2, 0, 16, 16), 384),
        ((0, -2, 16, 16), 384),
        ((630, 0, 16, 16), None),
        ((0, 350, 16, 16), None),
        ((1, 0, 16, 16), None),
        ((0, 0, 15, 16), None),
        ((0, 0, 0, 0), 0),
        ((0, 0, 16, 16), 383),
        ((0, 0, 16, 16), 0),
        ((0, 0, 16, 16), 385),
    ],
)
def test_a_patch_that_does_not_fit_is_refused(box: tuple[int, int, int, int], size: int | None) -> None:
    with pytest.raises(WireError, match="the head sent"):
        to_mouth_patch(_patch(box, size), 640, 360)
