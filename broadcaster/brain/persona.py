"""Who the host is: `persona.yaml`, and the built-in one. Pure but for `load_persona`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import Field, StringConstraints, field_validator

from broadcaster.brain.ownfiles import load_model, parse_model
from broadcaster.config import Section

MAX_SENTENCES: Final = 20
MAX_SECONDS: Final = 120
"""A longer answer keeps everybody else waiting."""

_LENGTH: Final = "short, medium, long, a number of sentences (1 to 20) or seconds (5s to 120s)"

Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]


class Persona(Section):
    """The keys of persona.yaml. Only `name` must be there."""

    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=40)]
    """What the host is called."""
    role: Annotated[str, StringConstraints(strip_whitespace=True, max_length=400)] = ""
    """What the host is and does, in a sentence."""
    tone: Annotated[str, StringConstraints(strip_whitespace=True, max_length=400)] = ""
    """How it sounds: warm, dry, lively."""
    topics: list[Line] = Field(default_factory=list, max_length=40)
    """What it likes to talk about and knows."""
    taboos: list[Line] = Field(default_factory=list, max_length=40)
    """What it does not talk about."""
    length: str | int = "short"
    """How long an answer is: short, medium, long, a number of sentences, or seconds such as 20s."""
    language: Literal["zh", "en", "auto"] = "auto"
    """What it speaks. auto: the language of whoever asks, and Chinese unasked."""
    greeting: Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)] = ""
    """How it greets, in its own words."""
    instructions: Annotated[str, StringConstraints(strip_whitespace=True, max_length=4000)] = ""
    """Anything else that a model is to know, in free words."""

    @field_validator("length", mode="before")
    @classmethod
    def _length_is_known(cls, value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise ValueError(f"must be {_LENGTH} -> choose one of them")
        if isinstance(value, int):
            known = 1 <= value <= MAX_SENTENCES
        else:
            seconds = re.fullmatch(r"([0-9]{1,3})s", value)
            known = 5 <= int(seconds[1]) <= MAX_SECONDS if seconds else value in ("short", "medium", "long")
        if not known:
            raise ValueError(f"must be {_LENGTH} -> choose one of them")
        return value

    @property
    def tongue(self) -> str:
        """The language of everything that nobody asked for: "zh" or "en"."""
        return "en" if self.language == "en" else "zh"


BUILT_IN: Final = Persona(
    name="小播",
    role="这个直播间的数字人主持人，全天陪着大家，回答问题，介绍节目",
    tone="亲切、自然、有分寸，像一位熟悉的电台主持人",
    topics=["直播间的节目和安排", "日常生活里的小事", "科技和人工智能的常识"],
    taboos=["政治立场和时政评论", "医疗、法律和投资的具体建议", "任何人的隐私", "色情、暴力和赌博"],
    length="short",
    language="auto",
)
"""`playlists/persona.yaml` says the same, as an example to start from."""


def load_persona(path: Path | None) -> Persona:
    """The persona in a file, or the built-in one. Blocking. Raises ConfigError."""
    return BUILT_IN if path is None else load_model(path, Persona, "brain.persona")


def parse_persona(text: str, name: str = "persona") -> Persona:
    """Raises ConfigError with a line for every fault; `name` stands for the file."""
    return parse_model(text, Persona, name)
