"""What a refusal of DashScope means: VoiceErrors that say what to do and whether asking again may help. Pure.

The server's own messages are never passed on: they may quote the text that was to be spoken. Codes from
https://help.aliyun.com/zh/model-studio/error-code.
"""

from __future__ import annotations

import re
from typing import Final

from broadcaster.errors import VoiceError

_KEY: Final = "-> check api_key of this link, and that the key belongs to the region of url"
_SHAPE: Final = re.compile(r"[^A-Za-z0-9._-]")

_STATUS: Final[dict[int, str]] = {
    400: "-> check url and model",
    401: _KEY,
    403: "-> check that this key may use this model",
    404: "-> check url",
}
"""Answers to the handshake that stay the same for the same request."""

_DENIED: Final[tuple[tuple[str, str], ...]] = (
    ("InvalidApiKey", _KEY),
    ("invalid_api_key", _KEY),
    ("Arrearage", "-> the account is in arrears: top it up"),
    ("FreeTierOnly", "-> the free quota is used up: allow paid use of this model"),
    ("AccessDenied", "-> check that this key may use this model"),
    ("Unpurchased", "-> activate Model Studio for this account"),
    ("ModelNotFound", "-> check model"),
    ("UnsupportedModel", "-> check model"),
    ("InvalidURL", "-> check url"),
)
"""Parts of codes that whatever is asked will meet, until the settings or the account are changed."""

_REFUSED: Final[tuple[tuple[str, str], ...]] = (
    ("InvalidParameter", "-> check that voice belongs to this model (a voice of another version fails so)"),
    ("BadRequest", "-> check model and voice"),
    ("invalid_", "-> check model and voice"),
    ("DataInspection", "-> the service does not speak this text"),
)
"""Parts of codes that stay the same for the same request, and may be the text's fault; every other code may pass."""


def refused(status: int) -> VoiceError:
    """The handshake was answered with `status` instead of 101."""
    hint = _STATUS.get(status, "")
    return VoiceError(f"the server refused the connection with {status} {hint}".rstrip(), denied=bool(hint))


def failed(code: object) -> VoiceError:
    """The task or the session ended with `code` (anything that came in its place is made printable)."""
    shown = _SHAPE.sub("", str(code or ""))[:64] or "no code"
    lowered = shown.casefold()
    for table, denied in ((_DENIED, True), (_REFUSED, False)):
        for part, hint in table:
            if part.casefold() in lowered:
                return VoiceError(f"the server failed with {shown} {hint}", retryable=False, denied=denied)
    return VoiceError(f"the server failed with {shown}")


def broke(err: BaseException | None = None) -> VoiceError:
    """The connection ended before the sound did."""
    kind = f" ({type(err).__name__})" if err is not None else ""
    return VoiceError(f"the connection was lost before the sound was complete{kind}")
