"""The words of the suite over the sources, and what a case of one has to say.

A case is one source beside a local platform that speaks its wire format. `tests/contract/source_cases/<name in
registry.SOURCES>.py` defines `CASE`; a source without one fails the suite.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

from broadcaster import registry
from broadcaster.ports import Source

TEXT = "这句话不能进日志"
NAME = "某观众"
"""What the comment and the gift of a case hold: neither may turn up in a log or an error."""

PRICE = 5_200
"""Of the gift, in thousandths of a yuan."""

LABEL = "the-room"
"""The name that every case gives its source."""


@dataclass(frozen=True, slots=True)
class Platform:
    """A platform that is there, and the source that is made for it, not yet run.

    `comment` and `gift` make one come in (`TEXT` by `NAME`; `PRICE` in all), once the source is connected.
    `left` says whether nothing of a session is left on the platform's side.
    """

    source: Source
    comment: Callable[[], Awaitable[None]]
    gift: Callable[[], Awaitable[None]]
    left: Callable[[], bool] = lambda: True


@dataclass(frozen=True, slots=True)
class SourceCase:
    """`secrets` are what no text may hold. `there` is the platform, `away` a source whose platform, port or file is
    not; both are given an empty folder."""

    secrets: tuple[str, ...]
    there: Callable[[Path], AbstractAsyncContextManager[Platform]]
    away: Callable[[Path], AbstractAsyncContextManager[Source]]


def case_of(name: str) -> SourceCase | None:
    module = f"tests.contract.source_cases.{name}"
    if importlib.util.find_spec(module) is None:
        return None
    found = importlib.import_module(module).CASE
    assert isinstance(found, SourceCase)
    return found


def all_cases() -> dict[str, SourceCase]:
    found = {name: case_of(name) for name in registry.SOURCES}
    return {name: case for name, case in found.items() if case is not None}
