"""The real parent with the scripted children of `tests/fakes/children.py`, in a temporary directory."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil
import yaml

from tests.fakes import children
from tests.fakes.children import Script

ROLES = ("playout", "head", "voice", "director")


class Daemon:
    """Context manager; everything that it started is gone after it, by pid."""

    def __init__(self, folder: Path, scripts: dict[str, Script] | None = None, notify: Path | None = None) -> None:
        self.folder = folder
        self.config_path = folder / "config.yaml"
        self.config: dict[str, Any] = {
            "channel": "t",
            "state_dir": str(folder / "s"),
            "sinks": [{"type": "null", "name": "null"}],
        }
        self.write_config()
        for role, script in (scripts or {}).items():
            children.write_script(folder, role, script)
        self._environment = {**os.environ, children.FOLDER: str(folder)}
        self._environment.pop("NOTIFY_SOCKET", None)
        if notify is not None:
            self._environment["NOTIFY_SOCKET"] = str(notify)
        self.process: subprocess.Popen[bytes]

    def write_config(self, **changes: object) -> None:
        self.config_path.write_text(yaml.safe_dump({**self.config, **changes}))

    def start(self) -> None:
        self.process = self.spawn(self.folder / "daemon.log")

    def spawn(self, log: Path) -> subprocess.Popen[bytes]:
        with log.open("ab") as file:
            return subprocess.Popen(
                [sys.executable, children.__file__, "parent", str(self.config_path)],
                stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=self._environment,
            )  # fmt: skip

    def __enter__(self) -> Self:
        self.start()
        try:
            self.until(lambda: all(self.beats(role) for role in ROLES), "all children to run")
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, err: BaseException | None, tb: TracebackType | None) -> None:
        self._end()
        if kind is not None:
            print(self.log())

    def _end(self) -> None:
        pids = [pid for role in ROLES for pid in self.pids(role)]
        pids += [int(event[1]) for role in ROLES for event in self.events(role, "grandchild")]
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        for pid in pids:
            if alive(pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def log(self) -> str:
        return (self.folder / "daemon.log").read_text(errors="replace")

    def events(self, role: str, kind: str) -> list[list[str]]:
        return [event for event in children.events(self.folder, role) if event[0] == kind]

    def notices(self, event: str) -> list[tuple[str, str]]:
        """(role, detail) of the notices that the director got, in order."""
        return [(found[2], found[3]) for found in self.events("director", "notice") if found[1] == event]

    def pids(self, role: str) -> list[int]:
        return children.pids(self.folder, role)

    def pid(self, role: str) -> int:
        return self.pids(role)[-1]

    def beats(self, role: str) -> bool:
        """The parent has seen it ready since its last start."""
        started = self.log().rfind(f"child started role={role} pid={self.pid(role)} ") if self.pids(role) else -1
        return started >= 0 and f"child is ready role={role}" in self.log()[started:]

    def running(self) -> set[int]:
        """Pids of all children that are alive."""
        return {pid for role in ROLES for pid in self.pids(role) if alive(pid)}

    def until(self, true: Callable[[], bool], what: str, timeout: float = 20.0) -> None:
        deadline = time.monotonic() + timeout
        while not true():
            if time.monotonic() > deadline:
                raise TimeoutError(f"waited {timeout} s for {what}\n{self.log()}")
            time.sleep(0.02)

    def restarted(self, role: str, times: int = 1) -> None:
        """Waits until the role has been started 1 + `times` times and is ready."""
        self.until(lambda: len(self.pids(role)) == 1 + times and self.beats(role), f"{role} to be back")


def alive(pid: int) -> bool:
    """It exists and is no zombie."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


class Manager:
    """The service manager's end of $NOTIFY_SOCKET: a datagram socket that keeps what it heard."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.setblocking(False)
        self.heard: list[str] = []

    def listen(self) -> list[str]:
        """Everything heard so far, in order."""
        with contextlib.suppress(BlockingIOError):
            while True:
                self.heard.append(self._socket.recv(65536).decode())
        return self.heard

    def since(self, mark: int) -> list[str]:
        return self.listen()[mark:]

    def close(self) -> None:
        self._socket.close()


@contextlib.contextmanager
def manager(folder: Path) -> Iterator[Manager]:
    made = Manager(folder / "notify")
    try:
        yield made
    finally:
        made.close()
