"""A clip turned into the base frames of one picture size and rate. Runs in set-up only.

The clip is decoded once, in order; planes are scaled as they are (4:2:0 of both sides), never through RGB. At another
rate each base frame shows the nearest frame of the clip, and the loop keeps its length to within half a picture.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from broadcaster.errors import AssetError
from broadcaster.studio.avatar_faces import FrameFaces, faces_of_clip, in_picture, rest_and_motion
from broadcaster.studio.avatar_source import ClipSource, check_gestures, opencv
from broadcaster.studio.coded import Picture, clip_facts, pictures_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Points = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ClipView:
    """The clip scaled to `scaled` (even numbers), of which the picture shows the part from (left, top) on."""

    width: int
    height: int
    clip: tuple[int, int]
    scaled: tuple[int, int]
    left: int
    top: int

    @property
    def scales(self) -> tuple[float, float]:
        return self.scaled[0] / self.clip[0], self.scaled[1] / self.clip[1]

    @property
    def whole(self) -> bool:
        """The picture is the clip as it is."""
        return self.clip == self.scaled == (self.width, self.height)

    def to_picture(self, points: Points) -> Points:
        """Clip coordinates (n, 2) to picture coordinates; pixel centres are whole numbers in both."""
        return np.asarray((points + 0.5) * self.scales - 0.5 - (self.left, self.top))


def choose_clip_view(width: int, height: int, clip: tuple[int, int], focus: tuple[float, float]) -> ClipView:
    """The largest cut of the picture's shape, as near to `focus` (shares of the clip) as it fits; all even."""
    scale = max(width / clip[0], height / clip[1])
    across = max(width, 2 * round(clip[0] * scale / 2))
    down = max(height, 2 * round(clip[1] * scale / 2))
    left, top = (
        2 * round(min(max(share * size - shown / 2, 0.0), size - shown) / 2)
        for share, size, shown in zip(focus, (across, down), (width, height), strict=True)
    )
    return ClipView(width, height, clip, (across, down), left, top)


def frames_shown(count: int, rate: Fraction, fps: int) -> NDArray[np.int32]:
    """Which of `count` clip frames each base frame shows: the nearest in time, the loop closed."""
    shown = max(1, round(count * fps / rate))
    return ((2 * np.arange(shown, dtype=np.int64) + 1) * count // (2 * shown)).astype(np.int32)


class ClipLoop:
    """The base frames of one clip avatar for one picture size and rate, in order."""

    def __init__(self, source: ClipSource, width: int, height: int, fps: int) -> None:
        facts = clip_facts(source.clip)
        faces = source.faces()
        manifest = source.manifest
        count = len(faces.source)
        check_gestures(manifest, float(count / facts.rate), source.root / "avatar.yaml")
        self._source = source
        self._count = count
        self.fps = fps
        self.order = frames_shown(count, facts.rate, fps)
        self.frames = len(self.order)
        self.view = choose_clip_view(width, height, (facts.width, facts.height), manifest.focus)
        self.as_it_is = self.view.whole and facts.rate == fps
        """The clip's own file shows the base frames: nothing has to be made."""
        first = _first_with(faces.source)
        shown = first[self.order]
        self.landmarks, motion = rest_and_motion(in_picture(faces.mesh, self.view), faces.rest)
        self.motion = motion[shown]
        self.source_frames = np.unique(faces.source[self.order], return_inverse=True)[1].astype(np.int32)
        self.faces: FrameFaces = faces_of_clip(faces, shown, manifest.mouth, self.view)

    def __iter__(self) -> Iterator[Picture]:
        """The base frames. Raises AssetError when the clip is damaged, or not as long as its faces are many."""
        at = number = 0
        for number, picture in enumerate(pictures_of(self._source.clip), start=1):
            if at < self.frames and self.order[at] == number - 1:
                placed = self._placed(picture)
                while at < self.frames and self.order[at] == number - 1:
                    yield placed
                    at += 1
        check_length(self._source.clip, number, self._count)

    def _placed(self, picture: Picture) -> Picture:
        view = self.view
        if view.clip == view.scaled:
            scaled = list(picture)
        else:
            cv2 = opencv()
            kind = cv2.INTER_AREA if view.scaled[0] < view.clip[0] else cv2.INTER_CUBIC
            across, down = view.scaled
            sizes = ((across, down), (across // 2, down // 2), (across // 2, down // 2))
            scaled = [cv2.resize(p, size, interpolation=kind) for p, size in zip(picture, sizes, strict=True)]
        y, u, v = (
            plane[view.top // step :, view.left // step :][: view.height // step, : view.width // step]
            for plane, step in zip(scaled, (1, 2, 2), strict=True)
        )
        return y, u, v


def check_length(clip: Path, pictures: int, faces: int) -> None:
    """Raises AssetError when a clip is not as long as its faces are many."""
    if pictures != faces:
        raise AssetError(
            f"{clip}: {pictures} pictures, but the faces of {faces} are known; "
            "prepare the avatar again with `broadcaster avatar prepare`"
        )


def _first_with(source: NDArray[np.int32]) -> NDArray[np.int32]:
    """For each frame the first that shows the same picture: its face serves all of them."""
    _, first, which = np.unique(source, return_index=True, return_inverse=True)
    return np.asarray(first[which], dtype=np.int32)
