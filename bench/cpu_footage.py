"""The very I420 and sound that playout encodes, idle and talking, written to files for the bare encoder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import numpy as np

from broadcaster.config import HeadConfig, Label, VoiceConfig
from broadcaster.head.engines import make_engine
from broadcaster.head.track import Track
from broadcaster.speech.engines import create
from broadcaster.studio.avatar import expand
from broadcaster.studio.compositor import Compositor
from broadcaster.studio.label import draw_label
from broadcaster.wire import pack_speech

AVATAR = Path(__file__).resolve().parents[1] / "avatars" / "host"
TALK_TICKS = 250


def write_footage(folder: Path, cache: Path, video: dict[str, Any], text: str) -> None:
    """Writes idle.i420, talk.i420, idle.pcm, talk.pcm (float32 mono) and facts.json."""
    width, height, fps = int(video["width"]), int(video["height"]), int(video["fps"])
    pack = expand(AVATAR, cache, width, height, fps)
    label = Label()
    overlay = draw_label(label.text, label.corner, label.height_percent, width, height)
    compositor = Compositor(cast("Any", pack), overlay)
    speech = create(VoiceConfig(engine="tone"), cache).synthesise(text, "zh", "", 1.0, lambda: False)
    track = Track()
    track.add(*pack_speech(speech))
    track.end()
    engine = make_engine("warp", HeadConfig(), Path("models"))
    engine.load(cast("Any", pack))
    engine.begin(1, 1, cast("Any", track), 0, 0)
    ticks = min(TALK_TICKS, track.samples * fps // 48_000)
    with (folder / "idle.i420").open("wb") as idle:
        for tick in range(pack.loop_frames):
            compositor.compose(tick).to_ndarray().tofile(idle)
    with (folder / "talk.i420").open("wb") as talk:
        for patch in engine.render(0, ticks - 1):
            compositor.compose(patch.tick, patch).to_ndarray().tofile(talk)
    pcm = (speech.pcm[: ticks * 48_000 // fps] / np.float32(32768)).astype(np.float32)
    pcm.tofile(folder / "talk.pcm")
    np.zeros_like(pcm).tofile(folder / "idle.pcm")
    facts = {
        "width": width, "height": height, "fps": fps, "bitrate": int(video["bitrate_kbps"]) * 1000,
        "preset": video["preset"], "threads": video["threads"],
    }  # fmt: skip
    (folder / "facts.json").write_text(json.dumps(facts))
