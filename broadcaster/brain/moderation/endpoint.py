"""A moderation service of the operator's own, asked over HTTP. Director's event loop.

    POST {"direction": "in", "texts": ["...", "..."]}
    200  {"verdicts": [{"action": "pass"}, {"action": "mask", "text": "..."}]}

Verdicts are in the order of the texts, one for each. `action`: pass, mask, replace, drop or hold; mask and replace
bring the `text` that may be used instead. `reason` may be a short word of a-z, 0-9, - and _.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import Final, Literal

import httpx
import msgspec

from broadcaster.config.room import Endpoint as EndpointConfig
from broadcaster.errors import BrainError
from broadcaster.hosts import is_here, place_of
from broadcaster.types import Verdict, VerdictKind

AT_ONCE: Final = 4
"""Requests under way; more wait, within their time-out."""

BATCH: Final = 32
"""Texts in one request."""

ANSWER_BYTES: Final = 1_048_576
LONGEST: Final = 4000
"""Characters of a text that the service gives back."""

_REASON: Final = re.compile(r"[A-Za-z0-9_-]{1,40}")


class _Verdict(msgspec.Struct):
    action: Literal["pass", "mask", "replace", "drop", "hold"]
    text: str = ""
    reason: str = ""


class _Answer(msgspec.Struct):
    verdicts: list[_Verdict]


class Endpoint:
    """Asks once and raises BrainError; what becomes of the texts then is the gate's to say."""

    def __init__(self, settings: EndpointConfig) -> None:
        assert settings.url is not None
        url = settings.url
        self.place = place_of(url)
        self._url = url
        self._timeout_s = settings.timeout_s
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._decoder = msgspec.json.Decoder(_Answer)
        key = settings.key.get_secret_value() if settings.key is not None else ""
        self._client = httpx.AsyncClient(
            timeout=None,  # one for the whole request, below
            headers={"Authorization": f"Bearer {key}"} if key else {},
            trust_env=not is_here(url),
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def judge(self, texts: Sequence[str], direction: str) -> list[Verdict]:
        """One verdict per text, in their order. Raises BrainError, with nothing of the texts or the key in it."""
        parts = [texts[at : at + BATCH] for at in range(0, len(texts), BATCH)]
        try:
            async with asyncio.timeout(self._timeout_s):
                answers = await asyncio.gather(*(self._ask(part, direction) for part in parts))
        except TimeoutError:
            raise BrainError(f"{self.place} gave no verdict within {self._timeout_s:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as err:
            raise BrainError(f"{self.place} cannot be asked ({type(err).__name__})") from None
        return [verdict for answer in answers for verdict in answer]

    async def _ask(self, texts: Sequence[str], direction: str) -> list[Verdict]:
        sent = [text.encode("utf-8", "replace").decode() for text in texts]  # a model may write half a character
        body = msgspec.json.encode({"direction": direction, "texts": sent})
        headers = {"Content-Type": "application/json"}
        async with (
            self._slots,
            self._client.stream("POST", self._url, content=body, headers=headers) as response,
        ):
            if response.status_code != httpx.codes.OK:
                denied = response.status_code in (401, 403, 404, 405)
                raise BrainError(f"{self.place} answered {response.status_code}", denied=denied)
            answer = b""
            async for chunk in response.aiter_bytes():
                answer += chunk
                if len(answer) > ANSWER_BYTES:
                    raise BrainError(f"{self.place} sent more than {ANSWER_BYTES // 1024} kB")
        return self._read(answer, texts)

    def _read(self, answer: bytes, texts: Sequence[str]) -> list[Verdict]:
        try:
            verdicts = self._decoder.decode(answer).verdicts
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise BrainError(f"{self.place} sent no verdicts -> docs/room.md tells what it must answer") from None
        if len(verdicts) != len(texts):
            raise BrainError(f"{self.place} sent {len(verdicts)} verdicts for {len(texts)} texts")
        return [self._verdict(verdict, text) for verdict, text in zip(verdicts, texts, strict=True)]

    def _verdict(self, verdict: _Verdict, text: str) -> Verdict:
        named = _REASON.fullmatch(verdict.reason)
        reason = f"endpoint: {named.group() if named else 'judged'}"
        match verdict.action:
            case "pass":
                return Verdict(VerdictKind.PASS, text)
            case "drop":
                return Verdict(VerdictKind.DROP, "", reason)
            case "hold":
                return Verdict(VerdictKind.HOLD, text, reason)
        if not verdict.text.strip() or len(verdict.text) > LONGEST:
            raise BrainError(f"{self.place} sent no usable text with {verdict.action}")
        return Verdict(VerdictKind(verdict.action), verdict.text, reason)
