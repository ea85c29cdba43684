"""`weights.lock.json` beside the weights: what was fetched, from where, with which sha256. No thread of its own."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

import msgspec

from broadcaster.errors import AlreadyRunning, AssetError

NAME: Final = "weights.lock.json"

BLOCK: Final = 1 << 20
"""Bytes that are hashed between two reports of progress."""


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file. `source` is a hub's name or "folder", `origin` the repository or the folder, `accepted` the day."""

    sha256: str
    bytes: int
    source: str
    origin: str
    revision: str
    licence: str
    accepted: str


class Lock(msgspec.Struct, forbid_unknown_fields=True):
    format: Literal[1] = 1
    files: dict[str, Entry] = {}
    """By their path in the folder."""


def read_lock(folder: Path) -> Lock:
    """Empty where there is none. Raises AssetError for one that cannot be read."""
    path = folder / NAME
    try:
        return msgspec.json.decode(path.read_bytes(), type=Lock)
    except FileNotFoundError:
        return Lock()
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as err:
        raise AssetError(
            f"{path}: cannot be read ({err}) -> remove it and repeat: broadcaster models pull musetalk"
        ) from err


def write_lock(folder: Path, lock: Lock) -> None:
    """Whole or not at all."""
    new = folder / f".{NAME}.new"
    new.write_bytes(msgspec.json.format(msgspec.json.encode(lock), indent=2) + b"\n")
    new.replace(folder / NAME)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """While it is held no other pull works on the folder. Raises AlreadyRunning at once, and AssetError for whatever
    the folder refuses meanwhile."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / ".pull", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as err:
                raise AlreadyRunning(f"{folder}: another pull works on these weights -> wait for it") from err
            yield
        finally:
            os.close(descriptor)
    except OSError as err:
        raise AssetError(
            f"{err.filename or folder}: {err.strerror or err} -> check who may write to {folder}, and its free space"
        ) from err


def sha256_of(path: Path, report: Callable[[int], None] = lambda _: None) -> str:
    """Reports every stretch of bytes as it is read."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
            report(len(block))
    return digest.hexdigest()
