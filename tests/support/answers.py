"""Reading a brain's answer as the chain does, for the suites over brains."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final

from broadcaster.errors import BrainError
from broadcaster.ports import Brain
from broadcaster.types import Turn, Usage

NEVER_S: Final = 10.0
"""Longer than anything here takes: a wait that runs out is a failure."""


@dataclass
class Take:
    """What was read of one answer."""

    parts: list[str] = field(default_factory=list)
    usage: list[Usage] = field(default_factory=list)
    gave_up: bool = False
    error: BrainError | None = None

    @property
    def text(self) -> str:
        return "".join(self.parts)


async def read(brain: Brain, asked: Turn, *, first: float = NEVER_S, gap: float = NEVER_S) -> Take:
    """Reads one answer as whoever iterates does: gives up when nothing comes, and closes it in any case."""
    take = Take()
    async with aclosing(brain.reply(asked)) as answer:  # type: ignore[type-var]
        try:
            while True:
                async with asyncio.timeout(gap if take.parts else first):
                    part = await anext(answer, None)
                if part is None:
                    break
                if isinstance(part, Usage):
                    take.usage.append(part)
                else:
                    take.parts.append(part)
        except TimeoutError:
            take.gave_up = True
        except BrainError as err:
            take.error = err
    return take
