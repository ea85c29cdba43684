"""Takes stream keys, tokens and passwords out of texts before anybody sees them. Pure.

FFmpeg prints the whole address in its error texts, key and all; so every text that may hold an address goes
through `redact`, and what is known to be secret is removed by name with a `Redactor`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from traceback import extract_tb
from typing import Final
from urllib.parse import quote, unquote

MASK: Final = "***"

_ADDRESS: Final = re.compile(
    r"\b(?P<scheme>(?:rtmp(?:s|t|e|te|ts)?|https?|wss?|srt|rist|rtsps?|whips?|postgres(?:ql)?)://)"
    r"(?P<rest>[^\s\"'<>`|\\]+)",
    re.IGNORECASE,
)
_TRAILING: Final = ".,;:!)]}"
_SHORTEST_PART: Final = 8
"""Parts of a secret shorter than this ("rtmp", "1") are ordinary words and stay."""

_ORDINARY: Final = frozenset({"realtime", "inference"})
"""Longer ones that do, in the paths of cloud services: engines are named so."""


def redact(text: str) -> str:
    """`text` with every network address cut down to scheme, host, port and first path segment."""
    return _ADDRESS.sub(_cut, text)


class Redactor:
    """`redact`, and every known secret in it replaced: whole, percent-encoded or decoded, and its long parts."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms: set[str] = set()
        for secret in secrets:
            forms |= _forms(secret.strip())
        ordered = sorted(forms, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, ordered))) if ordered else None

    def __call__(self, text: str) -> str:
        if self._pattern is not None:
            text = self._pattern.sub(MASK, text)
        return redact(text)


def _cut(match: re.Match[str]) -> str:
    rest = match["rest"]
    tail = ""
    while rest and rest[-1] in _TRAILING:
        rest, tail = rest[:-1], rest[-1] + tail
    path, question, _query = rest.partition("?")
    path, hash_, _fragment = path.partition("#")
    authority, *segments = path.split("/")
    host = authority.rpartition("@")[2]
    shown = match["scheme"].lower() + host
    if segments and segments[0]:
        shown += "/" + segments[0]
    elif segments:
        shown += "/"
    if any(segments[1:]):
        shown += "/" + MASK
    elif question or hash_:
        shown += ("/" if segments and segments[0] and len(segments) > 1 else "") + "?" + MASK
    return shown + tail


def _forms(secret: str) -> set[str]:
    """The spellings of one secret that may turn up in a text."""
    if len(secret) < 4:
        return set()
    parts = {secret}
    if "://" not in secret:
        parts |= {part for part in _values(secret) if len(part) >= _SHORTEST_PART}
    else:
        path = secret.partition("://")[2].partition("/")[2].partition("/")[2]
        parts |= {part for part in _values(path) if len(part) >= _SHORTEST_PART}
    spelled = {form for part in parts for form in (part, unquote(part), quote(part), quote(part, safe=""))}
    return {form for form in spelled if len(form) >= 4 and form not in _ORDINARY}


def _values(text: str) -> Iterable[str]:
    """Path segments and the values (not the names) of query parameters."""
    for piece in re.split(r"[/?&#\s]+", text):
        name, equals, value = piece.partition("=")
        yield value if equals else name


def whereabouts(err: BaseException) -> dict[str, object]:
    """Kind and place of an unforeseen exception for the log, without its own words, which may be a viewer's."""
    frames = extract_tb(err.__traceback__)[-3:]
    return {"kind": type(err).__name__, "where": [f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames]}
