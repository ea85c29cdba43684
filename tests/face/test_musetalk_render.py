"""`render` with engine musetalk on a CPU: as exact as with any other engine, however slow it is."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
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
head: {{engine: musetalk, musetalk: {{models: {models}, device: cpu}}}}
sinks: []
"""


def test_every_picture_has_its_lips_and_the_same_input_gives_the_same_file(short_dir: Path, tmp_path: Path) -> None:
    models = write_published(tmp_path / "weights")
    script = tmp_path / "script.txt"
    script.write_text("你好。\n", encoding="utf-8")
    loaded = load_config(Path("config.yaml").absolute(), CONFIG.format(state=short_dir, models=models))
    pack = avatar_of(loaded, channel_paths(loaded.config.channel, loaded.config.state_dir))
    coder = load_coder(models, torch.device("cpu"))
    quick = ImageCoder(lambda x: x[:, :1, ::8, ::8].repeat(1, 4, 1, 1), coder.device, coder.dtype, coder.fingerprint)
    make_latents(pack, "1.5", quick)
    shown = []
    for number in range(2):
        out = tmp_path / f"{number}.mp4"
        render(loaded, script, out)
        with av.open(str(out)) as container:
            shown.append(np.stack([frame.to_ndarray() for frame in container.decode(video=0)]))
    assert np.array_equal(shown[0], shown[1])
    box = pack.mouth_box
    rows, columns = slice(box.y, box.y + box.height), slice(box.x, box.x + box.width)
    away = [
        float(
            np.abs(picture[rows, columns].astype(int) - pack.frame(tick % pack.loop_frames)[0][rows, columns]).mean()
        )
        for tick, picture in enumerate(shown[0])
    ]
    talking = [tick for tick, difference in enumerate(away) if difference > 8]
    assert len(talking) > 8
    assert talking == list(range(talking[0], talking[-1] + 1)), "a picture of the sentence has no lips"
    assert away[0] < 4
    assert away[-1] < 4
