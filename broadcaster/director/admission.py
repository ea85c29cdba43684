"""From a text that asks for air time to a prompt with an id: what every text must be before it is queued. Pure."""

from __future__ import annotations

import secrets
import time
import unicodedata
from collections.abc import Callable

from broadcaster.errors import Refused
from broadcaster.types import PLAIN, Inbound, Manner, Origin, PromptKind, Role


class Admission:
    """Ids sort by time of arrival and `received_ns` never repeats or goes back within one run."""

    def __init__(self, max_text: int, wall_ns: Callable[[], int] = time.time_ns) -> None:
        self._max_text = max_text
        self._wall_ns = wall_ns
        self._last_ns = 0

    def inbound(self, kind: PromptKind, text: str, origin: Origin, manner: Manner = PLAIN) -> Inbound:
        """Raises Refused: "empty", "too_long"."""
        cleaned = _cleaned(text)
        if not cleaned:
            raise Refused("there is nothing to say in this text", "empty")
        if len(cleaned) > self._max_text:
            raise Refused(f"the text has {len(cleaned)} characters; at most {self._max_text} are taken", "too_long")
        self._last_ns = max(self._last_ns + 1, self._wall_ns())
        identity = f"{self._last_ns // 1_000_000:011x}{secrets.token_hex(3)}"
        return Inbound(identity, kind, cleaned, origin, self._last_ns, manner)


def _cleaned(text: str) -> str:
    """Without control characters and lone surrogates, which neither a database nor a voice can take."""
    kept = (" " if unicodedata.category(char) in ("Cc", "Cs") and char != "\n" else char for char in text)
    return "".join(kept).strip()


def need(by: Origin, role: Role, what: str) -> None:
    """Raises Refused, "forbidden", unless `by` may do `what`."""
    if not by.role.covers(role):
        raise Refused(f"{what} needs the role {role.value}", "forbidden")
