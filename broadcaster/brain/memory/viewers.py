"""What is remembered about single viewers: how often they came, when, and what they asked. Director's event loop."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import replace
from datetime import datetime
from typing import Final

from broadcaster.brain.tokens import tokens_of
from broadcaster.errors import JournalError
from broadcaster.ports import MemoryStore
from broadcaster.types import Happening, Inbound, PromptKind, RoomEvent, Viewer, ViewerNote

VISIT_GAP_NS: Final = 4 * 3600 * 1_000_000_000
"""Who comes back after four hours has come again: a broadcast and its pauses are one visit."""

CACHED: Final = 256
"""Viewers whose note is at hand; the others are read from the journal in a millisecond."""

READ_SECONDS: Final = 0.5
"""An answer does not wait longer for the journal."""

LINE_CHARACTERS: Final = 40
"""Of one question in a note."""

GIVEN: Final = {
    RoomEvent.GIFT: "送过{item}",
    RoomEvent.SUPER_CHAT: "发过醒目留言",
    RoomEvent.GUARD: "开通过{item}",
    RoomEvent.FOLLOW: "关注了直播间",
}
"""What of an event is worth a line; likes and coming in are not."""


class Viewers:
    """`keep` viewers stay in the journal, `tokens` bounds the note about one. 0 of either: nothing is noted."""

    def __init__(self, keep: int, tokens: int) -> None:
        self.count = 0
        self._keep = keep
        self._tokens = tokens
        self._store: MemoryStore | None = None
        self._known: OrderedDict[str, ViewerNote] = OrderedDict()
        self._lock = asyncio.Lock()

    @property
    def on(self) -> bool:
        return self._keep > 0 and self._store is not None

    async def open(self, store: MemoryStore) -> None:
        """Raises JournalError."""
        self._store = store
        self.count = await store.viewers()

    async def note(self, viewer: Viewer | None, now_ns: int) -> str:
        """What a model is told about them; "" about somebody new. Never fails."""
        if viewer is None or not self.on or self._tokens == 0:
            return ""
        try:
            found = await self._read(viewer.id)
        except JournalError:
            return ""  # told by the journal itself
        return worded(found, now_ns) if found is not None else ""

    async def seen(self, prompt: Inbound, now_ns: int) -> None:
        """Something of an answer to them was heard. Not noted where the journal cannot be read: a note that begins
        anew would take the place of the one that is there."""
        viewer = prompt.viewer
        if viewer is None or not self.on:
            return
        async with self._lock:
            try:
                before = await self._read(viewer.id)
            except JournalError:
                return
            if before is None:
                self.count = min(self.count + 1, self._keep)
                before = ViewerNote(viewer.id, viewer.name, now_ns, now_ns - VISIT_GAP_NS, 0, 0)
            again = now_ns - before.last_ns >= VISIT_GAP_NS
            note = replace(
                before,
                name=viewer.name,
                last_ns=max(now_ns, before.last_ns),
                visits=before.visits + again,
                exchanges=before.exchanges + (prompt.kind is PromptKind.ASK),
                notes=noted(before.notes, line_of(prompt), self._tokens),
            )
            self._remember(note)
            if self._store is not None:
                self._store.keep_viewer(note, self._keep)

    def forget(self, viewer: str | None) -> None:
        if viewer is None:
            self._known.clear()
            self.count = 0
        elif self._known.pop(viewer, None) is not None:
            self.count = max(0, self.count - 1)

    async def _read(self, id: str) -> ViewerNote | None:
        """None: nothing is noted. Raises JournalError."""
        if id in self._known:
            self._known.move_to_end(id)
            return self._known[id]
        if self._store is None:
            return None
        try:
            async with asyncio.timeout(READ_SECONDS):
                found = await self._store.viewer(id)
        except TimeoutError as err:
            raise JournalError(f"no answer within {READ_SECONDS:g} s") from err
        if found is not None:
            self._remember(found)
        return found

    def _remember(self, note: ViewerNote) -> None:
        self._known[note.id] = note
        self._known.move_to_end(note.id)
        while len(self._known) > CACHED:
            self._known.popitem(last=False)


def line_of(prompt: Inbound) -> str:
    """What of this is worth noting; "" for nothing."""
    if prompt.kind is PromptKind.ASK:
        flat = " ".join(prompt.text.split())
        return "问过：" + (flat if len(flat) <= LINE_CHARACTERS else flat[:LINE_CHARACTERS] + "…")
    happening = prompt.happening or Happening(RoomEvent.ENTER)
    line = GIVEN.get(happening.event, "")
    return line.format(item=" ".join(happening.item.split())[:LINE_CHARACTERS] or "礼物") if line else ""


def noted(notes: str, line: str, tokens: int) -> str:
    """`notes` with `line` as the last one: each line once, and the oldest go when it becomes too long."""
    lines = [each for each in notes.split("\n") if each and each != line]
    if line:
        lines.append(line)
    while lines and tokens_of("\n".join(lines)) > tokens:
        lines.pop(0)
    return "\n".join(lines)


def worded(note: ViewerNote, now_ns: int) -> str:
    """The note as a model is told it. Days are those of the machine's time zone."""
    returned = now_ns - note.last_ns >= VISIT_GAP_NS
    visits = note.visits + returned
    came = f"第{visits}次来直播间" if visits > 1 else "第一次来直播间，刚才已经聊过"
    last = f"，上次是{_ago(note.last_ns, now_ns)}" if returned else ""
    lines = note.notes.replace("\n", "；")
    return f"{came}{last}。{lines}" if lines else f"{came}{last}。"


def _ago(then_ns: int, now_ns: int) -> str:
    days = (_date(now_ns) - _date(then_ns)).days
    if days <= 0:
        return "今天早些时候"
    return {1: "昨天", 2: "前天"}.get(days, f"{days}天前")


def _date(at_ns: int) -> datetime:
    return datetime.fromtimestamp(at_ns / 1e9).astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
