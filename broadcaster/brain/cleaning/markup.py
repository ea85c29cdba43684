"""Markdown, HTML, addresses, gestures and emoji: what a reader would see and a listener must not hear. Pure.

A lexer over single characters: what may still become markup waits in `_text`, everything else leaves at once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Final

from broadcaster.brain.cleaning.gestures import is_emoji, is_gesture

_Step = tuple[int, str] | None
"""How many characters are decided, and what is said for them; None: more must be seen first."""

_HELD_BRACKET: Final = 30
"""Characters after which an open bracket is no stage direction: the first clause must not wait for long."""

_ROW: Final = 400
_ADDRESS: Final = 500
_JSON: Final = 8000
"""Bounds of what may wait: a row of a table, an address, an object."""

_BULLETS: Final = "•●▪◦■◆▶►‣"
_PAIRS: Final = {"(": ")", "（": "）", "【": "】", "［": "］", "〔": "〕"}
_BREAKS: Final = frozenset({"br", "p", "li", "div", "tr", "hr", "h1", "h2", "h3", "h4", "h5", "h6"})
_TAGS: Final = _BREAKS | {
    "b", "i", "u", "s", "em", "strong", "span", "a", "img", "font", "sub", "sup", "code", "pre", "ul", "ol", "table",
    "td", "th", "thead", "tbody", "blockquote", "center", "details", "summary", "audio", "video", "speak", "break",
    "prosody", "emphasis", "voice", "output", "answer", "response", "reply", "message", "final", "result", "html",
    "body", "small", "mark", "del", "ins", "viewer", "viewer_name", "note", "about_viewer", "so_far",
}  # fmt: skip

_TAG: Final = re.compile(r"</?([A-Za-z][A-Za-z0-9_]*)(?:\s[^<>\n]*)?\s*/?>")
_SPECIAL: Final = re.compile(r"<\|[A-Za-z_]{1,30}\|>|<!--.*?-->|<(?:[a-z]+://|mailto:)[^<>\s]+>", re.IGNORECASE)
_TOKEN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._%+@:/\-?=&#~$,;]*")
_URL: Final = re.compile(r"(?:[a-z][a-z0-9+]{1,9}://|(?<![a-z])www\.|mailto:)\S", re.IGNORECASE)
_EMAIL: Final = re.compile(r"[\w.+%-]+@[\w-]+(?:\.[\w-]+)+", re.ASCII)
_PATH: Final = re.compile(r"(?:[a-z0-9-]+\.)+[a-z]{2,}(?::\d+)?/\S*", re.IGNORECASE)
_TAIL: Final = ".,;:?#~-+&=/%$@_"
_ENDS_URL: Final = frozenset("<>\"'()[]{}，。！？；：、）】」』”’|`*")


class Markup:
    """`names` may stand with a colon before what is said ("小播："), and are left out there."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._text = ""
        self._before = "\n"
        self._fresh = True
        """Nothing of this line has been said yet."""
        self._in_url = False
        self._names = tuple(name.lower() for name in names if name)
        told = [form for name in self._names for form in (name, f"**{name}", f"【{name}】")]
        self._prefixes = tuple(f"{form}{colon}" for form in told for colon in "：:")
        self.objects: list[str] = []
        """JSON that stood in the text, left out."""

    def feed(self, char: str) -> str:
        self._text += char
        return self._drain(final=False)

    def rest(self) -> str:
        return self._drain(final=True)

    def _drain(self, *, final: bool) -> str:
        out: list[str] = []
        while self._text:
            fresh = self._fresh
            step = (self._line(final=final) if fresh else None) or self._inline(final=final)
            if step is None or step[0] == 0:
                break
            count, said = step
            self._before = self._text[count - 1]
            self._fresh = said.endswith("\n") or self._before == "\n" or (fresh and not said.strip())
            self._text = self._text[count:]
            out.append(said)
        return "".join(out)

    # -- at the beginning of a line -------------------------------------------------------------------------------

    def _line(self, *, final: bool) -> _Step:
        """(0, "") while it is not known what the line begins with; None where it begins like any text."""
        text = self._text
        wait = None if final else (0, "")
        first = text[0]
        if first in " \t\u3000>" or first in _BULLETS:
            return 1, ""
        if first == "#":
            if (match := re.match(r"#{1,6}[ \t]", text)) is not None:
                return match.end(), ""
            return wait if re.fullmatch(r"#{1,6}", text) else None
        if first in "-*_=+":
            return self._rule_or_bullet(text, final=final)
        if first == "|":
            return self._row(text, final=final)
        if first.isascii() and first.isdigit():
            if (match := re.match(r"\d{1,2}[.)][ \t]+(?=\S)", text)) is not None:
                return match.end(), ""
            return wait if re.fullmatch(r"\d{1,2}(?:[.)][ \t]*)?", text) else None
        if first in "{[" and (step := self._object(text, final=final)) is not None:
            return step
        if (match := re.match(r"\[[ xX]\][ \t]", text)) is not None:
            return match.end(), ""
        lower = text.lower()
        for prefix in self._prefixes:
            if lower.startswith(prefix):
                return len(prefix), ""
        return wait if any(prefix.startswith(lower) for prefix in self._prefixes) else None

    def _rule_or_bullet(self, text: str, *, final: bool) -> _Step:
        if (match := re.match(r"([-*_=])(?:[ \t]*\1){2,}[ \t]*(?=\n)", text)) is not None:
            return match.end(), ""
        if re.fullmatch(r"([-*_=+])(?:[ \t]*\1)*[ \t]*", text) and len(text) < 80:
            if not final:
                return 0, ""
            return len(text), ""
        match = re.match(r"[-*+][ \t]+", text)
        return (match.end(), "") if match is not None else None

    def _row(self, text: str, *, final: bool) -> _Step:
        end = text.find("\n")
        if end < 0:
            if not final and len(text) <= _ROW:
                return 0, ""
            end = len(text)
        line = text[:end]
        if line.count("|") < 2:
            return None
        if re.fullmatch(r"[|\s:\-]+", line):
            return end, ""
        cells = [plain(cell).strip() for cell in line.strip().strip("|").split("|")]
        said = "，".join(cell for cell in cells if cell)
        return end, f"{said}。" if said else ""

    def _object(self, text: str, *, final: bool) -> _Step:
        if not re.match(r'(?:\[\s*)?\{\s*"', text):
            return (0, "") if not final and re.fullmatch(r"\[\s*(?:\{\s*)?|\{\s*", text) else None
        if text[-1] in "}]" or final:
            try:
                end = json.JSONDecoder().raw_decode(text)[1]
            except ValueError:
                end = 0
            if end:
                self.objects.append(text[:end])
                return end, ""
        if final or len(text) > _JSON:
            self.objects.append(text)
            return len(text), ""
        return 0, ""

    # -- inside a line --------------------------------------------------------------------------------------------

    def _inline(self, *, final: bool) -> _Step:
        text = self._text
        first = text[0]
        if self._in_url:
            if first.isspace() or first in _ENDS_URL or ord(first) >= 0x2E80:
                self._in_url = False
            else:
                return 1, ""
        if first in "\n`":
            return 1, "\n" if first == "\n" else ""
        if first.isascii() and first.isalnum():
            return self._word(text, final=final)
        if first == "*":
            return self._star(text, final=final)
        if first == "_":
            return self._underscore(text, final=final)
        if first == "[":
            return self._link(text, final=final)
        if first in _PAIRS:
            return self._bracket(text, final=final)
        if first == "<":
            return self._tag(text, final=final)
        if first in "~!\\":
            return self._with_next(text, final=final)
        return 1, "" if is_emoji(first) else first

    def _with_next(self, text: str, *, final: bool) -> _Step:
        if len(text) == 1 and not final:
            return None
        after = text[1:2]
        if text[0] == "~":
            return (2, "") if after == "~" else (1, "~")
        if text[0] == "\\":
            return (2, after) if after and after in "\\`*_{}[]()#+-.!|~>" else (1, "\\")
        if after != "[":
            return 1, "!"
        if (match := re.match(r"!\[[^\]\n]{0,200}\]\([^)\n]{0,2000}\)", text)) is not None:
            return match.end(), ""
        if not final and re.fullmatch(r"!\[[^\]\n]{0,200}(?:\](?:\([^)\n]{0,2000})?)?", text):
            return None
        return 1, "!"

    def _word(self, text: str, *, final: bool) -> _Step:
        match = _TOKEN.match(text)
        assert match is not None
        token = match[0]
        if len(token) == len(text) and not final and len(token) < _ADDRESS:
            return None
        if (address := _URL.search(token)) is not None:
            self._in_url = True
            ending = (
                token[len(token.rstrip(".,;:?")) :] if len(token) < len(text) and text[len(token)].isspace() else ""
            )
            return len(token) - len(ending), token[: address.start()].rstrip("=,;:")
        core = token.rstrip(_TAIL) or token
        if _EMAIL.fullmatch(core) or _PATH.fullmatch(token.rstrip(".,;:?")):
            return len(core), ""
        return len(core), core

    def _star(self, text: str, *, final: bool) -> _Step:
        run = len(text) - len(text.lstrip("*"))
        if run == len(text) and not final and run < 4:
            return None
        after = text[run : run + 1]
        if self._before.isascii() and self._before.isalnum() and after.isascii() and after.isalnum():
            times = run == 1 or (self._before.isdigit() and after.isdigit())
            return run, text[:run] if times else ""
        if run > 1:
            return run, ""
        if not after or after.isspace():
            return 1, "*" if self._before.isspace() or self._before.isdigit() else ""
        if (match := re.match(r"\*([^*\n]{1,40})\*", text)) is not None and not match[1][-1].isspace():
            return match.end(), "" if is_gesture(match[1]) else plain(match[1])
        if not final and re.fullmatch(r"\*[^*\n]{1,40}", text):
            return None
        return 1, ""

    def _underscore(self, text: str, *, final: bool) -> _Step:
        run = len(text) - len(text.lstrip("_"))
        if run == len(text) and not final and run < 4:
            return None
        if run > 1:
            return run, "" if run == 2 else "_"
        if self._before.isalnum():
            return 1, "_"
        if (match := re.match(r"_([^_\s][^_\n]{0,60})_", text)) is not None:
            return match.end(), "" if is_gesture(match[1]) else plain(match[1])
        if not final and re.fullmatch(r"_[^_\s][^_\n]{0,60}", text):
            return None
        return 1, "_"

    def _link(self, text: str, *, final: bool) -> _Step:
        match = re.match(r"\[([^\[\]\n]{0,120})\]", text)
        if match is None:
            return None if not final and re.fullmatch(r"\[[^\[\]\n]{0,120}", text) else (1, "[")
        inside, end = match[1], match.end()
        if end == len(text) and not final:
            return None
        if text[end : end + 1] == "(":
            if (
                target := re.match(r"\([^()\n]{0,1000}(?:\([^()\n]{0,100}\)[^()\n]{0,200})?\)", text[end:])
            ) is not None:
                return end + target.end(), plain(inside)
            if not final and "\n" not in text[end:] and len(text) - end < 1200:
                return None
            return end, plain(inside)
        if re.fullmatch(r"\^?\d{1,3}|\^[\w-]{1,20}", inside) or is_gesture(inside):
            return end, ""
        return end, text[:end]

    def _bracket(self, text: str, *, final: bool) -> _Step:
        end = text.find(_PAIRS[text[0]], 1)
        if end < 0:
            limit = _ADDRESS if "://" in text else _HELD_BRACKET
            return (1, text[0]) if final or "\n" in text or len(text) > limit else None
        inside = text[1:end]
        if text[0] == "【" and re.match(r"\d{1,3}(?:[†:]|$)", inside):
            return end + 1, ""
        if is_gesture(inside) or _URL.match(inside.strip()):
            return end + 1, ""
        return 1, text[0]

    def _tag(self, text: str, *, final: bool) -> _Step:
        if (match := _SPECIAL.match(text)) is not None:
            return match.end(), ""
        if (match := _TAG.match(text)) is not None and match[1].lower() in _TAGS:
            return match.end(), "\n" if match[1].lower() in _BREAKS else ""
        if final or "\n" in text or len(text) > 300 or ">" in text:
            return 1, "<"
        if len(text) == 1 or re.fullmatch(r"<(?:!-{0,2}.*|\|[A-Za-z_]{0,30}\|?)", text, re.DOTALL):
            return None
        opened = re.match(r"</?([A-Za-z][A-Za-z0-9_]*)?([^A-Za-z0-9_]?)", text)
        name = (opened[1] or "").lower() if opened is not None else ""
        after = opened[2] if opened is not None else " "
        if not after or after == "/":
            return None if any(tag.startswith(name) for tag in (*_TAGS, "http", "https", "mailto")) else (1, "<")
        known = name in _TAGS if after.isspace() else name in ("http", "https", "mailto") and " " not in text
        return None if known else (1, "<")


def plain(text: str) -> str:
    """A finished stretch inside of markup, itself without markup."""
    lexer = Markup()
    lexer._fresh, lexer._before = False, " "
    return "".join(map(lexer.feed, text)) + lexer.rest()
