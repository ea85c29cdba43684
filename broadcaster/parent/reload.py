"""What a changed configuration asks for: which children restart, what has to wait for a restart of the daemon. Pure.

Sections that every process must agree on (where the sockets are, the size of the picture) keep their old
value until the daemon restarts, also for a child that crashes and comes back.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from broadcaster.config import LoadedConfig, VoiceConfig
from broadcaster.config.voices import local_voice

FROZEN: Final = ("channel", "state_dir", "avatar", "avatar_disk_gb", "video", "audio", "label", "aigc", "logging")
"""Keys whose change needs a restart of the daemon: the stream would have to be interrupted, or paths would move."""

RESTARTS: Final = {
    "voice": ("voice", "voice-local", "director"),
    "head": ("head",),
    "brain": ("director",),
    "turns": ("director",),
    "sources": ("director",),
    "moderation": ("director",),
    "journal": ("director",),
    "inbox": ("director",),
    "console": ("director",),
    "alarms": ("director",),
}
"""Key -> the children that are restarted for it. The director finishes or cuts its sentence; its queue is on disk."""

ASKING: Final = frozenset({"chain", "speed", "pitch", "cache_mb", "look_ahead_s", "shortest_package"})
"""Keys of `voice` that only the director reads: how voices are asked, not how they are made."""

LOADING: Final = ("threads", "request_timeout_s")
"""Keys of `voice` that the local voice is made with, besides its link; it takes minutes to load again."""

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
    """Compares resolved values and the files they name: a secret or a persona that changed in its file counts, a
    comment does not."""
    keys = type(new.config).model_fields
    edited = {key for key in keys if old.files.get(key) != new.files.get(key)}
    changed = tuple(key for key in keys if key in edited or getattr(old.config, key) != getattr(new.config, key))
    frozen = tuple(key for key in changed if key in FROZEN)
    kept = new.config.model_copy(update={key: getattr(old.config, key) for key in frozen})
    asked = dict.fromkeys(role for key in changed for role in RESTARTS.get(key, ()))
    untouched = _untouched_voices(old.config.voice, kept.voice) if "voice" not in edited else set()
    restart = tuple(role for role in asked if role not in untouched)
    return Plan(replace(new, config=kept), restart, frozen, changed)


def _untouched_voices(old: VoiceConfig, new: VoiceConfig) -> set[str]:
    """The voice processes that would be made again exactly as they are."""
    keys = set(type(new).model_fields)
    changed = {key for key in keys if getattr(old, key) != getattr(new, key)}
    untouched: set[str] = set()
    if changed <= ASKING:
        untouched.add("voice")
    local = local_voice(old.chain)
    if local == local_voice(new.chain) and (local is None or changed.isdisjoint(LOADING)):
        untouched.add("voice-local")
    return untouched
