"""The gate in front of every route and websocket: Host, Origin, query string, body size, headers. Event loop only.

A page of another site that runs in an operator's browser must not be able to use the console: neither by sending
requests itself (Origin) nor by pointing its own name at this address (DNS rebinding: Host).
"""

from __future__ import annotations

from collections import Counter
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from broadcaster.config import Console
from broadcaster.console.access import LOCAL, is_loopback, query_has_token
from broadcaster.console.denied import Denied
from broadcaster.station import MAX_RECORDING_BYTES

UPLOAD: Final = "/api/questions"
"""The one route that takes a sound file instead of JSON."""

SECURITY_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self' blob:; "
        "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


def host_allowed(host: str, listening: str, allowed: list[str]) -> bool:
    """May a request name `host` (a Host header)? `listening` is the address the connection really came in on."""
    name = _host_name(host)
    if name is None:
        return False
    if is_loopback(name) or name.lower().endswith(".localhost"):
        return True
    if name.strip("[]") == listening:
        return True
    wanted = {entry.lower() for entry in allowed}
    return name.lower() in wanted or host.lower() in wanted


def origin_allowed(origin: str, host: str, allowed: list[str]) -> bool:
    """May a page of `origin` use the console that was addressed as `host`?"""
    if origin.lower().rstrip("/") in {entry.lower().rstrip("/") for entry in allowed}:
        return True
    parts = urlsplit(origin)
    return parts.scheme in ("http", "https") and bool(parts.netloc) and parts.netloc.lower() == host.lower()


def _host_name(host: str) -> str | None:
    """The name in a Host header, without its port; None when it is not a host."""
    if not host or any(mark in host for mark in "/@\\ ?#,"):
        return None
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


class Guard:
    """ASGI middleware. Refuses with Denied's JSON, also in a websocket's handshake, and adds the security headers."""

    def __init__(self, app: ASGIApp, config: Console, refusals: Counter[str]) -> None:
        self._app = app
        self._config = config
        self._refusals = refusals

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
                if foreign:
                    headers["Access-Control-Allow-Origin"] = foreign
                    headers["Access-Control-Expose-Headers"] = "Retry-After"
                    headers.add_vary_header("Origin")
            await send(message)

        foreign = self._foreign_origin(scope)

        try:
            self._check(scope)
        except Denied as no:
            self._refusals[no.error] += 1
            await refuse(scope, receive, guarded, no)
            return
        if foreign and scope["type"] == "http" and scope["method"] == "OPTIONS":
            await _preflight(guarded)
            return
        limit = _limit(scope, self._config.max_message_bytes)
        limited = _limited(receive, limit) if scope["type"] == "http" else receive
        await self._app(scope, limited, guarded)

    def _foreign_origin(self, scope: Scope) -> str:
        """The Origin if it is one of `allowed_origins` (a page elsewhere that may use the API), else empty."""
        origin = Headers(scope=scope).get("origin", "")
        wanted = {entry.lower().rstrip("/") for entry in self._config.allowed_origins}
        return origin if origin.lower().rstrip("/") in wanted else ""

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        if query_has_token(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)):
            raise Denied(
                400,
                "token_in_query",
                "A token does not belong in an address: it ends up in logs. Send it as Authorization: Bearer.",
            )
        host = headers.get("host", "")
        if scope.get(LOCAL) is not True:
            listening = str((scope.get("server") or ("",))[0])
            if len(headers.getlist("host")) != 1 or not host_allowed(host, listening, self._config.allowed_hosts):
                raise Denied(
                    403, "host_not_allowed", "This Host is not served here; add it to console.allowed_hosts."
                )
        origin = headers.get("origin")
        if origin is not None and not origin_allowed(origin, host, self._config.allowed_origins):
            raise Denied(403, "origin_not_allowed", "Pages of this Origin may not use the console.")
        if scope["type"] == "http" and scope["method"] not in ("GET", "HEAD"):
            _check_body(headers, _limit(scope, self._config.max_message_bytes), sound=scope["path"] == UPLOAD)


async def _preflight(send: Send) -> None:
    """Lets a page of an allowed origin send JSON and a token. Cookies are not offered to it."""
    fields = {
        "access-control-allow-methods": "GET, POST",
        "access-control-allow-headers": "authorization, content-type",
        "access-control-max-age": "600",
    }
    raw = [(name.encode(), value.encode()) for name, value in fields.items()]
    await send({"type": "http.response.start", "status": 204, "headers": raw})
    await send({"type": "http.response.body", "body": b""})


def _limit(scope: Scope, usual: int) -> int:
    return MAX_RECORDING_BYTES if scope["path"] == UPLOAD else usual


def _check_body(headers: Headers, limit: int, *, sound: bool) -> None:
    length = headers.get("content-length")
    if length is not None and (not length.isdecimal() or int(length) > limit):
        raise _too_large(limit)
    has_body = length not in (None, "0") or "transfer-encoding" in headers
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if sound and not (kind.startswith("audio/") or kind == "application/octet-stream"):
        raise Denied(415, "not_sound", "Send the sound file as the body (Content-Type: audio/wav, for example).")
    if has_body and not sound and kind != "application/json":
        raise Denied(415, "not_json", "Send the body as JSON (Content-Type: application/json).")


def _limited(receive: Receive, limit: int) -> Receive:
    """`receive` that ends a chunked body which grows over `limit` (a declared length is refused before)."""
    seen = 0

    async def limited() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > limit:
            raise _too_large(limit)
        return message

    return limited


def _too_large(limit: int) -> Denied:
    whose = "" if limit == MAX_RECORDING_BYTES else " (console.max_message_bytes)"
    return Denied(413, "too_large", f"The body is larger than {limit} bytes{whose}.")


async def refuse(scope: Scope, receive: Receive, send: Send, no: Denied) -> None:
    """Answers a request, or a websocket's handshake, with the refusal."""
    kind = "websocket.http.response" if scope["type"] == "websocket" else "http.response"
    if scope["type"] == "websocket":
        await receive()
    body = no.encoded()
    fields = {"Content-Type": "application/json", "Content-Length": str(len(body)), **no.headers()}
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in fields.items()]
    await send({"type": f"{kind}.start", "status": no.status, "headers": raw})
    await send({"type": f"{kind}.body", "body": body})
