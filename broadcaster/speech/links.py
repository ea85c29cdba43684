"""Puts one link of the chain together: engine, readings of the lexicon, finishing, cache. Director's event loop.

Used for the chain on air and for trying one voice, so that what is tried is what will be heard.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from broadcaster.config import LinkBase, VoiceConfig
from broadcaster.ports import VoiceEngine
from broadcaster.speech import normalise
from broadcaster.speech.cache import identity_of
from broadcaster.speech.dsp.levelling import Levels
from broadcaster.speech.finished import FinishedVoice
from broadcaster.speech.mouth import alignment
from broadcaster.speech.mouth.alignment import Aligner
from broadcaster.speech.reading import ssml
from broadcaster.speech.reading.lexicon import Lexicon
from broadcaster.types import Manner

_SILENT = frozenset(
    {"name", "enabled", "languages", "api_key", "connect_timeout_s", "first_sound_timeout_s", "gap_timeout_s"}
)
"""Settings of a link that do not change how it sounds."""


def reader_of(link: LinkBase, lexicon: Lexicon) -> Callable[[str, str], str]:
    """(text, language) -> what this link is sent."""
    return ssml.reader(lexicon, takes_ssml=bool(getattr(link, "ssml", False)))


def finished(
    engine: VoiceEngine, link: LinkBase, settings: VoiceConfig, lexicon: Lexicon, levels: Levels | None = None
) -> FinishedVoice:
    """`levels` is shared by all links of a chain."""
    return FinishedVoice(
        engine,
        link,
        loudness_lufs=settings.loudness_lufs,
        mouth=Aligner,
        persona=Manner(settings.speed, settings.pitch),
        levels=levels,
        reader=reader_of(link, lexicon),
    )


def lexicon_of(settings: VoiceConfig) -> Lexicon:
    """Raises ConfigError for a bad file."""
    return Lexicon.load(settings.lexicon) if settings.lexicon is not None else Lexicon()


def warm(cache: Path | None) -> None:
    """Loads the tables of reading and of the mouth, for which the first piece would wait otherwise. Blocking."""
    normalise.load()
    alignment.warm(cache)


def identity_of_link(link: LinkBase, settings: VoiceConfig, reference: str) -> str:
    """All that makes this link sound as it does. `reference`: digest of the recording it imitates, or empty."""
    own = link.model_dump(mode="json", exclude=set(_SILENT))
    return identity_of(sorted(own.items()), settings.loudness_lufs, settings.speed, settings.pitch, reference)


def identity_of_embedded(settings: VoiceConfig) -> str:
    """The same for the embedded voice, whose readings the lexicon changes inside the engine."""
    lexicon = settings.lexicon.read_bytes() if settings.lexicon is not None else b""
    return identity_of(
        settings.engine, settings.model, settings.zh, settings.en, settings.speed, settings.pitch,
        settings.loudness_lufs, lexicon,
    )  # fmt: skip
