"""A configuration that shall be reloaded, checked by a process of its own. Parent process; nothing here waits.

What only the stages can say (a lexicon's words, a voice's recording, an avatar's files) takes libraries that the
parent must not load, and seconds that it does not have.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from broadcaster.config import LoadedConfig, load_config
from broadcaster.errors import ConfigError

LIMIT_S: Final = 60.0
"""A check takes one or two seconds; on a machine that is out of breath much longer."""

NICE: Final = 10
"""It computes beside a channel on air, and nobody waits for it."""

SAID: Final = 65_536
"""Bytes of its output that are read."""


def check_command(path: Path | None) -> Sequence[str]:
    """`broadcaster check`, silent about a good configuration; None: the one it finds. -P: see `run.child_command`."""
    named = () if path is None else ("--config", str(path))
    return (sys.executable, "-P", "-m", "broadcaster.cli", "check", "--quiet", *named)


class ReloadCheck:
    """The check of the latest reload that was asked for."""

    def __init__(
        self,
        environment: Mapping[str, str],
        clock: Callable[[], float],
        command: Callable[[Path | None], Sequence[str]] = check_command,
    ) -> None:
        self._command = command
        self._environment = dict(environment)
        self._clock = clock
        self._running: _Process | None = None
        self._loaded: LoadedConfig | None = None
        self._problems: Sequence[str] = ()

    @property
    def pid(self) -> int:
        """Of the process that checks; 0 when there is none."""
        return self._running.pid if self._running is not None else 0

    def begin(self, path: Path | None) -> None:
        """Reads the file, and has it checked when it can be read at all."""
        self.close()
        self._problems = ()
        try:
            self._loaded = load_config(path)
            self._running = _Process(self._command(path), self._environment, self._clock() + LIMIT_S)
        except ConfigError as err:
            self._problems = err.problems
        except OSError as err:
            self._problems = [f"it cannot be checked ({err.strerror}) -> try again"]

    def outcome(self) -> LoadedConfig | Sequence[str] | None:
        """Once: what shall go into effect, or what is wrong with it. None before and after."""
        if self._running is not None:
            found = self._running.problems(self._clock())
            if found is None:
                return None
            loaded = self._loaded
            self.close()
            return found or loaded
        problems, self._problems = self._problems, ()
        return problems or None

    def close(self) -> None:
        """Ends the check that runs."""
        if self._running is not None:
            self._running.close()
        self._running = self._loaded = None


class _Process:
    """One check. Raises OSError."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], until: float) -> None:
        self._until = until
        self._said = os.memfd_create("check", os.MFD_CLOEXEC)
        try:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=self._said, stderr=subprocess.STDOUT,
                env=environment, process_group=0, close_fds=True,
            )  # fmt: skip
        except BaseException:
            os.close(self._said)
            raise
        self.pid = self._process.pid
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, self.pid, NICE)

    def problems(self, now: float) -> list[str] | None:
        """What is wrong, nothing when all is well; None while it runs."""
        status = self._process.poll()
        if status is None:
            late = f"its check has not ended in {LIMIT_S:.0f} s -> try again when the machine has less to do"
            return None if now < self._until else [late]
        said = os.pread(self._said, SAID, 0).decode(errors="replace").splitlines()
        lines = [line.strip() for line in said if line.strip()]
        return [] if status == 0 else lines or [f"its check ended with status {status} -> run `broadcaster check`"]

    def close(self) -> None:
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
            self._process.wait()
        os.close(self._said)
