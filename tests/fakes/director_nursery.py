"""Directors by the dozen, to be killed: `python -m tests.fakes.director_nursery` imports everything once and forks.

Reads "STATE_DIR SECONDS SOCKET" and prints the process id of a `director_child` whose standard input and output are
that UNIX socket. A fork costs milliseconds where a new interpreter costs a second.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

from tests.fakes import director_child


def _child(state_dir: str, seconds: str, path: str) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    line = socket.socket(socket.AF_UNIX)
    line.connect(path)
    os.dup2(line.fileno(), 0)
    os.dup2(line.fileno(), 1)
    line.close()
    asyncio.run(director_child.main(Path(state_dir), float(seconds)))


def main() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel buries them
    print("ready", flush=True)
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            try:
                _child(*line.split())
            finally:
                os._exit(0)
        print(pid, flush=True)


if __name__ == "__main__":
    main()
