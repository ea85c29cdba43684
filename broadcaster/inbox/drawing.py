"""In which order everything that waits would be taken now: the one rule, for taking and for telling. Pure.

Nothing is changed while it is drawn: what follows from each pick (who was answered, what is no longer new, how far
what was moved has come) is kept here beside the queue's own state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from heapq import heapify, heappop, heapreplace

from broadcaster.inbox.likeness import Shape, shape_of
from broadcaster.inbox.promised import Entry, Promised, Stand
from broadcaster.inbox.row import Row, Waiting
from broadcaster.types import Inbound, Lane, PromptKind, Role

Cuts = Callable[[Inbound, Inbound], bool]


@dataclass(frozen=True, slots=True)
class Pick:
    """What is taken next: an entry of the promised, or a prompt of a row (as it stood when it was picked)."""

    prompt: Inbound
    entry: Entry | None = None
    row: Row | None = None
    item: Waiting | None = None
    served_ns: int = 0
    met: float = 0.0
    paused: bool = False


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
        self._moved = dict(moved)
        self._cuts = cuts
        self._paused = paused
        self._stamp_ns = stamp_ns
        self._draws: dict[Lane, _Draw] = {}
        self._answered: list[Shape] = []
        self._served: dict[tuple[Lane, str], int] = {}
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
                draw = self._draws.get(lane)
                if draw is None or draw.blocked is not blocked:
                    draw = self._draws[lane] = _Draw(self, row, blocked, self._wanted)
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
        served = self.served_ns(row, item)
        return Pick(item.prompt, None, row, item, served, self.met(item), paused)

    # -- what follows -----------------------------------------------------------------------------------------

    def _follow(self, pick: Pick) -> None:
        first = pick.entry is not None and pick.entry[0] is Stand.FIRST
        moved = self._moved.pop(pick.prompt.id, None)
        if moved is not None or not first:
            self._moved = {each: place - 1 for each, place in self._moved.items()}
        if pick.entry is not None:
            self._promised.remove(pick.entry)
        if pick.row is not None and pick.item is not None:
            self._stamp_ns = max(self._stamp_ns + 1, self.now_ns)
            self._served[pick.row.lane, pick.item.viewer] = self._stamp_ns
            if (draw := self._draws.get(pick.row.lane)) is not None:
                draw.taken.add(pick.prompt.id)
        if pick.prompt.kind is PromptKind.ASK:
            self._answered.append(_shape(pick))

    def served_ns(self, row: Row, item: Waiting) -> int:
        return self._served.get((row.lane, item.viewer)) or row.served_ns(item.viewer)

    def met(self, item: Waiting) -> float:
        """How much it is like what was answered lately, and what is picked before it."""
        if item.shape is None:
            return item.met
        met, seen = self._met.get(item.prompt.id, (item.met, 0))
        if seen < len(self._answered):
            met = max(met, *(item.shape.likeness(shape) for shape in self._answered[seen:]))
            self._met[item.prompt.id] = (met, len(self._answered))
        return met


class _Draw:
    """The best of one row, again and again. Scores only fall while it lasts, so that a stale one is seen when it is
    on top: it is counted again and sinks."""

    def __init__(self, drawing: Drawing, row: Row, blocked: bool, wanted: Callable[[Waiting, bool], bool]) -> None:
        self.blocked = blocked
        self.taken: set[str] = set()
        self._drawing = drawing
        self._row = row
        self._heap = [self._ranked(item) for item in row.items.values() if wanted(item, blocked)]
        heapify(self._heap)

    def first(self) -> Waiting | None:
        while self._heap:
            entry = self._heap[0]
            if entry[3] in self.taken:
                heappop(self._heap)
                continue
            current = self._ranked(entry[-1])
            if current[:4] == entry[:4]:
                return entry[-1]
            heapreplace(self._heap, current)
        return None

    def _ranked(self, item: Waiting) -> tuple[float, int, int, str, Waiting]:
        drawing, prompt = self._drawing, item.prompt
        served = drawing.served_ns(self._row, item)
        score = self._row.score(item, drawing.now_ns, served, drawing.met(item))
        return -score, max(prompt.received_ns, served), prompt.received_ns, prompt.id, item


def _shape(pick: Pick) -> Shape:
    if pick.item is not None and pick.item.shape is not None:
        return pick.item.shape
    return shape_of(pick.prompt.text)
