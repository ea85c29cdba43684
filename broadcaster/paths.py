"""Where one channel keeps its state, its sockets and its expanded avatars. Pure look-ups; `ensure` makes them.

Under systemd: STATE_DIRECTORY, RUNTIME_DIRECTORY and CACHE_DIRECTORY. Elsewhere: the XDG directories.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from broadcaster.errors import ConfigError

UNIX_PATH_LIMIT = 100
"""sun_path holds 108 bytes; the longest socket name here takes the rest."""


@dataclass(frozen=True, slots=True)
class Paths:
    state: Path
    run: Path
    cache: Path

    @property
    def journal(self) -> Path:
        return self.state / "journal.sqlite"

    @property
    def lock(self) -> Path:
        return self.run / "lock"

    @property
    def playout_socket(self) -> Path:
        return self.run / "playout.sock"

    @property
    def voice_socket(self) -> Path:
        return self.run / "voice.sock"

    @property
    def local_voice_socket(self) -> Path:
        return self.run / "voice-local.sock"

    @property
    def control_socket(self) -> Path:
        return self.run / "control.sock"

    @property
    def sink_overrides(self) -> Path:
        return self.state / "sinks.json"

    @property
    def questions(self) -> Path:
        """Recorded questions, until their prompt is over."""
        return self.state / "questions"

    @property
    def panic_marker(self) -> Path:
        """There while a panic was given past a director that does not answer, until the journal has it."""
        return self.state / "panic"

    @property
    def models(self) -> Path:
        """Weights that `broadcaster models pull` brought, for all channels of this cache."""
        return self.cache / "models"

    def preview_socket(self, sink: str) -> Path:
        return self.run / f"preview-{sink}.sock"

    def ensure(self) -> None:
        for folder in (self.state, self.run, self.cache):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def channel_paths(channel: str, state_dir: Path | None = None) -> Paths:
    """Paths of `channel`; `state_dir` (from the configuration) keeps all three together."""
    if state_dir is not None:
        root = state_dir / channel
        paths = Paths(root, root / "run", state_dir / "cache")
    else:
        state = os.environ.get("STATE_DIRECTORY") or _xdg("XDG_STATE_HOME", ".local/state")
        run = os.environ.get("RUNTIME_DIRECTORY") or os.environ.get("XDG_RUNTIME_DIR") or _private_tmp()
        cache = os.environ.get("CACHE_DIRECTORY") or _xdg("XDG_CACHE_HOME", ".cache")
        paths = Paths(
            Path(state, "broadcaster", channel), Path(run, "broadcaster", channel), Path(cache, "broadcaster")
        )
    if len(str(paths.run / "preview-").encode()) > UNIX_PATH_LIMIT - 37:
        raise ConfigError(
            f"state_dir: the run directory {paths.run} is too long for a UNIX socket; choose a shorter path"
        )
    return paths


def _xdg(variable: str, fallback: str) -> str:
    return os.environ.get(variable) or str(Path.home() / fallback)


def _private_tmp() -> str:
    return str(Path(tempfile.gettempdir(), f"broadcaster-{os.getuid()}"))
