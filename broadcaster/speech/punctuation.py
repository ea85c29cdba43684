"""What the marks mean for speech: for how long a voice is silent behind them. Pure."""

from __future__ import annotations

from typing import Final

from broadcaster.sentences import CLOSERS

SENTENCE_PAUSE_MS: Final = 300
CLAUSE_PAUSE_MS: Final = 120
ELLIPSIS_PAUSE_MS: Final = 400
PARAGRAPH_PAUSE_MS: Final = 600
DASH_PAUSE_MS: Final = 220

_PAUSES: Final[dict[str, int]] = {
    **dict.fromkeys("。！？!?.\n", SENTENCE_PAUSE_MS),
    "…": ELLIPSIS_PAUSE_MS,
    "—": DASH_PAUSE_MS,
    **dict.fromkeys("；;：:", 180),
    **dict.fromkeys("，,", CLAUSE_PAUSE_MS),
    "、": 80,
}


def pause_ms(text: str) -> int:
    """Silence that belongs behind `text`, by its last mark; 0 when it ends in mid-clause.

    An empty line is a paragraph; two full stops or more are an ellipsis, as is 。。。
    """
    stripped = text.rstrip(" \t\r")
    marks = stripped[len(stripped.rstrip(" \t\r\n")) :]
    if marks.count("\n") > 1:
        return PARAGRAPH_PAUSE_MS
    if marks:
        return max(SENTENCE_PAUSE_MS, pause_ms(stripped[: -len(marks)]))
    while stripped and stripped[-1] in CLOSERS:
        stripped = stripped[:-1]
    if stripped.endswith(("..", "。。")):
        return ELLIPSIS_PAUSE_MS
    return _PAUSES.get(stripped[-1], 0) if stripped else 0
