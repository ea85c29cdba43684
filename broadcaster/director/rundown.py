"""What playout has been given: the utterance on air and the one after it, and the generation that they carry.

Interrupting raises the generation and sends one Cut; what is not cut goes out again at once, from the sound that
is kept. The same happens when playout comes back from the dead. What makes way for another prompt behind a sentence
is trimmed there instead, and the generation stays. With a broadcast delay, sound waits here until it may be heard.
Director's event loop only, never waits.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final

from broadcaster.director.delay import Delay
from broadcaster.director.leaving import Leaving
from broadcaster.director.link import Sender
from broadcaster.director.pulse import Pulse
from broadcaster.director.transmission import Transmission
from broadcaster.director.turns import Cutting
from broadcaster.director.utterance import STOPPED, Held, Utterance
from broadcaster.journal import Journal
from broadcaster.types import Inbound, SpokenPiece
from broadcaster.wire import Aired, Cut, Panic, Trim, Welcome

log = logging.getLogger(__name__)

MADE_WAY: Final = "interrupted"
"""Why a prompt ends that another one has cut and that does not go on."""

RESENDS: Final = 5
"""Tries to get the same sentence on air when playout dies each time; then it is the sentence that kills it."""

Finished = Callable[[Utterance, str, str, Aired | None], None]
"""(utterance, "done" | "cut" | "skipped", reason, the event that ended it); or "held": it made way and goes on later,
or "back": it made way before any of it was heard."""


class Rundown:
    """`active[0]` is on air or the next to be. `finished` is called exactly once per utterance that was added,
    unless it is handed back by `panic` or `stop`."""

    def __init__(
        self,
        link: Sender,
        journal: Journal,
        pulse: Pulse,
        publish: Callable[[dict[str, Any]], None],
        finished: Finished,
        clock: Callable[[], float],
        yielded: Callable[[Utterance], None] = lambda utterance: None,
        delay: Delay | None = None,
    ) -> None:
        """`yielded` is told when no more sound of an utterance is needed because it makes way."""
        self.active: list[Utterance] = []
        self.generation = 0
        self.panicked = False
        self.repeated = 0
        self.sentences_skipped = 0
        self._link = link
        self._journal = journal
        self._pulse = pulse
        self._publish = publish
        self._finished = finished
        self._clock = clock
        self._yielded = yielded
        self._transmission = Transmission(link, delay or Delay(), clock, yielded, self._released)
        self._leaving = Leaving(self._left)

    # -- giving -----------------------------------------------------------------------------------------------

    def has_room(self) -> bool:
        return not self.panicked and self._transmission.has_room(self.active)

    def seconds_over(self) -> float:
        """How much more sound waits than is enough; not positive when there is room."""
        return self._transmission.seconds_over(self.active)

    def seconds_unheard(self) -> float:
        """Of sound in hand, of every utterance, that was not heard yet."""
        return self._transmission.seconds_unheard(self.active)

    @property
    def delayed(self) -> bool:
        return self._transmission.delayed

    def begins(self) -> list[float]:
        """In how many seconds the rest of each in hand will be heard; the last number is behind them all."""
        return self._transmission.begins(self.active)

    def add(self, utterance: Utterance) -> None:
        utterance.generation = self.generation
        self.active.append(utterance)
        self.admitted(utterance)

    def admitted(self, utterance: Utterance) -> None:
        """Lines were added to its script: the broadcast delay begins for them."""
        for event in self._transmission.admitted(utterance, self.active):
            self._publish(event)

    def give(self, utterance: Utterance, piece: SpokenPiece, base: int) -> None:
        utterance.add(piece, base)
        self.transmit()

    def complete(self, utterance: Utterance) -> None:
        """No more sound will come for it."""
        utterance.spoken = True
        self.transmit()

    def drop(self, utterance: Utterance, reason: str) -> None:
        """It will not be spoken (any further). What playout has of it is played."""
        utterance.failure = reason
        if utterance.begun or utterance.sent or (self.delayed and utterance.pieces):
            self.complete(utterance)
        else:
            self._finish(utterance, "skipped", reason, None)

    def transmit(self) -> None:
        """Sends all that can be sent, in order."""
        if not self.panicked:
            self._transmission.send(self.active)

    def _released(self) -> None:
        self.transmit()
        self._pulse.beat()

    # -- cutting ----------------------------------------------------------------------------------------------

    def interrupt(self, reason: str = "interrupted") -> Utterance | None:
        """Cuts what is on air, or what is about to be; the next one goes on. None when nothing is there."""
        self.generation += 1
        self._link.brake(Cut(self.generation))
        target = self.active.pop(0) if self.active else None
        if target is not None:
            target.last = None
        for utterance in self.active:
            utterance.unsend(self.generation)
        if target is not None:
            self._leave(target, reason)
        self.transmit()
        self._pulse.beat()
        return target

    def make_way(self, when: Callable[[Inbound], Cutting]) -> bool:
        """Cuts what another prompt may cut; that one comes next. `when` says it of a prompt. False when nothing is
        cut, or to be cut."""
        ways = [(each, when(each.prompt)) for each in self.active if each.last is None]
        cut = [(utterance, way) for utterance, way in ways if way is not Cutting.NEVER]
        for utterance, _ in cut:
            if not utterance.sounding:
                self._withdraw(utterance)
        for utterance, way in cut:
            if utterance.sounding and way is Cutting.AT_ONCE:
                self._break_off(utterance)
            elif utterance.sounding:
                self.let_end(utterance)
        self._pulse.beat()
        return bool(cut)

    def take_off(self, id: str, reason: str, *, at_once: bool = False) -> bool:
        """For good: nothing of it is heard behind the sentence on air, or, `at_once`, behind this moment. It ends as
        cut, or as skipped when nothing of it was heard. False when it is not here."""
        known = (each for each in (*self.active, *self._leaving.all()) if each.id == id and not each.dropped)
        if (utterance := next(known, None)) is None:
            return False
        utterance.dropped = reason
        if utterance not in self.active:
            return True
        if not utterance.sounding:
            self._withdraw(utterance)
        elif at_once:
            self._break_off(utterance)
        else:
            now = utterance.on_air if utterance.on_air is not None else utterance.heard - 1
            utterance.last = now if utterance.last is None else min(utterance.last, now)
            utterance.ended = False
            self.transmit()
        self._pulse.beat()
        return True

    def let_end(self, utterance: Utterance) -> None:
        """What is on air ends behind its sentence."""
        utterance.last = utterance.ending(utterance.on_air if utterance.on_air is not None else utterance.heard - 1)
        utterance.ended = False
        if utterance.prompt.resumable:
            self._journal.hold(utterance.id)
        self.transmit()

    def _withdraw(self, utterance: Utterance) -> None:
        """What has not begun is taken back."""
        utterance.last = -1
        self.active.remove(utterance)
        self._yielded(utterance)
        if utterance.sent == 0:
            self._finish(utterance, "skipped" if utterance.dropped else "back", utterance.dropped, None)
            return
        self._link.send(Trim(utterance.generation, utterance.id, -1))
        self._leave(utterance, MADE_WAY)

    def _break_off(self, utterance: Utterance) -> None:
        """What is on air is cut at once."""
        if utterance.prompt.resumable and not utterance.dropped:
            self._journal.hold(utterance.id)
        self._yielded(utterance)
        if utterance.last is None:
            utterance.last = -1
        self.generation += 1
        self._link.brake(Cut(self.generation))
        if utterance in self.active:
            self.active.remove(utterance)
            self._leave(utterance, MADE_WAY)
        for other in self.active:
            other.unsend(self.generation)
        self.transmit()

    def _overrun(self, utterance: Utterance, sentence: int) -> None:
        """Playout had begun the next sentence before it knew: that one ends, or is cut when it is not whole."""
        if utterance.dropped:
            self._break_off(utterance)
            return
        utterance.last = sentence
        utterance.ended = False
        if utterance in self.active:
            self.transmit()
        if not utterance.whole(sentence):
            self._break_off(utterance)

    def panic(self) -> list[Utterance]:
        """Silence at once. What was on air is cut for good; what was not comes back to the caller."""
        self.panicked = True
        self.generation += 1
        self._link.brake(Panic(True, self.generation))
        for utterance in self.active:
            utterance.last = None
        return self._clear([utterance for utterance in self.active if utterance.sounding], "panic")

    def stop(self, current: Utterance | None) -> list[Utterance]:
        """The end of the daemon: `current` is cut, and goes on after it or not; all else comes back."""
        self.generation += 1
        self._link.brake(Cut(self.generation))
        if current is not None and current in self.active and current.goes_on(STOPPED):
            current.last = -1
            self._journal.hold(current.id)
        return self._clear([utterance for utterance in self.active if utterance is current], STOPPED)

    def resume(self) -> None:
        self.panicked = False
        self.repeat_panic()
        self._pulse.beat()

    def repeat_panic(self) -> None:
        """Tells playout once more whether there is a panic."""
        self.generation += 1
        self._link.brake(Panic(self.panicked, self.generation))
        self._resend()

    def give_again(self) -> None:
        """Playout has lost what it was given: all that was not heard is sent anew."""
        self.generation += 1
        self._link.brake(Cut(self.generation))
        self._resend()

    @property
    def waits_for_playout(self) -> bool:
        """Something was given that should be on air by now. A hole in a sentence is the voice's matter."""
        if not self.active:
            return False
        first = self.active[0]
        return first.ended or (first.on_air is None and first.sent > 0)

    @property
    def nothing_leaving(self) -> bool:
        return len(self._leaving) == 0

    def _clear(self, cut: list[Utterance], reason: str) -> list[Utterance]:
        active, self.active = self.active, []
        for utterance in cut:
            self._leave(utterance, reason)
        self._pulse.beat()
        return [utterance for utterance in active if utterance not in cut]

    def _leave(self, utterance: Utterance, reason: str) -> None:
        if not utterance.begun and utterance.sent == 0:
            self._finish(utterance, "skipped", reason, None)
            return
        self._leaving.add(utterance, reason)

    def _left(self, utterance: Utterance, reason: str, event: Aired | None) -> None:
        if utterance.last is not None:
            self._gone(utterance, reason, event)
        else:
            self._finish(utterance, "cut", reason, event)

    def _gone(self, utterance: Utterance, reason: str, event: Aired | None) -> None:
        """It has left the air for another prompt, or was taken off: what becomes of it?"""
        where = event if event is not None and event.event == "cut" else None
        if utterance.spoken and not utterance.pieces:
            self._finish(utterance, "cut" if utterance.failure else "done", utterance.failure, event)
        elif utterance.dropped:
            partly = utterance.begun or utterance.repeats  # playout may have died in its first sentence
            self._finish(utterance, "cut" if partly else "skipped", utterance.dropped, where)
        elif not utterance.sounding:
            self._finish(utterance, "back", "", None)
        else:
            self._finish(utterance, "held" if utterance.goes_on(reason) else "cut", reason, where)

    # -- what playout tells -----------------------------------------------------------------------------------

    def aired(self, event: Aired) -> bool:
        """False when it is about nothing that is known here (an earlier director's utterance)."""
        key = (event.utterance, event.generation)
        leaving, utterance = self._leaving.find(key), self._find(key)
        if utterance is None:
            return False
        self._journal.aired(event, utterance.verdict(event.sentence))
        match event.event:
            case "on_air":
                utterance.on_air, utterance.on_air_since = event.sentence, self._clock()
                self.publish_on_air(event)
                if utterance.last is not None and event.sentence > utterance.last:
                    self._overrun(utterance, event.sentence)
            case "heard":
                utterance.hear(event.sentence)
            case "done" | "cut" if leaving:
                self._leaving.over(key, event)
            case "done" if utterance.last is not None:
                self._gone(utterance, MADE_WAY, event)
            case "done":
                self._finish(utterance, "cut" if utterance.failure else "done", utterance.failure, event)
            case "cut":
                self._finish(utterance, "cut", "playout", event)
        self._pulse.beat()
        return True

    def publish_on_air(self, event: Aired) -> None:
        told = {"id": event.utterance, "sentence": event.sentence, "text": event.text, "tick": event.tick}
        self._publish({"type": "on_air", **told})

    def up(self, welcome: Welcome) -> None:
        """Playout is there (again) and has nothing: it gets what it must know, the panic first."""
        self.generation = max(self.generation, welcome.generation) + 1
        if self.panicked:
            self._link.brake(Panic(True, self.generation))
        elif self.active:
            self._link.brake(Cut(self.generation))
        self._resend()
        self._pulse.beat()

    def down(self) -> None:
        """Playout is gone, and with it what it had in hand."""
        for utterance in self.active:
            self._journal.broken_off(utterance.id, utterance.generation)
            if utterance.on_air is not None:
                utterance.repeats += 1
            utterance.on_air = None
        self._leaving.all_over()
        self._pulse.beat()

    def _resend(self) -> None:
        for utterance in list(self.active):
            self._again(utterance)
        self.transmit()

    def _again(self, utterance: Utterance) -> None:
        first_given = utterance is self.active[0] and utterance.sent > 0
        if utterance.repeats > 1:
            log.error("a sentence broke the air twice and is left out", extra={"prompt": utterance.id})
            self.sentences_skipped += 1
            utterance.skip_sentence()
        elif utterance.repeats == 1:
            self.repeated += 1
        if first_given:
            utterance.resent += 1
        if utterance.resent > RESENDS:
            log.error("playout dies of this utterance; it is dropped", extra={"prompt": utterance.id})
            self._finish(utterance, "cut" if utterance.begun else "skipped", "playout", None)
            return
        utterance.unsend(self.generation)
        if utterance.dropped or (utterance.last is not None and utterance.heard > utterance.last):
            self._gone(utterance, MADE_WAY, None)
        elif utterance.spoken and not utterance.pieces:
            self._finish(utterance, "cut" if utterance.failure else "done", utterance.failure, None)

    def prompt_of(self, utterance: str) -> Inbound | None:
        """Of an utterance that is given or has just been cut."""
        return next((u.prompt for u in (*self.active, *self._leaving.all()) if u.id == utterance), None)

    def sound_of(self, event: Aired) -> tuple[list[Held], bool]:
        """What is in hand of the sound of the sentence that `event` is about, and whether that is all of it."""
        utterance = self._find((event.utterance, event.generation))
        return utterance.sound_of(event.sentence) if utterance is not None else ([], False)

    def _find(self, key: tuple[str, int]) -> Utterance | None:
        return self._leaving.find(key) or next((u for u in self.active if (u.id, u.generation) == key), None)

    def _finish(self, utterance: Utterance, state: str, reason: str, event: Aired | None) -> None:
        if utterance in self.active:
            self.active.remove(utterance)
        self._finished(utterance, state, reason, event)
        self._pulse.beat()
