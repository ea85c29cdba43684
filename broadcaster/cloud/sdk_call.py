"""One request of an SDK over one websocket: connected, heard to its end and let go of without waiting for anybody.

Both SDK classes connect in a way that blocks their caller for up to 5 s, polls every 0.1 s, cannot be given up,
reports a refused key as a time-out and keeps a lost connection to itself. So they are handed a `WebSocketApp` that
is connected here: they compose and parse the messages, and everything that can hang or break is in this file.

Threads: `stream` runs in the director's event loop; `opened` and `received` on the websocket's own daemon thread;
`also` starts one more, for a call of the SDK that blocks. When `stream` ends, none of them is left.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Final

from broadcaster.cloud import cloud_errors
from broadcaster.cloud.bridge import Bridge
from broadcaster.cloud.dial import Dial
from broadcaster.errors import VoiceError
from broadcaster.types import RawSound

IO_S: Final = 10.0
"""Longest wait of one read or write in mid-message; between messages nobody waits here, `FinishedVoice` watches."""

LEAVE_S: Final = 0.25
"""How long the end of `stream` waits for the threads: they need milliseconds, unless a name is being looked up."""

_KEY_LOCK: Final = threading.Lock()


class SdkCall:
    """Base of the calls. A subclass makes its SDK object and fills in the four methods below."""

    def __init__(self, url: str, connect_timeout_s: float) -> None:
        self.bridge: Bridge[Any] = Bridge()
        self._url = url
        self._connect_timeout_s = connect_timeout_s
        self._dial = Dial(url, connect_timeout_s)
        self._app: Any = None
        self._open = False
        self._loop = asyncio.get_running_loop()
        self._gone = asyncio.Event()
        self._helpers: list[threading.Thread] = []
        self._bytes = 0
        self._odd = 1
        self._thread = threading.Thread(target=self._run, name=f"{type(self).__name__} socket", daemon=True)

    # -- what a subclass says -------------------------------------------------------------------------------------

    def headers(self) -> Mapping[str, str]:
        """Of the handshake. Websocket thread."""
        raise NotImplementedError

    def opened(self, app: Any) -> None:
        """The connection is there, and `app` is for the SDK to send by. Websocket thread: must not block."""
        raise NotImplementedError

    def received(self, app: Any, message: str | bytes) -> None:
        """A message for the SDK to parse. Websocket thread."""
        raise NotImplementedError

    def farewell(self) -> str | None:
        """What tells the server to stop working, if it is working."""
        raise NotImplementedError

    def release(self) -> None:
        """Wakes every thread that waits inside the SDK. Any thread."""

    # -- what a subclass uses -------------------------------------------------------------------------------------

    def heard(self, sound: RawSound) -> None:
        """Sound for the listener. Any thread; waits while the listener has enough."""
        self._bytes += len(sound.data)
        self._odd = 2 * sound.channels
        self.bridge.put(sound)

    def complete(self) -> None:
        """The server says that this was all. Any thread."""
        if self._bytes == 0:
            self.bridge.end(VoiceError("the server sent no sound"))
        elif self._bytes % self._odd:
            self.bridge.end(VoiceError("the sound ends inside a sample"))
        else:
            self.bridge.end()

    def also(self, work: Callable[[], None]) -> None:
        """Runs `work` on a thread of its own; what it raises ends the stream."""

        def guarded() -> None:
            try:
                work()
            except Exception as err:
                self.bridge.end(cloud_errors.broke(err))

        helper = threading.Thread(target=guarded, name=f"{type(self).__name__} request", daemon=True)
        self._helpers.append(helper)
        helper.start()

    # -- the loop -------------------------------------------------------------------------------------------------

    async def stream(self) -> AsyncIterator[Any]:
        """What was put into the bridge, as it comes: sound, and what else the subclass puts there. Raises
        VoiceError."""
        self._thread.start()
        try:
            await self.bridge.wait_connected(self._connect_timeout_s)
            async for sound in self.bridge:
                yield sound
        finally:
            await self._leave()

    async def _leave(self) -> None:
        working = not self.bridge.ended
        self.bridge.close()
        self.bridge.end()
        if self._open:
            # A few bytes into an empty send buffer: this cannot block, and the connection may be half dead.
            with contextlib.suppress(Exception):
                message = self.farewell() if working else None
                if message is not None:
                    self._app.send(message)
                self._app.sock.send_close()
        self._dial.give_up()
        self.release()  # not before: whoever wakes must find the connection closed, or it would send the text
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LEAVE_S):
                await self._gone.wait()
            self._thread.join()

    # -- the websocket's thread -----------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._serve()
        except VoiceError as err:
            self.bridge.end(err)
        except Exception as err:
            self.bridge.end(cloud_errors.broke(err))
        finally:
            self.bridge.end(cloud_errors.broke())
            self._dial.give_up()
            self.release()
            for helper in self._helpers:
                helper.join()
            self._dial.release()
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._gone.set)

    def _serve(self) -> None:
        import websocket

        sock = self._dial.connect()
        self._app = websocket.WebSocketApp(
            self._url,
            header=dict(self.headers()),
            on_open=functools.partial(self._on_open, sock),
            on_message=self.received,
            on_error=self._on_error,
            socket=sock,
        )
        self._app.run_forever()

    def _on_open(self, sock: Any, app: Any) -> None:
        sock.settimeout(IO_S)
        self._open = True
        self.bridge.connected()
        self.opened(_Lent(app))

    def _on_error(self, _app: Any, err: BaseException) -> None:
        """Also called with what a callback raised; the SDK's own handler would say nothing to anybody."""
        from websocket import WebSocketBadStatusException

        if isinstance(err, WebSocketBadStatusException):
            self.bridge.end(cloud_errors.refused(err.status_code))
        else:
            self.bridge.end(cloud_errors.broke(err))


class _Lent:
    """What an SDK sees of the connection. It closes what it takes for its own, on any of its threads, and the
    descriptor could be another connection's by the time the reading thread looks at it again."""

    def __init__(self, app: Any) -> None:
        self._app = app

    @property
    def sock(self) -> Any:
        return self._app.sock

    def send(self, message: str) -> None:
        self._app.send(message)

    def close(self) -> None:
        """Done by `SdkCall` alone."""


def made_with_key(key: str, make: Callable[[], Any]) -> Any:
    """`make()` while the SDK's one global key is `key`: its objects read it when they are made, and never again."""
    import dashscope

    with _KEY_LOCK:
        before = dashscope.api_key
        dashscope.api_key = key
        try:
            return make()
        finally:
            dashscope.api_key = before


def silence_sdk() -> None:
    """The SDK and its websocket library log every message, text and all; what matters is in the VoiceErrors."""
    for name in ("dashscope", "websocket"):
        logging.getLogger(name).disabled = True
