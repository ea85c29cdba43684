"""A language model behind an OpenAI-compatible server: the openai SDK, streaming. Director's event loop.

One run per question, no retries: whether another run may help is a property of the BrainError. Closing the
iterator closes the stream, so that the server stops too.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, Final

from broadcaster.config import OpenAIChat
from broadcaster.errors import BrainError
from broadcaster.types import Message, Turn, Usage

_FINAL_STATUS: Final = frozenset({400, 401, 402, 403, 404, 405, 413, 422})
"""The same request would get the same answer: a wrong key, a wrong model, a wrong address."""

_THINK: Final = ("<think>", "</think>")


class OpenAIBrain:
    """The SDK is imported when this is made. Call `close` at the end of the process."""

    def __init__(self, config: OpenAIChat) -> None:
        import httpx2
        import openai

        self.name = config.label
        self._config = config
        self._openai = openai
        self._broken = (openai.OpenAIError, httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, ValueError)
        self._client = openai.AsyncOpenAI(
            base_url=config.base_url,
            api_key=config.api_key.get_secret_value() if config.api_key else "none",
            timeout=httpx2.Timeout(config.total_timeout_s, connect=config.connect_timeout_s),
            max_retries=0,
        )

    async def close(self) -> None:
        await self._client.close()

    async def reply(self, turn: Turn) -> AsyncIterator[str | Usage]:
        """Raises BrainError; nothing of the server's own error text is ever yielded."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        first_by = began + self._config.first_token_timeout_s
        end_by = began + self._config.total_timeout_s
        filtered = _Thoughts()
        said = False
        stream: Any = None
        try:
            stream = await self._within(self._open(turn), min(first_by, end_by), "no answer")
            chunks = aiter(stream)
            while True:
                deadline = end_by if said else min(first_by, end_by)
                chunk = await self._within(
                    anext(chunks, None), deadline, "the answer stalled" if said else "no answer"
                )
                if chunk is None:
                    break
                text = filtered.feed(_content(chunk))
                if text:
                    said = True
                    yield text
            if rest := filtered.rest():
                said = True
                yield rest
        finally:
            if stream is not None:
                with contextlib.suppress(*self._broken, OSError):
                    await stream.close()
        if not said:
            raise BrainError("the server gave an empty answer")

    async def _open(self, turn: Turn) -> Any:
        return await self._client.chat.completions.create(
            model=self._config.model, messages=self._messages(turn), stream=True
        )

    def _messages(self, turn: Turn) -> Any:
        asked = turn.messages or (Message("user", turn.prompt.text),)
        system = [{"role": "system", "content": turn.system}] if turn.system else []
        return [*system, *({"role": message.role, "content": message.text} for message in asked)]

    async def _within(self, step: Any, deadline: float, late: str) -> Any:
        """One step of the request, within the deadline, its errors translated."""
        try:
            async with asyncio.timeout_at(deadline):
                return await step
        except TimeoutError as err:
            raise BrainError(f"{late} in time") from err
        except self._openai.APIStatusError as err:
            raise BrainError(
                f"the server answered {err.status_code}", retryable=err.status_code not in _FINAL_STATUS
            ) from err
        except self._openai.APITimeoutError as err:
            raise BrainError(f"{late} in time") from err
        except self._openai.APIConnectionError as err:
            raise BrainError("no connection to the server") from err
        except (*self._broken, OSError) as err:
            raise BrainError(f"the stream broke ({type(err).__name__})") from err


def _content(chunk: Any) -> str:
    choices = getattr(chunk, "choices", None)
    if not choices:
        return ""
    content = getattr(getattr(choices[0], "delta", None), "content", None)
    return content if isinstance(content, str) else ""


class _Thoughts:
    """Takes <think>...</think> out of a stream: what a model thinks aloud is not for the air."""

    def __init__(self) -> None:
        self._text = ""
        self._thinking = False

    def feed(self, delta: str) -> str:
        self._text += delta
        out = ""
        while True:
            mark = _THINK[self._thinking]
            at = self._text.find(mark)
            if at < 0:
                break
            out += "" if self._thinking else self._text[:at]
            self._text = self._text[at + len(mark) :]
            self._thinking = not self._thinking
        held = _partial(self._text, _THINK[self._thinking])
        if not self._thinking:
            out += self._text[: len(self._text) - held]
        self._text = self._text[len(self._text) - held :]
        return out

    def rest(self) -> str:
        return "" if self._thinking else self._text


def _partial(text: str, mark: str) -> int:
    """How many characters at the end of `text` may be the beginning of `mark`."""
    return next((n for n in range(min(len(mark) - 1, len(text)), 0, -1) if mark.startswith(text[-n:])), 0)
