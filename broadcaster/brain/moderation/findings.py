"""What the checks find in a text, and the verdict that follows from it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from broadcaster.brain.moderation.words import LONGEST_WORD, Word
from broadcaster.types import Verdict, VerdictKind

STAR: Final = "*"
"""Stands for a letter that is not said: shown on screen, and no voice reads it."""

MOST: Final = 50
"""Words found in one text; after that all the rest of it counts as found, so that no text takes long to judge."""

_WEIGHT: Final = {"pass": 0, "mask": 1, "replace": 1, "hold": 2, "drop": 3}


@dataclass(frozen=True, slots=True)
class Finding:
    """`check`: word, sound, leet, contact, injection or endpoint. `name`: the group or the pattern, never a text.

    [start, end) are characters of the original; `word` is what of a list was found. `action` and `direction` are as
    in the lists.
    """

    check: str
    name: str
    action: str
    start: int
    end: int
    word: str = ""
    replacement: str = ""
    direction: str = "both"

    @property
    def reason(self) -> str:
        """For logs and verdicts: no text of anybody's."""
        return f"{self.check}: {self.name}"


def of_word(check: str, word: Word, start: int, end: int) -> Finding:
    group = word.group
    return Finding(check, group.name, group.action, start, end, word.text, group.replacement, group.direction)


def bounded(found: Iterable[Finding], length: int) -> Iterator[Finding]:
    """`found` in the text's order, up to MOST; `length` is the text's."""
    for number, each in enumerate(found, 1):
        if number > MOST:
            yield replace(each, start=max(0, each.start - LONGEST_WORD), end=length)
            return
        yield each


def weight(action: str) -> int:
    return _WEIGHT[action]


def verdict_of(text: str, findings: Sequence[Finding]) -> Verdict:
    """The gravest finding decides; masks and replacements are all applied, and where they leave nothing but signs the
    text is dropped. What is held keeps its text."""
    gravest = max(findings, key=lambda found: weight(found.action), default=None)
    if gravest is None or gravest.action == "pass":
        return Verdict(VerdictKind.PASS, text)
    if gravest.action == "drop":
        return Verdict(VerdictKind.DROP, "", gravest.reason)
    if gravest.action == "hold":
        return Verdict(VerdictKind.HOLD, text, gravest.reason)
    changes = [found for found in findings if found.action in ("mask", "replace")]
    kind = VerdictKind.REPLACE if all(found.action == "replace" for found in changes) else VerdictKind.MASK
    left = rewritten(text, changes)
    if not any(map(str.isalnum, left)):
        return Verdict(VerdictKind.DROP, "", gravest.reason)
    return Verdict(kind, left, gravest.reason)


def rewritten(text: str, changes: Iterable[Finding]) -> str:
    """`text` with stars or replacements in place of what was found; what overlaps goes together, a mask prevails."""
    parts: list[str] = []
    done = 0
    for start, end, change in _merged(changes):
        parts.append(text[done:start])
        parts.append(change.replacement if change.action == "replace" else masked(text[start:end]))
        done = end
    return "".join(parts) + text[done:]


def masked(text: str) -> str:
    """A star for every character that is seen; spaces stay, so that lines break where they did."""
    return "".join(letter if letter.isspace() else STAR for letter in text)


def _merged(changes: Iterable[Finding]) -> list[tuple[int, int, Finding]]:
    merged: list[tuple[int, int, Finding]] = []
    for change in sorted(changes, key=lambda found: (found.start, -found.end)):
        if merged and change.start < merged[-1][1]:
            start, end, other = merged[-1]
            prevails = other if other.action == "mask" else change
            merged[-1] = (start, max(end, change.end), prevails)
        else:
            merged.append((change.start, change.end, change))
    return merged
