"""An agent of Dify (chat, chatflow or agent app) over its HTTP streaming API. Director's event loop.

Dify keeps conversations by itself, with everything that its model wrote. Here only what was heard counts, so no
conversation is ever continued: each question brings along what was heard, in the app's inputs or in the query.
Closing the connection does not stop the app; it is told to by a request of its own, which nobody waits for.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import re
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

import httpx

from broadcaster.brain.engines import refusals
from broadcaster.brain.engines.asked import messages_of
from broadcaster.brain.engines.sse import data_of
from broadcaster.brain.language import language_of
from broadcaster.config.brains import DifyAgent
from broadcaster.errors import BrainError
from broadcaster.hosts import is_here, place_of
from broadcaster.types import Image, Message, Turn, Usage

NOBODY: Final = "broadcaster"
"""Who asks, where no source knows the viewer: Dify wants a user for every question."""

STOP_S: Final = 3.0
"""How long a request to stop may take; after that the app goes on to its end unheard."""

UPLOADS_KEPT: Final = 64
"""Pictures whose number at Dify is remembered, each for one user: Dify gives a file to nobody else."""

REFUSAL_LIMIT: Final = 4096
"""Bytes of a refusal's body: enough for its code."""

_BREAKS: Final = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError, ValueError)

_FIELD: Final = re.compile(r"\{(persona|history)\}")

_HEADINGS: Final = {
    "zh": ("到现在为止的对话：", "现在的问题：", "观众：", "主播："),
    "en": ("The conversation so far:", "The question now:", "Viewer: ", "Host: "),
}

_EXTENSIONS: Final = {"image/jpeg": "jpg", "image/png": "png", "image/webp": "webp"}


class DifyBrain:
    """Port `Brain`. How long an answer may be is the app's own setting."""

    def __init__(self, link: DifyAgent) -> None:
        self.name = link.label
        self._link = link
        self._url = link.url.rstrip("/")
        self._place = place_of(self._url)
        self._uploads: OrderedDict[tuple[str, bytes], str] = OrderedDict()
        self._stops: set[asyncio.Task[None]] = set()
        self._client = httpx.AsyncClient(
            timeout=httpx.Timeout(None, connect=link.connect_timeout_s),
            headers={"Authorization": f"Bearer {link.api_key.get_secret_value()}"},
            trust_env=not is_here(self._url),
        )

    async def close(self) -> None:
        await asyncio.gather(*self._stops, return_exceptions=True)
        await self._client.aclose()

    async def reply(self, turn: Turn) -> AsyncIterator[str | Usage]:
        user = turn.prompt.viewer.id if turn.prompt.viewer is not None else NOBODY
        answer = _Answer(self._place)
        try:
            with self._translated(answer):
                request = self._request(turn, user)
                request["files"] = [await self._uploaded(image, user) for image in self._pictures(turn)]
                async with self._client.stream("POST", f"{self._url}/chat-messages", json=request) as response:
                    await self._check(response)
                    async with contextlib.aclosing(data_of(response.aiter_bytes())) as events:  # type: ignore[type-var]
                        async for event in events:
                            if text := answer.read(json.loads(event)):
                                yield text
                            if answer.ended:
                                break
        finally:
            if answer.task and not answer.ended:
                self._stop(answer.task, user)
        if answer.usage is not None:
            yield answer.usage
        if not answer.ended:
            raise refusals.unfinished(self._place)
        if not answer.said:
            raise refusals.empty(self._place)

    def _request(self, turn: Turn, user: str) -> dict[str, Any]:
        *before, asked = messages_of(turn)
        conversation, now, viewer, host = _HEADINGS[language_of(turn.system or asked.text)]
        history = "\n".join(f"{viewer if message.role == 'user' else host}{message.text}" for message in before)
        known = {"persona": turn.system, "history": history}
        inputs = {name: _FIELD.sub(lambda field: known[field[1]], value) for name, value in self._link.inputs.items()}
        carried = {field for value in self._link.inputs.values() for field in _FIELD.findall(value)}
        query = asked.text
        if history and "history" not in carried:
            query = f"{conversation}\n{history}\n\n{now}\n{query}"
        if turn.system and "persona" not in carried:
            query = f"{turn.system}\n\n{query}"
        return {"inputs": inputs, "query": query, "response_mode": "streaming", "user": user}

    def _pictures(self, turn: Turn) -> tuple[Image, ...]:
        asked: Message = messages_of(turn)[-1]
        return asked.images if self._link.vision else ()

    async def _uploaded(self, image: Image, user: str) -> dict[str, str]:
        """Sends a picture once per user."""
        key = (user, hashlib.sha256(image.data).digest())
        if key not in self._uploads:
            name = f"picture.{_EXTENSIONS.get(image.media_type, 'jpg')}"
            response = await self._client.post(
                f"{self._url}/files/upload",
                data={"user": user},
                files={"file": (name, image.data, image.media_type)},
            )
            if not response.is_success:
                raise self._refused(response, response.content)
            self._uploads[key] = str(_mapping(response.json())["id"])
            if len(self._uploads) > UPLOADS_KEPT:
                self._uploads.popitem(last=False)
        return {"type": "image", "transfer_method": "local_file", "upload_file_id": self._uploads[key]}

    async def _check(self, response: httpx.Response) -> None:
        """Raises BrainError unless an answer begins here."""
        if response.status_code != httpx.codes.OK:
            body = b""
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) >= REFUSAL_LIMIT:
                    break
            raise self._refused(response, body[:REFUSAL_LIMIT])
        if not response.headers.get("content-type", "").startswith("text/event-stream"):
            raise refusals.unreadable(self._place)

    def _refused(self, response: httpx.Response, body: bytes) -> BrainError:
        told: dict[str, Any] = {}
        with contextlib.suppress(ValueError):
            told = _mapping(json.loads(body))
        wait_s = refusals.wait_asked(response.headers, str(told.get("message", "")))
        return refusals.refused(self._place, response.status_code, str(told.get("code", "")), wait_s)

    @contextlib.contextmanager
    def _translated(self, answer: _Answer) -> Iterator[None]:
        try:
            yield
        except httpx.ConnectTimeout as err:
            raise refusals.unconnected(self._place, self._link.connect_timeout_s) from err
        except httpx.ConnectError as err:
            raise refusals.unconnected(self._place) from err
        except (json.JSONDecodeError, KeyError) as err:
            raise refusals.unreadable(self._place) from err
        except _BREAKS as err:
            raise refusals.broken(self._place, err, answer.begun) from err

    def _stop(self, task: str, user: str) -> None:
        stop = asyncio.create_task(self._stopped(task, user))
        self._stops.add(stop)
        stop.add_done_callback(self._stops.discard)

    async def _stopped(self, task: str, user: str) -> None:
        with contextlib.suppress(TimeoutError, *_BREAKS):
            async with asyncio.timeout(STOP_S):
                await self._client.post(f"{self._url}/chat-messages/{task}/stop", json={"user": user})


