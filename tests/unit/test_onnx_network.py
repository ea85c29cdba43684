"""`network.yaml`: what it takes, and that every fault names file, line and remedy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from broadcaster.errors import AssetError
from broadcaster.head.onnx.network import EncoderSound, MelSound, read_network
from tests.support.onnx_heads import FEATHERTALK, WAV2LIP, feathertalk, wav2lip, write

pytestmark = pytest.mark.unit


def test_both_kinds_are_read(tmp_path: Path) -> None:
    mel = read_network(wav2lip(tmp_path / "a"))
    assert isinstance(mel.sound, MelSound)
    assert (mel.picture.channels, mel.batch, mel.blend.mask) == (6, 1, "face")
    features = read_network(feathertalk(tmp_path / "b"))
    assert isinstance(features.sound, EncoderSound)
    assert features.sound.hop == 320


def changed(manifest: dict[str, Any], at: str, value: Any) -> dict[str, Any]:
    """A copy with one key (dotted) set to `value`."""
    head, _, rest = at.partition(".")
    return {**manifest, head: changed(manifest[head], rest, value) if rest else value}


@pytest.mark.parametrize(
    ("manifest", "at", "value", "said"),
    [
        (
            WAV2LIP,
            "sound.shape",
            [1, 80, 15],
            r"line \d+: sound: .*holds 1200 numbers, 80 bands x 16 columns are 1280",
        ),
        (WAV2LIP, "sound.columns", "16", r"line \d+: sound\.columns: .*valid integer"),
        (WAV2LIP, "picture.layout", "chw", r"line \d+: picture\.layout: .*'nchw' or 'nhwc'"),
        (WAV2LIP, "picture.hidden", {"right": 97, "bottom": 96}, r"rectangle within 96x96"),
        (WAV2LIP, "picture.parts", ["face", "face"], r"names a part twice"),
        (WAV2LIP, "sound.input", "video", r"both go into the input 'video'"),
        (WAV2LIP, "model", "../face.onnx", r"line \d+: model: "),
        (WAV2LIP, "sha256", "0" * 64, r"face\.onnx: sha256 .* instead of 000000000000"),
        (WAV2LIP, "threads", 4, r"threads: Extra inputs"),
        (FEATHERTALK, "sound.shape", [16, 32, 32], r"holds 16384 numbers, 8 features of 32 are 256"),
        (FEATHERTALK, "sound.before", 0, r"holds 256 numbers, 4 features"),
        (FEATHERTALK, "sound.field", 300, r"less than the 320 samples"),
        (FEATHERTALK, "output.size", 320, r"with a `border` the output must be of the input's size"),
        (FEATHERTALK, "sound.feature", "wenet", r"'mel', 'encoder'"),
    ],
)
def test_faults_name_line_and_key(tmp_path: Path, manifest: dict[str, Any], at: str, value: Any, said: str) -> None:
    write(tmp_path, manifest)
    (tmp_path / "network.yaml").write_text(yaml.safe_dump(changed(manifest, at, value), sort_keys=False))
    with pytest.raises(AssetError, match=said):
        read_network(tmp_path)


def test_missing_and_foreign_files(tmp_path: Path) -> None:
    with pytest.raises(AssetError, match=r"network\.yaml: missing; head\.onnx\.network must name a folder"):
        read_network(tmp_path)
    path = wav2lip(tmp_path) / "network.yaml"
    text = path.read_text()
    (tmp_path / "face.onnx").rename(tmp_path / "other.onnx")
    with pytest.raises(AssetError, match=r"face\.onnx: missing; put it beside network\.yaml"):
        read_network(tmp_path)
    for wrong, said in (
        (text.replace("name:", "name: [", 1), r"line 2: not valid YAML"),
        ("name: x\nname: y\n", r"line 2: the key stands here a second time"),
        ("", r"name: Field required"),
        ("just words", r"line 1: file: "),
        ("# " + "x" * 70_000, r"more than 64 KiB, .* must name a folder"),
    ):
        path.write_text(wrong)
        with pytest.raises(AssetError, match=said):
            read_network(tmp_path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(AssetError, match="not UTF-8"):
        read_network(tmp_path)
    with pytest.raises(AssetError, match=r"cannot be read: Not a directory; head\.onnx\.network must name a folder"):
        read_network(path)
    path.write_text(text)
    (tmp_path / "face.onnx").mkdir()
    with pytest.raises(AssetError, match=r"face\.onnx: cannot be read: Is a directory; put the file there"):
        read_network(tmp_path)


def test_the_encoder_is_looked_for_too_and_its_features_may_lie_side_by_side(tmp_path: Path) -> None:
    sound = {**FEATHERTALK["sound"], "field": 320, "sha256": "0" * 64}
    folder = feathertalk(tmp_path, sound=sound)
    with pytest.raises(AssetError, match=r"hubert\.onnx: sha256 [0-9a-f]{12}\.\.\. instead of 000000000000"):
        read_network(folder)
    (folder / "hubert.onnx").unlink()
    with pytest.raises(AssetError, match=r"hubert\.onnx: missing; put it beside network\.yaml"):
        read_network(folder)
