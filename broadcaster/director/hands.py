"""What is behind the speech pipeline, as it shows itself in playout's reports. Director's event loop."""

from __future__ import annotations

from collections.abc import Callable

from broadcaster.director.rundown import Rundown
from broadcaster.wire import PlayoutStatus


class RundownHands:
    """Port `Hands`."""

    def __init__(self, rundown: Rundown, playout: Callable[[], PlayoutStatus | None]) -> None:
        self._rundown = rundown
        self._playout = playout

    def unheard(self) -> float:
        return self._rundown.seconds_unheard()

    def lips(self) -> float:
        return 0.0
