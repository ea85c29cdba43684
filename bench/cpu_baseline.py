"""The bare encoder that the channel is compared with: x264 and AAC fed from memory at the frame rate, nothing else.

Runs as a process of its own: `python -m bench.cpu_baseline FOLDER`. It reads FOLDER/{idle,talk}.i420 and .pcm and
changes between them at each line "idle" or "talk" on stdin.
"""

from __future__ import annotations

import json
import os
import sys
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.stream import AudioStream
from av.video.stream import VideoStream

RATE = 48_000
AAC_FRAME = 1024


def main(folder: Path) -> None:
    facts = json.loads((folder / "facts.json").read_text())
    width, height, fps, bitrate = (int(facts[key]) for key in ("width", "height", "fps", "bitrate"))
    out = av.open("/dev/null", "w", format="null")
    video = out.add_stream("libx264", rate=fps)
    assert isinstance(video, VideoStream)
    context = video.codec_context
    context.width, context.height, context.pix_fmt = width, height, "yuv420p"
    context.bit_rate, context.gop_size, context.max_b_frames = bitrate, 2 * fps, 0
    context.options = {
        "preset": facts["preset"], "tune": "zerolatency", "threads": str(facts["threads"]),
        "maxrate": str(bitrate), "bufsize": str(bitrate),
        "x264-params": f"keyint={2 * fps}:min-keyint={2 * fps}:scenecut=0:open-gop=0:force-cfr=1",
    }  # fmt: skip
    audio = out.add_stream("aac", rate=RATE, layout="stereo")
    assert isinstance(audio, AudioStream)
    audio.codec_context.bit_rate = 128_000
    pictures = {name: _pictures(folder / f"{name}.i420", width, height) for name in ("idle", "talk")}
    sounds = {name: _sounds(folder / f"{name}.pcm") for name in ("idle", "talk")}
    os.set_blocking(0, False)
    print("ready", flush=True)
    mode, samples, began = "idle", 0, time.monotonic()
    tick = 0
    while True:
        mode = _told() or mode
        picture = pictures[mode][tick % len(pictures[mode])]
        picture.pts, picture.time_base = tick, Fraction(1, fps)
        video.encode(picture)
        while samples + AAC_FRAME <= (tick + 1) * RATE // fps:
            sound = sounds[mode][samples // AAC_FRAME % len(sounds[mode])]
            sound.pts = samples
            audio.encode(sound)
            samples += AAC_FRAME
        tick += 1
        time.sleep(max(0.0, began + tick / fps - time.monotonic()))


def _told() -> str:
    """The last word on stdin since the last call, or nothing."""
    try:
        words = os.read(0, 4096).decode().split()
    except BlockingIOError:
        return ""
    return words[-1] if words else ""


def _pictures(path: Path, width: int, height: int) -> list[av.VideoFrame]:
    raw = np.fromfile(path, np.uint8).reshape(-1, height * 3 // 2, width)
    return [av.VideoFrame.from_ndarray(picture, "yuv420p") for picture in raw]


def _sounds(path: Path) -> list[av.AudioFrame]:
    mono = np.fromfile(path, np.float32)
    frames = []
    for start in range(0, len(mono) - AAC_FRAME + 1, AAC_FRAME):
        block = mono[start : start + AAC_FRAME]
        frame = av.AudioFrame.from_ndarray(np.stack([block, block]), "fltp", "stereo")
        frame.sample_rate, frame.time_base = RATE, Fraction(1, RATE)
        frames.append(frame)
    return frames


if __name__ == "__main__":
    main(Path(sys.argv[1]))
