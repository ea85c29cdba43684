"""From the threads of an SDK to one async iterator: `Bridge`.

Third-party SDKs call back on threads of their own; what reads the sound lives in the director's event loop. One
bridge serves one request: `put`, `connected` and `end` are for any thread, everything else for the loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from typing import Final, Generic, TypeVar

from broadcaster.errors import VoiceError

Item = TypeVar("Item")

QUEUED: Final = 64
"""Items waiting to be taken: 6-25 s of sound in messages of 0.1-0.4 s, more than a piece has.

Full: the SDK's thread waits, so the socket is not read and the server waits too; nothing is lost. `waits` counts.
"""


class Bridge(Generic[Item]):
    """Made in a running event loop. Items come out in order; then the stream ends, or the first error is raised."""

    def __init__(self, bound: int = QUEUED) -> None:
        self.waits = 0
        self._bound = bound
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self._room = threading.Condition()
        self._items: deque[Item] = deque()
        self._connected = False
        self._ended = False
        self._closed = False
        self._error: VoiceError | None = None

    # -- any thread -----------------------------------------------------------------------------------------------

    def put(self, item: Item) -> None:
        """Waits while the queue is full; does nothing once the stream has ended or nobody reads any more."""
        with self._room:
            if len(self._items) >= self._bound and not self._closed:
                self.waits += 1
                self._room.wait_for(lambda: self._closed or len(self._items) < self._bound)
            if self._closed or self._ended:
                return
            self._items.append(item)
        self._wake()

    def connected(self) -> None:
        with self._room:
            self._connected = True
        self._wake()

    def end(self, error: VoiceError | None = None) -> None:
        """No more items will come. Only the first call counts."""
        with self._room:
            if self._ended:
                return
            self._ended = True
            self._error = error
        self._wake()

    @property
    def ended(self) -> bool:
        with self._room:
            return self._ended

    def _wake(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is gone, and with it whoever would read
            self._loop.call_soon_threadsafe(self._changed.set)

    # -- the loop -------------------------------------------------------------------------------------------------

    async def wait_connected(self, timeout_s: float) -> None:
        """Returns when the connection is there or the stream has ended, which iterating tells. Raises VoiceError."""
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    self._changed.clear()
                    with self._room:
                        if self._connected or self._ended:
                            return
                    await self._changed.wait()
        except TimeoutError:
            raise VoiceError(f"no connection within {timeout_s:g} s") from None

    def __aiter__(self) -> Bridge[Item]:
        return self

    async def __anext__(self) -> Item:
        while True:
            self._changed.clear()
            with self._room:
                if self._items:
                    self._room.notify_all()
                    return self._items.popleft()
                if self._error is not None:
                    raise self._error
                if self._ended:
                    raise StopAsyncIteration
            await self._changed.wait()

    def close(self) -> None:
        """Nobody reads any more: a thread that waits in `put` goes on, and what it brings is dropped."""
        with self._room:
            self._closed = True
            self._items.clear()
            self._room.notify_all()
