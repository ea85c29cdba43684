"""Composition of the voice chain: configuration -> links in the order of asking. For `app` and `render`; see there.

Imports of engines happen in `chain_of`: a channel without a chain loads none of them.
"""

from __future__ import annotations

import hashlib
import random
import time
from dataclasses import dataclass
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
    from broadcaster.speech.cache import SoundCache
    from broadcaster.speech.dsp.levelling import Levels
    from broadcaster.speech.reading.lexicon import Lexicon


@dataclass(frozen=True, slots=True)
class _Shared:
    """What all links of one chain have in common. `cache` is None where nothing is to be kept."""

    settings: VoiceConfig
    lexicon: Lexicon
    levels: Levels
    cache: SoundCache | None


def chain_of(settings: VoiceConfig, paths: Paths, avatar: Path, embedded: Voice) -> ChainVoice:
    """The enabled links of the configuration, each behind a breaker, and the embedded voice as the last.

    Recurring sentences of all of them are kept under the cache folder. Blocking: reads the avatar's recording, the
    lexicon and the tables of reading and mouth. Raises ConfigError or AssetError.
    """
    from broadcaster.speech.cache import CachedVoice, SoundCache
    from broadcaster.speech.dsp.levelling import Levels
    from broadcaster.speech.links import identity_of_embedded, lexicon_of, warm

    cache = SoundCache(paths.cache / "speech", settings.cache_mb) if settings.cache_mb else None
    shared = _Shared(settings, lexicon_of(settings), Levels(), cache)
    links = [_link(each, shared, paths, avatar) for each in settings.chain if each.enabled]
    if links:
        warm(paths.cache)
    last = embedded if cache is None else CachedVoice(embedded, cache, identity_of_embedded(settings))
    return ChainVoice([*links, Link(settings.engine, last)])


def _link(link: LinkBase, shared: _Shared, paths: Paths, avatar: Path) -> Link:
    from broadcaster.speech import links
    from broadcaster.speech.cache import CachedVoice
    from broadcaster.speech.readiness import reference_for

    voice: Voice = links.finished(_engine(link, paths, avatar), link, shared.settings, shared.lexicon, shared.levels)
    if shared.cache is not None:
        reference = reference_for(link, avatar)
        digest = hashlib.sha256(reference.recording.read_bytes()).hexdigest() if reference is not None else ""
        reader = links.reader_of(link, shared.lexicon)
        identity = links.identity_of_link(link, shared.settings, digest)
        voice = CachedVoice(voice, shared.cache, identity, reader=reader)
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
