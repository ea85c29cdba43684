"""`network.yaml`: what the .onnx files of a network take and give, so that the engine need not guess.

The file lies in a folder with the .onnx files it names. Everything in it is checked when it is read; whether the
.onnx files agree is checked when they are opened (`sessions`).
"""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from broadcaster.config.avatar import FileName
from broadcaster.config.yamlfile import KeyPath, read_yaml
from broadcaster.errors import AssetError

MANIFEST: Final = "network.yaml"

TAGS: Final = ("mel", "encoder")
"""Kinds of sound features: the value of `sound.feature`."""

MEL_BANDS: Final = 80
"""Rows of the sound feature `mel`."""

SIZE_LIMIT: Final = 64 * 1024
"""Bytes; a network.yaml has some forty lines."""

Pixels = Annotated[int, Field(ge=16, le=1024)]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Digest = Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")]
Margin = Annotated[float, Field(ge=-0.5, le=1.0)]
Count = Annotated[int, Field(ge=0, le=100)]

Range = Literal["unit", "signed", "bytes"]
"""How a pixel is written: unit 0..1, signed -1..1, bytes 0..255."""

Layout = Literal["nchw", "nhwc"]
Colour = Literal["bgr", "rgb"]


class _Part(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


class Margins(_Part):
    """Added to a box on each side, as shares of its width and height; negative takes away."""

    left: Margin = 0.0
    top: Margin = 0.0
    right: Margin = 0.0
    bottom: Margin = 0.0


class Crop(_Part):
    """What is cut out of the picture. The network must have been trained on crops of the same kind."""

    rule: Literal["face", "lower", "musetalk"] = "face"
    """face: the whole face mesh, forehead to chin, ear to ear (about Wav2Lip's detector box). lower: a square as wide
    as the face whose upper edge lies at the corners of the eyes (Ultralight, FeatherTalk). musetalk: MuseTalk's."""
    margins: Margins = Margins()
    border: Annotated[int, Field(ge=0, le=64)] = 0
    """The crop is scaled to `size` + 2 `border`; its middle goes in, comes out and is put back into the rest."""
    resize: Literal["linear", "area", "cubic", "lanczos"] = "linear"
    """How the crop is scaled; take what the network was trained with."""


class Hidden(_Part):
    """The part of the input that is painted black in `masked`: the network makes it up. Pixels of the input."""

    left: Annotated[int, Field(ge=0)] = 0
    top: Annotated[int, Field(ge=0)] = 0
    right: Annotated[int, Field(ge=1)]
    bottom: Annotated[int, Field(ge=1)]
    """`right` and `bottom` are the first column and row that are seen again."""


class Picture(_Part):
    """The network's picture input: `parts` stacked along the channels, three channels each."""

    input: Name
    size: Pixels
    layout: Layout = "nchw"
    colour: Colour = "bgr"
    range: Range = "unit"
    parts: Annotated[list[Literal["face", "masked"]], Field(min_length=1, max_length=2)]
    """face: the crop of the base frame as it is. masked: the same with `hidden` painted black."""
    hidden: Hidden
    crop: Crop = Crop()

    @property
    def channels(self) -> int:
        return 3 * len(self.parts)

    @model_validator(mode="after")
    def _hidden_inside(self) -> Picture:
        hidden = self.hidden
        if not (hidden.left < hidden.right <= self.size and hidden.top < hidden.bottom <= self.size):
            raise ValueError(f"`hidden` must be a rectangle within {self.size}x{self.size} pixels")
        if len(set(self.parts)) != len(self.parts):
            raise ValueError("`parts` names a part twice")
        return self


class Output(_Part):
    name: Name
    size: Pixels
    layout: Layout = "nchw"
    colour: Colour = "bgr"
    range: Range = "unit"


class _Sound(_Part):
    input: Name
    """Of the network."""
    shape: Annotated[list[Annotated[int, Field(ge=1, le=65_536)]], Field(min_length=1, max_length=4)]
    """Of one picture's sound, without the batch."""
    offset_ms: Annotated[int, Field(ge=-200, le=200)] = 0
    """Moves what the network hears of a picture: positive is later sound."""

    def holds(self, numbers: int, what: str) -> None:
        if math.prod(self.shape) != numbers:
            wanted = "x".join(map(str, self.shape))
            raise ValueError(f"`shape` {wanted} holds {math.prod(self.shape)} numbers, {what} are {numbers}")


class MelSound(_Sound):
    """Wav2Lip's mel spectrum: 80 bands (55 Hz to 7.6 kHz) of 50 ms every 12.5 ms at 16 kHz, -4..4."""

    feature: Literal["mel"]
    columns: Annotated[int, Field(ge=1, le=64)] = 16
    """Spectra of one picture, from the picture's start on: 16 are 200 ms."""

    @model_validator(mode="after")
    def _fits(self) -> MelSound:
        self.holds(MEL_BANDS * self.columns, f"{MEL_BANDS} bands x {self.columns} columns")
        return self


class EncoderSound(_Sound):
    """Features of a speech encoder of yours (HuBERT, FeatherHuBERT, wav2vec): 16 kHz sound in, `width` numbers every
    1/`rate` s out."""

    feature: Literal["encoder"]
    model: FileName
    sha256: Digest = ""
    waveform: Name
    """The encoder's input, float [1, samples]."""
    features: Name
    """Its output, [1, n, width]."""
    width: Annotated[int, Field(ge=1, le=8192)]
    rate: Literal[25, 50, 100] = 50
    """Features a second."""
    field: Annotated[int, Field(ge=1, le=16_000)] = 400
    """Samples (16 kHz) that one feature sees; n samples give (n - field) / (16000 / rate) + 1 features."""
    before: Count
    after: Count
    """Features of a picture: so many before its start, and so many from its start on."""
    block: Annotated[int, Field(ge=1, le=100)] = 4
    """Features that one run of the encoder is good for: fewer look less far ahead, more cost less."""
    past_ms: Annotated[int, Field(ge=0, le=5000)] = 600
    future_ms: Annotated[int, Field(ge=0, le=1000)] = 80
    """Sound around the block that the encoder hears as well."""
    normalise: Literal["none", "window", "speech"] = "none"
    """window: what the encoder hears is brought to mean 0 and variance 1. speech: divided by 0.1, about the level of
    speech on the channel, so that it is the same for every window."""

    @model_validator(mode="after")
    def _fits(self) -> EncoderSound:
        if self.before + self.after == 0:
            raise ValueError("`before` and `after` are both 0")
        if self.field < self.hop:
            raise ValueError(f"`field` is less than the {self.hop} samples from one feature to the next")
        self.holds((self.before + self.after) * self.width, f"{self.before + self.after} features of {self.width}")
        return self

    @property
    def hop(self) -> int:
        """Samples (16 kHz) from one feature to the next."""
        return 16_000 // self.rate


Sound = Annotated[MelSound | EncoderSound, Field(discriminator="feature")]


class Blend(_Part):
    """How the generated face is laid over the picture."""

    mask: Literal["face", "hidden"] = "face"
    """face: the lower face only, from the base of the nose to the chin, softly (and `mouth.mask` of the avatar).
    hidden: all that the network made up, with soft edges, as these networks' own scripts do it."""
    feather: Annotated[float, Field(ge=0.0, le=0.3)] = 0.06
    """Width of the edges of `hidden`, as a share of the crop."""


class Network(_Part):
    name: Annotated[str, Field(min_length=1, max_length=80)]
    licence: Annotated[str, Field(max_length=500)]
    """Whose work the weights are and what they may be used for; shown when the network is loaded."""
    model: FileName
    sha256: Digest = ""
    """Of `model`; empty: not checked."""
    provider: Literal["cpu", "cuda"] = "cpu"
    """cuda needs the package onnxruntime-gpu in the place of onnxruntime."""
    batch: Annotated[int, Field(ge=1, le=16)] = 1
    """Pictures in one run. A file with a fixed batch asks for just that."""
    picture: Picture
    sound: Sound
    output: Output
    blend: Blend = Blend()

    @model_validator(mode="after")
    def _inputs_differ(self) -> Network:
        if self.picture.input == self.sound.input:
            raise ValueError(f"`picture` and `sound` both go into the input {self.picture.input!r}")
        if self.picture.crop.border and self.output.size != self.picture.size:
            raise ValueError("with a `border` the output must be of the input's size")
        return self


def read_network(folder: Path) -> Network:
    """`network.yaml` of a folder, checked, with the files it names. Raises AssetError: file, line, fault, remedy."""
    path = folder / MANIFEST
    remedy = f"head.onnx.network must name a folder with a {MANIFEST} that can be read (see docs/face.md)"
    try:
        with path.open("rb") as file:
            data = file.read(SIZE_LIMIT + 1)
        text = data.decode("utf-8-sig")
    except FileNotFoundError:
        raise AssetError(f"{path}: missing; {remedy}") from None
    except OSError as err:
        raise AssetError(f"{path}: cannot be read: {err.strerror}; {remedy}") from err
    except UnicodeDecodeError:
        raise AssetError(f"{path}: not UTF-8 text; save it as plain UTF-8") from None
    if len(data) > SIZE_LIMIT:
        raise AssetError(f"{path}: more than {SIZE_LIMIT >> 10} KiB, so not a {MANIFEST}; {remedy}")
    document = read_yaml(text)
    faults = [f"line {max(1, problem.line)}: {problem.text}" for problem in document.problems]
    network = None
    if not faults:
        try:
            network = Network.model_validate(document.data if document.data is not None else {})
        except ValidationError as err:
            faults = [
                f"line {document.line(where)}: {'.'.join(map(str, where)) or 'file'}: {fault['msg']}"
                for fault in err.errors()
                for where in [_in_file(fault["loc"])]
            ]
    if network is None:
        raise AssetError(f"{path}: " + "; ".join(faults))
    check_file(folder / network.model, network.sha256)
    if isinstance(network.sound, EncoderSound):
        check_file(folder / network.sound.model, network.sound.sha256)
    return network


def check_file(path: Path, sha256: str) -> None:
    """That an .onnx file is there and is the one meant. Raises AssetError."""
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest() if sha256 else ""
    except FileNotFoundError:
        raise AssetError(f"{path}: missing; put it beside {MANIFEST}, or correct the name there") from None
    except OSError as err:
        raise AssetError(f"{path}: cannot be read: {err.strerror}; put the file there") from err
    if found != sha256:
        raise AssetError(f"{path}: sha256 {found[:12]}... instead of {sha256[:12]}...; fetch the file again")


def _in_file(location: tuple[int | str, ...]) -> KeyPath:
    """pydantic's location without the tag of the union (`sound.mel.shape`), which stands in no file."""
    tagged = location[:1] == ("sound",) and location[1:2] in {(tag,) for tag in TAGS}
    return location[:1] + location[2:] if tagged else location
