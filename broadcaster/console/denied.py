"""How the console says no: one exception, one JSON shape `{"error", "message"}`. Director process, asyncio."""

from __future__ import annotations

import json
from collections.abc import Mapping


class Denied(Exception):
    """A request that is refused. `error` is a stable word for programs, `message` is for people.

    `retry_after` (whole seconds) is sent as a header and a field when it is not None.
    """

    def __init__(self, status: int, error: str, message: str, *, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.error = error
        self.message = message
        self.retry_after = retry_after

    def body(self) -> dict[str, object]:
        body: dict[str, object] = {"error": self.error, "message": self.message}
        if self.retry_after is not None:
            body["retry_after_s"] = self.retry_after
        return body

    def encoded(self) -> bytes:
        return json.dumps(self.body(), ensure_ascii=False).encode()

    def headers(self) -> Mapping[str, str]:
        extra = {"Retry-After": str(self.retry_after)} if self.retry_after is not None else {}
        if self.status == 401:
            extra["WWW-Authenticate"] = "Bearer"
        return extra
