"""The files that a configuration names and people edit: did one of them change? Looks, and reads none of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from broadcaster.config.models import Config

NAMED: Final = {"brain": ("persona", "knowledge", "programme", "phrases"), "voice": ("lexicon",)}
"""Section -> its keys that name a file, or a folder of files, whose content counts as part of the section."""


def stamps(config: Config) -> dict[str, str]:
    """Section -> a digest of names, sizes and times of the files it names."""
    return {name: _digest(getattr(config, name), keys) for name, keys in NAMED.items()}


def _digest(section: object, keys: tuple[str, ...]) -> str:
    digest = hashlib.sha256()
    for key in keys:
        path = getattr(section, key)
        for line in _lines(path) if path is not None else ():
            digest.update(f"{key} {line}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _lines(path: Path) -> Iterator[str]:
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        try:
            found = file.stat()
        except OSError:
            continue  # gone, or never there: the stage that reads it says so
        yield f"{file} {found.st_size} {found.st_mtime_ns}"
