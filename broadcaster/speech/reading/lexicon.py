"""The operator's lexicon: how names and words with several readings are said. Pure, except `load`.

words:
  小播: 小波                        # short for {say: 小波}
  K8s: {say: K八S}                  # another spelling: every voice says it
  还款: {pinyin: huan2 kuan3}       # exact: the embedded voice, and voices that take SSML
  Jensen: {ipa: ˈdʒɛnsən, say: 詹森} # `say` is for the voices that take no exact reading
  GDP: {say: 国内生产总值, language: zh}

A Latin word is found as a whole word and in any case, one in capitals only as it is written. A Lexicon does not
change: a new file makes a new one, and a bad file raises and leaves the old one in use.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from broadcaster.config.yamlfile import Document, KeyPath, Problem, read_yaml
from broadcaster.errors import ConfigError
from broadcaster.speech.reading.languages import HAN
from broadcaster.speech.reading.pinyin import syllable
from broadcaster.speech.reading.traditional import simplified

MAX_WORDS: Final = 5000
"""A lexicon is one regular expression; beyond this it is some other file."""

MAX_BYTES: Final = 1_048_576
MAX_KEY: Final = 40
MAX_SAY: Final = 200

_IPA: Final = frozenset("abcdefhijklmnoprstuvwxzæçðøŋœɐɑɒɔɕəɚɛɜɝɟɡgɪɫɯɲɹɻɾɤʁʃʂʈʊʋʌɣʎʒʔʤʧʣʦθβχˈˌːʰʲ.ˑ\u0361\u0303 ")
_LETTERS: Final = re.compile(r"[A-Za-z][A-Za-z'’ -]*")
_HAN_WORD: Final = re.compile(f"[{HAN}]+")
NONE: Final[frozenset[str]] = frozenset()
PINYIN: Final = frozenset({"pinyin"})
EVERY: Final = frozenset({"pinyin", "ipa"})
"""Kinds of exact readings: those of SSML engines of Mandarin, and those of the embedded voice."""

_FIELDS: Final = ("say", "pinyin", "ipa", "language")


@dataclass(frozen=True, slots=True)
class Entry:
    """One word. `pinyin` has one syllable with its tone (1-5) per character; `ipa` is in the signs of the IPA."""

    word: str
    say: str = ""
    pinyin: tuple[str, ...] = ()
    ipa: str = ""
    language: str = ""

    def exact(self, kinds: frozenset[str]) -> bool:
        """Whether it has an exact reading of one of these kinds."""
        return bool((self.pinyin and "pinyin" in kinds) or (self.ipa and "ipa" in kinds))


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of text, and its entry when an exact reading is known for it."""

    text: str
    entry: Entry | None = None


class Lexicon:
    """Immutable; used by any number of threads."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self.entries: Final = tuple(entries)
        self._respellings = {
            (language, exact): _Finder(
                e for e in self.entries if e.say and e.language in ("", language) and not e.exact(exact)
            )
            for language in ("zh", "en")
            for exact in (NONE, PINYIN, EVERY)
        }
        self._exact = {exact: _Finder(e for e in self.entries if e.exact(exact)) for exact in (PINYIN, EVERY)}

    @classmethod
    def load(cls, path: Path) -> Lexicon:
        """Raises ConfigError; every line of it names file, line, key, what is wrong and what to do."""
        try:
            data = path.read_bytes()
            if len(data) > MAX_BYTES:
                raise ConfigError(f"{path}: more than a megabyte -> is this the lexicon?")
            document = read_yaml(data.decode("utf-8-sig"))
        except OSError as err:
            raise ConfigError(f"{path}: {err.strerror} -> set voice.lexicon to a readable file") from err
        except UnicodeDecodeError as err:
            raise ConfigError(f"{path}: not UTF-8 text (byte {err.start}) -> save the file as UTF-8") from err
        entries = _entries(document)
        if document.problems:
            raise ConfigError(*_lines(path, document))
        return cls(entries)

    def respelled(self, text: str, language: str, exact: frozenset[str] = NONE) -> str:
        """`text` with words written as they are to be said.

        `exact` (NONE, PINYIN or EVERY): the kinds of exact readings that whoever speaks takes as well; words that
        have one stay as they are.
        """
        return self._respellings[language, exact].replaced(text)

    def parts(self, text: str, exact: frozenset[str] = EVERY) -> list[Part]:
        """`text` cut at the words that have an exact reading; the parts joined give it again."""
        return self._exact[exact].parts(text)


class _Finder:
    """Finds the words of some entries, the longest first."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        found = sorted(entries, key=lambda entry: -len(entry.word))
        self._exactly = {entry.word: entry for entry in found}
        self._folded = {entry.word.casefold(): entry for entry in found}
        self._pattern = re.compile("|".join(_pattern(e.word) for e in found)) if found else None

    def _entry(self, word: str) -> Entry:
        return self._exactly.get(word) or self._folded[word.casefold()]

    def replaced(self, text: str) -> str:
        if self._pattern is None:
            return text
        return self._pattern.sub(lambda match: self._entry(match[0]).say, text)

    def parts(self, text: str) -> list[Part]:
        parts: list[Part] = []
        position = 0
        for match in self._pattern.finditer(text) if self._pattern else ():
            if match.start() > position:
                parts.append(Part(text[position : match.start()]))
            parts.append(Part(match[0], self._entry(match[0])))
            position = match.end()
        return [*parts, Part(text[position:])] if position < len(text) else parts


