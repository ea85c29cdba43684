"""What is said next and who may cut in: the `Station` of one channel. Director process, event loop only.

What the reception accepts goes through the inbox to the conductor and the performer, whose sound goes to playout
through the rundown; what playout reports as heard goes to the journal, the subscribers and the brain's memory.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from broadcaster.config import Config
from broadcaster.director.admission import Admission, need
from broadcaster.director.attachments import Attachments
from broadcaster.director.bridge import Bridge
from broadcaster.director.commands import SinkCommands
from broadcaster.director.conductor import Conductor
from broadcaster.director.delay import Delay
from broadcaster.director.durable import Durable
from broadcaster.director.end_to_end import EndToEndDesk
from broadcaster.director.endings import Endings
from broadcaster.director.events import EventHub, Subscription
from broadcaster.director.farewell import cut_reported, last_sentence
from broadcaster.director.floor import Floor
from broadcaster.director.hands import RundownHands
from broadcaster.director.heard import Ears, Words
from broadcaster.director.link import PlayoutLink
from broadcaster.director.moderators import moderators_of
from broadcaster.director.pace import Pace
from broadcaster.director.panic import PanicButton
from broadcaster.director.performer import Performer
from broadcaster.director.pulse import Pulse
from broadcaster.director.reception import Reception
from broadcaster.director.records import Records
from broadcaster.director.recovery import Recovery
from broadcaster.director.report import Report
from broadcaster.director.room import Room
from broadcaster.director.rules import HouseRules
from broadcaster.director.rundown import Rundown
from broadcaster.director.trace import Tracer
from broadcaster.director.turns import Bridges, Cutting, cutting
from broadcaster.director.utterance import Utterance
from broadcaster.errors import JournalError
from broadcaster.inbox import Inbox
from broadcaster.journal import Journal, Unfinished
from broadcaster.latency import Latencies
from broadcaster.paths import Paths
from broadcaster.ports import Gate, Mind, Speaker
from broadcaster.types import PLAIN, Happening, Inbound, Lane, Manner, Origin, PromptKind, Role, Viewer
from broadcaster.wire import Aired, AnyMessage, PackageOnAir, PlayoutStatus, SinkReply, Welcome

log = logging.getLogger(__name__)

COUNTERS: Final = ("accepted", "refused", "done", "cut", "held", "skipped", "interrupts", "panics")
"""Counted by the director itself and reported from the start."""

FINISH_SECONDS: Final = 1.8
"""At the end of the daemon the sentence on air may still be finished within this."""


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
        sources: Callable[[], list[dict[str, Any]]] = list,
        host: str = "",
    ) -> None:
        """`sources` tells how they are doing; `words` cuts Chinese text into words, for what is remembered of a
        sentence that was cut. `host` is the name that viewers call."""
        self.counters: Counter[str] = Counter()
        self.playout: PlayoutStatus | None = None
        self.stopping = False
        self.fresh_playouts = 0
        """How often playout came back without its memory: it was restarted."""
        self._pulse = Pulse()
        self._hub = EventHub()
        self.journal = Journal.of(config, paths)
        turns = config.turns
        self._inbox = Inbox(
            config.inbox,
            names=[host],
            expired=lambda prompt: self._endings.expired(prompt),
            chosen=lambda prompt, why: self._endings.chosen(prompt, why),
            dropped=lambda prompt, reason: self._endings.let_go(prompt, reason),
            cuts=lambda arriving, other: cutting(turns, arriving, other) is not Cutting.NEVER,
        )
        self.link = PlayoutLink(paths.playout_socket, on_up=self._up, on_down=self._down, on_message=self._message)
        clock = asyncio.get_running_loop().time
        self.rundown = Rundown(
            self.link, self.journal, self._pulse, self._hub.publish, self._finished, clock,
            lambda utterance: self._conductor.cancel_of(utterance), Delay(config.moderation.delay_s),
        )  # fmt: skip
        self._floor = Floor(turns, self.rundown, self._inbox, self.journal)
        self._mind = mind
        self._ears = Ears(mind, self.rundown, words)
        hands = RundownHands(self.rundown, lambda: self.playout if self.link.connected else None)
        self._end_to_end = end_to_end
        self._pace = Pace(clock)
        self._tracer = Tracer(clock, self.journal.traces.keep)
        self._performer = Performer(
            gate, mind, speaker, self.journal, self.rundown, self._pulse, hands, self._tracer,
            end_to_end=end_to_end, bridge=Bridge(Bridges(turns.bridge), gate, self.journal),
        )  # fmt: skip
        self.health = self._performer.health
        self._conductor = Conductor(
            self._inbox, self._floor, self.rundown, self._performer, self._pulse, lambda: self.stopping
        )
        self._attachments = Attachments(paths.questions)
        self._endings = Endings(
            self.journal, self._tracer, self._attachments, mind, self._hub.publish, self.counters
        )  # fmt: skip
        self._end = self._endings.end
        admission = Admission(config.inbox.max_text)
        self.rules = HouseRules(self.journal.decisions, pause=self._inbox.pause)
        self.room = Room(
            config, self.journal, self._inbox, gate, admission, self.rules,
            hold=lambda prompt, reason: self._moderators.hold(prompt, reason),
            withdraw=lambda id, reason: self._moderators.withdraw(id, reason),
            let_go=self._endings.let_go, arrived=self._floor.arrived_paid, names=(host,),
        )  # fmt: skip
        self._endings.freed, self._endings.given_out = self.room.freed, self.room.chosen
        self._reception = Reception(
            admission,
            self._attachments,
            self._inbox,
            self.journal,
            self.rundown,
            end_to_end,
            self.counters,
            stopping=lambda: self.stopping,
            arrived=self._arrived,
        )
        self._records = Records(self.journal, mind, lambda viewer: self._moderators.forget(viewer))
        self._commands = SinkCommands(self.link.send)
        self._recovery: Recovery | None = None
        self._durable = Durable(self.journal, paths.panic_marker)
        self._panic = PanicButton(
            self.rundown, self._durable, self.counters,
            cancel=self._conductor.cancel, put_back=self._put_back, changed=self.publish_status,
        )  # fmt: skip
        self._agreement = self._panic.agreement
        self._moderators = desk = moderators_of(
            config, self.journal, self._inbox, self.rundown, self._floor, self.rules, self._pace, gate, admission,
            self.room, self._endings, lambda: self._recovery,
        )  # fmt: skip
        self.queue, self.place, self.moderate, self.bans = desk.queue, desk.place, desk.moderate, desk.bans
        self._voices = voices
        self._sources = sources
        self._moderation = gate.status
        self._report = Report(config, time.monotonic)

    # -- life -------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Reads the journal. Never fails: without a journal the channel is on air and prompts are refused."""
        self.rundown.panicked = bool(self._durable.panicked)
        self.journal.arrive(time.time_ns())
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
        await self.room.open()
        if found:
            self._endings.known(entry.prompt for entry in found)
            publish = self.rundown.publish_on_air
            self._recovery = Recovery(found, self.journal, self._inbox, self._pulse, publish, self._end)

    async def run(self) -> None:
        """Talks to playout and performs prompts. Call `open` first. Ends when cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.link.run())
            group.create_task(self._conductor.run(self._recovery))
            group.create_task(self._records.keep_house())
            group.create_task(self._records.stay_alive())
            group.create_task(self.room.run())
            group.create_task(self._durable.catch_up(self._read_late))

    async def finish(self, seconds: float = FINISH_SECONDS) -> None:
        """Lets the sentence on air end within `seconds`, or cuts it, and ends all subscriptions."""
        self.stopping = True
        self._pulse.beat()
        self._put_back(await last_sentence(self.rundown, self._pulse, seconds))
        self._conductor.cancel()
        await cut_reported(self.rundown, self._pulse)
        self.journal.leave()
        self._hub.close()

    async def close(self) -> None:
        """After `run` has ended."""
        self._reception.close()
        self.room.save()
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
        return await self._reception.accept(
            kind, text, origin, manner,
            viewer=viewer, resumable=resumable, happening=happening, recording=recording,
        )  # fmt: skip

    async def attach(self, data: bytes, by: Origin) -> str:
        need(by, Role.MODERATOR, "a recording")
        return await self._reception.attach(data)

    async def interrupt(self, by: Origin) -> None:
        need(by, Role.MODERATOR, "interrupt")
        target = self.rundown.interrupt()
        self.counters["interrupts"] += 1
        self._conductor.cancel_of(target)

    async def panic(self, by: Origin) -> None:
        need(by, Role.MODERATOR, "panic")
        await self._panic.press(by)

    async def resume(self, by: Origin) -> None:
        need(by, Role.OPERATOR, "resume")
        await self._panic.release(by)

    async def forget(self, viewer: str | None, by: Origin) -> int:
        need(by, Role.OPERATOR, "forgetting")
        return await self._records.forget(viewer)

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
            sources=self._sources(),
            moderation=self._moderation(),
            moderators=self._moderators.status(),
            journal_error=self.journal.error,
            stopping=self.stopping,
            turn=self._tracer.last,
            room=self.room.status(),
            counters=counters,
        )

    def latencies(self) -> Latencies:
        return self._tracer.latencies

    async def latency(self, turns: int | None = 100, since_ns: int | None = None) -> dict[str, Any]:
        return await self._records.latency(turns, since_ns)

    async def asrun(self, limit: int = 50, before: int | None = None) -> list[dict[str, Any]]:
        return await self._records.asrun(limit, before)

    # -- accepting --------------------------------------------------------------------------------------------

    def _arrived(self, prompt: Inbound) -> None:
        self._tracer.accepted(prompt)
        self._floor.arrived(prompt)
        self.counters["accepted"] += 1
        self._pulse.beat()

    def _read_late(self, found: list[Unfinished]) -> None:
        """The journal came back after the start: what it knows is taken over now."""
        log.info("the journal is read after all", extra={"prompts": len(found)})
        self._endings.known(entry.prompt for entry in found)
        for entry in found:
            self._attachments.begun(entry.prompt)
            self.journal.requeue(entry.prompt.id)
            self._inbox.restore(entry.prompt)
        if self._durable.panicked and not self.rundown.panicked:
            self._panic.begin()

    # -- ending -----------------------------------------------------------------------------------------------

    def _finished(self, utterance: Utterance, state: str, reason: str, event: Aired | None) -> None:
        self._conductor.cancel_of(utterance)
        self._pace.ended(utterance.prompt, whole=state == "done")
        if state == "back":
            self._floor.put_back(utterance)
        elif (state, reason) == ("skipped", "held") and utterance.prompt.lane is not Lane.MODERATOR:
            self._tracer.ended(utterance.id)
            self.journal.requeue(utterance.id)
            self._moderators.hold(utterance.prompt, utterance.note)
        elif state != "held":
            self._end(utterance.prompt, state, reason, event, utterance.on_air or utterance.heard)
        elif self._floor.hold(utterance):
            self._tracer.ended(utterance.id)
            self.counters["held"] += 1
            self._hub.publish({"type": "held", "id": utterance.id, "sentence": utterance.heard})
        else:
            whole = utterance.script.closed
            self._end(utterance.prompt, "done" if whole else "cut", "" if whole else reason, event, utterance.heard)

    def _put_back(self, utterances: list[Utterance]) -> None:
        for utterance in utterances:
            self._floor.put_back(utterance)

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
                self._pace.aired(message)
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
