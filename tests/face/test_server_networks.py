"""`broadcaster head serve` with networks in it (small, random): its faces are those that a channel makes itself."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from broadcaster.cli.main import app
from broadcaster.errors import HeadError
from broadcaster.head.musetalk import loading
from broadcaster.head.musetalk.link import hello_of
from broadcaster.head.musetalk.local import LocalFaces
from tests.face.support.serving import latents, opened, spoken, until
from tests.face.support.weights import write_published

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return write_published(tmp_path / "weights")


@pytest.fixture
def process(short_dir: Path, weights: Path) -> Iterator[subprocess.Popen[str]]:
    """The command, still starting."""
    options = {"--socket": short_dir / "head.sock", "--models": weights, "--device": "cpu", "--batch": 4}
    started = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "broadcaster.cli",
            "head",
            "serve",
            *(str(w) for pair in options.items() for w in pair),
        ],
        cwd=short_dir,
        env={"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
    )
    yield started
    started.kill()
    started.communicate()


def test_shared_faces_are_the_same_bits_as_a_channels_own(
    short_dir: Path, tmp_path: Path, weights: Path, process: subprocess.Popen[str]
) -> None:
    path = short_dir / "head.sock"
    files = [latents(tmp_path / f"{seed}.npy", seed=seed) for seed in (1, 2)]
    networks = loading.load(weights, "1.5", "full", torch.device("cpu"))

    def own(channel: int) -> list[tuple[int, bytes]]:
        faces = LocalFaces(lambda: networks, 4)
        faces.load(files[channel % 2])
        return [(face.key, face.pixels.tobytes()) for face in spoken(faces, 0.2, channel)]

    def shared(channel: int) -> list[tuple[int, bytes]]:
        faces = opened(path, files[channel % 2], channel=f"channel {channel}")
        found = [(face.key, face.pixels.tobytes()) for face in spoken(faces, 0.2, channel)]
        faces.close()
        return found

    alone = [own(channel) for channel in range(3)]
    until(lambda: process.poll() is not None or _answers(path))
    assert hello_of(path).fingerprint == networks.fingerprint
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(shared, range(3)))
    assert together == alone
    assert len({pixels for channel in alone for _, pixels in channel}) == 15
    told = CliRunner().invoke(app, ["head", "status", "--socket", str(path), "--json"])
    state = json.loads(told.stdout)
    assert (state["faces"], state["avatars"], state["sessions"]) == (15, 2, [])
    print(f"15 faces of 3 channels in {state['batches']} batches, no bit different from a channel's own")
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 0, said
    assert "channels can connect" in said
    assert not path.exists()


def _answers(path: Path) -> bool:
    try:
        hello_of(path)
    except HeadError:
        return False
    return True
