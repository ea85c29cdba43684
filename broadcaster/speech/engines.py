"""Names of the voice engines and where they live. For whoever starts or validates one; imports nothing heavy."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Final

from broadcaster.config import VoiceConfig
from broadcaster.errors import ConfigError
from broadcaster.ports import Synthesiser

ENGINES: Final[dict[str, str]] = {
    "kokoro": "broadcaster.speech.kokoro:KokoroSynthesiser",
    "tone": "broadcaster.speech.tone:ToneSynthesiser",
}
"""A class takes (VoiceConfig, cache folder or None). `voice.engine` may also be such a "module:Class" itself."""


def problems(config: VoiceConfig) -> list[str]:
    """What is wrong with the `voice` section, one line each; empty when the engine can be constructed."""
    found: list[str] = []
    path = ENGINES.get(config.engine, config.engine if ":" in config.engine else "")
    if not path:
        return [f"voice.engine: there is no engine {config.engine!r}; choose one of {', '.join(ENGINES)}"]
    module, _, name = path.partition(":")
    try:
        voices: tuple[str, ...] = getattr(import_module(module), name).voices
    except (ImportError, AttributeError) as err:
        return [f"voice.engine: {config.engine!r} cannot be imported: {err}"]
    for key, voice in (("zh", config.zh), ("en", config.en)):
        if voices and voice not in voices:
            found.append(f"voice.{key}: {config.engine} has no voice {voice!r}; choose one of {', '.join(voices)}")
    if config.model is not None and not config.model.is_file():
        found.append(f"voice.model: there is no file {config.model}; remove the key to use the installed model")
    return found


def create(config: VoiceConfig, cache: Path | None = None) -> Synthesiser:
    """The configured engine, not yet loaded. Raises ConfigError."""
    if faults := problems(config):
        raise ConfigError(*faults)
    module, _, name = ENGINES.get(config.engine, config.engine).partition(":")
    engine: Synthesiser = getattr(import_module(module), name)(config, cache)
    return engine
