"""Thanks and welcomes: for one event by name, or for everything that a short while brought in one sentence. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from broadcaster.brain.names import speakable
from broadcaster.brain.wording import Wording
from broadcaster.types import Given, Happening, RoomEvent, Viewer

NAMED: Final = 4
"""Viewers named in one sentence; the others are counted. More names are a list, and nobody listens to a list."""


class Thanks:
    """`language` is "zh" or "en"."""

    def __init__(self, wording: Wording, host_name: str, language: str = "zh") -> None:
        self._host_name = host_name
        self._pick = partial(wording.pick, language)

    def single(self, happening: Happening, viewer: Viewer | None, seed: str = "") -> str:
        """Thanks, or a welcome, by name."""
        name = speakable(viewer.name) if viewer is not None else ""
        item = speakable(happening.item)
        values = {
            "name": self._host_name,
            "viewer": name or self._pick("somebody", seed),
            "item": item or self._pick("something", seed),
            "count": happening.count,
        }
        return self._pick(_phrase_of(happening, item), seed, **values)

    def together(self, given: Sequence[Given], seed: str = "") -> str:
        """One sentence for all of it: the first ones by name, as often as they gave; the others counted."""
        merged = _merged(given)
        if len(merged) == 1:
            return self.single(merged[0].happening, merged[0].viewer, seed)
        if all(part.happening.event is RoomEvent.ENTER for part in merged):
            return self._welcome(merged, seed)
        parts = [part for part in merged if part.happening.event is not RoomEvent.ENTER]
        named = parts[:NAMED]
        said = self._pick("joint", seed).join(self._part(part, seed) for part in named)
        others = {part.viewer.id for part in parts} - {part.viewer.id for part in named}
        phrase = "together_more" if others else "together"
        return self._pick(phrase, seed, name=self._host_name, parts=said, count=len(others))

    def _welcome(self, given: Sequence[Given], seed: str) -> str:
        joint = self._pick("joint", seed)
        names = joint.join(self._name(part.viewer, seed) for part in given[:NAMED])
        phrase = "enter_more" if len(given) > NAMED else "enter_together"
        return self._pick(phrase, seed, name=self._host_name, viewers=names, count=len(given))

    def _part(self, given: Given, seed: str) -> str:
        happening = given.happening
        item = speakable(happening.item) or self._pick("something", seed)
        event = "gift" if happening.event is RoomEvent.SUPER_CHAT else happening.event.value
        many = event == "gift" and happening.count > 1
        return self._pick(
            f"part_{event}_many" if many else f"part_{event}",
            seed,
            viewer=self._name(given.viewer, seed),
            item=item,
            count=happening.count,
        )

    def _name(self, viewer: Viewer, seed: str) -> str:
        return speakable(viewer.name) or self._pick("somebody", seed)


def _merged(given: Sequence[Given]) -> list[Given]:
    """What one viewer gave several times is one, in the order of the first."""
    found: dict[tuple[str, RoomEvent, str], Given] = {}
    for part in given:
        key = (part.viewer.id, part.happening.event, part.happening.item)
        before = found[key].happening.count if key in found else 0
        happening = Happening(part.happening.event, part.happening.item, before + part.happening.count)
        found[key] = Given(part.viewer, happening)
    return list(found.values())


def _phrase_of(happening: Happening, item: str) -> str:
    event = happening.event
    if event in (RoomEvent.SUPER_CHAT, RoomEvent.GUARD):
        return f"{event.value}_of" if item else event.value
    many = event in (RoomEvent.GIFT, RoomEvent.LIKE) and happening.count > 1
    return f"{event.value}_many" if many else event.value
