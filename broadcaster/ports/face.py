"""The ports between an avatar, a talking-head engine and whoever asks it for pictures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from broadcaster.types import FaceCrop, MouthBox, MouthPatch, Plane

if TYPE_CHECKING:
    from broadcaster.config.avatar import Mouth


class AvatarPack(Protocol):
    """An avatar expanded for one picture size and frame rate (see `studio/avatar.py`)."""

    @property
    def root(self) -> Path: ...
    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...
    @property
    def fps(self) -> int: ...
    @property
    def loop_frames(self) -> int: ...

    def frame(self, index: int) -> tuple[Plane, Plane, Plane]:
        """Read-only Y, U, V planes of base frame `index`. On air, where that is not decoded in time: the very tuple
        that was returned last."""


class FacePack(AvatarPack, Protocol):
    """What a talking head needs besides the pictures. Coordinates are picture pixels, (x, y)."""

    @property
    def mouth_box(self) -> MouthBox:
        """The region that the mesh engines' patches cover, with the head at rest."""

    def mouth_box_at(self, index: int) -> MouthBox:
        """The same region where the head is in base frame `index`: of the same size, whole even pixels."""

    @property
    def landmarks(self) -> Mapping[str, NDArray[np.float64]]:
        """Point sets (n, 2) at rest: lips_outer, lip_line, face_oval, left_eye, right_eye, chin, nose_base, neck."""

    @property
    def motion(self) -> NDArray[np.float64]:
        """(loop_frames, 2, 3): the affine that takes the landmarks at rest to where they lie in each base frame."""

    @property
    def mouth(self) -> Mouth:
        """The avatar's own settings for its mouth."""

    @property
    def source_frames(self) -> NDArray[np.int32]:
        """(loop_frames,): base frames with equal numbers show the same picture, so tensors of one serve the other."""

    def mesh(self, index: int) -> NDArray[np.float32]:
        """(468, 2): the face mesh in base frame `index`. Raises AssetError for an avatar without one."""

    def crop(self, index: int) -> FaceCrop:
        """What a neural engine cuts out of base frame `index`. Raises AssetError for an avatar without a mesh."""

    def inner_mouth(self, part: str) -> tuple[Plane, Plane, Plane, Plane]:
        """Y, U, V and alpha of "upper" (teeth) or "lower" (teeth, tongue) on the box's grid. Raises AssetError."""


class SpeechTrack(Protocol):
    """The speech of one utterance as far as it is known, counted in its own samples."""

    samples: int
    complete: bool
    due: bool
    """What is known is about to sound and more has not come: render it without waiting for what follows."""

    def phones(self) -> Iterable[tuple[str, str, int, int]]:
        """(symbol, viseme, start, end) in samples of the utterance, in order."""

    def pcm(self, start: int, end: int) -> bytes:
        """s16le mono 48 kHz; zeros outside what is known."""


class TalkingHead(Protocol):
    """A talking-head engine inside the head process; synchronous, one thread."""

    name: str
    lead_ticks: int
    """Patches that should be in hand before an utterance starts."""

    def load(self, avatar: FacePack) -> None:
        """Prepares and warms up with the real shapes. Raises AssetError or HeadError."""

    def begin(self, generation: int, epoch: int, track: SpeechTrack, first_tick: int, first_sample: int) -> None:
        """A new anchor: `first_sample` of `track` sounds at the start of `first_tick`. Resets all state."""

    def render(self, first: int, last: int) -> Iterator[MouthPatch]:
        """Patches for ticks first..last (inclusive), in order; ends early where the track is not yet known."""


@runtime_checkable
class ThinningHead(Protocol):
    """A TalkingHead that can make fewer pictures when it falls behind (see `head/stepped.py`)."""

    stride: int
    """1: all. n: `render` gives only the ticks that lie a multiple of n behind the anchor's first tick; set between
    two calls of `render`, whatever it was before. Whoever sets it fills the ticks between."""

    @property
    def counts(self) -> dict[str, int]:
        """What the engine counts, by name, since it was loaded: for the status."""
