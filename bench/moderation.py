"""What moderation costs per text with 50,000 words in the lists, and what it finds where nothing is.

The words are made of the characters that are in use, two to six each, by chance: lists of that size are mostly of
longer words, so these meet more often. The texts are those that the tests keep (`tests/unit/moderation_*`).
"""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from bench.run_tables import Row, table
from bench.sentences import ZH
from broadcaster.brain.moderation import contacts, injection
from broadcaster.brain.moderation.gate import Moderation
from broadcaster.brain.moderation.judge import Case, Judge, Lists
from broadcaster.brain.moderation.lists import WordLists
from broadcaster.brain.moderation.words import read_words
from broadcaster.brain.segmenting import tokenizer
from broadcaster.config import ModerationConfig
from broadcaster.types import Origin

WORDS: Final = 50_000
KEPT: Final = Path(__file__).parent.parent / "tests" / "unit"
SHIPPED: Final = Path(__file__).parent.parent / "playlists" / "words.yaml"
VIEWER: Final = Origin("bench")

GLANCE_US: Final = 60.0
"""At 500 comments a second, the most that are considered by default, 3 % of a core."""
HEAR_US: Final = 1000.0
"""What may be done in the event loop at one go."""


def run(*, quick: bool = False) -> list[Row]:
    count = 5_000 if quick else WORDS
    texts = [*_lines("moderation_ordinary.txt"), *ZH]
    cases = [line.split("\t", 1) for line in _lines("moderation_cases.tsv")]
    tokenizer(None)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "words.txt")
        path.write_text("\n".join(_words(count)), encoding="utf-8")
        began = time.perf_counter()
        words = read_words(path)
        read = time.perf_counter() - began
        began = time.perf_counter()
        lists = Lists.of(words, lambda: tokenizer(None))
        built = time.perf_counter() - began
        gate = Moderation(ModerationConfig(words=path), WordLists(path))
        for text in texts:
            gate.explain(Case(text, inbound=True))  # fills the tables of characters, which a channel does once
        rounds = 1 if quick else 5
        rows = [
            Row(f"lists: {count} words read", read, "s", None, "in a thread"),
            Row("lists: automata made", built, "s", None, "in a thread"),
            Row("glance, per text", _each(lambda text: gate.glance(text), texts, rounds), "us", GLANCE_US),
            *_dear(gate, texts),
            *_parts(Judge(ModerationConfig(), lists), texts, rounds),
        ]
    rows += _found(texts, cases)
    table(f"Moderation, {count} words, {len(texts)} texts", rows)
    return rows


def _dear(gate: Moderation, texts: Sequence[str]) -> list[Row]:
    """What `hear` and `admit` take the first time; they remember their verdicts."""

    async def measured() -> list[Row]:
        began = time.perf_counter()
        for text in texts:
            await gate.hear([text], VIEWER)
        heard = (time.perf_counter() - began) / len(texts)
        began = time.perf_counter()
        for text in texts:
            await gate.admit(text, VIEWER)
        admitted = (time.perf_counter() - began) / len(texts)
        began = time.perf_counter()
        for text in texts:
            await gate.hear([text], VIEWER)
        again = (time.perf_counter() - began) / len(texts)
        return [
            Row("hear, per text", heard * 1e6, "us", HEAR_US),
            Row("admit, per sentence", admitted * 1e6, "us", HEAR_US),
            Row("hear, the same once more", again * 1e6, "us"),
        ]

    return asyncio.run(measured())


def _parts(judge: Judge, texts: Sequence[str], rounds: int) -> list[Row]:
    lists = judge.lists
    return [
        Row("of it: words", _each(lists.plain.find, texts, rounds), "us"),
        Row("of it: digits for letters", _each(lambda text: list(lists.leet.find(text)), texts, rounds), "us"),
        Row("of it: pinyin and sound", _each(lambda text: list(lists.sounds.find(text)), texts, rounds), "us"),
        Row("of it: contacts", _each(lambda text: list(contacts.find(text, "mask")), texts, rounds), "us"),
        Row("of it: injection", _each(lambda text: list(injection.find(text, "hold")), texts, rounds), "us"),
    ]


def _found(texts: Sequence[str], cases: Sequence[Sequence[str]]) -> list[Row]:
    judge = Judge(ModerationConfig(), Lists.of(read_words(SHIPPED), lambda: tokenizer(None)))
    false = sum(bool(judge.find(Case(text, inbound=True))) for text in texts)
    wanted = [(check, text.replace("\\u200b", "\u200b").replace("\\\\", "\\")) for check, text in cases if check]
    missed = sum(
        check not in {found.check for found in judge.find(Case(text, inbound=True))} for check, text in wanted
    )
    return [
        Row("shipped list: ordinary texts caught", false, f"of {len(texts)}", 0),
        Row("shipped list: disguised ones missed", missed, f"of {len(wanted)}", 0),
    ]


def _each(judge: Callable[[str], object], texts: Sequence[str], rounds: int) -> float:
    """Microseconds per text, the least of some rounds."""
    spans = []
    for _ in range(rounds):
        began = time.perf_counter()
        for text in texts:
            judge(text)
        spans.append((time.perf_counter() - began) / len(texts))
    return min(spans) * 1e6


def _words(count: int) -> list[str]:
    frequency = tokenizer(None).FREQ
    letters = sorted(letter for letter in frequency if len(letter) == 1 and "\u4e00" <= letter <= "\u9fff")
    weights = [frequency[letter] + 1 for letter in letters]
    chance = random.Random(7)
    made: set[str] = set()
    while len(made) < count:
        made.add("".join(chance.choices(letters, weights, k=chance.choice((2, 3, 4, 4, 5, 6)))))
    return sorted(made)


def _lines(name: str) -> list[str]:
    lines = (KEPT / name).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


if __name__ == "__main__":
    run()
