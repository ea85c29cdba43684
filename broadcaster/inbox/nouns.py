"""What is asked of the queue and what it answers. Frozen values, no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from broadcaster.types import Inbound, Lane


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of a viewer, for the score. `guard` as in `types.Viewer`, `paid` in thousandths of a yuan.

    `paid` is what was paid in this session before; `answered_ns` (wall clock) when the viewer was answered last.
    """

    guard: int = 0
    medal_level: int = 0
    paid: int = 0
    answered_ns: int = 0


NOBODY = Standing()


class Fate(StrEnum):
    """What became of an offered prompt."""

    KEPT = "kept"
    MERGED = "merged"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Offer:
    """`into`: the id of the prompt that asks the same (MERGED). `reason`, of a refusal:

    "full" (the class is full of what is worth more; of what was paid for: full), "lane" (the class never goes on
    air), "answered" (the same is being answered just now).
    """

    fate: Fate
    into: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """One prompt in the order. `place` counts from 0, which is next.

    `why` (JSON-able) says what the score is made of; `score` compares within a class only and is 0 for moderators.
    `merged` are the ids of those that asked the same, the first 256. `paused`: it does not go on air before the
    automatic choice goes on.
    """

    prompt: Inbound
    place: int
    lane: Lane
    score: float
    why: dict[str, object]
    merged: tuple[str, ...] = ()
    paused: bool = False
