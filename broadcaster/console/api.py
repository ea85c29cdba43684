"""The HTTP routes of the control API. Director process, event loop.

Every body is JSON and every error `{error, message}`.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST

from broadcaster.console.access import Access, Caller, require
from broadcaster.console.denied import Denied
from broadcaster.console.guard import UPLOAD
from broadcaster.console.health import Readiness
from broadcaster.console.prompts import MODERATION, STATUS_OF, Prompts
from broadcaster.console.recordings import check_folder
from broadcaster.console.session import LIFETIME_S, Sessions
from broadcaster.errors import BroadcasterError, Refused
from broadcaster.station import Station
from broadcaster.telemetry.metrics import Metrics
from broadcaster.types import Origin, Role

MAX_ASRUN: Final = 500
"""Rows of one answer: a page of the log, not the log."""

MAX_QUEUE: Final = 500
"""Items of one answer; what `sources.moderation` allows."""

UPLOAD_TIMEOUT_S: Final = 60.0
"""A recorded question is up to 10 MB."""

MAX_SINCE_S: Final = 10 * 366 * 86_400
"""Back from now; nothing is kept for so long."""

MAX_TURNS: Final = 5000
"""Of one answer: what the journal keeps is not much more."""

BODY_TIMEOUT_S: Final = 10.0
"""A body is at most `console.max_message_bytes`: a peer that needs longer is holding the connection."""


def routes(
    station: Station,
    access: Access,
    sessions: Sessions,
    prompts: Prompts,
    readiness: Readiness,
    metrics: Metrics,
    schema: dict[str, Any],
    max_text: int | None,
    recordings: Sequence[Path],
) -> APIRouter:
    """All HTTP routes. What each needs in role stands in its signature."""
    router = APIRouter()

    def who(request: Request) -> Caller:
        return access.caller(request.scope)

    def needs(role: Role) -> Callable[[Request], Caller]:
        def checked(request: Request) -> Caller:
            caller = access.caller(request.scope)
            require(caller, role)
            return caller

        return checked

    viewer, moderator, operator = (Depends(needs(role)) for role in Role)

    @router.get("/health/live")
    async def live() -> dict[str, Any]:
        return {"live": True}

    @router.get("/health/ready")
    async def ready() -> JSONResponse:
        reasons = readiness.observe(station.status())
        return JSONResponse({"ready": not reasons, "reasons": reasons}, 503 if reasons else 200)

    @router.get("/metrics", dependencies=[viewer])
    async def prometheus() -> Response:
        text = await asyncio.to_thread(metrics.render, station.status(), station.latencies())
        return Response(text, media_type=CONTENT_TYPE_LATEST)

    @router.get("/api/session")
    async def session(caller: Caller = Depends(who)) -> dict[str, Any]:
        role = caller.role.value if caller.role else None
        return {"role": role, "login": not access.open and not caller.local, "max_text": max_text}

    @router.post("/api/login")
    async def login(request: Request) -> JSONResponse:
        token = (await _body(request)).get("token")
        if not isinstance(token, str):
            raise Denied(422, "bad_message", 'Send {"token": "..."}.')
        peer = str((request.scope.get("client") or ("control",))[0])
        role = access.role_of(token, peer)
        response = JSONResponse({"role": role.value})
        response.set_cookie(
            sessions.cookie_name,
            sessions.issue(role),
            max_age=LIFETIME_S,
            httponly=True,
            samesite="strict",
            secure=request.headers.get("origin", "").startswith("https://"),
        )
        return response

    @router.post("/api/logout")
    async def logout() -> JSONResponse:
        response = JSONResponse({"role": None})
        response.delete_cookie(sessions.cookie_name, httponly=True, samesite="strict")
        return response

    @router.get("/api/status", dependencies=[viewer])
    async def status() -> JSONResponse:
        return JSONResponse(station.status())

    @router.get("/api/schema", dependencies=[viewer])
    async def published() -> JSONResponse:
        return JSONResponse(schema)

    @router.get("/api/asrun", dependencies=[viewer])
    async def asrun(request: Request) -> JSONResponse:
        limit = _number(request, "limit", 50, MAX_ASRUN)
        before = _number(request, "before", None, None)
        try:
            rows = await station.asrun(limit or 50, before)
        except BroadcasterError as err:
            raise Denied(503, "journal", str(err)) from err
        return JSONResponse({"rows": rows})

    @router.get("/api/latency", dependencies=[viewer])
    async def latency(request: Request) -> JSONResponse:
        since = _number(request, "since_s", None, MAX_SINCE_S)
        turns = _number(request, "last", None if since is not None else 100, MAX_TURNS)
        since_ns = None if since is None else time.time_ns() - since * 1_000_000_000
        try:
            found = await station.latency(turns, since_ns)
        except BroadcasterError as err:
            raise Denied(503, "journal", str(err)) from err
        return JSONResponse(found)

    @router.post("/api/prompts", status_code=202)
    async def prompt(request: Request, caller: Caller = moderator) -> dict[str, Any]:
        message = await _body(request)
        if message.get("type") not in ("say", "ask", "event"):
            raise Denied(422, "bad_message", '"type" must be "say", "ask" or "event".')
        return await prompts.post(caller, require(caller, Role.MODERATOR), message)

    @router.post(UPLOAD, status_code=201)
    async def recording(request: Request, caller: Caller = moderator) -> dict[str, Any]:
        role = require(caller, Role.MODERATOR)
        try:
            async with asyncio.timeout(UPLOAD_TIMEOUT_S):
                data = await request.body()
            name = await station.attach(data, Origin("control" if caller.local else "http", role=role))
        except TimeoutError as err:
            raise Denied(408, "too_slow", f"The body did not arrive within {UPLOAD_TIMEOUT_S:g} s.") from err
        except Refused as err:
            raise Denied(STATUS_OF.get(err.code, 409), err.code, str(err)) from err
        return {"recording": name}

    @router.post("/api/interrupt")
    async def interrupt(caller: Caller = moderator) -> dict[str, Any]:
        return await prompts.post(caller, require(caller, Role.MODERATOR), {"type": "interrupt"})

    @router.post("/api/panic")
    async def panic(caller: Caller = moderator) -> dict[str, Any]:
        return await prompts.post(caller, require(caller, Role.MODERATOR), {"type": "panic"})

    @router.post("/api/resume")
    async def resume(caller: Caller = operator) -> dict[str, Any]:
        return await prompts.post(caller, require(caller, Role.OPERATOR), {"type": "resume"})

    @router.get("/api/queue")
    async def queue(request: Request, caller: Caller = moderator) -> dict[str, Any]:
        limit = _number(request, "limit", 50, MAX_QUEUE)
        return await prompts.post(caller, require(caller, Role.MODERATOR), {"type": "queue", "limit": limit})

    @router.get("/api/queue/{id:path}")
    async def place(id: str, caller: Caller = moderator) -> dict[str, Any]:
        answer = await prompts.post(caller, require(caller, Role.MODERATOR), {"type": "place", "id": id})
        return dict(answer["item"])

    @router.post("/api/queue")
    async def moderate(request: Request, caller: Caller = moderator) -> dict[str, Any]:
        message = await _body(request)
        if message.get("type") not in MODERATION:
            raise Denied(422, "bad_message", f'"type" must be one of {", ".join(MODERATION)}.')
        return await prompts.post(caller, require(caller, Role.MODERATOR), message)

    @router.get("/api/bans")
    async def bans(caller: Caller = moderator) -> dict[str, Any]:
        return await prompts.post(caller, require(caller, Role.MODERATOR), {"type": "bans"})

    @router.post("/api/memory/forget")
    async def forget(request: Request, caller: Caller = operator) -> dict[str, Any]:
        body = await _body(request)
        match body:
            case {"viewer": str(viewer)} if viewer and len(body) == 1:
                whom: str | None = viewer
            case {"all": True} if len(body) == 1:
                whom = None
            case _:
                raise Denied(422, "bad_message", 'Say whom: {"viewer": "..."}, or {"all": true} for everybody.')
        role = require(caller, Role.OPERATOR)
        try:
            gone = await station.forget(whom, Origin("control" if caller.local else "http", role=role))
        except Refused as err:
            raise Denied(503 if err.code == "journal" else 409, err.code, str(err)) from err
        return {"forgotten": gone}

    @router.get("/api/sinks", dependencies=[viewer])
    async def sinks() -> dict[str, Any]:
        return {"sinks": station.status().get("sinks", [])}

    @router.post("/api/sinks")
    async def sink(request: Request, caller: Caller = operator) -> dict[str, Any]:
        command = await _body(request)
        check_folder(caller, command, recordings)
        try:
            reply = await station.sink(command)
        except Refused as err:
            raise Denied(503 if err.code == "unavailable" else 422, err.code, str(err)) from err
        if not reply.ok:
            raise Denied(409, "refused", reply.error)
        return {"ok": True}

    return router


async def _body(request: Request) -> dict[str, Any]:
    """The request's JSON object. Raises Denied: 422 for anything else, without quoting it; 408."""
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            body = json.loads(await request.body())
    except TimeoutError as err:
        raise Denied(408, "too_slow", f"The body did not arrive within {BODY_TIMEOUT_S:g} s.") from err
    except (ValueError, RecursionError) as err:
        raise Denied(422, "bad_message", "The body is not a JSON text.") from err
    if not isinstance(body, dict):
        raise Denied(422, "bad_message", "A JSON object is expected.")
    return body


def _number(request: Request, name: str, default: int | None, highest: int | None) -> int | None:
    text = request.query_params.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) <= 18):
        raise Denied(422, "bad_query", f"{name} must be a whole number.")
    return int(text) if highest is None else max(1, min(int(text), highest))
