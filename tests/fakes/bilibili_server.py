"""Open-Live for the tests: the three requests with their signature, and the websocket, scripted and misbehaving.

Written from the documents; HTTP by hand and `websockets` for the rest, both in the loop of the test.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import ssl
import struct
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import brotli
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

KEY_ID = "a-key-id"
SECRET = "a-secret-of-the-project"
CODE = "AN-IDENTITY-CODE"
APP_ID = 1_700_000_000_001
ROOM = 268_001
HEAD = ">I2H2I"

CERTIFICATE = Path(__file__).with_name("localhost.pem")
"""For 127.0.0.1, with its key, made for these tests alone; good for a hundred years from 2026."""


def _tls() -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATE)
    return context


# -- frames ---------------------------------------------------------------------------------------------------------


def packet(body: bytes, operation: int = 5, version: int = 0) -> bytes:
    return struct.pack(HEAD, 16 + len(body), 16, version, operation, 0) + body


def message(command: str, **data: Any) -> bytes:
    """A plain packet with one command of the platform."""
    told = {"cmd": f"LIVE_OPEN_PLATFORM_{command}", "data": data}
    return packet(json.dumps(told, ensure_ascii=False).encode())


def with_zlib(*packets: bytes) -> bytes:
    return packet(zlib.compress(b"".join(packets)), version=2)


def with_brotli(*packets: bytes) -> bytes:
    return packet(brotli.compress(b"".join(packets), quality=4), version=3)


def zlib_bomb(size: int = 64 << 20) -> bytes:
    return packet(zlib.compress(bytes(size), 9), version=2)


def brotli_bomb(size: int = 64 << 20) -> bytes:
    return packet(brotli.compress(bytes(size), quality=1), version=3)


def viewer(number: int) -> dict[str, Any]:
    return {
        "open_id": f"open-{number}",
        "uid": 0,
        "uname": f"观众{number}",
        "fans_medal_name": "粉丝",
        "fans_medal_level": number % 30,
        "fans_medal_wearing_status": True,
        "guard_level": number % 4,
        "room_id": ROOM,
    }


def comment(number: int, text: str = "主播好", **more: Any) -> bytes:
    return message("DM", **viewer(number), msg_id=f"dm-{number}", msg=text, timestamp=1_700_000_000, **more)


def gift(number: int, *, each: int = 1000, count: int = 1, paid: bool = True, **more: Any) -> bytes:
    fields = {"gift_name": "小花花", "gift_num": count, "price": each, "r_price": each, "paid": paid}
    known = {"msg_id": f"gift-{number}", "timestamp": 1_700_000_000}
    return message("SEND_GIFT", **{**viewer(number), **fields, **known, **more})


def guard(number: int, **more: Any) -> bytes:
    told = viewer(number)
    who = {name: told.pop(name) for name in ("open_id", "uid", "uname")}
    fields = {"guard_level": 3, "guard_num": 1, "guard_unit": "月", "price": 198_000, "timestamp": 1_700_000_000}
    return message("GUARD", **{**told, **fields, "user_info": who, "msg_id": f"guard-{number}", **more})


def super_chat(number: int, text: str = "今天吃什么？", *, yuan: float = 30, **more: Any) -> bytes:
    fields = {"message_id": number, "message": text, "rmb": yuan, "msg_id": f"m-{number}", **more}
    return message("SUPER_CHAT", **viewer(number), timestamp=1_700_000_000, **fields)


# -- the server -----------------------------------------------------------------------------------------------------


class BilibiliServer:
    """Behaviour by attribute, set at any time:

    `refuse[path]`: the codes with which the next calls of that path are refused, one after the other. `let_in`: the
    code of the answer to an introduction. `mute`: beats and introductions stay unanswered. `hang`: requests stay
    unanswered; `slow`: they are answered so many seconds late. `echo`: an answer to a beat is followed by what the
    client sent, uncounted, as on the real wire. `raw`: instead of its answers, these bytes. `more`: is added to the
    answer to a start. `links`: so many addresses are given for the websocket, of which nobody listens at the first
    `dead_links`.

    `calls` are (path, fields) of every request whose signature was right, `wrong` counts the others; `running` are
    the numbers of the sessions that live, `beats` counts those of the websocket, `sockets` are the open ones.
    """

    def __init__(self, *, tls: bool = False) -> None:
        """`tls`: by the certificate `CERTIFICATE`, which nobody trusts who is not told to."""
        self._tls = _tls() if tls else None
        self.refuse: dict[str, list[int]] = {}
        self.let_in = 0
        self.mute = self.hang = False
        self.slow = 0.0
        self.echo = True
        self.raw: bytes | None = None
        self.more: dict[str, Any] = {}
        self.links, self.dead_links = 1, 0
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.wrong = 0
        self.running: set[str] = set()
        self.started = 0
        self.beats = 0
        self.sockets: set[ServerConnection] = set()
        self.auths: list[bytes] = []
        self.port = self.socket_port = 0
        self._http: asyncio.Server | None = None
        self._ws: Server | None = None
        self._nonces: set[str] = set()
        self._clients: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"http{'s' if self._tls else ''}://127.0.0.1:{self.port}"

    def called(self, path: str) -> int:
        return sum(name == path for name, _ in self.calls)

    async def __aenter__(self) -> Self:
        self._http = await asyncio.start_server(self._client, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._http.sockets[0].getsockname()[1]
        self._ws = await serve(
            self._talk, "127.0.0.1", 0, ssl=self._tls, ping_interval=None, close_timeout=0.1, max_size=1 << 16
        )
        self.socket_port = next(iter(self._ws.sockets)).getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._http is not None
        assert self._ws is not None
        self._http.close()
        for task in self._clients:
            task.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)
        self.drop()
        self._ws.close()
        await self._ws.wait_closed()

    # -- what happens in the room ------------------------------------------------------------------------------------

    async def send(self, *frames: bytes | str) -> None:
        for socket in list(self.sockets):
            with suppress(ConnectionClosed):
                for frame in frames:
                    await socket.send(frame)

    def pour(self, frame: bytes) -> None:
        """Sends it again and again, as fast as it is taken, until the connection ends."""

        async def pouring(socket: ServerConnection) -> None:
            with suppress(ConnectionClosed):
                while True:
                    await socket.send(frame)
                    await asyncio.sleep(0)  # the sockets' own buffers would take megabytes at one go

        for socket in self.sockets:
            task = asyncio.ensure_future(pouring(socket))
            self._clients.add(task)
            task.add_done_callback(self._clients.discard)

    def drop(self) -> None:
        """Breaks every websocket off, without a goodbye."""
        for socket in list(self.sockets):
            socket.transport.abort()

    def expire(self) -> None:
        """Forgets the sessions: their next heartbeat is refused with 7003."""
        self.running.clear()

    async def end_interaction(self) -> None:
        for number in sorted(self.running):
            await self.send(message("INTERACTION_END", game_id=number, timestamp=1_700_000_000))
        self.running.clear()

    # -- the requests ------------------------------------------------------------------------------------------------

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                lines = head.split("\r\n")
                headers = {
                    name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])
                }
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                if self.hang:
                    await asyncio.Event().wait()
                answer = (
                    self.raw
                    if self.raw is not None
                    else json.dumps(self._answer(lines[0].split()[1], headers, body)).encode()
                )
                await asyncio.sleep(self.slow)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(answer), answer))
                await writer.drain()
        except (asyncio.CancelledError, ConnectionError, asyncio.IncompleteReadError):
            pass  # the client left, or the test is over
        finally:
            self._clients.discard(task)
            writer.close()

    def _answer(self, path: str, headers: dict[str, str], body: bytes) -> dict[str, Any]:
        code = self._checked(headers, body)
        if code:
            self.wrong += 1
            return {"code": code, "message": f"wrong {SECRET} {headers.get('authorization')}"}
        fields = json.loads(body)
        self.calls.append((path, fields))
        if self.refuse.get(path):
            return {"code": self.refuse[path].pop(0), "message": f"no {SECRET} {CODE}", "request_id": "1"}
        match path:
            case "/v2/app/start":
                return self._start(fields)
            case "/v2/app/heartbeat" if fields.get("game_id") in self.running:
                return {"code": 0, "data": {}}
            case "/v2/app/end" if fields.get("game_id") in self.running and fields.get("app_id") == APP_ID:
                self.running.discard(fields["game_id"])
                return {"code": 0, "data": {}}
            case "/v2/app/heartbeat" | "/v2/app/end":
                return {"code": 7003}
        return {"code": 4010}

    def _checked(self, headers: dict[str, str], body: bytes) -> int:
        signed = sorted(name for name in headers if name.startswith("x-bili-"))
        text = "\n".join(f"{name}:{headers[name]}" for name in signed)
        nonce = headers.get("x-bili-signature-nonce", "")
        if headers.get("x-bili-accesskeyid") != KEY_ID:
            return 4001
        if headers.get("x-bili-content-md5") != hashlib.md5(body).hexdigest():
            return 4012
        if headers.get("authorization") != hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).hexdigest():
            return 4002
        if not nonce or nonce in self._nonces:
            return 4004
        if headers.get("accept") != "application/json" or headers.get("content-type") != "application/json":
            return 4011
        self._nonces.add(nonce)
        return 0

    def _start(self, fields: dict[str, Any]) -> dict[str, Any]:
        if fields.get("code") != CODE:
            return {"code": 7007}
        if fields.get("app_id") != APP_ID:
            return {"code": 8002}
        if self.running:
            return {"code": 7002}
        self.started += 1
        number = f"game-{self.started}"
        self.running.add(number)
        ports = [1 if each < self.dead_links else self.socket_port for each in range(self.links)]
        links = [f"ws{'s' if self._tls else ''}://127.0.0.1:{port}/sub" for port in ports]
        return {
            "code": 0,
            "message": "0",
            "data": {
                "game_info": {"game_id": number},
                "websocket_info": {"auth_body": json.dumps({"key": f"{SECRET}-{number}"}), "wss_link": links},
                "anchor_info": {"room_id": ROOM, "uid": 0, "open_id": "host", "uname": "主播"},
                **self.more,
            },
        }

    # -- the websocket -----------------------------------------------------------------------------------------------

    async def _talk(self, socket: ServerConnection) -> None:
        try:
            async for frame in socket:
                assert isinstance(frame, bytes)
                await self._heard(socket, frame)
        except ConnectionClosed:
            pass
        finally:
            self.sockets.discard(socket)

    async def _heard(self, socket: ServerConnection, frame: bytes) -> None:
        length, head, _, operation, _ = struct.unpack_from(HEAD, frame)
        assert (length, head) == (len(frame), 16)
        if operation == 7:
            self.auths.append(frame[16:])
        if operation == 2:
            self.beats += 1
        if self.mute:
            return
        if operation == 7:
            known = json.loads(frame[16:])["key"].removeprefix(f"{SECRET}-") in self.running
            await socket.send(packet(json.dumps({"code": self.let_in if known else -101}).encode(), 8, 1))
            if known and not self.let_in:
                self.sockets.add(socket)
        if operation == 2:
            echo = b"[object Object]" if self.echo else b""
            await socket.send(packet(struct.pack(">I", 2466), 3, 1) + echo)
