"""The speech of one utterance as the head process knows it: pieces joined in order, the distant past forgotten."""

from __future__ import annotations

from bisect import bisect_right
from typing import Final

from broadcaster.types import SAMPLE_RATE

KEPT_BEHIND: Final = 10 * SAMPLE_RATE
"""Speech this long before the last picture asked for is forgotten: no re-anchor goes further back than the sound in
hand, and a reading of many minutes must not grow the process."""

_BYTES: Final = 2


class Track:
    """A bounded `SpeechTrack`. Not thread-safe: the head process fills and reads it from one thread."""

    def __init__(self) -> None:
        self.samples = 0
        self.complete = False
        self.due = False
        self._chunks: list[tuple[int, bytes]] = []
        self._phones: list[tuple[str, str, int, int]] = []

    def add(self, pcm: bytes, phones: list[tuple[str, str, int, int]]) -> None:
        """Joins one piece: s16le mono 48 kHz and its phones, counted in its own samples."""
        self.due = False
        start = self.samples
        self._phones.extend((symbol, viseme, start + a, start + b) for symbol, viseme, a, b in phones)
        if len(pcm) >= _BYTES:
            self._chunks.append((start, pcm))
        self.samples = start + len(pcm) // _BYTES

    def end(self) -> None:
        self.complete = True

    def trim(self, samples: int) -> None:
        """Only its first `samples` are heard, and no more is to come."""
        self.complete = True
        if samples >= self.samples:
            return
        self.samples = samples
        self._phones = [(symbol, viseme, a, min(b, samples)) for symbol, viseme, a, b in self._phones if a < samples]
        self._chunks = [(a, data[: (samples - a) * _BYTES]) for a, data in self._chunks if a < samples]

    def forget(self, before: int) -> None:
        """Drops what ended more than KEPT_BEHIND samples before `before`."""
        limit = before - KEPT_BEHIND
        gone = sum(1 for start, pcm in self._chunks if start + len(pcm) // _BYTES <= limit)
        del self._chunks[:gone]
        if gone:
            self._phones = [phone for phone in self._phones if phone[3] > limit]

    def phones(self) -> list[tuple[str, str, int, int]]:
        """(symbol, viseme, start, end) in samples of the utterance, in order."""
        return self._phones

    def pcm(self, start: int, end: int) -> bytes:
        """s16le mono 48 kHz; zeros outside what is known."""
        if end <= start:
            return b""
        out = bytearray((end - start) * _BYTES)
        first = max(0, bisect_right(self._chunks, start, key=lambda chunk: chunk[0]) - 1)
        for at, data in self._chunks[first:]:
            if at >= end:
                break
            low, high = max(start, at), min(end, at + len(data) // _BYTES)
            if low < high:
                out[(low - start) * _BYTES : (high - start) * _BYTES] = data[
                    (low - at) * _BYTES : (high - at) * _BYTES
                ]
        return bytes(out)
