"""The voice processes: one engine thread, one reader thread per connection, beats from the main thread.

`voice` holds the embedded engine and `voice-local` a model that the chain asks as one of its links (CosyVoice). The
engine works on one request at a time and answers in order. Readers never wait for it, so that a Cancel takes effect
in the middle of a run. Everything a director has asked for dies with its connection.
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
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from broadcaster import wire
from broadcaster.config import VoiceConfig
from broadcaster.errors import BroadcasterError, VoiceError, WireError
from broadcaster.paths import Paths
from broadcaster.ports import StreamingSynthesiser, Synthesiser
from broadcaster.speech import engines
from broadcaster.types import SAMPLE_RATE, RawSound, Speech, VoiceReference

log = logging.getLogger(__name__)

NICE: Final = 10
"""Synthesis takes every core it gets; the picture must win."""

MAX_PENDING: Final = 64
"""Requests waiting on one connection. A director asks for one piece at a time, at most a few: more is a fault."""

SEND_TIMEOUT_S: Final = 5
"""A director that does not read its answers for so long is gone or stuck; its connection is dropped."""

LOAD_S: Final = 90.0
LOCAL_LOAD_S: Final = 900.0
"""Loading may take so long before it counts as hung: 100 MB here, gigabytes from a slow disk and a warm-up there."""

LAST_PIECE_S: Final = 2.0
"""What the engine's thread may take to come out of its library after the engine was closed: an interpreter that ends
while a thread is in there is aborted by it."""

BEAT_S: Final = 1.0
Beat = Callable[[int, bool, str], None]
Engine = Synthesiser | StreamingSynthesiser


@dataclass(frozen=True, slots=True)
class _Post:
    """What one voice process is: its role, where it listens, what it may take its time for (seconds)."""

    role: str
    socket: Path
    load_s: float
    answer_s: float
    """From one chunk to the next, the first included."""
    keeps_waiting: bool
    """Whoever connects while the engine loads waits for the Hello; otherwise it is told at once: not ready."""


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

    engine: str
    queue: deque[_Request] = field(default_factory=deque)
    changed: threading.Condition = field(default_factory=threading.Condition)
    ready: threading.Event = field(default_factory=threading.Event)
    closed: bool = False
    due: float | None = None
    """When the work in hand counts as hung; None while there is none."""
    served: int = 0
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
            return request

    def expect(self, seconds: float | None) -> None:
        """The engine's next sign of life is due in so many seconds; None: it has nothing to do."""
        self.due = None if seconds is None else time.monotonic() + seconds

    def close(self) -> None:
        with self.changed:
            self.closed = True
            self.changed.notify_all()

    def stuck(self) -> bool:
        due = self.due
        return due is not None and time.monotonic() > due


def run_voice(
    config: VoiceConfig, paths: Paths, beat: Beat, stop: threading.Event, engine: Engine | None = None
) -> None:
    """Serves `paths.voice_socket` until `stop` is set, with the configured engine unless one is given.

    Raises ConfigError for a wrong configuration and what the engine's load raised.

    `beat(progress, ready, note)` is called about once a second; `progress` stands still while one request takes
    longer than `config.request_timeout_s`, which is how the parent sees an engine that hangs.
    """
    engine = engine or engines.create(config, paths.cache)
    _serve(engine, _Post("voice", paths.voice_socket, LOAD_S, config.request_timeout_s, True), beat, stop)


def run_local_voice(
    config: VoiceConfig,
    paths: Paths,
    reference: VoiceReference | None,
    beat: Beat,
    stop: threading.Event,
    engine: Engine | None = None,
) -> None:
    """Serves `paths.local_voice_socket` with the link that runs inside the daemon; otherwise as `run_voice`."""
    engine = engine or engines.create_local(config, reference)
    post = _Post("voice-local", paths.local_voice_socket, LOCAL_LOAD_S, config.request_timeout_s, False)
    _serve(engine, post, beat, stop)


def _serve(engine: Engine, post: _Post, beat: Beat, stop: threading.Event) -> None:
    _step_back()
    desk = _Desk(engine.name)
    listener = _listen(post.socket)
    peers: set[_Peer] = set()
    desk.expect(post.load_s)
    worker = threading.Thread(target=_work, args=(engine, post, desk), name="voice-engine", daemon=True)
    door = threading.Thread(target=_accept, args=(listener, post, desk, peers), name="voice-accept", daemon=True)
    worker.start()
    door.start()
    progress = 0
    try:
        while not stop.is_set() and desk.fault is None:
            if not desk.stuck():
                progress += 1
            beat(progress, desk.ready.is_set(), f"{desk.engine}: {desk.served} requests served")
            _wait(stop, desk)
    finally:
        fault = desk.fault
        desk.close()
        getattr(engine, "close", lambda: None)()
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)  # wakes the accepting thread, which close() alone does not
        listener.close()
        for peer in list(peers):
            peer.gone = True
            peer.connection.close()
        post.socket.unlink(missing_ok=True)
        worker.join(LAST_PIECE_S)
    if fault is not None:
        raise fault


