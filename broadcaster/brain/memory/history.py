"""The conversation as it was heard, bounded in tokens. Pure bookkeeping; director's event loop."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from broadcaster.brain.tokens import PER_MESSAGE, cut_to, tokens_of
from broadcaster.types import Exchange, Message

DROP_TO: Final = 0.7
"""A full history is brought down to this share of its limit at once, so that one summary pays for many exchanges."""

LONGEST_QUESTION: Final = 0.25
LONGEST_ANSWER: Final = 0.5
"""Shares of the limit that one question and one answer may take; of a longer answer the end is kept."""

MOST_EXCHANGES: Final = 500
"""However short they are."""

MORE: Final = "……"
"""Stands where something of a text is left out, or was never said."""


@dataclass(slots=True, eq=False)
class Remembered:
    """One exchange while it may grow. `before` is what an earlier run of the daemon had heard of its answer."""

    prompt: str
    viewer: str
    question: str
    at_ns: int
    before: str = ""
    sentences: dict[int, str] = field(default_factory=dict)
    cut: bool = False
    tokens: int = 0

    @property
    def answer(self) -> str:
        return joined((self.before, *(self.sentences[number] for number in sorted(self.sentences))))

    def exchange(self) -> Exchange:
        return Exchange(self.prompt, self.viewer, self.question, self.answer, self.at_ns, self.cut)


class History:
    """Exchanges in the order in which they began to be heard. `limit` is in tokens."""

    def __init__(self, limit: int) -> None:
        self.tokens = 0
        self._limit = limit
        self._kept: deque[Remembered] = deque()

    def __len__(self) -> int:
        return len(self._kept)

    def restore(self, exchanges: Iterable[Exchange]) -> list[Exchange]:
        """What a journal holds, oldest first. Returns what does not fit any more."""
        for old in exchanges:
            kept = Remembered(old.prompt, old.viewer, old.question, old.at_ns, before=old.answer, cut=old.cut)
            self._add(kept)
        return self._shed()

    def hear(self, new: Remembered, sentence: int, text: str) -> Remembered:
        """`text` was heard of that prompt (known or `new`). A sentence that is said again takes its own place."""
        kept = self._find(new.prompt)
        if kept is None:
            self._add(new)
            kept = new
        if text.strip() and not (not kept.sentences and kept.before.endswith(text.strip())):
            kept.sentences[sentence] = text.strip()
            kept.cut = False
        self._weigh(kept)
        return kept

    def end(self, prompt: str, *, cut: bool) -> Remembered | None:
        kept = self._find(prompt)
        if kept is not None:
            kept.cut = cut
        return kept

    def overflow(self) -> list[Exchange]:
        """What had to go for the limit, oldest first; whole exchanges."""
        return self._shed() if self.tokens > self._limit or len(self._kept) > MOST_EXCHANGES else []

    def forget(self, viewer: str | None) -> None:
        """What that viewer asked and was told; None: all of it."""
        self._kept = deque(kept for kept in self._kept if viewer is not None and kept.viewer != viewer)
        self.tokens = sum(kept.tokens for kept in self._kept)

    def newest(self) -> Remembered | None:
        return self._kept[-1] if self._kept else None

    def prompts_of(self, viewer: str | None) -> list[str]:
        return [kept.prompt for kept in self._kept if viewer is None or kept.viewer == viewer]

    def messages(self) -> tuple[Message, ...]:
        found: list[Message] = []
        for kept in self._kept:
            question, answer = self._worded(kept)
            if question:
                found.append(Message("user", question))
            if answer:
                found.append(Message("assistant", answer))
        return tuple(found)

    def _find(self, prompt: str) -> Remembered | None:
        return next((kept for kept in reversed(self._kept) if kept.prompt == prompt), None)

    def _add(self, kept: Remembered) -> None:
        self._kept.append(kept)
        self._weigh(kept)

    def _weigh(self, kept: Remembered) -> None:
        texts = [text for text in self._worded(kept) if text]
        tokens = sum(tokens_of(text) + PER_MESSAGE for text in texts)
        self.tokens += tokens - kept.tokens
        kept.tokens = tokens

    def _worded(self, kept: Remembered) -> tuple[str, str]:
        question = cut_to(kept.question, int(self._limit * LONGEST_QUESTION))
        if len(question) < len(kept.question):
            question += MORE
        answer = end_of(kept.answer, int(self._limit * LONGEST_ANSWER))
        return question, answer + MORE if kept.cut and answer else answer

    def _shed(self) -> list[Exchange]:
        gone: list[Exchange] = []
        if self.tokens <= self._limit and len(self._kept) <= MOST_EXCHANGES:
            return gone
        while len(self._kept) > 1 and (
            self.tokens > self._limit * DROP_TO or len(self._kept) > MOST_EXCHANGES * DROP_TO
        ):
            kept = self._kept.popleft()
            self.tokens -= kept.tokens
            gone.append(kept.exchange())
        return gone


def end_of(text: str, limit: int) -> str:
    """The end of `text` that is at most about `limit` tokens, marked where something is left out before it."""
    if tokens_of(text) <= limit:
        return text
    return MORE + cut_to(text[::-1], limit)[::-1].lstrip()


def joined(texts: Iterable[str]) -> str:
    """Sentences in a row: with a space between them where neither side is Chinese."""
    whole = ""
    for text in texts:
        if whole and text and ord(whole[-1]) < 0x2E80 and ord(text[0]) < 0x2E80:
            whole += " "
        whole += text
    return whole
