"""Composition of the mind: configuration -> links in the order of asking, memory, knowledge. For `app` and `render`.

Imports of engines happen in `mind_of`: a channel without a chain loads none of them.
"""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from broadcaster import registry
from broadcaster.config import BrainConfig, ModerationConfig, VoiceConfig
from broadcaster.config.brains import BrainLink, EndToEndLink
from broadcaster.errors import ConfigError
from broadcaster.types import Inbound, Message, Origin, PromptKind, Turn

if TYPE_CHECKING:
    from broadcaster.brain.budget import Budget
    from broadcaster.brain.chain import Chain, Link
    from broadcaster.brain.mind import ChainMind
    from broadcaster.brain.moderation.gate import Moderation
    from broadcaster.brain.opening import Opening
    from broadcaster.brain.persona import Persona
    from broadcaster.brain.prompting import Prompter
    from broadcaster.brain.responder import Responder
    from broadcaster.director.end_to_end import EndToEndDesk
    from broadcaster.ports import EndToEnd, Gate
    from broadcaster.programme import Programme

_Read = TypeVar("_Read")


class Room:
    """What the mind may know of its channel, once there is one. `waiting` tells how long the queue is."""

    def __init__(self) -> None:
        self.waiting: Callable[[], int] = lambda: 0


@dataclass(frozen=True, slots=True)
class Host:
    """Who speaks: the persona, what a model is told of it, and the rules that answer without a model."""

    persona: Persona
    prompter: Prompter
    responder: Responder
    programme: Programme | None
    opening: Opening

    def today(self) -> str:
        """The date where the programme is, or the machine: YYYY-MM-DD."""
        now = datetime.now().astimezone()
        return (self.programme.local(now) if self.programme is not None else now).date().isoformat()


def host_of(settings: BrainConfig, cache: Path, room: Room | None = None, read_back: int = 0) -> Host:
    """Persona, programme, knowledge and phrases of the configuration. Blocking: reads files.

    `cache` is a private folder for the dictionary of the search. `read_back`: characters of a viewer's question that
    are said before its answer. Raises ConfigError with every fault.
    """
    from broadcaster.brain.knowledge import Knowledge
    from broadcaster.brain.opening import Opening
    from broadcaster.brain.persona import load_persona
    from broadcaster.brain.prompting import Prompter
    from broadcaster.brain.responder import Responder
    from broadcaster.brain.wording import Wording
    from broadcaster.programme import Programme

    faults: list[str] = []

    def read(load: Callable[[], _Read]) -> _Read | None:
        try:
            return load()
        except ConfigError as err:
            faults.extend(err.problems)
            return None

    persona = read(lambda: load_persona(settings.persona))
    wording = read(lambda: Wording.load(settings.phrases))
    programme = read(lambda: Programme.load(settings.programme) if settings.programme else None)
    knowledge = read(lambda: Knowledge.load(settings.knowledge, cache) if settings.knowledge else None)
    if faults or persona is None:
        raise ConfigError(*faults)
    room = room or Room()
    wording = wording or Wording()
    return Host(
        persona,
        Prompter(
            persona,
            mode=settings.mode,
            max_tokens=settings.max_tokens,
            schedule=programme,
            knowledge=knowledge,
            waiting=lambda: room.waiting(),
        ),
        Responder(
            persona.name,
            schedule=programme,
            knowledge=knowledge,
            wording=wording,
            language=persona.language,
            greeting=persona.greeting,
        ),
        programme,
        Opening(wording, language=persona.language, limit=read_back),
    )


def mind_of(settings: BrainConfig, cache: Path, room: Room | None = None, read_back: int = 0) -> ChainMind:
    """The enabled links of the configuration and the built-in rules as the last. Blocking: reads files.

    Raises ConfigError.
    """
    from broadcaster.brain.budget import Budget
    from broadcaster.brain.chain import Chain, Link
    from broadcaster.brain.memory import Memory
    from broadcaster.brain.mind import ChainMind

    host = host_of(settings, cache, room, read_back)
    budget = Budget(settings.budget.per_day, settings.budget.currency, host.today)
    rules = Link(host.responder.name, host.responder)
    chain = Chain([_link(each) for each in settings.chain if each.enabled], rules, budget, name=host.persona.name)
    memory = Memory(settings.memory, ask=_summariser(chain, settings) if chain.links else None)
    return ChainMind(
        chain,
        prompting=host.prompter,
        memory=memory,
        budget=budget,
        opening=host.opening.of,
        stale_after_s=settings.stale_after_s,
        host=host.persona.name,
    )


