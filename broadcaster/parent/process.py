"""One running child process: its start, its messages, its signals, its end. Parent process, main thread only.

The kernel sends a child its death signal when the *thread* that started it ends, so nothing but the main
thread may start one. Each child leads a process group of its own: a Ctrl-C of the terminal reaches only the
parent, and killing the group takes playout's sink children along.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from broadcaster import wire
from broadcaster.link import PACKET, PARENT_FD, PARENT_PID, pack, unpack

DRAIN: Final = 256
"""Messages read from one child before the others get their turn."""


class ChildProcess:
    """Starts `command` with `text` on its standard input. Raises OSError when it cannot be started.

    The link is a SEQPACKET pair: a message is sent whole or not at all, so neither side ever has to wait.
    """

    def __init__(self, role: str, command: Sequence[str], text: str, environment: Mapping[str, str]) -> None:
        self.role = role
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        config = os.memfd_create("config", os.MFD_CLOEXEC)
        try:
            os.write(config, text.encode())
            os.lseek(config, 0, os.SEEK_SET)
            ours.setblocking(False)
            for end in (ours, theirs):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * PACKET)
            fd = theirs.fileno()
            variables = {**environment, PARENT_FD: str(fd), PARENT_PID: str(os.getpid())}
            self._process = subprocess.Popen(
                command, stdin=config, env=variables, pass_fds=(fd,), process_group=0, close_fds=True
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
            os.close(config)
        self.pid = self._process.pid
        self.pidfd = os.pidfd_open(self.pid)
        self.link = ours
        self.silent = False
        """The child has closed its end: nothing more will come, and the link stays readable for ever."""

    def receive(self) -> list[wire.AnyMessage]:
        """Messages that have arrived; nothing when there are none or the child is gone. Raises WireError."""
        messages: list[wire.AnyMessage] = []
        for _ in range(DRAIN):
            try:
                packet = self.link.recv(PACKET)
            except BlockingIOError:
                break
            except OSError:
                packet = b""  # reset by a killed child
            if not packet:
                self.silent = True
                break
            messages.append(unpack(packet))
        return messages

    def tell(self, message: wire.AnyMessage) -> bool:
        """False when the child does not read (its buffer is full) or is gone."""
        try:
            self.link.send(pack(message))
        except OSError:
            return False
        return True

    def signal(self, number: signal.Signals) -> None:
        """By its descriptor: Popen's own way buries a child that has just ended, and nobody would know how."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, number)

    def kill(self) -> None:
        """SIGKILL to the child and to all that it started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def reap(self) -> int | None:
        """Exit status (negative: the signal) or None while it runs. What is left of its group goes with it."""
        if os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            return None
        self.kill()  # while the unreaped child still holds the number of its group
        return self._process.wait()

    def close(self) -> None:
        self.link.close()
        os.close(self.pidfd)


def reap_strangers(known: Collection[int]) -> None:
    """Buries processes that are ours without being children that were started here.

    Process 1 of a container inherits whatever the dead leave behind, such as the sinks of a killed playout.
    """
    with contextlib.suppress(ChildProcessError):
        while (found := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) is not None:
            if found.si_pid in known:
                return  # its own turn comes, and the strangers' after it
            os.waitpid(found.si_pid, os.WNOHANG)


def exit_text(status: int) -> str:
    """An exit status for people: "exit status 3" or "killed by SIGSEGV"."""
    if status >= 0:
        return f"exit status {status}"
    with contextlib.suppress(ValueError):
        return f"killed by {signal.Signals(-status).name}"
    return f"killed by signal {-status}"
