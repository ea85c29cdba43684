"""The as-run log as a file: CSV or JSON lines, whole or not at all."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, TextIO

import typer

from broadcaster.cli.logrows import json_line, write_csv
from broadcaster.errors import BroadcasterError

FORMATS: Final = {".csv": "csv", ".jsonl": "json", ".ndjson": "json", ".json": "json"}


def check_suffix(path: Path) -> str:
    """ "csv" or "json". Raises BadParameter."""
    found = FORMATS.get(path.suffix.lower())
    if found is None:
        raise typer.BadParameter(f"{path} ends in none of {', '.join(FORMATS)}", param_hint="--export")
    return found


def export(path: Path, total: int, pages: Iterator[list[dict[str, Any]]]) -> int:
    """Writes all pages; how many rows it was. `path` is only there when it is complete, and only its owner may
    read it: names are in it. Raises BroadcasterError."""
    kind = check_suffix(path)
    part = path.with_name(f".{path.name}.part")
    try:
        part.touch(mode=0o600)
        with part.open("w", encoding="utf-8") as file:
            count = _write(file, kind, pages, _progress(total))
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as err:
        raise BroadcasterError(
            f"{path}: {err.strerror or err} -> check that the folder is there, is writable and has space"
        ) from err
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
    return count


def _write(file: TextIO, kind: str, pages: Iterator[list[dict[str, Any]]], progress: Callable[[int], None]) -> int:
    count = 0
    if kind == "csv":
        file.write("\N{BYTE ORDER MARK}")  # without it spreadsheets take UTF-8 for something else
        write_csv(file)
    for page in pages:
        for row in page:
            if kind == "csv":
                write_csv(file, row)
            else:
                file.write(f"{json_line(row)}\n")
        count += len(page)
        progress(count)
    return count


def _progress(total: int) -> Callable[[int], None]:
    """Tells a person at a terminal how far it is; programs get nothing."""
    if not sys.stderr.isatty():
        return lambda count: None

    def told(count: int) -> None:
        sys.stderr.write(f"\r{count:,} of {max(total, count):,}" + ("\n" if count >= total else ""))
        sys.stderr.flush()

    return told
