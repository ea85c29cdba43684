"""Whole stretches that are not for the air: reasoning, tool calls, code blocks. Taken out of a stream. Pure."""

from __future__ import annotations

import re
from typing import Final

_THOUGHT: Final = r"think|thinking|thought|thoughts|reasoning|reflection|analysis|scratchpad"
_CALL: Final = r"tool_call|tool_calls|tool_use|function_call|function_calls|invoke|tool_response"

_OPENINGS: Final = (
    (re.compile(rf"<({_THOUGHT})\b[^<>\n]{{0,40}}>", re.IGNORECASE), "</{}>"),
    (re.compile(rf"<({_CALL})\b[^<>\n]{{0,200}}>", re.IGNORECASE), "</{}>"),
    (re.compile(r"<(function)=[^<>\n]{1,80}>", re.IGNORECASE), "</{}>"),
    (re.compile(r"<\|(tool_call|tool_calls_section|python_tag)[^<>\n]{0,40}\|>", re.IGNORECASE), "\n"),
    (re.compile(r"【(思考|推理|内心独白|思考过程)】"), "【/{}】"),
    (re.compile(r"(```|~~~)"), "{}"),
)
"""What opens such a stretch, and what closes it (with what the opening's group matched in place of {})."""

_LONE_CLOSING: Final = re.compile(rf"</(?:{_THOUGHT})\s*>", re.IGNORECASE)
_LONGEST_OPENING: Final = 240
_GROWING: Final = re.compile(r"</?[a-z_]*|<\|[a-z_]*[^<>\n]*|<[a-z_]+[\s=][^<>\n]*", re.IGNORECASE)


class Asides:
    """`feed` gives what is certainly outside, `rest` what is left at the end. An unclosed stretch is dropped.

    `thinking`: the text begins inside of a thought, whose opening the server keeps to itself.
    """

    def __init__(self, *, thinking: bool = False) -> None:
        self._text = ""
        self._closing: str | None = "</think>" if thinking else None
        self.unmasked = False
        """A thought was closed that had never been opened: what came before it was thought as well."""

    def feed(self, delta: str) -> str:
        self._text += delta
        out: list[str] = []
        while self._step(out):
            pass
        return "".join(out)

    def rest(self) -> str:
        text, self._text = self._text, ""
        return text if self._closing is None else ""

    def _step(self, out: list[str]) -> bool:
        """Moves past one mark; False when there is none (any more)."""
        if self._closing is not None:
            at = self._text.lower().find(self._closing)
            if at < 0:
                self._text = self._text[max(0, len(self._text) - len(self._closing) + 1) :]
                return False
            self._text = self._text[at + len(self._closing) :]
            self._closing = None
            return True
        found = self._first()
        if found is None:
            safe = self._certain()
            out.append(self._text[:safe])
            self._text = self._text[safe:]
            return False
        start, end, self._closing = found
        out.append(self._text[:start])
        self._text = self._text[end:]
        self.unmasked = self.unmasked or self._closing is None
        return True

    def _first(self) -> tuple[int, int, str | None] | None:
        """Where the first stretch begins, where its opening ends, and what closes it; None of a lone closing."""
        best: tuple[int, int, str | None] | None = None
        for pattern, closing in _OPENINGS:
            match = pattern.search(self._text)
            if match is not None and (best is None or match.start() < best[0]):
                best = (match.start(), match.end(), closing.format(match[1].lower()))
        lone = _LONE_CLOSING.search(self._text)
        if lone is not None and (best is None or lone.start() < best[0]):
            best = (lone.start(), lone.end(), None)
        return best

    def _certain(self) -> int:
        """How much of the text cannot be a part of an opening that is still coming."""
        end = len(self._text)
        for mark in ("<", "【"):
            at = self._text.rfind(mark, max(0, len(self._text) - _LONGEST_OPENING))
            if at >= 0 and _may_open(self._text[at:]):
                end = min(end, at)
        for mark in ("`", "~"):
            run = len(self._text) - len(self._text.rstrip(mark))
            if 0 < run < 3:
                end = min(end, len(self._text) - run)
        return end


def _may_open(tail: str) -> bool:
    """Whether `tail`, which begins with < or 【, may still grow into an opening (or a lone closing)."""
    if tail[0] == "【":
        return len(tail) <= 5 and "】" not in tail
    return len(tail) <= _LONGEST_OPENING and _GROWING.fullmatch(tail) is not None
