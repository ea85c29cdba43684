"""What playout has been given: the utterance on air and the one after it, and the generation that they carry.

Interrupting raises the generation and sends one Cut; what is not cut goes out again at once, from the sound that
is kept. The same happens when playout comes back from the dead. What makes way for another prompt behind a sentence
is trimmed there instead, and the generation stays. Director's event loop only, never waits.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final

from broadcaster.director.link import Sender
from broadcaster.director.pulse import Pulse
from broadcaster.director.turns import Cutting
from broadcaster.director.utterance import Held, Utterance
from broadcaster.journal import Journal
from broadcaster.types import Inbound, SpokenPiece
from broadcaster.wire import Aired, Cut, End, Panic, Trim, Welcome

log = logging.getLogger(__name__)

AHEAD_UTTERANCES: Final = 2
"""The one on air and the next: gaps stay short, and a moderator's prompt waits for two at most."""

AHEAD_SECONDS: Final = 10.0
"""Of sound in playout's hands: rides out a restart of the voice, and bounds the memory."""

CUT_REPORT_SECONDS: Final = 2.0
"""Playout reports a cut within two ticks; if it does not (it died), the utterance is closed without a place."""

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
    ) -> None:
        """`yielded` is told when no more sound of an utterance is needed because it makes way."""
        self.active: list[Utterance] = []
        self.generation = 0
        self.panicked = False
        self.repeated = 0
        self.sentences_skipped = 0
        self.last_cut_ns = 0
        self._link = link
        self._journal = journal
        self._pulse = pulse
        self._publish = publish
        self._finished = finished
        self._clock = clock
        self._yielded = yielded
        self._leaving: dict[tuple[str, int], tuple[Utterance, str]] = {}

    # -- giving -----------------------------------------------------------------------------------------------

    def has_room(self) -> bool:
        return len(self.active) < AHEAD_UTTERANCES and not self.panicked

    def seconds_over(self) -> float:
        """How much more than AHEAD_SECONDS of sound waits; not positive when there is room."""
        return self.seconds_unheard() - AHEAD_SECONDS

    def seconds_unheard(self) -> float:
        """Of sound in hand, of every utterance, that was not heard yet."""
        now = self._clock()
        return sum(utterance.ahead_seconds(now) for utterance in self.active)

    def add(self, utterance: Utterance) -> None:
        utterance.generation = self.generation
        self.active.append(utterance)

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
        if utterance.begun or utterance.sent:
            self.complete(utterance)
        else:
            self._finish(utterance, "skipped", reason, None)

    def transmit(self) -> None:
        """Sends all that can be sent, in order."""
        if self.panicked or not self._link.connected:
            return
        for utterance in self.active:
            last = utterance.last
            wanted = [piece for piece in utterance.pieces if last is None or piece.sentence <= last]
            for piece in wanted[utterance.sent :]:
                self._link.send(piece.message(utterance.generation, utterance.id))
            utterance.sent = max(utterance.sent, len(wanted))
            if last is not None and utterance.whole(last):
                if not utterance.ended:
                    self._link.send(Trim(utterance.generation, utterance.id, last))
                    utterance.ended = True
                    self._yielded(utterance)
                continue
            if not utterance.spoken:
                return  # what follows must not overtake it
            if not utterance.ended:
                self._link.send(End(utterance.generation, utterance.id))
                utterance.ended = True

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
            self._finish(utterance, "back", "", None)
            return
        self._link.send(Trim(utterance.generation, utterance.id, -1))
        self._leave(utterance, MADE_WAY)

    def _break_off(self, utterance: Utterance) -> None:
        """What is on air is cut at once."""
        if utterance.prompt.resumable:
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
        """The end of the daemon: `current` is cut, for good unless it is resumable; all else comes back."""
        self.generation += 1
        self._link.brake(Cut(self.generation))
        if current is not None and current in self.active and current.prompt.resumable:
            current.last = -1
            self._journal.hold(current.id)
        return self._clear([utterance for utterance in self.active if utterance is current], "stopped")

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
        return not self._leaving

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
        key = (utterance.id, utterance.generation)
        self._leaving[key] = (utterance, reason)
        asyncio.get_running_loop().call_later(CUT_REPORT_SECONDS, self._left, key, None)

    def _left(self, key: tuple[str, int], event: Aired | None) -> None:
        found = self._leaving.pop(key, None)
        if found is None:
            return
        utterance, reason = found
        if utterance.last is not None:
            self._make_way(utterance, reason, event)
        else:
            self._finish(utterance, "cut", reason, event)

    def _make_way(self, utterance: Utterance, reason: str, event: Aired | None) -> None:
        """It has left the air for another prompt: what becomes of it?"""
        where = event if event is not None and event.event == "cut" else None
        if utterance.spoken and not utterance.pieces:
            self._finish(utterance, "cut" if utterance.failure else "done", utterance.failure, event)
        elif not utterance.sounding:
            self._finish(utterance, "back", "", None)
        else:
            self._finish(utterance, "held" if utterance.prompt.resumable else "cut", reason, where)

    # -- what playout tells -----------------------------------------------------------------------------------

    def aired(self, event: Aired) -> bool:
        """False when it is about nothing that is known here (an earlier director's utterance)."""
        key = (event.utterance, event.generation)
        leaving = self._leaving.get(key)
        utterance = leaving[0] if leaving else self._find(key)
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
                self._left(key, event)
            case "done" if utterance.last is not None:
                self._make_way(utterance, MADE_WAY, event)
            case "done":
                self._finish(utterance, "cut" if utterance.failure else "done", utterance.failure, event)
            case "cut":
                self._finish(utterance, "cut", "playout", event)
        self._pulse.beat()
        return True

    def publish_on_air(self, event: Aired) -> None:
        self._publish(
            {
                "type": "on_air",
                "id": event.utterance,
                "sentence": event.sentence,
                "text": event.text,
                "tick": event.tick,
            }
        )

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
        for key in list(self._leaving):
            self._left(key, None)
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
        if utterance.last is not None and utterance.heard > utterance.last:
            self._make_way(utterance, MADE_WAY, None)
        elif utterance.spoken and not utterance.pieces:
            self._finish(utterance, "cut" if utterance.failure else "done", utterance.failure, None)

    def prompt_of(self, utterance: str) -> Inbound | None:
        """Of an utterance that is given or has just been cut."""
        leaving = (found for found, _ in self._leaving.values())
        return next((u.prompt for u in (*self.active, *leaving) if u.id == utterance), None)

    def sound_of(self, event: Aired) -> tuple[list[Held], bool]:
        """What is in hand of the sound of the sentence that `event` is about, and whether that is all of it."""
        key = (event.utterance, event.generation)
        leaving = self._leaving.get(key)
        utterance = leaving[0] if leaving else self._find(key)
        if utterance is None:
            return [], False
        sound = [piece for piece in utterance.pieces if piece.sentence == event.sentence]
        return sound, bool(sound) and utterance.whole(event.sentence)

    def _find(self, key: tuple[str, int]) -> Utterance | None:
        return next((u for u in self.active if (u.id, u.generation) == key), None)

    def _finish(self, utterance: Utterance, state: str, reason: str, event: Aired | None) -> None:
        if utterance in self.active:
            self.active.remove(utterance)
        self._finished(utterance, state, reason, event)
        self._pulse.beat()
