"""Composition of the voice chain: configuration -> links in the order of asking. For `app` and `render`; see there.

Imports of engines happen in `chain_of`: a channel without a chain loads none of them.
"""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import TYPE_CHECKING

from broadcaster.config import VoiceConfig
from broadcaster.config.voices import CosyVoiceLocal
from broadcaster.paths import Paths
from broadcaster.speech.chain import ChainVoice, Link
from broadcaster.supervisor.breaker import CircuitBreaker

if TYPE_CHECKING:
    from broadcaster.config import LinkBase
    from broadcaster.ports import Voice, VoiceEngine


def chain_of(settings: VoiceConfig, paths: Paths, avatar: Path, embedded: Voice) -> ChainVoice:
    """The enabled links of the configuration, each behind a breaker, and the embedded voice as the last.

    Blocking: reads the avatar's recording and the tables of reading and mouth. Raises ConfigError or AssetError.
    """
    links = [_link(each, settings, paths, avatar) for each in settings.chain if each.enabled]
    if links:
        _warm(paths.cache)
    return ChainVoice([*links, Link(settings.engine, embedded)])


def _link(link: LinkBase, settings: VoiceConfig, paths: Paths, avatar: Path) -> Link:
    from broadcaster.speech.alignment import Aligner
    from broadcaster.speech.finished import FinishedVoice
    from broadcaster.types import Manner

    voice = FinishedVoice(
        _engine(link, paths, avatar),
        link,
        loudness_lufs=settings.loudness_lufs,
        mouth=Aligner,
        persona=Manner(settings.speed, settings.pitch),
    )
    breaker = CircuitBreaker(time.monotonic, random.Random())
    return Link(link.label, voice, breaker, frozenset(link.languages))


def _engine(link: LinkBase, paths: Paths, avatar: Path) -> VoiceEngine:
    from broadcaster import registry
    from broadcaster.speech.readiness import engine_of, reference_for

    if isinstance(link, CosyVoiceLocal):
        from broadcaster.speech.local import LocalEngine

        return LocalEngine(link, paths.local_voice_socket)
    reference = reference_for(link, avatar)
    engine: VoiceEngine = registry.resolve(registry.VOICES, engine_of(link), "voice")(link, reference)
    return engine


def _warm(cache: Path) -> None:
    """The first piece would wait for these tables otherwise."""
    from broadcaster.speech import normalise
    from broadcaster.speech.alignment import warm

    normalise.load()
    warm(cache)
