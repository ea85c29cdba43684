"""The shipped presenter's face mesh, and where it is in the pictures of a `MovingHead`."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from broadcaster.face import moved
from tests.support.synthetic import HOST, _loop

if TYPE_CHECKING:
    from tests.support.synthetic import MovingHead

Meshes = NDArray[np.float32]


@cache
def host_mesh() -> Meshes:
    """(468, 2), pixels of the still (1920x1280)."""
    stored = json.loads((HOST / "landmarks.json").read_text())["mesh"]
    mesh = np.asarray(stored, dtype=np.float32)
    mesh.flags.writeable = False
    return mesh


def rest_mesh(width: int, height: int) -> Meshes:
    """The same in a picture of that size, the head at rest."""
    return _loop(width, height).view.to_picture(host_mesh().astype(np.float64)).astype(np.float32)


def true_meshes(head: MovingHead) -> Meshes:
    """(n, 468, 2): the mesh at rest, moved as the head is; lids and lips stay as they are at rest."""
    rest = rest_mesh(head.width, head.height).astype(np.float64)
    return np.stack([moved(rest, affine) for affine in head.motion]).astype(np.float32)
