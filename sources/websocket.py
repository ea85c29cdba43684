"""The prompt source: what one websocket connection may say to the channel, without the websocket.

Transport-free: the console feeds it one raw message at a time and sends on what it yields. Runs in the
director's asyncio loop.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from typing import Any, Final, Protocol

from broadcaster.errors import Refused
from broadcaster.types import (
    PLAIN,
    Happening,
    Inbound,
    Manner,
    Origin,
    PromptKind,
    Role,
    RoomEvent,
    Viewer,
)
from sources.message import REF_LIMIT
from sources.moderation import Bans, BansAnswer, Command, Drop, Place, PlaceAnswer, Queue, QueueAnswer
from sources.schema import (
    KINDS,
    Accepted,
    AnyInbound,
    Ask,
    Error,
    ErrorCode,
    Event,
    Interrupt,
    Ok,
    Panic,
    Resume,
    Say,
    parse,
)

NEEDED: Final = {**dict.fromkeys(KINDS, Role.MODERATOR), "resume": Role.OPERATOR}


class PromptDesk(Protocol):
    """The part of `broadcaster.station.Station` that a prompt source needs."""

    async def accept(
        self,
        kind: PromptKind,
        text: str,
        origin: Origin,
        manner: Manner = PLAIN,
        *,
        viewer: Viewer | None = None,
        resumable: bool = False,
        happening: Happening | None = None,
        recording: str = "",
    ) -> Inbound: ...

    async def interrupt(self, by: Origin) -> None: ...

    async def panic(self, by: Origin) -> None: ...

    async def resume(self, by: Origin) -> None: ...

    async def queue(self, limit: int = 50) -> dict[str, Any]: ...

    async def place(self, id: str) -> dict[str, Any]: ...

    async def moderate(self, command: Mapping[str, Any], by: Origin) -> None: ...

    def bans(self) -> list[dict[str, Any]]: ...


class PromptSession:
    """One client. `handle` never raises for what the client sent: every fault is an `error` answer.

    `max_bytes` bounds one message; `per_minute` is a bucket that refills evenly. `panic`, `interrupt` and
    `drop` are never rate limited: they are the brakes.
    """

    def __init__(
        self,
        desk: PromptDesk,
        origin: Origin,
        *,
        max_bytes: int = 16_384,
        per_minute: int = 120,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._desk = desk
        self._origin = origin
        self._max_bytes = max_bytes
        self._per_minute = per_minute
        self._now = now
        self._allowance = float(per_minute)
        self._refilled = now()

    async def handle(self, raw: str | bytes) -> AsyncIterator[dict[str, Any]]:
        """Answers to one message, as JSON-ready mappings of `sources.schema.Outbound`."""
        size = len(raw) if isinstance(raw, bytes) else len(raw.encode("utf-8", "surrogatepass"))
        if size > self._max_bytes:
            yield _error(ErrorCode.TOO_LARGE, f"a message may have {self._max_bytes} bytes, this one has {size}")
            return
        try:
            message = parse(raw)
        except ValueError as err:
            ref = _ref_of(raw)
            yield _error(ErrorCode.BAD_MESSAGE, str(err), ref) if self._spend() else _limited(ref)
            return
        if not isinstance(message, Panic | Interrupt | Drop) and not self._spend():
            yield _limited(message.ref)
            return
        needed = NEEDED[message.type]
        if not self._origin.role.covers(needed):
            yield _error(ErrorCode.FORBIDDEN, f"{message.type} needs the role {needed}", message.ref)
            return
        try:
            yield await self._perform(message)
        except Refused as err:
            yield _error(_code(err.code), str(err), message.ref)

    async def _perform(self, message: AnyInbound) -> dict[str, Any]:
        match message:
            case Say() | Ask() | Event():
                prompt = await self._accept(message)
                return Accepted(id=prompt.id, ref=message.ref).model_dump()
            case Interrupt():
                await self._desk.interrupt(self._origin)
            case Panic():
                await self._desk.panic(self._origin)
            case Resume():
                await self._desk.resume(self._origin)
            case Queue():
                return QueueAnswer.model_validate(
                    {**await self._desk.queue(message.limit), "ref": message.ref}
                ).model_dump()
            case Place():
                return PlaceAnswer.model_validate(
                    {"item": await self._desk.place(message.id), "ref": message.ref}
                ).model_dump()
            case Bans():
                return BansAnswer.model_validate({"bans": self._desk.bans(), "ref": message.ref}).model_dump()
            case _:
                await self._moderate(message)
        return Ok(command=message.type, ref=message.ref).model_dump()

    async def _moderate(self, message: Command) -> None:
        by = replace(self._origin, author=message.by) if message.by is not None else self._origin
        await self._desk.moderate(message.model_dump(exclude={"by", "ref"}), by)

    async def _accept(self, message: Say | Ask | Event) -> Inbound:
        desk, by = self._desk, self._origin
        match message:
            case Say():
                manner = _manner(message)
                return await desk.accept(PromptKind.SAY, message.text, by, manner, resumable=message.resumable)
            case Ask():
                viewer, recording = _viewer(message), message.recording or ""
                manner = _manner(message)
                return await desk.accept(PromptKind.ASK, message.text, by, manner, viewer=viewer, recording=recording)
            case Event():
                happening = Happening(RoomEvent(message.event), message.item, message.count)
                return await desk.accept(PromptKind.EVENT, "", by, viewer=_viewer(message), happening=happening)

    def _spend(self) -> bool:
        now = self._now()
        refill = (now - self._refilled) * self._per_minute / 60
        self._allowance = min(float(self._per_minute), self._allowance + refill)
        self._refilled = now
        if self._allowance < 1:
            return False
        self._allowance -= 1
        return True


def _manner(message: Say | Ask) -> Manner:
    speed = 1.0 if message.speed is None else message.speed
    return Manner(speed, message.pitch or 0.0, message.voice or "")


def _viewer(message: Ask | Event) -> Viewer | None:
    """One whose platform gives no id is known by its name; one without a name has only its id."""
    if message.viewer is None and message.viewer_id is None:
        return None
    return Viewer(message.viewer_id or f"name:{message.viewer}", message.viewer or "")


def _ref_of(raw: str | bytes) -> str | None:
    """The reference of a message that is wrong elsewhere, so that whoever sent it knows which one."""
    try:
        ref = json.loads(raw).get("ref")
    except (ValueError, AttributeError, RecursionError):
        return None
    return ref if isinstance(ref, str) and len(ref) <= REF_LIMIT and _is_text(ref) else None


def _is_text(text: str) -> bool:
    """No lone surrogates, which no message can carry back."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _code(code: str) -> ErrorCode:
    try:
        return ErrorCode(code)
    except ValueError:
        return ErrorCode.REFUSED


def _error(code: ErrorCode, message: str, ref: str | None = None) -> dict[str, Any]:
    return Error(code=code, message=message, ref=ref).model_dump(mode="json")


def _limited(ref: str | None) -> dict[str, Any]:
    return _error(ErrorCode.RATE_LIMITED, "too many messages; wait a moment and send it again", ref)
