"""Faces made by an engine server that several channels share: port `Faces` over its socket. One thread, the head's.

Nothing here waits without a limit, and nothing reconnects: when the server is away, says no or falls silent, a
HeadError (retryable) closes the connection, the head falls back to another engine, and a later `load` comes back.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from broadcaster.errors import AssetError, HeadError
from broadcaster.head.musetalk.faces import FACE_SIZE, Face, Wanted
from broadcaster.head.musetalk.link import ServerLink
from broadcaster.head.musetalk.messages import (
    FACE_BYTES,
    PROTOCOL,
    Ask,
    Begin,
    Failed,
    Flush,
    Hear,
    Hello,
    Lost,
    Made,
    Open,
    Opened,
    Rewind,
    ToClient,
    ToServer,
)

if TYPE_CHECKING:
    from pathlib import Path

OPEN_S: Final = 30.0
"""Reading, hashing and placing the latents of a few minutes' loop takes some seconds on a slow disk."""

PIECE: Final = 192_000
"""Bytes of sound in one message: 2 s, so that a long piece of speech is no long message."""


class RemoteFaces:
    """Port `Faces`. `version`: the weights that the configuration asks for, and what the server must have;
    `fingerprint`: the image coder's weights that the latents were made with, "" where that is not known;
    `batch`: how many faces are asked for in one go; `channel`: the name shown in the server's status."""

    def __init__(self, path: Path, version: str, batch: int, fingerprint: str = "", channel: str = "") -> None:
        self.batch = batch
        self._path = path
        self._version = version
        self._fingerprint = fingerprint
        self._channel = channel
        self._link: ServerLink | None = None
        self._number = 0
        self._bound = 0
        self._patience_s = 0.0
        self._sent = 0
        """Faces asked of the server and not yet received, of any utterance."""
        self._held: deque[Wanted] = deque()
        """Asked for beyond what the server takes: sent when faces have come."""
        self._flushing = False
        self._made: deque[list[Face]] = deque()
        """What came and was not taken."""
        self._asked = 0
        self._heard_at = 0.0
        self._ended = ""
        """Why there is no connection any more."""
        self.lost = 0
        """Faces that the server refused: none, as long as both keep to the bound."""

    @property
    def note(self) -> str:
        """What the operator should know about the speed, or ""."""
        link = self._link
        if link is None or link.hello.device != "cpu":
            return ""
        return f"the engine server at {self._path} has no GPU: seconds for one picture"

    @property
    def asked(self) -> int:
        return self._asked

    @property
    def owing(self) -> int:
        """Faces that the server still owes an answer, void ones too."""
        return self._sent

    def load(self, latents: Path) -> None:
        """Connects and opens a session. Raises AssetError for the latents, HeadError for the server."""
        self.close()
        try:
            file = latents.open("rb")
        except OSError as err:
            raise AssetError(f"{latents}: cannot be read ({err.strerror}) -> broadcaster avatar tensors") from err
        with file:
            link = ServerLink(self._path)
            try:
                self._check(link.hello)
                link.send(Open(PROTOCOL, self._channel, self._version, self._fingerprint), file.fileno())
                answer = link.receive(OPEN_S)
                if isinstance(answer, Failed):
                    raise self._refusal(latents, answer)
                if not isinstance(answer, Opened):
                    raise link.lost(f"did not open the avatar within {OPEN_S:.0f} s")
            except BaseException:
                link.close()
                raise
        self._ended = ""
        self.batch = min(self.batch, answer.batch)
        self._bound, self._patience_s = answer.bound, answer.patience_s
        self._link = link
        self._number = self._sent = self._asked = 0
        self.begin()

    def begin(self) -> None:
        self._number += 1
        self._held.clear()
        self._made.clear()
        self._asked = 0
        self._flushing = False
        self._send(Begin(self._number))

    def hear(self, pcm: bytes) -> None:
        for at in range(0, len(pcm), PIECE):
            self._send(Hear(pcm[at : at + PIECE]))

    def rewind(self, sample: int) -> None:
        self._send(Rewind(sample))

    def ask(self, wanted: Sequence[Wanted]) -> None:
        self._asked += len(wanted)
        self._held.extend(wanted)
        self._pass_on()

    def flush(self) -> None:
        self._flushing = bool(self._held)
        self._send(Flush())

    def take(self, timeout: float) -> list[Face]:
        deadline = time.monotonic() + timeout
        while True:
            if self._link is not None or not self._made:
                self._read(max(0.0, deadline - time.monotonic()) if not self._made else 0.0)
            if self._made:
                faces = self._made.popleft()
                self._asked -= len(faces)
                return faces
            if time.monotonic() >= deadline:
                return []

    def close(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            link.close()

    def _check(self, hello: Hello) -> None:
        if hello.version != self._version:
            raise HeadError(
                f"the engine server at {self._path} has MuseTalk {hello.version}, and head.musetalk.version is "
                f"{self._version} -> change the one or the other",
                retryable=False,
            )
        if self._fingerprint and hello.fingerprint != self._fingerprint:
            raise HeadError(
                f"the engine server at {self._path} has other weights of the image coder ({hello.fingerprint}) than "
                f"the avatar's tensors were made with ({self._fingerprint}) -> use one set of weights",
                retryable=False,
            )

    def _refusal(self, latents: Path, answer: Failed) -> AssetError | HeadError:
        if answer.fault == "asset":
            return AssetError(f"{latents}: {answer.reason} -> broadcaster avatar tensors")
        return HeadError(
            f"the engine server at {self._path} does not take this channel: {answer.reason}",
            retryable=answer.fault != "client",
        )

    def _pass_on(self) -> None:
        """Asks for what was held back, as far as the server takes it."""
        room = min(self._bound - self._sent, len(self._held))
        if room > 0:
            first = [self._held.popleft() for _ in range(room)]
            if not self._sent:
                self._heard_at = time.monotonic()
            self._sent += room
            self._send(Ask([(face.key, face.step, face.row) for face in first]))
            if self._flushing:
                self._flushing = bool(self._held)
                self._send(Flush())

    def _read(self, timeout: float) -> None:
        """Takes in what has come; waits up to `timeout` for the first of it."""
        link = self._open_link()
        try:
            while (message := link.receive(timeout)) is not None:
                timeout = 0.0
                self._heard_at = time.monotonic()
                self._answer(link, message)
                self._pass_on()
        except HeadError as err:
            self.close()
            self._ended = str(err)
            if not self._made:
                raise
            return  # what has come is taken first
        if self._sent and time.monotonic() - self._heard_at > self._patience_s:
            self.close()
            raise link.lost(f"has made no face for {self._patience_s:.0f} s")

    def _answer(self, link: ServerLink, message: ToClient) -> None:
        match message:
            case Made(number=number, keys=keys, pixels=pixels) if len(pixels) == len(keys) * FACE_BYTES:
                self._sent -= len(keys)
                if number == self._number:
                    stack = np.frombuffer(pixels, np.uint8).reshape(len(keys), FACE_SIZE, FACE_SIZE, 3)
                    faces = [Face(key, face) for key, face in zip(keys, stack, strict=True)]
                    self._made.append(faces)
            case Lost(number=number, keys=keys):
                self._sent -= len(keys)
                if number == self._number:
                    self._asked -= len(keys)
                    self.lost += len(keys)
            case Failed(reason=reason):
                raise link.lost(f"ended the session: {reason}")
            case _:
                raise link.lost(f"sent a {type(message).__name__} that does not fit")

    def _send(self, message: ToServer) -> None:
        try:
            self._open_link().send(message)
        except HeadError as err:
            self.close()
            self._ended = str(err)
            raise

    def _open_link(self) -> ServerLink:
        if self._link is None:
            raise HeadError(
                self._ended or f"there is no connection to the engine server at {self._path}", retryable=True
            )
        return self._link
