"""A Douyin live room as a source: a door that Douyin posts to, and the tasks that make it post.

`run` is in the director's loop, the door in a thread of its own: a push is answered in time whatever that loop does.
Without `room_id` nothing is asked of Douyin's API: a second program that asks for access tokens would take them away
from the one that started the tasks.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any, Final

from broadcaster.config.sources import DouyinSource
from broadcaster.errors import SourceError
from broadcaster.ports import Intake
from sources.douyin.api import Api
from sources.douyin.receiver import Receiver
from sources.douyin.tasks import Tasks
from sources.listener import Limits, Listener
from sources.trust import trust

LIMITS: Final = Limits(body=1_048_576, held=16 * 1_048_576, connections=320, requests=256, request_s=5.0)
"""A push holds what happened in a moment of one room, some kilobytes. 100 a second come of one task: with a disk that
hangs, 150 pushes of gifts wait at once, and the comments must still get in."""


class DouyinRoom:
    def __init__(self, config: DouyinSource) -> None:
        self.name = config.label
        self._config = config
        self._listener: Listener | None = None
        self._receiver: Receiver | None = None
        self._tasks: Tasks | None = None
        self._before: Counter[str] = Counter()
        """What earlier runs have counted."""

    @property
    def address(self) -> str:
        """Where pushes are received, "" when nothing listens."""
        return self._listener.address if self._listener is not None else ""

    async def run(self, intake: Intake) -> None:
        config = self._config
        secret = config.push_secret.get_secret_value()
        if not secret.strip():
            # Anybody can sign with nothing.
            raise SourceError("push_secret is empty -> set the variable it refers to", retryable=False)
        self._receiver = Receiver(
            intake,
            source=self.name,
            secret=secret,
            kinds=frozenset(config.push),
            room=config.room_id or "",
            window_s=config.replay_window_s,
        )
        listener = Listener(self._receiver, name=self.name, host=config.host, port=config.port, limits=LIMITS)
        try:
            async with listener:
                self._listener = listener
                if config.room_id is None:
                    await listener.ended()
                else:
                    await self._with_tasks(intake, listener, config.room_id)
        finally:
            self._before = self._counted()
            self._listener = self._receiver = self._tasks = None

    async def _with_tasks(self, intake: Intake, listener: Listener, room: str) -> None:
        config = self._config
        api = Api(
            app_id=config.app_id,
            secret=config.app_secret.get_secret_value(),
            url=config.url,
            token_url=config.token_url,
            trusted=await trust(),
        )
        tasks = self._tasks = Tasks(api, intake, source=self.name, room=room, kinds=config.push)
        halves = [asyncio.ensure_future(listener.ended()), asyncio.ensure_future(tasks.keep())]
        try:
            done, _ = await asyncio.wait(halves, return_when=asyncio.FIRST_COMPLETED)
            for half in done:
                half.result()
        finally:
            for half in halves:
                half.cancel()
            await asyncio.gather(*halves, return_exceptions=True)
            # Before the door is closed: what is left of a stopped task is still pushed.
            await tasks.stop()
            await api.close()

    def status(self) -> dict[str, Any]:
        """Counters: see `COUNTERS` of receiver, events and tasks; `door_...` are those of the listener."""
        return {"connected": self._is_connected(), "note": self._note(), **self._counted()}

    def _counted(self) -> Counter[str]:
        counts = Counter(self._before)
        if self._receiver is not None:
            counts.update(self._receiver.counts)
            counts.update(self._receiver.events.counts)
        if self._listener is not None:
            counts.update({f"door_{reason}": count for reason, count in self._listener.refused.items()})
        if self._tasks is not None:
            counts.update(self._tasks.counts)
            counts.update(self._tasks.events.counts)
        return counts

    def _is_connected(self) -> bool:
        if self._listener is None:
            return False
        return self._config.room_id is None or bool(self._tasks and self._tasks.running)

    def _note(self) -> str:
        if self._listener is None:
            return ""
        where = f"receives at {self.address}"
        if self._tasks is None:
            return f"{where}; its push tasks are started elsewhere"
        if self._tasks.trouble:
            return self._tasks.trouble
        return f"{where}; {len(self._tasks.running)} push tasks are running"
