"""Do director and playout mean the same? Looked at with every report of playout. Director's event loop."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

from broadcaster.director.durable import Durable
from broadcaster.director.rundown import Rundown
from broadcaster.types import Origin, Role
from broadcaster.wire import PlayoutStatus

log = logging.getLogger(__name__)

STUCK_REPORTS: Final = 3
"""Playout says so often (once a second) that it has nothing, though it was given something: it is given it again."""

PANIC_ECHO_SECONDS: Final = 2.0
"""Playout's report of a panic may be this old."""


class Agreement:
    """`begin_panic` makes the channel panic as playout does. `unstuck` counts utterances that playout had lost."""

    def __init__(
        self,
        rundown: Rundown,
        durable: Durable,
        begin_panic: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.unstuck = 0
        self._rundown = rundown
        self._durable = durable
        self._begin_panic = begin_panic
        self._clock = clock
        self._idle_reports = 0
        self._commanded = clock() - PANIC_ECHO_SECONDS
        self._lifting = False
        """This director has ended a panic, and playout has not said yet that it knows."""

    def resumed(self) -> None:
        self._lifting = True
        self.panic_commanded()

    def panic_commanded(self) -> None:
        """A panic was begun or ended just now: reports from before say nothing."""
        self._commanded = self._clock()

    def reconnected(self) -> None:
        self._idle_reports = 0

    def check(self, status: PlayoutStatus) -> None:
        self._check_utterance(status)
        self._check_panic(status)

    def _check_utterance(self, status: PlayoutStatus) -> None:
        """A report of playout was lost, or what it was given was cut on the way."""
        idle = not status.talking and status.queued_ms == 0 and not status.panicked
        self._idle_reports = self._idle_reports + 1 if idle and self._rundown.waits_for_playout else 0
        if self._idle_reports >= STUCK_REPORTS:
            self._idle_reports = 0
            self.unstuck += 1
            log.warning("playout lost an utterance; it gets it again")
            self._rundown.give_again()

    def _check_panic(self, status: PlayoutStatus) -> None:
        """Only a resume of this director lifts a panic of playout: one given past a hung director is kept."""
        if status.panicked == self._rundown.panicked:
            self._lifting = self._lifting and status.panicked
            return
        if self._clock() - self._commanded < PANIC_ECHO_SECONDS:
            return
        if status.panicked and not self._lifting:
            log.warning("playout is in panic, and not by this director's word; the channel stays in panic")
            self._begin_panic()
            self._durable.owe(Origin("playout", role=Role.OPERATOR))
        else:
            self.panic_commanded()
            self._rundown.repeat_panic()
