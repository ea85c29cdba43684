"""Tokens, roles, cookies, hosts and origins, without a server."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from broadcaster.config import Console, Tokens
from broadcaster.console.access import (
    LOCAL,
    WRONG_TOKENS_PER_MINUTE,
    Access,
    Caller,
    is_loopback,
    listen_problems,
    query_has_token,
    require,
)
from broadcaster.console.denied import Denied
from broadcaster.console.guard import host_allowed, origin_allowed
from broadcaster.console.session import LIFETIME_S, Sessions
from broadcaster.paths import Paths
from broadcaster.types import Role

pytestmark = pytest.mark.unit

WORDS = {
    Role.VIEWER: "viewer-token-abcdefgh",
    Role.MODERATOR: "moderator-token-abcdefgh",
    Role.OPERATOR: "öperator-token-令牌",
}
TOKENS = Tokens(**{role.value: SecretStr(word) for role, word in WORDS.items()})
NONE = Console()
THREE = Console(tokens=TOKENS)


def access(config: Console = THREE) -> Access:
    return Access(config, Sessions(b"k" * 32, "c", clock=lambda: 0.0), clock=lambda: 0.0)


def scope(client: str = "127.0.0.1", *, subprotocols: Sequence[str] = (), **headers: str) -> dict[str, Any]:
    raw = [(name.replace("_", "-").encode(), value.encode("utf-8")) for name, value in headers.items()]
    return {"type": "http", "client": (client, 50000), "headers": raw, "subprotocols": list(subprotocols)}


@pytest.mark.parametrize("role", list(Role))
def test_each_token_gives_its_role(role: Role) -> None:
    assert access().role_of(WORDS[role], "1.2.3.4") is role


def test_a_token_by_subprotocol_may_hold_any_character() -> None:
    coded = base64.urlsafe_b64encode(WORDS[Role.OPERATOR].encode()).decode().rstrip("=")
    found = access().caller(scope(subprotocols=("broadcaster.v1", f"bearer.{coded}")))
    assert found.role is Role.OPERATOR


@pytest.mark.parametrize("value", ["Basic abc", "Bearer", "Bearer  ", "", "nonsense"])
def test_a_malformed_authorization_header_is_refused_and_not_taken_for_nobody(value: str) -> None:
    with pytest.raises(Denied) as refused:
        access(NONE).caller(scope(authorization=value))
    assert refused.value.status == 401


@pytest.mark.parametrize("coded", ["%%%", "=", "\u00e9"])
def test_a_malformed_bearer_subprotocol_is_refused(coded: str) -> None:
    with pytest.raises(Denied) as refused:
        access().caller(scope(subprotocols=(f"bearer.{coded}",)))
    assert refused.value.status == 401


def test_wrong_tokens_are_counted_by_address_and_then_even_the_right_one_waits() -> None:
    gate = access()
    for _ in range(WRONG_TOKENS_PER_MINUTE):
        with pytest.raises(Denied) as wrong:
            gate.role_of("guess", "6.6.6.6")
        assert wrong.value.status == 401
    with pytest.raises(Denied) as blocked:
        gate.role_of(WORDS[Role.OPERATOR], "6.6.6.6")
    assert (blocked.value.status, blocked.value.retry_after) == (429, 6)
    assert gate.role_of(WORDS[Role.OPERATOR], "7.7.7.7") is Role.OPERATOR


def test_without_tokens_loopback_is_operator_and_others_are_nobody() -> None:
    gate = access(NONE)
    assert gate.caller(scope("127.0.0.1")).role is Role.OPERATOR
    assert gate.caller(scope("::1")).role is Role.OPERATOR
    assert gate.caller(scope("::ffff:127.0.0.1")).role is Role.OPERATOR
    assert gate.caller(scope("192.168.1.7")).role is None
    assert gate.caller(scope("::ffff:192.168.1.7")).role is None


@pytest.mark.parametrize("header", ["forwarded", "x_forwarded_for", "x_real_ip"])
def test_without_tokens_a_proxied_request_is_nobodys(header: str) -> None:
    with pytest.raises(Denied, match="proxy") as refused:
        access(NONE).caller(scope("127.0.0.1") | {"headers": [(header.replace("_", "-").encode(), b"203.0.113.9")]})
    assert refused.value.status == 403


def test_with_tokens_loopback_alone_is_nobody() -> None:
    assert access().caller(scope()).role is None


def test_an_empty_token_counts_as_not_set_and_never_matches() -> None:
    gate = access(Console(tokens=Tokens(operator=SecretStr(""))))
    assert gate.open
    with pytest.raises(Denied):
        gate.role_of("", "127.0.0.1")


def test_the_control_socket_is_known_by_its_door_alone() -> None:
    inside = scope(x_broadcaster_local="true") | {LOCAL: True, "client": None}
    assert access().caller(inside) == Caller(Role.OPERATOR, "control", True)
    for value in (False, "true", 1, None):
        assert access().caller(scope() | {LOCAL: value}).role is None


@pytest.mark.parametrize("needed", list(Role))
@pytest.mark.parametrize("has", [None, *Role])
def test_roles_cover_the_lower_ones(has: Role | None, needed: Role) -> None:
    caller = Caller(has, "p", False)
    order = list(Role)
    if has is not None and order.index(has) >= order.index(needed):
        assert require(caller, needed) is has
    else:
        with pytest.raises(Denied) as refused:
            require(caller, needed)
        assert refused.value.status == (401 if has is None else 403)


@pytest.mark.parametrize(
    ("config", "named"),
    [
        (Console.model_construct(host="0.0.0.0", tokens=Tokens()), ["console.host"]),
        (Console.model_construct(host="example.com", tokens=Tokens()), ["console.host"]),
        (Console.model_construct(host="::", tokens=Tokens(operator=SecretStr("short"))), ["console.tokens.operator"]),
        (Console.model_construct(host="::", tokens=Tokens(operator=SecretStr(""))), ["console.host"]),
        (Console.model_construct(host="0.0.0.0", tokens=TOKENS), []),
        (Console(host="localhost"), []),
        (Console(host="::1"), []),
        (Console(tokens=Tokens(operator=SecretStr("short"))), []),
    ],
)
def test_listening_unsafely_is_a_problem_that_names_the_key_and_the_remedy(config: Console, named: list[str]) -> None:
    problems = listen_problems(config)
    assert [problem.partition(":")[0] for problem in problems] == named
    assert all("openssl rand" in problem and "short" != problem for problem in problems)


@pytest.mark.parametrize(
    ("query", "found"),
    [("token", True), ("Access_Token", True), ("key", True), ("limit", False), ("before", False)],
)
def test_credentials_in_a_query_are_known_by_their_names(query: str, found: bool) -> None:
    assert query_has_token([("limit", "5"), (query, "x")]) is found


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("127.0.0.1:8090", True),
        ("127.0.0.1", True),
        ("127.9.9.9:1", True),
        ("localhost:8090", True),
        ("LOCALHOST", True),
        ("[::1]:8090", True),
        ("studio.localhost:8090", True),
        ("studio.example:8090", True),
        ("STUDIO.example", True),
        ("192.168.1.5:8090", True),  # the address the connection came in on
        ("192.168.1.6:8090", False),
        ("evil.example:8090", False),
        ("127.0.0.1.evil.example", False),
        ("localhost.evil.example:8090", False),
        ("evil.example#localhost", False),
        ("user@localhost", False),
        ("localhost, evil.example", False),
        ("studio.example.evil.example", False),
        ("[::1", False),
        ("", False),
    ],
)
def test_which_hosts_are_served(host: str, allowed: bool) -> None:
    assert host_allowed(host, "192.168.1.5", ["studio.example"]) is allowed


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("http://127.0.0.1:8090", True),
        ("https://127.0.0.1:8090", True),  # a TLS proxy in front
        ("https://deck.example", True),
        ("https://deck.example/", True),
        ("http://deck.example", False),
        ("http://127.0.0.1:3000", False),
        ("http://localhost:8090", False),
        ("http://evil.example", False),
        ("http://127.0.0.1:8090.evil.example", False),
        ("null", False),
        ("", False),
        ("file://127.0.0.1:8090", False),
        ("chrome-extension://127.0.0.1:8090", False),
    ],
)
def test_which_origins_may_use_it(origin: str, allowed: bool) -> None:
    assert origin_allowed(origin, "127.0.0.1:8090", ["https://deck.example"]) is allowed


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("localhost", True), ("[::1]", True), ("0.0.0.0", False), ("::", False), ("a.b", False)],
)
def test_loopback_names(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


class Wall:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def test_a_session_is_known_after_a_restart_and_ends(paths: Paths) -> None:
    wall = Wall()
    cookie = Sessions.of(THREE, paths, wall).issue(Role.MODERATOR)
    restarted = Sessions.of(THREE, paths, wall)
    header = f"other=1; {restarted.cookie_name}={cookie}"
    assert restarted.role(header) is Role.MODERATOR
    wall.now += LIFETIME_S
    assert restarted.role(header) is None


def test_changing_a_token_ends_every_session(paths: Paths) -> None:
    cookie = Sessions.of(THREE, paths).issue(Role.OPERATOR)
    changed = Sessions.of(Console(tokens=TOKENS.model_copy(update={"viewer": SecretStr("another")})), paths)
    assert changed.role(f"{changed.cookie_name}={cookie}") is None


def test_a_cookie_cannot_be_changed(paths: Paths) -> None:
    sessions = Sessions.of(THREE, paths)
    cookie = sessions.issue(Role.VIEWER)
    _, _, tail = cookie.partition(".")
    for forged in (f"operator.{tail}", cookie[:-1], cookie + "A", "", "....", "operator.9999999999.x.", "é"):
        assert sessions.role(f"{sessions.cookie_name}={forged}") is None, forged


def test_the_signing_key_is_private_made_once_and_remade_when_damaged(paths: Paths) -> None:
    first = Sessions.of(THREE, paths)
    key: Path = paths.state / "session.key"
    assert key.stat().st_mode & 0o777 == 0o600
    cookie = f"{first.cookie_name}={first.issue(Role.VIEWER)}"
    assert Sessions.of(THREE, paths).role(cookie) is Role.VIEWER
    key.write_bytes(b"short")
    assert Sessions.of(THREE, paths).role(cookie) is None
    assert len(key.read_bytes()) == 32
