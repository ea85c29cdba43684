"""A flash-and-beep test stream from PyAV in a child process, for tests of the test bench itself.

Run as `python -m tests.support.publisher URL SECONDS`: 320x180 at 25 fps, white pictures and a 1 kHz tone for
80 ms at the start of every second, in real time.
"""

from __future__ import annotations

import subprocess
import sys
import time
from fractions import Fraction

import av
import numpy as np
from av.audio.stream import AudioStream
from av.video.stream import VideoStream

FPS = 25
RATE = 48_000
BEEP_TICKS = 2


def start(url: str, seconds: float) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "tests.support.publisher", url, str(seconds)])


def publish(url: str, seconds: float) -> None:
    with av.open(url, "w", format="flv", options={"flvflags": "no_duration_filesize"}) as out:
        out.metadata["AIGC"] = '{"Label":"1"}'
        video = out.add_stream("libx264", rate=FPS, options={"preset": "ultrafast", "tune": "zerolatency"})
        assert isinstance(video, VideoStream)
        video.width, video.height, video.pix_fmt, video.gop_size = 320, 180, "yuv420p", 2 * FPS
        audio = out.add_stream("aac", rate=RATE)
        assert isinstance(audio, AudioStream)
        audio.layout = "stereo"
        wave = np.sin(2 * np.pi * 1000 * np.arange(RATE // FPS) / RATE).astype(np.float32) * 0.5
        began = time.monotonic()
        for tick in range(round(seconds * FPS)):
            on = tick % FPS < BEEP_TICKS
            picture = av.VideoFrame.from_ndarray(np.full((270, 320), 235 if on else 16, np.uint8), "yuv420p")
            picture.pts, picture.time_base = tick, Fraction(1, FPS)
            block = np.stack([wave, wave]) if on else np.zeros((2, RATE // FPS), np.float32)
            sound = av.AudioFrame.from_ndarray(block, "fltp", "stereo")
            sound.pts, sound.sample_rate, sound.time_base = tick * RATE // FPS, RATE, Fraction(1, RATE)
            out.mux(video.encode(picture))
            out.mux(audio.encode(sound))
            time.sleep(max(0.0, began + (tick + 1) / FPS - time.monotonic()))


if __name__ == "__main__":
    publish(sys.argv[1], float(sys.argv[2]))
