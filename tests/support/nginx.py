"""A real nginx with its RTMP module on free loopback ports, as a foreground child ended by its own pid.

`live` takes everybody and copies metadata; every publish of both applications is asked of a small HTTP
server in this process, which writes it down and answers 403 to the keys in `rejected`.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Collection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.support.net import free_port, wait_for_port

MODULES = Path("/usr/lib/nginx/modules")
REJECTED_KEY = "k-rejected-0815"


def nginx_missing(*, tls: bool = False) -> str:
    """Why nginx cannot be used here; empty when it can."""
    if shutil.which("nginx") is None and not Path("/usr/sbin/nginx").exists():
        return "nginx is not installed (apt-get install nginx libnginx-mod-rtmp)"
    if not (MODULES / "ngx_rtmp_module.so").exists():
        return "nginx has no RTMP module (apt-get install libnginx-mod-rtmp)"
    if tls and not (MODULES / "ngx_stream_module.so").exists():
        return "nginx has no stream module for TLS (apt-get install libnginx-mod-stream)"
    if tls and shutil.which("openssl") is None:
        return "openssl is not installed"
    return ""


class NginxRtmp:
    """Context manager; skips the running test where nginx is not installed."""

    def __init__(self, *, tls: bool = False, rejected: Collection[str] = (REJECTED_KEY,)) -> None:
        self._tls = tls
        self._rejected = frozenset(rejected)
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0
        self.tls_port = 0
        self.publishes: list[str] = []
        """Keys in the order in which they asked to publish, the refused ones too."""

    def __enter__(self) -> Self:
        if reason := nginx_missing(tls=self._tls):
            pytest.skip(reason)
        self.root = Path(tempfile.mkdtemp(prefix="nginx-"))
        self._gate = _gatekeeper(self._rejected, self.publishes)
        threading.Thread(target=self._gate.serve_forever, args=(0.05,), daemon=True).start()
        self.port = free_port()
        self.tls_port = free_port()
        if self._tls:
            self._make_certificate()
        (self.root / "nginx.conf").write_text(self._configuration())
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, err: BaseException | None, tb: TracebackType | None) -> None:
        self.kill()
        self._gate.shutdown()
        self._gate.server_close()
        shutil.rmtree(self.root, ignore_errors=True)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def url(self, key: str = "stream", app: str = "live") -> str:
        return f"rtmp://127.0.0.1:{self.port}/{app}/{key}"

    def tls_url(self, key: str = "stream", app: str = "live") -> str:
        """rtmps:// through nginx's stream module; needs `tls=True`."""
        assert self._tls
        return f"rtmps://127.0.0.1:{self.tls_port}/{app}/{key}"

    def start(self) -> None:
        binary = shutil.which("nginx") or "/usr/sbin/nginx"
        self._process = subprocess.Popen(
            [binary, "-e", f"{self.root}/error.log", "-p", f"{self.root}/", "-c", f"{self.root}/nginx.conf"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            wait_for_port(self.port)
        except TimeoutError:
            raise RuntimeError(f"nginx did not start: {self.log()}") from None

    def kill(self) -> None:
        """Ends it at once, stopped or not; the kernel closes its connections."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        self.kill()
        self.start()

    def pause(self) -> None:
        """SIGSTOP: connections stay open and nothing is read or answered."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def log(self) -> str:
        path = self.root / "error.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def _make_certificate(self) -> None:
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
             "-keyout", f"{self.root}/key.pem", "-out", f"{self.root}/cert.pem"],
            check=True, capture_output=True,
        )  # fmt: skip

    def _configuration(self) -> str:
        gate = f"on_publish http://127.0.0.1:{self._gate.server_port}/publish; notify_method get;"
        stream_module, stream_block = "", ""
        if self._tls:
            stream_module = f"load_module {MODULES}/ngx_stream_module.so;"
            stream_block = f"""
stream {{
    server {{
        listen 127.0.0.1:{self.tls_port} ssl;
        ssl_certificate cert.pem;
        ssl_certificate_key key.pem;
        proxy_pass 127.0.0.1:{self.port};
    }}
}}"""
        return f"""
{stream_module}
load_module {MODULES}/ngx_rtmp_module.so;
daemon off;
master_process off;
pid nginx.pid;
events {{ worker_connections 256; }}
rtmp {{
    server {{
        listen 127.0.0.1:{self.port};
        chunk_size 4096;
        application live {{ live on; meta copy; wait_key on; {gate} }}
        application plain {{ live on; wait_key on; {gate} }}
    }}
}}
{stream_block}
"""


def _gatekeeper(rejected: frozenset[str], publishes: list[str]) -> ThreadingHTTPServer:
    class Gate(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            key = parse_qs(urlsplit(self.path).query).get("name", [""])[0]
            publishes.append(key)
            self.send_response(403 if key in rejected else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    return ThreadingHTTPServer(("127.0.0.1", 0), Gate)
