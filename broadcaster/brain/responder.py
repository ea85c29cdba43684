"""The built-in rules: they say what they are, quote the operator's notes and thank for gifts. No language model.

Director's event loop; every answer is made in well under a millisecond. It never fails, which makes it the one
that answers when a language model does not.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from functools import partial
from typing import Final

from broadcaster.brain import phrases
from broadcaster.brain.clocks import clock_of, day_of
from broadcaster.brain.knowledge import Knowledge
from broadcaster.brain.language import language_of
from broadcaster.brain.names import speakable
from broadcaster.brain.notes import Passage
from broadcaster.brain.schedule import Schedule, title_of
from broadcaster.brain.thanks import Thanks
from broadcaster.brain.wording import Wording
from broadcaster.types import Lane, PromptKind, Turn, Usage, Viewer

QUOTE_LIMIT: Final = 160
"""Characters of a passage that are read out, to the end of a sentence: about half a minute of speech."""


class Responder:
    """`now` returns an aware local time; `language` is "zh", "en", or "auto": that of whoever asks."""

    name = "rules"

    def __init__(
        self,
        host_name: str,
        *,
        schedule: Schedule | None = None,
        knowledge: Knowledge | None = None,
        wording: Wording | None = None,
        language: str = "auto",
        greeting: str = "",
        now: Callable[[], datetime] = lambda: datetime.now().astimezone(),
    ) -> None:
        self._host_name = host_name
        self._schedule = schedule
        self._knowledge = knowledge
        self._wording = wording or Wording()
        self._language = language
        self._greeting = greeting
        self._now = now
        self.thanks = Thanks(self._wording, host_name, "en" if language == "en" else "zh")

    async def reply(self, turn: Turn) -> AsyncIterator[str | Usage]:
        prompt = turn.prompt
        if prompt.given:
            yield self.thanks.together(prompt.given, prompt.id)
        elif prompt.happening is not None and prompt.kind is PromptKind.EVENT:
            yield self.thanks.single(prompt.happening, prompt.viewer, prompt.id)
        elif prompt.lane is Lane.COMMENT:
            yield self.comment(prompt.text, prompt.id)
        else:
            yield self.answer(prompt.text, prompt.id, prompt.viewer, paid=prompt.lane is Lane.SUPER_CHAT)

    async def close(self) -> None:
        pass

    def answer(self, question: str, seed: str = "", viewer: Viewer | None = None, *, paid: bool = False) -> str:
        """The whole answer. `seed` chooses between phrasings, the same one for the same seed.

        `paid`: not all that is paid to be read is a question; nobody is told that a wish cannot be answered.
        """
        language = self._language if self._language != "auto" else language_of(question)
        pick = partial(self._wording.pick, language)
        intent = _intent(question)
        if intent == "identity":
            return pick("identity", seed, name=self._host_name)
        if intent in ("time", "date"):
            local = self._local()
            told = {"clock": clock_of(local, language), "day": day_of(local, language)}
            return pick(intent, seed, name=self._host_name, **told)
        if intent in ("on_now", "on_next"):
            return self._programme(intent, seed, language)
        if self._knowledge is not None and (passage := self._knowledge.find(question)) is not None:
            return pick("quote", seed, name=self._host_name, source=passage.source, text=_quote(passage))
        if intent == "greeting" and self._greeting:
            return self._greeting
        if intent is not None:
            return pick(intent, seed, name=self._host_name)
        if paid and not re.search(phrases.ASKS, question, re.IGNORECASE):
            return pick("comment_paid", seed, name=self._host_name)
        asking = speakable(viewer.name) if viewer is not None else ""
        address = pick("address", seed, viewer=asking) if asking else ""
        return address + pick("defer", seed, name=self._host_name)

    def comment(self, text: str, seed: str = "") -> str:
        """To what is no question: what there is to say about it, or thanks."""
        language = self._language if self._language != "auto" else language_of(text)
        intent = _intent(text)
        if intent in ("identity", "greeting", "thanks", "goodbye"):
            return self.answer(text, seed)
        return self._wording.pick(language, "comment", seed)

    def _local(self) -> datetime:
        return self._schedule.local(self._now()) if self._schedule is not None else self._now()

    def _programme(self, intent: str, seed: str, language: str) -> str:
        pick = partial(self._wording.pick, language, seed=seed, name=self._host_name)
        if self._schedule is None:
            return pick("no_programme")
        now = self._now()
        running, coming = self._schedule.now_on(now), self._schedule.next_after(now)
        parts = []
        if intent == "on_now":
            parts.append(pick("on_now", title=title_of(running, language)) if running else pick("on_nothing"))
            if running and running.entry.note and language == "zh":
                parts.append(f"{running.entry.note}。")
        if coming is not None:
            days = (coming.start.date() - self._local().date()).days
            clock = clock_of(coming.start, language)
            parts.append(pick(_day_phrase(days), title=title_of(coming, language), clock=clock))
        elif intent == "on_next":
            parts.append(pick("next_nothing"))
        return ("" if language == "zh" else " ").join(parts)


def _intent(question: str) -> str | None:
    for name, pattern in phrases.INTENTS:
        if re.search(pattern, question, re.IGNORECASE):
            return name
    return None


def _day_phrase(days: int) -> str:
    return "next_today" if days == 0 else "next_tomorrow" if days == 1 else "next_later"


def _quote(passage: Passage) -> str:
    """The passage to the last sentence that ends within the limit."""
    text = passage.text
    if len(text) <= QUOTE_LIMIT:
        return text
    ends = [match.end() for match in re.finditer(r"[。！？!?]|\.(?=\s)", text[:QUOTE_LIMIT])]
    return text[: ends[-1]] if ends else text[:QUOTE_LIMIT].rstrip("，, ") + "……"
