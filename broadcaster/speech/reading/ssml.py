"""SSML for the engines that take it: exact readings of the lexicon, and pauses. Pure.

CosyVoice takes `<phoneme alphabet="py" ph="huan2 kuan3">` (Alibaba Cloud's page on SSML for CosyVoice). It knows no
IPA: a word with `ipa` alone goes by its `say`.
"""

from __future__ import annotations

from collections.abc import Callable
from xml.sax.saxutils import escape, quoteattr

from broadcaster.speech import normalise
from broadcaster.speech.reading.lexicon import PINYIN, Lexicon


def marked_up(text: str, language: str, lexicon: Lexicon, *, pause_ms: int = 0) -> str:
    """`text` as it is read, as one <speak> document; empty when there is nothing to say.

    Whatever markup the text had is gone: tags never reach the engine from outside. `pause_ms` is silence behind it.
    """
    said = normalise.reading(text, language, lexicon, PINYIN)
    if not said:
        return ""
    inside = "".join(
        f'<phoneme alphabet="py" ph={quoteattr(" ".join(part.entry.pinyin))}>{escape(part.text)}</phoneme>'
        if part.entry
        else escape(part.text)
        for part in lexicon.parts(said, PINYIN)
    )
    pause = f'<break time="{pause_ms}ms"/>' if pause_ms > 0 else ""
    return f"<speak>{inside}{pause}</speak>"


def reader(lexicon: Lexicon, *, takes_ssml: bool) -> Callable[[str, str], str]:
    """(text, language) -> what an engine is sent: SSML where it takes it and the lexicon has something to say."""

    def read(text: str, language: str) -> str:
        if takes_ssml and needed(normalise.reading(text, language, lexicon, PINYIN), lexicon):
            return marked_up(text, language, lexicon)
        return normalise.reading(text, language, lexicon)

    return read


def needed(text: str, lexicon: Lexicon) -> bool:
    """Whether `text` has a word that SSML would say better; plain text starts sooner and works with every voice."""
    return any(part.entry for part in lexicon.parts(text, PINYIN))
