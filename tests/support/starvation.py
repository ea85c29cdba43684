"""Tells a slow channel from a starved machine: a child process that ticks and works as playout does.

A tick that the canary could not run in time either was not the channel's fault.
"""

from __future__ import annotations

import subprocess
import sys
import time
from types import TracebackType
from typing import Self

_CANARY = """
import sys, time
fps = int(sys.argv[1])
anchor, n, held = time.monotonic_ns(), 0, 0
print(0, flush=True)
while True:
    n += 1
    due = anchor + n * 1_000_000_000 // fps
    time.sleep(max(0, due - time.monotonic_ns()) / 1e9)
    if time.monotonic_ns() - due >= 10_000_000:
        held += 1
        print(held, flush=True)
    busy = time.thread_time() + 0.004
    while time.thread_time() < busy:
        pass
"""


class StarvationWatch:
    """Context manager; `held` is how many ticks of its own were late by 10 ms and more.

    `excuse(n)`: whether `n` held ticks are what the machine's load explains; on a quiet machine only none are.
    """

    def __init__(self, fps: int = 25) -> None:
        self.held = 0
        self._fps = fps

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _CANARY, str(self._fps)], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self._process.stdout.readline()
        return self

    def excuse(self, held: int) -> bool:
        return held <= 10 * self.held

    def __exit__(self, kind: type[BaseException] | None, err: BaseException | None, tb: TracebackType | None) -> None:
        time.sleep(0.1)
        self._process.kill()
        out, _ = self._process.communicate()
        self.held = int(out.split()[-1]) if out.split() else 0
