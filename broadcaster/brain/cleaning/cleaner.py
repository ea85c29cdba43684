"""The whole way of one answer from raw to speakable. One object per answer; pure.

Everything works on single characters, so that the same text comes out whatever the pieces are that it comes in.
"""

from __future__ import annotations

import re
from typing import Final

from broadcaster.brain.cleaning.asides import Asides
from broadcaster.brain.cleaning.boilerplate import Boilerplate, Unspeakable
from broadcaster.brain.cleaning.markup import Markup

SPEAKERS: Final = ("assistant", "ai", "bot", "host", "answer", "助手", "主播", "回答", "机器人")
"""May stand before what is said, besides the host's own name."""

_MUSING: Final = re.compile(
    r"(?:好的?|嗯|唔|首先|现在)?[，,。\s]*(?:现在|这个|我看到|看到)?用户"
    r"(?:问(?!得|题|候)|想|说|发|在问|提|让我|希望|要求|要我|似乎|可能|刚)"
    r"|(?:okay|ok|alright|hmm|so|now)?[,.\s]*(?:so\s+)?(?:the user (?:is|wants|want|asks|asked|says|"
    r"said|has|seems)"
    r"|we (?:need|have) to (?:answer|respond|reply|produce|write))",
    re.IGNORECASE,
)
"""How a model thinks aloud of whom it answers. Such an answer waits for the mark that ends the thought."""

_MUSING_HEAD: Final = 26
_MUSING_STARTS: Final = (
    "好的", "好，", "嗯", "唔", "首先", "现在", "这个用", "我看到", "看到用", "用户",
    "okay", "ok", "alright", "hmm", "so", "now", "the user", "we need to", "we have to",
)  # fmt: skip

_STILL: Final = re.compile(
    r"(?:好的?|嗯|唔|首先|现在)[，,。\s]*(?:现在|这个|我看到|看到|我|看)?(?:用户?)?"
    r"|(?:我看到|看到|这个|现在)?用户?"
    r"|(?:okay|ok|alright|hmm|so|now)[,.\s]*(?:so\s*)?(?:t|th|the|the \w{0,6}|the user ?\w{0,5}"
    r"|we?|we \w{0,4}|we (?:need|have) ?(?:to? ?\w{0,6})?)?"
)
"""What a thought begins with, not yet whole."""

_STRAY: Final = frozenset("，,;；、：:。")
"""Left over where what stood before them was taken out."""


class Cleaner:
    """`feed` what came, `rest` at the end; both give what may be spoken by now.

    `name` is the host's; `thinking`: this model's answers begin in the middle of a thought. Raises
    Unspeakable where the text of an error begins, and from `rest` for an answer that only refuses or says nothing.
    """

    def __init__(self, name: str = "", *, thinking: bool = False) -> None:
        self._speakers = (name, *SPEAKERS)
        self._asides = Asides(inside=thinking)
        self._markup = Markup(self._speakers)
        self._sentences = Boilerplate()
        self._head: str | None = ""
        self._spaces = ""
        self._fresh = True
        self._given = False

    @property
    def unmasked(self) -> bool:
        """Its thoughts end with a mark that nothing opened: they cannot be told from an answer as they come."""
        return self._asides.unmasked

    def feed(self, delta: str) -> str:
        return "".join(map(self._put, delta))

    def rest(self) -> str:
        out = self._mark(self._asides.rest())
        if self._head:
            head, self._head = self._head, None
            if not _MUSING.match(head.lstrip()):
                out += self._mark(head)
        out += self._judge(self._markup.rest())
        out += self._tidy(self._sentences.rest())
        if not self._given:
            self._say_why()
        return out

    def _put(self, char: str) -> str:
        unmasked = self._asides.unmasked
        text = self._asides.feed(char)
        if self._asides.unmasked and not unmasked and not self._given:
            self._head = None  # what waited was thought
            self._markup, self._sentences = Markup(self._speakers), Boilerplate()
            return ""
        return self._mark(text)

    def _mark(self, text: str) -> str:
        if self._head is not None:
            self._head += text
            if self._thinks_aloud(self._head.lstrip().lower()):
                return ""
            text, self._head = self._head, None
        return self._judge("".join(map(self._markup.feed, text)))

    def _thinks_aloud(self, head: str) -> bool:
        """Whether the answer begins like a thought, or still may."""
        if _MUSING.match(head):
            return True
        if len(head) >= _MUSING_HEAD:
            return False
        if any(start.startswith(head) for start in _MUSING_STARTS):
            return True
        return _STILL.fullmatch(head) is not None

    def _judge(self, text: str) -> str:
        return self._tidy("".join(map(self._sentences.feed, text)))

    def _tidy(self, text: str) -> str:
        """One space where there were several, none at the ends of lines, no stop without a sentence."""
        out: list[str] = []
        for char in text:
            if char == "\n":
                self._spaces = f"{self._spaces}\n".replace(" ", "")[:2]
                self._fresh = True
            elif char.isspace():
                self._spaces = self._spaces or " "
            elif self._fresh and char in _STRAY:
                continue
            else:
                if self._given:
                    out.append(self._spaces if not (self._spaces == " " and char in "，。！？；：、,;") else "")
                self._spaces = ""
                out.append(char)
                self._given = True
                self._fresh = char in "。！？"
        return "".join(out)

    def _say_why(self) -> None:
        if self._sentences.refused:
            raise Unspeakable("it only refused", refusal=True)
        if any('"error"' in found or '"code"' in found for found in self._markup.objects):
            raise Unspeakable("it answered with the text of an error")
        raise Unspeakable("nothing of its answer can be spoken")
