"""`render` with engine musetalk on a CPU: as exact as with any other engine, however slow it is."""

from __future__ import annotations

import hashlib
from pathlib import Path

import av
import pytest
import torch

from broadcaster.app import avatar_of
from broadcaster.config import load_config
from broadcaster.head.musetalk.latents import ImageCoder, load_coder, make_latents
from broadcaster.paths import channel_paths
from broadcaster.render import render
from tests.face.support.weights import write_published

pytestmark = pytest.mark.integration

CONFIG = """
channel: render-face
avatar: host
state_dir: {state}
video: {{width: 320, height: 180, fps: 25, bitrate_kbps: 800}}
voice: {{engine: tone}}
head: {{engine: {engine}, musetalk: {{models: {models}, device: cpu}}}}
sinks: []
"""


def test_every_picture_has_its_lips_and_the_same_input_gives_the_same_file(short_dir: Path, tmp_path: Path) -> None:
    models = write_published(tmp_path / "weights")
    script = tmp_path / "script.txt"
    script.write_text("你好。\n", encoding="utf-8")
    digests = []
    for number, engine in enumerate(("musetalk", "musetalk", "still")):
        text = CONFIG.format(state=short_dir, engine=engine, models=models)
        loaded = load_config(Path("config.yaml").absolute(), text)
        pack = avatar_of(loaded, channel_paths(loaded.config.channel, loaded.config.state_dir))
        coder = load_coder(models, torch.device("cpu"))
        quick = ImageCoder(
            lambda x: x[:, :1, ::8, ::8].repeat(1, 4, 1, 1), coder.device, coder.dtype, coder.fingerprint
        )
        make_latents(pack, "1.5", quick)
        out = tmp_path / f"{number}.mp4"
        render(loaded, script, out)
        with av.open(str(out)) as container:
            pictures = (frame.to_ndarray().tobytes() for frame in container.decode(video=0))
            digests.append([hashlib.sha256(picture).hexdigest() for picture in pictures])
    first, second, still = digests
    assert first == second
    assert len(first) == len(still)
    assert sum(a != b for a, b in zip(first, still, strict=True)) > 8
