"""A fan-out and its sinks fed with the replayed stream, and waiting for what becomes of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

from broadcaster.config import parse_sink
from broadcaster.paths import Paths
from broadcaster.playout.fanout import Fanout
from broadcaster.playout.sinkset import SinkSet
from broadcaster.supervisor import SinkEdge
from broadcaster.wire import SinkCommand, SinkReply, SinkStatus
from tests.fakes.stream import OnAir, recording


class SinkBench:
    """Context manager. `edges` holds (sink, edge) as they came; sinks are given as their settings."""

    def __init__(
        self, paths: Paths, sinks: Sequence[dict[str, Any]], *, bitrate: int = 400_000, first_loop: int = 0
    ) -> None:
        self.paths = paths
        self.idle = True
        self.edges: list[tuple[str, SinkEdge]] = []
        self.fanout = Fanout()
        self._bitrate = bitrate
        self.sinks = SinkSet(
            self.fanout,
            paths,
            [parse_sink(sink) for sink in sinks],
            idle=lambda: self.idle,
            edge=lambda sink, edge, detail: self.edges.append((sink, edge)),
        )
        self.air = OnAir(self.fanout.put, bitrate=bitrate, first_loop=first_loop)

    def __enter__(self) -> Self:
        self.open()
        self.sinks.start()
        self.air.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, err: BaseException | None, tb: TracebackType | None) -> None:
        self.air.__exit__()
        self.sinks.stop()
        self.fanout.close()

    def open(self) -> None:
        """As a (new) encoder would."""
        stream = recording(self._bitrate)
        self.fanout.start(stream.format, stream.video, stream.audio)

    def command(self, action: str, name: str = "", **fields: Any) -> SinkReply:
        return self.sinks.command(SinkCommand("r1", action, name, **fields))

    def status(self, name: str) -> SinkStatus:
        return next(status for status in self.sinks.statuses() if status.name == name)

    def wait(self, name: str, ready: Callable[[SinkStatus], bool], timeout: float = 15.0) -> SinkStatus:
        """The first status of `name` for which `ready` holds. Raises TimeoutError with the last one."""
        deadline = time.monotonic() + timeout
        last: SinkStatus | None = None
        while time.monotonic() < deadline:
            for last in self.sinks.statuses():
                if last.name == name and ready(last):
                    return last
            time.sleep(0.02)
        raise TimeoutError(f"{name}: not after {timeout} s; {self.sinks.statuses()}")

    def wait_state(self, name: str, state: str, timeout: float = 15.0) -> SinkStatus:
        return self.wait(name, lambda status: status.state == state, timeout)

    def wait_flowing(self, name: str, timeout: float = 15.0) -> SinkStatus:
        """Live, and packets are going out."""
        start = self.status(name).bytes if any(s.name == name for s in self.sinks.statuses()) else 0
        return self.wait(name, lambda status: status.state == "live" and status.bytes > start + 5000, timeout)
