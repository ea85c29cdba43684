"""One clause without markup, addresses, gestures and pictures: what is left is what is said. Pure."""

from __future__ import annotations

import re
from typing import Final

from broadcaster.brain.cleaning.gestures import is_gesture

_LINE_START: Final = re.compile(r"(?:\s*>)*\s*(?:#{1,6}\s+|[-+*•·]\s+(?:\[[ xX]\]\s+)?|\d{1,2}[.)]\s+)?")
_RULE: Final = re.compile(r"\s*(?:[-*_=]\s*){3,}\s*")
_IMAGE: Final = re.compile(r"!\[[^\]\n]*\]\([^)\n]*\)")
_LINK: Final = re.compile(r"\[([^\]\n]*)\]\((?:[^()\n]|\([^()\n]*\))*\)")
_CITATION: Final = re.compile(r"\[\^?\d{1,3}\]|【\d+[†:][^】\n]*】")
_TAG: Final = re.compile(
    r"</?(?:b|i|u|em|strong|br|p|div|span|sup|sub|ul|ol|li|h[1-6]|a|img|code|pre)\b[^<>\n]*/?>|<!--.*?-->", re.I
)
_END: Final = r"\s\u3000-\u30ff\u3400-\u9fff\uff00-\uffef（）【】「」《》\"'<>|"
_URL: Final = re.compile(
    rf"<?(?:(?:https?|ftp|rtmps?)://|www\.)[^{_END}]+>?"
    rf"|(?<![A-Za-z0-9@.-])(?:[A-Za-z0-9-]+\.)+(?:com|cn|net|org|io|ai|tv|top|xyz|cc|vip|edu"
    rf"|gov)(?![A-Za-z0-9-])(?:[/:?][^{_END}]*)?",
    re.I,
)
_MAIL: Final = re.compile(r"[A-Za-z0-9._+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
_JSON: Final = re.compile(r"\{\s*\"[^{}\n]*\}")
_STRONG: Final = re.compile(r"(\*\*\*|\*\*|___|__|~~)(?=\S)(.+?)(?<=\S)\1")
_CODE: Final = re.compile(r"`+([^`\n]*)`+")
_STARRED: Final = re.compile(
    r"(?<![\w*])\*(?=\S)([^*\n]+?)(?<=\S)\*(?![\w*])|(?<=[\u3400-\u9fff])\*(?=\S)([^*\n]+?)(?<=\S)\*"
)
_UNDERLINED: Final = re.compile(r"(?<!\w)_(?=\S)([^_\n]+?)(?<=\S)_(?!\w)")
_BRACKETED: Final = re.compile(
    r"（([^（）\n]{1,60})）|\(([^()\n]{1,60})\)|\[([^\[\]\n]{1,60})\]|【([^【】\n]{1,60})】"
)
_EMOJI: Final = re.compile(
    "[\U0001f000-\U0001faff\u2600-\u26ff\u2702-\u27bf\u2b05-\u2b55\u231a-\u23ff\u200d\ufe0e\ufe0f\u20e3\U000e0020-\U000e007f]"
)
_ESCAPED: Final = re.compile(r"\\([\\`*_{}\[\]()#+.!|>~-])")


def plain(clause: str, *, line_start: bool) -> str:
    """`clause` as it is to be said. `line_start`: it begins a line."""
    text = clause
    if line_start:
        if text.lstrip().startswith("|"):
            return _row(text)
        if _RULE.fullmatch(text):
            return "\n" if text.endswith("\n") else ""
        text = text[_LINE_START.match(text).end() :]  # type: ignore[union-attr]
    text = _IMAGE.sub("", text)
    text = _LINK.sub(lambda match: match[1], text)
    text = _CITATION.sub("", _TAG.sub("", text))
    text = _URL.sub("", _MAIL.sub("", text))
    text = _JSON.sub("", _CODE.sub(lambda match: match[1], text))
    text = _STRONG.sub(lambda match: _unless_gesture(match[2]), text)
    text = _STRONG.sub(lambda match: _unless_gesture(match[2]), text)
    text = _STARRED.sub(lambda match: _unless_gesture(match[1] or match[2]), text)
    text = _UNDERLINED.sub(lambda match: match[1], text)
    text = _BRACKETED.sub(_said_in_brackets, text)
    return _ESCAPED.sub(lambda match: match[1], _EMOJI.sub("", text))


def _unless_gesture(text: str) -> str:
    return "" if is_gesture(text) else text


def _said_in_brackets(match: re.Match[str]) -> str:
    inside = next(group for group in match.groups() if group is not None)
    return "" if is_gesture(inside) else match[0]


def _row(line: str) -> str:
    """A row of a table: its cells one after the other; nothing of the line under the heading."""
    cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
    if all(re.fullmatch(r":?-+:?", cell) for cell in cells):
        return ""
    said = [plain(cell, line_start=False) for cell in cells if cell]
    return "，".join(said) + ("\n" if line.endswith("\n") else "")
