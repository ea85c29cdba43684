"""Commands for sinks on their way to playout and their answers back. Director's event loop."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Any, Final

import msgspec

from broadcaster.errors import Refused
from broadcaster.wire import AnyMessage, SinkCommand, SinkReply

REPLY_SECONDS: Final = 10.0
"""Playout answers when the change is made, which takes a stopping child 5 s at most."""

ACTIONS: Final = ("add", "change", "pause", "resume", "stop", "remove", "reset", "reload")


class SinkCommands:
    def __init__(self, send: Callable[[AnyMessage], bool]) -> None:
        self._send = send
        self._numbers = itertools.count(1)
        self._waiting: dict[str, asyncio.Future[SinkReply]] = {}

    async def run(self, command: dict[str, Any]) -> SinkReply:
        """Raises Refused: "refused" for what is not a command, "unavailable" when playout does not answer."""
        request = str(next(self._numbers))
        try:
            message = msgspec.convert({**command, "request": request, "$": "SinkCommand"}, SinkCommand)
        except msgspec.ValidationError as err:
            raise Refused(f"not a sink command: {err}") from err
        if message.action not in ACTIONS:
            raise Refused(f"there is no such sink command; there are: {', '.join(ACTIONS)}")
        reply: asyncio.Future[SinkReply] = asyncio.get_running_loop().create_future()
        self._waiting[request] = reply
        try:
            if not self._send(message):
                raise Refused("playout is being restarted; try again in a few seconds", "unavailable")
            async with asyncio.timeout(REPLY_SECONDS):
                return await reply
        except TimeoutError:
            raise Refused(f"playout did not answer within {REPLY_SECONDS:.0f} s", "unavailable") from None
        finally:
            self._waiting.pop(request, None)

    def answered(self, reply: SinkReply) -> None:
        future = self._waiting.get(reply.request)
        if future is not None and not future.done():
            future.set_result(reply)

    def fail_all(self) -> None:
        """Playout is gone: what it was asked will not be answered."""
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(
                    Refused("playout went away before it answered; look at the sinks", "unavailable")
                )
