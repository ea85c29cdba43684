"""A real PostgreSQL server of the tests' own, in a temporary folder, reached by a UNIX socket only."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

START_SECONDS = 30.0


def binary(name: str) -> str | None:
    """In the PATH, or where Debian keeps them."""
    found = shutil.which(name)
    if found is not None:
        return found
    return next((str(path) for path in sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)), None)


def missing() -> str:
    """Why there can be no server here, or empty."""
    if binary("postgres") is None or binary("initdb") is None:
        return "there is no postgres and initdb (apt-get install postgresql)"
    if os.getuid() == 0 and _unprivileged() is None:
        return "this is root, and there is no other user to run a server as"
    return ""


def _unprivileged() -> str | None:
    known = {user.pw_name for user in pwd.getpwall()}
    return next((name for name in ("postgres", "nobody") if name in known), None)


class PostgresServer:
    """Call `start`, which may be called again after `kill`. Users: "boss" (may do anything), others by `execute`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._data = folder / "data"
        user = _unprivileged() if os.getuid() == 0 else None
        self._as: dict[str, Any] = (
            {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []} if user else {}
        )
        if user:
            shutil.chown(folder, user)
        self._process: subprocess.Popen[bytes] | None = None
        initdb = [
            str(binary("initdb")), "-D", str(self._data), "-U", "boss", "-N", "--no-locale", "-E", "UTF8",
            "--auth-local=scram-sha-256", "--auth-host=reject", f"--pwfile={self._password()}",
        ]  # fmt: skip
        subprocess.run(
            initdb, check=True, capture_output=True, cwd=folder, env={"PATH": os.environ["PATH"]}, **self._as
        )

    def _password(self) -> Path:
        path = self.folder / "password"
        path.write_text("geheim-4711")
        path.chmod(0o644)
        return path

    @property
    def url(self) -> str:
        return self.address()

    def address(self, user: str = "boss", password: str = "geheim-4711", database: str = "postgres") -> str:
        return f"postgresql://{user}:{password}@localhost/{database}?host={self.folder}"

    @contextmanager
    def encrypted(self, port: int) -> Iterator[Path]:
        """Restarted to listen at 127.0.0.1 instead, encrypted only, as "localhost"; the file that vouches for it."""
        key, certificate, access = (self._data / name for name in ("server.key", "server.crt", "pg_hba.conf"))
        subprocess.run(
            [
                "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
                "-keyout", str(key), "-out", str(certificate),
            ],
            check=True, capture_output=True, **self._as,
        )  # fmt: skip
        before = access.read_text()
        access.write_text("hostssl all all 127.0.0.1/32 scram-sha-256\n")
        self.stop()
        try:
            self.start("127.0.0.1", "-c", "ssl=on", "-c", f"port={port}")
            yield certificate
        finally:
            self.stop()
            access.write_text(before)
            self.start()

    def start(self, listen: str = "", *more: str) -> None:
        options = [
            "-k",
            str(self.folder),
            "-h",
            listen,
            *more,
            "-F",
            "-c",
            "max_connections=20",
            "-c",
            "shared_buffers=16MB",
        ]
        command = [str(binary("postgres")), "-D", str(self._data), *options]
        with (self.folder / "server.log").open("ab") as output:
            self._process = subprocess.Popen(
                command, stdout=output, stderr=output, cwd=self.folder, env={"PATH": os.environ["PATH"]}, **self._as
            )
        until = time.monotonic() + START_SECONDS
        while not self._ready():
            if self._process.poll() is not None or time.monotonic() > until:
                raise RuntimeError((self.folder / "server.log").read_text(errors="replace")[-2000:])
            time.sleep(0.02)

    def kill(self) -> None:
        """As if the machine had stopped: no goodbye to anybody."""
        self._end(signal.SIGQUIT)

    def stop(self) -> None:
        self._end(signal.SIGINT)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(START_SECONDS)
            self._process = None

    def _ready(self) -> bool:
        status = self._data / "postmaster.pid"
        try:
            lines = status.read_text().splitlines()
        except OSError:
            return False
        mine = self._process is not None and lines[:1] == [str(self._process.pid)]
        return mine and lines[-1].strip() == "ready"


@contextmanager
def postgres() -> Iterator[PostgresServer]:
    """A running server; everything of it is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="bc-pg-"))
    try:
        server = PostgresServer(folder)
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
