"""The process around one sink: `python -m sinks.child MEDIA_FD STATUS_FD PARENT_PID`, settings as JSON on stdin
(`adapter` names the class).

Status goes back as JSON lines: {"event": "connected"}, {"event": "live"} and {"event": "failed", "kind", "error",
"retryable"}. Main thread: the sink. The process dies with the thread that started it.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import signal
import sys
from collections.abc import Mapping
from threading import Event
from types import FrameType
from typing import Final

from broadcaster.errors import SinkError, SinkFailure
from broadcaster.redact import Redactor
from sinks.packets import PacketReader
from sinks.report import Report

SECRET_SETTINGS: Final = ("url", "key", "backup_url")
PR_SET_PDEATHSIG: Final = 1


def main(arguments: list[str]) -> int:
    media_fd, status_fd, parent = map(int, arguments)
    _die_with(parent)
    stop = Event()
    _handle_signals(stop)
    with open(0, "rb", closefd=False) as stdin:
        settings: Mapping[str, object] = json.loads(stdin.read())
    report = Report(status_fd, Redactor(str(settings[name]) for name in SECRET_SETTINGS if settings.get(name)))
    try:
        module, _, name = str(settings["adapter"]).partition(":")
        sink = getattr(importlib.import_module(module), name)(settings, report)
        sink.run(PacketReader(media_fd), stop)
    except SinkError as err:
        report.failed(err)
        return 1
    except Exception as err:
        report.failed(SinkError(f"{type(err).__name__}: {err}", SinkFailure.INTERNAL))
        return 1
    return 0


def _die_with(parent: int) -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(1)


def _handle_signals(stop: Event) -> None:
    def on_term(signum: int, frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, on_term)
    # A Ctrl-C reaches the whole group; the end of the input tells the child when to close.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


if __name__ == "__main__":
    code = main(sys.argv[1:])
    # Interpreter shutdown would run libav's destructors, and closing a dead connection there blocks.
    os._exit(code)
