"""The engine server with networks in it (small ones, random): its faces are those that a channel makes for itself."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from broadcaster.head.musetalk import networks
from broadcaster.head.musetalk.generator import FaceGenerator
from broadcaster.head.musetalk.link import state_of
from broadcaster.head.musetalk.local import LocalFaces
from broadcaster.head.musetalk.window import Window
from tests.face.support.serving import latents, opened, serving, spoken

pytestmark = pytest.mark.integration

WINDOW = Window(steps=40)


def test_shared_faces_are_the_same_bits_as_a_channels_own(short_dir: Path, tmp_path: Path) -> None:
    path, nets = short_dir / "head.sock", networks.tiny()
    files = [latents(tmp_path / f"{seed}.npy", seed=seed) for seed in (1, 2)]

    def own(channel: int) -> list[tuple[int, bytes]]:
        faces = LocalFaces(lambda: nets, 4, WINDOW)
        faces.load(files[channel % 2])
        return [(face.key, face.pixels.tobytes()) for face in spoken(faces, 0.2, channel)]

    def shared(channel: int) -> list[tuple[int, bytes]]:
        faces = opened(path, files[channel % 2], channel=str(channel))
        found = [(face.key, face.pixels.tobytes()) for face in spoken(faces, 0.2, channel)]
        faces.close()
        return found

    alone = [own(channel) for channel in range(3)]
    with serving(path, FaceGenerator(nets, 4, WINDOW)), ThreadPoolExecutor(3) as pool:
        together = list(pool.map(shared, range(3)))
        state = state_of(path)
    assert together == alone
    assert len({pixels for channel in alone for _, pixels in channel}) == 15
    assert state.faces == 15
    print(f"15 faces of 3 channels in {state.batches} batches, no bit different from a channel's own")
