"""Lists of words as operators write them: YAML with groups, or plain text with a word a line. Blocking; in a thread.

Faults are told with file, line and key. A list never changes once it was read; `lists` reads it anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from broadcaster.brain.moderation.folding import compact, letters_of
from broadcaster.brain.ownfiles import load_model
from broadcaster.config import Section
from broadcaster.errors import ConfigError

LONGEST_WORD: Final = 60
"""Characters; a longer one is a sentence, and would never be met again."""

MOST_WORDS: Final = 200_000
"""Of all files together: about 300 MB of automata. Larger lists than that hold whole dictionaries."""

MOST_BYTES: Final = 8_388_608
"""Of one text file."""

SUFFIXES: Final = (".yaml", ".yml", ".txt")
"""What of a folder is read; other files (a readme, an editor's copy) are not lists."""

DOCS: Final = "docs/room.md"

_EMPTY: Final = "has no letter and no digit, and signs are not looked for -> remove it"


def _with_letters(text: str) -> str:
    if not compact(text):
        raise ValueError(_EMPTY)
    return text


_Word = Annotated[
    str,
    BeforeValidator(lambda value: str(value) if type(value) in (int, float) else value),
    StringConstraints(strip_whitespace=True, min_length=1, max_length=LONGEST_WORD),
    AfterValidator(_with_letters),
]


class _Group(Section):
    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_-]{1,40}$")]
    """For logs and verdicts: a-z, 0-9, - and _."""
    action: Literal["drop", "mask", "replace", "hold"] = "drop"
    direction: Literal["in", "out", "both"] = "both"
    replacement: Annotated[str, Field(alias="with", max_length=LONGEST_WORD)] = ""
    pinyin: bool = True
    """Also look for these words in pinyin and in characters that sound the same."""
    words: list[_Word] = Field(default_factory=list)

    @model_validator(mode="after")
    def _replaces(self) -> _Group:
        if self.action == "replace" and not self.replacement.strip():
            raise ValueError("action replace needs a text -> add with: ..., or use action: mask")
        if self.action != "replace" and self.replacement:
            raise ValueError("`with` goes with action: replace -> change the action, or take `with` out")
        return self


class _File(Section):
    groups: list[_Group] = Field(default_factory=list)
    allow: list[_Word] = Field(default_factory=list)
    """Words that are fine, though one of the others is in them, or sounds the same."""


@dataclass(frozen=True, slots=True)
class Group:
    """What becomes of a text with one of its words. `direction`: "in", "out" or "both"."""

    name: str
    action: str
    direction: str = "both"
    replacement: str = ""
    pinyin: bool = True


@dataclass(frozen=True, slots=True)
class Word:
    """`letters` are plain, each with how often it is repeated. `joints` are the places before which the word itself
    has a space or a sign, `inner` how many of those lie within a repetition (bus stop). `loose_start`, `loose_end`: a
    longer Latin word that ends or begins with it counts too.
    """

    text: str
    group: Group
    letters: str
    runs: tuple[int, ...]
    joints: frozenset[int] = frozenset()
    inner: int = 0
    loose_start: bool = False
    loose_end: bool = False


def word_of(text: str, group: Group) -> Word | None:
    """None for a text without letters or digits. A * at its start or end stands for more letters of the same word."""
    bare = text.strip("*").strip()
    letters = letters_of(bare)
    if not letters:
        return None
    return Word(
        bare,
        group,
        "".join(each.letter for each in letters),
        tuple(each.run for each in letters),
        frozenset(at for at, (one, other) in enumerate(pairwise(letters), 1) if other.start > one.end),
        sum(len(each.gaps()) for each in letters),
        text.startswith("*"),
        text.endswith("*"),
    )


@dataclass(frozen=True, slots=True)
class Words:
    """All lists together. What lies within one of `allowed` was not found."""

    listed: tuple[Word, ...] = ()
    allowed: tuple[Word, ...] = ()
    files: int = 0


ALLOWED: Final = Group("allow", "pass", pinyin=False)


def files_of(path: Path) -> list[Path]:
    """The lists below a folder in the order of their names, or the file itself. Raises ConfigError."""
    try:
        if not path.is_dir():
            return [path]
        return sorted(each for each in path.rglob("*") if each.suffix.lower() in SUFFIXES and _is_list(each, path))
    except OSError as err:
        raise ConfigError(f"{path}: {err.strerror} -> set moderation.words to a readable file or folder") from err


def _is_list(file: Path, root: Path) -> bool:
    return file.is_file() and not any(part.startswith(".") for part in file.relative_to(root).parts)


def read_words(path: Path) -> Words:
    """Everything that the lists of `path` hold. Raises ConfigError with every fault of every file."""
    listed: list[Word] = []
    allowed: list[Word] = []
    faults: list[str] = []
    files = files_of(path)
    for file in files:
        try:
            if file.suffix.lower() == ".txt":
                listed += _of_text(file)
            else:
                read = load_model(file, _File, "moderation.words", DOCS)
                listed += _of_groups(read)
                allowed += filter(None, (word_of(text, ALLOWED) for text in read.allow))
        except ConfigError as err:
            faults += err.problems
    if len(listed) > MOST_WORDS:
        faults.append(f"{path}: {len(listed)} words; at most {MOST_WORDS} are looked for -> shorten the lists")
    if faults:
        raise ConfigError(*faults)
    return Words(tuple(listed), tuple(allowed), len(files))


def _of_groups(read: _File) -> Iterator[Word]:
    for each in read.groups:
        group = Group(each.name, each.action, each.direction, each.replacement, each.pinyin)
        yield from filter(None, (word_of(text, group) for text in each.words))


def _of_text(file: Path) -> list[Word]:
    """A word a line, all to be dropped both ways; empty lines and those that begin with # are left out."""
    try:
        data = file.read_bytes()
    except OSError as err:
        raise ConfigError(f"{file}: {err.strerror} -> set moderation.words to readable files") from err
    if len(data) > MOST_BYTES:
        raise ConfigError(f"{file}: more than {MOST_BYTES // 1_048_576} MB -> split it, or shorten it")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as err:
        at = data[: err.start].count(b"\n") + 1
        raise ConfigError(f"{file}:{at}: not UTF-8 text -> save the file as UTF-8") from err
    group = Group(_name_of(file), "drop")
    words: list[Word] = []
    faults: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        entry = line.strip()
        if not entry or entry.startswith("#"):
            continue
        if len(entry) > LONGEST_WORD:
            faults.append(f"{file}:{number}: longer than {LONGEST_WORD} characters -> one word a line")
        elif (word := word_of(entry, group)) is None:
            faults.append(f"{file}:{number}: {_EMPTY}")
        else:
            words.append(word)
    if faults:
        raise ConfigError(*faults)
    return words


def _name_of(file: Path) -> str:
    """A group's name out of a file's."""
    name = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in file.stem.lower())
    return name.strip("-")[:40] or "list"
