"""The panic: silence at once, kept through restarts, until an operator ends it. Director's event loop only."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable

from broadcaster.director.agreement import Agreement
from broadcaster.director.durable import Durable
from broadcaster.director.rundown import Rundown
from broadcaster.director.utterance import Utterance
from broadcaster.errors import JournalError, Refused
from broadcaster.types import Origin

log = logging.getLogger(__name__)


class PanicButton:
    """`put_back` gets what was given to playout and not heard, after `cancel` has ended the performance; `changed` is
    told when a panic has begun or ended."""

    def __init__(
        self,
        rundown: Rundown,
        durable: Durable,
        counters: Counter[str],
        *,
        cancel: Callable[[], None],
        put_back: Callable[[list[Utterance]], None],
        changed: Callable[[], None],
    ) -> None:
        self.agreement = Agreement(rundown, durable, self.begin)
        self._rundown = rundown
        self._durable = durable
        self._counters = counters
        self._cancel = cancel
        self._put_back = put_back
        self._changed = changed

    def begin(self) -> None:
        """Silence, without a word to the journal."""
        self.agreement.panic_commanded()
        back = self._rundown.panic()
        self._cancel()
        self._put_back(back)
        self._changed()

    async def press(self, by: Origin) -> None:
        """See `station.Station.panic`."""
        if not self._rundown.panicked:
            self.begin()
            self._counters["panics"] += 1
            log.warning("panic", extra={"by": by.source, "role": by.role.value})
        await self._persist(True, by)

    async def release(self, by: Origin) -> None:
        """See `station.Station.resume`."""
        if not self._rundown.panicked:
            return
        await self._persist(False, by)
        self.agreement.resumed()
        self._rundown.resume()
        log.warning("resumed after a panic", extra={"by": by.source})
        self._changed()

    async def _persist(self, on: bool, by: Origin) -> None:
        try:
            await self._durable.save(on, by)
        except JournalError as err:
            what = "the panic is on, but would not survive a restart" if on else "the panic stays on"
            raise Refused(f"{what}: {err}", "journal") from err