def _step_back() -> None:
    with contextlib.suppress(OSError):
        if os.getpriority(os.PRIO_PROCESS, 0) < NICE:
            os.setpriority(os.PRIO_PROCESS, 0, NICE)


def _wait(stop: threading.Event, desk: _Desk) -> None:
    deadline = time.monotonic() + BEAT_S
    while desk.fault is None and (left := deadline - time.monotonic()) > 0:
        if stop.wait(min(left, 0.1)):
            return


def _listen(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    path.chmod(0o600)
    listener.listen()
    return listener


# -- engine thread ----------------------------------------------------------------------------------------------


def _work(engine: Engine, post: _Post, desk: _Desk) -> None:
    try:
        started = time.monotonic()
        engine.load()
        desk.expect(None)
        desk.ready.set()
        log.info("voice ready", extra={"engine": engine.name, "seconds": round(time.monotonic() - started, 2)})
        while (request := desk.take()) is not None:
            desk.expect(post.answer_s)
            for answer in _answers(engine, request):
                desk.expect(None)
                _send(request.peer, answer)
                desk.expect(post.answer_s)
            desk.expect(None)
            desk.served += 1
    except BaseException as err:
        # The thread's end must be the process's end: the parent restarts it, with its budget.
        desk.fault = err


def _answers(engine: Engine, request: _Request) -> Iterator[wire.Synthesised | wire.SynthesisFailed]:
    message = request.message
    if request.unwanted():
        yield wire.SynthesisFailed(message.request, "cancelled", retryable=False, cancelled=True)
        return
    started = time.monotonic()

    def answer(chunk: Speech | RawSound | None, more: bool) -> wire.Synthesised:
        pcm, phones, rate = _packed(chunk)
        return wire.Synthesised(message.request, pcm, phones, engine.name, time.monotonic() - started, rate, more)

    try:
        if not isinstance(engine, StreamingSynthesiser):
            yield answer(engine.synthesise(*_asked(engine, request)), more=False)
            return
        for chunk in engine.stream(*_asked(engine, request)):
            yield answer(chunk, more=True)
        yield answer(None, more=False)
    except VoiceError as err:
        yield wire.SynthesisFailed(message.request, str(err), err.retryable, cancelled=request.unwanted())
    except Exception as err:
        log.exception("the voice engine failed", extra={"engine": engine.name})
        yield wire.SynthesisFailed(message.request, f"{type(err).__name__}: {err}", retryable=False)


def _asked(engine: Engine, request: _Request) -> tuple[str, str, str, float, Callable[[], bool], float]:
    message = request.message
    known = message.wish and (not engine.voices or message.wish in engine.voices)
    voice = message.wish if known else message.voice
    return message.text, message.language, voice, message.speed, request.unwanted, message.pitch


def _packed(chunk: Speech | RawSound | None) -> tuple[bytes, list[tuple[str, str, int, int]], int]:
    """Bytes, phones and rate."""
    if isinstance(chunk, Speech):
        return *wire.pack_speech(chunk), SAMPLE_RATE
    return (chunk.data, [], chunk.rate) if chunk is not None else (b"", [], SAMPLE_RATE)


def _send(peer: _Peer, answer: wire.AnyMessage) -> None:
    if peer.gone:
        return
    try:
        peer.connection.send(answer)
    except OSError:
        peer.gone = True
        peer.connection.close()


# -- readers ----------------------------------------------------------------------------------------------------


def _accept(listener: socket.socket, post: _Post, desk: _Desk, peers: set[_Peer]) -> None:
    while True:
        try:
            sock, _ = listener.accept()
        except OSError:
            return  # closed: the process stops
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", SEND_TIMEOUT_S, 0))
        peer = _Peer(wire.Connection(sock))
        peers.add(peer)
        reader = threading.Thread(target=_read, args=(peer, post, desk, peers), name="voice-reader", daemon=True)
        reader.start()


def _read(peer: _Peer, post: _Post, desk: _Desk, peers: set[_Peer]) -> None:
    try:
        if post.keeps_waiting:
            desk.ready.wait()
        ready = desk.ready.is_set()
        _send(peer, wire.Hello(post.role, desk.engine, ready))
        if not ready:
            return
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
