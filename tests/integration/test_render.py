"""`render` end to end with the instant test voice and the real head: repeatable, complete, clear about failure."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from broadcaster.config import LoadedConfig, load_config
from broadcaster.errors import ConfigError, RenderError
from broadcaster.render import render

pytestmark = pytest.mark.integration

CONFIG = """
channel: render-test
avatar: host
state_dir: {state}
video: {{width: 640, height: 360, fps: 25, bitrate_kbps: 800}}
voice: {{engine: tone}}
sinks: []
"""
SCRIPT = "大家好，欢迎来到直播间。\npause: 1\nask: 你是谁？\n"


@pytest.fixture(scope="module")
def loaded() -> Iterator[LoadedConfig]:
    with tempfile.TemporaryDirectory(prefix="rd-") as state:  # short: a UNIX socket path holds 108 bytes
        yield load_config(Path("config.yaml").absolute(), CONFIG.format(state=state))


def _script(folder: Path, text: str = SCRIPT, name: str = "script.txt") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def _decoded(path: Path) -> tuple[list[str], bytes, str]:
    """Digest of every picture, all sound, and the AIGC object."""
    with av.open(str(path)) as container:
        pictures = [hashlib.sha256(f.to_ndarray().tobytes()).hexdigest() for f in container.decode(video=0)]
        container.seek(0)
        sound = b"".join(f.to_ndarray().tobytes() for f in container.decode(audio=0))
        metadata = {key.lower(): value for key, value in container.metadata.items()}
        return pictures, sound, metadata["aigc"]


def test_the_same_input_gives_the_same_pictures_and_sound(loaded: LoadedConfig, tmp_path: Path) -> None:
    script = _script(tmp_path)
    sentences: list[str] = []
    reports = [
        render(loaded, script, tmp_path / f"{n}.mp4", lambda s, text: sentences.append(text) if text else None)
        for n in range(2)
    ]
    first, second = (_decoded(tmp_path / f"{n}.mp4") for n in range(2))
    assert first == second
    assert len(first[0]) == round(reports[0].seconds * 25)
    assert sentences[0] == "大家好，欢迎来到直播间。"
    assert sentences[: len(sentences) // 2] == sentences[len(sentences) // 2 :]
    assert len(set(first[0])) > 100
    label = json.loads(first[2])
    assert (label["Label"], label["ContentProducer"]) == ("1", "render-test")
    assert label["ProduceID"].startswith("render-test-")


def test_silence_is_as_long_as_the_script_says(loaded: LoadedConfig, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    render(loaded, _script(tmp_path, "你好。\npause: 2\n你好。\n"), out)
    with av.open(str(out)) as container:
        sound = np.concatenate([f.to_ndarray()[0] for f in container.decode(audio=0)])
    loud = np.abs(sound) > 0.01
    edges = np.flatnonzero(np.diff(np.concatenate([[False], loud, [False]]).astype(np.int8)))
    gaps = np.diff(edges)[1::2] / 48_000
    assert 2.5 < gaps.max() < 3.3


@pytest.mark.parametrize(("suffix", "container"), [(".flv", "flv"), (".mkv", "matroska,webm")])
def test_other_containers(loaded: LoadedConfig, tmp_path: Path, suffix: str, container: str) -> None:
    out = tmp_path / f"out{suffix}"
    render(loaded, _script(tmp_path, "你好。"), out)
    with av.open(str(out)) as opened:
        assert opened.format.name == container
        pictures = sum(1 for _ in opened.decode(video=0))
    assert pictures > 25


def test_a_bad_script_names_the_line_and_writes_nothing(loaded: LoadedConfig, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="line 2"):
        render(loaded, _script(tmp_path, "你好。\npause: soon\n"), tmp_path / "out.mp4")
    assert [p.name for p in tmp_path.iterdir()] == ["script.txt"]


def test_an_unknown_suffix_is_refused(loaded: LoadedConfig, tmp_path: Path) -> None:
    with pytest.raises(RenderError, match=r"must end in one of \.mp4"):
        render(loaded, _script(tmp_path), tmp_path / "out.avi")


def test_a_step_that_cannot_be_spoken_names_its_line_and_leaves_no_file(loaded: LoadedConfig, tmp_path: Path) -> None:
    with pytest.raises(RenderError, match="script line 2"):
        render(loaded, _script(tmp_path, "你好。\n……\n"), tmp_path / "out.mp4")
    assert [p.name for p in tmp_path.iterdir()] == ["script.txt"]
