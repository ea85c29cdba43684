"""The built-in brain: fixed rules that say what they are, and quotes from the operator's notes. No language model.

Director's event loop; every answer is made in well under a millisecond. It never fails, which makes it the one
that answers when a language model does not.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Final, Protocol

from broadcaster.brain import phrases
from broadcaster.brain.knowledge import Knowledge, Passage
from broadcaster.brain.language import language_of
from broadcaster.types import Turn, Usage

QUOTE_LIMIT: Final = 160
"""Characters of a passage that are read out, to the end of a sentence: about half a minute of speech."""


class Titled(Protocol):
    @property
    def title(self) -> str: ...

    @property
    def title_en(self) -> str: ...

    @property
    def note(self) -> str: ...


class Slot(Protocol):
    @property
    def entry(self) -> Titled: ...

    @property
    def start(self) -> datetime: ...

    @property
    def end(self) -> datetime: ...


class Schedule(Protocol):
    """What is needed of `programme.Programme`."""

    def local(self, moment: datetime) -> datetime: ...

    def now_on(self, moment: datetime) -> Slot | None: ...

    def next_after(self, moment: datetime) -> Slot | None: ...


class Responder:
    """`now` returns an aware local time. Chinese questions are answered in Chinese, English ones in English."""

    name = "responder"

    def __init__(
        self,
        host_name: str,
        *,
        schedule: Schedule | None = None,
        knowledge: Knowledge | None = None,
        now: Callable[[], datetime] = lambda: datetime.now().astimezone(),
    ) -> None:
        self._host_name = host_name
        self._schedule = schedule
        self._knowledge = knowledge
        self._now = now

    async def reply(self, turn: Turn) -> AsyncIterator[str | Usage]:
        yield self.answer(turn.prompt.text, turn.prompt.id)

    async def close(self) -> None:
        pass

    def answer(self, question: str, seed: str = "") -> str:
        """The whole answer. `seed` chooses between phrasings, the same one for the same seed."""
        language = language_of(question)
        pick = _Picker(phrases.ZH if language == "zh" else phrases.EN, seed)
        intent = _intent(question)
        if intent == "identity":
            return pick("identity", name=self._host_name)
        if intent in ("time", "date"):
            return self._clock(intent, pick, language)
        if intent in ("on_now", "on_next"):
            return self._programme(intent, pick, language)
        if self._knowledge is not None and (passage := self._knowledge.find(question)) is not None:
            return pick("quote", source=passage.source, text=_quote(passage))
        if intent is not None:
            return pick(intent, name=self._host_name)
        return pick("defer", name=self._host_name)

    def _local(self) -> datetime:
        return self._schedule.local(self._now()) if self._schedule is not None else self._now()

    def _clock(self, intent: str, pick: _Picker, language: str) -> str:
        moment = self._local()
        if language == "zh":
            day = f"{moment.year}年{moment.month}月{moment.day}日，星期{'一二三四五六日'[moment.weekday()]}"
            return pick(intent, clock=_zh_clock(moment), day=day)
        day = f"{moment:%A}, {moment:%B} {moment.day}, {moment.year}"
        return pick(intent, clock=_en_clock(moment), day=day)

    def _programme(self, intent: str, pick: _Picker, language: str) -> str:
        if self._schedule is None:
            return pick("no_programme", name=self._host_name)
        now = self._now()
        running, coming = self._schedule.now_on(now), self._schedule.next_after(now)
        parts = []
        if intent == "on_now":
            parts.append(pick("on_now", title=_title(running, language)) if running else pick("on_nothing"))
            if running and running.entry.note and language == "zh":
                parts.append(f"{running.entry.note}。")
        if coming is not None:
            clock = _zh_clock(coming.start) if language == "zh" else _en_clock(coming.start)
            days = (coming.start.date() - self._local().date()).days
            parts.append(pick(_day_phrase(days), title=_title(coming, language), clock=clock))
        elif intent == "on_next":
            parts.append(pick("next_nothing"))
        return ("" if language == "zh" else " ").join(parts)


class _Picker:
    """Takes one of the phrasings by a checksum, so that the same prompt always gets the same answer."""

    def __init__(self, table: dict[str, tuple[str, ...]], seed: str) -> None:
        self._table = table
        self._seed = zlib.crc32(seed.encode("utf-8", "replace"))

    def __call__(self, key: str, **values: str) -> str:
        choices = self._table[key]
        return choices[self._seed % len(choices)].format(**values)


def _intent(question: str) -> str | None:
    for name, pattern in phrases.INTENTS:
        if re.search(pattern, question, re.IGNORECASE):
            return name
    return None


def _title(slot: Slot, language: str) -> str:
    return slot.entry.title_en or slot.entry.title if language == "en" else slot.entry.title


def _day_phrase(days: int) -> str:
    return "next_today" if days == 0 else "next_tomorrow" if days == 1 else "next_later"


def _zh_clock(moment: datetime) -> str:
    """As it is said: 上午9点05分, 凌晨1点, 中午12点."""
    hour = moment.hour
    part = next(
        name for end, name in ((6, "凌晨"), (12, "上午"), (13, "中午"), (18, "下午"), (24, "晚上")) if hour < end
    )
    minute = f"{moment.minute}分" if moment.minute else "整"
    return f"{part}{hour if hour <= 12 else hour - 12}点{minute}"


def _en_clock(moment: datetime) -> str:
    hour = moment.hour % 12 or 12
    return f"{hour}:{moment.minute:02d} {'AM' if moment.hour < 12 else 'PM'}"


def _quote(passage: Passage) -> str:
    """The passage to the last sentence that ends within the limit."""
    text = passage.text
    if len(text) <= QUOTE_LIMIT:
        return text
    ends = [match.end() for match in re.finditer(r"[。！？!?]|\.(?=\s)", text[:QUOTE_LIMIT])]
    return text[: ends[-1]] if ends else text[:QUOTE_LIMIT].rstrip("，, ") + "……"
