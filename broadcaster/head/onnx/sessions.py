"""The .onnx files, opened and held to `network.yaml`: every disagreement is an AssetError before anything is on air.

onnxruntime runs in the caller's thread and `threads` - 1 of its own, which do not spin: a spinning thread would take
its core from the encoder while it waits.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from broadcaster.errors import AssetError, HeadError
from broadcaster.head.onnx.network import MANIFEST, EncoderSound, Network

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Image = NDArray[np.uint8]

PROVIDERS: Final = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}

TYPES: Final = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(double)": "float64"}
"""What an input or output may hold, as onnxruntime calls it; uint8 as well where `range` is bytes."""

SCALES: Final = {"unit": (255.0, 0.0), "signed": (127.5, 127.5), "bytes": (1.0, 0.0)}
"""From a network's range to 0..255: factor and what is added then."""


class FaceNetwork:
    """Pictures and sound in, faces out. One thread."""

    def __init__(self, folder: Path, network: Network, threads: int) -> None:
        """Opens, checks and runs it once with the real shapes. Raises AssetError."""
        path, picture, output = folder / network.model, network.picture, network.output
        self._path, self._network = path, network
        self._session = _open(path, network.provider, threads)
        wanted = {
            picture.input: ("picture", _shape(network.batch, picture.channels, picture.size, picture.layout)),
            network.sound.input: ("sound", [network.batch, *network.sound.shape]),
        }
        inputs = {each.name: each for each in self._session.get_inputs()}
        _names(path, "input", wanted, inputs)
        for name, (section, shape) in wanted.items():
            _fits(path, section, inputs[name], shape, network.batch)
        outputs = {each.name: each for each in self._session.get_outputs()}
        if output.name not in outputs:
            raise AssetError(f"{path}: has no output {output.name!r} but {_listed(outputs)}; correct `output.name`")
        self._made = _shape(network.batch, 3, output.size, output.layout)
        _fits(path, "output", outputs[output.name], self._made, network.batch)
        self._picture_type = _type(path, inputs[picture.input], picture.range == "bytes")
        self._sound_type = _type(path, inputs[network.sound.input])
        _type(path, outputs[output.name], output.range == "bytes")
        self._warm_up()

    def faces(self, pictures: Floats, sounds: Floats) -> Image:
        """uint8 (n, size, size, 3), RGB. `pictures`: float32 (n, channels, size, size) in the range of the network,
        `sounds`: float32 (n, *shape); n is at most the batch, what is missing is padded. Raises HeadError."""
        network, count = self._network, len(pictures)
        if network.picture.layout == "nhwc":
            pictures = pictures.transpose(0, 2, 3, 1)
        made = self._run(_padded(pictures, network.batch), _padded(sounds, network.batch))[:count]
        if network.output.layout == "nchw":
            made = made.transpose(0, 2, 3, 1)
        if network.output.colour == "bgr":
            made = made[..., ::-1]
        if made.dtype == np.uint8:
            return np.ascontiguousarray(made, dtype=np.uint8)
        scale, shift = SCALES[network.output.range]
        scaled = np.multiply(made, scale, dtype=np.float32) + np.float32(shift)
        if not np.isfinite(scaled).all():
            raise HeadError(f"{self._path}: the network gave numbers that are none; export it again", retryable=False)
        pixels: Image = np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
        return pixels

    def _run(self, pictures: NDArray[Any], sounds: NDArray[Any]) -> NDArray[Any]:
        network = self._network
        if self._picture_type == "uint8":
            pictures = np.rint(pictures)
        feeds = {
            network.picture.input: np.ascontiguousarray(pictures, dtype=self._picture_type),
            network.sound.input: np.ascontiguousarray(sounds, dtype=self._sound_type),
        }
        try:
            made: NDArray[Any] = self._session.run([network.output.name], feeds)[0]
        except Exception as err:  # onnxruntime's exceptions share no public base
            raise HeadError(f"{self._path}: the network failed: {_first_line(err)}", retryable=False) from err
        if list(made.shape) != self._made:
            raise HeadError(
                f"{self._path}: the output {network.output.name!r} is {_by(made.shape)}, "
                f"{MANIFEST} says {_by(self._made)}; correct `output`",
                retryable=False,
            )
        return made

    def _warm_up(self) -> None:
        network, n = self._network, self._network.batch
        size = network.picture.size
        try:
            self.faces(
                np.zeros((n, network.picture.channels, size, size), np.float32),
                np.zeros((n, *network.sound.shape), np.float32),
            )
        except HeadError as err:
            raise AssetError(str(err)) from err


