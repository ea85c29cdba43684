"""The configuration on its way from the parent to a child: resolved values as JSON, through a memfd. No threads.

Resolved, because a child must be able to restart when the file, a secret's file or a recording disk that the
configuration was checked against has gone since; JSON, because it also survives an upgrade under a running daemon.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr

from broadcaster.config import Config, LoadedConfig


def pack_config(loaded: LoadedConfig) -> str:
    """Holds every secret in clear: for a memfd, never for a file or a log."""
    path = str(loaded.path) if loaded.path else None
    return json.dumps({"config": _plain(loaded.config), "path": path, "text": loaded.text}, ensure_ascii=False)


def unpack_config(packed: str) -> LoadedConfig:
    """Raises ValueError (pydantic's or json's) for what `pack_config` did not write."""
    data = json.loads(packed)
    path = Path(data["path"]) if data["path"] else None
    return LoadedConfig(Config.model_validate(data["config"]), path, (), data["text"])


def sink_settings(loaded: LoadedConfig) -> list[dict[str, object]]:
    """The sinks as a `wire.SinkCommand` carries them: plain values, with nothing in them to be resolved again."""
    return [_escaped(_plain(sink)) for sink in loaded.config.sinks]


def _escaped(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("${", "$${")
    if isinstance(value, dict):
        return {key: _escaped(item) for key, item in value.items()}
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return {name: _plain(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value
