"""What is said before a viewer's question is answered: who asks, how many, and the question, shortened. Pure."""

from __future__ import annotations

import re
from typing import Final

from broadcaster.brain.language import PICTURE, language_of
from broadcaster.brain.names import speakable
from broadcaster.brain.quoting import block
from broadcaster.brain.wording import Wording
from broadcaster.types import Inbound, Lane, PromptKind

ASKED: Final = (Lane.QUESTION, Lane.COMMENT, Lane.SUPER_CHAT)
"""Moderators' questions are not read back: they know what they have asked."""

LATIN: Final = 3
"""Letters that take about as long to say as one Chinese character."""

QUOTED: Final = 400
"""Characters of an opening that a model is told."""

_ADDRESS: Final = re.compile(r"(https?://|www\.)\S*", re.IGNORECASE)
_TAG: Final = re.compile(r"</?[A-Za-z][^<>]{0,40}>")
"""Of a text that was meant for a page."""
_UNSPOKEN: Final = re.compile(r"[^\w\s,.:;!?%+=/℃°·，。：；！？、—…～《》“”‘’（）()\"'&-]+")
_SENTENCE: Final = re.compile(r"[。！？!?…]+|\.(?=\s)")
_CLAUSE: Final = re.compile(r"[，；;、]|,(?=\s)")
_WORD: Final = re.compile(r"\s")
_MARKS: Final = "。！？!?….，,、；;：: "


class Opening:
    """`limit`: characters of the question that are read back; 0: nothing is said."""

    def __init__(self, wording: Wording, *, language: str = "auto", limit: int = 24) -> None:
        self._wording = wording
        self._language = language
        self._limit = limit

    def of(self, prompt: Inbound) -> str:
        """One sentence, or "" where nothing is to be said."""
        if prompt.kind is not PromptKind.ASK or prompt.lane not in ASKED or not self._limit:
            return ""
        asked = shortened(prompt.text, self._limit)
        language = self._language if self._language != "auto" else language_of(prompt.text)
        name = speakable(prompt.viewer.name) if prompt.viewer is not None else ""
        values = {
            "viewer": name or self._wording.pick(language, "somebody", prompt.id),
            "question": asked,
            "count": prompt.alike - 1,
        }
        said = self._wording.pick(language, _phrase_of(prompt, asked), prompt.id, **values)
        return f"{said} " if said.isascii() else said  # the answer follows it directly


class Openings:
    """What of the openings was not heard yet: they are no part of an answer, and a model that found them in the
    conversation would begin all its answers so."""

    def __init__(self) -> None:
        self._unheard: dict[str, str] = {}

    def begun(self, prompt: str, opening: str) -> None:
        self._unheard[prompt] = opening.strip()

    def without(self, prompt: str, heard: str) -> str:
        """What was heard of the answer."""
        left = self._unheard.get(prompt, "")
        said = heard.strip()
        if not left or not said:
            return heard
        if left.startswith(said):
            self._unheard[prompt] = left[len(said) :].lstrip()
            return ""
        self._unheard.pop(prompt)
        return said[len(left) :].lstrip() if said.startswith(left) else heard

    def ended(self, prompt: str) -> None:
        self._unheard.pop(prompt, None)


def begin_with(opening: str) -> str:
    """Tells a model that speaks for itself what to say first. The opening holds a viewer's words: it goes as data."""
    return f"开口先照着说完下面这一句，然后再回答：\n{block('viewer', opening, QUOTED)}"


def shortened(question: str, limit: int) -> str:
    """At most `limit` characters of it, cut where one pauses, without what cannot be read out, with a full stop.

    Of a text in Latin letters it may be LATIN times as many: a word is several of them.
    """
    plain = _UNSPOKEN.sub(" ", PICTURE.sub(" ", _TAG.sub(" ", _ADDRESS.sub(" ", question))))
    plain = " ".join(plain.split()).strip("，,、；;：: ")
    if not any(character.isalnum() for character in plain):
        return ""
    latin = plain.isascii() and any(character.isalpha() for character in plain)
    most = limit * LATIN if latin else limit
    asks = plain.endswith(("?", "？"))
    if len(plain) > most:
        plain = plain[: _pause(plain, most)]
        asks = plain.endswith(("?", "？"))
    return plain.rstrip(_MARKS) + (("?" if latin else "？") if asks else ("." if latin else "。"))


def _pause(text: str, limit: int) -> int:
    """Where it is cut: behind its last sentence that fits, or its last clause, or its last word."""
    for ends, least in ((_SENTENCE, limit // 5), (_CLAUSE, limit // 2), (_WORD, limit // 2)):
        found = [match.end() for match in ends.finditer(text, 0, limit + 1) if least <= match.start() <= limit]
        if found:
            return min(found[-1], limit + 1)
    return limit


def _phrase_of(prompt: Inbound, asked: str) -> str:
    if prompt.lane is Lane.SUPER_CHAT:
        return "read_super_chat" if asked else "super_chat"
    if not asked:
        return "read_picture"
    verb = "read_question" if prompt.lane is Lane.QUESTION else "read_comment"
    return f"{verb}_many" if prompt.alike > 1 else verb
