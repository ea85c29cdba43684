"""A whole daemon in a temporary directory: its own parent and children, talked to over the control socket.

Everything it started is ended at exit, by process id. The state directory's path is short on purpose (UNIX
sockets), and its cache is shared by all channels of a machine, so that an avatar is expanded once.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil
import yaml
from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, unix_connect

from tests.support.net import free_port

START_TIMEOUT_S = 90.0
STOP_TIMEOUT_S = 12.0
SMALL = {"width": 640, "height": 360, "fps": 25, "bitrate_kbps": 800, "preset": "ultrafast", "threads": 1}
"""A picture that costs little, for tests of everything but the picture."""
ROLES = ("director", "voice", "head", "playout")
AVATAR = Path(__file__).resolve().parents[2] / "avatars" / "host"
"""The avatar that a channel shows unless its configuration says otherwise."""
Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Heard:
    """One event of the websocket and when it came (time.monotonic_ns)."""

    at_ns: int
    event: Event


class Channel:
    """Context manager: `with Channel(sinks=[rtmp("main", url)]) as channel: channel.say("你好")`.

    `settings` are merged over the configuration key by key; `env` is added to the environment; `prefix` is
    put before the command (faketime). With `start=False` only the configuration is written.
    """

    def __init__(
        self,
        *,
        sinks: Sequence[Mapping[str, Any]] = (),
        voice: str = "tone",
        head: str = "warp",
        settings: Mapping[str, Any] | None = None,
        env: Mapping[str, str] | None = None,
        start: bool = True,
    ) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="bc-"))
        self.config_path = self.root / "config.yaml"
        self.port = free_port()
        self.config: dict[str, Any] = {
            "channel": "t",
            "state_dir": str(self.root),
            "video": dict(SMALL),
            "voice": {"engine": voice, "cache_mb": 0},  # a voice that answers from the cache would test nothing
            "head": {"engine": head},
            "console": {"port": self.port, "messages_per_minute": 60_000},
            "sinks": [dict(sink) for sink in sinks] or [{"type": "null", "name": "null"}],
        }
        _merge(self.config, settings or {})
        self.run = self.root / "t" / "run"
        self.control_socket = self.run / "control.sock"
        self.heard: list[Heard] = []
        self.process: subprocess.Popen[bytes] | None = None
        self._env = dict(env or {})
        self._start = start
        self._websocket: ClientConnection | None = None
        self._sockets = contextlib.ExitStack()
        self._news = threading.Condition()
        self._refs = 0
        self._closing = threading.Event()

    def __enter__(self) -> Self:
        shared = Path(tempfile.gettempdir(), f"bc-test-cache-{os.getuid()}")
        shared.mkdir(mode=0o700, exist_ok=True)
        (self.root / "cache").symlink_to(shared)
        self.write_config()
        if self._start:
            try:
                self.start()
            except BaseException:
                self._end(failed=True)
                raise
        return self

    def __exit__(self, kind: type[BaseException] | None, err: BaseException | None, tb: TracebackType | None) -> None:
        self._end(failed=kind is not None)

    def write_config(self) -> None:
        self.config_path.write_text(yaml.safe_dump(self.config, allow_unicode=True))

    def start(self, *, wait: bool = True) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("BROADCASTER_")}
        environment.update(self._env)
        with (self.root / "daemon.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "broadcaster.cli", "run", "-c", str(self.config_path)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=environment,
                start_new_session=True,
            )  # fmt: skip
        if wait:
            self.wait_ready()

    def wait_ready(self, timeout: float = START_TIMEOUT_S) -> None:
        self.until(lambda: self.get("/health/ready")[0] == 200, timeout, "the channel is ready")
        self.connect()

    def connect(self) -> None:
        """(Again) listens to the events; a director that was restarted needs a new connection."""
        self.disconnect()
        opened = unix_connect(str(self.control_socket), "ws://localhost/ws", open_timeout=10, max_size=None)
        self._websocket = self._sockets.enter_context(opened)
        threading.Thread(target=self._listen, args=(self._websocket,), daemon=True).start()

    def disconnect(self) -> None:
        self._websocket = None
        with contextlib.suppress(WebSocketException, OSError):
            self._sockets.close()

    # What an operator does

    def say(self, text: str, timeout: float = 10.0) -> str:
        """Id of the accepted prompt. Raises RuntimeError when it was refused."""
        return self._prompt("say", text, timeout)

    def ask(self, text: str, timeout: float = 10.0) -> str:
        return self._prompt("ask", text, timeout)

    def interrupt(self) -> int:
        """Returns time.monotonic_ns just before the socket write."""
        return self.send({"type": "interrupt"})

    def panic(self) -> int:
        return self.send({"type": "panic"})

    def resume(self) -> int:
        return self.send({"type": "resume"})

    def send(self, message: Event) -> int:
        assert self._websocket is not None
        data = json.dumps(message)
        at = time.monotonic_ns()
        self._websocket.send(data)
        return at

    def status(self) -> dict[str, Any]:
        """/api/status. Raises OSError while the director is away."""
        code, body = self.get("/api/status")
        if code != 200:
            raise ConnectionError(f"/api/status answered {code}")
        answer: dict[str, Any] = json.loads(body)
        return answer

    def sink(self, name: str) -> dict[str, Any]:
        """The status of one sink; raises KeyError when there is none of that name."""
        for sink in self.status()["sinks"]:
            if sink["name"] == name:
                return dict(sink)
        raise KeyError(name)

    def asrun(self, limit: int = 50) -> list[dict[str, Any]]:
        """The as-run log over the control socket, newest first."""
        code, body = self.get(f"/api/asrun?limit={limit}")
        if code != 200:
            raise ConnectionError(f"/api/asrun answered {code}")
        answer = json.loads(body)
        rows: list[dict[str, Any]] = answer["rows"] if isinstance(answer, dict) else answer
        return rows

    def sink_command(self, **command: Any) -> dict[str, Any]:
        """`wire.SinkCommand` without its request: action, name, settings. Raises RuntimeError when refused."""
        code, body = self.request("POST", "/api/sinks", command)
        if code >= 300:
            raise RuntimeError(f"/api/sinks answered {code}: {body.decode(errors='replace')}")
        answer: dict[str, Any] = json.loads(body)
        return answer

    def get(self, path: str) -> tuple[int, bytes]:
        return self.request("GET", path)

    def request(self, method: str, path: str, body: Event | None = None) -> tuple[int, bytes]:
        """Over the control socket. Raises OSError when nobody answers."""
        connection = _UnixHttp(str(self.control_socket))
        try:
            data = None if body is None else json.dumps(body)
            connection.request(method, path, data, {"Content-Type": "application/json"} if data else {})
            answer = connection.getresponse()
            return answer.status, answer.read()
        except http.client.HTTPException as err:
            raise ConnectionError(str(err)) from err
        finally:
            connection.close()

    # Waiting

    def events(self, kind: str, prompt: str | None = None) -> list[Heard]:
        """Events of a type so far, of one prompt if its id is given."""
        found = [heard for heard in list(self.heard) if heard.event.get("type") == kind]
        return [heard for heard in found if prompt is None or heard.event.get("id") == prompt]

    def wait_event(self, kind: str, prompt: str | None = None, timeout: float = 60.0) -> Heard:
        """The first event of this type (of this prompt), whenever it came."""
        found: list[Heard] = []

        def arrived() -> bool:
            found[:] = self.events(kind, prompt)
            return bool(found)

        with self._news:
            if not self._news.wait_for(arrived, timeout):
                seen = [heard.event.get("type") for heard in self.heard][-20:]
                raise TimeoutError(f"no {kind} event of {prompt} in {timeout} s; the last were {seen}\n{self.log()}")
        return found[0]

    def until(self, true: Callable[[], bool], timeout: float = 30.0, what: str = "the condition") -> None:
        """Polls `true`, taking OSError and KeyError (nothing of that name) as "not yet".

        Raises TimeoutError, and RuntimeError when the daemon ended.
        """
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError, KeyError):
                if true():
                    return
            if self.process is not None and self.process.poll() is not None:
                raise RuntimeError(f"the daemon ended with {self.process.returncode}:\n{self.log()}")
            time.sleep(0.05)
        raise TimeoutError(f"{what}: not in {timeout} s\n{self.log()}")

    # Its processes

    def pids(self, role: str) -> list[int]:
        """Processes of a role: director, voice, head, playout, sink."""
        return [pid for pid, found in self.processes().items() if found == role]

    def processes(self) -> dict[int, str]:
        """Process id -> role of everything under the parent, which is "parent" itself."""
        assert self.process is not None
        found: dict[int, str] = {}
        with contextlib.suppress(psutil.NoSuchProcess):
            parent = psutil.Process(self.process.pid)
            found[parent.pid] = "parent"
            for child in parent.children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    found[child.pid] = _role(child.cmdline())
        return found

    def pid(self, role: str) -> int:
        pids = self.pids(role)
        assert len(pids) == 1, f"{role}: {pids}"
        return pids[0]

    def kill(self, role: str, sig: int = signal.SIGKILL) -> int:
        """Signals the one process of a role; returns its id."""
        pid = self.pid(role)
        os.kill(pid, sig)
        return pid

    def log(self, lines: int = 60) -> str:
        path = self.root / "daemon.log"
        text = path.read_text(errors="replace") if path.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    def stop(self, timeout: float = STOP_TIMEOUT_S) -> int:
        """SIGTERM, and the exit status."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(timeout)

    # The rest

    def _prompt(self, kind: str, text: str, timeout: float) -> str:
        self._refs += 1
        ref = f"r{self._refs}"
        self.send({"type": kind, "text": text, "ref": ref})
        with self._news:
            if not self._news.wait_for(lambda: any(h.event.get("ref") == ref for h in self.heard), timeout):
                raise TimeoutError(f"no answer to {kind} in {timeout} s\n{self.log()}")
        answer = next(h.event for h in self.heard if h.event.get("ref") == ref)
        if answer["type"] != "accepted":
            raise RuntimeError(f"{kind} was refused: {answer}")
        return str(answer["id"])

    def _listen(self, websocket: ClientConnection) -> None:
        with contextlib.suppress(WebSocketException, OSError):
            for message in websocket:
                heard = Heard(time.monotonic_ns(), json.loads(message))
                with self._news:
                    self.heard.append(heard)
                    self._news.notify_all()

    def _end(self, *, failed: bool) -> None:
        self.disconnect()
        if self.process is not None:
            known = list(self.processes())
            if self.process.poll() is None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.stop()
            for pid in known:
                with contextlib.suppress(ProcessLookupError):
                    if _alive(pid, self.root):
                        os.kill(pid, signal.SIGKILL)
            self.process.wait(STOP_TIMEOUT_S)
        if failed:
            print(f"--- the daemon's log\n{self.log(120)}")
        shutil.rmtree(self.root, ignore_errors=True)


def rtmp(name: str, url: str, **more: Any) -> dict[str, Any]:
    """A sink of a configuration; `url` with its key at the end."""
    return {"type": "rtmp", "name": name, "url": url, **more}


class _UnixHttp(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=10)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _role(command: list[str]) -> str:
    if "sinks.child" in command:
        return "sink"
    if "broadcaster.app" in command:
        after = command[command.index("broadcaster.app") + 1 :]
        return next((word for word in after if word in ROLES), "other")
    return "other"


def _alive(pid: int, root: Path) -> bool:
    """Whether `pid` still is one of ours: process ids are used again."""
    try:
        words = [*psutil.Process(pid).cmdline(), *_environment(pid)]
    except psutil.NoSuchProcess:
        return False
    return any(str(root) in word or "broadcaster.app" in word or "sinks.child" in word for word in words)


def _environment(pid: int) -> Iterator[str]:
    with contextlib.suppress(psutil.Error):
        yield from psutil.Process(pid).environ().values()


def _merge(into: dict[str, Any], over: Mapping[str, Any]) -> None:
    for key, value in over.items():
        if isinstance(value, Mapping) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value
