"""Makes the engines of the voice processes. For whoever starts or validates one; imports nothing heavy by itself.

The names are in `registry.SYNTHESISERS`, a class there takes (VoiceConfig, cache folder or None), and in
`registry.LOCAL_VOICES`.
"""

from __future__ import annotations

from pathlib import Path

from broadcaster import registry
from broadcaster.config import VoiceConfig
from broadcaster.config.voices import CosyVoiceLocal, local_voice
from broadcaster.errors import ConfigError
from broadcaster.ports import StreamingSynthesiser, Synthesiser
from broadcaster.speech.cosyvoice import package as cosyvoice_package
from broadcaster.types import VoiceReference


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


def local_problems(config: VoiceConfig) -> list[str]:
    """What is wrong with the chain's link that runs inside the daemon; empty also when there is none."""
    links = [link for link in config.chain if isinstance(link, CosyVoiceLocal) and link.enabled]
    if len(links) > 1:
        names = ", ".join(link.label for link in links)
        return [f"voice.chain: {names} would each load a model of their own -> set enabled: false on all but one"]
    return [f"voice.chain: {link.label}: {problem}" for link in links for problem in cosyvoice_package.problems(link)]


def create_local(config: VoiceConfig, reference: VoiceReference | None) -> StreamingSynthesiser:
    """The engine of the chain's link that runs inside the daemon, not yet loaded. Raises ConfigError."""
    link = local_voice(config.chain)
    if link is None:
        raise ConfigError("voice.chain: there is no enabled link with engine: cosyvoice -> add one")
    faults = local_problems(config)
    if link.mode != "sft" and reference is None:
        faults.append(
            f"voice.chain: {link.label}: mode {link.mode} speaks with the avatar's reference recording, and there is "
            "none -> broadcaster voice add, or set mode: sft"
        )
    if faults:
        raise ConfigError(*faults)
    make = registry.resolve(registry.LOCAL_VOICES, link.engine, "voice")
    engine: StreamingSynthesiser = make(link, reference, config.threads)
    return engine
