"""Qwen in the cloud through the official dashscope SDK, streaming. Director's event loop.

The SDK's key and address are globals of the process, read from the environment at import; here they go along with
each call instead. It resends a request whose connection broke, has no connect time-out and cannot be told to stop;
so each question gets an HTTP session of its own, in which broken connections are translated before the SDK sees them,
and which is closed with the answer.

With `vision` it is the multimodal API (Qwen-VL). That part of the SDK uploads what it takes for the name of a local
file, also where it stands in place of a text: see `_TEXT`.
"""

from __future__ import annotations

import contextlib
import logging
import ssl
from collections.abc import AsyncIterator
from typing import Any, Final

from broadcaster.brain.engines import refusals
from broadcaster.brain.engines.asked import data_uri, following, messages_of
from broadcaster.config.brains import DashScopeChat
from broadcaster.errors import BrainError, CutOff
from broadcaster.hosts import is_here, place_of
from broadcaster.types import Message, Turn, Usage

MAINLAND: Final = "https://dashscope.aliyuncs.com/api/v1"

_TEXT: Final = "\n"
"""In front of what was said, for the multimodal API: no file has such a name, and a model does not mind."""

_DEFECTS: Final = (OSError, ValueError, LookupError, TypeError, AttributeError)
"""How the SDK fails on an answer of another form than it expects."""


class DashScopeBrain:
    """Port `Brain`. The SDK is imported when this is made."""

    def __init__(self, link: DashScopeChat) -> None:
        import aiohttp
        import certifi
        from dashscope import AioGeneration, AioMultiModalConversation
        from dashscope.common.error import DashScopeException

        logging.getLogger("dashscope").disabled = True  # it logs the server's errors, which may hold the question
        self.name = link.label
        self._link = link
        self._model: Any = AioMultiModalConversation if link.vision else AioGeneration
        self._broken = (aiohttp.ClientError, DashScopeException, TimeoutError, *_DEFECTS)
        self._url = (link.url or MAINLAND).rstrip("/")
        self._place = place_of(self._url)
        self._tls = ssl.create_default_context(cafile=certifi.where())

    async def reply(self, turn: Turn) -> AsyncIterator[str | Usage]:
        answer = _Answer(self._place)
        async with self._session(answer) as session:
            try:
                chunks = await self._model.call(**self._request(turn), session=session)
                async with contextlib.aclosing(chunks):
                    while (chunk := await following(chunks, bool(answer.finish))) is not None:
                        if text := answer.read(chunk):
                            yield text
            except self._broken as err:
                raise refusals.broken(self._place, err, answer.begun) from err
        if answer.usage is not None:
            yield answer.usage
        if error := answer.fault():
            raise error

    async def close(self) -> None:
        """Nothing is kept between questions."""

    def _request(self, turn: Turn) -> dict[str, Any]:
        link = self._link
        worded = _seen if link.vision else _told
        system = [Message("system", turn.system)] if turn.system else []
        request: dict[str, Any] = {
            "model": link.model,
            "messages": [worded(message) for message in (*system, *messages_of(turn))],
            "api_key": link.api_key.get_secret_value(),
            "base_address": self._url,
            "stream": True,
            "incremental_output": True,
            "result_format": "message",
            "max_tokens": turn.max_tokens,
            "enable_thinking": link.thinking,
        }
        if link.temperature is not None:
            request["temperature"] = link.temperature
        return request

    def _session(self, answer: _Answer) -> Any:
        import aiohttp

        place, connect_s = self._place, self._link.connect_timeout_s

        class Connector(aiohttp.TCPConnector):
            async def connect(self, req: Any, traces: Any, timeout: Any) -> Any:
                return await super().connect(req, traces, aiohttp.ClientTimeout(connect=connect_s))

        async def translated(request: Any, handler: Any) -> Any:
            """The SDK would send the request again after a ClientConnectionError."""
            try:
                response = await handler(request)
            except aiohttp.ConnectionTimeoutError as err:
                raise refusals.unconnected(place, connect_s) from err
            except aiohttp.ClientConnectorError as err:
                raise refusals.unconnected(place) from err
            except aiohttp.ClientConnectionError as err:
                raise refusals.broken(place, err, begun=False) from err
            answer.status = response.status
            return response

        return aiohttp.ClientSession(
            connector=Connector(ssl=self._tls, force_close=True),
            middlewares=(translated,),
            trust_env=not is_here(self._url),
        )


class _Answer:
    """What has come of one answer so far."""

    def __init__(self, place: str) -> None:
        self._place = place
        self.status = 0
        """Of the HTTP response; the SDK makes one up for the errors that are told in a stream."""
        self.begun = False
        self.usage: Usage | None = None
        self.finish = ""
        self._said = False

    def read(self, chunk: Any) -> str:
        """The text of a chunk. Raises BrainError for what the SDK returns as an error."""
        if chunk.status_code != 200:
            raise self._error(chunk)
        self.begun = True
        self.usage = _usage(chunk.usage) or self.usage
        choices = (chunk.output or {}).get("choices") or []
        if not choices:
            return ""
        finish = choices[0].get("finish_reason")
        if finish and finish != "null":
            self.finish = finish
        text = _text((choices[0].get("message") or {}).get("content"))
        self._said = self._said or bool(text.strip())
        return text

    def fault(self) -> BrainError | None:
        """What was wrong with it as a whole, once it has ended."""
        if self.finish == "content_filter":
            return refusals.filtered(self._place)
        if not self._said:
            return refusals.empty(self._place)
        if self.finish == "length":
            return CutOff(self._place)
        return None if self.finish else refusals.unfinished(self._place)

    def _error(self, chunk: Any) -> BrainError:
        code = str(chunk.code or "")
        streaming = self.status == 200
        if streaming and code == "Unknown":  # the SDK's word for an event that it could not read
            return refusals.unreadable(self._place)
        headers = {str(name).lower(): str(value) for name, value in (chunk.headers or {}).items()}
        wait_s = refusals.wait_asked(headers, str(chunk.message or ""))
        return refusals.refused(self._place, None if streaming else self.status, code, wait_s)


def _told(message: Message) -> dict[str, Any]:
    return {"role": message.role, "content": message.text}


def _seen(message: Message) -> dict[str, Any]:
    pictures = [{"image": data_uri(image)} for image in message.images]
    text = message.text if message.role == "system" else _TEXT + message.text
    return {"role": message.role, "content": [*pictures, {"text": text}]}


def _text(content: Any) -> str:
    """Of a message's content: a text, or (multimodal) a list of parts. reasoning_content stands beside it."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "".join(part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str))


def _usage(told: Any) -> Usage | None:
    if not told:
        return None
    sent, written = told.get("input_tokens"), told.get("output_tokens")
    if not isinstance(sent, int) or not isinstance(written, int) or not (sent or written):
        return None
    details = told.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else None
    return Usage(sent, written, cached if isinstance(cached, int) else 0)
