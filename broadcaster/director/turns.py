"""Who may cut whom, and what is said when a text goes on that was cut. Pure."""

from __future__ import annotations

import random
from enum import Enum, auto

from broadcaster.config.minds import Turns
from broadcaster.types import Inbound, Lane


class Cutting(Enum):
    """When a prompt cuts another one."""

    NEVER = auto()
    AFTER_SENTENCE = auto()
    AT_ONCE = auto()


_WHEN = {"never": Cutting.NEVER, "after_sentence": Cutting.AFTER_SENTENCE, "at_once": Cutting.AT_ONCE}


def cutting(turns: Turns, arriving: Inbound, other: Inbound) -> Cutting:
    """When `arriving` cuts `other`, which is on air or the next to be.

    A resumable prompt never cuts another one: they would cut each other for ever. Of the audience only super chats,
    guards and great gifts cut, and only what goes on afterwards.
    """
    policy = getattr(turns, arriving.kind.value)
    if arriving.resumable and other.resumable:
        return Cutting.NEVER
    if arriving.lane is not Lane.MODERATOR:
        wanted = arriving.lane in (Lane.SUPER_CHAT, Lane.SUPPORT) and other.resumable
        return _WHEN[policy.cuts] if wanted else Cutting.NEVER
    match policy.over:
        case "any":
            allowed = True
        case "lower":
            rank = [str(kind) for kind in turns.order].index
            allowed = other.resumable or rank(other.kind.value) > rank(arriving.kind.value)
        case _:
            allowed = other.resumable
    return _WHEN[policy.cuts] if allowed else Cutting.NEVER


class Bridges:
    """The phrases before a text that goes on: each in turn, so that none comes twice in a row."""

    def __init__(self, phrases: list[str], first: int | None = None) -> None:
        self._phrases = phrases
        self._next = random.randrange(len(phrases)) if first is None else first

    def take(self) -> str:
        phrase = self._phrases[self._next % len(self._phrases)]
        self._next += 1
        return phrase
