"""One class of the audience while it waits: worth, turns, what makes way, what is stale. Event loop only.

Two kinds. In a *plain* row viewers take turns, older first. In a *scored* row (questions, comments) the worth of a
prompt decides, and what is alike is one prompt. In both, a viewer who was answered waits again like one who has just
come, and a prompt's age counts without end, so that nothing waits for ever (unless the weight of age is 0).
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass, field, replace
from heapq import heapify, heappop, heappush
from itertools import count
from math import log2
from typing import Final

from broadcaster.config import Inbox as Settings
from broadcaster.inbox.alike import Alike, Shape
from broadcaster.inbox.nouns import Standing
from broadcaster.types import Inbound, Lane

MINUTE_NS: Final = 60_000_000_000
"""The age of a prompt counts in minutes."""

LATELY_NS: Final = 300_000_000_000
"""Until then after an answer, a viewer's standing is lowered, less and less."""

TURN_NS: Final = 120_000_000_000
"""Until then after an answer, others go before what the same viewer asks next, less and less."""

ALIKE_FULL: Final = 5.0
"""Logarithm (base 2) of the number of askers at which more of them count for nothing: 32."""

MERGED_KEPT: Final = 256
"""Ids and viewers that are kept of those that asked the same; beyond, all are only counted."""

SUCCESSORS: Final = 8
"""Prompts that are kept of those that asked the same, to stand in when the first one's viewer is banned."""

SERVED_KEPT: Final = 4096
"""Viewers of whom a row knows when they were answered last."""

SCORED: Final = frozenset({Lane.QUESTION, Lane.COMMENT})


@dataclass(slots=True, eq=False)
class Waiting:
    """A prompt of the audience in its row. `met`: how much it is like what was answered lately (0..1)."""

    prompt: Inbound
    viewer: str
    shape: Shape | None = None
    question: float = 0.0
    standing: float = 0.0
    met: float = 0.0
    alike: int = 1
    asked_ns: int = 0
    depth: int = 0
    """How many of the same viewer waited in the row when it came."""
    moved: bool = False
    version: int = 0
    merged: dict[str, str] = field(default_factory=dict)
    """Ids of those that asked the same, with their viewers."""
    askers: set[str] = field(default_factory=set)
    successors: list[Inbound] = field(default_factory=list)

    @property
    def protected(self) -> bool:
        """Never dropped by the queue itself."""
        return self.prompt.paid > 0 or self.prompt.approved or self.moved

    def asked(self) -> Inbound:
        """The prompt with how many asked it."""
        return self.prompt if self.prompt.alike == self.alike else replace(self.prompt, alike=self.alike)

    def succeeded(self) -> Waiting:
        """The same asked by the first of the others, without the one who stood for it."""
        prompt, *others = self.successors
        viewer = viewer_of(prompt)
        merged = {each: by for each, by in self.merged.items() if each != prompt.id and by != self.viewer}
        return replace(
            self,
            prompt=prompt,
            viewer=viewer,
            alike=self.alike - 1,
            moved=False,
            merged=merged,
            askers=self.askers - {self.viewer},
            successors=others,
        )


@dataclass(frozen=True, slots=True)
class Served:
    """A viewer was answered: when (strictly growing), by taking which prompt, and in which round it is next."""

    at_ns: int
    prompt: str
    round: int


@dataclass(frozen=True, slots=True)
class Turn:
    """When a viewer was answered last (0: not known), and whether it was in this round."""

    at_ns: int
    had: bool

    def weighs(self, prompt: Inbound) -> float:
        """1 for what waited then, less and less for what came later."""
        if not self.had:
            return 0.0
        return min(1.0, max(0.0, 1 - (prompt.received_ns - self.at_ns) / TURN_NS))


NO_TURN: Final = Turn(0, had=False)


def viewer_of(prompt: Inbound) -> str:
    """Who has turns: a prompt of nobody in particular is its own viewer."""
    return prompt.viewer.id if prompt.viewer is not None and prompt.viewer.id else f"?{prompt.id}"


def standing_of(known: Standing, now_ns: int) -> float:
    """-1..1: guard, medal and what was paid raise it, an answer lowers it for five minutes."""
    guard = {1: 0.8, 2: 0.6, 3: 0.4}.get(known.guard, 0.0)
    medal = min(known.medal_level, 40) / 40 * 0.4
    paid = min(log2(1 + known.paid / 1000) / 10, 1.0) * 0.6
    since = now_ns - known.answered_ns
    lately = max(0.0, 1 - since / LATELY_NS) if known.answered_ns else 0.0
    return min(1.0, guard + medal + paid) - lately


