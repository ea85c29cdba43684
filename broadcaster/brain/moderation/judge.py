"""All checks that this machine does by itself, the cheap ones first. Pure; read only, from any thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from broadcaster.brain.moderation import contacts, injection
from broadcaster.brain.moderation.findings import Finding, bounded
from broadcaster.brain.moderation.matching import LeetMatcher, Matcher
from broadcaster.brain.moderation.sounds import SoundMatcher
from broadcaster.brain.moderation.words import Words
from broadcaster.config import ModerationConfig


@dataclass(frozen=True, slots=True)
class Lists:
    """The automata of one reading of the word lists."""

    words: Words
    plain: Matcher
    leet: LeetMatcher
    sounds: SoundMatcher
    allowed: Matcher

    @classmethod
    def of(cls, words: Words, tokenizer: Callable[[], Any], *, pinyin: bool = True) -> Lists:
        """Blocking: some 3 s for 50,000 words (measured; most of it is for their readings)."""
        listed = words.listed
        return cls(
            words,
            Matcher(listed),
            LeetMatcher(listed),
            SoundMatcher(listed if pinyin else (), tokenizer),
            Matcher(words.allowed),
        )


@dataclass(frozen=True, slots=True)
class Case:
    """What is judged. `inbound`: it came in, and may be answered; else the host may say it. `trusted`: a moderator or
    an operator wrote it, whom no contact is forbidden and who may give orders."""

    text: str
    inbound: bool
    trusted: bool = False

    @property
    def direction(self) -> str:
        return "in" if self.inbound else "out"


class Judge:
    def __init__(self, settings: ModerationConfig, lists: Lists) -> None:
        self._contacts = settings.contacts
        self._injection = settings.injection
        self.lists = lists

    def find(self, case: Case, *, thorough: bool = True) -> list[Finding]:
        """What is wrong with it. Not `thorough`: only what takes some microseconds (words as they are, contacts)."""
        lists = self.lists
        found = lists.plain.find(case.text)
        if thorough:
            found += bounded(lists.leet.find(case.text), len(case.text))
            found += bounded(lists.sounds.find(case.text), len(case.text))
        if found:
            found = list(self._that_count(case, found))
        if not case.trusted:
            if self._contacts != "pass":
                found += contacts.find(case.text, self._contacts)
            if thorough and case.inbound and self._injection != "pass":
                found += injection.find(case.text, self._injection)
        return found

    def _that_count(self, case: Case, found: list[Finding]) -> Iterator[Finding]:
        """Of this direction, not allowed, and of one place only what is plainest: `found` has that first."""
        allowed = self.lists.allowed.find(case.text)
        told: set[tuple[int, int, str]] = set()
        for each in found:
            place = (each.start, each.end, each.action)
            if (
                each.direction in ("both", case.direction)
                and place not in told
                and not any(fine.start <= each.start and each.end <= fine.end for fine in allowed)
            ):
                told.add(place)
                yield each