def _pattern(word: str) -> str:
    latin = "A-Za-z0-9\u00c0-\u024f"
    before = f"(?<![{latin}])" if re.match(f"[{latin}]", word) else ""
    behind = f"(?![{latin}])" if re.search(f"[{latin}]$", word) else ""
    return f"{before}{re.escape(word) if word.isupper() else f'(?i:{re.escape(word)})'}{behind}"


def _entries(document: Document) -> list[Entry]:
    """The entries of a file; what is wrong with them is added to `document.problems`."""
    data = document.data
    if data is None:
        return []
    if not isinstance(data, dict) or not isinstance(data.get("words", {}), dict | None):
        document.problems.append(
            Problem("must be the key words with one word per line below it -> words: {小播: 小波}")
        )
        return []
    for key in data:
        if key != "words":
            document.problems.append(Problem("there is no such key -> put the words below the key words", (key,)))
    words: dict[str, Any] = data.get("words") or {}
    if len(words) > MAX_WORDS:
        document.problems.append(
            Problem(f"more than {MAX_WORDS} words -> keep those that are said wrong", ("words",))
        )
        return []
    entries: list[Entry] = []
    seen: dict[str, str] = {}
    for key, value in words.items():
        path = ("words", key)
        entry = _entry(key, value, path, document.problems)
        if entry is None:
            continue
        folded = entry.word if entry.word.isupper() else entry.word.casefold()
        if folded in seen:
            document.problems.append(Problem(f"is the same word as {seen[folded]} -> keep one", path))
        seen[folded] = key
        entries.append(entry)
    return entries


def _entry(key: str, value: Any, path: KeyPath, problems: list[Problem]) -> Entry | None:
    faults = list(_faults(key, value))
    problems += [Problem(text, (*path, field) if field else path) for field, text in faults]
    if faults:
        return None
    fields: dict[str, str] = {"say": value} if isinstance(value, str) else value
    return Entry(
        word=simplified(key.strip()),
        say=fields.get("say", ""),
        pinyin=tuple(s for s in map(syllable, fields.get("pinyin", "").split()) if s),
        ipa=fields.get("ipa", "").strip("/[] "),
        language=fields.get("language", ""),
    )


def _faults(key: str, value: Any) -> Iterator[tuple[str, str]]:
    """(field or "", "what is wrong -> what to do") of one word."""
    word = key.strip()
    if not word or len(word) > MAX_KEY or not word.isprintable():
        yield "", f"a word has 1 to {MAX_KEY} characters on one line -> write the shortest part that is said wrong"
        return
    if not isinstance(value, str | dict):
        yield "", "needs a reading -> write how it is said (in quotes if it is a number), or {pinyin: ...}"
        return
    fields = {"say": value} if isinstance(value, str) else value
    for field, text in fields.items():
        if field not in _FIELDS:
            yield field, f"there is no such key -> use one of: {', '.join(_FIELDS)}"
        elif not isinstance(text, str) or not text.strip():
            yield field, "must be text -> write it in quotes"
    if not any(field in fields for field in ("say", "pinyin", "ipa")):
        yield "", "has no reading -> add say, pinyin or ipa"
    if len(str(fields.get("say", ""))) > MAX_SAY:
        yield "say", f"is longer than {MAX_SAY} characters -> make it a few words"
    if isinstance(pinyin := fields.get("pinyin"), str) and pinyin.strip():
        yield from (("pinyin", text) for text in _pinyin_faults(word, pinyin.split()))
    if isinstance(ipa := fields.get("ipa"), str) and ipa.strip():
        yield from (("ipa", text) for text in _ipa_faults(word, ipa.strip("/[] ")))
    if fields.get("language", "zh") not in ("zh", "en"):
        yield "language", "must be zh or en -> leave it out if the word is said so in both"


def _pinyin_faults(word: str, syllables: list[str]) -> Iterator[str]:
    if not _HAN_WORD.fullmatch(word):
        yield f"{word} is not of Chinese characters alone -> use say"
        return
    for written in syllables:
        if syllable(written) is None:
            yield f"{written} is not a syllable of Mandarin -> write it like zhong4 or zhòng, with spaces between"
            return
    if len(syllables) != len(word):
        yield (
            f"{len(word)} characters and {len(syllables)} syllables -> write one syllable per character, "
            "with spaces between"
        )


def _ipa_faults(word: str, ipa: str) -> Iterator[str]:
    if not _LETTERS.fullmatch(word):
        yield f"{word} is not of Latin letters alone -> use say, or pinyin for Chinese characters"
        return
    unknown = "".join(sorted(set(ipa) - _IPA))
    if unknown:
        yield f"no voice knows the signs {unknown!r} -> write the IPA of English, such as ˈdʒɛnsən"


def _lines(path: Path, document: Document) -> list[str]:
    placed = sorted(((p.line or document.line(p.path), p) for p in document.problems), key=lambda pair: pair[0])
    return [
        f"{path}:{line}: {': '.join([*('.'.join(map(str, p.path)),) * bool(p.path), p.text])}" for line, p in placed
    ]