class Row:
    """At most `settings.waiting` prompts, if who adds looks at `bound` first."""

    def __init__(self, lane: Lane, settings: Settings) -> None:
        self.lane = lane
        self.scored = lane in SCORED
        self.items: dict[str, Waiting] = {}
        self.merged: dict[str, str] = {}
        """Ids of those that were merged: the id of the prompt that stands for them."""
        self.bound = settings.waiting
        self.similar = Alike(settings.similarity)
        weights = settings.weights
        self._weights = {
            "question": weights.question,
            "novelty": weights.novelty,
            "viewer": weights.viewer,
            "alike": weights.alike,
            "age": weights.age,
            # More than all the others together can make out: who had a turn comes behind who had none.
            "turn": 1 + weights.question + weights.novelty + 2 * weights.viewer + weights.alike,
        }
        self._age = weights.age if self.scored else 1.0
        ttl = getattr(settings.ttl_s, lane.value, 0.0)
        self._ttl_ns = int(ttl * 1e9) or None
        self._counts: Counter[str] = Counter()
        self.round = 0
        """Grows when somebody is answered a second time while the others of this round still wait, or have had it."""
        self._served: OrderedDict[str, Served] = OrderedDict()
        self._last: tuple[str, Served | None, int] = ("", None, 0)
        """What was taken last: its id, and what `_served` and `round` were before."""
        self._worst: list[tuple[int, float, int, int, int, Waiting]] = []
        self._oldest: list[tuple[int, int, Waiting]] = []
        self._serial = count()
        self._epoch_ns = 0

    def __len__(self) -> int:
        return len(self.items)

    # -- worth ------------------------------------------------------------------------------------------------

    def turn(self, viewer: str) -> Turn:
        """How the viewer's last turn is remembered."""
        served = self._served.get(viewer)
        return Turn(served.at_ns, served.round > self.round) if served is not None else NO_TURN

    def round_of(self, viewer: str) -> int:
        """The round in which the viewer has its next turn, 0 for one that had none."""
        served = self._served.get(viewer)
        return served.round if served is not None else 0

    def score(self, item: Waiting, now_ns: int, turn: Turn, met: float) -> float:
        waited = now_ns - max(item.prompt.received_ns, turn.at_ns)
        return self._static(item, turn, met) + self._age * waited / MINUTE_NS

    def why(self, item: Waiting, now_ns: int, turn: Turn, met: float) -> dict[str, object]:
        """What the score is made of: of every feature its value and its weight."""
        since = max(item.prompt.received_ns, turn.at_ns)
        found: dict[str, object] = {
            "lane": self.lane.value,
            "score": round(self.score(item, now_ns, turn, met), 3),
            "of": len(self.items),
            "waited_s": round((now_ns - item.prompt.received_ns) / 1e9, 1),
        }
        if self.scored:
            values = {
                "question": item.question,
                "novelty": 1 - met,
                "viewer": item.standing,
                "alike": _counted(item.alike),
                "turn": -turn.weighs(item.prompt),
                "age": (now_ns - since) / MINUTE_NS,
            }
            found["features"] = {
                name: {"value": round(value, 3), "weight": self._weights[name]} for name, value in values.items()
            }
            found["alike"] = item.alike
        if item.merged:
            found["merged"] = list(item.merged)[:20]
        if item.moved:
            found["moved"] = True
        if item.prompt.approved:
            found["approved"] = True
        return found

    def _static(self, item: Waiting, turn: Turn, met: float) -> float:
        if not self.scored:
            return 0.0
        weight = self._weights
        return (
            weight["question"] * item.question
            + weight["novelty"] * (1 - met)
            + weight["viewer"] * item.standing
            + weight["alike"] * _counted(item.alike)
            - weight["turn"] * turn.weighs(item.prompt)
        )

    def worth(self, item: Waiting) -> tuple[int, float]:
        """What the row would rather keep is greater: the score without the time that passes for all alike.

        Before that, a viewer's second goes before anybody's first, and so on.
        """
        turn = self.turn(item.viewer)
        since = max(item.prompt.received_ns, turn.at_ns) - self._epoch_ns
        return -item.depth, self._static(item, turn, item.met) - self._age * since / MINUTE_NS

    def prefers(self, item: Waiting, other: Waiting) -> bool:
        """Whether `other` makes way for `item`."""
        return item.protected or self.worth(item) > self.worth(other)

    # -- in and out -------------------------------------------------------------------------------------------

    def entering(self, prompt: Inbound) -> Waiting:
        """The prompt as it would wait here."""
        viewer = viewer_of(prompt)
        self._epoch_ns = self._epoch_ns or prompt.received_ns
        return Waiting(
            prompt,
            viewer,
            alike=prompt.alike,
            asked_ns=prompt.received_ns,
            depth=self._counts[viewer] if viewer in self._counts else 0,
            askers={viewer},
        )

    def add(self, item: Waiting) -> None:
        identity = item.prompt.id
        if identity in self.items:
            self.discard(identity)
        self.items[identity] = item
        self.merged.update(dict.fromkeys(item.merged, identity))
        self._counts[item.viewer] += 1
        if self.scored and item.shape is not None:
            self.similar.add(identity, item.shape)
        if self._ttl_ns is not None:
            heappush(self._oldest, (item.asked_ns, next(self._serial), item))
            if len(self._oldest) > self._most():
                self._oldest = [entry for entry in self._oldest if self.items.get(entry[2].prompt.id) is entry[2]]
                heapify(self._oldest)
        self.changed(item)

    def discard(self, identity: str) -> Waiting | None:
        item = self.items.pop(identity, None)
        if item is None:
            return None
        item.version += 1
        self._counts[item.viewer] -= 1
        if not self._counts[item.viewer]:
            del self._counts[item.viewer]
        self.similar.discard(identity)
        for merged in item.merged:
            self.merged.pop(merged, None)
        return item

    def changed(self, item: Waiting) -> None:
        """Its worth is another one now."""
        item.version += 1
        if len(self._worst) > self._most():
            self._worst = [entry for entry in self._worst if entry[4] == entry[5].version]
            heapify(self._worst)
        if not item.protected:
            depth, worth = self.worth(item)
            newest = -item.prompt.received_ns
            heappush(self._worst, (depth, worth, newest, next(self._serial), item.version, item))

    def _most(self) -> int:
        """Entries of a heap; beyond, those of what is gone are cleared away."""
        return 4 * len(self.items) + 64

    def least(self) -> Waiting | None:
        """What goes when something better comes. None when everything here must be kept."""
        while self._worst:
            *_, version, item = self._worst[0]
            if version == item.version and not item.protected:
                return item
            heappop(self._worst)
        return None

    def stale(self, now_ns: int) -> list[Waiting]:
        """What has waited too long since it was asked last; all of it is taken out."""
        found: list[Waiting] = []
        ttl = self._ttl_ns
        while ttl is not None and self._oldest and now_ns - self._oldest[0][0] > ttl:
            _, serial, item = heappop(self._oldest)
            if self.items.get(item.prompt.id) is not item or item.protected:
                continue
            if now_ns - item.asked_ns <= ttl:
                heappush(self._oldest, (item.asked_ns, serial, item))
                continue
            self.discard(item.prompt.id)
            found.append(item)
        return found

    def served(self, item: Waiting, stamp_ns: int) -> None:
        """The viewer was answered: what else it asked waits as if it had come now."""
        before = self._served.get(item.viewer)
        self._last = (item.prompt.id, before, self.round)
        began = self.round
        if before is not None:
            self.round = max(self.round, before.round)
        self._served[item.viewer] = Served(stamp_ns, item.prompt.id, self.round + 1)
        self._served.move_to_end(item.viewer)
        if len(self._served) > SERVED_KEPT:
            self._served.popitem(last=False)
        if self.round != began or item.viewer in self._counts:
            for other in self.items.values():
                if self.round != began or other.viewer == item.viewer:
                    self.changed(other)

    def unserved(self, prompt: Inbound) -> None:
        """It was not answered after all."""
        viewer = viewer_of(prompt)
        served = self._served.get(viewer)
        if served is None or served.prompt != prompt.id:
            return
        identity, before, turn = self._last
        if identity == prompt.id and before is not None:
            self._served[viewer] = before
        else:
            del self._served[viewer]
        if identity == prompt.id:
            self.round = turn

    # -- alike ------------------------------------------------------------------------------------------------

    def merge(self, into: Waiting, prompt: Inbound, standing: float) -> None:
        """The same was asked once more: counted once for each viewer."""
        viewer = viewer_of(prompt)
        if viewer not in into.askers:
            into.alike += 1
            if len(into.askers) < MERGED_KEPT:
                into.askers.add(viewer)
            if len(into.successors) < SUCCESSORS:
                into.successors.append(prompt)
        if len(into.merged) < MERGED_KEPT:
            into.merged[prompt.id] = viewer
            self.merged[prompt.id] = into.prompt.id
        into.asked_ns = max(into.asked_ns, prompt.received_ns)
        into.standing = max(into.standing, standing)
        self.changed(into)

    def unmerge(self, identity: str) -> bool:
        """One of those that asked the same is taken out. False when it is not known here."""
        item = self.items.get(self.merged.pop(identity, ""))
        if item is None:
            return False
        viewer = item.merged.pop(identity)
        item.successors = [each for each in item.successors if each.id != identity]
        if viewer != item.viewer and viewer in item.askers and viewer not in item.merged.values():
            item.askers.discard(viewer)
            item.alike -= 1
        self.changed(item)
        return True


def _counted(alike: int) -> float:
    return min(1.0, log2(max(alike, 1)) / ALIKE_FULL)
