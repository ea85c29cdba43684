"""Douyin's side of the data push: its API for tokens and tasks, and what pushes to the address of a source.

HTTP by hand over asyncio, in the loop of the test. Only a running task is pushed; what was not answered 2xx within
the limit is listed as failed, for gifts and fan clubs, and ten failures in a row end the task.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import itertools
import json
import time
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

import httpx

from tests.fakes.http_wire import Request, read_request

APP_ID = "tt0123456789abcdef"
APP_SECRET = "app-secret-7f3a"
PUSH_SECRET = "push-secret-91c2"
ROOM = "7251234567890123456"

FUSE = 10
LIMIT_S = 2.0
LISTED = ("live_gift", "live_fansclub")


def signed(
    kind: str, body: bytes, *, secret: str = PUSH_SECRET, room: str = ROOM, at_ms: int | None = None
) -> dict[str, str]:
    """The headers of a push, written down once more from the document."""
    stamp = str(int(time.time() * 1000) if at_ms is None else at_ms)
    headers = {
        "x-nonce-str": f"nonce{next(_NONCE)}",
        "x-timestamp": stamp,
        "x-roomid": room,
        "x-msg-type": kind,
    }
    text = "&".join(f"{name}={headers[name]}" for name in sorted(headers)).encode() + body + secret.encode()
    headers["x-signature"] = base64.b64encode(hashlib.md5(text).digest()).decode()
    headers["content-type"] = "application/json"
    return headers


_NONCE = itertools.count(1)


class DouyinServer:
    """`tasks` are the kinds that run. Behaviour by attribute:

    `live`: the mini game is mounted in the room. `status` other than 200: what every call is answered with, with all
    that it was asked in the body. `secret_known`: the secret is right. `dead_tokens` are not accepted any more.
    `life_s` of a token. `code` other than 0: the answer to every call about tasks. `garbage`: no JSON comes back.
    `silent`: nothing does; `endless`: it never ends; `drips`: it comes a byte at a time. `mute`: the end of the path
    of a call that is done, and its answer lost. `closed`: the list of what was not delivered is not to be had.
    """

    def __init__(self) -> None:
        self.live = True
        self.status = 200
        self.code = 0
        self.life_s: Any = 7200
        self.garbage = self.silent = self.endless = self.drips = False
        self.mute = "nowhere"
        self.closed = False
        self.secret_known = True
        self.tasks: set[str] = set()
        self.dead_tokens: set[str] = set()
        self.tokens: list[str] = []
        self.calls: list[tuple[str, dict[str, Any]]] = []
        """Path and fields of each call about tasks that had a good token."""
        self.at: list[float] = []
        self.failed: dict[str, list[list[dict[str, Any]]]] = {kind: [] for kind in LISTED}
        self.failures = 0
        self.page_size = 100
        self.port = 0
        self._client = httpx.AsyncClient(trust_env=False)
        self._server: asyncio.Server | None = None
        self._visitors: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._visitor, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        await self._client.aclose()
        for task in self._visitors:
            task.cancel()
        await asyncio.gather(*self._visitors, return_exceptions=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def asked(self, end: str) -> list[dict[str, Any]]:
        """The fields of the calls whose path ends so."""
        return [fields for path, fields in self.calls if path.endswith(end)]

    # -- pushing --------------------------------------------------------------------------------------------------

    async def push(self, address: str, kind: str, items: list[dict[str, Any]], limit_s: float = LIMIT_S) -> int:
        """Posts `items`, if their task runs; the status, 0 when it came to nothing."""
        if kind not in self.tasks:
            return 0
        body = json.dumps(items, ensure_ascii=False).encode()
        try:
            headers = signed(kind, body)
            status = (await self._client.post(address, content=body, headers=headers, timeout=limit_s)).status_code
        except httpx.HTTPError:
            status = 0
        if 200 <= status < 300:
            self.failures = 0
            return status
        self.failures += 1
        if kind in LISTED:
            self.failed[kind].append(items)
        if self.failures >= FUSE:
            self.tasks.discard(kind)
        return status

    # -- the API --------------------------------------------------------------------------------------------------

    async def _visitor(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._visitors.add(task)
        try:
            while True:
                request = await read_request(await reader.readuntil(b"\r\n\r\n"), reader)
                if self.silent:
                    await asyncio.Event().wait()
                if self.endless:
                    writer.write(b"HTTP/1.1 200 Whatever\r\ncontent-length: 99999999999\r\n\r\n")
                while self.endless:
                    writer.write(b" " * 65_536)
                    await writer.drain()
                if self.drips:
                    writer.write(b"HTTP/1.1 200 Whatever\r\ncontent-length: 99999\r\n\r\n")
                while self.drips:
                    writer.write(b" ")
                    await writer.drain()
                    await asyncio.sleep(0.005)
                status, told = self._answer(request)
                if request.path.endswith(self.mute):
                    await asyncio.Event().wait()
                body = b"<html>gateway</html>" if self.garbage else json.dumps(told).encode()
                head = f"HTTP/1.1 {status} Whatever\r\ncontent-type: application/json\r\n"
                writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
                await writer.drain()
        except (asyncio.CancelledError, ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self._visitors.discard(task)
            writer.transport.abort()

    def _answer(self, request: Request) -> tuple[int, dict[str, Any]]:
        self.at.append(time.monotonic())
        path = urlsplit(request.path)
        fields = {**dict(parse_qsl(path.query)), **request.fields}
        if self.status != 200:
            return self.status, {"err_no": self.status, "err_msg": f"{fields} {request.headers}"}
        if path.path == "/api/apps/v2/token":
            return 200, self._token(fields)
        token = request.headers.get("access-token", "")
        if token not in self.tokens or token in self.dead_tokens:
            return 200, {"err_no": 40022, "err_msg": f"invalid access token {token}", "logid": "x"}
        self.calls.append((path.path, fields))
        if self.code:
            return 200, {"err_no": self.code, "err_msg": f"no {token}", "logid": "x"}
        if not {"roomid", "appid", "msg_type"} <= fields.keys() or fields["appid"] != APP_ID:
            return 200, {"err_no": 40023, "err_msg": "param"}
        return 200, {"err_no": 0, "err_msg": "ok", "logid": "x", **self._task(request.method, path.path, fields)}

    def _token(self, fields: dict[str, Any]) -> dict[str, Any]:
        if fields.get("secret") != APP_SECRET or not self.secret_known:
            return {"err_no": 40017, "err_tips": f"bad secret {fields.get('secret')}"}
        self.tokens.append(f"token-{len(self.tokens) + 1}-c0ffee")
        return {
            "err_no": 0,
            "err_tips": "success",
            "data": {"access_token": self.tokens[-1], "expires_in": self.life_s},
        }

    def _task(self, method: str, path: str, fields: dict[str, Any]) -> dict[str, Any]:
        kind = fields["msg_type"]
        match method, path:
            case "POST", "/api/live_data/task/start":
                if not self.live:
                    return {"err_no": 5003019, "err_msg": "conditions"}
                self.tasks.add(kind)
                return {"data": {"task_id": "t-1"}}
            case "POST", "/api/live_data/task/stop":
                self.tasks.discard(kind)
                return {"data": {}}
            case "GET", "/api/live_data/task/get":
                return {"data": {"status": 3 if kind in self.tasks else 2 if self.live else 1}}
            case "GET", "/api/live_data/task/fail_data/get":
                if self.closed:
                    return {"err_no": 5003019, "err_msg": "conditions"}
                return {"data": self._page(kind, int(fields["page_num"]), int(fields["page_size"]))}
        return {"err_no": 404, "err_msg": "no such call"}

    def _page(self, kind: str, number: int, size: int) -> dict[str, Any]:
        failed = self.failed.get(kind, [])
        entries = [
            {"roomid": ROOM, "msg_type": kind, "payload": json.dumps(items, ensure_ascii=False)}
            for items in failed[(number - 1) * size : number * size]
        ]
        return {"page_num": number, "total_count": len(failed), "data_list": entries}


# -- items of pushes, all of our own invention --------------------------------------------------------------------

_NUMBERS = itertools.count(1)


def item(**fields: Any) -> dict[str, Any]:
    number = next(_NUMBERS)
    return {
        "msg_id": f"msg-{number}",
        "sec_openid": "openid-1",
        "avatar_url": "https://example.invalid/a.png",
        "nickname": "小明",
        "timestamp": int(time.time() * 1000),
        **fields,
    }


def comment(text: str = "主播好", **fields: Any) -> dict[str, Any]:
    return item(content=text, **fields)


def gift(value: int = 10, num: int = 1, **fields: Any) -> dict[str, Any]:
    """`value` in fen, all together."""
    fairy = "n1/Dg1905sj1FyoBlQBvmbaDZFBNaKuKZH6zxHkv8Lg5x2cRfrKUTb8gzMs="
    return item(**{"sec_gift_id": fairy, "gift_num": num, "gift_value": value, **fields})


def like(num: int = 3, **fields: Any) -> dict[str, Any]:
    return item(like_num=num, **fields)


def fans(reason: int = 2, level: int = 1, **fields: Any) -> dict[str, Any]:
    return item(fansclub_reason_type=reason, fansclub_level=level, **fields)
