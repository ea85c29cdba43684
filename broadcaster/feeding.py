"""The sources of a configuration, ready to be run: composition for the director process. Imports what it names.

Raises ConfigError when a source's module cannot be imported.
"""

from __future__ import annotations

from collections.abc import Callable

from broadcaster import registry
from broadcaster.config import SourceConfig
from broadcaster.director.feeds import Feed, Feeds, Tape
from broadcaster.ports import Intake


def feeds_of(sources: list[SourceConfig]) -> Feeds:
    """Those that are switched off are only shown."""
    return Feeds([_feed(settings) for settings in sources])


def _feed(settings: SourceConfig) -> Feed:
    if not settings.enabled:
        return Feed(settings.label, settings.type, None)
    made = registry.resolve(registry.SOURCES, settings.type, "source")
    return Feed(settings.label, settings.type, made(settings), _tape(settings))


def _tape(settings: SourceConfig) -> Callable[[Intake], Tape] | None:
    folder = settings.record
    if folder is None:
        return None
    made = registry.resolve({}, registry.RECORDER, "recorder")
    return lambda intake: made(intake, folder, settings.label, settings.record_mb)
