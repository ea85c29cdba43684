"""The words of the suite over the brains: faults, outcomes, and what a case of an engine has to say.

A case is one engine in one setting beside a local server that speaks its wire format.
`tests/contract/brain_cases/<name in registry.BRAINS>.py` defines `CASES`, a list of them; the module of an engine
without one fails the suite.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar

from broadcaster import registry
from broadcaster.ports import Brain
from broadcaster.types import Image, Inbound, Message, Origin, PromptKind, Turn, Viewer
from tests.fakes.model_server import ModelServer

SECRET = "sk-canary-0123456789abcdef"
"""The key of every link: it may turn up in no error."""

QUESTION = "今天的天气怎么样？"
SYSTEM = "你是小播，一位主持人。"

PICTURE = Image(b"\x89PNG\r\n\x1a\n not really", "image/png")


class Fault(StrEnum):
    """What the server does instead of answering well; `broken` makes it do so."""

    DENIED = "401"
    NO_MODEL = "404"
    BUSY = "429"  # with Retry-After: 7
    OUT_OF_CREDIT = "429 for good"  # a 429 whose code says that the account is empty
    BAD_REQUEST = "400"
    SERVER_ERROR = "500"
    HANGS_UP = "hangs up"  # the connection ends in place of an answer
    DROPPED = "dropped"  # the connection breaks off after the headers
    DROPPED_LATER = "dropped in the answer"
    MALFORMED = "malformed event"  # after the first piece
    TOLD = "error event"  # after the first piece, in the wire's own way, with the key and the question in it
    TOLD_AT_ONCE = "error event at once"
    SHORT = "ends too early"  # a proper end of the connection, but not of the answer
    EMPTY = "empty"
    FILTERED = "filtered"  # all text, then the word that a filter cut it off


ENDLESS: Mapping[str, Callable[[ModelServer], None]] = {
    "slow first token": lambda server: setattr(server, "stall_after", 0),
    "stalls in the answer": lambda server: setattr(server, "stall_after", 1),
    "no headers": lambda server: setattr(server, "first_delay", 3600.0),
}
"""No engine ends these by itself: whoever iterates gives up, and the engine has to let go. The same for all."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What comes out of an engine: text before the error (`said`), and the error's properties."""

    said: bool = False
    retryable: bool = False
    denied: bool = False
    retry_after_s: float | None = None
    says: str = ""


OUTCOMES: Mapping[Fault, Outcome] = {
    Fault.DENIED: Outcome(denied=True, says="401"),
    Fault.NO_MODEL: Outcome(denied=True, says="404"),
    Fault.BUSY: Outcome(retryable=True, retry_after_s=7.0, says="429"),
    Fault.OUT_OF_CREDIT: Outcome(denied=True, says="no credit"),
    Fault.BAD_REQUEST: Outcome(says="400"),
    Fault.SERVER_ERROR: Outcome(retryable=True, says="500"),
    Fault.HANGS_UP: Outcome(retryable=True, says="before it answered"),
    Fault.DROPPED: Outcome(retryable=True),
    Fault.DROPPED_LATER: Outcome(said=True, retryable=True),
    Fault.MALFORMED: Outcome(said=True, retryable=True),
    Fault.TOLD: Outcome(said=True, retryable=True),
    Fault.TOLD_AT_ONCE: Outcome(retryable=True),
    Fault.SHORT: Outcome(said=True, retryable=True, says="ended in the middle"),
    Fault.EMPTY: Outcome(retryable=True, says="empty answer"),
    Fault.FILTERED: Outcome(said=True, says="filter"),
}


class BrainCase:
    """Base of the cases; class attributes and methods to fill in."""

    engine: ClassVar[str]
    """Name in `registry.BRAINS`."""
    setting: str = ""
    """What tells the cases of one engine apart."""
    no_credit: str = "insufficient_quota"
    """How the service calls an empty account."""

    def __str__(self) -> str:
        return f"{self.engine}-{self.setting}" if self.setting else self.engine

    def serve(self) -> ModelServer:
        raise NotImplementedError

    def link(self, server: Any, **options: Any) -> Any:
        """The settings that lead to `server`, with `SECRET` as its key."""
        raise NotImplementedError

    def texts_of(self, request: dict[str, Any]) -> list[str]:
        """Of one entry of `requests`: every text that the model got, in order."""
        raise NotImplementedError

    def pictures_of(self, server: Any) -> list[bytes]:
        """Every picture that the server got, as it came: bytes, or a data URI."""
        raise NotImplementedError

    def make(self, server: Any, **options: Any) -> Brain:
        made: Brain = registry.resolve(registry.BRAINS, self.engine, "brain")(self.link(server, **options))
        return made

    def break_it(self, server: ModelServer, fault: Fault) -> None:
        match fault:
            case Fault.DENIED | Fault.NO_MODEL | Fault.BAD_REQUEST | Fault.SERVER_ERROR:
                server.status = int(fault.value)
            case Fault.BUSY:
                server.status, server.headers = 429, {"Retry-After": "7"}
            case Fault.OUT_OF_CREDIT:
                server.status, server.code = 429, self.no_credit
            case Fault.HANGS_UP:
                server.hangs_up = True
            case Fault.DROPPED:
                server.drop_after = 0
            case Fault.DROPPED_LATER:
                server.drop_after = 1
            case Fault.MALFORMED:
                server.garbage_after = 1
            case Fault.TOLD:
                server.error_after = 1
            case Fault.TOLD_AT_ONCE:
                server.error_after = 0
            case Fault.SHORT:
                server.ends_after = 1
            case Fault.EMPTY:
                server.script = []
            case Fault.FILTERED:
                server.filtered = True


def turn(
    text: str = QUESTION, *, system: str = SYSTEM, before: Sequence[Message] = (), images: tuple[Image, ...] = ()
) -> Turn:
    asked = Inbound("p1", PromptKind.ASK, text, Origin("test"), viewer=Viewer("u-7", "小明"))
    return Turn(asked, system, (*before, Message("user", text, images)), max_tokens=123)


def cases_of(name: str) -> Sequence[BrainCase]:
    """The cases of one engine; empty where nobody has written any."""
    module = f"tests.contract.brain_cases.{name}"
    if importlib.util.find_spec(module) is None:
        return ()
    found: Sequence[BrainCase] = importlib.import_module(module).CASES
    return found


def all_cases() -> list[BrainCase]:
    return [case for name in registry.BRAINS for case in cases_of(name)]
