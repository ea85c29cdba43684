"""What is said next and who may cut in: the `Station` of one channel. Director process, event loop only.

Accepted prompts go from the inbox to the performer, whose sound goes to playout through the rundown; what playout
reports as heard goes into the journal, to the subscribers and into the brain's memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final

from broadcaster.config import Config
from broadcaster.director.admission import Admission, need
from broadcaster.director.agreement import Agreement
from broadcaster.director.attachments import Attachments
from broadcaster.director.bridge import Bridge
from broadcaster.director.commands import SinkCommands
from broadcaster.director.durable import Durable
from broadcaster.director.end_to_end import EndToEndDesk
from broadcaster.director.events import EventHub, Subscription
from broadcaster.director.floor import Floor
from broadcaster.director.hands import RundownHands
from broadcaster.director.heard import Ears, Words
from broadcaster.director.link import PlayoutLink
from broadcaster.director.performer import Performer
from broadcaster.director.pulse import Pulse
from broadcaster.director.recovery import Recovery
from broadcaster.director.report import Report
from broadcaster.director.rundown import Rundown
from broadcaster.director.trace import Tracer
from broadcaster.director.turns import Bridges, Cutting, cutting
from broadcaster.director.utterance import Utterance
from broadcaster.errors import JournalError, Refused
from broadcaster.inbox import Inbox
from broadcaster.journal import Journal, Unfinished, asrun_rows
from broadcaster.journal.traces import read_traces
from broadcaster.latency import Latencies, summary
from broadcaster.paths import Paths
from broadcaster.ports import Gate, Mind, Speaker
from broadcaster.types import PLAIN, Happening, Inbound, Manner, Origin, PromptKind, Role, Viewer
from broadcaster.wire import Aired, AnyMessage, PackageOnAir, PlayoutStatus, SinkReply, Welcome

log = logging.getLogger(__name__)

COUNTERS: Final = ("accepted", "refused", "done", "cut", "held", "skipped", "interrupts", "panics")
"""Counted by the director itself and reported from the start."""

CUT_REPORT_SECONDS: Final = 0.3
"""Then playout's word on where the cut fell is waited for so long."""

FINISH_SECONDS: Final = 1.8
"""At the end of the daemon the sentence on air may still be finished within this."""

PRUNE_SECONDS: Final = 24 * 3600.0


