"""The parent process: `broadcaster run`. It owns the channel's lock, the children and systemd's notify socket.

No media and no network here, and no numpy: it must go on when everything else fails.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Sequence
from pathlib import Path

from broadcaster.config import LoadedConfig, secrets_of
from broadcaster.lock import ChannelLock
from broadcaster.parent.checking import check_command
from broadcaster.parent.keeper import keepers
from broadcaster.parent.run import Parent, child_command
from broadcaster.paths import channel_paths
from broadcaster.redact import Redactor
from broadcaster.telemetry.logs import setup_logging
from broadcaster.telemetry.notify import Notifier

__all__ = ["run_parent"]

log = logging.getLogger(__name__)


def run_parent(
    loaded: LoadedConfig,
    command: Callable[[str], Sequence[str]] = child_command,
    check: Callable[[Path | None], Sequence[str]] = check_command,
) -> int:
    """Runs the channel until a signal ends it; call it from the main thread. Returns the exit status.

    0 after SIGTERM or the first Ctrl-C, 130 after the second, 78 when playout refuses the configuration.
    `command` gives the command line of a role's process, `check` that of the check before a reload. Raises
    AlreadyRunning when another process holds the channel, OSError when its directories cannot be made.
    """
    config = loaded.config
    paths = channel_paths(config.channel, config.state_dir)
    paths.ensure()
    with ChannelLock(paths.lock, config.channel):
        lines = setup_logging(config.logging.level, config.logging.format, "parent", Redactor(secrets_of(config)))

        def hide_secrets_of(new: LoadedConfig) -> None:
            lines.redact = Redactor(secrets_of(new.config))

        try:
            for warning in loaded.warnings:
                log.warning("configuration", extra={"warning": warning})
            notifier = Notifier.from_environment()
            parent = Parent(
                loaded, keepers(random.Random()), notifier, command, on_reload=hide_secrets_of, check=check
            )
            return parent.run()
        finally:
            lines.flush()
