"""The operator's notes as passages: Markdown and plain text by paragraphs, CSV by rows. Blocking; read at start."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from broadcaster.brain.language import language_of
from broadcaster.errors import ConfigError

MAX_FILE_BYTES: Final = 4_000_000
"""Knowledge is a folder of notes; something larger is a mistake in the path."""

MAX_COLUMNS: Final = 60
KINDS: Final = (".md", ".txt", ".csv")

_HEADING: Final = re.compile(r"^(#{1,6})\s+(.+?)\s*#*$")
_MARKUP: Final = re.compile(
    r"!\[[^\]]*\]\([^)]*\)|\[([^\]]*)\]\([^)]*\)|[*_`]{1,3}|^\s*(?:[-+*]|\d+\.)\s+", re.MULTILINE
)
_DELIMITERS: Final = ",;\t，"
_QUESTION: Final = frozenset({"question", "q", "title", "问题", "问", "提问", "标题"})
_ANSWER: Final = frozenset({"answer", "a", "text", "答案", "回答", "答", "答复", "内容"})

_GBK_TEXT: Final = re.compile(
    r"[\t\n\r\x20-\x7e\u4e00-\u9fff\u3000-\u303f\uff01-\uffe5\u2010-\u2026\u00b7\u00d7\u00b0\u2103\u2460-\u2473\u2160-\u216b]*"
)
"""What Chinese notes are made of: bytes of other encodings, read as GB18030, give rare signs besides."""


@dataclass(frozen=True, slots=True)
class Passage:
    """One paragraph group under one heading, or one row of a table.

    `source` is the file's title, for naming it on air.
    """

    source: str
    heading: str
    text: str
    language: str


def files_of(path: Path) -> list[Path]:
    """The files of notes below `path`, or that file. Raises ConfigError."""
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise ConfigError(f"{path}: there is no such file or folder -> set brain.knowledge to a folder of notes")
    return sorted(file for file in path.rglob("*") if file.suffix.lower() in KINDS and file.is_file())


def passages_of(file: Path) -> list[Passage]:
    """Raises ConfigError."""
    try:
        if file.stat().st_size > MAX_FILE_BYTES:
            raise ConfigError(f"{file}: larger than {MAX_FILE_BYTES // 1_000_000} MB -> split it, or leave it out")
        text = _decoded(file, file.read_bytes())
    except OSError as err:
        raise ConfigError(f"{file}: cannot be read ({err.strerror}) -> check its permissions") from err
    return list(_of_table(file, text) if file.suffix.lower() == ".csv" else _of_text(file, text))


def _decoded(file: Path, data: bytes) -> str:
    """UTF-8 with or without a mark, or Chinese text as GBK/GB18030, which spreadsheets still write."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as err:
        try:
            text = data.decode("gb18030")
        except UnicodeDecodeError:
            text = "\0"
        if not _GBK_TEXT.fullmatch(text):
            raise ConfigError(
                f"{file}: neither UTF-8 nor Chinese text as GBK (byte {err.start}) -> save the file as UTF-8"
            ) from err
        return text


# -- Markdown -------------------------------------------------------------------------------------------------------


def _of_text(file: Path, text: str) -> Iterator[Passage]:
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


# -- CSV ------------------------------------------------------------------------------------------------------------


def _of_table(file: Path, text: str) -> Iterator[Passage]:
    """The first row names the columns. Questions with answers become heading and text; of another table each row is
    a passage that names its columns, headed by its first cell."""
    first = text.partition("\n")[0]
    delimiter = max(_DELIMITERS, key=first.count)
    try:
        rows = list(csv.reader(text.splitlines(keepends=True), delimiter=delimiter, strict=True))
    except csv.Error as err:
        raise ConfigError(f"{file}: not a table of comma-separated values ({err}) -> save it as CSV again") from err
    names = [" ".join(name.split()) for name in rows[0]] if rows else []
    if len(names) > MAX_COLUMNS:
        raise ConfigError(f"{file}: more than {MAX_COLUMNS} columns -> leave some out")
    question, answer = _column(names, _QUESTION), _column(names, _ANSWER)
    for row in rows[1:]:
        cells = [" ".join(cell.split()) for cell in row]
        if question is not None and answer is not None:
            if len(cells) > max(question, answer) and cells[answer]:
                heading, said = cells[question], _with_others(cells, names, question, answer)
                yield Passage(file.stem, heading, said, language_of(heading + said))
        elif any(cells):
            filled = [(name, cell) for name, cell in zip(names, cells, strict=False) if cell]
            said = _sentence(filled)
            if said:
                yield Passage(file.stem, filled[0][1], said, language_of(said))


def _column(names: list[str], known: frozenset[str]) -> int | None:
    return next((at for at, name in enumerate(names) if name.lower() in known), None)


def _with_others(cells: list[str], names: list[str], question: int, answer: int) -> str:
    """The answer; what stands in further columns is told behind it."""
    others = [
        (name, cell)
        for at, (name, cell) in enumerate(zip(names, cells, strict=False))
        if at not in (question, answer) and cell
    ]
    return f"{cells[answer]}{_sentence(others)}"


def _sentence(filled: list[tuple[str, str]]) -> str:
    if not filled:
        return ""
    if language_of("".join(name + cell for name, cell in filled)) == "zh":
        return "，".join(f"{name}：{cell}" if name else cell for name, cell in filled) + "。"
    return ", ".join(f"{name}: {cell}" if name else cell for name, cell in filled) + "."
