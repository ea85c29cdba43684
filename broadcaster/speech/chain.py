"""The voices of a channel in the order of asking: which one is asked next, and how each is doing. No I/O of its own.

Every link is a port `Voice` with time-outs of its own; the last one is the embedded voice, which is asked whatever
became of it before, because behind it there is only silence. Director's event loop.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from broadcaster.errors import VoiceError
from broadcaster.ports import AlwaysClosed, Breaker, Voice
from broadcaster.speech.pacing import SoundModel, SpeedModel

log = logging.getLogger(__name__)

LANGUAGES: Final = frozenset({"zh", "en"})


@dataclass(slots=True, eq=False)
class Link:
    """One voice of the chain. Its speed is learned apart: a piece is cut to the voice that will speak it."""

    name: str
    voice: Voice
    breaker: Breaker = field(default_factory=AlwaysClosed)
    languages: frozenset[str] = LANGUAGES
    speed: SpeedModel = field(default_factory=SpeedModel)
    sound: SoundModel = field(default_factory=SoundModel)
    first_s: float = math.inf
    """Seconds to its first sound, the latest counting most."""
    spoken: int = 0
    """Pieces made in full."""
    failures: int = 0
    """Pieces it was asked for and did not make, though another link did (or none could be heard to)."""
    error: str = ""
    """Of the last piece that failed; empty after one that did not."""


class ChainVoice:
    """The links, first to last, and their counters. `left_out` counts pieces that no link could speak."""

    def __init__(self, links: Sequence[Link]) -> None:
        if not links:
            raise ValueError("a chain needs at least one link")
        self.links: tuple[Link, ...] = tuple(links)
        self.last = self.links[-1]
        self.left_out = 0
        self.repeated = 0
        """Clauses cut inside and said once more."""

    @classmethod
    def of(cls, voice: Voice) -> ChainVoice:
        """A chain of that voice alone."""
        return cls([Link(voice.name, voice)])

    def choose(self, language: str, start: int = 0) -> Link:
        """The first link from number `start` on that speaks `language` and may be asked; the last one otherwise.

        Takes the one try of a breaker that is half open: ask the link at once, and tell how it went.
        """
        for link in self.links[start:-1]:
            if language in link.languages and link.breaker.allows():
                return link
        return self.last

    def likely(self, language: str) -> Link:
        """Which one `choose` would probably take; takes no try of a breaker."""
        asked = (link for link in self.links[:-1] if language in link.languages and link.breaker.state == "closed")
        return next(asked, self.last)

    def behind(self, link: Link) -> int | None:
        """Number of the link after this one; None behind the last."""
        return None if link is self.last else self.links.index(link) + 1

    # -- how it went ------------------------------------------------------------------------------------------

    def sounded(self, link: Link, seconds: float) -> None:
        """The first sound of a piece came, `seconds` after it was asked for."""
        link.first_s = seconds if math.isinf(link.first_s) else link.first_s + 0.3 * (seconds - link.first_s)

    def spoke(self, link: Link, units: float, seconds: float) -> None:
        """A piece came in full, `seconds` after it was asked for."""
        rested = link.breaker.state != "closed"
        link.spoken += 1
        link.error = ""
        link.speed.observe(units, seconds)
        link.breaker.succeeded()
        if rested and link.breaker.state == "closed":
            log.info("a voice speaks again", extra={"voice": link.name})

    def recalled(self, link: Link) -> None:
        """A piece came from the link's cache: the engine was not asked, and may be as bad as before."""
        link.spoken += 1
        link.breaker.released()

    def failed(self, link: Link, err: VoiceError) -> None:
        """A piece did not come, and that is the link's fault. `denied` opens its breaker at once."""
        asked = link.breaker.state == "closed"
        link.failures += 1
        link.error = str(err)
        link.breaker.failed(for_good=err.denied)
        if asked and link.breaker.state != "closed":
            log.warning("a voice is not asked for a while", extra={"voice": link.name, "reason": str(err)})

    async def close(self) -> None:
        """Ends the connections of all links."""
        for link in self.links:
            close = getattr(link.voice, "close", None)
            if close is not None:
                await close()

    def status(self) -> list[dict[str, Any]]:
        """One mapping per link, in order: name, state (closed, open, half_open), spoken, failures, error."""
        return [
            {
                "name": link.name,
                "state": link.breaker.state,
                "spoken": link.spoken,
                "failures": link.failures,
                "error": link.error,
            }
            for link in self.links
        ]
