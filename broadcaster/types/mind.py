"""What brains are asked and answer, and what is remembered of it. Frozen values, no I/O."""

from __future__ import annotations

from dataclasses import dataclass, field

from broadcaster.types.prompts import Inbound


@dataclass(frozen=True, slots=True)
class Image:
    """A picture for a model that sees. `media_type` is image/jpeg, image/png or image/webp."""

    data: bytes = field(repr=False)
    media_type: str


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation with a model. `role`: "user" or "assistant"."""

    role: str
    text: str
    images: tuple[Image, ...] = ()


@dataclass(frozen=True, slots=True)
class Turn:
    """What a brain is asked to answer.

    `system` is who the host is and what it must know now; it is never empty when a `Mind` made it. `messages` is the
    conversation as it was heard, oldest first; the last one is the question (role "user"), worded for a model.
    `prompt.text` is the question as it was asked.
    """

    prompt: Inbound
    system: str = ""
    messages: tuple[Message, ...] = ()
    max_tokens: int = 400


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one request as the server counted them (or as they were estimated)."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    """Of the prompt's."""


@dataclass(frozen=True, slots=True)
class Written:
    """A stretch of a reply, clean enough to be spoken, and the brain that wrote it."""

    text: str
    brain: str


@dataclass(frozen=True, slots=True)
class Exchange:
    """One prompt of the past and what was heard of the answer. `at_ns` is wall-clock time.

    `question` is "" for what the host said unasked; `cut`: the answer was broken off where `answer` ends.
    """

    prompt: str
    viewer: str
    question: str
    answer: str
    at_ns: int
    cut: bool = False


@dataclass(frozen=True, slots=True)
class ViewerNote:
    """What is remembered about one viewer. Times are wall-clock; `visits` counts days or returns after hours."""

    id: str
    name: str
    first_ns: int
    last_ns: int
    visits: int
    exchanges: int
    notes: str = ""


@dataclass(frozen=True, slots=True)
class Spent:
    """Of one day and one link. `cost` in the millionth part of the configured currency."""

    link: str
    requests: int
    prompt_tokens: int
    completion_tokens: int
    cost: int
