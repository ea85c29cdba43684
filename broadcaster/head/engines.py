"""The talking-head engines by name (table `HEADS` of the registry), imported when one is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from broadcaster.registry import HEADS, resolve

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from broadcaster.config import HeadConfig
    from broadcaster.ports import TalkingHead

DEFAULT: Final = "warp"
"""Where neither the configuration nor the avatar names an engine."""

FALLBACKS: Final = ("warp", "still")
"""Take over, in this order, when an engine cannot be loaded or fails at work."""


def make_engine(name: str, config: HeadConfig, models: Path) -> TalkingHead:
    """An engine that is not loaded yet; `models` is the folder of pulled weights. Raises ConfigError for a name that
    is not known, or one whose packages are not installed."""
    make = cast("Callable[[HeadConfig, Path], TalkingHead]", resolve(HEADS, name, "talking-head engine"))
    return make(config, models)
