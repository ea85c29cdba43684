"""Where encoded packets leave the encoder for the sinks. `put` runs in the tick thread and returns in microseconds.

One inbox for all sinks: the sinks' thread (`sinkset`) empties it once a tick and shares it out, so what a sink
does cannot reach the clock.
"""

from __future__ import annotations

import contextlib
import os
from collections import deque
from typing import TYPE_CHECKING, Final

from broadcaster.media import EncodedPacket, StreamFormat
from broadcaster.playout.packets import preamble

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.video.stream import VideoStream

INBOX_PACKETS: Final = 2048
"""About 28 s at 25 fps. Only a sinks' thread that hangs fills it; then packets are dropped
up to the next key frame that fits, and counted."""


class Opening:
    """A new encoder's parameter sets: every packet behind it belongs to them."""

    __slots__ = ("format", "preamble")

    def __init__(self, form: StreamFormat, preamble: bytes) -> None:
        self.format = form
        self.preamble = preamble


class Fanout:
    """Written by one thread (`start`, `put`, `flush`), read by one other (`drain`)."""

    def __init__(self) -> None:
        self._inbox: deque[EncodedPacket | Opening] = deque()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._skipping = False
        self.dropped = 0

    def start(self, form: StreamFormat, video: VideoStream, audio: AudioStream) -> None:
        """A new encoder begins. Its streams belong to a container whose encoding has started (extradata is there).

        The next video packet must be a key frame. Every sink connects afresh with the new parameter sets.
        """
        self._inbox.append(Opening(form, preamble(form, video, audio)))
        self.flush()

    def put(self, packet: EncodedPacket) -> None:
        """Takes one packet. The picture of a tick wakes the sinks: put its sound before it, or call `flush`."""
        if len(self._inbox) >= INBOX_PACKETS:
            self._skipping = True
        elif self._skipping and packet.kind == "video" and packet.keyframe:
            self._skipping = False
        if self._skipping:
            self.dropped += 1
            return
        self._inbox.append(packet)
        if packet.kind == "video":
            self.flush()

    def flush(self) -> None:
        """Wakes the sinks' thread."""
        with contextlib.suppress(BlockingIOError):
            os.eventfd_write(self._wake, 1)

    # The side of the sinks' thread.

    @property
    def wake_fd(self) -> int:
        return self._wake

    def drain(self) -> list[EncodedPacket | Opening]:
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._wake)
        items = []
        while self._inbox:
            items.append(self._inbox.popleft())
        return items

    def close(self) -> None:
        os.close(self._wake)
