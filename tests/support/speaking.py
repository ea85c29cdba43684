"""Speech put on air straight through playout's socket, so that a test knows its every sample and phone."""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from broadcaster.types import Speech
from broadcaster.wire import Connection, End, Hello, Speak, Welcome, pack_speech


class Tap:
    """Context manager: a local peer of playout that speaks beside the director, one generation above it."""

    def __init__(self, playout_socket: Path) -> None:
        self._path = playout_socket
        self.generation = 0

    def __enter__(self) -> Self:
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(str(self._path))
        self._connection = Connection(sock)
        self._connection.send(Hello("cli"))
        welcome = self._connection.receive()
        assert isinstance(welcome, Welcome)
        self.generation = welcome.generation
        threading.Thread(target=self._drain, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, err: BaseException | None, tb: TracebackType | None) -> None:
        self._connection.close()

    def speak(self, utterance: str, pieces: list[Speech]) -> None:
        """One utterance, its pieces in order, all in hand before the first is heard."""
        for number, piece in enumerate(pieces):
            pcm, phones = pack_speech(piece)
            self._connection.send(Speak(self.generation, utterance, number, utterance, pcm, phones, "test"))
        self._connection.send(End(self.generation, utterance))

    def _drain(self) -> None:
        try:
            while self._connection.receive() is not None:
                pass
        except OSError:
            pass  # closed by us
