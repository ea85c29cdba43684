"""A producer of flashes and beeps through playout's own clock, encoder, fan-out and sinks, without the daemon.

One white picture and one 40 ms tone start together, once a second: at tick n, n a multiple of fps. The ticks run
in a thread of the test's process; the sinks are the real child processes.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from queue import Queue
from types import TracebackType
from typing import Any, Self

import av
import numpy as np
from pydantic import TypeAdapter

from broadcaster.config import Aigc, Audio, SinkConfig, Video
from broadcaster.paths import Paths
from broadcaster.playout.clock import RealClock
from broadcaster.playout.encoder import Encoder
from broadcaster.playout.fanout import Fanout
from broadcaster.playout.sinkset import SinkSet
from broadcaster.types import SAMPLE_RATE, samples_at
from broadcaster.wire import SinkCommand, SinkReply, SinkStatus

SINKS: TypeAdapter[list[SinkConfig]] = TypeAdapter(list[SinkConfig])
TONE_HZ = 1000
SMALL = {"width": 320, "height": 180, "bitrate_kbps": 400, "encoder": "x264", "preset": "ultrafast", "threads": 1}


class FlashBeepAir:
    """Context manager. `idle` is what the sinks' rotation waits for; `first_tick` starts the counters elsewhere."""

    def __init__(
        self, root: Path, sinks: Sequence[dict[str, Any]], *, fps: int = 25, first_tick: int = 0, idle: bool = True
    ) -> None:
        self.fps = fps
        self.idle = idle
        self.clock: RealClock[object] = RealClock(fps, Queue(), first_tick)
        paths = Paths(root / "state", root / "run", root / "cache")
        paths.ensure()
        video = Video.model_validate(SMALL | {"fps": fps})
        self.encoder = Encoder(video, Audio(), Aigc())
        self.fanout = Fanout()
        self.sinks = SinkSet(self.fanout, paths, SINKS.validate_python(list(sinks)), idle=lambda: self.idle)
        self.tick = first_tick
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self.fanout.start(self.encoder.format(), self.encoder.video.stream, self.encoder.audio.stream)
        self.sinks.start()
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, err: BaseException | None, tb: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join(5)
        self.sinks.stop()
        self.encoder.close()
        self.fanout.close()

    def status(self, name: str) -> SinkStatus:
        return next(status for status in self.sinks.statuses() if status.name == name)

    def command(self, command: SinkCommand) -> SinkReply:
        return self.sinks.command(command)

    def _run(self) -> None:
        dark, white = _flat(40), _flat(235)
        for tick in self.clock.ticks(self._stop, lambda _: None):
            n = tick.number
            flash = n % self.fps == 0
            count = samples_at(n + 1, self.fps) - samples_at(n, self.fps)
            wave = np.sin(2 * np.pi * TONE_HZ * np.arange(count) / SAMPLE_RATE).astype(np.float32)
            sound = np.stack([wave, wave]) * np.float32(0.7 if flash else 0)
            for packet in self.encoder.audio.encode(sound, samples_at(n, self.fps)):
                self.fanout.put(packet)
            for packet in self.encoder.video.encode(white if flash else dark, n):
                self.fanout.put(packet)
            self.tick = n


def _flat(luma: int) -> av.VideoFrame:
    picture = np.full((270, 320), 128, np.uint8)
    picture[:180] = luma
    return av.VideoFrame.from_ndarray(picture, "yuv420p")
