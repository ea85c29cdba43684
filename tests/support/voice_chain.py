"""A chain of voices in virtual time, what was heard through it, and faults by the call or the text.

The sound is that of `tests.fakes.voice_links`: it says which characters were spoken.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence

from broadcaster.ports import Voice
from broadcaster.speech.chain import ChainVoice, Link
from broadcaster.speech.pipeline import PacedSpeaker
from broadcaster.supervisor.breaker import CircuitBreaker
from broadcaster.types import Manner, Piece, SpokenPiece
from tests.fakes.voice_links import Ears, once_and_in_order, said

ONE = "今天我们一起去城市里的公园看看花开得怎么样，顺便喝一杯热热的茶，听一听老朋友讲的故事。"
TWO = "明天晚上有一场很好看的电影，大家都可以来。"
THREE = "周末坐火车去海边旅行。"
SHORT = "大家好。"
WARM = (TWO, THREE)
"""Said first where the speed of a voice has to be known."""

Fault = Callable[[Piece, int], str | None]
"""The fault of a link (see `FaultyLink`) for this piece and the number of the call, from 0; None for none."""


def at(call: int, fault: str) -> Fault:
    return lambda piece, number: fault if number == call else None


def on(text: str, fault: str) -> Fault:
    return lambda piece, number: fault if piece.text.startswith(text) else None


def always(fault: str) -> Fault:
    return lambda piece, number: fault


def chain_of(*voices: Voice, languages: Sequence[str] = ("zh", "en")) -> ChainVoice:
    """Breakers before all but the last. `languages` are the first link's."""
    clock = asyncio.get_running_loop().time
    links = [Link(voice.name, voice, CircuitBreaker(clock, random.Random(1))) for voice in voices[:-1]]
    if links:
        links[0].languages = frozenset(languages)
    return ChainVoice([*links, Link(voices[-1].name, voices[-1])])


class Channel:
    """A chain, what was heard through it, and when each piece was let go."""

    def __init__(self, *voices: Voice, languages: Sequence[str] = ("zh", "en"), paced: bool = True) -> None:
        self.chain = chain_of(*voices, languages=languages)
        self.speaker = PacedSpeaker(self.chain, paced=paced)
        self.ears = Ears()
        self.pieces: list[tuple[float, SpokenPiece]] = []

    async def say(self, *sentences: str, manner: Manner | None = None) -> Channel:
        clock = asyncio.get_running_loop().time
        self.ears.silence()
        spoken = self.speaker.speak(typed(*sentences), 1, *([manner] if manner else []))
        async for piece in spoken:
            self.pieces.append((clock(), piece))
            self.ears.take(clock(), piece)
        self.ears.end()
        return self

    @property
    def engines(self) -> list[tuple[int, str]]:
        return self.ears.engines


async def typed(*sentences: str) -> AsyncIterator[str]:
    for sentence in sentences:
        yield sentence


async def start(*voices: Voice, say: Sequence[str], languages: Sequence[str] = ("zh", "en")) -> Channel:
    """A channel of these voices that has said these sentences."""
    return await Channel(*voices, languages=languages).say(*say)


def wrong(channel: Channel, *sentences: str) -> list[str]:
    """What is wrong with what was heard: empty when it was these sentences, once and in order."""
    return once_and_in_order(channel.ears.text, "".join(map(said, sentences)))
