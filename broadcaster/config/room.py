"""The sections `inbox`, `moderation` and `journal`: what waits, what may be said, what is kept. No I/O."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator

from broadcaster.config.address import server_of
from broadcaster.config.base import ConfigPath, HttpUrl, Section

LaneName = Literal["moderator", "super_chat", "support", "question", "thanks", "comment", "welcome"]

Seconds = Annotated[float, Field(ge=0, le=86_400)]
Weight = Annotated[float, Field(ge=0, le=10)]


class Ttl(Section):
    """Seconds. What was paid for has none: it is answered, or skipped with a reason."""

    question: Seconds = 180.0
    """Of questions to the host. 0: for ever."""
    thanks: Seconds = 600.0
    """Of thanks for what was free (follows, likes). 0: for ever."""
    comment: Seconds = 90.0
    """Of comments. 0: for ever."""
    welcome: Seconds = 60.0
    """Of welcomes. 0: for ever."""


class Weights(Section):
    """What makes a question or a comment come first, among those of its class."""

    question: Weight = 1.0
    """How much it looks like a question to the host."""
    novelty: Weight = 1.0
    """How new it is against what was answered lately."""
    viewer: Weight = 0.5
    """Medal, guard, what was paid before, and whether the viewer was answered lately."""
    alike: Weight = 0.5
    """How many have asked the same."""
    age: Weight = 0.5
    """How long it has waited: grows without end, so that nothing waits for ever."""


class Inbox(Section):
    capacity: Annotated[int, Field(ge=1, le=10_000)] = 200
    """Prompts of moderators that may wait; more are refused."""
    max_text: Annotated[int, Field(ge=10, le=20_000)] = 2000
    """Longest prompt in characters."""
    order: list[LaneName] = ["moderator", "super_chat", "support", "question", "thanks", "comment", "welcome"]
    """Priority classes, the most important first. A class that is left out never goes on air."""
    waiting: Annotated[int, Field(ge=1, le=10_000)] = 200
    """Of each class of the audience, how many wait in memory; more that was paid waits on disk, others drop."""
    ttl_s: Ttl = Ttl()
    """How long what was not paid for may wait."""
    weights: Weights = Weights()
    """What makes a question or a comment come first."""
    support_price: Annotated[float, Field(ge=0, le=1_000_000)] = 50.0
    """A gift worth this many yuan or more is thanked on its own; smaller ones together."""
    thanks_window_s: Annotated[float, Field(ge=0, le=120)] = 8.0
    """Seconds in which gifts, follows and likes are gathered into one sentence of thanks."""
    welcome_window_s: Annotated[float, Field(ge=0, le=600)] = 20.0
    """Seconds in which those who enter are gathered into one welcome."""
    per_viewer_per_minute: Annotated[int, Field(ge=1, le=600)] = 10
    """Comments of one viewer that are considered in a minute."""
    per_second: Annotated[int, Field(ge=1, le=100_000)] = 500
    """Comments of all that are considered in a second; what was paid for always is."""
    similarity: Annotated[float, Field(ge=0.5, le=1.0)] = 0.8
    """From this likeness on, two comments are the same question, and answered once. 1.0: only equal ones are."""
    read_back: Annotated[int, Field(ge=0, le=200)] = 24
    """Characters of a viewer's question that are read back before the answer. 0: none."""

    @field_validator("order")
    @classmethod
    def _each_once(cls, order: list[LaneName]) -> list[LaneName]:
        if len(set(order)) < len(order):
            raise ValueError("a class is named twice -> name each once, the most important first")
        if "moderator" not in order:
            raise ValueError("the class moderator is missing -> moderators must always be heard; put it first")
        return order


Action = Literal["pass", "mask", "drop", "hold"]


class Endpoint(Section):
    url: HttpUrl | None = None
    """Address that is asked by POST about texts that may go on air. Empty: nobody is asked."""
    key: SecretStr | None = None
    """Bearer token for it; use a ${...} reference."""
    timeout_s: Annotated[float, Field(gt=0, le=30)] = 1.5
    """Seconds to wait for its verdict."""
    on_failure: Action = "hold"
    """What becomes of a viewer's text when it does not answer; what the host says is judged by the rest alone."""
    direction: Literal["in", "out", "both"] = "both"
    """What it is asked about: viewers' texts, what the host says, or both."""


class ModerationConfig(Section):
    words: ConfigPath | None = None
    """YAML file of words, or folder of them, and what becomes of a text that has one. Reloaded when it changes."""
    pinyin: bool = True
    """Words are also found when written in pinyin or with characters that sound the same."""
    contacts: Action = "mask"
    """What becomes of addresses, telephone, QQ and WeChat numbers in texts."""
    injection: Action = "hold"
    """What becomes of a viewer's text that tries to give the language model orders."""
    nickname: str = "这位朋友"
    """What is said in place of a name that may not be said."""
    hold_s: Annotated[float, Field(ge=10, le=86_400)] = 600.0
    """Seconds that a text is held for a moderator; then it is dropped, unless it was paid for."""
    delay_s: Annotated[float, Field(ge=0, le=30)] = 0.0
    """Seconds between a sentence's admission and its first sound, in which a moderator can still drop it."""
    endpoint: Endpoint = Endpoint()
    """A moderation service of your own."""


class JournalConfig(Section):
    url: SecretStr | None = None
    """postgresql:// address of a database to keep it in; use a ${...} reference. Empty: a file of its own."""
    keep_days: Annotated[int, Field(ge=1, le=10_000)] = 400
    """Days that the as-run log is kept."""
    viewer_days: Annotated[int, Field(ge=1, le=10_000)] = 90
    """Days that names and texts of viewers are kept, counted from when each was seen last."""

    @field_validator("url")
    @classmethod
    def _is_postgresql(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None:
            server_of(url.get_secret_value(), "any")
        return url
