"""The voice process: one engine thread, one reader thread per connection, beats from the main thread.

The engine works on one request at a time and answers in order. Readers never wait for it, so that a Cancel takes
effect in the middle of a run. Everything a director has asked for dies with its connection.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from broadcaster import wire
from broadcaster.config import VoiceConfig
from broadcaster.errors import BroadcasterError, VoiceError, WireError
from broadcaster.paths import Paths
from broadcaster.ports import Synthesiser
from broadcaster.speech import engines

log = logging.getLogger(__name__)

NICE: Final = 10
"""Synthesis takes every core it gets; the picture must win."""

MAX_PENDING: Final = 64
"""Requests waiting on one connection. A director asks for one piece at a time, at most a few: more is a fault."""

SEND_TIMEOUT_S: Final = 5
"""A director that does not read its answers for so long is gone or stuck; its connection is dropped."""

BEAT_S: Final = 1.0
Beat = Callable[[int, bool, str], None]


@dataclass(slots=True, eq=False)
class _Peer:
    connection: wire.Connection
    cancelled_below: int = 0
    """Requests of a lower generation are not wanted any more."""
    gone: bool = False
    pending: int = 0


@dataclass(slots=True, eq=False)
class _Request:
    peer: _Peer
    message: wire.Synthesise

    def unwanted(self) -> bool:
        return self.peer.gone or self.message.generation < self.peer.cancelled_below


@dataclass(slots=True, eq=False)
class _Desk:
    """The queue between readers and engine, and what the beats tell about it."""

    queue: deque[_Request] = field(default_factory=deque)
    changed: threading.Condition = field(default_factory=threading.Condition)
    ready: threading.Event = field(default_factory=threading.Event)
    closed: bool = False
    busy_since: float | None = None
    served: int = 0
    engine: str = ""
    fault: BaseException | None = None

    def put(self, request: _Request) -> bool:
        with self.changed:
            if request.peer.pending >= MAX_PENDING:
                return False
            request.peer.pending += 1
            self.queue.append(request)
            self.changed.notify()
            return True

    def take(self) -> _Request | None:
        """The next request; None when the process stops."""
        with self.changed:
            self.changed.wait_for(lambda: self.queue or self.closed)
            if self.closed:
                return None
            request = self.queue.popleft()
            request.peer.pending -= 1
            self.busy_since = time.monotonic()
            return request

    def done(self) -> None:
        with self.changed:
            self.busy_since = None
            self.served += 1

    def close(self) -> None:
        with self.changed:
            self.closed = True
            self.changed.notify_all()

    def stuck(self, limit_s: float) -> bool:
        with self.changed:
            return self.busy_since is not None and time.monotonic() - self.busy_since > limit_s


def run_voice(
    config: VoiceConfig, paths: Paths, beat: Beat, stop: threading.Event, engine: Synthesiser | None = None
) -> None:
    """Serves `paths.voice_socket` until `stop` is set, with the configured engine unless one is given.

    Raises ConfigError for a wrong configuration and what the engine's load raised.

    `beat(progress, ready, note)` is called about once a second; `progress` stands still while one request takes
    longer than `config.request_timeout_s`, which is how the parent sees an engine that hangs.
    """
    _step_back()
    engine = engine or engines.create(config, paths.cache)
    desk = _Desk(engine=engine.name)
    listener = _listen(paths)
    peers: set[_Peer] = set()
    worker = threading.Thread(target=_work, args=(engine, desk), name="voice-engine", daemon=True)
    door = threading.Thread(target=_accept, args=(listener, desk, peers), name="voice-accept", daemon=True)
    worker.start()
    door.start()
    progress = 0
    try:
        while not stop.is_set() and desk.fault is None:
            if not desk.stuck(config.request_timeout_s):
                progress += 1
            beat(progress, desk.ready.is_set(), f"{desk.engine}: {desk.served} requests served")
            _wait(stop, desk)
    finally:
        desk.close()
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)  # wakes the accepting thread, which close() alone does not
        listener.close()
        for peer in list(peers):
            peer.gone = True
            peer.connection.close()
        paths.voice_socket.unlink(missing_ok=True)
    if desk.fault is not None:
        raise desk.fault


def _step_back() -> None:
    with contextlib.suppress(OSError):
        if os.getpriority(os.PRIO_PROCESS, 0) < NICE:
            os.setpriority(os.PRIO_PROCESS, 0, NICE)


def _wait(stop: threading.Event, desk: _Desk) -> None:
    deadline = time.monotonic() + BEAT_S
    while desk.fault is None and (left := deadline - time.monotonic()) > 0:
        if stop.wait(min(left, 0.1)):
            return


def _listen(paths: Paths) -> socket.socket:
    paths.voice_socket.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(paths.voice_socket))
    paths.voice_socket.chmod(0o600)
    listener.listen()
    return listener


# -- engine thread ----------------------------------------------------------------------------------------------


def _work(engine: Synthesiser, desk: _Desk) -> None:
    try:
        started = time.monotonic()
        engine.load()
        desk.ready.set()
        log.info("voice ready", extra={"engine": engine.name, "seconds": round(time.monotonic() - started, 2)})
        while (request := desk.take()) is not None:
            answer = _served(engine, request)
            desk.done()
            _send(request.peer, answer)
    except BaseException as err:
        # The thread's end must be the process's end: the parent restarts it, with its budget.
        desk.fault = err


def _served(engine: Synthesiser, request: _Request) -> wire.Synthesised | wire.SynthesisFailed:
    message = request.message
    if request.unwanted():
        return wire.SynthesisFailed(message.request, "cancelled", retryable=False, cancelled=True)
    started = time.monotonic()
    try:
        speech = engine.synthesise(message.text, message.language, message.voice, message.speed, request.unwanted)
    except VoiceError as err:
        return wire.SynthesisFailed(message.request, str(err), err.retryable, cancelled=request.unwanted())
    except Exception as err:
        log.exception("the voice engine failed", extra={"engine": engine.name})
        return wire.SynthesisFailed(message.request, f"{type(err).__name__}: {err}", retryable=False)
    pcm, phones = wire.pack_speech(speech)
    return wire.Synthesised(message.request, pcm, phones, engine.name, time.monotonic() - started)


def _send(peer: _Peer, answer: wire.AnyMessage) -> None:
    if peer.gone:
        return
    try:
        peer.connection.send(answer)
    except OSError:
        peer.gone = True
        peer.connection.close()


# -- readers ----------------------------------------------------------------------------------------------------


def _accept(listener: socket.socket, desk: _Desk, peers: set[_Peer]) -> None:
    while True:
        try:
            sock, _ = listener.accept()
        except OSError:
            return  # closed: the process stops
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", SEND_TIMEOUT_S, 0))
        peer = _Peer(wire.Connection(sock))
        peers.add(peer)
        reader = threading.Thread(target=_read, args=(peer, desk, peers), name="voice-reader", daemon=True)
        reader.start()


def _read(peer: _Peer, desk: _Desk, peers: set[_Peer]) -> None:
    try:
        desk.ready.wait()
        _send(peer, wire.Hello("voice", desk.engine))
        while (message := peer.connection.receive()) is not None:
            if isinstance(message, wire.Synthesise):
                if not desk.put(_Request(peer, message)):
                    _send(peer, wire.SynthesisFailed(message.request, "too many requests at once", retryable=True))
            elif isinstance(message, wire.Cancel):
                peer.cancelled_below = max(peer.cancelled_below, message.generation)
            elif not isinstance(message, wire.Hello):
                raise WireError(f"a director does not send {type(message).__name__}")
    except OSError:
        pass  # a peer that went away is the end of its requests, nothing more
    except BroadcasterError as err:
        log.warning("a connection to the voice was closed", extra={"reason": str(err)})
    finally:
        peer.gone = True
        peer.connection.close()
        peers.discard(peer)
