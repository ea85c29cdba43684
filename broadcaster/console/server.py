"""The console as an application: access, routes, websockets, page and metrics, put together. Director process.

`serve` (in `listen`) puts it on its two sockets.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI, Request, WebSocket
from fastapi.responses import FileResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from broadcaster.config import Console
from broadcaster.console.access import Access, listen_problems
from broadcaster.console.api import routes
from broadcaster.console.denied import Denied
from broadcaster.console.guard import Guard
from broadcaster.console.health import Readiness
from broadcaster.console.listen import serve
from broadcaster.console.prompts import Prompts, SessionFactory
from broadcaster.console.session import Sessions
from broadcaster.console.transport import with_transport
from broadcaster.console.websocket import Sockets
from broadcaster.errors import ConfigError
from broadcaster.paths import Paths
from broadcaster.station import Station
from broadcaster.telemetry.metrics import Metrics, TooManyClients

__all__ = ["create_app", "serve"]

STATIC: Final = Path(__file__).parent / "static"


def create_app(
    station: Station,
    config: Console,
    paths: Paths,
    *,
    session: SessionFactory,
    schema: dict[str, Any],
    max_text: int | None = None,
    metrics: Metrics | None = None,
    recordings: Sequence[Path] = (),
) -> FastAPI:
    """The console of one channel.

    `session` makes a `PromptSession` for an Origin, `schema` is the published message schema; both belong to the
    prompt source. `max_text` (characters, `inbox.max_text`) is what the page's counter shows. `recordings` are
    the folders below which a remote operator may record, besides `recordings` in the state folder. Raises ConfigError
    when listening as configured would be unsafe.
    """
    problems = listen_problems(config)
    if problems:
        raise ConfigError(*problems)
    metrics = metrics or Metrics()
    sessions = Sessions.of(config, paths)
    access = Access(config, sessions)
    prompts = Prompts(session, metrics)
    sockets = Sockets(station, access, prompts, paths, metrics)
    readiness = Readiness()

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, title="Broadcaster")
    app.state.observe = lambda: readiness.observe(station.status())
    published = with_transport(schema)
    folders = (paths.state / "recordings", *recordings)
    app.include_router(routes(station, access, sessions, prompts, readiness, metrics, published, max_text, folders))
    app.add_api_websocket_route("/ws", sockets.prompts)
    app.add_api_websocket_route("/ws/preview/{sink}", sockets.preview)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")

    @app.get("/")
    async def page() -> FileResponse:
        return FileResponse(STATIC / "index.html", headers={"Cache-Control": "no-cache"})

    async def denied(connection: Request | WebSocket, err: Exception) -> Response | None:
        no = _as_denied(err)
        metrics.refusals[no.error] += 1
        response = JSONResponse(no.body(), no.status, dict(no.headers()))
        if isinstance(connection, WebSocket):
            await connection.send_denial_response(response)
            return None
        return response

    for kind in (Denied, TooManyClients, HTTPException, Exception):
        app.add_exception_handler(kind, denied)  # type: ignore[arg-type]  # starlette types one connection kind
    app.add_middleware(Guard, config=config, refusals=metrics.refusals)
    return app


def _as_denied(err: Exception) -> Denied:
    match err:
        case Denied():
            return err
        case TooManyClients():
            return Denied(503, "too_many_clients", f"{err}.", retry_after=5)
        case HTTPException(status_code=404):
            return Denied(404, "not_found", "There is nothing at this address.")
        case HTTPException(status_code=405):
            return Denied(405, "method_not_allowed", "This address does not take this method.")
        case HTTPException():
            return Denied(err.status_code, "refused", str(err.detail))
        case _:
            return Denied(500, "internal", "The console failed on this request; the log says why.")
