"""Opens one voice of the configuration by its name, in this process and without a channel. asyncio.

For `broadcaster voice try` and the benches. On air the embedded voice and the local one live in processes of their
own, and the chain is put together in `app`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from broadcaster import registry
from broadcaster.config import LinkBase, VoiceConfig
from broadcaster.config.voices import CosyVoiceLocal
from broadcaster.errors import ConfigError, VoiceError
from broadcaster.ports import StreamingSynthesiser, Synthesiser, Voice, VoiceEngine
from broadcaster.speech import engines, links
from broadcaster.speech.manner import pitch_of, speed_of
from broadcaster.speech.readiness import engine_of, problems, reference_for
from broadcaster.types import Piece, RawSound, Speech

END: Final = object()


@asynccontextmanager
async def opened(config: VoiceConfig, name: str, avatar: Path, cache: Path | None = None) -> AsyncIterator[Voice]:
    """The link of that name, or the embedded voice under its engine's name; its connections end with the block.

    Raises ConfigError when it lacks something ("what is wrong -> what to do"), AssetError, VoiceError.
    """
    link = next((link for link in config.chain if link.label == name), None)
    if link is None:
        embedded = engines.create(config, cache)
        await asyncio.to_thread(embedded.load)
        yield EmbeddedVoice(embedded, config)
        return
    if found := problems(link, avatar):
        raise ConfigError(*found)
    engine = await _engine(link, config, avatar)
    await asyncio.to_thread(links.warm, cache)
    try:
        yield links.finished(engine, link, config, links.lexicon_of(config))
    finally:
        await engine.close()


async def _engine(link: LinkBase, config: VoiceConfig, avatar: Path) -> VoiceEngine:
    reference = reference_for(link, avatar)
    if isinstance(link, CosyVoiceLocal):
        alone = config.model_copy(update={"chain": [link.model_copy(update={"enabled": True})]})
        synthesiser = engines.create_local(alone, reference)
        await asyncio.to_thread(synthesiser.load)
        return InProcess(synthesiser, link)
    engine: VoiceEngine = registry.resolve(registry.VOICES, engine_of(link), "voice")(link, reference)
    return engine


class EmbeddedVoice:
    """Port `Voice` over an engine that is loaded in this process."""

    def __init__(self, engine: Synthesiser, config: VoiceConfig) -> None:
        self.name = engine.name
        self._engine = engine
        self._config = config

    async def speak(self, piece: Piece, generation: int) -> AsyncIterator[Speech]:
        manner, config = piece.manner, self._config
        configured = config.zh if piece.language == "zh" else config.en
        voice = manner.voice if manner.voice in self._engine.voices else configured
        speed = speed_of(config.speed, manner.speed)
        pitch = pitch_of(config.pitch, manner.pitch)
        yield await asyncio.to_thread(
            self._engine.synthesise, piece.text, piece.language, voice, speed, _never, pitch
        )


class InProcess:
    """Port `VoiceEngine` over a local model that is loaded in this process; `LocalEngine` without the socket."""

    own_speed = True
    own_pitch = False

    def __init__(self, engine: StreamingSynthesiser, link: CosyVoiceLocal) -> None:
        self.name = link.label
        self._engine = engine
        self._link = link

    async def stream(self, piece: Piece) -> AsyncIterator[RawSound]:
        speed = speed_of(self._link.speed, piece.manner.speed)
        voice = piece.manner.voice if piece.manner.voice in self._engine.voices else self._link.voice
        chunks = self._engine.stream(piece.text, piece.language, voice, speed, _never)
        while (chunk := await asyncio.to_thread(next, chunks, END)) is not END:
            if not isinstance(chunk, RawSound):
                raise VoiceError(f"{self.name} gave finished speech, which is not expected here", retryable=False)
            yield chunk

    async def close(self) -> None:
        """The model goes with the process."""


def _never() -> bool:
    return False
