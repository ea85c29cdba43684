"""Which sinks there are: the configuration, and what was changed on air. Kept in one 0600 file across restarts.

A change made on air lasts until the configuration's entry of that sink changes, or until it is reset. Used under
the lock of `SinkSet`; the file is written in the thread that gives the command, never in the tick thread.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec
from pydantic import SecretStr

from broadcaster.config import FileSink, RtmpSink, SinkConfig, parse_sink
from broadcaster.errors import ConfigError, Refused
from broadcaster.redact import redact

log = logging.getLogger(__name__)

Hold = Literal["", "paused", "off"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One sink as it should be now. `poke` counts the wishes to try again at once."""

    config: SinkConfig
    hold: Hold = ""
    poke: int = 0


class Override(msgspec.Struct):
    """`settings` None: removed on air. `of`: digest of the configured entry it replaces, None for an added sink."""

    settings: dict[str, object] | None
    hold: Hold
    of: str | None


class SinkStore:
    def __init__(self, path: Path, configured: Iterable[SinkConfig]) -> None:
        self._path = path
        self._pokes = 0
        self._poked: dict[str, int] = {}
        self._overrides = self._read()
        self._configured: dict[str, SinkConfig] = {}
        self.reload(configured)

    def entries(self) -> dict[str, Entry]:
        """Every sink there should be, by name, the configured ones first."""
        found: dict[str, Entry] = {}
        for name in (*self._configured, *self._overrides):
            if name not in found and (config := self._effective(name)) is not None:
                found[name] = Entry(config, self._hold(name), self._poked.get(name, 0))
        return found

    def reload(self, configured: Iterable[SinkConfig]) -> None:
        """Takes a new configuration; overrides of entries that changed in it are forgotten."""
        self._configured = {config.name: config for config in configured}
        stale = [name for name, override in self._overrides.items() if override.of != self._digest(name)]
        for name in stale:
            del self._overrides[name]
            log.warning("a sink changed in the configuration: its change on air is forgotten", extra={"sink": name})
        if stale:
            self._write()

    def add(self, name: str, settings: Mapping[str, object]) -> None:
        if self._effective(name or str(settings.get("name", ""))) is not None:
            raise Refused(f"there is a sink {name or settings.get('name')!r} already; use change")
        config = parse_settings({**settings, **({"name": name} if name else {})})
        self._set(config.name, reveal(config), "")

    def change(self, name: str, settings: Mapping[str, object]) -> None:
        """New settings; what they leave out stays as it is, unless the type changes."""
        config = self._known(name)
        base: dict[str, object] = {}
        if settings.get("type", config.type) == config.type:
            base = reveal(config)
        changed = parse_settings({**base, **settings, "name": name})
        self._set(name, reveal(changed), self._hold(name))

    def hold(self, name: str, hold: Hold) -> None:
        """Pauses, stops or resumes; to resume also means to try at once."""
        config = self._known(name)
        if not hold:
            self._pokes += 1
            self._poked[name] = self._pokes
            if not config.enabled:
                config = parse_settings({**reveal(config), "enabled": True})
        plain = self._overrides.get(name)
        unchanged = self._configured.get(name) == config and (plain is None or plain.settings == reveal(config))
        if unchanged and not hold:
            self._overrides.pop(name, None)
            self._write()
        else:
            self._set(name, reveal(config), hold)

    def remove(self, name: str) -> None:
        self._known(name)
        if name in self._configured:
            self._set(name, None, "")
        else:
            del self._overrides[name]
            self._write()

    def reset(self, name: str) -> None:
        """Back to the configuration: one sink, or all of them with an empty name."""
        if name and name not in self._overrides and name not in self._configured:
            raise Refused(f"there is no sink {name!r}")
        for each in [name] if name else list({*self._overrides, *self._configured}):
            self._overrides.pop(each, None)
            self._pokes += 1
            self._poked[each] = self._pokes
        self._write()

    def _known(self, name: str) -> SinkConfig:
        config = self._effective(name)
        if config is None:
            raise Refused(f"there is no sink {name!r}; there are: {', '.join(self.entries()) or 'none'}")
        return config

    def _effective(self, name: str) -> SinkConfig | None:
        override = self._overrides.get(name)
        if override is None:
            return self._configured.get(name)
        return None if override.settings is None else parse_settings(override.settings)

    def _hold(self, name: str) -> Hold:
        override = self._overrides.get(name)
        hold: Hold = "" if override is None else override.hold
        config = self._effective(name)
        return hold or ("off" if config is not None and not config.enabled else "")

    def _digest(self, name: str) -> str | None:
        config = self._configured.get(name)
        if config is None:
            return None
        return hashlib.sha256(json.dumps(reveal(config), sort_keys=True).encode()).hexdigest()

    def _set(self, name: str, settings: dict[str, object] | None, hold: Hold) -> None:
        self._overrides[name] = Override(settings, hold, self._digest(name))
        self._write()

    def _read(self) -> dict[str, Override]:
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return {}
        try:
            found = msgspec.json.decode(data, type=dict[str, Override])
            for override in found.values():
                if override.settings is not None:
                    parse_settings(override.settings)
        except (msgspec.MsgspecError, UnicodeDecodeError, Refused):
            log.warning("the sinks' on-air changes are unreadable and ignored", extra={"path": str(self._path)})
            return {}
        return found

    def _write(self) -> None:
        """Atomic, and readable by nobody else: stream keys are in it."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = self._path.with_name(self._path.name + ".new")
        new.unlink(missing_ok=True)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            out.write(msgspec.json.encode(self._overrides))
            out.flush()
            os.fsync(out.fileno())
        new.replace(self._path)


def reveal(config: SinkConfig) -> dict[str, object]:
    """A sink's settings as plain JSON values, secrets in the clear: for its child and for the 0600 file only."""
    plain: dict[str, object] = {}
    for name in type(config).model_fields:
        value = getattr(config, name)
        if isinstance(value, SecretStr):
            value = value.get_secret_value()
        plain[name] = str(value) if isinstance(value, Path) else value
    return plain


def secrets_of(config: SinkConfig) -> list[str]:
    fields = (getattr(config, name) for name in type(config).model_fields)
    return [value.get_secret_value() for value in fields if isinstance(value, SecretStr)]


def address_of(config: SinkConfig, address: int) -> str:
    """Where a sink sends to (0 primary, 1 backup), without its key; empty for a sink without such a place."""
    if isinstance(config, FileSink):
        return str(config.directory)
    if not isinstance(config, RtmpSink):
        return ""
    url = config.backup_url if address and config.backup_url is not None else config.url
    shown = redact(url.get_secret_value())
    return f"{shown.rstrip('/')}/***" if shown and config.key is not None and "***" not in shown else shown


def parse_settings(settings: Mapping[str, object]) -> SinkConfig:
    """Raises Refused with what is wrong and what to do; values are left out of it, they may be keys."""
    try:
        return parse_sink(settings)
    except ConfigError as err:
        raise Refused("; ".join(err.problems)) from None
