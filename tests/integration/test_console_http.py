"""Access to the control API over real TCP and the control socket: who may do what, from where, and what leaks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from broadcaster.config import Console
from broadcaster.paths import Paths
from broadcaster.types import Role
from tests.fakes.station import FakeStation
from tests.support.console import MODERATOR, OPERATOR, TOKENS, VIEWER, RunningConsole, check_error, running_console

pytestmark = pytest.mark.integration

WITH_TOKENS = Console(port=0, tokens=TOKENS, messages_per_minute=600)
TOKEN_OF = {None: "", Role.VIEWER: VIEWER, Role.MODERATOR: MODERATOR, Role.OPERATOR: OPERATOR}

ROUTES: list[tuple[str, str, dict[str, Any] | bytes | None, Role | None]] = [
    ("GET", "/", None, None),
    ("GET", "/static/app.css", None, None),
    ("GET", "/static/js/main.js", None, None),
    ("GET", "/health/live", None, None),
    ("GET", "/health/ready", None, None),
    ("GET", "/api/session", None, None),
    ("POST", "/api/logout", None, None),
    ("GET", "/metrics", None, Role.VIEWER),
    ("GET", "/api/status", None, Role.VIEWER),
    ("GET", "/api/asrun", None, Role.VIEWER),
    ("GET", "/api/latency", None, Role.VIEWER),
    ("GET", "/api/schema", None, Role.VIEWER),
    ("GET", "/api/sinks", None, Role.VIEWER),
    ("POST", "/api/prompts", {"type": "say", "text": "你好"}, Role.MODERATOR),
    ("POST", "/api/questions", b"RIFF", Role.MODERATOR),
    ("GET", "/api/queue", None, Role.MODERATOR),
    ("GET", "/api/queue/{id:path}", None, Role.MODERATOR),
    ("POST", "/api/queue", {"type": "slow", "seconds": 5}, Role.MODERATOR),
    ("GET", "/api/bans", None, Role.MODERATOR),
    ("POST", "/api/interrupt", None, Role.MODERATOR),
    ("POST", "/api/panic", None, Role.MODERATOR),
    ("POST", "/api/resume", None, Role.OPERATOR),
    ("POST", "/api/memory/forget", {"viewer": "v1"}, Role.OPERATOR),
    ("POST", "/api/sinks", {"action": "pause", "name": "preview"}, Role.OPERATOR),
]


def _sent(body: dict[str, Any] | bytes | None) -> dict[str, Any]:
    if isinstance(body, bytes):
        return {"content": body, "headers": {"Content-Type": "audio/wav"}}
    return {"json": body}


def _address(path: str) -> str:
    """With the id of the prompt that was sent before."""
    return path.replace("{id:path}", "p1")


@pytest_asyncio.fixture
async def open_console(paths: Paths) -> AsyncIterator[RunningConsole]:
    async with running_console(paths) as console:
        yield console


@pytest_asyncio.fixture
async def guarded(paths: Paths) -> AsyncIterator[RunningConsole]:
    async with running_console(paths, WITH_TOKENS) as console:
        yield console


async def test_the_role_matrix_of_every_route(guarded: RunningConsole) -> None:
    for role, token in TOKEN_OF.items():
        guarded.station.panicked = False
        async with guarded.http(token) as client:
            for method, path, body, needed in ROUTES:
                response = await client.request(method, _address(path), **_sent(body))
                allowed = needed is None or (role is not None and role.covers(needed))
                if allowed:
                    assert response.status_code < 300, (role, path, response.text)
                else:
                    check_error(
                        response, 401 if role is None else 403, "unauthorised" if role is None else "forbidden"
                    )
    heard = [name for name, _ in guarded.station.calls]
    assert heard.count("resume") == 1, "refused calls did not reach the station"
    assert heard.count("panic") == 2


async def test_the_matrix_covers_every_http_route(guarded: RunningConsole) -> None:
    from tests.support.console import application

    app = application(FakeStation(), WITH_TOKENS, guarded.paths)
    known = {(method, path) for method, path, _, _ in ROUTES} | {("POST", "/api/login")}
    declared = set()
    for route in app.routes:
        declared |= _declared(route)
    assert declared
    assert declared <= known


def _declared(route: Any) -> set[tuple[str, str]]:
    inner = getattr(getattr(route, "original_router", None), "routes", None) or getattr(route, "routes", None)
    if inner and not getattr(route, "methods", None):
        return set().union(*(_declared(each) for each in inner))
    methods = getattr(route, "methods", None) or set()
    return {(method, route.path) for method in methods if method != "HEAD"}


async def test_without_tokens_loopback_is_operator(open_console: RunningConsole) -> None:
    async with open_console.http() as client:
        for method, path, body, _ in ROUTES:
            assert (await client.request(method, _address(path), **_sent(body))).status_code < 300, path
        assert (await client.get("/api/session")).json() == {"role": "operator", "login": False, "max_text": 2000}


async def test_the_control_socket_needs_no_token(guarded: RunningConsole) -> None:
    async with guarded.unix() as client:
        for method, path, body, _ in ROUTES:
            assert (await client.request(method, _address(path), **_sent(body))).status_code < 300, path
    assert {by.source for _, by in guarded.station.calls} == {"control"}
    assert {by.role for _, by in guarded.station.calls} == {Role.OPERATOR}


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": "127.0.0.1"},
        {"Forwarded": "for=unix:"},
        {"X-Real-IP": "127.0.0.1"},
        {"broadcaster.local": "true"},
        {"X-Broadcaster-Local": "1"},
        {"X-Forwarded-Proto": "unix"},
    ],
)
async def test_no_header_over_tcp_makes_a_local_peer(guarded: RunningConsole, headers: dict[str, str]) -> None:
    async with guarded.http() as client:
        check_error(await client.get("/api/status", headers=headers), 401, "unauthorised")
        check_error(await client.post("/api/panic", headers=headers), 401, "unauthorised")
    assert guarded.station.calls == []


@pytest.mark.parametrize(
    ("host", "allowed"),
    [("127.0.0.1:{port}", True), ("localhost:{port}", True), ("studio.example", True),
     ("rebound.evil.example", False), ("127.0.0.1.evil.example:{port}", False), ("10.0.0.1", False)],
)  # fmt: skip
async def test_the_host_header_is_checked_on_every_route(paths: Paths, host: str, allowed: bool) -> None:
    async with running_console(paths, Console(port=0, allowed_hosts=["studio.example"])) as console:
        async with console.http(host=host.format(port=console.port)) as client:
            for method, path, body, _ in ROUTES:
                response = await client.request(method, _address(path), **_sent(body))
                if allowed:
                    assert response.status_code < 300, (path, response.text)
                else:
                    check_error(response, 403, "host_not_allowed")
        assert bool(console.station.calls) is allowed


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [("http://{host}", True), ("https://{host}", True), ("https://deck.example", True),
     ("http://evil.example", False), ("null", False), ("http://127.0.0.1:1", False), ("http://localhost", False)],
)  # fmt: skip
async def test_the_origin_is_checked_on_every_route(paths: Paths, origin: str, allowed: bool) -> None:
    async with running_console(paths, Console(port=0, allowed_origins=["https://deck.example"])) as console:
        async with console.http(origin=origin.format(host=console.host)) as client:
            for method, path, body, _ in ROUTES:
                response = await client.request(method, _address(path), **_sent(body))
                if allowed:
                    assert response.status_code < 300, (path, response.text)
                else:
                    check_error(response, 403, "origin_not_allowed")
        assert bool(console.station.calls) is allowed


async def test_a_page_of_an_allowed_origin_may_read_and_send_a_token(paths: Paths) -> None:
    config = Console(port=0, tokens=TOKENS, allowed_origins=["https://deck.example"])
    async with running_console(paths, config) as console:
        async with console.http(origin="https://deck.example") as deck:
            asked = await deck.options("/api/prompts")
            assert asked.status_code == 204
            assert asked.headers["access-control-allow-origin"] == "https://deck.example"
            assert asked.headers["access-control-allow-headers"] == "authorization, content-type"
            headers = {"Authorization": f"Bearer {MODERATOR}"}
            told = await deck.post("/api/prompts", json={"type": "say", "text": "x"}, headers=headers)
            assert (told.status_code, told.headers["access-control-allow-origin"]) == (202, "https://deck.example")
            refused = await deck.get("/api/status")
            assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (
                401,
                "https://deck.example",
            )
            assert "access-control-allow-credentials" not in refused.headers
        async with console.http(origin="https://evil.example") as evil:
            asked = await evil.options("/api/prompts")
            check_error(asked, 403, "origin_not_allowed")
            assert "access-control-allow-origin" not in asked.headers
        async with console.http() as same:
            assert "access-control-allow-origin" not in (await same.get("/health/live")).headers
            check_error(await same.options("/api/prompts"), 405, "method_not_allowed")


async def test_a_form_of_another_site_cannot_post(open_console: RunningConsole) -> None:
    """Without an Origin (an old browser), the content type still gives it away."""
    async with open_console.http() as client:
        form = await client.post("/api/prompts", data={"type": "say", "text": "x"})
        check_error(form, 415, "not_json")
        plain = await client.post("/api/prompts", content='{"type":"say"}', headers={"Content-Type": "text/plain"})
        check_error(plain, 415, "not_json")
    assert not open_console.station.waiting


async def test_a_token_in_the_address_is_refused_even_if_it_is_right(guarded: RunningConsole) -> None:
    async with guarded.http() as client:
        for name in ("token", "access_token", "TOKEN", "key"):
            response = await client.get("/api/status", params={name: OPERATOR})
            check_error(response, 400, "token_in_query")
            assert OPERATOR not in response.text


async def test_logging_in_gives_a_cookie_that_scripts_cannot_read(guarded: RunningConsole) -> None:
    async with guarded.http() as client:
        check_error(await client.post("/api/login", json={"token": "wrong"}), 401, "wrong_token")
        response = await client.post("/api/login", json={"token": MODERATOR})
        assert response.json() == {"role": "moderator"}
        cookie = response.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert MODERATOR not in cookie
        assert (await client.get("/api/session")).json()["role"] == "moderator"
        assert (await client.post("/api/interrupt")).status_code == 200
        check_error(await client.post("/api/resume"), 403, "forbidden")
        await client.post("/api/logout")
        assert (await client.get("/api/session")).json()["role"] is None


async def test_a_login_over_tls_marks_the_cookie_secure(guarded: RunningConsole) -> None:
    async with guarded.http(origin=f"https://{guarded.host}") as client:
        response = await client.post("/api/login", json={"token": VIEWER})
        assert "secure" in response.headers["set-cookie"].lower()


async def test_a_session_survives_a_restart_of_the_daemon(paths: Paths) -> None:
    async with running_console(paths, WITH_TOKENS) as console, console.http() as client:
        await client.post("/api/login", json={"token": OPERATOR})
        kept = dict(client.cookies)
    async with running_console(paths, WITH_TOKENS) as console, console.http() as client:
        assert (await client.get("/api/session", headers={"Cookie": _cookie(kept)})).json()["role"] == "operator"


def _cookie(jar: dict[str, str]) -> str:
    return "; ".join(f"{name}={value}" for name, value in jar.items())


async def test_guessing_tokens_is_slowed_down_whatever_way_they_come(guarded: RunningConsole) -> None:
    async with guarded.http() as client:
        seen = [(await client.post("/api/login", json={"token": f"guess{n}"})).status_code for n in range(5)]
        for n in range(10):
            response = await client.get("/api/status", headers={"Authorization": f"Bearer guess{n}"})
            seen.append(response.status_code)
        assert seen.count(401) == 10
        assert seen[10:] == [429] * 5
        assert int(response.headers["retry-after"]) > 0
        check_error(await client.post("/api/login", json={"token": OPERATOR}), 429, "too_many_attempts")
    async with guarded.unix() as client:
        assert (await client.get("/api/status")).status_code == 200, "the control socket is not locked out"


async def test_every_answer_carries_the_security_headers(open_console: RunningConsole) -> None:
    async with open_console.http() as client:
        for path in ("/", "/static/js/main.js", "/api/status", "/nope"):
            headers = (await client.get(path)).headers
            policy = headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "script-src 'self'" in policy
            assert "unsafe" not in policy
            assert "frame-ancestors 'none'" in policy
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "no-referrer"
            assert "server" not in headers


async def test_secrets_appear_nowhere(guarded: RunningConsole, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    secret = "canary-stream-key-7f3a"
    pages = []
    async with guarded.http() as nobody, guarded.http(OPERATOR) as client:
        for token in (VIEWER, MODERATOR, OPERATOR):
            pages.append(await nobody.get("/api/status", params={"token": token}))
            pages.append(await nobody.get(f"/api/status?x={token}"))
            pages.append(await nobody.get(f"/{token}"))
        command = {"action": "add", "name": "x", "settings": {"type": "rtmp", "url": f"rtmp://h/live/{secret}"}}
        pages.append(await client.post("/api/sinks", json=command))
        pages.append(await client.post("/api/prompts", json={"type": "say", "text": "x", "key": secret}))
        pages.append(await client.post("/api/login", json={"token": [secret]}))
        pages.append(await client.post("/api/login", json={"token": OPERATOR}))
        for _, path, _, _ in ROUTES:
            pages.append(await client.get(path))
    told = "\n".join(page.text + str(page.headers) for page in pages)
    logged = "\n".join(record.getMessage() for record in caplog.records if not record.name.startswith("httpx"))
    for word in (VIEWER, MODERATOR, OPERATOR, secret):
        assert word not in told
        assert word not in logged