def _summariser(chain: Chain, settings: BrainConfig) -> Callable[[str, str], Awaitable[str]]:
    """(system prompt, text) -> what a model of the chain makes of it, within its deadlines and the day's budget."""

    async def ask(system: str, text: str) -> str:
        prompt = Inbound("summary", PromptKind.ASK, text, Origin("memory"))
        # A summary in Chinese takes about a token per character; a model that counts otherwise is cut shorter.
        return await chain.write(Turn(prompt, system, (Message("user", text),), settings.memory.summary_tokens * 2))

    return ask


def _link(settings: BrainLink) -> Link:
    from broadcaster.brain.chain import Link
    from broadcaster.supervisor.breaker import CircuitBreaker

    return Link(
        settings.label,
        registry.resolve(registry.BRAINS, settings.engine, "brain")(settings),
        CircuitBreaker(time.monotonic, random.Random()),
        first_token_s=settings.first_token_timeout_s,
        gap_s=settings.gap_timeout_s,
        total_s=settings.total_timeout_s,
        retries=settings.retries,
        price_in=settings.price_in,
        price_out=settings.price_out,
    )


def end_to_end_of(settings: BrainConfig) -> list[EndToEnd]:
    """The enabled end-to-end voices in the order of asking. Raises ConfigError."""
    table = registry.END_TO_END
    return [registry.resolve(table, link.engine, "end-to-end voice")(link) for link in _end_to_end(settings)]


def desk_of(settings: BrainConfig, voice: VoiceConfig, gate: Gate, budget: Budget, cache: Path) -> EndToEndDesk:
    """The end-to-end voices behind their breakers and the gate; `budget` is the mind's. Blocking: where there is one,
    reads the tables of reading and mouth. Raises ConfigError."""
    from broadcaster.director.end_to_end import EndToEndDesk, Guest
    from broadcaster.speech.foreign import ForeignSound
    from broadcaster.speech.links import warm
    from broadcaster.supervisor.breaker import CircuitBreaker

    links = _end_to_end(settings)
    names: list[str] = [link.engine for link in links]
    guests = [
        Guest(
            engine.name if (before := names[:at].count(engine.name)) == 0 else f"{engine.name}-{before + 1}",
            engine,
            CircuitBreaker(time.monotonic, random.Random()),
            link.first_sound_timeout_s,
            link.total_timeout_s,
            link.price_in,
            link.price_out,
        )
        for at, (link, engine) in enumerate(zip(links, end_to_end_of(settings), strict=True))
    ]
    if guests:
        warm(cache)
    sound = ForeignSound(loudness_lufs=voice.loudness_lufs)
    return EndToEndDesk(
        guests,
        gate=gate,
        finish=sound.finish,
        clean=_cleaned,
        stale_after_s=settings.stale_after_s,
        spent=lambda guest, usage: budget.spend(guest.name, usage, guest.price_in, guest.price_out),
        affordable=lambda guest: budget.allows(priced=guest.price_in > 0 or guest.price_out > 0),
    )


def gate_of(settings: ModerationConfig, cache: Path, *, asking: bool = True) -> Moderation:
    """Word lists, checks and, if it is set up and `asking`, the endpoint. Blocking: reads the lists. Raises
    ConfigError."""
    from broadcaster.brain.moderation.endpoint import Endpoint
    from broadcaster.brain.moderation.gate import Moderation
    from broadcaster.brain.moderation.lists import WordLists
    from broadcaster.supervisor.breaker import CircuitBreaker

    lists = WordLists(settings.words, pinyin=settings.pinyin, cache=cache)
    endpoint = Endpoint(settings.endpoint) if asking and settings.endpoint.url is not None else None
    breaker = CircuitBreaker(time.monotonic, random.Random()) if endpoint is not None else None
    return Moderation(settings, lists, endpoint=endpoint, breaker=breaker)


def _cleaned(transcript: str) -> str:
    """What may be spoken of it. Raises BrainError: it is the text of an error, only refuses, or says nothing."""
    from broadcaster.brain.cleaning import Cleaner, Unspeakable
    from broadcaster.errors import BrainError

    cleaner = Cleaner()
    try:
        return cleaner.feed(transcript) + cleaner.rest()
    except Unspeakable as err:
        raise BrainError("what it says is no answer", retryable=False) from err


def _end_to_end(settings: BrainConfig) -> list[EndToEndLink]:
    return [link for link in settings.end_to_end if link.enabled]
