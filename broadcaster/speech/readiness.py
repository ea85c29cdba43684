"""What the voices of the chain still need of this machine: packages, keys, the avatar's recording, a lexicon.

For `check`, `doctor` and `voice list`; nothing is started and no network is used. Blocking.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from pydantic import SecretStr

from broadcaster import registry
from broadcaster.config import LinkBase, VoiceConfig
from broadcaster.errors import AssetError, ConfigError
from broadcaster.speech import reference
from broadcaster.speech.engines import local_problems
from broadcaster.speech.reading.lexicon import Lexicon
from broadcaster.speech.recording import LONGEST_SOVITS_S, SHORTEST_S
from broadcaster.types import VoiceReference

NO_REFERENCE: Final = (
    "speaks with the avatar's reference recording, and there is none -> "
    "record one, then `broadcaster voice add RECORDING --text ...`"
)

CLOUDS: Final = {
    "dashscope": "wss://dashscope.aliyuncs.com",
    "qwen_tts": "wss://dashscope.aliyuncs.com",
    "openai_speech": "https://api.openai.com",
    "edge": "wss://speech.platform.bing.com",
}
"""Where an engine without an address in its link is."""

_PORTS: Final = {"http": 80, "ws": 80, "https": 443, "wss": 443}


def engine_of(link: LinkBase) -> str:
    return str(getattr(link, "engine", ""))


def voice_of(link: LinkBase) -> str:
    """Which voice it speaks with, in words."""
    named = str(getattr(link, "voice", ""))
    if reference.needs_reference(link):
        return "the avatar's recording"
    if getattr(link, "reference_on_server", ""):
        return "a recording on the server"
    seed = getattr(link, "seed", None)
    return f"seed {seed}" if seed is not None else named


def problems(link: LinkBase, avatar: Path) -> list[str]:
    """Everything that keeps this link from speaking ("what is wrong -> what to do"), as far as can be seen here."""
    return [*_setting_problems(link), *_reference_problems(link, avatar)]


def chain_problems(config: VoiceConfig, avatar: Path) -> list[str]:
    """For the whole `voice` section: what only this stage can see, of the links that are enabled."""
    found = local_problems(config)
    for link in config.chain:
        if link.enabled:
            found += [f"voice.chain: {link.label}: {problem}" for problem in _reference_problems(link, avatar)]
    if config.lexicon is not None:
        try:
            Lexicon.load(config.lexicon)
        except (ConfigError, AssetError) as err:
            found += str(err).splitlines()
    return found


def reference_for(link: LinkBase, avatar: Path) -> VoiceReference | None:
    """The recording this link speaks with; None for one that needs none. Raises AssetError or ConfigError."""
    if not reference.needs_reference(link):
        return None
    found = reference.load(avatar)
    if found is None:
        raise ConfigError(f"{link.label} {NO_REFERENCE}")
    return found


def address(link: LinkBase) -> tuple[str, int] | None:
    """Host and port that the link connects to; None for one that connects to nothing."""
    given = getattr(link, "url", None) or getattr(link, "base_url", None) or CLOUDS.get(engine_of(link))
    if isinstance(given, SecretStr):
        given = given.get_secret_value()
    if not isinstance(given, str) or not given:
        return None
    parts = urlsplit(given)
    return str(parts.hostname), parts.port or _PORTS.get(parts.scheme, 443)


def _setting_problems(link: LinkBase) -> Iterator[str]:
    engine = engine_of(link)
    local = engine in registry.LOCAL_VOICES
    problem = registry.problem_with(registry.LOCAL_VOICES if local else registry.VOICES, engine, "voice")
    if problem:
        yield problem
    key = getattr(link, "api_key", None)
    if isinstance(key, SecretStr) and not key.get_secret_value():
        yield "there is no key -> set the variable that api_key refers to"
    if local:
        alone = VoiceConfig().model_copy(update={"chain": [link.model_copy(update={"enabled": True})]})
        for found in local_problems(alone):
            yield found.removeprefix(f"voice.chain: {link.label}: ")


def _reference_problems(link: LinkBase, avatar: Path) -> Iterator[str]:
    on_server = bool(getattr(link, "reference_on_server", ""))
    if on_server and not getattr(link, "reference_text", ""):
        yield "reference_text is empty -> write what is said in the recording on the server"
        return
    try:
        found = reference_for(link, avatar)
    except ConfigError:
        yield NO_REFERENCE
    except AssetError as err:
        yield str(err)
    else:
        seconds = reference.seconds_of(found) if found is not None and engine_of(link) == "gpt_sovits" else 0.0
        if seconds > LONGEST_SOVITS_S:
            yield (
                f"GPT-SoVITS takes recordings of {SHORTEST_S:.0f} to {LONGEST_SOVITS_S:.0f} s, the avatar's lasts "
                f"{seconds:.1f} s -> add a shorter one with `broadcaster voice add`"
            )
