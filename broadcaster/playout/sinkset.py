"""All sinks of a channel in one thread that shares the packets out, and the commands that change them on air.

The thread wakes once a tick, never blocks, and isolates the sinks from each other: every write is to a
non-blocking pipe. It also starts the children, because their death signal follows the thread that started them.
"""

from __future__ import annotations

import logging
import random
import select
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final, ParamSpec

from broadcaster.config import SinkConfig
from broadcaster.errors import Refused
from broadcaster.media import EncodedPacket
from broadcaster.paths import Paths
from broadcaster.playout.fanout import Fanout, Opening
from broadcaster.playout.sinkhost import EdgeCallback, SinkHost, Surroundings
from broadcaster.playout.sinkstore import Entry, SinkStore, parse_settings
from broadcaster.wire import SinkCommand, SinkReply, SinkStatus

log = logging.getLogger(__name__)

P = ParamSpec("P")

STEP_S: Final = 0.1
STATUS_S: Final = 0.25
GOP_PACKETS: Final = 1000
"""Ten seconds of the current GOP for local sinks; a GOP is two. Longer ones are not kept."""


class SinkSet:
    """`start`, `command`, `statuses` and `stop` may be called from any thread; callbacks run in the sinks' thread."""

    def __init__(
        self,
        fanout: Fanout,
        paths: Paths,
        sinks: Sequence[SinkConfig],
        *,
        idle: Callable[[], bool] = lambda: True,
        edge: EdgeCallback = lambda sink, edge, detail: None,
        clock: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
    ) -> None:
        self._fanout = fanout
        self._around = Surroundings(
            clock=clock,
            rng=rng or random.Random(),
            idle=idle,
            edge=edge,
            preview_socket=lambda name: str(paths.preview_socket(name)),
        )
        self._store = SinkStore(paths.sink_overrides, sinks)
        self._lock = threading.Lock()
        self._wanted: dict[str, Entry] = self._store.entries()
        self._hosts: dict[str, SinkHost] = {}
        self._retired: list[SinkHost] = []
        self._statuses: list[SinkStatus] = []
        self._applied: dict[str, Entry] = {}
        self._opening: Opening | None = None
        self._gop: list[EncodedPacket] = []
        self._stopping = threading.Event()
        self._limit = 4.0
        self._thread = threading.Thread(target=self._run, name="sinks", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def command(self, command: SinkCommand) -> SinkReply:
        """Checks and stores the change; the sinks' thread applies it within a tick."""
        try:
            with self._lock:
                self._apply(command)
                self._wanted = self._store.entries()
        except (Refused, OSError) as err:
            return SinkReply(command.request, False, str(err))
        self._fanout.flush()
        return SinkReply(command.request, True)

    def hosts(self) -> list[SinkHost]:
        """A snapshot, for tests and measurements; they belong to the sinks' thread."""
        return list(self._hosts.values())

    def statuses(self) -> list[SinkStatus]:
        """As of the last fraction of a second."""
        return self._statuses

    def stop(self, limit_s: float = 4.0) -> None:
        """Closes every output in good order; kills what has not ended after `limit_s`. The fan-out stays open."""
        self._limit = limit_s
        self._stopping.set()
        self._fanout.flush()
        if self._thread.is_alive():
            self._thread.join(limit_s + 2.0)

    def _apply(self, command: SinkCommand) -> None:
        name, store = command.name, self._store
        match command.action:
            case "add":
                store.add(name, command.settings or {})
            case "change":
                store.change(name, command.settings or {})
            case "pause":
                store.hold(name, "paused")
            case "stop":
                store.hold(name, "off")
            case "resume":
                store.hold(name, "")
            case "remove":
                store.remove(name)
            case "reset":
                store.reset(name)
            case "reload":
                store.reload([parse_settings(settings) for settings in command.all_settings or []])
            case other:
                raise Refused(f"unknown action {other!r}")

    # The sinks' thread.

    def _run(self) -> None:
        next_step = next_status = 0.0
        while not self._stopping.is_set():
            spoken = self._wait()
            self._share_out(self._fanout.drain())
            now = self._around.clock()
            if spoken or now >= next_step or self._wanted is not self._applied:
                next_step = now + STEP_S
                self._reconcile()
                for host in list(self._hosts.values()) + self._retired:
                    self._guard(host, host.step, self._gop)
                self._retired = [host for host in self._retired if not host.gone]
            if spoken or now >= next_status:
                next_status = now + STATUS_S
                self._statuses = [host.status() for host in self._hosts.values()]
        self._close_all()

    def _wait(self) -> bool:
        """Until packets come, a pipe has room again or a step is due; answers whether a child says something."""
        poll = select.poll()
        poll.register(self._fanout.wake_fd, select.POLLIN)
        voices = set()
        for host in (*self._hosts.values(), *self._retired):
            child = host.child
            if child is None:
                continue
            if not child.broken and not child.idle:
                poll.register(child.media_fd, select.POLLOUT)
            if not child.silent:
                poll.register(child.status_fd, select.POLLIN)
                voices.add(child.status_fd)
        return any(fd in voices for fd, _ in poll.poll(STEP_S * 1000))

    def _share_out(self, items: list[EncodedPacket | Opening]) -> None:
        hosts = list(self._hosts.values())
        for item in items:
            if isinstance(item, Opening):
                self._opening = item
                self._gop = []
                for host in hosts:
                    self._guard(host, host.reopen, item)
                continue
            self._keep(item)
            for host in hosts:
                host.put(item)
        for host in hosts:
            self._guard(host, host.feed)

    def _keep(self, packet: EncodedPacket) -> None:
        if packet.keyframe and packet.kind == "video":
            self._gop = [packet]
        elif self._gop:
            self._gop.append(packet)
            if len(self._gop) > GOP_PACKETS:
                self._gop = []

    def _reconcile(self) -> None:
        wanted = self._wanted
        if wanted is self._applied:
            return
        self._applied = wanted
        hosts: dict[str, SinkHost] = {}
        for name, entry in wanted.items():
            host = self._hosts.get(name)
            if host is None:
                host = SinkHost(entry, self._around)
                if self._opening is not None:
                    host.reopen(self._opening)
            else:
                self._guard(host, host.update, entry)
            hosts[name] = host
        for name, host in self._hosts.items():
            if name not in hosts:
                host.retire()
                self._retired.append(host)
        self._hosts = hosts

    def _guard(self, host: SinkHost, call: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
        """A fault in the handling of one sink ends its session and is nothing to the others."""
        try:
            call(*args, **kwargs)
        except Exception:
            log.exception("sink handling failed", extra={"sink": host.entry.config.name})
            if host.child is not None:
                host.child.kill()

    def _close_all(self) -> None:
        deadline = time.monotonic() + self._limit
        everyone = list(self._hosts.values()) + self._retired
        for host in everyone:
            host.retire()
        while any(not host.gone for host in everyone):
            late = time.monotonic() - deadline
            for host in everyone:
                if late > 0 and host.child is not None:
                    host.child.kill()
                self._guard(host, host.step, self._gop)
            if late > 1:
                break  # their death signal takes what is left
            time.sleep(0.02)
        self._statuses = [host.status() for host in self._hosts.values()]
