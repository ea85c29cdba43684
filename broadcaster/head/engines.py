"""The talking-head engines by name, imported when one is made."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, cast

from broadcaster.errors import ConfigError

if TYPE_CHECKING:
    from broadcaster.ports import TalkingHead

ENGINES: Final[dict[str, str]] = {
    "warp": "broadcaster.head.warp:WarpHead",
    "still": "broadcaster.head.still:StillHead",
}

FALLBACK: Final = "still"


def make_engine(name: str, threads: int = 1) -> TalkingHead:
    """An engine that is not loaded yet. Raises ConfigError for a name that is not in the table."""
    try:
        module, _, attribute = ENGINES[name].partition(":")
    except KeyError:
        raise ConfigError(
            f"head.engine: {name!r} is not a talking-head engine; choose one of {', '.join(ENGINES)}"
        ) from None
    make = cast("Callable[[int], TalkingHead]", getattr(importlib.import_module(module), attribute))
    return make(threads)
