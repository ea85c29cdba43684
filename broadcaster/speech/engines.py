"""Makes the configured voice engine. For whoever starts or validates one; imports nothing heavy by itself.

The names are in `registry.SYNTHESISERS`; a class there takes (VoiceConfig, cache folder or None).
"""

from __future__ import annotations

from pathlib import Path

from broadcaster import registry
from broadcaster.config import VoiceConfig
from broadcaster.errors import ConfigError
from broadcaster.ports import Synthesiser


def problems(config: VoiceConfig) -> list[str]:
    """What is wrong with the `voice` section, one line each; empty when the engine can be constructed."""
    try:
        voices: tuple[str, ...] = registry.resolve(registry.SYNTHESISERS, config.engine, "voice engine").voices
    except ConfigError as err:
        return [f"voice.engine: {problem}" for problem in err.problems]
    found: list[str] = []
    for key, voice in (("zh", config.zh), ("en", config.en)):
        if voices and voice not in voices:
            found.append(f"voice.{key}: {config.engine} has no voice {voice!r} -> use one of: {', '.join(voices)}")
    if config.model is not None and not config.model.is_file():
        found.append(f"voice.model: there is no file {config.model} -> remove the key to use the installed model")
    return found


def create(config: VoiceConfig, cache: Path | None = None) -> Synthesiser:
    """The configured engine, not yet loaded. Raises ConfigError."""
    if faults := problems(config):
        raise ConfigError(*faults)
    engine: Synthesiser = registry.resolve(registry.SYNTHESISERS, config.engine, "voice engine")(config, cache)
    return engine
