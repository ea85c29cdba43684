"""Whole stretches that are not for the air: reasoning, tool calls, code blocks. Taken out of a stream. Pure."""

from __future__ import annotations

import re
from typing import Final

_THOUGHT: Final = (
    "think", "thinking", "thought", "thoughts", "reasoning", "reflection", "analysis", "scratchpad", "seed:think",
)  # fmt: skip
_CALL: Final = (
    "tool_call", "tool_calls", "tool_use", "tool_response", "function_call", "function_calls", "function_results",
    "function", "invoke",
)  # fmt: skip
_TAGS: Final = (*_THOUGHT, *_CALL)
_CHANNEL: Final = "<|channel|>"
_INNER: Final = ("analysis", "commentary")

_OPENINGS: Final = (
    (re.compile(rf"<({'|'.join(_TAGS)})(?:[\s=][^<>\n]{{0,200}})?>", re.IGNORECASE), "</{}>"),
    (re.compile(r"<\|(tool_call|tool_calls_section|python_tag)[^<>\n]{0,40}\|>", re.IGNORECASE), "\n"),
    (re.compile(r"【(思考|推理|内心独白|思考过程)】"), "【/{}】"),
    (re.compile(r"(```)"), "{}"),
    (re.compile(r"\[(think)\]", re.IGNORECASE), "[/{}]"),
    (re.compile(r"◁(think)▷", re.IGNORECASE), "◁/{}▷"),
    (re.compile(rf"{re.escape(_CHANNEL)}({'|'.join(_INNER)})\b", re.IGNORECASE), f"{_CHANNEL}final<|message|>"),
    (re.compile(r"<[|｜](tool▁calls?)▁begin[|｜]>"), "<｜{}▁end｜>"),
)
"""What opens such a stretch, and what closes it (with what the opening's group matched in place of {})."""

_LONE_CLOSING: Final = re.compile(rf"</(?:{'|'.join(_THOUGHT)})\s*>", re.IGNORECASE)
"""Some servers cut the opening off (the template has written it already): everything before was thought."""

_LONGEST_OPENING: Final = 220

_SHORT: Final = {"[": "[think]", "◁": "◁think▷"}
_MARKS: Final = frozenset("<【`[◁")
"""What one of them may begin with."""


class Asides:
    """Characters in, those that are outside out. `rest` is what is left at the end; an unclosed stretch is dropped.

    `inside`: the text begins in the middle of a thought.
    """

    def __init__(self, *, inside: bool = False) -> None:
        self._text = ""
        self._closing: str | None = "</think>" if inside else None
        self.unmasked = False
        """A closing mark came without its opening: everything before it was thought."""

    def feed(self, char: str) -> str:
        if not self._text and self._closing is None and char not in _MARKS:
            return char
        self._text += char
        if self._closing is not None:
            if self._text.lower().endswith(self._closing):
                self._text, self._closing = "", None
            self._text = self._text[-len(self._closing or "") :] if self._closing else ""
            return ""
        if _LONE_CLOSING.search(self._text):
            self._text, self.unmasked = "", True
            return ""
        for pattern, closing in _OPENINGS:
            match = pattern.search(self._text)
            if match is not None:
                before = self._text[: match.start()]
                self._text, self._closing = "", closing.format(match[1].lower())
                return before
        certain = self._certain()
        out, self._text = self._text[:certain], self._text[certain:]
        return out

    def rest(self) -> str:
        text, self._text = self._text, ""
        return text if self._closing is None else ""

    def _certain(self) -> int:
        """How much of the text cannot be a part of an opening that is still coming."""
        at = max(self._text.rfind(mark) for mark in "<【[◁")
        if at >= 0 and _may_open(self._text[at:]):
            return at
        return len(self._text.rstrip("`"))


def _may_open(tail: str) -> bool:
    """Whether `tail`, which begins with a mark, may still grow into an opening (or a lone closing)."""
    if tail[0] == "【":
        return len(tail) <= 5 and "】" not in tail
    if tail[0] in _SHORT:
        return _SHORT[tail[0]].startswith(tail.lower())
    if tail.lower().startswith(_CHANNEL):
        return any(name.startswith(tail[len(_CHANNEL) :].lower()) for name in _INNER)
    if "\n" in tail or ">" in tail or len(tail) > _LONGEST_OPENING:
        return False
    if tail.startswith(("<|", "<｜")):
        return len(tail) <= 60
    match = re.match(r"</?([a-z_:]*)(.?)", tail, re.IGNORECASE | re.DOTALL)
    assert match is not None
    name, after = match[1].lower(), match[2]
    if not after:
        return any(tag.startswith(name) for tag in _TAGS)
    return name in _TAGS and (after.isspace() or after == "=")
