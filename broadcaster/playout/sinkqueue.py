"""Packets that wait for one sink child, bounded in milliseconds of media. Used by the sinks' thread alone; no locks.

Full means: the video in the queue is dropped and more of it until the next key frame; sound goes on. Sound is
dropped only at `AUDIO_LIMIT_FACTOR` times the bound, when the peer is as good as gone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final

from broadcaster.media import AUDIO_RATE, EncodedPacket

AUDIO_LIMIT_FACTOR: Final = 4
"""Sound is 1/20 of the bytes of the picture; four times its length costs little and keeps it whole."""

FEW_PACKETS: Final = 10
"""Fewer packets than this are less than the shortest bound (500 ms), so nobody needs to look at their times."""


class SinkQueue:
    """Closed until `begin`; then opens at a key frame: the first of the packets in hand, or the next to come."""

    def __init__(self, limit_ms: int, fps: int) -> None:
        self.limit_ms = limit_ms
        self._fps = fps
        self._packets: deque[EncodedPacket] = deque()
        self._pictures = 0
        self._open = False
        self._started = False
        self._wants_keyframe = True
        self._newest_us = 0
        self.dropped_video = 0
        self.dropped_audio = 0
        self.total_video = 0

    def begin(self, in_hand: Iterable[EncodedPacket] = ()) -> None:
        self.end()
        self._open = True
        for packet in in_hand:
            self.put(packet)

    def end(self) -> None:
        self._packets.clear()
        self._pictures = 0
        self._open = False
        self._wants_keyframe = True
        self._started = False

    def put(self, packet: EncodedPacket) -> None:
        if not self._open:
            return
        video = packet.kind == "video"
        if not self._started:
            if not (video and packet.keyframe):
                return
            self._started = True
            self._wants_keyframe = False
        self.total_video += video
        self._newest_us = self._time_us(packet)
        full = len(self._packets) >= FEW_PACKETS and self.queued_ms >= self.limit_ms
        if video:
            self._put_video(packet, full)
        elif full and self.queued_ms >= self.limit_ms * AUDIO_LIMIT_FACTOR:
            self.dropped_audio += 1
        else:
            self._packets.append(packet)

    def take(self, max_bytes: int) -> list[EncodedPacket]:
        """The oldest packets in order, at least one if there is any, and no more once `max_bytes` are reached."""
        taken: list[EncodedPacket] = []
        size = 0
        while self._packets and size < max_bytes:
            packet = self._packets.popleft()
            size += len(packet.data)
            self._pictures -= packet.kind == "video"
            taken.append(packet)
        return taken

    def __bool__(self) -> bool:
        return bool(self._packets)

    def holds(self, pictures: int) -> bool:
        """Whether there is that much to send at once, or more than a second of whatever there is."""
        return self._pictures >= pictures or self.queued_ms >= 1000

    @property
    def queued_ms(self) -> int:
        """From the oldest packet in the queue to the newest, in media time."""
        if not self._packets:
            return 0
        return max(0, self._newest_us - self._time_us(self._packets[0])) // 1000

    def _put_video(self, packet: EncodedPacket, full: bool) -> None:
        if full:
            if not self._wants_keyframe:
                self._drop_queued_video()
            self._wants_keyframe = True
        elif packet.keyframe:
            self._wants_keyframe = False
        if self._wants_keyframe:
            self.dropped_video += 1
        else:
            self._packets.append(packet)
            self._pictures += 1

    def _drop_queued_video(self) -> None:
        kept = [packet for packet in self._packets if packet.kind == "audio"]
        self.dropped_video += len(self._packets) - len(kept)
        self._packets = deque(kept)
        self._pictures = 0

    def _time_us(self, packet: EncodedPacket) -> int:
        rate = self._fps if packet.kind == "video" else AUDIO_RATE
        return packet.pts * 1_000_000 // rate
