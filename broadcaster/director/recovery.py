"""After a restart of the director: what did the earlier one leave in playout, and what is still to be said?

Playout goes on speaking without a director and keeps its reports. So nothing new is given to it until what it
still has is over; only then is the rest queued. Director's event loop.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from broadcaster.director.pulse import Pulse
from broadcaster.director.sentences import sentences_of
from broadcaster.director.utterance import Script, Utterance, resumed
from broadcaster.inbox import Inbox
from broadcaster.journal import Journal, Line, Unfinished
from broadcaster.types import Inbound, PromptKind
from broadcaster.wire import Aired, AnyMessage, End, PlayoutStatus

log = logging.getLogger(__name__)

SETTLE_SECONDS: Final = 30.0
"""Playout holds 10 s of speech of an earlier director at most; one that is not through by then is not waited for."""

IDLE_REPORTS: Final = 2
"""Playout reports once a second; the first report may be from before it read our End."""


class Recovery:
    """Takes `found` (from the journal) to its end: every prompt of it is ended or queued again.

    `publish` and `ended` (prompt, state, reason, event) are told what becomes of those that playout still had.
    """

    def __init__(
        self,
        found: list[Unfinished],
        journal: Journal,
        inbox: Inbox,
        pulse: Pulse,
        publish: Callable[[Aired], None],
        ended: Callable[[Inbound, str, str, Aired | None], None],
    ) -> None:
        self._open = {entry.prompt.id: entry for entry in found}
        self._started = {entry.prompt.id for entry in found if entry.started or entry.heard}
        self._journal = journal
        self._inbox = inbox
        self._pulse = pulse
        self._publish = publish
        self._ended = ended
        self._idle_reports = 0
        self._settled: set[str] = set()
        self._dropped: dict[str, str] = {}
        self.resumed: dict[str, Utterance] = {}
        """Utterances of which a part was heard, by prompt: they go on where they were."""

    @property
    def pending(self) -> bool:
        """Playout may still have something of an earlier director."""
        return bool(self._started - self._settled)

    def greet(self, send: Callable[[AnyMessage], bool], generation: int) -> None:
        """Tells playout that nothing will be added to what it has. `generation` is playout's own."""
        self._idle_reports = 0
        for prompt in self._started - self._settled:
            send(End(generation, prompt))

    def aired(self, event: Aired) -> None:
        """A report about an utterance of an earlier director, which that one may have had as well."""
        entry = self._open.get(event.utterance)
        if entry is None:
            return
        if event.event in ("on_air", "heard") and (event.generation, event.sentence) in entry.known:
            return
        self._started.add(event.utterance)
        if event.event == "on_air":
            self._publish(event)
        elif event.event == "heard":
            heard, known = (*entry.heard, event.text), entry.known | {(event.generation, event.sentence)}
            self._open[event.utterance] = replace(entry, started=True, heard=heard, known=known)
        elif event.event == "cut" and entry.prompt.resumable and not entry.started:
            self._settled.add(event.utterance)  # it made way for another prompt, and goes on
        elif event.event == "cut":
            self._settled.add(event.utterance)
            del self._open[event.utterance]
            self._ended(entry.prompt, "cut", self._dropped.get(event.utterance, "interrupted"), event)
        elif event.event == "done":
            self._settled.add(event.utterance)
        self._pulse.beat()

    def knows(self, event: Aired) -> bool:
        """An earlier director had that report as well: "heard" of the same sentence."""
        entry = self._open.get(event.utterance)
        return entry is not None and event.event == "heard" and (event.generation, event.sentence) in entry.known

    def prompt_named(self, utterance: str) -> Inbound | None:
        entry = self._open.get(utterance)
        return entry.prompt if entry is not None else None

    def prompt_of(self, status: PlayoutStatus) -> Inbound | None:
        """The earlier director's prompt that is on air, if any."""
        entry = self._open.get(status.talking)
        return entry.prompt if entry is not None else None

    def status(self, status: PlayoutStatus) -> None:
        if status.talking in self._open:
            self._started.add(status.talking)
        self._idle_reports = self._idle_reports + 1 if not status.talking and status.queued_ms == 0 else 0
        self._pulse.beat()

    def drop(self, id: str, reason: str, cut: Callable[[], object]) -> bool:
        """It is not wanted any more. `cut` silences playout, where it may be on air. False when it is not here."""
        entry = self._open.get(id)
        if entry is None or id in self._dropped:
            return False
        self._dropped[id] = reason
        if id in self._started - self._settled:
            cut()
        else:
            self._end_dropped(entry)
        return True

    def _end_dropped(self, entry: Unfinished) -> bool:
        self._open.pop(entry.prompt.id, None)
        state = "cut" if entry.started or entry.heard else "skipped"
        self._ended(entry.prompt, state, self._dropped[entry.prompt.id], None)
        return False

    async def settle(self, cut: Callable[[], None]) -> None:
        """Waits until playout has nothing of an earlier director any more (or calls `cut`), queues what is left."""

        def through() -> bool:
            return not self.pending or self._idle_reports >= IDLE_REPORTS

        if not await self._pulse.until(through, SETTLE_SECONDS):
            log.warning("playout still speaks for an earlier director; it is cut")
            cut()
        self._journal.break_off_all()
        queued = sum(self._queue(entry) for entry in list(self._open.values()))
        self._open.clear()
        if queued:
            log.info("prompts of an earlier run go on", extra={"prompts": queued})

    def _queue(self, entry: Unfinished) -> bool:
        prompt = entry.prompt
        if prompt.id in self._dropped:
            return self._end_dropped(entry)
        if not entry.heard:
            self._journal.requeue(prompt.id)
            self._inbox.restore(prompt)
            return True
        utterance = resumed_utterance(entry)
        if utterance.unsaid:
            self.resumed[prompt.id] = utterance
            if prompt.resumable:
                self._inbox.hold(prompt)
            else:
                self._inbox.restore(prompt)
            return True
        self._ended(prompt, "done" if entry.complete else "cut", "" if entry.complete else "restart", None)
        return False


def resumed_utterance(entry: Unfinished) -> Utterance:
    """The utterance as it stood after its last sentence that was heard in full; its script is closed.

    An answer that was half written is not asked for again: what there is of it is spoken.
    """
    script = Script()
    lines = entry.script
    if not lines and entry.prompt.kind is PromptKind.SAY:
        lines = tuple(Line(sentence, "") for sentence in sentences_of(entry.prompt.text))
    for line in lines:
        script.add(line)
    script.close()
    return resumed(entry.prompt, script, entry.heard)
