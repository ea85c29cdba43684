"""Who is calling and what may they do: tokens, session cookies, local peers. Director process, event loop only.

A peer of the control socket is an operator: the file is 0600 in a 0700 directory, so it is the daemon's own user.
Which socket a request came by is decided by `Door`, which is fixed to one listening socket; no header can say so.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from broadcaster.config import Console
from broadcaster.console.denied import Denied
from broadcaster.console.limits import RateLimiter
from broadcaster.console.session import Sessions
from broadcaster.types import Role

LOCAL: Final = "broadcaster.local"
BEARER_PROTOCOL: Final = "bearer."
"""A websocket subprotocol `bearer.<base64url of the token, unpadded>`: the one header a browser's script can set."""

WRONG_TOKENS_PER_MINUTE: Final = 10
"""Guesses a minute from one address; with the shortest token allowed off loopback that is hopeless guessing."""

SHORTEST_TOKEN: Final = 16
FORWARDING_HEADERS: Final = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip")


class Door:
    """Wraps the application for one listening socket and marks every request with whether that socket is local."""

    def __init__(self, app: ASGIApp, *, local: bool) -> None:
        self._app = app
        self._local = local

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[LOCAL] = self._local
        await self._app(scope, receive, send)


@dataclass(frozen=True, slots=True)
class Caller:
    """`peer` keys the rate limits: an address, or "control" for the control socket."""

    role: Role | None
    peer: str
    local: bool


def is_loopback(host: str) -> bool:
    """True for localhost and for addresses of the loopback networks; a name that needs resolving is not."""
    bare = host.strip("[]")
    if bare.lower() == "localhost":
        return True
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def listen_problems(config: Console) -> tuple[str, ...]:
    """What forbids listening as configured, one line each: key, fault, remedy. Empty when it is safe."""
    tokens = _tokens(config)
    problems = []
    if len(set(tokens.values())) < len(tokens):
        problems.append("console.tokens: two roles share one token; give each role a token of its own")
    if not is_loopback(config.host):
        if Role.OPERATOR not in tokens:
            problems.append(
                f"console.host: {config.host} can be reached from other machines and console.tokens.operator is not "
                "set; set an operator token (openssl rand -hex 24) or listen on 127.0.0.1"
            )
        problems.extend(
            f"console.tokens.{role}: shorter than {SHORTEST_TOKEN} characters while console.host is {config.host}; "
            "use a longer one (openssl rand -hex 24)"
            for role, token in tokens.items()
            if len(token) < SHORTEST_TOKEN
        )
    return tuple(problems)


class Access:
    """Decides the role of a caller. Wrong tokens are counted per address, whatever way they came."""

    def __init__(self, config: Console, sessions: Sessions, clock: Callable[[], float] = time.monotonic) -> None:
        self._digests = {role: _digest(token) for role, token in _tokens(config).items()}
        self._sessions = sessions
        self._guesses = RateLimiter(WRONG_TOKENS_PER_MINUTE, clock)

    @property
    def open(self) -> bool:
        """No token is configured: loopback peers are operators."""
        return not self._digests

    @property
    def wrong_tokens_refused(self) -> int:
        return self._guesses.refused

    def caller(self, scope: Scope) -> Caller:
        """Role by socket, header, subprotocol or cookie; None when nothing was presented.

        Raises Denied (401) for a wrong token, (429) after too many, (403) for a proxied request without tokens.
        """
        if scope.get(LOCAL) is True:
            return Caller(Role.OPERATOR, "control", True)
        headers = Headers(scope=scope)
        peer = str((scope.get("client") or ("unknown",))[0])
        token = _bearer(headers, scope.get("subprotocols") or ())
        if token is not None:
            return Caller(self.role_of(token, peer), peer, False)
        if self.open:
            return Caller(self._open_role(headers, peer), peer, False)
        return Caller(self._sessions.role(headers.get("cookie", "")), peer, False)

    def role_of(self, token: str, peer: str) -> Role:
        """The role a token gives. Raises Denied (401) when it gives none, (429) after too many wrong ones."""
        blocked = self._guesses.wait(peer)
        if blocked:
            raise Denied(429, "too_many_attempts", "Too many wrong tokens from this address.", retry_after=blocked)
        digest = _digest(token)
        found: Role | None = None
        for role, expected in self._digests.items():
            if hmac.compare_digest(digest, expected):
                found = role
        if found is None:
            self._guesses.take(peer)
            raise Denied(401, "wrong_token", "This token is not valid here.")
        return found

    def _open_role(self, headers: Headers, peer: str) -> Role | None:
        if any(name in headers for name in FORWARDING_HEADERS):
            raise Denied(
                403,
                "proxy_without_token",
                "This request came through a proxy and no token is configured; set console.tokens.operator.",
            )
        return Role.OPERATOR if is_loopback(peer) else None


def require(caller: Caller, needed: Role) -> Role:
    """The caller's role if it covers `needed`. Raises Denied: 401 without a role, 403 with a lesser one."""
    if caller.role is None:
        raise Denied(401, "unauthorised", "Log in or send a token (Authorization: Bearer ...).")
    if not caller.role.covers(needed):
        raise Denied(403, "forbidden", f"This needs the role {needed}; yours is {caller.role}.")
    return caller.role


def query_has_token(query: Iterable[tuple[str, str]]) -> bool:
    """True when a query string has a field named like a credential. Values are not tried: that would be an oracle."""
    return any(key.lower() in _SECRET_NAMES for key, _ in query)


_SECRET_NAMES: Final = frozenset({"token", "access_token", "auth", "authorization", "key", "api_key", "password"})


def _bearer(headers: Headers, subprotocols: Iterable[str]) -> str | None:
    value = headers.get("authorization")
    if value is not None:
        scheme, _, token = value.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise Denied(401, "unauthorised", "Authorization must be: Bearer <token>.")
        return token.strip()
    for protocol in subprotocols:
        if protocol.startswith(BEARER_PROTOCOL):
            coded = protocol[len(BEARER_PROTOCOL) :]
            try:
                return base64.urlsafe_b64decode(coded + "=" * (-len(coded) % 4)).decode()
            except ValueError as err:
                raise Denied(401, "unauthorised", "The bearer subprotocol is not base64url of a token.") from err
    return None


def _tokens(config: Console) -> dict[Role, str]:
    """The configured tokens; an empty one counts as not set."""
    found: dict[Role, Any] = {role: getattr(config.tokens, role.value) for role in Role}
    return {role: secret.get_secret_value() for role, secret in found.items() if secret and secret.get_secret_value()}


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
