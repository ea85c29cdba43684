"""Two hubs of models on loopback that speak the real ones' wire formats, and break as told.

In threads of their own, because the hubs' client libraries block.
"""

from __future__ import annotations

import hashlib
import json
import socket
import struct
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Final, Self
from urllib.parse import parse_qs, unquote, urlsplit

COMMIT: Final = "0123456789abcdef0123456789abcdef01234567"

SMALL: Final = 10_000
"""Bytes from which on a file is in large-file storage, behind a redirect to another address."""


@dataclass
class HubServer:
    """`repositories`: name -> path -> content. Faults are looked up by path.

    `cut`: the connection breaks (once) after so many bytes of the answer's body. `declared`: a sha256 that is
    declared whatever the content has. `sent`: what is sent instead of the content. `status`: of every answer.
    """

    repositories: dict[str, dict[str, bytes]]
    name: str = ""
    """Of the hub it stands for, as `--hub` names it."""
    cut: dict[str, int] = field(default_factory=dict)
    declared: dict[str, str] = field(default_factory=dict)
    sent: dict[str, bytes] = field(default_factory=dict)
    status: int = 200
    requests: list[str] = field(default_factory=list)
    """"GET /path?query" with " [range]" behind it."""
    tokens: list[str] = field(default_factory=list)
    """Of the header Authorization, at the hub itself."""
    strangers: list[str] = field(default_factory=list)
    """The same at the other address that large files are redirected to; must stay empty."""

    def __enter__(self) -> Self:
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                hub.answer(self)

            do_HEAD = do_GET

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def storage(self) -> str:
        """The same server under another name: where a hub keeps large files."""
        return f"http://localhost:{self._server.server_port}"

    def ranges(self, path: str) -> list[str]:
        """What was asked of a file's content: "" or the range."""
        asked = [each for each in self.requests if each.startswith("GET ") and path in unquote(each)]
        return [each.partition(" [")[2].removesuffix("]") for each in asked if "/api/models/" not in each]

    # -- what both share ------------------------------------------------------------------------------------------

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        asked = request.headers.get("Range", "")
        self.requests.append(f"{request.command} {request.path}" + (f" [{asked}]" if asked else ""))
        foreign = request.headers.get("Host", "").startswith("localhost")
        if token := request.headers.get("Authorization"):
            (self.strangers if foreign else self.tokens).append(token)
        if self.status != 200:
            self.say(request, self.status, self.refusal(self.status))
            return
        parts = urlsplit(request.path)
        self.route(request, unquote(parts.path), {name: values[0] for name, values in parse_qs(parts.query).items()})

    def route(self, request: BaseHTTPRequestHandler, path: str, query: dict[str, str]) -> None:
        raise NotImplementedError

    def refusal(self, status: int) -> dict[str, Any]:
        raise NotImplementedError

    def sha256(self, path: str, content: bytes) -> str:
        return self.declared.get(path) or hashlib.sha256(content).hexdigest()

    def say(
        self, request: BaseHTTPRequestHandler, status: int, data: object, headers: dict[str, str] | None = None
    ) -> None:
        body = json.dumps(data).encode()
        request.send_response(status)
        for name, value in ({"Content-Type": "application/json"} | (headers or {})).items():
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(body)

    def send_file(self, request: BaseHTTPRequestHandler, path: str, content: bytes, headers: dict[str, str]) -> None:
        content = self.sent.get(path, content)
        start = int(request.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")[0])
        body = content[start:]
        request.send_response(206 if "Range" in request.headers else 200)
        if "Range" in request.headers:
            request.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        for name, value in headers.items():
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        if request.command == "HEAD":
            return
        cut = self.cut.pop(path, None)
        request.wfile.write(body[:cut])
        if cut is not None:
            request.wfile.flush()
            linger = struct.pack("ii", 1, 0)
            request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            request.close_connection = True
            request.connection.shutdown(socket.SHUT_RD)
            request.connection.close()


class HuggingFaceServer(HubServer):
    """`/api/models/ID?blobs=true`, `/ID/resolve/REVISION/PATH`; large files are redirected to a signed address."""

    def route(self, request: BaseHTTPRequestHandler, path: str, query: dict[str, str]) -> None:
        if path.startswith("/api/models/"):
            self._info(request, path.removeprefix("/api/models/"))
            return
        if path.startswith("/storage/"):
            repository, _, name = path.removeprefix("/storage/").partition(":")
            self.send_file(request, name, self.repositories[repository][name], {})
            return
        repository, _, rest = path.removeprefix("/").partition("/resolve/")
        name = rest.partition("/")[2]
        content = self.repositories.get(repository, {}).get(name)
        if content is None:
            self.say(request, 404, {"error": "Entry not found"}, {"X-Error-Code": "EntryNotFound"})
            return
        headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{_blob(content)}"'}
        if len(content) < SMALL:
            self.send_file(request, name, content, headers)
            return
        headers |= {
            "X-Linked-Etag": f'"{self.sha256(name, content)}"',
            "X-Linked-Size": str(len(content)),
            "Location": f"{self.storage}/storage/{repository}:{name}",
        }
        self.say(request, 302, {}, headers)

    def _info(self, request: BaseHTTPRequestHandler, repository: str) -> None:
        files = self.repositories.get(repository)
        if files is None:  # so the real one answers who is not logged in
            self.say(request, 401, {"error": "Invalid username or password."}, {"X-Error-Code": "RepoNotFound"})
            return
        siblings = []
        for name, content in files.items():
            sibling: dict[str, Any] = {"rfilename": name, "size": len(content), "blobId": _blob(content)}
            if len(content) >= SMALL:
                sibling["lfs"] = {"sha256": self.sha256(name, content), "size": len(content), "pointerSize": 134}
            siblings.append(sibling)
        self.say(request, 200, {"id": repository, "modelId": repository, "sha": COMMIT, "siblings": siblings})

    def refusal(self, status: int) -> dict[str, Any]:
        return {"error": "refused"}


class ModelScopeServer(HubServer):
    """`/api/v1/models/ID/repo/files` and `/api/v1/models/ID/repo?Revision=&FilePath=`."""

    def route(self, request: BaseHTTPRequestHandler, path: str, query: dict[str, str]) -> None:
        prefix = "/api/v1/models/"
        if not path.startswith(prefix):
            self.say(request, 200, {"Code": 200, "Data": {}})
            return
        repository, _, verb = path.removeprefix(prefix).partition("/repo")
        files = self.repositories.get(repository)
        if files is None:
            self.say(request, 404, {"Code": 10010205001, "Message": "the model does not exist"})
        elif verb == "/files":
            listed = [
                {"Path": name, "Name": name.rpartition("/")[2], "Type": "blob", "Size": len(content),
                 "Sha256": self.sha256(name, content), "Revision": COMMIT, "IsLFS": len(content) >= SMALL}
                for name, content in files.items()
            ]  # fmt: skip
            folders = sorted({name.rpartition("/")[0] for name in files} - {""})
            listed += [{"Path": each, "Name": each, "Type": "tree", "Size": 0, "Sha256": ""} for each in folders]
            self.say(request, 200, {"Code": 200, "Success": True, "Data": {"Files": listed}})
        elif query.get("FilePath") in files:
            name = query["FilePath"]
            self.send_file(request, name, files[name], {"X-Linked-Etag": f'"{self.sha256(name, files[name])}"'})
        else:
            self.say(request, 404, {"Code": 10010205002, "Message": "the file does not exist"})

    def refusal(self, status: int) -> dict[str, Any]:
        return {"Code": status, "Message": "refused", "Success": False}


def _blob(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
