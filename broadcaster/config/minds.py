"""The sections `brain` and `turns`: how questions are answered, and who may cut in. No I/O."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from broadcaster.config.base import ConfigPath, Section
from broadcaster.config.brains import BrainLink, EndToEndLink


class MemoryConfig(Section):
    history_tokens: Annotated[int, Field(ge=200, le=100_000)] = 2000
    """Tokens of the conversation, as it was heard on air, that go along with a question."""
    summary_tokens: Annotated[int, Field(ge=0, le=4000)] = 300
    """Tokens of the running summary of what is older than that. 0: none is written."""
    viewers: Annotated[int, Field(ge=0, le=1_000_000)] = 5000
    """Viewers that are remembered; who was seen longest ago goes first. 0: none."""
    viewer_tokens: Annotated[int, Field(ge=0, le=1000)] = 120
    """Tokens of what is remembered about one viewer."""


class Budget(Section):
    per_day: Annotated[float, Field(ge=0, le=1_000_000)] | None = None
    """What the answers of one day may cost; when it is spent, links with a price are not asked. Empty: no limit."""
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = "CNY"
    """Currency of all prices here."""


class BrainConfig(Section):
    chain: list[BrainLink] = []
    """Brains to ask first, in this order; the built-in rules are always the last."""
    mode: Literal["interactive", "single"] = "interactive"
    """interactive: short answers that know the conversation; single: every question stands alone."""
    persona: ConfigPath | None = None
    """YAML file that says who the host is. `broadcaster persona write` drafts one. Empty: the built-in one."""
    knowledge: ConfigPath | None = None
    """File or folder of notes (.md, .txt, .csv) that answers are taken from and quoted in prompts."""
    programme: ConfigPath | None = None
    """YAML file of the week's programme, for "what is on" and "what comes next"."""
    phrases: ConfigPath | None = None
    """YAML file with your own wording of the built-in rules' answers and thanks. Empty: the built-in ones."""
    stale_after_s: Annotated[float, Field(ge=0, le=86_400)] = 300.0
    """Seconds after which a question is too old to be answered, also one whose answer is being written. 0: never."""
    max_tokens: Annotated[int, Field(ge=20, le=8000)] = 500
    """Most tokens of one answer."""
    memory: MemoryConfig = MemoryConfig()
    """What is remembered of the conversation, all of it in the journal."""
    budget: Budget = Budget()
    """What answers may cost."""
    end_to_end: list[EndToEndLink] = []
    """Models that answer with sound of their own, asked in this order; when they fail, brain and voice answer."""

    @field_validator("chain")
    @classmethod
    def _names_differ_and_models_are_named(cls, chain: list[BrainLink]) -> list[BrainLink]:
        labels = [link.label for link in chain if link.enabled]
        twice = sorted({label for label in labels if labels.count(label) > 1})
        if twice:
            raise ValueError(f"two brains are named {', '.join(twice)} -> give each its own name")
        for link in chain:
            if link.enabled and link.engine == "openai" and not link.model:
                raise ValueError(f"{link.label} has no model -> set its model to one of your server's")
        return chain


class TurnPolicy(Section):
    cuts: Literal["at_once", "after_sentence", "never"] = "after_sentence"
    """When a message of this class cuts what is on air: at once, after the sentence, or never (it waits its turn)."""
    over: Literal["resumable", "lower", "any"] = "resumable"
    """What it may cut: only what goes on afterwards, also the classes below it in `order`, or anything."""


class Turns(Section):
    order: list[Literal["say", "ask", "event"]] = ["say", "ask", "event"]
    """Classes of messages, the most important first."""
    say: TurnPolicy = TurnPolicy()
    """Texts of moderators."""
    ask: TurnPolicy = TurnPolicy()
    """Questions."""
    event: TurnPolicy = TurnPolicy(cuts="never")
    """Gifts, follows and the like."""
    bridge: Annotated[list[str], Field(min_length=1, max_length=50)] = [
        "我们接着说。",
        "好，回到刚才的内容。",
        "继续刚才没说完的。",
    ]
    """What is said before a text goes on that was cut; one of these each time."""

    @field_validator("order")
    @classmethod
    def _each_once(cls, order: list[str]) -> list[str]:
        if sorted(order) != ["ask", "event", "say"]:
            raise ValueError("order does not hold each of say, ask and event once -> list all three")
        return order
