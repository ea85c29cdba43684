"""A hub's files into a folder of weights: planned first, resumed, verified, and put in place one by one.

What is not whole yet lies in `.incoming` inside the folder, under a name made from its hash, so a later pull goes on
with it and never with another version's bytes. A file takes its place by a rename, after its hash was compared with
the hub's; the lock file is written after each. Runs in the command `broadcaster models`.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from broadcaster.errors import AssetError
from broadcaster.head.models.catalogue import PUBLISHED, files_of, place_of
from broadcaster.head.models.hubs import Hub, Listing, Remote
from broadcaster.head.models.lock import BLOCK, Entry, alone, read_lock, sha256_of, write_lock
from broadcaster.head.musetalk.layout import Part

INCOMING: Final = ".incoming"

SPARE_MB: Final = 200
"""Left free beside what is fetched, for the journal and the logs of a channel on the same disk."""

Progress = Callable[[str, str, int, int], None]
"""(file, "fetching" or "verifying", bytes done, bytes of the file)"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One file: where it is fetched from, and where it goes (its path in the folder)."""

    part: Part
    place: str
    listing: Listing
    remote: Remote
    there: bool
    """Fetched or linked before, and what the hub declares."""
    foreign: bool
    """Something lies in its place that no pull brought: taken over if it is the same file, never overwritten."""


@dataclass(frozen=True, slots=True)
class Plan:
    folder: Path
    hub: Hub
    files: tuple[Wanted, ...]

    @property
    def missing(self) -> tuple[Wanted, ...]:
        return tuple(each for each in self.files if not each.there)

    @property
    def bytes_missing(self) -> int:
        """Less what an earlier pull left."""
        left = sum(path.stat().st_size for path in (self.folder / INCOMING).rglob("*") if path.is_file())
        return max(sum(each.remote.size for each in self.missing if not each.foreign) - left, 0)


def plan(hub: Hub, parts: Sequence[Part], folder: Path) -> Plan:
    """Asks the hub what there is. Raises AssetError when it lacks a part, or when the disk is too small."""
    lock = read_lock(folder)
    listings: dict[str, Listing | None] = {}
    wanted: list[Wanted] = []
    for part in parts:
        listing, names = _look_for(hub, part, listings)
        for name in names:
            remote, place = listing.files[name], place_of(part, name)
            known = lock.files.get(place)
            path = folder / place
            there = known is not None and path.is_file() and path.stat().st_size == known.bytes == remote.size
            if there and known is not None:  # a hub that declares no hash is taken at the word of its revision
                there = known.sha256 == remote.sha256 if remote.sha256 else known.revision == listing.revision
            wanted.append(Wanted(part, place, listing, remote, there, known is None and path.exists()))
    made = Plan(folder, hub, tuple(wanted))
    _refuse_small_disk(made)
    return made


def pull(made: Plan, progress: Progress) -> None:
    """Fetches what is missing. Raises AssetError; what was fetched until then is kept."""
    with alone(made.folder):
        incoming = made.folder / INCOMING
        for each in made.missing:
            if each.foreign:
                _take_over(made, each, progress)
                continue
            incoming.mkdir(mode=0o700, exist_ok=True)
            _fetch(made, each, incoming, progress)
        shutil.rmtree(incoming, ignore_errors=True)


def _look_for(hub: Hub, part: Part, listings: dict[str, Listing | None]) -> tuple[Listing, list[str]]:
    tried = PUBLISHED[part.name].repositories[hub.name]
    for repository in tried:
        if repository not in listings:
            listings[repository] = hub.listing(repository)
        listing = listings[repository]
        names = None if listing is None else files_of(part, set(listing.files))
        if listing is not None and names is not None:
            return listing, names
    raise AssetError(
        f"{hub.name} does not show the {part.title} (looked in {', '.join(tried)}) -> set a token if it needs one "
        "(HF_TOKEN, MODELSCOPE_API_TOKEN), take the other hub (--hub), or bring the files: --from FOLDER"
    )


def _refuse_small_disk(made: Plan) -> None:
    existing = made.folder
    while not existing.exists():
        existing = existing.parent
    free, needed = shutil.disk_usage(existing).free, made.bytes_missing + SPARE_MB * 1_000_000
    if made.missing and free < needed:
        raise AssetError(
            f"{made.folder}: the weights need {needed / 1e9:.1f} GB, and the disk has {free / 1e9:.1f} GB free -> "
            "free some space, or set head.musetalk.models to a folder on another disk"
        )


def _fetch(made: Plan, each: Wanted, incoming: Path, progress: Progress) -> None:
    remote, done = each.remote, 0

    def fetched(count: int) -> None:
        nonlocal done
        done += count
        progress(each.place, "fetching", min(done, remote.size), remote.size)

    path = made.hub.fetch(each.listing, remote, incoming, fetched)
    digest, fault = _compared(path, each, progress)
    if fault:
        path.unlink()
        raise AssetError(
            f"{each.listing.repository}/{remote.path}: {fault}: damaged on its way, or changed by a mirror; it was "
            "removed -> repeat, or take the other hub (--hub)"
        )
    target = made.folder / each.place
    target.parent.mkdir(parents=True, exist_ok=True)
    path.replace(target)
    _record(made, each, digest)


def _take_over(made: Plan, each: Wanted, progress: Progress) -> None:
    target = made.folder / each.place
    digest, fault = _compared(target, each, progress)
    if fault:
        raise AssetError(
            f"{target}: is there already and no pull brought it, but it is not what {each.listing.repository} has "
            f"({fault}) -> move it away, or set head.musetalk.models to another folder"
        )
    _record(made, each, digest)


def _record(made: Plan, each: Wanted, digest: str) -> None:
    lock = read_lock(made.folder)
    lock.files[each.place] = Entry(
        sha256=digest,
        bytes=each.remote.size,
        source=made.hub.name,
        origin=each.listing.repository,
        revision=each.listing.revision,
        licence=PUBLISHED[each.part.name].licence,
        accepted=datetime.now(UTC).date().isoformat(),
    )
    write_lock(made.folder, lock)


def _compared(path: Path, each: Wanted, progress: Progress) -> tuple[str, str]:
    """The file's sha256, and how the file differs from what the hub declares ("" when it does not)."""
    remote, done = each.remote, 0
    if (size := path.stat().st_size) != remote.size:
        return "", f"{size} bytes instead of {remote.size}"

    def verified(count: int) -> None:
        nonlocal done
        done += count
        progress(each.place, "verifying", done, remote.size)

    digest = sha256_of(path, verified)
    if remote.sha256 is not None and digest != remote.sha256:
        return digest, f"its sha256 is {digest}, and {remote.sha256} is declared"
    if remote.sha256 is None and remote.blob is not None and _git_blob(path) != remote.blob:
        return digest, f"its Git hash is not the declared {remote.blob}"
    return digest, ""


def _git_blob(path: Path) -> str:
    """The hash that Git names a file by; hubs declare it for what is not in large-file storage."""
    digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()
