"""The signature over a request to Open-Live: HMAC-SHA256 over the sorted headers of its own. Pure.

By the platform's document on authentication, which has no test vector; ours is in
`tests/unit/test_room_bilibili_signing.py`.
"""

from __future__ import annotations

import hashlib
import hmac


def signed_headers(body: bytes, key_id: str, secret: str, *, nonce: str, at_s: int) -> dict[str, str]:
    """The headers that go along with `body`, which must be sent byte for byte as it is given here.

    `nonce` is never used twice; `at_s` is wall-clock time in seconds, and the platform refuses one that is far off.
    """
    signed = {
        "x-bili-accesskeyid": key_id,
        "x-bili-content-md5": hashlib.md5(body, usedforsecurity=False).hexdigest(),
        "x-bili-signature-method": "HMAC-SHA256",
        "x-bili-signature-nonce": nonce,
        "x-bili-signature-version": "1.0",
        "x-bili-timestamp": str(at_s),
    }
    text = "\n".join(f"{name}:{signed[name]}" for name in sorted(signed))
    signature = hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    return {
        **signed,
        "Authorization": signature,
        "Accept": "application/json",
        "Content-Type": "application/json",
    }
