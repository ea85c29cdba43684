"""The mouth patches in hand, by tick, and how much of each is shown. Tick thread only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from broadcaster.studio.compositor import FADE_TICKS
from broadcaster.types import MouthPatch

MAX_PATCHES = 256
"""Several windows of the head's look-ahead; one that sends more is not believed."""


@dataclass(frozen=True, slots=True)
class Mouth:
    """What to lay over the base frame of a tick: the patch and how much of it (0..FADE_TICKS)."""

    patch: MouthPatch
    gain: int


class Lips:
    """Patches of one anchor. The mouth fades in while speech is on and patches come, and out when it is over."""

    def __init__(self) -> None:
        self._patches: dict[int, MouthPatch] = {}
        self._arrived: dict[int, int] = {}
        self._gain = 0

    def put(self, patch: MouthPatch, now_ns: int = 0) -> None:
        if len(self._patches) < MAX_PATCHES:
            self._patches[patch.tick] = patch
            self._arrived[patch.tick] = now_ns

    def arrived_ns(self, tick: int) -> int:
        """When the patch of a tick came; 0 when it is not in hand."""
        return self._arrived.get(tick, 0)

    def has(self, ticks: Iterable[int]) -> bool:
        return all(tick in self._patches for tick in ticks)

    def void(self) -> None:
        """Another anchor, another head or none: what is in hand fits no more."""
        self._patches.clear()
        self._arrived.clear()

    def drop_from(self, tick: int) -> None:
        """The speech ends before `tick`: what is in hand from there on shows speech that is not heard."""
        for late in [each for each in self._patches if each >= tick]:
            del self._patches[late]
            self._arrived.pop(late, None)

    def reset(self) -> None:
        self.void()
        self._gain = 0

    def take(self, tick: int, opening: bool) -> Mouth | None:
        """The mouth of `tick`, once. `opening`: speech is on and goes on; else the mouth fades out."""
        patch = self._patches.pop(tick, None)
        self._arrived.pop(tick, None)
        if patch is None:
            self._gain = 0
            return None
        self._gain = min(FADE_TICKS, self._gain + 1) if opening else max(0, self._gain - 1)
        return Mouth(patch, self._gain) if self._gain else None
