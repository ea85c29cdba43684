"""Composition of the mind: configuration -> links in the order of asking, memory, knowledge. For `app` and `render`.

Imports of engines happen in `mind_of`: a channel without a chain loads none of them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from broadcaster import registry
from broadcaster.config import BrainConfig

if TYPE_CHECKING:
    from broadcaster.ports import EndToEnd, Mind


def mind_of(settings: BrainConfig, cache: Path) -> Mind:
    """The enabled links of the configuration and the built-in rules as the last. Blocking: reads files.

    Raises ConfigError.
    """
    from broadcaster.brain.knowledge import Knowledge
    from broadcaster.brain.mind import ChainMind
    from broadcaster.brain.responder import Responder
    from broadcaster.programme import Programme

    programme = Programme.load(settings.programme) if settings.programme else None
    knowledge = Knowledge.load(settings.knowledge, cache) if settings.knowledge else None
    responder = Responder("小播", schedule=programme, knowledge=knowledge)
    brains = [
        registry.resolve(registry.BRAINS, link.engine, "brain")(link) for link in settings.chain if link.enabled
    ]
    return ChainMind([*brains, responder])


def end_to_end_of(settings: BrainConfig) -> list[EndToEnd]:
    """The enabled end-to-end voices in the order of asking. Raises ConfigError."""
    table = registry.END_TO_END
    return [
        registry.resolve(table, link.engine, "end-to-end voice")(link) for link in settings.end_to_end if link.enabled
    ]