class Director:
    """`run` until cancelled; `finish` before that for a clean end. The other public methods are `Station`."""

    def __init__(
        self,
        config: Config,
        paths: Paths,
        *,
        speaker: Speaker,
        mind: Mind,
        gate: Gate,
        voices: Callable[[], list[dict[str, Any]]] = list,
        end_to_end: EndToEndDesk | None = None,
        words: Words = tuple,
    ) -> None:
        """`words` cuts Chinese text into words, for what is remembered of a sentence that was cut."""
        self.counters: Counter[str] = Counter()
        self.playout: PlayoutStatus | None = None
        self.stopping = False
        self.fresh_playouts = 0
        """How often playout came back without its memory: it was restarted."""
        self._config = config
        self._paths = paths
        self._pulse = Pulse()
        self._hub = EventHub()
        self.journal = Journal(paths.journal)
        turns = config.turns
        self._inbox = Inbox(
            config.inbox.capacity,
            expired=self._expired,
            cuts=lambda arriving, other: cutting(turns, arriving, other) is not Cutting.NEVER,
        )
        self.link = PlayoutLink(paths.playout_socket, on_up=self._up, on_down=self._down, on_message=self._message)
        clock = asyncio.get_running_loop().time
        self.rundown = Rundown(
            self.link,
            self.journal,
            self._pulse,
            self._hub.publish,
            self._finished,
            clock,
            self._cancel_performance_of,
        )
        self._floor = Floor(turns, self.rundown, self._inbox, self.journal)
        self._mind = mind
        self._ears = Ears(mind, self.rundown, words)
        hands = RundownHands(self.rundown, lambda: self.playout if self.link.connected else None)
        self._end_to_end = end_to_end
        self._tracer = Tracer(clock, self.journal.traces.keep)
        self._performer = Performer(
            gate,
            mind,
            speaker,
            self.journal,
            self.rundown,
            self._pulse,
            hands,
            self._tracer,
            end_to_end=end_to_end,
            bridge=Bridge(Bridges(turns.bridge), gate, self.journal),
        )
        self._attachments = Attachments(paths.questions)
        self.health = self._performer.health
        self._commands = SinkCommands(self.link.send)
        self._recovery: Recovery | None = None
        self._performing: tuple[Utterance, asyncio.Task[None]] | None = None
        self._background: set[asyncio.Task[Any]] = set()
        self._admission = Admission(config.inbox.max_text)
        self._durable = Durable(self.journal, paths.panic_marker)
        self._agreement = Agreement(self.rundown, self._durable, self._begin_panic)
        self._voices = voices
        self._report = Report(config, time.monotonic)

    # -- life -------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Reads the journal. Never fails: without a journal the channel is on air and prompts are refused."""
        self.rundown.panicked = bool(self._durable.panicked)
        try:
            await self.journal.open()
            found = await self._durable.read()
        except JournalError as err:
            log.error("no journal; prompts are refused until it is back", extra={"reason": str(err)})
            return
        finally:
            await self._mind.open(self.journal.memory, self.journal.ledger)
        self.rundown.panicked = bool(self._durable.panicked)
        await asyncio.to_thread(self._attachments.open, [entry.prompt for entry in found])
        if found:
            publish = self.rundown.publish_on_air
            self._recovery = Recovery(found, self.journal, self._inbox, self._pulse, publish, self._end)

    async def run(self) -> None:
        """Talks to playout and performs prompts. Call `open` first. Ends when cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.link.run())
            group.create_task(self._conduct())
            group.create_task(self._keep_house())
            group.create_task(self._durable.catch_up(self._read_late))

    async def finish(self, seconds: float = FINISH_SECONDS) -> None:
        """Lets the sentence on air end within `seconds`, or cuts it, and ends all subscriptions."""
        self.stopping = True
        self._pulse.beat()
        current = self.rundown.active[0] if self.rundown.active and self.rundown.active[0].sounding else None
        if current is not None and current.prompt.resumable:
            self.rundown.let_end(current)
            await self._pulse.until(lambda: current not in self.rundown.active, seconds)
            seconds = CUT_REPORT_SECONDS
        if current is not None:
            heard = current.heard
            await self._pulse.until(lambda: current not in self.rundown.active or current.heard > heard, seconds)
            if current.spoken and not current.pieces:  # that was its last: the report that it is done is on its way
                await self._pulse.until(lambda: current not in self.rundown.active, CUT_REPORT_SECONDS)
        self._put_back(self.rundown.stop(current))
        self._cancel_performance()
        await self._pulse.until(lambda: self.rundown.nothing_leaving, CUT_REPORT_SECONDS)
        self._hub.close()

    async def close(self) -> None:
        """After `run` has ended."""
        for task in tuple(self._background):
            task.cancel()
        await asyncio.to_thread(self.journal.close)

    # -- Station ----------------------------------------------------------------------------------------------

    async def accept(
        self,
        kind: PromptKind,
        text: str,
        origin: Origin,
        manner: Manner = PLAIN,
        *,
        viewer: Viewer | None = None,
        resumable: bool = False,
        happening: Happening | None = None,
        recording: str = "",
    ) -> Inbound:
        try:
            self._check_open()
            prompt = self._admission.inbound(
                kind,
                text,
                origin,
                manner,
                viewer=viewer,
                resumable=resumable,
                happening=happening,
                recording=self._recording(kind, recording) if recording else None,
            )
            self._inbox.reserve()
        except Refused:
            self.counters["refused"] += 1
            raise
        self._attachments.begun(prompt)
        # Shielded: a client that leaves now must not leave a prompt behind that is in the journal and nowhere else.
        return await asyncio.shield(self._keep(self._journalled(prompt)))

    async def attach(self, data: bytes, by: Origin) -> str:
        need(by, Role.MODERATOR, "a recording")
        self._need_end_to_end()
        return await self._attachments.keep(data)

    async def interrupt(self, by: Origin) -> None:
        need(by, Role.MODERATOR, "interrupt")
        target = self.rundown.interrupt()
        self.counters["interrupts"] += 1
        self._cancel_performance_of(target)

    async def panic(self, by: Origin) -> None:
        need(by, Role.MODERATOR, "panic")
        if not self.rundown.panicked:
            self._begin_panic()
            self.counters["panics"] += 1
            log.warning("panic", extra={"by": by.source, "role": by.role.value})
        await self._persist_panic(True, by)

    async def resume(self, by: Origin) -> None:
        need(by, Role.OPERATOR, "resume")
        if not self.rundown.panicked:
            return
        await self._persist_panic(False, by)
        self._agreement.resumed()
        self.rundown.resume()
        log.warning("resumed after a panic", extra={"by": by.source})
        self.publish_status()

    async def forget(self, viewer: str | None, by: Origin) -> int:
        need(by, Role.OPERATOR, "forgetting")
        self._mind.forget(viewer)  # first: nothing of it may be stored again behind the deletion
        try:
            gone = await self.journal.memory.forget(viewer)
        except JournalError as err:
            raise Refused(f"not everything was deleted: {err}", "journal") from err
        log.info("what was remembered is deleted", extra={"entries": gone, "everybody": viewer is None})
        return gone

    async def sink(self, command: dict[str, Any]) -> SinkReply:
        return await self._commands.run(command)

    def subscribe(self) -> Subscription:
        return self._hub.subscribe()

    def status(self) -> dict[str, Any]:
        brain = {**self._mind.status(), "end_to_end": self._end_to_end.status() if self._end_to_end else []}
        counters = {
            **dict.fromkeys(COUNTERS, 0),
            **self.counters,
            "refused_full": self._inbox.refused_full,
            "expired": self._inbox.expired,
            "events_lost": self._hub.lost,
            "journal_lost": self.journal.lost,
            "unstuck": self._agreement.unstuck,
            "repeated": self.rundown.repeated,
            "sentences_skipped": self.rundown.sentences_skipped,
            "voice_failures": self._performer.voice_failures,
            "brain_failures": sum(link["failures"] for link in brain["links"]),
            "playout_connections": self.link.connections,
        }
        return self._report.status(
            playout=self.playout if self.link.connected else None,
            rundown=self.rundown,
            foreign=self._recovery.prompt_of(self.playout) if self._recovery and self.playout else None,
            inbox=self._inbox,
            health=self.health,
            brain=brain,
            voices=self._voices(),
            journal_error=self.journal.error,
            stopping=self.stopping,
            turn=self._tracer.last,
            counters=counters,
        )

    def latencies(self) -> Latencies:
        return self._tracer.latencies

    async def latency(self, turns: int | None = 100, since_ns: int | None = None) -> dict[str, Any]:
        try:
            return await asyncio.to_thread(lambda: summary(read_traces(self._paths.journal, turns, since_ns)))
        except JournalError as err:
            raise Refused(str(err), "journal") from err

    async def asrun(self, limit: int = 50, before: int | None = None) -> list[dict[str, Any]]:
        try:
            return await asyncio.to_thread(asrun_rows, self._paths.journal, limit, before)
        except JournalError as err:
            raise Refused(str(err), "journal") from err

    # -- accepting --------------------------------------------------------------------------------------------

    def _check_open(self) -> None:
        if self.stopping:
            raise Refused("the daemon is going down; send it again when it is back", "stopping")
        if self.rundown.panicked:
            raise Refused("the channel is in panic; an operator must resume it first", "panicked")

    async def _journalled(self, prompt: Inbound) -> Inbound:
        try:
            await self.journal.accept(prompt)
        except JournalError as err:
            self._attachments.ended(prompt.id)
            self._inbox.release()
            self.counters["refused"] += 1
            raise Refused(f"the prompt was not accepted: {err}", "journal") from err
        self._tracer.accepted(prompt)
        self._floor.arrived(prompt)
        self.counters["accepted"] += 1
        self._pulse.beat()
        return prompt

    def _recording(self, kind: PromptKind, name: str) -> Path:
        self._need_end_to_end()
        if kind is not PromptKind.ASK:
            raise Refused("only a question can be a recording")
        return self._attachments.path(name)

    def _need_end_to_end(self) -> None:
        if self._end_to_end is None or not self._end_to_end.enabled:
            raise Refused(
                "nobody here can listen to a recording -> set up an end-to-end voice (brain.end_to_end), or ask in "
                "writing"
            )

    def _put_back(self, utterances: list[Utterance]) -> None:
        for utterance in utterances:
            self._floor.put_back(utterance)

    def _expired(self, prompt: Inbound) -> None:
        self._end(prompt, "skipped", "expired")

    async def _persist_panic(self, on: bool, by: Origin) -> None:
        try:
            await self._durable.save(on, by)
        except JournalError as err:
            what = "the panic is on, but would not survive a restart" if on else "the panic stays on"
            raise Refused(f"{what}: {err}", "journal") from err

    def _begin_panic(self) -> None:
        self._agreement.panic_commanded()
        back = self.rundown.panic()
        self._cancel_performance()
        self._put_back(back)
        self.publish_status()

    def _read_late(self, found: list[Unfinished]) -> None:
        """The journal came back after the start: what it knows is taken over now."""
        log.info("the journal is read after all", extra={"prompts": len(found)})
        for entry in found:
            self._attachments.begun(entry.prompt)
            self.journal.requeue(entry.prompt.id)
            self._inbox.restore(entry.prompt)
        if self._durable.panicked and not self.rundown.panicked:
            self._begin_panic()

    # -- performing -------------------------------------------------------------------------------------------

    async def _conduct(self) -> None:
        if self._recovery is not None:
            await self._recovery.settle(self.rundown.give_again)
            self._floor.adopt(self._recovery.resumed)
        while True:
            await self._pulse.until(self._may_begin)
            while self.rundown.seconds_over() > 0:
                await self._pulse.wait(timeout=self.rundown.seconds_over())
            prompt = await self._inbox.take()
            if not self._may_begin():
                self._inbox.untake()  # the state changed while it was waited for
                continue
            await self._perform(prompt)

    def _may_begin(self) -> bool:
        return self.rundown.has_room() and not self.stopping

    async def _perform(self, prompt: Inbound) -> None:
        utterance = self._floor.begin(prompt)
        self.rundown.add(utterance)
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
            log.error("a prompt could not be performed", exc_info=err, extra={"prompt": prompt.id})
            if utterance in self.rundown.active:
                self.rundown.drop(utterance, "brain")

    def _cancel_performance(self) -> None:
        if self._performing is not None:
            self._performing[1].cancel()

    def _cancel_performance_of(self, utterance: Utterance | None) -> None:
        if self._performing is not None and self._performing[0] is utterance:
            self._cancel_performance()

    def _finished(self, utterance: Utterance, state: str, reason: str, event: Aired | None) -> None:
        self._cancel_performance_of(utterance)
        if state == "back":
            self._floor.put_back(utterance)
        elif state != "held":
            self._end(utterance.prompt, state, reason, event, utterance.on_air or utterance.heard)
        elif self._floor.hold(utterance):
            self._tracer.ended(utterance.id)
            self.counters["held"] += 1
            self._hub.publish({"type": "held", "id": utterance.id, "sentence": utterance.heard})
        else:
            self._end(utterance.prompt, "done", "")

    def _end(self, prompt: Inbound, state: str, reason: str, event: Aired | None = None, sentence: int = 0) -> None:
        self._tracer.ended(prompt.id)
        self.journal.finish(prompt.id, state, reason)
        self._attachments.ended(prompt.id)
        self._mind.ended(prompt, cut=state == "cut")
        self.counters[state] += 1
        message: dict[str, Any] = {"type": state, "id": prompt.id}
        if state == "skipped":
            message["reason"] = reason
        elif state == "cut" and event is not None:
            message |= {"sentence": max(0, event.sentence), "samples": event.samples, "tick": event.tick}
        elif state == "cut":
            message |= {"sentence": sentence, "samples": 0, "tick": 0}
        self._hub.publish(message)

    # -- playout ----------------------------------------------------------------------------------------------

    def _up(self, welcome: Welcome) -> None:
        known = self.rundown.generation
        if known and welcome.generation < known:
            self.fresh_playouts += 1
        self._agreement.reconnected()
        self.rundown.up(welcome)
        if self._recovery is not None:
            self._recovery.greet(self.link.send, welcome.generation)

    def _down(self) -> None:
        self.playout = None
        self.rundown.down()
        self._commands.fail_all()

    def _message(self, message: AnyMessage) -> None:
        match message:
            case Aired():
                self._ears.aired(message, self._recovery)
                if not self.rundown.aired(message):
                    self.journal.aired(message, "")  # an earlier director's, or cut before it was known to be on air
                    if self._recovery is not None:
                        self._recovery.aired(message)
            case PackageOnAir():
                self._tracer.aired(message)
            case PlayoutStatus():
                self._on_status(message)
            case SinkReply():
                self._commands.answered(message)
            case _:
                log.warning("an unexpected message from playout", extra={"message_type": type(message).__name__})

    def _on_status(self, status: PlayoutStatus) -> None:
        self.playout = status
        if self._recovery is not None:
            self._recovery.status(status)
        self._agreement.check(status)
        self.publish_status()

    def publish_status(self) -> None:
        if len(self._hub):
            self._hub.publish({"type": "status", "status": self.status()})

    # -- house ------------------------------------------------------------------------------------------------

    async def _keep_house(self) -> None:
        while True:
            await asyncio.sleep(PRUNE_SECONDS)
            with contextlib.suppress(JournalError):
                await self.journal.prune()

    def _keep(self, work: Coroutine[Any, Any, Inbound]) -> asyncio.Task[Inbound]:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task
