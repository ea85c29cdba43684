"""A channel on air for a bench: nginx, the daemon and a puller that has joined long enough ago."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.support.channel import Channel, rtmp
from tests.support.nginx import NginxRtmp
from tests.support.puller import Level, Puller

FULL: dict[str, Any] = {
    "width": 1280, "height": 720, "fps": 25, "bitrate_kbps": 2500, "preset": "veryfast", "threads": 2,
}  # fmt: skip
SETTLED_S = 6.0
"""A puller that joined later still has its start-up buffering to work off (up to 0.9 s)."""
AUDIBLE_DBFS = -50.0


@dataclass(frozen=True, slots=True)
class Station:
    channel: Channel
    nginx: NginxRtmp
    puller: Puller

    def first_level(self, after_ns: int, audible: bool, timeout: float = 30.0) -> Level | None:
        """The first frame of sound decoded after `after_ns` that is (not) above -50 dBFS; None after `timeout`."""
        seen = 0
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            levels = self.puller.levels
            while seen < len(levels):
                level = levels[seen]
                seen += 1
                if level.decoded_ns > after_ns and (level.dbfs > AUDIBLE_DBFS) is audible:
                    return level
            time.sleep(0.005)
        return None

    def tick_decoded_ns(self, tick: int, heard: Level) -> int:
        """When the frame with the first sample of `tick` was decoded; `heard` is the first audible one after it.

        The stream's zero is a key frame, a multiple of 2 s on the tick counter, which `heard` is near enough to tell.
        """
        fps = int(FULL["fps"])
        key_s = 2
        around = tick / fps - heard.pts_ms / 1000
        zero = round(around / key_s) * key_s * fps
        begins_ms = (tick - zero) * 1000 / fps
        frame_ms = 1024 / 48
        return next(level.decoded_ns for level in self.puller.levels if level.pts_ms + frame_ms > begins_ms)

    def quiet(self, seconds: float = 0.6, timeout: float = 60.0) -> None:
        """Waits until nothing was heard for `seconds`. Raises TimeoutError."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            since = time.monotonic_ns() - int(seconds * 1e9)
            recent = [level for level in self.puller.levels[-200:] if level.decoded_ns > since]
            if recent and all(level.dbfs <= AUDIBLE_DBFS for level in recent):
                return
            time.sleep(0.05)
        raise TimeoutError(f"the stream is not quiet after {timeout} s")


@contextmanager
def on_air(
    *, voice: str = "kokoro", head: str = "warp", video: Mapping[str, Any] | None = None, settle: bool = True
) -> Iterator[Station]:
    with (
        NginxRtmp() as nginx,
        Channel(
            sinks=[rtmp("main", nginx.url())],
            voice=voice,
            head=head,
            settings={"video": dict(video or FULL), "inbox": {"max_text": 2000}},
        ) as channel,
        Puller(nginx.url(), live_sound=True, rejoin=True) as puller,
    ):
        puller.wait_frames(1, timeout=60)
        if settle:
            time.sleep(SETTLED_S)
        yield Station(channel, nginx, puller)