class Encoder:
    """Sound in, features out: always the same number of samples. One thread."""

    def __init__(
        self, folder: Path, sound: EncoderSound, provider: str, threads: int, samples: int, count: int
    ) -> None:
        """`samples` (16 kHz) must give `count` features. Opens, checks and runs it once. Raises AssetError."""
        self._path, self._sound = folder / sound.model, sound
        self._made = [1, count, sound.width]
        self._session = _open(self._path, provider, threads)
        inputs = {each.name: each for each in self._session.get_inputs()}
        outputs = {each.name: each for each in self._session.get_outputs()}
        _names(self._path, "input", {sound.waveform: ("sound.waveform", [])}, inputs)
        given = inputs[sound.waveform]
        self._shape = [1, samples] if len(given.shape) == 2 else [1, 1, samples]
        _fits(self._path, "sound", given, self._shape, 1)
        if sound.features not in outputs:
            raise AssetError(
                f"{self._path}: has no output {sound.features!r} but {_listed(outputs)}; correct `sound.features`"
            )
        declared = list(outputs[sound.features].shape)
        # An export that was told of no dynamic axes declares the number of features of the sound it was traced with.
        counts = [each if isinstance(each, int) else count for each in declared[1:2]]
        _fits(self._path, "sound", outputs[sound.features], [1, *counts, sound.width], 1)
        self._type = _type(self._path, given)
        _type(self._path, outputs[sound.features])
        try:
            self.features(np.zeros(samples, np.float32))
        except HeadError as err:
            raise AssetError(str(err)) from err

    def features(self, waveform: Floats) -> Floats:
        """float32 (count, width) of float32 (samples,). Raises HeadError."""
        fed = waveform.astype(self._type).reshape(self._shape)
        try:
            made: NDArray[Any] = self._session.run([self._sound.features], {self._sound.waveform: fed})[0]
        except Exception as err:  # onnxruntime's exceptions share no public base
            raise HeadError(f"{self._path}: the encoder failed: {_first_line(err)}", retryable=False) from err
        if list(made.shape) != self._made:
            raise HeadError(
                f"{self._path}: {waveform.size} samples give {_by(made.shape)} features, {MANIFEST} says "
                f"{_by(self._made)}; correct `sound.field`, `sound.rate` or `sound.width`",
                retryable=False,
            )
        return np.asarray(made[0], dtype=np.float32)


def _open(path: Path, provider: str, threads: int) -> Any:
    import onnxruntime

    wanted = PROVIDERS[provider]
    if wanted not in onnxruntime.get_available_providers():
        raise AssetError(
            f"{path}: the installed onnxruntime has no `provider: {provider}`; install onnxruntime-gpu in its place, "
            f"or say `provider: cpu` in {MANIFEST}"
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=[wanted])
    except Exception as err:  # onnxruntime's exceptions share no public base
        raise AssetError(
            f"{path}: onnxruntime cannot open it as a network ({_first_line(err)}); export or fetch it again"
        ) from err
    if wanted not in session.get_providers():
        raise AssetError(
            f"{path}: onnxruntime cannot use `provider: {provider}` here; check the driver (nvidia-smi) and that "
            f"CUDA and cuDNN are those that onnxruntime-gpu asks for, or say `provider: cpu` in {MANIFEST}"
        )
    return session


def _shape(batch: int, channels: int, size: int, layout: str) -> list[int]:
    return [batch, channels, size, size] if layout == "nchw" else [batch, size, size, channels]


def _padded(array: NDArray[Any], batch: int) -> NDArray[Any]:
    """The last row again until the batch is full: a network with one batch size takes no other, and a picture must
    not depend on how many were made with it."""
    missing = batch - len(array)
    return np.concatenate([array, np.repeat(array[-1:], missing, axis=0)]) if missing else array


def _names(path: Path, kind: str, wanted: dict[str, tuple[str, list[int]]], found: dict[str, Any]) -> None:
    for name, (section, _) in wanted.items():
        if name not in found:
            raise AssetError(
                f"{path}: has no {kind} {name!r} but {_listed(found)}; correct `{section}` in {MANIFEST}"
            )
    more = [name for name in found if name not in wanted]
    if more:
        raise AssetError(
            f"{path}: also wants {', '.join(map(repr, more))}, which {MANIFEST} cannot give; export it without"
        )


def _fits(path: Path, section: str, given: Any, wanted: list[int], batch: int) -> None:
    """A dimension without a number may be anything."""
    found = list(given.shape)
    differ = [at for at, (a, b) in enumerate(zip(found, wanted, strict=False)) if isinstance(a, int) and a != b]
    if len(found) == len(wanted) and not differ:
        return
    if len(found) == len(wanted) and differ == [0]:
        raise AssetError(f"{path}: takes {found[0]} pictures in one run, not {batch}; say `batch: {found[0]}`")
    raise AssetError(
        f"{path}: {given.name!r} is {_by(found)}, {MANIFEST} makes {_by(wanted)} of it; correct `{section}` there"
    )


def _type(path: Path, given: Any, bytes_too: bool = False) -> str:
    if bytes_too and given.type == "tensor(uint8)":
        return "uint8"
    try:
        return TYPES[given.type]
    except KeyError:
        raise AssetError(
            f"{path}: {given.name!r} holds {given.type}; export it with floating point (or uint8 and `range: bytes`)"
        ) from None


def _listed(found: dict[str, Any]) -> str:
    return ", ".join(repr(name) for name in found) or "none"


def _by(shape: Any) -> str:
    return "x".join(str(each) if isinstance(each, int) else "?" for each in shape)


def _first_line(err: Exception) -> str:
    return (str(err).splitlines() or [type(err).__name__])[0][:300]
