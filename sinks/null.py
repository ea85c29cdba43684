"""Takes the stream and keeps nothing: for tests and for measuring what the plumbing costs. A sink child."""

from __future__ import annotations

from collections.abc import Mapping
from threading import Event

from sinks.packets import PacketReader
from sinks.report import Report


class NullSink:
    def __init__(self, settings: Mapping[str, object], report: Report) -> None:
        self._report = report

    def run(self, packets: PacketReader, stop: Event) -> None:
        self._report("live")
        for _ in packets.batches():
            if stop.is_set():
                return
