"""Bilibili's signature: a vector of ours, made by the platform's document."""

from __future__ import annotations

import hashlib

import pytest

from sources.bilibili.signing import signed_headers

pytestmark = pytest.mark.unit


def test_the_signature() -> None:
    body = b'{"code": "AUTHCODE", "app_id": 1234567890123}'
    nonce = "0123456789abcdef" * 2
    headers = signed_headers(body, "akid", "secret", nonce=nonce, at_s=1_700_000_000)
    assert headers["x-bili-content-md5"] == "bf3316e88009b2eab6e2c19c6e4095aa"
    assert headers["x-bili-content-md5"] == hashlib.md5(body).hexdigest()
    assert headers["Authorization"] == "15f5c7fa982ec346bdfeea64a93ead24c82622c7d9efbb9cacc61594ecaed506"
    other = signed_headers(body + b" ", "akid", "secret", nonce=nonce, at_s=1_700_000_000)
    assert other["Authorization"] != headers["Authorization"]
