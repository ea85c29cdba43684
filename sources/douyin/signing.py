"""The signature under a push: who sent it, and that nobody changed it. Pure.

By Douyin's document "data open": the four headers below, sorted by name, as name=value joined by "&", then the body,
then the secret, with nothing in between; MD5 of that, in Base64.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Final

SIGNED: Final = ("x-msg-type", "x-nonce-str", "x-roomid", "x-timestamp")
"""The headers that are signed, sorted. A proxy may add others."""

SIGNATURE: Final = "x-signature"


def signature(headers: Mapping[str, str], body: bytes, secret: str) -> str:
    """What the signature of `body` must be. Names of `headers` are in lower case; KeyError when one is missing.

    MD5 is the platform's choice: there is no other to ask for.
    """
    fields = "&".join(f"{name}={headers[name]}" for name in SIGNED)
    digest = hashlib.md5(fields.encode() + body + secret.encode(), usedforsecurity=False).digest()
    return base64.b64encode(digest).decode()


def is_signed(headers: Mapping[str, str], body: bytes, secret: str) -> bool:
    """Whether the push is the platform's, compared in constant time."""
    try:
        expected = signature(headers, body, secret)
    except (KeyError, UnicodeEncodeError):
        return False
    return hmac.compare_digest(expected.encode(), headers.get(SIGNATURE, "").encode("utf-8", "replace"))
