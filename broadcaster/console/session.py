"""The page's login: a signed cookie that holds a role and an end. Director process, event loop only.

Nothing is kept per session, so a restarted daemon still knows its pages. The signing key is random, lives in the
state directory, and is mixed with the configured tokens: changing any of them ends every session.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
import time
from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import Final

from broadcaster.config import Console
from broadcaster.paths import Paths
from broadcaster.types import Role

LIFETIME_S: Final = 12 * 3600
KEY_BYTES: Final = 32


class Sessions:
    """Makes and reads session cookies. `clock` is wall-clock seconds: a session outlives the process."""

    def __init__(self, key: bytes, cookie_name: str, clock: Callable[[], float] = time.time) -> None:
        self._key = key
        self._clock = clock
        self.cookie_name = cookie_name

    @classmethod
    def of(cls, config: Console, paths: Paths, clock: Callable[[], float] = time.time) -> Sessions:
        """Sessions of one channel. Cookies ignore ports, so the cookie's name tells channels of a host apart."""
        tokens = [getattr(config.tokens, role.value) for role in Role]
        material = "\n".join(token.get_secret_value() if token else "" for token in tokens)
        key = hmac.digest(_signing_key(paths.state / "session.key"), material.encode(), "sha256")
        channel = hashlib.sha256(str(paths.run).encode()).hexdigest()[:8]
        return cls(key, f"broadcaster_{channel}", clock)

    def issue(self, role: Role) -> str:
        """The cookie's value."""
        payload = f"{role.value}.{int(self._clock()) + LIFETIME_S}.{secrets.token_urlsafe(9)}"
        return f"{payload}.{self._sign(payload)}"

    def role(self, cookie_header: str) -> Role | None:
        """The role of a valid, unexpired cookie in a Cookie header; None for anything else."""
        try:
            morsel = SimpleCookie(cookie_header).get(self.cookie_name)
        except CookieError:
            return None
        if morsel is None:
            return None
        payload, _, signature = morsel.value.rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._sign(payload).encode()):
            return None
        role, end, _ = payload.split(".", 2)
        return Role(role) if self._clock() < int(end) else None

    def _sign(self, payload: str) -> str:
        return base64.urlsafe_b64encode(hmac.digest(self._key, payload.encode(), "sha256")).decode().rstrip("=")


def _signing_key(path: Path) -> bytes:
    """The key in `path`, made (0600) when it is missing or damaged."""
    try:
        key = path.read_bytes()
        if len(key) == KEY_BYTES:
            return key
    except FileNotFoundError:
        pass
    key = secrets.token_bytes(KEY_BYTES)
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(key)
    fresh.replace(path)
    return key
