"""Networks for the engine onnx: of the published ones' inputs and outputs, but so small that a test is quick.

The face that comes out is the face that went in, darker, and brighter again with what is heard: so a test sees
whether picture and sound arrived.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import yaml

from broadcaster.head.onnx.engine import OnnxHead
from tests.support.onnx_files import Dim, Graph

KEPT = 0.5
"""How much of the face's brightness comes out in silence."""

WAV2LIP: dict[str, Any] = {
    "name": "tiny-wav2lip",
    "licence": "CC0",
    "model": "face.onnx",
    "picture": {
        "input": "video",
        "size": 96,
        "parts": ["masked", "face"],
        "hidden": {"top": 48, "right": 96, "bottom": 96},
        "crop": {"rule": "face"},
    },
    "sound": {"feature": "mel", "input": "audio", "shape": [1, 80, 16]},
    "output": {"name": "output", "size": 96},
}

FEATHERTALK: dict[str, Any] = {
    "name": "tiny-feathertalk",
    "licence": "CC0",
    "model": "face.onnx",
    "picture": {
        "input": "input",
        "size": 160,
        "parts": ["face", "masked"],
        "hidden": {"left": 5, "top": 5, "right": 155, "bottom": 150},
        "crop": {"rule": "lower", "border": 4, "resize": "area"},
    },
    "sound": {
        "feature": "encoder",
        "input": "audio",
        "shape": [4, 8, 8],
        "model": "hubert.onnx",
        "waveform": "waveform",
        "features": "hidden",
        "width": 32,
        "before": 4,
        "after": 4,
        "past_ms": 100,
    },
    "output": {"name": "output", "size": 160},
}


def write(folder: Path, manifest: dict[str, Any], batch: Dim = "batch") -> Path:
    """network.yaml and its .onnx files. `batch`: a number, or a name for "any"."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "network.yaml").write_text(yaml.safe_dump(manifest, sort_keys=False), encoding="utf-8")
    _face(manifest, batch).save(folder / manifest["model"])
    sound = manifest["sound"]
    if sound["feature"] == "encoder":
        _encoder(sound).save(folder / sound["model"])
    return folder


def wav2lip(folder: Path, batch: Dim = "batch", **changed: Any) -> Path:
    return write(folder, {**WAV2LIP, **changed}, batch)


def feathertalk(folder: Path, **changed: Any) -> Path:
    return write(folder, {**FEATHERTALK, **changed}, 1)


def onnx_head(folder: Path) -> OnnxHead:
    """Of a Wav2Lip-style network that is written into the folder."""
    return OnnxHead(wav2lip(folder / "wav2lip"))


def _face(manifest: dict[str, Any], batch: Dim) -> Graph:
    picture, sound, output = manifest["picture"], manifest["sound"], manifest["output"]
    size, channels = picture["size"], 3 * len(picture["parts"])
    graph = Graph()
    shown = graph.input(picture["input"], [batch, channels, size, size])
    heard = graph.input(sound["input"], [batch, *sound["shape"]])
    weights = np.zeros((3, channels, 1, 1), np.float32)
    for channel in range(3):
        weights[channel, 3 * picture["parts"].index("face") + channel] = KEPT
    face = graph.node("Conv", shown, graph.weight(weights), kernel_shape=[1, 1])
    level = graph.node("ReduceMean", heard, axes=list(range(1, 1 + len(sound["shape"]))), keepdims=1)
    shape = graph.weight(np.array([-1, 1, 1, 1], np.int64))
    level = graph.node("Reshape", level, shape)
    level = graph.node("Mul", level, graph.weight(np.array(0.05, np.float32)))
    lighter = graph.node("Add", face, level)
    made = graph.node(
        "Clip", lighter, graph.weight(np.array(0.0, np.float32)), graph.weight(np.array(1.0, np.float32))
    )
    graph.output(made, output["name"], [batch, 3, size, size])
    return graph


def _encoder(sound: dict[str, Any]) -> Graph:
    """One convolution with HuBERT's window and step: n samples give (n - 400) / 320 + 1 features."""
    graph = Graph()
    width = sound["width"]
    waveform = graph.input(sound["waveform"], [1, "samples"])
    line = graph.node("Unsqueeze", waveform, graph.weight(np.array([1], np.int64)))
    kernels = np.random.default_rng(5).normal(0, 0.1, (width, 1, 400)).astype(np.float32)
    heard = graph.node("Conv", line, graph.weight(kernels), kernel_shape=[400], strides=[320])
    graph.output(
        graph.node("Transpose", graph.node("Abs", heard), perm=[0, 2, 1]), sound["features"], [1, "n", width]
    )
    return graph
