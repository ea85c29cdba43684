"""Composition root: configuration -> objects -> wiring, one function per process. The only file that sees everything.

`python -m broadcaster.app ROLE` is how the parent starts a child. Imports are inside the functions: a process
loads only what its role needs.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from broadcaster.child import ChildContext, setup_child
from broadcaster.errors import AssetError, BroadcasterError, ConfigError

if TYPE_CHECKING:
    from broadcaster.studio.avatar import ExpandedAvatar

log = logging.getLogger(__name__)

EX_CONFIG: Final = 78


def playout(child: ChildContext) -> None:
    """Clock, compositor, encoder, fan-out to the sinks."""
    from broadcaster.playout.process import run_playout

    run_playout(child.config, child.paths, _avatar(child), child.beat, child.stop)


def head(child: ChildContext) -> None:
    """Mouth patches for the speech that playout anchors."""
    from broadcaster.head.process import run_head

    run_head(child.config.head, child.paths, _avatar(child), child.beat, child.stop)


def voice(child: ChildContext) -> None:
    """Speech for pieces of text."""
    from broadcaster.speech.process import run_voice

    run_voice(child.config.voice, child.paths, child.beat, child.stop)


def director(child: ChildContext) -> None:
    """Sources, queue, brain, gate, speech pipeline, console: everything that decides or talks to a network."""
    raise NotImplementedError


def _avatar(child: ChildContext) -> ExpandedAvatar:
    """The channel's avatar in its picture size; expanded now if set-up has not done it."""
    from broadcaster.config.checks import find_avatar
    from broadcaster.studio.avatar import expand

    video = child.config.video
    folder = find_avatar(child.config.avatar, child.loaded.base)
    return expand(folder, child.paths.cache, video.width, video.height, video.fps)


ROLES: Final[dict[str, Callable[[ChildContext], None]]] = {
    "playout": playout,
    "head": head,
    "voice": voice,
    "director": director,
}


def main(arguments: list[str]) -> int:
    """Runs one role to its end. 78: its configuration or its files cannot work; 1: it failed."""
    if len(arguments) != 1 or arguments[0] not in ROLES:
        print(f"usage: python -m broadcaster.app {'|'.join(ROLES)}", file=sys.stderr)  # noqa: T201
        return os.EX_USAGE
    try:
        child = setup_child(arguments[0])
    except ConfigError as err:
        print(err, file=sys.stderr)  # noqa: T201
        return EX_CONFIG
    try:
        ROLES[child.role](child)
    except (ConfigError, AssetError) as err:
        log.error("cannot work as configured", extra={"problem": err})
        return EX_CONFIG
    except BroadcasterError as err:
        log.error("ended", extra={"error": err})
        return 1
    except Exception:
        log.exception("failed")
        return 1
    return 0


if __name__ == "__main__":
    status = main(sys.argv[1:])
    logging.shutdown()
    os._exit(status)  # a thread that hangs in a library must not keep a finished process alive
