"""Pulls a stream in a thread, as a viewer's player would, and keeps every packet with its time of arrival."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Self

import av
import av.error
import numpy as np
from av.audio.frame import AudioFrame

from tests.support.capture import Capture, Received, describe, note

OPEN_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 8.0
"""A stream that is silent for so long counts as ended."""
STOP_WAIT_S = 1.0
"""A read that is blocked on a dead stream is left to its own time-out, in a daemon thread."""


@dataclass(frozen=True, slots=True)
class Level:
    """One decoded frame of sound: when it was decoded, its stream time, its RMS level and its peak."""

    decoded_ns: int
    pts_ms: float
    dbfs: float
    peak_dbfs: float


class Puller:
    """Context manager. `live_sound` decodes the sound as it comes, for latencies.

    `keep` bounds the packets kept of a capture (0: all); `on_packet` sees each one in the puller's thread.

    Joins again by itself when the server goes away and `rejoin` is set. Each session of the publisher is a
    `Capture` of its own in `captures`: the server keeps its viewers, and the timestamps begin again.
    """

    def __init__(
        self,
        url: str,
        *,
        live_sound: bool = False,
        rejoin: bool = False,
        keep: int = 0,
        on_packet: Callable[[Capture, Received], None] | None = None,
    ) -> None:
        self.url = url
        self.captures: list[Capture] = []
        self.levels: list[Level] = []
        self.joined_ns = 0
        self.failure: BaseException | None = None
        self._live_sound = live_sound
        self._rejoin = rejoin
        self._keep = keep
        self._on_packet = on_packet
        self._stop = threading.Event()
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, err: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()

    @property
    def capture(self) -> Capture:
        """The latest connection's packets. Raises AssertionError when nothing was ever received."""
        assert self.captures, f"nothing was received from {self.url}: {self.failure!r}"
        return self.captures[-1]

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(STOP_WAIT_S)

    def wait(self, ready: Callable[[Self], bool], timeout: float = 30.0, what: str = "the awaited packets") -> None:
        """Returns when `ready(self)` holds; asked after each packet. Raises TimeoutError."""
        with self._news:
            if not self._news.wait_for(lambda: ready(self), timeout):
                state = f"{len(self.captures[-1].packets)} packets" if self.captures else "nothing"
                raise TimeoutError(f"{what}: not after {timeout} s; received {state}; last error {self.failure!r}")

    def wait_frames(self, count: int, timeout: float = 30.0) -> Capture:
        """Until `count` more pictures have come on the present (or first) connection."""
        start = len(self.captures[-1].video) if self.captures else 0
        self.wait(
            lambda p: bool(p.captures) and len(p.captures[-1].video) >= start + count, timeout, f"{count} pictures"
        )
        return self.capture

    def wait_end(self, quiet_s: float = 1.0, timeout: float = 20.0) -> Capture:
        """Until nothing has come for `quiet_s`: the publisher is done, and the server has passed all of it on."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if self.capture.packets[-1].arrived_ns < time.monotonic_ns() - int(quiet_s * 1e9):
                return self.capture
            time.sleep(0.05)
        raise TimeoutError(f"the stream has not ended in {timeout} s")

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._pull()
            except (av.error.FFmpegError, OSError) as err:
                self.failure = err
            if not self._rejoin:
                break
            self._stop.wait(0.1)
        with self._news:
            self._news.notify_all()

    def _pull(self) -> None:
        # Who joins between key frames first gets up to a GOP of sound: a shorter probe would miss the picture.
        options = {"probesize": "2000000", "analyzeduration": "5000000"}
        with av.open(self.url, timeout=(OPEN_TIMEOUT_S, READ_TIMEOUT_S), options=options) as container:
            capture = Capture()
            describe(container, capture)
            self.joined_ns = time.monotonic_ns()
            self.captures.append(capture)
            for packet in container.demux():
                if _begins_again(packet, capture):
                    capture = replace(capture, packets=[])
                    self.captures.append(capture)
                received = note(packet, capture, time.monotonic_ns())
                if self._stop.is_set():
                    return
                if received is None:
                    continue
                if self._on_packet is not None:
                    self._on_packet(capture, received)
                if self._keep and len(capture.packets) > 2 * self._keep:
                    del capture.packets[: -self._keep]
                if self._live_sound and received.kind == "audio":
                    self._listen(packet, received)
                with self._news:
                    self._news.notify_all()

    def _listen(self, packet: av.Packet[Any], received: Received) -> None:
        for frame in packet.decode():
            if isinstance(frame, AudioFrame):
                samples = frame.to_ndarray().astype(np.float64)
                rms = float(np.sqrt((samples**2).mean()))
                peak = float(np.abs(samples).max())
                level = Level(time.monotonic_ns(), received.pts_ms, _db(rms), _db(peak))
                self.levels.append(level)


def _begins_again(packet: av.Packet[Any], capture: Capture) -> bool:
    """Whether the timestamps went back by more than a second."""
    if packet.pts is None or packet.time_base is None or not capture.packets:
        return False
    return float(packet.pts * packet.time_base * 1000) < capture.packets[-1].pts_ms - 1000


def _db(value: float) -> float:
    return float(20 * np.log10(value + 1e-9))
