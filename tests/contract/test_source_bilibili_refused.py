"""What Bilibili refuses, at a local server: wrong keys, answers that are none, addresses, certificates."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest

from sources import trust
from sources.bilibili import api
from sources.bilibili.api import ANSWER_LIMIT
from tests.fakes import bilibili_server as fake
from tests.fakes.bilibili_server import CERTIFICATE, BilibiliServer
from tests.support.bilibili import room
from tests.support.waiting import until

pytestmark = pytest.mark.contract


@pytest.mark.parametrize("code", [4000, 4001, 4002, 4010, 7007, 8002])
async def test_what_somebody_must_change_is_not_tried_again(code: int) -> None:
    server = BilibiliServer()
    server.refuse["/v2/app/start"] = [code]
    async with room(server=server) as here:
        err = await here.ended()
        assert not err.retryable
        assert f"code {code}" in str(err)
        assert " -> " in str(err)


@pytest.mark.parametrize("code", [4003, 4007, 4009, 5000, 7001, 7002, 9999])
async def test_what_may_pass_is_tried_again(code: int) -> None:
    server = BilibiliServer()
    server.refuse["/v2/app/start"] = [code]
    async with room(server=server) as here:
        err = await here.ended()
        assert err.retryable
        assert not err.at_once


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"access_key_id": "wrong"}, 4001),
        ({"access_key_secret": "wrong"}, 4002),
        ({"code": "wrong"}, 7007),
        ({"app_id": 1}, 8002),
    ],
)
async def test_a_wrong_key(changes: dict[str, Any], code: int) -> None:
    async with room(**changes) as here:
        assert f"code {code}" in str(await here.ended())


async def test_a_session_that_is_not_let_in() -> None:
    server = BilibiliServer()
    server.let_in = -101
    async with room(server=server) as here:
        err = await here.ended()
        assert "-101" in str(err)
        assert err.retryable
        assert not here.server.running


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"<html>",
        b"[]",
        b'{"code": "0"}',
        b'{"code": 0}',
        b'{"code": 0, "data": []}',
        b"[" * 9999,
        b"x" * 400_000,
    ],
    ids=["nothing", "a page", "a list", "text for a code", "no data", "a list for data", "depth", "length"],
)
async def test_an_answer_that_is_none(raw: bytes) -> None:
    server = BilibiliServer()
    server.raw = raw
    async with room(server=server) as here:
        err = await here.ended()
        assert err.retryable
        assert ("without an end" in str(err)) == (len(raw) > ANSWER_LIMIT)


@pytest.mark.parametrize(
    "more",
    [
        {"websocket_info": None},
        {"websocket_info": {"auth_body": "{}", "wss_link": []}},
        {"websocket_info": {"auth_body": "{}", "wss_link": ["ws://192.0.2.1/sub", "ftp://x", 7, "wss://[", "wss://h:x/"]}},
        {"websocket_info": {"auth_body": 7, "wss_link": "wss://127.0.0.1/"}},
    ],
)  # fmt: skip
async def test_a_session_without_a_usable_address_is_ended(more: dict[str, Any]) -> None:
    server = BilibiliServer()
    server.more = more
    async with room(server=server) as here:
        err = await here.ended()
        assert err.retryable
        assert "without an address" in str(err), "an address that gives the key away is none"
        assert not here.server.running


async def test_a_platform_that_does_not_answer_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "CALL_S", 0.1)
    server = BilibiliServer()
    server.hang = True
    async with room(server=server) as here:
        assert "TimeoutError" in str(await here.ended())


async def test_over_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    trust_nobody_else(monkeypatch, CERTIFICATE)
    async with room(server=BilibiliServer(tls=True)) as here:
        await here.connected()
        await here.server.send(fake.gift(1))
        await until(lambda: here.intake.ids() == ["gift-1"])


async def test_a_certificate_that_nobody_vouches_for(monkeypatch: pytest.MonkeyPatch) -> None:
    trust_nobody_else(monkeypatch, None)
    async with room(server=BilibiliServer(tls=True)) as here:
        assert "certificate" in str(await here.ended())


def trust_nobody_else(monkeypatch: pytest.MonkeyPatch, authority: Path | None) -> None:
    """Authorities are read anew, in this test and after it."""
    if authority is None:
        monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    else:
        monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    monkeypatch.setattr(trust, "authorities", functools.lru_cache(trust.authorities.__wrapped__))
