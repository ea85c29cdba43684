"""What is to be made of a video or a photograph, and the folder in which it grows. Blocking; runs in the command."""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from broadcaster.errors import AssetError, Refused
from broadcaster.head.prepare import writing

if TYPE_CHECKING:
    from broadcaster.head.prepare.seam import Mode

PREPARATION: Final = 1
"""Raised whenever unfinished work of an older program cannot be gone on with."""


class Progress(Protocol):
    """Told what goes on; `total` is None where nobody knows."""

    def stage(self, name: str, total: int | None, done: int) -> None: ...

    def done(self, count: int) -> None: ...


@dataclass(frozen=True, slots=True)
class About:
    """What `avatar.yaml` says besides the files."""

    title: str
    depicts_real_person: bool
    licence: str
    credits: str
    consent: str
    engine: str
    voice: dict[str, str]

    def manifest(self, name: str) -> dict[str, Any]:
        """The part of `avatar.yaml` that both kinds of avatars share; what is empty is left out."""
        lines: dict[str, Any] = {"name": name, "title": self.title, "depicts_real_person": self.depicts_real_person}
        lines |= {"licence": self.licence, "credits": self.credits}
        lines |= {key: value for key, value in (("consent", self.consent), ("engine", self.engine)) if value}
        return lines | ({"voice": self.voice} if self.voice else {})


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be made, and where."""

    source: Path
    name: str
    folder: Path
    """The avatar's folder, which must not exist (or be replaced)."""
    about: About
    fps: int | None = None
    max_height: int = 1080
    begin_s: float = 0.0
    end_s: float | None = None
    loop: Mode = "auto"
    wished_s: float = 20.0
    threads: int = 2
    replace: bool = False

    @property
    def working(self) -> Path:
        return self.folder.with_name(f".preparing-{self.name}")


@contextmanager
def workplace(order: Order, reading: dict[str, Any], restart: bool) -> Iterator[Path]:
    """The working folder, locked. Work for another `reading` is refused unless `restart`. Raises Refused."""
    if order.folder.exists() and not order.replace:
        raise Refused(f"{order.folder} is there already -> choose another --name, or add --replace")
    folder = order.working
    try:
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        with (folder / ".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Refused(f"{order.name} is being prepared by another command -> wait for it") from None
            _give_back(order, folder)
            _begin_or_go_on(folder, reading, restart)
            yield folder
    except OSError as err:
        raise AssetError(f"{folder}: cannot be written ({err.strerror or err}) -> choose another folder") from err


def _give_back(order: Order, folder: Path) -> None:
    """A command that was killed between the two renames of `finish` has left the old avatar without its name."""
    replaced = folder / "replaced"
    if replaced.is_dir() and not order.folder.exists():
        replaced.rename(order.folder)
        if not order.replace:
            raise Refused(f"{order.folder} is there already -> choose another --name, or add --replace")


def _begin_or_go_on(folder: Path, reading: dict[str, Any], restart: bool) -> None:
    job = folder / "job.json"
    reading = reading | {"preparation": PREPARATION}
    known = read_json(job)
    if known is not None and known != reading and not restart:
        raise Refused(
            f"there is unfinished work for {known.get('source', 'another input')} with other settings in {folder} -> "
            "give the same again to go on with it, or add --restart to begin anew"
        )
    if restart or known is None:
        for path in folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name != ".lock":
                path.unlink()
        writing.write_text(job, json.dumps(reading))


def fingerprint(path: Path) -> dict[str, Any]:
    """What tells a file from another without reading gigabytes: size, date, its first and last MiB."""
    digest = hashlib.sha256()
    status = path.stat()
    with path.open("rb") as file:
        digest.update(file.read(1 << 20))
        file.seek(max(0, status.st_size - (1 << 20)))
        digest.update(file.read(1 << 20))
    return {
        "source": str(path.absolute()),
        "bytes": status.st_size,
        "modified": status.st_mtime_ns,
        "sha256": digest.hexdigest(),
    }


def finish(order: Order, folder: Path) -> None:
    """Gives what was made its name, and takes the rest away."""
    if order.folder.exists():
        order.folder.rename(folder / "replaced")
    (folder / "made").rename(order.folder)
    shutil.rmtree(folder)


def read_json(path: Path) -> dict[str, Any] | None:
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return data if isinstance(data, dict) else None
