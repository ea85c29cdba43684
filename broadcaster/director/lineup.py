"""What is on its way to air, in order, with places and estimated times: for moderators. Director's event loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from broadcaster.director.heldback import HeldBack
from broadcaster.director.pace import Pace
from broadcaster.director.rules import HouseRules
from broadcaster.director.rundown import Rundown
from broadcaster.director.utterance import Utterance
from broadcaster.errors import JournalError
from broadcaster.inbox import Inbox
from broadcaster.journal.posts import PAID_LANES, JournalPosts, viewer_id
from broadcaster.sentences import spoken_units
from broadcaster.types import Inbound, Lane, Post

START_S: Final = 1.5
"""From the choice of a prompt to its first sound, as it is with a model and a voice of the usual speed."""

NEAR: Final = 100
"""Places that are looked at first: the whole order of a full queue, 1,200 prompts, takes a tenth of a second."""

UNITS_PER_SECOND: Final = 4.5
"""Of text that is written and not yet spoken (see `spoken_units`): a voice at its usual speed."""


class Lineup:
    """`delay_s`: the broadcast delay. `why` tells of a prompt that was chosen what spoke for it."""

    def __init__(
        self,
        rundown: Rundown,
        inbox: Inbox,
        held: HeldBack,
        rules: HouseRules,
        posts: JournalPosts,
        pace: Pace,
        delay_s: float = 0.0,
        why: Callable[[str], Mapping[str, Any]] = lambda id: {},
    ) -> None:
        self.delay_s = delay_s
        self._rundown = rundown
        self._inbox = inbox
        self._held = held
        self._rules = rules
        self._posts = posts
        self._pace = pace
        self._why = why

    async def queue(self, limit: int, on_disk: int) -> dict[str, Any]:
        """See `station.Station.queue`. `on_disk`: how many posts wait there."""
        items = self._given() + self._held_back()
        if len(items) < limit:
            items += self._waiting(limit - len(items))
        if on_disk and len(items) < limit:
            items += await self._on_disk(limit - len(items), items)
        return {
            "items": items[:limit],
            "length": len(self._inbox),
            "held": len(self._held),
            "on_disk": on_disk,
            "paused": self._rules.paused,
            "slow_s": self._rules.slow_s,
            "delay_s": self.delay_s,
        }

    async def find(self, id: str, on_disk: int) -> dict[str, Any] | None:
        """The item of one prompt, or of a post that waits on disk; None when it is none of them.

        Of a comment that was merged, it is the one that stands for it.
        """
        standing = self._inbox.find(id)
        id = standing.id if standing is not None else id
        found = _of(id, self._given() + self._held_back())
        if standing is not None and found is None:
            found = _of(id, self._waiting(NEAR)) or _of(id, self._waiting())
        if found is None and on_disk:
            found = _of(id, await self._on_disk(on_disk, self._waiting()))
        return found

    # -- the parts of the list --------------------------------------------------------------------------------

    def _given(self) -> list[dict[str, Any]]:
        """What the rundown has: the one on air is at place 0."""
        found = []
        late = 0.0
        active = self._rundown.active
        for number, (utterance, begins) in enumerate(zip(active, self._rundown.begins(), strict=False)):
            on_air = utterance.on_air is not None
            place = number if active[0].on_air is not None else number + 1
            eta = 0.0 if on_air else self._shown(begins + late)
            state = "on_air" if on_air else "pending"
            found.append(_item(utterance.prompt, place, eta, state, why=self._why(utterance.id)))
            late += _unspoken(utterance)
        return found

    def _waiting(self, limit: int | None = None) -> list[dict[str, Any]]:
        found = []
        at = self._free_at()
        first = sum(utterance.on_air is None for utterance in self._rundown.active) + 1
        for number, place in enumerate(self._inbox.places(limit)):
            eta = None if place.paused else self._shown(max(at, self.delay_s + START_S))
            found.append(_item(place.prompt, first + number, eta, "waiting", why=place.why))
            if not place.paused:
                at += self._pace.mean(place.prompt.lane)
        return found

    def _held_back(self) -> list[dict[str, Any]]:
        return [_item(held.prompt, None, None, "held", reason=held.reason) for held in self._held.items()]

    async def _on_disk(self, limit: int, before: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Each is behind all of its class, and of those before, that wait in memory."""
        waiting = [item for item in before if item["state"] == "waiting"]
        found: list[dict[str, Any]] = []
        for lane in PAID_LANES:
            try:
                posts, _ = await self._posts.waiting(lane, max(0, limit - len(found)))
            except JournalError:
                continue  # told by the journal itself
            of_lane = [item for item in waiting if item["lane"] == lane.value] or waiting[-1:]
            mean = self._pace.mean(lane)
            place = (of_lane[-1]["place"] if of_lane else 0) + 1
            eta = (of_lane[-1]["eta_s"] or 0.0) + mean if of_lane else self._free_at()
            for number, post in enumerate(posts):
                at = None if self._rules.paused else self._shown(eta + number * mean)
                found.append(_post_item(post, lane, place + number, at))
        return found

    # -- estimates --------------------------------------------------------------------------------------------

    def _free_at(self) -> float:
        """Seconds until all that the rundown has, written or spoken, was heard."""
        begins = self._rundown.begins()
        return max(begins[-1] + sum(map(_unspoken, self._rundown.active)), START_S)

    def _shown(self, seconds: float) -> float | None:
        return None if self._rundown.panicked else round(max(0.0, seconds), 1)


def _of(id: str, items: list[dict[str, Any]]) -> dict[str, Any] | None:
    return next((item for item in items if item["id"] == id), None)


def _unspoken(utterance: Utterance) -> float:
    return spoken_units(utterance.unsaid) / UNITS_PER_SECOND


def _item(
    prompt: Inbound,
    place: int | None,
    eta_s: float | None,
    state: str,
    *,
    reason: str = "",
    why: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    viewer = prompt.viewer
    return {
        "id": prompt.id,
        "place": place,
        "eta_s": eta_s,
        "lane": prompt.lane.value,
        "kind": prompt.kind.value,
        "text": prompt.text,
        "viewer": viewer.id if viewer else "",
        "name": viewer.name if viewer else "",
        "paid": prompt.paid / 1000,
        "alike": prompt.alike,
        "state": state,
        "reason": reason,
        "approved": prompt.approved,
        "why": dict(why or {}),
    }


def _post_item(post: Post, lane: Lane, place: int, eta_s: float | None) -> dict[str, Any]:
    """`id` is the post's key: it has no prompt yet."""
    viewer = post.viewer
    return {
        "id": post.key,
        "place": place,
        "eta_s": eta_s,
        "lane": lane.value,
        "kind": post.kind.value,
        "text": post.text or post.item,
        "viewer": viewer_id(post.source, viewer) or "",
        "name": viewer.name if viewer else "",
        "paid": post.price / 1000,
        "alike": 1,
        "state": "on_disk",
        "reason": "",
        "approved": False,
        "why": {},
    }
