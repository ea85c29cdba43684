"""What is said before a viewer's question is answered: who asks, how many, and the question, shortened. Pure."""

from __future__ import annotations

import re
from typing import Final

from broadcaster.brain.language import language_of
from broadcaster.brain.names import speakable
from broadcaster.brain.quoting import block
from broadcaster.brain.wording import Wording
from broadcaster.types import Inbound, Lane, PromptKind

ASKED: Final = (Lane.QUESTION, Lane.COMMENT, Lane.SUPER_CHAT)
"""Moderators' questions are not read back: they know what they have asked."""

QUOTED: Final = 400
"""Characters of an opening that a model is told."""

_ADDRESS: Final = re.compile(r"(https?://|www\.)\S*", re.IGNORECASE)
_EMOTE: Final = re.compile(r"\[[^\[\]]{1,12}\]")
"""Bilibili's pictures, such as [打call]."""
_UNSPOKEN: Final = re.compile(r"[^\w\s,.:;!?%+=/℃°·，。：；！？、—…～《》“”‘’（）()\"'&-]+")
_ENDS: Final = re.compile(r"[。！？!?…]+|[,，；;、]|\s")
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
        return self._wording.pick(language, _phrase_of(prompt, asked), prompt.id, **values)


def begin_with(opening: str) -> str:
    """Tells a model that speaks for itself what to say first. The opening holds a viewer's words: it goes as data."""
    return f"开口先照着说完下面这一句，然后再回答：\n{block('viewer', opening, QUOTED)}"


def shortened(question: str, limit: int) -> str:
    """At most `limit` characters of it, cut where one pauses, without what cannot be read out, with a full stop."""
    plain = _UNSPOKEN.sub(" ", _EMOTE.sub(" ", _ADDRESS.sub(" ", question)))
    plain = " ".join(plain.split()).strip("，,、；;：: ")
    if not any(character.isalnum() for character in plain):
        return ""
    asks = plain.endswith(("?", "？"))
    if len(plain) > limit:
        ends = [match.start() for match in _ENDS.finditer(plain, 0, limit + 1) if match.start() >= limit // 2]
        plain = plain[: ends[-1] if ends else limit]
        asks = False
    latin = plain.isascii()
    return plain.rstrip(_MARKS) + (("?" if latin else "？") if asks else ("." if latin else "。"))


def _phrase_of(prompt: Inbound, asked: str) -> str:
    if prompt.lane is Lane.SUPER_CHAT:
        return "read_super_chat" if asked else "super_chat"
    if not asked:
        return "read_picture"
    verb = "read_question" if prompt.lane is Lane.QUESTION else "read_comment"
    return f"{verb}_many" if prompt.alike > 1 else verb
