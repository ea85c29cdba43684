"""The brains of a channel from its configuration. Called once at start, blocking (about a second), from a thread."""

from __future__ import annotations

from pathlib import Path

from broadcaster.brain.knowledge import Knowledge
from broadcaster.brain.responder import Responder, Schedule
from broadcaster.config import BrainConfig
from broadcaster.errors import ConfigError
from broadcaster.ports import Brain


def make_brains(config: BrainConfig, *, schedule: Schedule | None = None, cache: Path | None = None) -> list[Brain]:
    """In the order in which they are asked; the responder is always the last, because it never fails.

    Raises ConfigError: unreadable knowledge, or a missing extra with the command that installs it.
    """
    knowledge = Knowledge.load(config.knowledge, cache) if config.knowledge is not None else None
    responder = Responder(config.host_name, schedule=schedule, knowledge=knowledge)
    if config.engine == "responder":
        return [responder]
    try:
        from broadcaster.brain.openai_chat import OpenAIBrain

        return [OpenAIBrain(config), responder]
    except ModuleNotFoundError as err:
        raise ConfigError(
            f"brain.engine: openai needs the package {err.name} -> pip install 'broadcaster[openai]'"
        ) from err
