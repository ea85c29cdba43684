"""The rules of the house that moderators change on air: bans, slow mode, the pause of the automatic queue.

They are in the journal before they hold, and hold after a restart. Director's event loop.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Final

from broadcaster.journal.decisions import Ban, JournalDecisions

SLOW: Final = "slow"
PAUSE: Final = "pause"


class HouseRules:
    """`slow_s`: one comment of each viewer counts in so many seconds, 0: all do. `paused`: only moderators' prompts
    and what they have let through go on air."""

    def __init__(
        self,
        journal: JournalDecisions,
        wall_ns: Callable[[], int] = time.time_ns,
        pause: Callable[[bool], None] = lambda on: None,
    ) -> None:
        """`pause` is told whether the automatic queue is paused, whenever that is decided or read."""
        self.slow_s = 0.0
        self.paused = False
        self._pause = pause
        self._journal = journal
        self._wall_ns = wall_ns
        self._bans: dict[str, Ban] = {}

    async def load(self) -> None:
        """What was decided in earlier runs. Raises JournalError."""
        bans = await self._journal.bans()
        slow, pause = await self._journal.setting(SLOW), await self._journal.setting(PAUSE)
        self._bans = {ban.viewer: ban for ban in bans} | self._bans
        with contextlib.suppress(ValueError):
            self.slow_s = float(slow or 0)
        self.paused = pause == "on"
        self._pause(self.paused)

    def banned(self, viewer: str) -> bool:
        """Whether what the viewer of that id ("source:id") says or gives is left out now."""
        ban = self._bans.get(viewer)
        if ban is None:
            return False
        if ban.until_ns is None or ban.until_ns > self._wall_ns():
            return True
        del self._bans[viewer]
        return False

    def bans(self) -> list[Ban]:
        """Those that hold now, the newest first."""
        held = [ban for ban in list(self._bans.values()) if self.banned(ban.viewer)]
        return sorted(held, key=lambda ban: -ban.at_ns)

    async def ban(self, viewer: str, name: str, seconds: float | None, by: str) -> Ban:
        """`seconds` None: for good. Raises JournalError, and then it does not hold."""
        now = self._wall_ns()
        ban = Ban(viewer, name, None if seconds is None else now + int(seconds * 1e9), by, now)
        await self._journal.ban(ban)
        self._bans[viewer] = ban
        return ban

    async def unban(self, viewer: str) -> bool:
        """False when there was no ban. Raises JournalError, and then it still holds."""
        lifted = await self._journal.lift(viewer)
        return self._bans.pop(viewer, None) is not None or lifted

    async def slow(self, seconds: float) -> None:
        """Raises JournalError, and then it is as before."""
        await self._journal.set(SLOW, str(seconds))
        self.slow_s = seconds

    async def pause(self, on: bool) -> None:
        """Raises JournalError, and then it is as before."""
        await self._journal.set(PAUSE, "on" if on else "off")
        self.paused = on
        self._pause(on)
