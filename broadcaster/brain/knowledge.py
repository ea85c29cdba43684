"""What the operator wrote down: passages of Markdown files, found by BM25 over words and character pairs.

`load` blocks for about a second (jieba's dictionary) and belongs in a thread; `find` takes under a millisecond.
"""

from __future__ import annotations

import re
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from broadcaster.brain.language import STOP_WORDS, language_of
from broadcaster.errors import ConfigError

MAX_PASSAGES: Final = 20_000
MAX_FILE_BYTES: Final = 4_000_000
"""Knowledge is a folder of notes; something larger is a mistake in the path."""

COVERAGE: Final = 0.5
"""Share of the question's weight that the passage must contain. Below it, an honest "I do not know" is better."""

_HAN_RUN: Final = re.compile(r"[\u3400-\u9fff]+")
_WORD: Final = re.compile(r"[a-z0-9]+")
_HEADING: Final = re.compile(r"^(#{1,6})\s+(.+?)\s*#*$")
_MARKUP: Final = re.compile(
    r"!\[[^\]]*\]\([^)]*\)|\[([^\]]*)\]\([^)]*\)|[*_`]{1,3}|^\s*(?:[-+*]|\d+\.)\s+", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Passage:
    """One paragraph group under one heading. `source` is the file's title, for naming it on air."""

    source: str
    heading: str
    text: str
    language: str


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
        """Reads `*.md` and `*.txt` below `path` (or that file). Blocking. Raises ConfigError.

        `cache` is a private folder for jieba's dictionary.
        """
        passages = [passage for file in _files(path) for passage in _passages(file)]
        if not passages:
            raise ConfigError(f"{path}: no passage in it -> put Markdown files there, or leave brain.knowledge empty")
        if len(passages) > MAX_PASSAGES:
            raise ConfigError(f"{path}: {len(passages)} passages; at most {MAX_PASSAGES} are searched")
        return cls(passages, _words(cache))

    def find(self, question: str) -> Passage | None:
        """The passage that answers best, in the question's language, or None when none fits well enough."""
        wanted = list(dict.fromkeys(self._query_tokens(question)))
        known = [token for token in wanted if token in self._counts]
        if not known:
            return None
        language = language_of(question)
        total = sum(self._weight(token) for token in wanted)
        scores = self._bm25.get_scores(known)
        for at in sorted(range(len(self.passages)), key=lambda i: -float(scores[i]))[:5]:
            covered = sum(self._weight(token) for token in known if token in self._tokens[at])
            if self.passages[at].language == language and covered / total >= COVERAGE:
                return self.passages[at]
        return None

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


_loading = threading.Lock()
_tokenizer: Any = None


def _words(cache: Path | None) -> Any:
    """jieba's tokenizer. By itself it would keep its dictionary in the shared temporary folder, which is not safe."""
    global _tokenizer
    with _loading:
        if _tokenizer is None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # its regular expressions are not raw strings
                import jieba
            jieba.setLogLevel("WARNING")
            tokenizer = jieba.Tokenizer()
            if cache is not None:
                cache.mkdir(mode=0o700, parents=True, exist_ok=True)
                tokenizer.tmp_dir = str(cache)
                tokenizer.initialize()
            else:
                tokenizer.FREQ, tokenizer.total = tokenizer.gen_pfdict(tokenizer.get_dict_file())
                tokenizer.initialized = True
            _tokenizer = tokenizer
        return _tokenizer


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise ConfigError(
            f"{path}: there is no such file or folder -> set brain.knowledge to a folder of Markdown files"
        )
    return sorted(file for file in path.rglob("*") if file.suffix in (".md", ".txt") and file.is_file())


def _passages(file: Path) -> Iterator[Passage]:
    try:
        if file.stat().st_size > MAX_FILE_BYTES:
            raise ConfigError(f"{file}: larger than {MAX_FILE_BYTES // 1_000_000} MB -> split it, or leave it out")
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as err:
        raise ConfigError(f"{file}: cannot be read as UTF-8 text: {err}") from err
    title, heading, paragraph = file.stem, "", list[str]()

    def flush() -> Iterator[Passage]:
        plain = _plain("\n".join(paragraph))
        paragraph.clear()
        if plain:
            yield Passage(title, heading, plain, language_of(heading + plain))

    for line in text.splitlines():
        match = _HEADING.match(line)
        if match is not None:
            yield from flush()
            if len(match[1]) == 1:
                title, heading = _plain(match[2]), ""
            else:
                heading = _plain(match[2])
        elif line.strip():
            paragraph.append(line)
        else:
            yield from flush()
    yield from flush()


def _plain(markdown: str) -> str:
    """The words without the marks. Lines of a Chinese paragraph join without a space."""
    text = _MARKUP.sub(lambda match: match[1] or "", markdown)
    text = re.sub(r"(?<=[\u3000-\u9fff\uff00-\uffef])\n(?=[\u3000-\u9fff\uff00-\uffef])", "", text)
    return " ".join(text.split())
