"""`avatar.yaml`: what a presenter is made of, and what it says about itself. Pure data, no I/O.

Two kinds. `format: 1` is a still whose head is moved by warps (the shipped presenter, a photograph). `format: 2` is a
clip that loops: a video of a person, prepared by `broadcaster avatar prepare`.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from broadcaster.config.base import NAME_PATTERN
from broadcaster.config.persona import AvatarVoice

FILE_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"

FileName = Annotated[str, Field(pattern=FILE_PATTERN)]
Share = Annotated[float, Field(ge=0, le=1)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)


class Overlay(_Part):
    """A cut-out of the picture: its file and where its top left corner lies in the still."""

    file: FileName
    x: Annotated[int, Field(ge=0)]
    y: Annotated[int, Field(ge=0)]


class InnerMouth(_Part):
    """What shows between open lips, with transparency: `upper` stays with the skull, `lower` follows the jaw."""

    upper: Overlay
    lower: Overlay


class Idle(_Part):
    """The idle loop. `breath` and `sway` are in face widths; `blinks` are the seconds at which the eyes are shut."""

    seconds: Annotated[float, Field(ge=8, le=30)] = 10.0
    breaths: Annotated[int, Field(ge=1, le=20)] = 3
    breath: Annotated[float, Field(ge=0, le=0.05)] = 0.012
    sway: Annotated[float, Field(ge=0, le=0.05)] = 0.006
    blinks: list[Annotated[float, Field(ge=0)]] = []


class Mouth(_Part):
    """How the engines treat this face."""

    opening: Annotated[float, Field(ge=0.3, le=1.5)] = 1.0
    """Engine warp: how far the mouth opens, as a share of what the engine does by itself."""
    shift: Annotated[int, Field(ge=-64, le=64)] = 0
    """Engine musetalk, weights 1.0: moves the middle of the crop down by so many pixels of the picture (upstream's
    bbox_shift; it changes how far the mouth opens). Weights 1.5 ignore it."""
    margin: Annotated[int, Field(ge=0, le=64)] = 10
    """Engine musetalk, weights 1.5: pixels of the picture added below the chin (upstream's extra_margin)."""
    mask: Literal["jaw", "neck"] = "jaw"
    """What an engine may paint over: the lower face down to the chin, or a little of the neck as well."""


class Gesture(_Part):
    """A stretch of the loop worth a name, in seconds from its start."""

    start: Annotated[float, Field(ge=0)]
    end: Annotated[float, Field(gt=0)]


class _Manifest(_Part):
    name: Annotated[str, Field(pattern=NAME_PATTERN)]
    title: str
    depicts_real_person: bool
    licence: str
    credits: str
    consent: str = ""
    """Who allowed that this face is animated, when and for what; asked for when a real person is shown."""
    engine: str = ""
    """The talking-head engine for this presenter where the configuration names none."""
    mouth: Mouth = Mouth()
    gestures: dict[Annotated[str, Field(pattern=NAME_PATTERN)], Gesture] = {}
    focus: tuple[Share, Share] = (0.5, 0.5)
    """The centre of the cut for pictures of another shape, as shares of width and height."""
    voice: AvatarVoice = AvatarVoice()


class StillManifest(_Manifest):
    """`format: 1`: stills, landmarks and two pictures of the inner mouth."""

    format: Literal[1]
    still: FileName
    landmarks: FileName
    blink: list[Overlay] = []
    inner_mouth: InnerMouth
    idle: Idle = Idle()


class ClipManifest(_Manifest):
    """`format: 2`: a clip in playing order (its last frame is followed by its first) and the face in each frame."""

    format: Literal[2]
    clip: FileName
    """H.264 in Matroska: 4:2:0, BT.709 limited, even size, constant rate, keyframes 12 apart, no B pictures."""
    faces: FileName
    """NPZ without pickles: `mesh` float32 (frames, 468, 2), clip pixels, stabilised; `boxes` int32 (frames, 4)
    (left, top, right, bottom; see `face.crop_box`); `masks` uint8 (frames, 64, 64) over these boxes; `rest` int, the
    frame whose mouth is shut best; `source` int32 (frames,), the frame of the given video each was made from."""
    inner_mouth: InnerMouth
    """In pixels of the clip, over the frame `rest`."""


AvatarManifest = Annotated[StillManifest | ClipManifest, Field(discriminator="format")]

_adapter: Final[TypeAdapter[StillManifest | ClipManifest]] = TypeAdapter(AvatarManifest)


def manifest_of(document: object) -> StillManifest | ClipManifest:
    """The manifest in a YAML document. Raises pydantic's ValidationError."""
    return _adapter.validate_python(document)
