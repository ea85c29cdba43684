"""From a question to what a model is sent: persona, room, notes, conversation, picture. Director's event loop.

Takes about a millisecond; a picture that has changed is read in a thread.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol

from broadcaster.brain.briefing import Situation, system_prompt
from broadcaster.brain.clocks import clock_of, day_of
from broadcaster.brain.knowledge import Knowledge
from broadcaster.brain.persona import Persona
from broadcaster.brain.quoting import block, harmless
from broadcaster.brain.schedule import Schedule, Slot, title_of
from broadcaster.errors import ConfigError
from broadcaster.picture import read_picture
from broadcaster.types import Image, Inbound, Message, Turn, Viewer

log = logging.getLogger(__name__)

QUOTED: Final = 3
"""Passages that go along with a question."""

QUESTION_LIMIT: Final = 4000
"""Characters of one message; what is longer was refused before."""

ON_AIR: Final = {"zh": "（直播进行中）", "en": "(on air)"}
"""Stands for the question where the host spoke unasked: many models take nothing but turns of two."""


class Remembered(Protocol):
    """What is needed of the memory."""

    def messages(self) -> tuple[Message, ...]: ...

    def summary(self) -> str: ...

    async def viewer_note(self, viewer: Viewer | None) -> str: ...


class Prompter:
    """`mode`: "interactive" or "single"; `waiting` tells how many messages wait; `now` returns an aware time."""

    def __init__(
        self,
        persona: Persona,
        *,
        mode: str = "interactive",
        max_tokens: int = 500,
        schedule: Schedule | None = None,
        knowledge: Knowledge | None = None,
        waiting: Callable[[], int] = lambda: 0,
        now: Callable[[], datetime] = lambda: datetime.now().astimezone(),
    ) -> None:
        self._persona = persona
        self._mode = mode
        self._max_tokens = max_tokens
        self._schedule = schedule
        self._knowledge = knowledge
        self._waiting = waiting
        self._now = now
        self._pictures = _Pictures()

    async def turn(self, prompt: Inbound, conversation: Remembered) -> Turn:
        """Never fails for what a viewer wrote, or for a picture that is gone."""
        now = self._now()
        running = self._schedule.now_on(now) if self._schedule is not None else None
        single = self._mode == "single"
        note = await conversation.viewer_note(prompt.viewer)
        summary = "" if single else conversation.summary()
        system = system_prompt(self._persona, self._mode, self._situation(prompt, now, running, note, summary))
        picture = await self._pictures.of(running.entry.image) if running is not None else None
        asked = Message("user", _from_viewer(prompt.text, prompt.viewer), (picture,) if picture is not None else ())
        before = () if single else conversation.messages()
        heard = [Message(m.role, _from_viewer(m.text) if m.role == "user" else m.text) for m in before]
        messages = _in_turns([*heard, asked], ON_AIR[self._persona.tongue])
        return Turn(prompt, system, messages, self._max_tokens)

    def _situation(self, prompt: Inbound, now: datetime, running: Slot | None, note: str, summary: str) -> Situation:
        language = self._persona.tongue
        local = self._schedule.local(now) if self._schedule is not None else now
        coming = self._schedule.next_after(now) if self._schedule is not None else None
        gap = "，" if language == "zh" else ", "
        found = self._knowledge.find_all(prompt.text, QUOTED) if self._knowledge is not None else ()
        return Situation(
            moment=f"{day_of(local, language)}{gap}{clock_of(local, language)}",
            on_now=_titled(running, language) if running is not None else "",
            on_note=harmless(running.entry.note, 400) if running is not None else "",
            coming=_coming(coming, local, language) if coming is not None else "",
            waiting=self._waiting(),
            viewer=prompt.viewer.name if prompt.viewer is not None else "",
            viewer_note=note,
            found=found,
            summary=summary,
        )


class _Pictures:
    """The picture asked for last, read again when its file changes."""

    def __init__(self) -> None:
        self._known: tuple[Path, int, int] | None = None
        self._picture: Image | None = None

    async def of(self, path: Path | None) -> Image | None:
        """None without a path, and for a file that is no picture (any more): told once per version of it."""
        return await asyncio.to_thread(self._read, path) if path is not None else None

    def _read(self, path: Path) -> Image | None:
        try:
            found = path.stat()
            state = (path, found.st_mtime_ns, found.st_size)
        except OSError:
            state = (path, 0, 0)
        if state != self._known:
            try:
                self._picture = read_picture(path)
            except ConfigError as err:
                self._picture = None
                log.warning("the programme's picture is not shown to the model", extra={"reason": str(err)})
            self._known = state
        return self._picture


def _from_viewer(text: str, viewer: Viewer | None = None) -> str:
    return block("viewer", text, QUESTION_LIMIT, name=viewer.name if viewer is not None else "")


def _in_turns(messages: Iterable[Message], unasked: str) -> tuple[Message, ...]:
    """User and assistant by turns, the user first and last: what one of them said in a row becomes one message."""
    turns: list[Message] = []
    for message in messages:
        if turns and turns[-1].role == message.role:
            last = turns.pop()
            message = Message(message.role, f"{last.text}\n{message.text}", (*last.images, *message.images))
        elif not turns and message.role == "assistant":
            turns.append(Message("user", unasked))
        turns.append(message)
    return tuple(turns)


def _titled(slot: Slot, language: str) -> str:
    title = harmless(title_of(slot, language), 80)
    return f"《{title}》" if language == "zh" else title


def _coming(slot: Slot, now: datetime, language: str) -> str:
    days = (slot.start.date() - now.date()).days
    clock = clock_of(slot.start, language)
    if language == "zh":
        day = "" if days == 0 else "明天" if days == 1 else day_of(slot.start, language)
        return f"{day}{clock}的{_titled(slot, language)}"
    day = "at" if days == 0 else "tomorrow at" if days == 1 else f"{day_of(slot.start, language)}, at"
    return f"{_titled(slot, language)}, {day} {clock}"
