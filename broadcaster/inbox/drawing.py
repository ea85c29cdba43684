"""In which order everything that waits would be taken now: the one rule, for taking and for telling. Pure.

Nothing is changed while it is drawn: what follows from each pick (who was answered, what is no longer new, how far
what was moved has come) is kept here beside the queue's own state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from heapq import heapify, heappop, heapreplace
from typing import Any

from broadcaster.inbox.alike import Picked, Shape, shape_of
from broadcaster.inbox.promised import Entry, Promised, Stand
from broadcaster.inbox.row import NO_TURN, Row, Turn, Waiting
from broadcaster.types import Inbound, Lane, PromptKind, Role

Cuts = Callable[[Inbound, Inbound], bool]


@dataclass(frozen=True, slots=True)
class Pick:
    """What is taken next: an entry of the promised, or a prompt of a row (as it stood when it was picked)."""

    prompt: Inbound
    entry: Entry | None = None
    row: Row | None = None
    item: Waiting | None = None
    turn: Turn = NO_TURN
    met: float = 0.0
    paused: bool = False

    def asked(self) -> Inbound:
        """The prompt with how many asked it."""
        return self.item.asked() if self.item is not None else self.prompt

    def why(self, now_ns: int) -> dict[str, Any]:
        """What speaks for it, for JSON."""
        if self.row is not None and self.item is not None:
            return self.row.why(self.item, now_ns, self.turn, self.met)
        waited_s = round((now_ns - self.prompt.received_ns) / 1e9, 1)
        why: dict[str, Any] = {"lane": self.prompt.lane.value, "waited_s": waited_s}
        if self.entry is not None and self.entry[0] is not Stand.WAITING:
            why["stand"] = self.entry[0].name.lower()
        return why


class Drawing:
    """Iterate to get all picks in order. `rows` are in the order of the classes; that of moderators is None."""

    def __init__(
        self,
        promised: Promised,
        rows: Mapping[Lane, Row | None],
        moved: Mapping[str, int],
        cuts: Cuts,
        *,
        paused: bool,
        now_ns: int,
        stamp_ns: int,
    ) -> None:
        self.now_ns = now_ns
        self._promised = list(promised)
        self._rows = rows
        self._moved = moved
        self._cuts = cuts
        self._paused = paused
        self._stamp_ns = stamp_ns
        self._draws: dict[tuple[Lane, bool], _Draw] = {}
        self._answered = Picked()
        self._served: dict[tuple[Lane, str], tuple[int, int]] = {}
        self._rounds: dict[Lane, int] = {}
        self._met: dict[str, tuple[float, int]] = {}

    def __iter__(self) -> Iterator[Pick]:
        while (pick := self._next()) is not None:
            self._follow(pick)
            yield pick

    # -- what is next -----------------------------------------------------------------------------------------

    def _next(self) -> Pick | None:
        for entry in self._promised:
            if entry[0] is Stand.FIRST and entry[3] not in self._moved:
                return Pick(entry[-1], entry)
        if self._moved and min(self._moved.values()) <= 0:
            return self._pick_moved()
        found = self._natural(blocked=False)
        if found is None and self._moved:
            found = self._pick_moved()
        if found is None and self._paused:
            found = self._natural(blocked=True)
        return found

    def _pick_moved(self) -> Pick:
        identity = min(self._moved, key=lambda each: self._moved[each])
        for entry in self._promised:
            if entry[3] == identity:
                return Pick(entry[-1], entry)
        row, item = next(
            (row, row.items[identity]) for row in self._rows.values() if row is not None and identity in row.items
        )
        return self.pick(row, item)

    def _natural(self, *, blocked: bool) -> Pick | None:
        """The first by itself; a resumable one is not begun while another waits that would cut it at once."""
        first = next(self._candidates(blocked), None)
        if first is None or not first.prompt.resumable:
            return first
        for entry in self._promised:
            if self._stands(entry, blocked) and self._cuts(entry[-1], first.prompt):
                return Pick(entry[-1], entry, paused=blocked)
        for pick in self._candidates(blocked):
            if pick.row is not None and pick.prompt.paid and self._cuts(pick.prompt, first.prompt):
                return pick
        return first

    def _candidates(self, blocked: bool) -> Iterator[Pick]:
        """The first of every class, in order; what was cut comes before all classes."""
        promised = [entry for entry in self._promised if self._stands(entry, blocked)]
        held = next((entry for entry in promised if entry[0] is Stand.HELD), None)
        if held is not None:
            yield Pick(held[-1], held)
        for lane, row in self._rows.items():
            if row is None:
                waiting = next((entry for entry in promised if entry[0] is Stand.WAITING), None)
                if waiting is not None:
                    yield Pick(waiting[-1], waiting, paused=blocked)
            elif row.items:
                draw = self._draws.get((lane, blocked))
                if draw is None:
                    draw = self._draws[lane, blocked] = _Draw(self, row, blocked, self._wanted)
                item = draw.first()
                if item is not None:
                    yield self.pick(row, item, paused=blocked)

    def _stands(self, entry: Entry, blocked: bool) -> bool:
        """Whether it takes part in the natural order: without the pause's (not `blocked`) or as one of those."""
        if entry[3] in self._moved:
            return False
        prompt = entry[-1]
        free = entry[0] is Stand.HELD or prompt.approved or prompt.origin.role.covers(Role.MODERATOR)
        return not blocked if free or not self._paused else blocked

    def _wanted(self, item: Waiting, blocked: bool) -> bool:
        if item.moved:
            return False
        return not blocked if item.prompt.approved or not self._paused else blocked

    def pick(self, row: Row, item: Waiting, *, paused: bool = False) -> Pick:
        return Pick(item.prompt, None, row, item, self.turn(row, item), self.met(item), paused)

    # -- what follows -----------------------------------------------------------------------------------------

    def _follow(self, pick: Pick) -> None:
        self._moved = after(self._moved, pick)
        if pick.entry is not None:
            self._promised.remove(pick.entry)
        if pick.row is not None and pick.item is not None:
            self._serve(pick.row, pick.item)
        if pick.prompt.kind is PromptKind.ASK:
            self._answered.append(_shape(pick))

    def _serve(self, row: Row, item: Waiting) -> None:
        """What `Row.served` does, here."""
        self._stamp_ns = max(self._stamp_ns, self.now_ns) + 1
        began = self._rounds.get(row.lane, row.round)
        current = max(began, self._round_of(row, item.viewer))
        self._rounds[row.lane] = current
        self._served[row.lane, item.viewer] = (self._stamp_ns, current + 1)
        for blocked in (False, True):
            if (draw := self._draws.get((row.lane, blocked))) is not None:
                draw.took(item, again=current != began)

    def _round_of(self, row: Row, viewer: str) -> int:
        known = self._served.get((row.lane, viewer))
        return known[1] if known is not None else row.round_of(viewer)

    def turn(self, row: Row, item: Waiting) -> Turn:
        known = self._served.get((row.lane, item.viewer))
        if known is None:
            known = (row.turn(item.viewer).at_ns, row.round_of(item.viewer))
        return Turn(known[0], known[1] > self._rounds.get(row.lane, row.round))

    def met(self, item: Waiting) -> float:
        """How much it is like what was answered lately, and what is picked before it."""
        if item.shape is None:
            return item.met
        met, seen = self._met.get(item.prompt.id, (item.met, 0))
        if seen < len(self._answered):
            met = max(met, self._answered.nearest(item.shape, seen))
            self._met[item.prompt.id] = (met, len(self._answered))
        return met


