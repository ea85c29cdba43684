"""The queue of everything that asks for air time: what moderators were promised, and the audience's classes.

Bounded. Lives in the director's event loop; nothing here blocks and nothing is shared with other threads.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any, Final

from broadcaster.config import Inbox as Settings
from broadcaster.errors import Refused
from broadcaster.inbox.alike import Shape, shape_of
from broadcaster.inbox.drawing import Cuts, Drawing, Pick, after, cuts_in
from broadcaster.inbox.nouns import NOBODY, Fate, Offer, Place, Standing
from broadcaster.inbox.promised import Promised, Stand
from broadcaster.inbox.questions import likeness
from broadcaster.inbox.row import Row, Waiting, standing_of, viewer_of
from broadcaster.types import Inbound, Lane, PromptKind

ANSWERED_KEPT: Final = 20
"""Answers that a new prompt is compared with: some minutes of a lively room."""

ANSWERING_NS: Final = 30_000_000_000
"""So long after it was taken a question is being answered: who asks the same meanwhile hears it."""

SWEEP_NS: Final = 100_000_000
"""So long after a sweep an offer does without another one."""

Why = dict[str, Any]


class Inbox:
    """Moderators' prompts: full means refused aloud (`Refused`, code "full"); an accepted one is never pushed out.

    The audience's come by `offer` and wait in a row for each class, at most `settings.waiting` in each. Prompts that
    come back (`restore`: after a restart, a panic) are never refused, since they were promised before.

    `expired` is told of what waited too long, `dropped` (with a reason) of what made way for something better or may
    not go on air any more, `chosen` of everything that is taken, with what spoke for it. `cuts` says whether the
    first prompt may cut the second one. `names` are the host's. Counters: `drops` "class:reason", `merged` by class.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        expired: Callable[[Inbound], None] = lambda prompt: None,
        cuts: Cuts = lambda arriving, other: False,
        chosen: Callable[[Inbound, Why], None] = lambda prompt, why: None,
        dropped: Callable[[Inbound, str], None] = lambda prompt, reason: None,
        names: Iterable[str] = (),
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.capacity = settings.capacity
        self.refused_full = 0
        self.expired = 0
        self.drops: Counter[str] = Counter()
        self.merged: Counter[str] = Counter()
        self.paused = False
        self._on_expired = expired
        self._on_chosen = chosen
        self._on_dropped = dropped
        self._cuts = cuts
        self._names = tuple(names)
        self._wall_ns = wall_ns
        self._similarity = settings.similarity
        self._promised = Promised()
        self._rows: dict[Lane, Row | None] = {
            lane: None if lane is Lane.MODERATOR else Row(lane, settings) for lane in map(Lane, settings.order)
        }
        self._moved: dict[str, int] = {}
        self._answered: deque[tuple[str, Shape, int]] = deque(maxlen=ANSWERED_KEPT)
        self._stamp_ns = 0
        self._swept_ns = 0
        self._taken: tuple[Pick, dict[str, int]] | None = None
        """The last pick, and what was moved before it was taken."""
        self._reserved = 0
        self._filled = asyncio.Event()

    def __len__(self) -> int:
        return len(self._promised) + sum(len(row) for row in self._audience())

    # -- moderators' prompts, and what comes back -------------------------------------------------------------

    def reserve(self) -> None:
        """Takes one place for a prompt that is about to be journalled. Raises Refused when there is none."""
        if len(self._promised) + self._reserved >= self.capacity:
            self.refused_full += 1
            raise Refused(f"the queue is full ({self.capacity} prompts); try again later", "full")
        self._reserved += 1

    def release(self) -> None:
        """Gives a reserved place back unused."""
        self._reserved -= 1

    def put(self, prompt: Inbound, *, first: bool = False) -> None:
        """Fills a reserved place. `first`: before all that waits, because it has cut what is on air."""
        self._reserved -= 1
        self._promise(Stand.FIRST if first else Stand.WAITING, prompt)

    def restore(self, prompt: Inbound) -> None:
        """Puts back what was accepted earlier; it keeps its place in the order."""
        if prompt.lane is Lane.MODERATOR:
            self._promise(Stand.WAITING, prompt)
            return
        row = self._rows.get(prompt.lane)
        if row is None:
            self._drop(prompt, "lane")
            self._on_dropped(prompt, "lane")
            return
        row.unserved(prompt)
        item = row.entering(prompt)
        self._read(row, item)
        row.add(item)
        self._filled.set()

    def hold(self, prompt: Inbound) -> None:
        """Puts back what was cut and goes on once nothing waits that may cut it."""
        self._promise(Stand.HELD, prompt)

    @property
    def held(self) -> list[Inbound]:
        """Those that were cut and go on, in order."""
        return [entry[-1] for entry in self._promised if entry[0] is Stand.HELD]

    # -- the audience's ---------------------------------------------------------------------------------------

    def offer(self, prompt: Inbound, standing: Standing = NOBODY) -> Offer:
        """One of the audience's, by its lane. What was paid for is never dropped: refused "full" is for now."""
        row = self._rows.get(prompt.lane)
        if row is None:
            return self._refuse(prompt, "lane")
        now = self._wall_ns()
        if now - self._swept_ns > SWEEP_NS:
            self.sweep()
        item = row.entering(prompt)
        if row.scored:
            item.shape = shape = shape_of(prompt.text)
            if not item.protected and self._is_being_answered(shape, now):
                return self._refuse(prompt, "answered")
            item.standing = standing_of(standing, now)
            if (same := row.similar.find(shape)) is not None and not item.protected:
                row.merge(row.items[same], prompt, item.standing)
                self.merged[row.lane.value] += 1
                return Offer(Fate.MERGED, into=same)
            item.question = likeness(prompt.text, self._names)
        worst = None
        if len(row) >= row.bound:
            worst = row.least()
            if worst is None or not row.prefers(item, worst):
                return self._refuse(prompt, "full")
        item.met = self._met(item.shape)
        if worst is not None:
            if not row.prefers(item, worst):
                return self._refuse(prompt, "full")
            row.discard(worst.prompt.id)
        row.add(item)
        self._filled.set()
        if worst is not None:
            self._drop(worst.prompt, "full")
            self._on_dropped(worst.asked(), "full")
        return Offer(Fate.KEPT)

    def room_for(self, lane: Lane) -> int:
        """How many more of what was paid for that class takes; what was not makes way."""
        row = self._rows.get(lane)
        if row is None:
            return 0
        return max(0, row.bound - sum(item.protected for item in row.items.values()))

    def sweep(self) -> None:
        """Takes out what has waited too long. Done by `take`, `places` and (not every time) `offer` as well."""
        now = self._swept_ns = self._wall_ns()
        for row in self._audience():
            for item in row.stale(now):
                self.expired += 1
                self._drop(item.prompt, "expired")
                self._on_expired(item.asked())

    # -- moderators at work -----------------------------------------------------------------------------------

    def find(self, identity: str) -> Inbound | None:
        """The prompt of that id as it waits; for one that was merged, the one that stands for it."""
        if (entry := self._promised.find(identity)) is not None:
            return entry[-1]
        for row in self._audience():
            item = row.items.get(row.merged.get(identity, identity))
            if item is not None:
                return item.asked()
        return None

    def remove(self, identity: str, *, alone: bool = False) -> Inbound | None:
        """Takes a prompt out. One that stands for others takes them along, or (`alone`: it is its own text that is
        not wanted) is followed by one of them; one that was merged is only uncounted (None)."""
        self._moved.pop(identity, None)
        if (entry := self._promised.find(identity)) is not None:
            self._promised.discard(entry)
            return entry[-1]
        for row in self._audience():
            if (item := row.discard(identity)) is not None:
                if not alone:
                    return item.asked()
                self._follow(row, item)
                return item.prompt
            if row.unmerge(identity):
                return None
        return None

    def remove_viewer(self, viewer: str) -> list[Inbound]:
        """Takes out what one viewer has asked. Where others asked the same, one of them stands for it from now on."""
        gone = [entry[-1] for entry in self._promised if viewer_of(entry[-1]) == viewer]
        for prompt in gone:
            self.remove(prompt.id)
        for row in self._audience():
            for identity in [each for item in row.items.values() for each, by in item.merged.items() if by == viewer]:
                row.unmerge(identity)
            for item in [item for item in row.items.values() if item.viewer == viewer]:
                self._moved.pop(item.prompt.id, None)
                row.discard(item.prompt.id)
                gone.append(item.prompt)
                self._follow(row, item)
        return gone

    def replace(self, prompt: Inbound) -> bool:
        """The prompt of the same id with another text, or approved. False when it does not wait here (any more)."""
        if self._promised.replace(prompt):
            self._filled.set()
            return True
        for row in self._audience():
            item = row.items.get(prompt.id)
            if item is None:
                continue
            item.prompt = prompt
            row.similar.discard(prompt.id)
            self._read(row, item)
            if item.shape is not None:
                row.similar.add(prompt.id, item.shape)
            row.changed(item)
            self._filled.set()
            return True
        return False

    def move(self, identity: str, place: int) -> bool:
        """To that place of the whole order (0: next, behind what has cut in). It stays there: what comes later goes
        behind it, whatever it is worth, and it comes one place nearer with everything that is taken."""
        entry = self._promised.find(identity)
        item = next((row.items[identity] for row in self._audience() if identity in row.items), None)
        if entry is None and item is None:
            return False
        order = [pick for pick in self._drawing() if pick.prompt.id != identity]
        cut_in = sum(cuts_in(pick, self._moved) for pick in order)
        wanted = max(0, min(place, len(order)) - cut_in)
        at = {pick.prompt.id: number - cut_in for number, pick in enumerate(order)}
        self._moved = {other: at[other] + (at[other] >= wanted) for other in self._moved if other != identity}
        self._moved[identity] = wanted
        if item is not None:
            item.moved = True
        self._filled.set()
        return True

    def pause(self, on: bool) -> None:
        """While it is on, only what moderators want goes on air: their own prompts, what they approved or moved."""
        self.paused = on
        self._filled.set()

    # -- order ------------------------------------------------------------------------------------------------

    async def take(self) -> Inbound:
        """Waits for the next prompt."""
        while (prompt := self.take_now()) is None:
            self._filled.clear()
            await self._filled.wait()
        return prompt

    def take_now(self) -> Inbound | None:
        """The next prompt, None when there is none (that may be taken)."""
        self.sweep()
        pick = next(iter(self._drawing()), None)
        return self._take(pick) if pick is not None and not pick.paused else None

    def untake(self) -> None:
        """Gives back what was taken last, to its place."""
        if self._taken is None:
            return
        pick, moved = self._taken
        self._taken = None
        self._moved = {each: place for each, place in moved.items() if each in self._moved or each == pick.prompt.id}
        if self._answered and self._answered[-1][0] == pick.prompt.id:
            self._answered.pop()
        if pick.entry is not None:
            self._promise(pick.entry[0], pick.prompt)
        elif pick.row is not None and pick.item is not None:
            pick.row.unserved(pick.prompt)
            pick.row.add(pick.item)
            self._filled.set()

    def peek(self, count: int) -> list[Inbound]:
        """The next `count` prompts, in order, left in place."""
        return [pick.asked() for pick in islice(self._drawing(), count)]

    def places(self, limit: int | None = None) -> list[Place]:
        """The whole order as it would be taken now (or its first `limit`)."""
        self.sweep()
        drawing = self._drawing()
        return [self._place(number, pick, drawing.now_ns) for number, pick in enumerate(islice(drawing, limit))]

    # -- inside -----------------------------------------------------------------------------------------------

    def _audience(self) -> Iterable[Row]:
        return (row for row in self._rows.values() if row is not None)

    def _promise(self, stand: Stand, prompt: Inbound) -> None:
        self._promised.add(stand, prompt)
        self._filled.set()

    def _drawing(self) -> Drawing:
        return Drawing(
            self._promised,
            self._rows,
            self._moved,
            self._cuts,
            paused=self.paused,
            now_ns=self._wall_ns(),
            stamp_ns=self._stamp_ns,
        )

    def _take(self, pick: Pick) -> Inbound:
        now = self._wall_ns()
        self._taken = (pick, self._moved)
        prompt, why = pick.asked(), pick.why(now)
        self._moved = after(self._moved, pick)
        if pick.entry is not None:
            self._promised.discard(pick.entry)
        elif pick.row is not None and pick.item is not None:
            pick.row.discard(pick.prompt.id)
            self._stamp_ns = max(self._stamp_ns, now) + 1
            pick.row.served(pick.item, self._stamp_ns)
        if pick.prompt.kind is PromptKind.ASK:
            self._remember(pick, now)
        self._on_chosen(prompt, why)  # last: whoever is told may fill the place
        return prompt

    def _remember(self, pick: Pick, now: int) -> None:
        """From now on this is no longer new."""
        known = pick.item.shape if pick.item is not None else None
        shape = known if known is not None else shape_of(pick.prompt.text)
        self._answered.append((pick.prompt.id, shape, now))
        for row in self._audience():
            for item in row.items.values() if row.scored else ():
                if item.shape is not None and (met := item.shape.likeness(shape)) > item.met:
                    item.met = met
                    row.changed(item)

    def _met(self, shape: Shape | None, but: str = "") -> float:
        if shape is None:
            return 0.0
        return max((shape.likeness(other) for each, other, _ in self._answered if each != but), default=0.0)

    def _is_being_answered(self, shape: Shape, now: int) -> bool:
        for _, other, at in reversed(self._answered):
            if now - at > ANSWERING_NS:
                return False
            if other.firm == shape.firm and shape.likeness(other) >= self._similarity:
                return True
        return False

    def _follow(self, row: Row, item: Waiting) -> None:
        """One of those that asked the same stands for them now, with its own text."""
        if item.successors:
            then = item.succeeded()
            self._read(row, then)
            row.add(then)
            self._filled.set()

    def _read(self, row: Row, item: Waiting) -> None:
        """What its text is worth, in a row where that counts."""
        if row.scored:
            item.shape = shape_of(item.prompt.text)
            item.question = likeness(item.prompt.text, self._names)
            item.met = self._met(item.shape, but=item.prompt.id)

    def _refuse(self, prompt: Inbound, reason: str) -> Offer:
        if not prompt.paid:
            self._drop(prompt, reason)
        return Offer(Fate.REFUSED, reason=reason)

    def _drop(self, prompt: Inbound, reason: str) -> None:
        self.drops[f"{prompt.lane.value}:{reason}"] += 1

    def _place(self, number: int, pick: Pick, now: int) -> Place:
        score = pick.row.score(pick.item, now, pick.turn, pick.met) if pick.row and pick.item else 0.0
        merged = tuple(pick.item.merged) if pick.item is not None else ()
        return Place(pick.asked(), number, pick.prompt.lane, score, pick.why(now), merged, pick.paused)
