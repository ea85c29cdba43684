"""The control API over real TCP and the real control socket: who may do what, from where, and how it says no."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from broadcaster.config import Console
from broadcaster.console import api
from broadcaster.errors import BroadcasterError
from broadcaster.paths import Paths
from broadcaster.types import Manner, Role
from tests.fakes.station import FakeStation, sink_status
from tests.support.console import MODERATOR, OPERATOR, TOKENS, VIEWER, RunningConsole, running_console

pytestmark = pytest.mark.integration

WITH_TOKENS = Console(port=0, tokens=TOKENS, messages_per_minute=600)
TOKEN_OF = {None: "", Role.VIEWER: VIEWER, Role.MODERATOR: MODERATOR, Role.OPERATOR: OPERATOR}

ROUTES: list[tuple[str, str, dict[str, Any] | None, Role | None]] = [
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
    ("GET", "/api/schema", None, Role.VIEWER),
    ("GET", "/api/sinks", None, Role.VIEWER),
    ("POST", "/api/prompts", {"type": "say", "text": "你好"}, Role.MODERATOR),
    ("POST", "/api/interrupt", None, Role.MODERATOR),
    ("POST", "/api/panic", None, Role.MODERATOR),
    ("POST", "/api/resume", None, Role.OPERATOR),
    ("POST", "/api/sinks", {"action": "pause", "name": "preview"}, Role.OPERATOR),
]


@pytest_asyncio.fixture
async def open_console(paths: Paths) -> AsyncIterator[RunningConsole]:
    async with running_console(paths) as console:
        yield console


@pytest_asyncio.fixture
async def guarded(paths: Paths) -> AsyncIterator[RunningConsole]:
    async with running_console(paths, WITH_TOKENS) as console:
        yield console


def check_error(response: httpx.Response, status: int, error: str) -> None:
    assert response.status_code == status, response.text
    assert response.headers["content-type"].startswith("application/json")
    body = response.json()
    assert body["error"] == error
    assert body["message"]


async def test_the_role_matrix_of_every_route(guarded: RunningConsole) -> None:
    for role, token in TOKEN_OF.items():
        guarded.station.panicked = False
        async with guarded.http(token) as client:
            for method, path, body, needed in ROUTES:
                response = await client.request(method, path, json=body)
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
            assert (await client.request(method, path, json=body)).status_code < 300, path
        assert (await client.get("/api/session")).json() == {"role": "operator", "login": False, "max_text": 2000}


async def test_the_control_socket_needs_no_token(guarded: RunningConsole) -> None:
    async with guarded.unix() as client:
        for method, path, body, _ in ROUTES:
            assert (await client.request(method, path, json=body)).status_code < 300, path
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
                response = await client.request(method, path, json=body)
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
                response = await client.request(method, path, json=body)
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


async def test_a_body_that_does_not_arrive_is_not_waited_for(
    open_console: RunningConsole, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "BODY_TIMEOUT_S", 0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", open_console.port)
    writer.write(
        f"POST /api/login HTTP/1.1\r\nHost: {open_console.host}\r\nContent-Type: application/json\r\n"
        "Content-Length: 50\r\n\r\n{".encode()
    )
    async with asyncio.timeout(5):
        assert b" 408 " in await reader.readline()
    writer.close()


async def test_a_form_of_another_site_cannot_post(open_console: RunningConsole) -> None:
    """Without an Origin (an old browser), the content type still gives it away."""
    async with open_console.http() as client:
        form = await client.post("/api/prompts", data={"type": "say", "text": "x"})
        check_error(form, 415, "not_json")
        plain = await client.post("/api/prompts", content='{"type":"say"}', headers={"Content-Type": "text/plain"})
        check_error(plain, 415, "not_json")
    assert not open_console.station.queue


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


async def test_a_prompt_is_in_the_queue_when_it_is_accepted(open_console: RunningConsole) -> None:
    async with open_console.http() as client:
        response = await client.post(
            "/api/prompts", json={"type": "ask", "text": "海水为什么是蓝色的？", "ref": "r7"}
        )
        assert response.status_code == 202
        assert response.json() == {"type": "accepted", "id": "p1", "ref": "r7"}
    [prompt] = open_console.station.queue
    assert (prompt.kind, prompt.text, prompt.origin.source) == ("ask", "海水为什么是蓝色的？", "http")


async def test_a_prompt_carries_its_manner(guarded: RunningConsole) -> None:
    async with guarded.http(MODERATOR) as client:
        manner = {"speed": 1.25, "pitch": -2, "voice": "zm_yunxia"}
        response = await client.post("/api/prompts", json={"type": "say", "text": "慢慢说。", **manner})
        assert response.status_code == 202
        for wrong in ({"speed": 2.5}, {"pitch": "high"}, {"voice": "a/b"}, {"volume": 11}):
            response = await client.post("/api/prompts", json={"type": "say", "text": "不行。", **wrong})
            check_error(response, 422, "bad_message")
    [prompt] = guarded.station.queue
    assert prompt.manner == Manner(1.25, -2.0, "zm_yunxia")


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        (b"", 422, "bad_message"),
        (b"{", 422, "bad_message"),
        (b"\xff\xfe", 422, "bad_message"),
        (b"[1,2]", 422, "bad_message"),
        (b"[" * 8000, 422, "bad_message"),
        (b"{}", 422, "bad_message"),
        (b'{"type":"panic"}', 422, "bad_message"),
        (b'{"type":"say"}', 422, "bad_message"),
        (b'{"type":"say","text":5}', 422, "bad_message"),
        (b'{"type":"say","text":"x","extra":1}', 422, "bad_message"),
        (b'{"type":"say","text":" "}', 422, "empty"),
        (json.dumps({"type": "say", "text": "字" * 2001}).encode(), 413, "too_long"),
        (json.dumps({"type": "say", "text": "x" * 20_000}).encode(), 413, "too_large"),
    ],
)
async def test_bad_bodies_get_a_clear_error_and_queue_nothing(
    open_console: RunningConsole, body: bytes, status: int, error: str
) -> None:
    async with open_console.http() as client:
        response = await client.post("/api/prompts", content=body, headers={"Content-Type": "application/json"})
        check_error(response, status, error)
    assert not open_console.station.queue


async def test_a_body_that_grows_without_a_declared_length_is_stopped(open_console: RunningConsole) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"x" * 1000

    async with open_console.http() as client:
        response = await client.post("/api/prompts", content=endless(), headers={"Content-Type": "application/json"})
        check_error(response, 413, "too_large")


async def test_refusals_of_the_channel_have_their_own_status(open_console: RunningConsole) -> None:
    open_console.station.capacity = 1
    say = {"type": "say", "text": "你好"}
    async with open_console.http() as client:
        assert (await client.post("/api/prompts", json=say)).status_code == 202
        check_error(await client.post("/api/prompts", json=say), 503, "full")
        assert (await client.post("/api/panic")).json()["command"] == "panic"
        check_error(await client.post("/api/prompts", json=say), 409, "panicked")
        assert len(open_console.station.queue) == 1, "panic keeps the queue"
        assert (await client.post("/api/resume")).json()["command"] == "resume"


async def test_messages_are_limited_by_peer_and_the_brakes_never(paths: Paths) -> None:
    async with running_console(paths, Console(port=0, messages_per_minute=3)) as console, console.http() as client:
        answers = [await client.post("/api/prompts", json={"type": "say", "text": "x"}) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [202, 202, 202, 429]
        assert answers[3].headers["retry-after"]
        for path in ("/api/interrupt", "/api/panic"):
            assert [(await client.post(path)).status_code for _ in range(5)] == [200] * 5
        assert len(console.station.queue) == 3


async def test_sink_commands_reach_playout_and_its_answer_comes_back(open_console: RunningConsole) -> None:
    station = open_console.station
    command = {"action": "change", "name": "main", "settings": {"type": "rtmp", "url": "rtmp://h/app", "key": "s3"}}
    async with open_console.http() as client:
        assert (await client.post("/api/sinks", json=command)).json() == {"ok": True}
        assert station.commands == [command]
        station.refuse_sink = "no sink is named main"
        check_error(await client.post("/api/sinks", json=command), 409, "refused")
        station.refuse_sink = "unavailable"
        check_error(await client.post("/api/sinks", json=command), 503, "unavailable")
        station.sinks = [sink_status("main", "rtmp", "live")]
        assert (await client.get("/api/sinks")).json()["sinks"][0]["name"] == "main"


async def test_the_as_run_log_is_paged(open_console: RunningConsole) -> None:
    station = open_console.station
    async with open_console.http() as client:
        for text in ("一", "二", "三"):
            await client.post("/api/prompts", json={"type": "say", "text": text})
            await station.air()
            await station.finish()
        newest = (await client.get("/api/asrun", params={"limit": 2})).json()["rows"]
        assert [row["text"] for row in newest] == ["三", "二"]
        older = (await client.get("/api/asrun", params={"limit": 2, "before": newest[-1]["row"]})).json()["rows"]
        assert [row["text"] for row in older] == ["一"]
        for bad in ("x", "-1", "1.5", "9" * 30, "٣"):
            check_error(await client.get("/api/asrun", params={"limit": bad}), 422, "bad_query")


async def test_a_log_that_cannot_be_read_is_an_error_of_its_own(open_console: RunningConsole) -> None:
    async def damaged(limit: int = 50, before: int | None = None) -> list[dict[str, Any]]:
        raise BroadcasterError("the journal is damaged")

    open_console.station.asrun = damaged  # type: ignore[method-assign]  # a fault of the disk
    async with open_console.http() as client:
        check_error(await client.get("/api/asrun"), 503, "journal")


async def test_health_tells_live_from_ready(open_console: RunningConsole) -> None:
    async with open_console.http() as client:
        assert (await client.get("/health/live")).json() == {"live": True}
        assert (await client.get("/health/ready")).json() == {"ready": True, "reasons": []}
        open_console.station.connected = False
        response = await client.get("/health/ready")
        assert response.status_code == 503
        assert response.json()["reasons"] == ["the director is not connected to playout"]
        assert (await client.get("/health/live")).status_code == 200


async def test_the_schema_includes_logging_in(open_console: RunningConsole) -> None:
    async with open_console.http() as client:
        defs = (await client.get("/api/schema")).json()["$defs"]
    assert {"Say", "Ask", "Interrupt", "Panic", "Resume", "Accepted", "OnAir", "Done", "Skipped"} <= set(defs)
    assert {"$ref": "#/$defs/Auth"} in defs["inbound"]["oneOf"]
    assert {"$ref": "#/$defs/Welcome"} in defs["outbound"]["oneOf"]


async def test_unknown_addresses_and_methods_are_json_errors(open_console: RunningConsole) -> None:
    async with open_console.http() as client:
        for path in (
            "/nope",
            "/static/nope.js",
            "/static/../server.py",
            "/static/%2e%2e/server.py",
            "/docs",
            "/openapi.json",
        ):
            check_error(await client.get(path), 404, "not_found")
        check_error(await client.request("DELETE", "/api/status"), 405, "method_not_allowed")


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


async def test_a_failing_station_is_a_json_error_without_its_insides(
    open_console: RunningConsole, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> dict[str, Any]:
        raise RuntimeError("CANARY inside")

    open_console.station.status = broken  # type: ignore[method-assign]  # a fault no fake has by itself
    async with open_console.http() as client:
        response = await client.get("/api/status")
        check_error(response, 500, "internal")
        assert "CANARY" not in response.text
    del open_console.station.status
    assert "CANARY inside" in caplog.text, "the log says why"


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


async def test_many_requests_at_once_are_all_answered(open_console: RunningConsole) -> None:
    async with open_console.http() as client:
        answers = await asyncio.gather(*(client.get("/api/status") for _ in range(60)))
    assert [answer.status_code for answer in answers] == [200] * 60
