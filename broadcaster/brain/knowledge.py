"""What the operator wrote down, searched by BM25 over words (see `notes` for how passages are made).

`load` blocks for about a second (jieba's dictionary) and belongs in a thread; a search takes under a millisecond,
and some three with MAX_PASSAGES.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from broadcaster.brain.language import STOP_WORDS, language_of
from broadcaster.brain.notes import Passage, files_of, passages_of
from broadcaster.brain.segmenting import tokenizer
from broadcaster.errors import ConfigError

MAX_PASSAGES: Final = 20_000
"""Knowledge is a folder of notes; something larger is a mistake in the path."""

COVERAGE: Final = 0.5
"""Share of the question's weight that the passage must contain. Below it, an honest "I do not know" is better."""

RELEVANT: Final = 0.25
"""The same for what a model is shown: it reads the passage and may find that it does not help."""

BEST: Final = 5
"""So many of the passages that BM25 likes best are looked at by coverage."""

_HAN_RUN: Final = re.compile(r"[\u3400-\u9fff]+")
_WORD: Final = re.compile(r"[a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Found:
    """A passage, and which share of the question's weight its words cover: 0..1."""

    passage: Passage
    score: float


class Knowledge:
    """The passages of one file or folder, ready to be searched. Immutable after `load`."""

    def __init__(self, passages: list[Passage], words: Any) -> None:
        self.passages = passages
        self._words = words
        self._tokens = [frozenset(self._index_tokens(p)) for p in passages]
        self._counts: dict[str, int] = {}
        for tokens in self._tokens:
            for token in tokens:
                self._counts[token] = self._counts.get(token, 0) + 1
        self._bm25 = _index([list(self._index_tokens(passage)) for passage in passages])

    @classmethod
    def load(cls, path: Path, cache: Path | None = None) -> Knowledge:
        """Reads `*.md`, `*.txt` and `*.csv` below `path` (or that file). Blocking. Raises ConfigError.

        `cache` is a private folder for jieba's dictionary.
        """
        passages = [passage for file in files_of(path) for passage in passages_of(file)]
        if not passages:
            raise ConfigError(
                f"{path}: no passage in it -> put Markdown or CSV files there, or leave brain.knowledge empty"
            )
        if len(passages) > MAX_PASSAGES:
            raise ConfigError(f"{path}: {len(passages)} passages; at most {MAX_PASSAGES} are searched")
        return cls(passages, tokenizer(cache))

    def find(self, question: str) -> Passage | None:
        """The passage that answers best, in the question's language, or None when none fits well enough."""
        language = language_of(question)
        for found in self._ranked(question):
            if found.passage.language == language and found.score >= COVERAGE:
                return found.passage
        return None

    def find_all(self, question: str, limit: int = 3) -> list[Found]:
        """Up to `limit` passages that may have to do with the question, of any language, the best first."""
        near = [found for found in self._ranked(question) if found.score >= RELEVANT]
        return sorted(near, key=lambda found: -found.score)[:limit]

    def _ranked(self, question: str) -> list[Found]:
        """The passages that BM25 likes best, in that order."""
        wanted = list(dict.fromkeys(self._query_tokens(question)))
        known = [token for token in wanted if token in self._counts]
        if not known:
            return []
        total = sum(self._weight(token) for token in wanted)
        scores = self._bm25.get_scores(known)
        best = sorted(range(len(self.passages)), key=lambda i: -float(scores[i]))[:BEST]
        return [
            Found(self.passages[at], sum(self._weight(t) for t in known if t in self._tokens[at]) / total)
            for at in best
        ]

    def _weight(self, token: str) -> float:
        """Rare tokens count more; a token that no passage has counts like one that a single passage has."""
        share = max(1, self._counts.get(token, 1)) / len(self.passages)
        return (1.0 - share * 0.9) * (1.0 if len(token) > 1 else 0.4)

    def _index_tokens(self, passage: Passage) -> Iterator[str]:
        cut = self._words.cut_for_search
        yield from _tokens_of(passage.heading, cut)
        yield from _tokens_of(passage.heading, cut)  # a heading says what the passage is about
        yield from _tokens_of(passage.text, cut)

    def _query_tokens(self, question: str) -> Iterator[str]:
        """Whole words only: the parts of one long word must not count as several matches."""
        return _tokens_of(question, self._words.cut)


def _tokens_of(text: str, cut: Callable[[str], Iterator[str]]) -> Iterator[str]:
    lowered = text.lower()
    yield from (_stem(word) for word in _WORD.findall(lowered) if word not in STOP_WORDS)
    for run in _HAN_RUN.findall(lowered):
        yield from (word for word in cut(run) if word not in STOP_WORDS)


def _stem(word: str) -> str:
    """Only the plural and the third person: enough for a FAQ, and never wrong about a name."""
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def _index(documents: list[list[str]]) -> Any:
    import bm25s

    index = bm25s.BM25()
    index.index(documents, show_progress=False)
    return index
