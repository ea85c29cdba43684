"""The state of the channel as plain JSON types, for `/api/status`, the page and the metrics. Pure."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import metadata
from typing import Any, Final

import msgspec

from broadcaster.config import Config
from broadcaster.director.performer import Health
from broadcaster.director.rundown import Rundown
from broadcaster.director.utterance import Utterance
from broadcaster.inbox import Inbox
from broadcaster.types import Inbound
from broadcaster.wire import PlayoutStatus

SHOWN_NEXT: Final = 5

_CLOCK: Final = (
    "tick", "fps", "late_ticks", "held_ticks", "reanchored", "tick_ms", "lateness_p99_ms", "encoder",
    "encoder_restarts", "av_skew_ms", "uptime_s", "queued_ms", "holes", "hole_ms", "patches_shown",
    "patches_missing", "patches_late",
)  # fmt: skip


class Report:
    """Shape: see `station.Station.status`. `clock` is monotonic seconds.

    `foreign` is a prompt that an earlier director gave to playout and that is on air.
    """

    def __init__(self, config: Config, clock: Callable[[], float]) -> None:
        self._config = config
        self._clock = clock
        self._began = clock()
        self._version = _version()

    def status(
        self,
        *,
        playout: PlayoutStatus | None,
        rundown: Rundown,
        foreign: Inbound | None,
        inbox: Inbox,
        health: Health,
        brain: dict[str, Any],
        voices: list[dict[str, Any]],
        sources: list[dict[str, Any]],
        moderation: dict[str, Any],
        moderators: dict[str, Any],
        journal_error: str,
        stopping: bool,
        turn: dict[str, Any] | None,
        room: dict[str, Any],
        counters: dict[str, int],
    ) -> dict[str, Any]:
        given = rundown.active
        now = given[0] if given and given[0].on_air is not None else None
        waiting = [utterance.prompt for utterance in given if utterance is not now]
        held = [*inbox.held, *(utterance.prompt for utterance in given if utterance.held)]
        upcoming = [*waiting, *inbox.peek(SHOWN_NEXT)][:SHOWN_NEXT]
        return {
            "channel": self._config.channel,
            "version": self._version,
            "pid": os.getpid(),
            "uptime_s": round(self._clock() - self._began, 1),
            "panicked": rundown.panicked,
            "stopping": stopping,
            "clock": _clock(playout),
            "voice": _voice(health.voice_engine or self._config.voice.engine, health.voice_error, voices),
            "head": _head(playout),
            "brain": brain,
            "sources": sources,
            "moderation": moderation,
            "moderators": moderators,
            "sinks": [msgspec.to_builtins(sink) for sink in playout.sinks] if playout else [],
            "now": _now(now)
            if now
            else {**_prompt(foreign), "sentence": 0, "text": foreign.text}
            if foreign
            else None,
            "next": [{**_prompt(prompt), "held": prompt in held} for prompt in upcoming],
            "queue": {
                "length": len(inbox) + len(waiting),
                "capacity": inbox.capacity,
                "drops": dict(inbox.drops),
                "merged": dict(inbox.merged),
            },
            "journal": {"ok": not journal_error, "error": journal_error},
            "turn": turn,
            "room": room,
            "counters": counters,
        }


def _clock(playout: PlayoutStatus | None) -> dict[str, Any]:
    if playout is None:
        return {"connected": False}
    return {"connected": True, **{name: getattr(playout, name) for name in _CLOCK}}


def _voice(engine: str, error: str, links: list[dict[str, Any]]) -> dict[str, Any]:
    """Degraded when nothing could be spoken, or while a link of the chain is left alone for its failures."""
    resting = next((link for link in links if link["state"] != "closed"), None)
    if not error and resting is not None:
        error = f"{resting['name']}: {resting['error']}"
    return {"engine": engine, "degraded": bool(error), "error": error, "links": links}


def _head(playout: PlayoutStatus | None) -> dict[str, Any]:
    if playout is None or playout.head is None:
        return {"connected": False}
    plain: dict[str, Any] = msgspec.to_builtins(playout.head)
    plain.pop("$", None)
    return {"connected": True, **plain}


def _prompt(prompt: Inbound) -> dict[str, Any]:
    return {
        "id": prompt.id,
        "kind": prompt.kind.value,
        "lane": prompt.lane.value,
        "text": prompt.text,
        "origin": prompt.origin.source,
        "author": prompt.origin.author,
    }


def _now(utterance: Utterance) -> dict[str, Any]:
    sentence = utterance.on_air or 0
    text = utterance.texts[sentence] if sentence < len(utterance.texts) else ""
    return {**_prompt(utterance.prompt), "sentence": sentence, "text": text}


def _version() -> str:
    try:
        return metadata.version("broadcaster")
    except metadata.PackageNotFoundError:
        return "unknown"
