"""What a changed configuration asks for: which children restart, what has to wait for a restart of the daemon. Pure.

Sections that every process must agree on (where the sockets are, the size of the picture) keep their old
value until the daemon restarts, also for a child that crashes and comes back.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from broadcaster.config import LoadedConfig

FROZEN: Final = ("channel", "state_dir", "avatar", "video", "audio", "label", "aigc", "logging")
"""Keys whose change needs a restart of the daemon: the stream would have to be interrupted, or paths would move."""

RESTARTS: Final = {
    "voice": "voice",
    "head": "head",
    "brain": "director",
    "inbox": "director",
    "console": "director",
    "alarms": "director",
}
"""Key -> the child that is restarted for it. The director finishes or cuts its sentence; its queue is on disk."""

LIVE: Final = ("sinks",)
"""Keys that the running processes take from the reload notice."""


@dataclass(frozen=True, slots=True)
class Plan:
    """`loaded` is the configuration to go on with; `restart` names children, `frozen` and `changed` keys."""

    loaded: LoadedConfig
    restart: tuple[str, ...]
    frozen: tuple[str, ...]
    changed: tuple[str, ...]


def plan(old: LoadedConfig, new: LoadedConfig) -> Plan:
    """Compares resolved values: a secret that changed in its file counts, a comment does not."""
    keys = type(new.config).model_fields
    changed = tuple(key for key in keys if getattr(old.config, key) != getattr(new.config, key))
    frozen = tuple(key for key in changed if key in FROZEN)
    kept = new.config.model_copy(update={key: getattr(old.config, key) for key in frozen})
    restart = tuple(dict.fromkeys(RESTARTS[key] for key in changed if key in RESTARTS))
    return Plan(replace(new, config=kept), restart, frozen, changed)
