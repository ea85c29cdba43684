"""The .onnx files against network.yaml: what disagrees is said before anything is on air."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from broadcaster.errors import AssetError, HeadError
from broadcaster.head.onnx.network import EncoderSound, read_network
from broadcaster.head.onnx.sessions import Encoder, FaceNetwork
from tests.support.onnx_files import Dim, Graph
from tests.support.onnx_heads import FEATHERTALK, KEPT, WAV2LIP, feathertalk, wav2lip, write

pytestmark = pytest.mark.unit

PICTURE: dict[str, Any] = WAV2LIP["picture"]
OUTPUT: dict[str, Any] = WAV2LIP["output"]


def opened(folder: Path) -> FaceNetwork:
    return FaceNetwork(folder, read_network(folder), 1)


def inputs(count: int, seed: int = 1) -> tuple[Any, Any]:
    random = np.random.default_rng(seed)
    return (
        random.random((count, 6, 96, 96)).astype(np.float32),
        random.uniform(-4, 4, (count, 1, 80, 16)).astype(np.float32),
    )


def test_a_face_comes_out_in_rgb(tmp_path: Path) -> None:
    net = opened(wav2lip(tmp_path))
    pictures, sounds = inputs(1)
    face = net.faces(pictures, sounds)
    assert (face.shape, face.dtype) == ((1, 96, 96, 3), np.uint8)
    bgr = pictures[0, 3:].transpose(1, 2, 0) * KEPT + 0.05 * sounds.mean()
    assert np.abs(face[0, :, :, ::-1] - 255 * np.clip(bgr, 0, 1)).max() <= 0.51


@pytest.mark.parametrize("batch", [4, "n"])
def test_a_face_does_not_depend_on_its_batch(tmp_path: Path, batch: Dim) -> None:
    net = opened(write(tmp_path, {**WAV2LIP, "batch": 4}, batch))
    pictures, sounds = inputs(4)
    four = net.faces(pictures, sounds)
    assert len(four) == 4
    for count in (1, 3):
        assert np.array_equal(net.faces(pictures[:count], sounds[:count]), four[:count])


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize(
    ("range_", "dtype", "scale", "shift"),
    [("unit", "float32", 1, 0), ("signed", "float32", 2, -1), ("bytes", "uint8", 255, 0), ("unit", "float16", 1, 0)],
)
def test_ranges_types_and_layouts(
    tmp_path: Path, layout: str, range_: str, dtype: str, scale: float, shift: float
) -> None:
    """A network that gives back what it is shown."""
    manifest = {
        **WAV2LIP,
        "picture": {**PICTURE, "parts": ["face"], "layout": layout, "range": range_},
        "output": {**OUTPUT, "layout": layout, "range": range_},
    }
    folder = write(tmp_path, manifest)
    graph = Graph()
    shape: list[Dim] = ["n", 3, 96, 96] if layout == "nchw" else ["n", 96, 96, 3]
    graph.output(graph.input("video", shape, dtype), "output", shape, dtype)
    graph.input("audio", ["n", 1, 80, 16])
    graph.save(folder / "face.onnx")
    unit = np.random.default_rng(2).random((1, 3, 96, 96)).astype(np.float32)
    face = opened(folder).faces(unit * np.float32(scale) + np.float32(shift), np.zeros((1, 1, 80, 16), np.float32))
    wanted = 255 * unit[0].transpose(1, 2, 0)[..., ::-1]
    assert np.abs(face[0] - wanted).max() <= (0.6 if dtype != "float16" else 1.0)


FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "input's name": (
        {"picture": {**PICTURE, "input": "frames"}},
        r"no input 'frames' but 'video', 'audio'; correct `pic",
    ),
    "size": (
        {"picture": {**PICTURE, "size": 128, "hidden": {"right": 128, "bottom": 128}}},
        r"'video' is \?x6x96x96, network\.yaml makes 1x6x128x128 of it; correct `picture`",
    ),
    "parts": ({"picture": {**PICTURE, "parts": ["face"]}}, r"'video' is \?x6x96x96, .* makes 1x3x96x96"),
    "layout": ({"picture": {**PICTURE, "layout": "nhwc"}}, r"makes 1x96x96x6 of it"),
    "sound": (
        {"sound": {**WAV2LIP["sound"], "shape": [80, 16]}},
        r"'audio' is \?x1x80x16, .* 1x80x16 .*correct `sound`",
    ),
    "output's name": ({"output": {**OUTPUT, "name": "y"}}, r"no output 'y' but 'output'; correct `output\.name`"),
    "output's size": ({"output": {**OUTPUT, "size": 192}}, r"'output' is \?x3x96x96, .* makes 1x3x192x192"),
    "provider": ({"provider": "cuda"}, r"no `provider: cuda`; install onnxruntime-gpu"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_what_disagrees_is_said(tmp_path: Path, name: str) -> None:
    more, said = FAULTS[name]
    folder = wav2lip(tmp_path)
    (tmp_path / "as.onnx").write_bytes((folder / "face.onnx").read_bytes())
    write(tmp_path, {**WAV2LIP, **more})
    (folder / "face.onnx").write_bytes((tmp_path / "as.onnx").read_bytes())
    with pytest.raises(AssetError, match=said) as raised:
        opened(folder)
    assert "face.onnx" in str(raised.value)


def test_batches_inputs_and_types_that_do_not_fit(tmp_path: Path) -> None:
    with pytest.raises(AssetError, match=r"takes 4 pictures in one run, not 1; say `batch: 4`"):
        opened(wav2lip(tmp_path, batch=4))
    folder = wav2lip(tmp_path)
    for change, said in (
        (partial(Graph.input, name="style", shape=[1, 8]), r"also wants 'style', which network\.yaml cannot give"),
        (None, r"'video' holds tensor\(int64\); export it with floating point"),
    ):
        graph = Graph()
        shape: list[Dim] = ["n", "c", "h", "w"]
        shown = graph.input("video", shape, "float32" if change else "int64")
        graph.input("audio", ["n", 1, 80, 16])
        if change:
            change(graph)
        graph.output(shown, "output", ["n", "c", "h", "w"], "float32" if change else "int64")
        graph.save(folder / "face.onnx")
        with pytest.raises(AssetError, match=said):
            opened(folder)


@pytest.mark.parametrize("data", [b"", b"<html>not found</html>", b"version https://git-lfs.github.com/spec/v1\n"])
def test_files_that_are_no_networks(tmp_path: Path, data: bytes) -> None:
    folder = wav2lip(tmp_path)
    path = folder / "face.onnx"
    for wrong in (data, path.read_bytes()[:400]):
        path.write_bytes(wrong)
        with pytest.raises(AssetError, match=r"face\.onnx: onnxruntime cannot open it as a network"):
            opened(folder)


def test_a_network_whose_output_is_not_what_it_says_or_no_number(tmp_path: Path) -> None:
    folder = wav2lip(tmp_path)
    shown: list[Dim] = ["n", "c", "h", "w"]
    graph = Graph()
    graph.input("audio", ["n", 1, 80, 16])
    graph.output(graph.input("video", shown), "output", ["n", "c", "h", "w"])
    graph.save(folder / "face.onnx")
    with pytest.raises(AssetError, match=r"the output 'output' is 1x6x96x96, network\.yaml says 1x3x96x96"):
        opened(folder)
    graph = Graph()
    heard = graph.input("audio", ["n", 1, 80, 16])
    kernel = graph.weight(np.full((3, 6, 1, 1), 1 / 6, np.float32))
    face = graph.node("Conv", graph.input("video", shown), kernel, kernel_shape=[1, 1])
    root = graph.node("ReduceMean", graph.node("Sqrt", heard), axes=[1, 2, 3], keepdims=1)
    graph.output(graph.node("Add", face, root), "output", ["n", 3, 96, 96])
    graph.save(folder / "face.onnx")
    net = opened(folder)
    with pytest.raises(HeadError, match="gave numbers that are none; export it again") as raised:
        net.faces(np.zeros((1, 6, 96, 96), np.float32), np.full((1, 1, 80, 16), -1, np.float32))
    assert not raised.value.retryable


def encoder(folder: Path, samples: int, count: int) -> Encoder:
    sound = read_network(folder).sound
    assert isinstance(sound, EncoderSound)
    return Encoder(folder, sound, "cpu", 1, samples, count)


def test_the_encoder_gives_as_many_features_as_it_should(tmp_path: Path) -> None:
    folder = feathertalk(tmp_path)
    waveform = np.random.default_rng(3).normal(0, 0.1, 400 + 320 * 4).astype(np.float32)
    features = encoder(folder, waveform.size, 5).features(waveform)
    assert (features.shape, features.dtype) == ((5, 32), np.float32)
    with pytest.raises(
        AssetError, match=r"hubert\.onnx: 1680 samples give 1x5x32 features, .*1x4x32; correct `sound"
    ):
        encoder(folder, 1680, 4)
    for wrong, said in (
        ({"width": 16, "shape": [8, 16]}, r"'hidden' is 1x\?x32, network\.yaml makes 1x5x16 of it; correct `sound`"),
        ({"waveform": "wav"}, r"no input 'wav' but 'waveform'; correct `sound\.waveform`"),
        ({"features": "last"}, r"no output 'last' but 'hidden'; correct `sound\.features`"),
    ):
        data = (folder / "hubert.onnx").read_bytes()
        write(tmp_path, {**FEATHERTALK, "sound": {**FEATHERTALK["sound"], **wrong}}, 1)
        (folder / "hubert.onnx").write_bytes(data)
        with pytest.raises(AssetError, match=said):
            encoder(folder, 1680, 5)
        feathertalk(tmp_path)


def test_a_gpu_that_is_not_there_is_no_cpu_in_silence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """onnxruntime knows the provider, cannot start it, warns and takes the CPU."""
    folder = wav2lip(tmp_path, provider="cuda")
    with pytest.raises(AssetError, match=r"has no `provider: cuda`; install onnxruntime-gpu in its place"):
        opened(folder)
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CUDAExecutionProvider"])
    with (
        pytest.warns(UserWarning, match="CUDAExecutionProvider"),
        pytest.raises(AssetError, match=r"cannot use `provider: cuda` here; .* or say `provider: cpu`"),
    ):
        opened(folder)