def after(moved: Mapping[str, int], pick: Pick) -> dict[str, int]:
    """The places of what was moved once `pick` is taken: one nearer, but for what cuts in before all of them."""
    nearer = 0 if cuts_in(pick, moved) else 1
    return {each: place - nearer for each, place in moved.items() if each != pick.prompt.id}


def cuts_in(pick: Pick, moved: Mapping[str, int]) -> bool:
    """It goes before everything else, whatever was moved where."""
    return pick.entry is not None and pick.entry[0] is Stand.FIRST and pick.prompt.id not in moved


class _Draw:
    """The best of one row, again and again. In a round scores only fall, so that a stale one is seen when it is on
    top: it is counted again and sinks. With a new round all are counted again."""

    def __init__(self, drawing: Drawing, row: Row, blocked: bool, wanted: Callable[[Waiting, bool], bool]) -> None:
        self._taken: set[str] = set()
        self._drawing = drawing
        self._row = row
        self._heap = [self._ranked(item) for item in row.items.values() if wanted(item, blocked)]
        heapify(self._heap)

    def first(self) -> Waiting | None:
        while self._heap:
            entry = self._heap[0]
            if entry[3] in self._taken:
                heappop(self._heap)
                continue
            current = self._ranked(entry[-1])
            if current[:4] == entry[:4]:
                return entry[-1]
            heapreplace(self._heap, current)
        return None

    def took(self, item: Waiting, *, again: bool) -> None:
        """That one is gone; `again`: a new round has begun."""
        self._taken.add(item.prompt.id)
        if again:
            self._heap = [self._ranked(entry[-1]) for entry in self._heap if entry[3] not in self._taken]
            heapify(self._heap)

    def _ranked(self, item: Waiting) -> tuple[float, int, int, str, Waiting]:
        drawing, prompt = self._drawing, item.prompt
        turn = drawing.turn(self._row, item)
        score = self._row.score(item, drawing.now_ns, turn, drawing.met(item))
        return -score, max(prompt.received_ns, turn.at_ns), prompt.received_ns, prompt.id, item


def _shape(pick: Pick) -> Shape:
    if pick.item is not None and pick.item.shape is not None:
        return pick.item.shape
    return shape_of(pick.prompt.text)
