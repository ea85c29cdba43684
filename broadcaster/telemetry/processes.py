"""Which processes belong to this channel, and how much memory each holds. Called at a scrape, in a worker thread."""

from __future__ import annotations

import os
from collections.abc import Iterator

import psutil


def channel_processes() -> Iterator[tuple[str, int]]:
    """(role, resident bytes) of the daemon's parent and all its descendants; only this process when run alone."""
    me = psutil.Process(os.getpid())
    parent = me.parent()
    top = parent if parent is not None and "broadcaster" in " ".join(_command(parent)) else me
    for process in (top, *top.children(recursive=True)):
        try:
            yield role_of(_command(process)), process.memory_info().rss
        except psutil.Error:
            continue  # it ended, or is not ours to look at


def role_of(command: list[str]) -> str:
    """The role in a command line: the word after `broadcaster.app`, "sink" for a sink child, else "parent"."""
    for index, word in enumerate(command):
        if word == "broadcaster.app" and index + 1 < len(command):
            return command[index + 1]
        if word == "sinks.child":
            return "sink"
    return "parent" if any("broadcaster" in word for word in command) else "other"


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []
