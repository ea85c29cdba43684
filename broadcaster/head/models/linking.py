"""Weights that the user has already, such as `models/` of a MuseTalk checkout, into our folder of weights.

A hard link where both lie on one disk, a copy elsewhere. Runs in the command `broadcaster models`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from broadcaster.errors import AssetError
from broadcaster.head.models.catalogue import PUBLISHED
from broadcaster.head.models.checking import weights_of
from broadcaster.head.models.lock import Entry, alone, read_lock, sha256_of, write_lock
from broadcaster.head.models.pulling import SPARE_MB, Progress
from broadcaster.head.musetalk import loading
from broadcaster.head.musetalk.layout import Part


def link(source: Path, parts: Sequence[Part], folder: Path, progress: Progress) -> None:
    """Names and shapes in every file are compared before anything is linked. Raises AssetError."""
    _look_over(source, parts)
    found = [loading.find(source, part) for part in parts]
    for each in found:
        loading.check(each)
    with alone(folder):
        for each in found:
            names = (each.part.config_file, each.weights.name, *each.part.extra_files)
            for name in names:
                file = each.weights.parent / name
                if file.is_file():
                    _take(file, each.part, folder, progress)


def _look_over(source: Path, parts: Sequence[Part]) -> None:
    """Whether it is the right folder at all. Raises AssetError."""
    if not source.is_dir():
        raise AssetError(f"{source}: there is no such folder -> name the one that holds your weights: --from FOLDER")
    missing = [part for part in parts if weights_of(part, source) is None]
    if missing:
        files = ", ".join(f"{part.folders[0]}/{part.weights[-1]} ({part.title})" for part in missing)
        raise AssetError(
            f"{source}: these are not in it: {files} -> name the folder that holds {missing[0].folders[0]}/, or "
            f"fetch them from a hub: {loading.PULL}"
        )


def _take(file: Path, part: Part, folder: Path, progress: Progress) -> None:
    place = f"{part.folders[0]}/{file.name}"
    target = folder / place
    size, done = file.stat().st_size, 0

    def verified(count: int) -> None:
        nonlocal done
        done += count
        progress(place, "verifying", done, size)

    digest = sha256_of(file, verified)
    if not (target.exists() and target.samefile(file)):
        _link_or_copy(file, target)
    lock = read_lock(folder)
    lock.files[place] = Entry(
        sha256=digest,
        bytes=size,
        source="folder",
        origin=str(file.parent.absolute()),
        revision="",
        licence=PUBLISHED[part.name].licence,
        accepted=datetime.now(UTC).date().isoformat(),
    )
    write_lock(folder, lock)


def _link_or_copy(file: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    new = target.with_name(f".{target.name}.new")
    new.unlink(missing_ok=True)
    try:
        os.link(file.resolve(), new)
    except OSError:  # another disk, or one without links
        free, size = shutil.disk_usage(target.parent).free, file.stat().st_size
        if free < size + SPARE_MB * 1_000_000:
            raise AssetError(
                f"{target}: needs {size / 1e9:.1f} GB, and the disk has {free / 1e9:.1f} GB free -> free some space, "
                f"or set head.musetalk.models to {file.parents[1]}"
            ) from None
        shutil.copyfile(file, new)
    new.replace(target)
