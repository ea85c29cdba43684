"""Who speaks next: takes the next prompt from the inbox when playout has room for it, and has it performed.

One prompt is performed at a time, ahead of the air as far as the rundown allows. Director's event loop only.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from broadcaster.director.floor import Floor
from broadcaster.director.performer import Performer
from broadcaster.director.pulse import Pulse
from broadcaster.director.recovery import Recovery
from broadcaster.director.rundown import Rundown
from broadcaster.director.utterance import Utterance
from broadcaster.inbox import Inbox
from broadcaster.redact import whereabouts
from broadcaster.types import Inbound

log = logging.getLogger(__name__)


class Conductor:
    """`run` until cancelled. `stopping` says that nothing is begun any more; beat the pulse when that changes."""

    def __init__(
        self,
        inbox: Inbox,
        floor: Floor,
        rundown: Rundown,
        performer: Performer,
        pulse: Pulse,
        stopping: Callable[[], bool],
    ) -> None:
        self._inbox = inbox
        self._floor = floor
        self._rundown = rundown
        self._performer = performer
        self._pulse = pulse
        self._stopping = stopping
        self._performing: tuple[Utterance, asyncio.Task[None]] | None = None

    async def run(self, recovery: Recovery | None) -> None:
        """First waits until what an earlier director left in playout is over."""
        if recovery is not None:
            await recovery.settle(self._rundown.give_again)
            self._floor.adopt(recovery.resumed)
        while True:
            await self._pulse.until(self._may_begin)
            while self._rundown.seconds_over() > 0:
                await self._pulse.wait(timeout=self._rundown.seconds_over())
            prompt = await self._inbox.take()
            if not self._may_begin():
                self._inbox.untake()  # the state changed while it was waited for
                continue
            await self._perform(prompt)

    def cancel(self) -> None:
        """What is performed now is not performed any further."""
        if self._performing is not None:
            self._performing[1].cancel()

    def cancel_of(self, utterance: Utterance | None) -> None:
        """The same, if it is that utterance."""
        if self._performing is not None and self._performing[0] is utterance:
            self.cancel()

    def _may_begin(self) -> bool:
        return self._rundown.has_room() and not self._stopping()

    async def _perform(self, prompt: Inbound) -> None:
        utterance = self._floor.begin(prompt)
        self._rundown.add(utterance)
        task = asyncio.create_task(self._performer.perform(utterance))
        self._performing = (utterance, task)
        try:
            await asyncio.wait({task})
        finally:
            self._performing = None
            if not task.done():
                task.cancel()
                await asyncio.wait({task})
        if not task.cancelled() and (err := task.exception()) is not None:
            log.error("a prompt could not be performed", extra={"prompt": prompt.id, **whereabouts(err)})
            if utterance in self._rundown.active:
                self._rundown.drop(utterance, "brain")
