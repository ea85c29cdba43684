"""How a presenter speaks by itself: `voice` and `engine` of its `avatar.yaml`. Reads one file.

For each of `speed`, `pitch`, `zh` and `en`: what the configuration says, else what the avatar says, else the default.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from broadcaster.config.models import VoiceConfig

MANIFEST: Final = "avatar.yaml"


class AvatarVoice(BaseModel):
    """What an avatar may say about its voice; every key may be left out."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    speed: Annotated[float | None, Field(ge=0.5, le=2.0)] = None
    pitch: Annotated[float | None, Field(ge=-6.0, le=6.0)] = None
    zh: Annotated[str | None, Field(min_length=1, max_length=64)] = None
    en: Annotated[str | None, Field(min_length=1, max_length=64)] = None


def avatar_voice(folder: Path) -> AvatarVoice:
    """The `voice` section of an avatar folder; an empty one when the avatar says nothing, or cannot be read.

    Raises ValueError ("what is wrong -> what to do") for a section that is wrong. Everything else in avatar.yaml is
    for `studio.avatar_source` to judge.
    """
    section = _section(folder, "voice")
    if section is None:
        return AvatarVoice()
    try:
        return AvatarVoice.model_validate(section)
    except ValidationError as err:
        first = err.errors(include_url=False, include_input=False)[0]
        key = ".".join(["voice", *map(str, first["loc"])])
        raise ValueError(f"{folder / MANIFEST}: {key}: {first['msg']} -> correct it, or remove the section") from None


def avatar_engine(folder: Path) -> str:
    """The talking-head engine that the avatar asks for; "" for none."""
    engine = _section(folder, "engine")
    return engine if isinstance(engine, str) else ""


def _section(folder: Path, key: str) -> object:
    try:
        data = yaml.safe_load((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return None
    return data.get(key) if isinstance(data, dict) else None


def with_avatar_voice(config: VoiceConfig, avatar: AvatarVoice) -> VoiceConfig:
    """`config` with what it leaves open taken from the avatar."""
    own = {
        key: value
        for key, value in avatar.model_dump(exclude_none=True).items()
        if key not in config.model_fields_set
    }
    return config.model_copy(update=own) if own else config
