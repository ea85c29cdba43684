"""A language model behind an OpenAI-compatible server: the openai SDK, streaming. Director's event loop.

One run per question: the SDK's own retries and time-outs are switched off. A server that does not know an optional
field of the request (the usage, the temperature...) says so with a 400 that names it; it is asked again at once
without that field, and never with it again.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Collection, Iterator
from typing import Any, Final

from broadcaster.brain.engines import refusals
from broadcaster.brain.engines.asked import data_uri, following, messages_of
from broadcaster.config.brains import OpenAIChat
from broadcaster.errors import BrainError, CutOff
from broadcaster.hosts import is_here, place_of
from broadcaster.types import Message, Turn, Usage

OPENAI: Final = "https://api.openai.com/v1"

_OPTIONAL: Final = (
    ("max_tokens", "max_completion_tokens"),
    ("stream_options", "stream_options"),
    ("stream_options", "include_usage"),
    ("enable_thinking", "enable_thinking"),
    ("temperature", "temperature"),
)
"""Field of the request that a server may do without, and the word by which its refusal names it."""


class OpenAIBrain:
    """Port `Brain`. The SDK is imported when this is made."""

    def __init__(self, link: OpenAIChat) -> None:
        import httpx2
        import openai

        self.name = link.label
        self._link = link
        self._openai = openai
        self._broken = (
            openai.OpenAIError,
            httpx2.HTTPError,
            httpx2.InvalidURL,
            httpx2.StreamError,
            OSError,
            ValueError,  # an event that is no JSON
            LookupError,  # one of another form: the SDK checks none
            TypeError,
            AttributeError,
        )
        self._no_listener = httpx2.ConnectError
        self._too_slow = httpx2.ConnectTimeout
        url = link.base_url or OPENAI
        self._place = place_of(url)
        self._without: frozenset[str] = frozenset()
        self._client = openai.AsyncOpenAI(
            base_url=url,
            api_key=link.api_key.get_secret_value() if link.api_key else "none",
            timeout=httpx2.Timeout(None, connect=link.connect_timeout_s),
            max_retries=0,
            http_client=openai.DefaultAsyncHttpxClient(trust_env=not is_here(url)),
        )

    async def close(self) -> None:
        await self._client.close()

    async def reply(self, turn: Turn) -> AsyncIterator[str | Usage]:
        answer = _Answer()
        with self._translated(answer):
            stream = await self._opened(turn)
            try:
                while (chunk := await following(stream, bool(answer.finish))) is not None:
                    if text := answer.read(chunk):
                        yield text
            finally:
                with contextlib.suppress(*self._broken):
                    await stream.close()
        if answer.usage is not None:
            yield answer.usage
        if error := answer.fault(self._place):
            raise error

    async def _opened(self, turn: Turn) -> Any:
        without = self._without
        while True:
            try:
                stream = await self._client.chat.completions.create(**self._request(turn, without))
            except self._openai.APIStatusError as err:
                unknown = _unknown_field(err, without)
                if unknown is None:
                    raise
                without |= {unknown}
            else:
                self._without = without
                return stream

    def _request(self, turn: Turn, without: Collection[str]) -> dict[str, Any]:
        link = self._link
        system = [{"role": "system", "content": turn.system}] if turn.system else []
        limit = "max_tokens" if "max_tokens" not in without else "max_completion_tokens"
        request: dict[str, Any] = {
            "model": link.model,
            "messages": [*system, *(_worded(message, link.vision) for message in messages_of(turn))],
            "stream": True,
            limit: turn.max_tokens,
        }
        if "stream_options" not in without:
            request["stream_options"] = {"include_usage": True}
        if link.temperature is not None and "temperature" not in without:
            request["temperature"] = link.temperature
        if link.thinking is not None and "enable_thinking" not in without:
            request["extra_body"] = {"enable_thinking": link.thinking}
        return request

    @contextlib.contextmanager
    def _translated(self, answer: _Answer) -> Iterator[None]:
        try:
            yield
        except self._openai.APIStatusError as err:
            wait_s = refusals.wait_asked(err.response.headers, err.message)
            raise refusals.refused(self._place, err.status_code, _codes(err), wait_s) from err
        except self._openai.APIConnectionError as err:
            raise self._connection(err, answer) from err
        except self._openai.APIError as err:  # an event of the stream told it
            raise refusals.refused(self._place, None, _codes(err), refusals.wait_asked({}, err.message)) from err
        except self._broken as err:
            raise refusals.broken(self._place, err, answer.begun) from err

    def _connection(self, err: Exception, answer: _Answer) -> BrainError:
        if isinstance(err.__cause__, self._too_slow):
            return refusals.unconnected(self._place, self._link.connect_timeout_s)
        if isinstance(err.__cause__, self._no_listener):
            return refusals.unconnected(self._place)
        return refusals.broken(self._place, err.__cause__ or err, answer.begun)


class _Answer:
    """What has come of one answer so far."""

    def __init__(self) -> None:
        self.begun = False
        self.usage: Usage | None = None
        self.finish = ""
        self._refusal = False
        self._said = False

    def read(self, chunk: Any) -> str:
        """The text of a chunk. Fields beside it (reasoning_content, tool_calls, refusal) are not for the air."""
        self.begun = True
        self.usage = _usage(getattr(chunk, "usage", None)) or self.usage
        choices = getattr(chunk, "choices", None)
        if not choices:
            return ""
        delta = getattr(choices[0], "delta", None)
        self.finish = getattr(choices[0], "finish_reason", None) or self.finish
        self._refusal = self._refusal or bool(getattr(delta, "refusal", None))
        content = getattr(delta, "content", None)
        if not isinstance(content, str):
            return ""
        self._said = self._said or bool(content.strip())
        return content

    def fault(self, place: str) -> BrainError | None:
        """What was wrong with it as a whole, once it has ended."""
        if self.finish == "content_filter":
            return refusals.filtered(place)
        if self._refusal:
            return BrainError(f"{place}: the model refused to answer", retryable=False)
        if not self._said:
            return refusals.empty(place)
        if self.finish == "length":
            return CutOff(place)
        return None if self.finish else refusals.unfinished(place)


def _worded(message: Message, vision: bool) -> dict[str, Any]:
    if not (vision and message.images):
        return {"role": message.role, "content": message.text}
    pictures = [{"type": "image_url", "image_url": {"url": data_uri(image)}} for image in message.images]
    return {"role": message.role, "content": [*pictures, {"type": "text", "text": message.text}]}


def _usage(told: Any) -> Usage | None:
    sent, written = getattr(told, "prompt_tokens", None), getattr(told, "completion_tokens", None)
    if not isinstance(sent, int) or not isinstance(written, int):
        return None
    cached = getattr(getattr(told, "prompt_tokens_details", None), "cached_tokens", None)
    return Usage(sent, written, cached if isinstance(cached, int) else 0)


def _codes(err: Any) -> str:
    return f"{err.code or ''} {err.type or ''}"


def _unknown_field(err: Any, without: Collection[str]) -> str | None:
    """The optional field, not left out yet, that a refusal names."""
    if err.status_code not in (400, 422):
        return None
    words = err.response.text
    return next((field for field, word in _OPTIONAL if field not in without and word in words), None)
