"""The talking-head engines by name (table `HEADS` of the registry), imported when one is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from broadcaster.registry import HEADS, resolve

if TYPE_CHECKING:
    from collections.abc import Callable

    from broadcaster.ports import TalkingHead

FALLBACK: Final = "still"
"""Takes over when an engine cannot be loaded or fails at work."""


def make_engine(name: str, threads: int = 1) -> TalkingHead:
    """An engine that is not loaded yet. Raises ConfigError for a name that is not known."""
    make = cast("Callable[[int], TalkingHead]", resolve(HEADS, name, "talking-head engine"))
    return make(threads)
