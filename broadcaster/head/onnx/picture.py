"""What the network is shown of a base picture, and what of its answer may be painted over. The engine's thread."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from broadcaster.errors import AssetError
from broadcaster.face import topology
from broadcaster.face.mask import MASK_SIZE, mask_of
from broadcaster.head.onnx.network import MANIFEST
from broadcaster.head.opencv import opencv
from broadcaster.head.paste import cut_face
from broadcaster.types import FaceCrop

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from broadcaster.head.onnx.network import Network
    from broadcaster.ports import FacePack

    Floats = NDArray[np.float32]
    Image = NDArray[np.uint8]
    Box = tuple[int, int, int, int]

CROPS_KEPT: Final = 1024
"""Crops with their masks, 4 kB each: a loop of 40 s, and a longer one makes them anew."""

LEAST_SIDE: Final = 16
"""Pixels of a crop; a smaller one is no face."""

LOWEST_START: Final = 0.8
"""The mask begins no lower than this share of the crop: below is no room for a mouth."""


class Pictures:
    """Crops, inputs and faces of one avatar and one network. OpenCV's threads are whoever's set them."""

    def __init__(self, network: Network, avatar: FacePack) -> None:
        self._network, self._avatar = network, avatar
        self._kept: OrderedDict[int, FaceCrop] = OrderedDict()
        cv2: Any = opencv()
        self._resize = {
            "linear": cv2.INTER_LINEAR,
            "area": cv2.INTER_AREA,
            "cubic": cv2.INTER_CUBIC,
            "lanczos": cv2.INTER_LANCZOS4,
        }[network.picture.crop.resize]

    def crop(self, base: int) -> FaceCrop:
        """What is cut out of a base frame, and its mask. Raises AssetError for an avatar without a mesh."""
        found = self._kept.get(base)
        if found is None:
            box = self._box(base)
            found = self._kept[base] = FaceCrop(*box, self._mask(base, box))
            if len(self._kept) > CROPS_KEPT:
                self._kept.popitem(last=False)
        return found

    def cut(self, base: int) -> Image:
        """The crop of a base frame, uint8 (n, n, 3), RGB, of the input's size and its border."""
        picture = self._network.picture
        return cut_face(
            self._avatar.frame(base), self.crop(base), picture.size + 2 * picture.crop.border, self._resize
        )

    def input(self, cut: Image) -> Floats:
        """float32 (channels, size, size) as the network takes it."""
        picture = self._network.picture
        border, hidden = picture.crop.border, picture.hidden
        face = cut[border : border + picture.size, border : border + picture.size]
        if picture.colour == "bgr":
            face = face[..., ::-1]
        masked = face.copy()
        masked[hidden.top : hidden.bottom, hidden.left : hidden.right] = 0
        parts = {"face": face, "masked": masked}
        stacked = np.concatenate([parts[part] for part in picture.parts], axis=2).transpose(2, 0, 1)
        pixels = stacked.astype(np.float32)
        match picture.range:
            case "unit":
                pixels /= np.float32(255.0)
            case "signed":
                pixels = pixels / np.float32(127.5) - np.float32(1.0)
        return pixels

    def face(self, cut: Image, made: Image) -> Image:
        """The network's face (n, n, 3), RGB, with the crop's border around it."""
        border = self._network.picture.crop.border
        if border == 0:
            return made
        whole = cut.copy()
        whole[border:-border, border:-border] = made
        return whole

    def _box(self, base: int) -> Box:
        """(left, top, right, bottom) in whole picture pixels, by the rule and the margins of network.yaml.

        The size is rounded apart from the place, so that a head that keeps its distance keeps its crop's size.
        """
        wanted = self._network.picture.crop
        if wanted.rule == "musetalk":
            crop = self._avatar.crop(base)
            edges = np.array([crop.left, crop.top, crop.right, crop.bottom], dtype=np.float64)
        else:
            mesh = self._avatar.mesh(base)
            edges = _face_box(mesh) if wanted.rule == "face" else _lower_box(mesh)
        width, height = edges[2] - edges[0], edges[3] - edges[1]
        margins = wanted.margins
        edges += (-margins.left * width, -margins.top * height, margins.right * width, margins.bottom * height)
        size = np.rint(edges[2:] - edges[:2])
        left, top = (int(edge) for edge in np.rint((edges[:2] + edges[2:] - size) / 2))
        across, down = (int(side) for side in size)
        if min(across, down) < LEAST_SIDE:
            raise AssetError(
                f"the face in base frame {base} gives a crop of {across}x{down} pixels: too small; choose a larger "
                f"picture or a nearer avatar, and look at `picture.crop` in {MANIFEST}"
            )
        return left, top, left + across, top + down

    def _mask(self, base: int, box: Box) -> NDArray[np.uint8]:
        """uint8 (64, 64) over the box: 0 wherever the network only copies, and along the edges."""
        picture, blend = self._network.picture, self._network.blend
        whole, border, hidden = picture.size + 2 * picture.crop.border, picture.crop.border, picture.hidden
        made = [(border + edge) / whole for edge in (hidden.left, hidden.top, hidden.right, hidden.bottom)]
        if blend.mask == "hidden":
            return _rectangle(made, blend.feather)
        mesh = self._avatar.mesh(base)
        nose = (float(mesh[topology.NOSE_BASE, 1]) - box[1]) / (box[3] - box[1])
        start = min(max(nose, made[1]), LOWEST_START)
        return mask_of(mesh, box, self._avatar.mouth, start)


def _face_box(mesh: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.concatenate([mesh.min(axis=0), mesh.max(axis=0)]).astype(np.float64)


def _lower_box(mesh: NDArray[np.float32]) -> NDArray[np.float64]:
    """A square as wide as the face, down from the outer corners of the eyes (points 1, 31 and 52 of the 110 that
    Ultralight's and FeatherTalk's `compute_face_bbox` take)."""
    jaw = mesh[list(topology.JAW_68), 0].astype(np.float64)
    left, right = jaw.min(), jaw.max()
    corners = [topology.LEFT_EYE_CORNERS[0], topology.RIGHT_EYE_CORNERS[1]]
    top = float(mesh[corners, 1].mean())
    return np.array([left, top, right, top + right - left])


def _rectangle(edges: list[float], feather: float) -> NDArray[np.uint8]:
    """255 within the edges (shares of the crop), eased to 0 over `feather` inside of them and at the crop's rim."""
    cells = (np.arange(MASK_SIZE) + 0.5) / MASK_SIZE
    rim = 1.0 / MASK_SIZE
    ramps = []
    for low, high in ((edges[1], edges[3]), (edges[0], edges[2])):
        low, high = max(low, rim), min(high, 1.0 - rim)
        inside = np.minimum(cells - low, high - cells)
        ramps.append(np.clip(inside / max(feather, rim / 2), 0.0, 1.0))
    smooth = [ramp * ramp * (3.0 - 2.0 * ramp) for ramp in ramps]
    mask: NDArray[np.uint8] = np.rint(255 * np.outer(*smooth)).astype(np.uint8)
    return mask
