"""How the built-in rules put things: the texts of `phrases`, or the operator's own (`brain.phrases`)."""

from __future__ import annotations

import re
import string
import zlib
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, StringConstraints, create_model

from broadcaster.brain import phrases
from broadcaster.brain.ownfiles import load_model
from broadcaster.config import Section

Table = Mapping[str, Sequence[str]]

_EVENTS: Final = frozenset(
    "gift gift_many super_chat super_chat_of guard guard_of fan_club follow like like_many enter".split()
)
_PLAIN: Final = frozenset(("address", "somebody", "something", "joint"))
"""Parts of a sentence: the host's name makes no sense there."""
_DIGITAL: Final = re.compile(r"数字人|虚拟|人工智能|AI|digital|virtual|artificial", re.IGNORECASE)


class Wording:
    """Takes one of the texts of a phrase: never the same one twice in a row, and the same one for the same prompt."""

    def __init__(self, zh: Table = phrases.ZH, en: Table = phrases.EN) -> None:
        self._tables = {"zh": zh, "en": en}
        self._last: dict[tuple[str, str], tuple[str, int]] = {}

    @classmethod
    def load(cls, path: Path | None) -> Wording:
        """The built-in texts, with those of the file in their place. Blocking. Raises ConfigError."""
        if path is None:
            return cls()
        own = load_model(path, _File, "brain.phrases").model_dump()
        return cls(own["zh"], own["en"])

    def pick(self, language: str, key: str, seed: str, **values: object) -> str:
        choices = self._tables[language][key]
        chosen = zlib.crc32(seed.encode("utf-8", "replace")) % len(choices)
        last_seed, last = self._last.get((language, key), ("", -1))
        if chosen == last and seed != last_seed:
            chosen = (chosen + 1) % len(choices)
        self._last[language, key] = (seed, chosen)
        return choices[chosen].format(**values)


def placeholders(key: str) -> frozenset[str]:
    """What may be filled into a phrase: the host's name, and what its built-in texts use."""
    if key in _EVENTS:
        return frozenset(("name", "viewer", "item", "count"))
    used = {field for table in (phrases.ZH, phrases.EN) for text in table[key] for field in _fields(text)}
    return frozenset(used | ({"name"} if key not in _PLAIN and not key.startswith("part_") else set()))


def _fields(text: str) -> list[str]:
    """Raises ValueError for braces that are no placeholder."""
    found = []
    for _, field, spec, conversion in string.Formatter().parse(text):
        if field is not None:
            if spec or conversion or not field.isidentifier():
                raise ValueError("only plain placeholders such as {name} are filled in -> write {{ and }} for braces")
            found.append(field)
    return found


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _checked(key: str, texts: list[str]) -> list[str]:
    known = placeholders(key)
    for text in texts:
        try:
            unknown = sorted(set(_fields(text)) - known)
        except ValueError as err:
            said = str(err)
            raise ValueError(
                said if " -> " in said else "a brace stands alone -> write {{ and }} for braces that are meant"
            ) from None
        if unknown:
            fillable = ", ".join(f"{{{name}}}" for name in sorted(known)) or "nothing"
            raise ValueError(f"{{{unknown[0]}}} is not known here -> this phrase takes {fillable}")
        if key == "identity" and not _DIGITAL.search(text):
            raise ValueError(
                "whoever asks must be told that the host is no person -> say 数字人, 虚拟, 人工智能, AI, digital, "
                "virtual or artificial"
            )
    return texts


_Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]


def _texts(built_in: Table) -> Any:
    """A model with one key for each phrase, so that a mistyped one is named with its neighbour."""
    fields: dict[str, Any] = {
        key: (
            Annotated[
                list[_Text],
                Field(min_length=1, max_length=30),
                BeforeValidator(_as_list),
                AfterValidator(partial(_checked, key)),
            ],
            list(texts),
        )
        for key, texts in built_in.items()
    }
    return create_model("Texts", __base__=Section, **fields)


_ZH: Final = _texts(phrases.ZH)
_EN: Final = _texts(phrases.EN)
_File: Final[type[BaseModel]] = create_model("Phrases", __base__=Section, zh=(_ZH, _ZH()), en=(_EN, _EN()))
