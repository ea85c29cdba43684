"""What a sink child tells playout: one JSON line for each event, on the status pipe. Any thread of the child."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import NoReturn

from broadcaster.errors import SinkError
from broadcaster.redact import Redactor


class Report:
    """The child's voice: every text passes the redactor."""

    def __init__(self, fd: int, redact: Redactor) -> None:
        self._fd = fd
        self._redact = redact

    def __call__(self, event: str) -> None:
        self._send({"event": event})

    def failed(self, err: SinkError) -> None:
        self._send(
            {"event": "failed", "kind": err.kind.value, "error": self._redact(str(err)), "retryable": err.retryable}
        )

    def give_up(self, err: SinkError) -> NoReturn:
        """Reports and ends the process at once, from any thread: the main one may be blocked for ever."""
        self.failed(err)
        os._exit(1)

    def _send(self, message: dict[str, object]) -> None:
        with suppress(BrokenPipeError):
            os.write(self._fd, json.dumps(message).encode() + b"\n")