class _Answer:
    """What has come of one answer so far."""

    def __init__(self, place: str) -> None:
        self._place = place
        self.begun = False
        self.ended = False
        self.said = False
        self.task = ""
        self.usage: Usage | None = None

    def read(self, told: Any) -> str:
        """The text of an event. Thoughts, pings, sound and the steps of a workflow are not for the air.

        Raises BrainError for what the app tells of its own failure.
        """
        event = _mapping(told)
        self.begun = True
        task = event.get("task_id")
        if isinstance(task, str) and re.fullmatch(r"[\w-]{1,64}", task):
            self.task = task
        match event.get("event"):
            case "message" | "agent_message":
                return self._text(event)
            case "message_replace":
                if self.said:
                    raise refusals.filtered(self._place)
                return self._text(event)
            case "message_end":
                self.ended = True
                self.usage = _usage(event)
            case "workflow_finished":
                self._workflow(event)
            case "error":
                self.ended = True
                status = event.get("status")
                wait_s = refusals.wait_asked({}, str(event.get("message", "")))
                status = status if isinstance(status, int) else None
                raise refusals.refused(self._place, status, str(event.get("code", "")), wait_s)
        return ""

    def _text(self, event: dict[str, Any]) -> str:
        text = event.get("answer")
        if not isinstance(text, str):
            return ""
        self.said = self.said or bool(text.strip())
        return text

    def _workflow(self, event: dict[str, Any]) -> None:
        result = event.get("data")
        if isinstance(result, dict) and result.get("status") in ("failed", "stopped"):
            self.ended = True
            raise BrainError(f"{self._place}: the app's workflow {result['status']}")


def _mapping(told: Any) -> dict[str, Any]:
    if not isinstance(told, dict):
        raise ValueError("not an object")
    return told


def _usage(event: dict[str, Any]) -> Usage | None:
    metadata = event.get("metadata")
    usage = metadata.get("usage") if isinstance(metadata, dict) else None
    if not isinstance(usage, dict):
        return None
    sent, written = usage.get("prompt_tokens"), usage.get("completion_tokens")
    return Usage(sent, written) if isinstance(sent, int) and isinstance(written, int) else None
