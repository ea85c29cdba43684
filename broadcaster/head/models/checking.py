"""Whether a folder of weights is whole: what is there, every file's hash, and the names and shapes in it.

Runs in the command `broadcaster models`; the names and shapes need torch.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from broadcaster.errors import AssetError
from broadcaster.head.models.lock import Lock, read_lock, sha256_of
from broadcaster.head.models.pulling import Progress
from broadcaster.head.musetalk import loading
from broadcaster.head.musetalk.layout import PARTS, Part


@dataclass(frozen=True, slots=True)
class Row:
    """One part as `broadcaster models list` shows it. `megabytes` is 0 and the rest empty where it is not there."""

    part: str
    title: str
    there: bool
    file: str
    megabytes: int
    source: str
    """"huggingface TMElyralab/MuseTalk", "folder /x", or "unknown" for a file that no pull brought."""
    licence: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Finding:
    part: str
    state: Literal["ok", "missing", "damaged"]
    detail: str


def inventory(folder: Path) -> list[Row]:
    """Every part that there is. Reads no weights."""
    lock = read_lock(folder)
    return [_row(part, folder, lock) for part in PARTS.values()]


def _row(part: Part, folder: Path, lock: Lock) -> Row:
    path = weights_of(part, folder)
    if path is None:
        return Row(part.name, part.title, False, "", 0, "", "", "")
    place = f"{path.parent.name}/{path.name}"
    entry = lock.files.get(place)
    megabytes = round(path.stat().st_size / 1e6)
    if entry is None:
        return Row(part.name, part.title, True, place, megabytes, "unknown", "", "")
    source = f"{entry.source} {entry.origin}"
    return Row(part.name, part.title, True, place, megabytes, source, entry.licence, entry.sha256)


def weights_of(part: Part, folder: Path) -> Path | None:
    """The file that `loading.find` would take."""
    paths = (folder / name / file for name in part.folders for file in part.weights)
    return next((path for path in paths if path.is_file()), None)


def examine(folder: Path, parts: Sequence[Part], progress: Progress) -> Iterator[Finding]:
    """Hash, names and shapes of every part; never raises for what it finds."""
    lock = read_lock(folder)
    for part in parts:
        if weights_of(part, folder) is None:
            try:
                loading.find(folder, part)
            except AssetError as err:
                yield Finding(part.name, "missing", str(err))
            continue
        try:
            yield Finding(part.name, "ok", _examined(folder, part, lock, progress))
        except (AssetError, OSError) as err:
            yield Finding(part.name, "damaged", str(err))


def _examined(folder: Path, part: Part, lock: Lock, progress: Progress) -> str:
    found = loading.find(folder, part)
    said = []
    known = [place for place in lock.files if place.startswith(f"{found.weights.parent.name}/")]
    for place in known:
        _compare(folder / place, place, lock, progress)
    said.append("sha256 as recorded" if known else "no recorded sha256 (no pull brought it)")
    if importlib.util.find_spec("torch") is None:
        said.append("names and shapes not compared: torch is not installed")
    else:
        said.append(f"{loading.check(found) / 1e6:.2f} million parameters, every name and shape right")
    return "; ".join(said)


def _compare(path: Path, place: str, lock: Lock, progress: Progress) -> None:
    entry, done = lock.files[place], 0
    remedy = "remove it and repeat: broadcaster models pull musetalk"
    if not path.is_file():
        raise AssetError(f"{path}: was fetched, and is not there any more -> broadcaster models pull musetalk")

    def verified(count: int) -> None:
        nonlocal done
        done += count
        progress(place, "verifying", done, entry.bytes)

    if (size := path.stat().st_size) != entry.bytes:
        raise AssetError(f"{path}: has {size} bytes, {entry.bytes} were recorded -> {remedy}")
    if sha256_of(path, verified) != entry.sha256:
        raise AssetError(f"{path}: its sha256 is not the recorded {entry.sha256} -> {remedy}")
