"""One websocket of a session: introduces itself, beats every 30 s, hands on what comes. Director's event loop.

It is lost when an answer to a heartbeat stays out, whatever else comes; there is no other sign of life that the
platform owes. Pings of the websocket itself are left out: the protocol beats by its own.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from ssl import SSLContext
from typing import Any, Final, NoReturn

from broadcaster.errors import SourceError
from broadcaster.hosts import is_here, place_of
from sources.bilibili.api import what_broke
from sources.bilibili.packets import MAX_FRAME, Operation, Packet, Unpacker, pack

GARBAGE_LIMIT: Final = 100
"""Frames in a row of which nothing could be read: that is no packet gone wrong, it is another protocol."""

AT_ONCE: Final = 250
"""Messages that are read before the director has its turn (some milliseconds); a real frame has a few."""

FRAMES_WAITING: Final = 64
"""Frames that the library keeps while one is read, before it lets TCP wait."""


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds. `game` and `beat` are what the platform asks for, the rest is patience."""

    game: float = 20.0
    """Between two heartbeats of the session; it is over after about 60 without one."""
    beat: float = 30.0
    """Between two heartbeats of the websocket; it is closed after about 60 without one."""
    answer: float = 15.0
    """For the answer to a heartbeat or to the introduction, and for opening the websocket."""
    settled: float = 10.0
    """A websocket that held for so long is followed by the next one without a new session."""
    close: float = 0.5
    end: float = 1.6
    """For the websocket's goodbye and then for the session's (half as long again while it is just begun): together
    less than the 3 that a source has."""


class Lost(SourceError):
    """The websocket is gone; its session may well go on. `settled`: it had held for a while."""

    def __init__(self, message: str, *, settled: bool = False) -> None:
        super().__init__(message)
        self.settled = settled


class Connection:
    """One try: `follow` ends with Lost, or with what `take` raises. Faults are added to `counts`."""

    def __init__(self, link: str, auth: bytes, trusted: SSLContext, times: Times, counts: Counter[str]) -> None:
        self._link = link
        self._place = place_of(link)
        self._auth = auth
        self._trusted = trusted if link.startswith("wss:") else None
        self._times = times
        self._counts = counts
        self._unpacker = Unpacker()
        self._unread = 0
        self._let_in = asyncio.Event()
        self._answered = asyncio.Event()

    async def follow(self, take: Callable[[list[bytes]], None], opened: Callable[[], None]) -> NoReturn:
        """Hands the messages of each frame to `take`, in order; calls `opened` once it was let in."""
        import websockets.asyncio.client
        import websockets.exceptions

        loop = asyncio.get_running_loop()
        let_in_at: float | None = None

        def welcome() -> None:
            nonlocal let_in_at
            let_in_at = loop.time()
            opened()

        try:
            async with websockets.asyncio.client.connect(
                self._link,
                ssl=self._trusted,
                max_size=MAX_FRAME,
                max_queue=FRAMES_WAITING,
                open_timeout=self._times.answer,
                close_timeout=self._times.close,
                ping_interval=None,
                proxy=None if is_here(self._link) else True,
            ) as socket:
                await first_of(self._receive(socket, take), self._beat(socket, welcome))
            raise Lost(f"{self._place} closed the connection")
        except Lost as err:
            lost = err
        except TimeoutError:
            lost = Lost(f"{self._place} does not answer")
        except websockets.exceptions.ConnectionClosed as err:
            lost = Lost(f"{self._place} closed the connection (code {self._closed_by(err)})")
        except (websockets.exceptions.WebSocketException, OSError, EOFError, ValueError) as err:
            lost = Lost(f"{self._place} cannot be reached ({what_broke(err)})")
        lost.settled = let_in_at is not None and loop.time() - let_in_at >= self._times.settled
        raise lost

    def _closed_by(self, err: Any) -> int:
        code = (err.rcvd or err.sent).code if err.rcvd or err.sent else 1006
        if code == 1009 and err.rcvd is None:
            self._counts["oversized"] += 1
        return int(code)

    async def _receive(self, socket: Any, take: Callable[[list[bytes]], None]) -> None:
        async for frame in socket:
            messages = [packet.body for packet in self._packets(frame) if self._is_message(packet)]
            for at in range(0, len(messages), AT_ONCE):
                take(messages[at : at + AT_ONCE])
                await asyncio.sleep(0)

    def _packets(self, frame: str | bytes) -> list[Packet]:
        self._counts["frames"] += 1
        if isinstance(frame, str):
            found, reasons = [], Counter({"text_frame": 1})
        else:
            found, reasons = self._unpacker.unpack(frame), self._unpacker.faults
        self._counts.update(reasons)
        self._unpacker.faults.clear()
        self._unread = 0 if found else self._unread + 1
        if self._unread >= GARBAGE_LIMIT:
            raise Lost(f"{self._place} sends nothing that is understood")
        return found

    def _is_message(self, packet: Packet) -> bool:
        match packet.operation:
            case Operation.MESSAGE:
                return True
            case Operation.BEAT_REPLY:
                self._answered.set()
            case Operation.AUTH_REPLY:
                self._enter(packet.body)
            case _:
                self._counts["other_packets"] += 1
        return False

    def _enter(self, body: bytes) -> None:
        try:
            code = json.loads(body)["code"]
        except (ValueError, LookupError, TypeError, RecursionError):
            code = None
        if code != 0:
            told = f" (code {code})" if isinstance(code, int) else ""
            raise Lost(f"{self._place} does not let this session in{told}")
        self._let_in.set()

    async def _beat(self, socket: Any, welcome: Callable[[], None]) -> None:
        async with asyncio.timeout(self._times.answer):
            await socket.send(pack(Operation.AUTH, self._auth))
            await self._let_in.wait()
        welcome()
        while True:
            self._answered.clear()
            async with asyncio.timeout(self._times.answer):
                await socket.send(pack(Operation.BEAT))
                await self._answered.wait()
            await asyncio.sleep(self._times.beat)


async def first_of(*works: Coroutine[Any, Any, None]) -> None:
    """Runs all until the first of them ends, then cancels the others; raises what that one raised."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
