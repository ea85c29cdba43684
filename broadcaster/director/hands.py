"""What is behind the speech pipeline, as it shows itself in playout's reports. Director's event loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from broadcaster.director.rundown import Rundown
from broadcaster.wire import PlayoutStatus

LONGEST_LIPS_S: Final = 1.5
"""A head that needs longer is late whatever is done for it."""


class RundownHands:
    """Port `Hands`."""

    def __init__(self, rundown: Rundown, playout: Callable[[], PlayoutStatus | None]) -> None:
        self._rundown = rundown
        self._playout = playout

    def unheard(self) -> float:
        """With a broadcast delay, the time until it will have been heard."""
        return self._rundown.begins()[-1] if self._rundown.delayed else self._rundown.seconds_unheard()

    def lips(self) -> float:
        """The pictures that a head must be ahead by, at the speed it has shown, and a tick to it and back."""
        status = self._playout()
        if status is None or status.head is None:
            return 0.0
        pictures = status.lead_ticks * status.head.render_ms / 1000
        return min(pictures + 2 / status.fps, LONGEST_LIPS_S)
