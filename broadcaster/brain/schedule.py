"""What the mind needs of the programme, as protocols: `programme.Programme` is the implementation."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Protocol


class Titled(Protocol):
    @property
    def title(self) -> str: ...

    @property
    def title_en(self) -> str: ...

    @property
    def note(self) -> str: ...

    @property
    def image(self) -> Path | None: ...


class Slot(Protocol):
    @property
    def entry(self) -> Titled: ...

    @property
    def start(self) -> datetime: ...

    @property
    def end(self) -> datetime: ...


class Schedule(Protocol):
    def local(self, moment: datetime) -> datetime: ...

    def now_on(self, moment: datetime) -> Slot | None: ...

    def next_after(self, moment: datetime) -> Slot | None: ...


def title_of(slot: Slot, language: str) -> str:
    return slot.entry.title_en or slot.entry.title if language == "en" else slot.entry.title
