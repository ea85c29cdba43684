"""One sink: its child process, its queue and its policy, driven by the sinks' thread (`sinkset`). Never blocks."""

from __future__ import annotations

import logging
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from broadcaster.config import RtmpSink
from broadcaster.errors import SinkFailure
from broadcaster.media import EncodedPacket
from broadcaster.playout.fanout import Opening
from broadcaster.playout.sinkchild import BATCH_BYTES, SinkChild
from broadcaster.playout.sinkqueue import SinkQueue
from broadcaster.playout.sinkstore import Entry, address_of, reveal, secrets_of
from broadcaster.redact import Redactor
from broadcaster.registry import SINKS
from broadcaster.supervisor import SinkEdge, SinkPolicy
from broadcaster.wire import SinkStatus

log = logging.getLogger(__name__)

LOCAL_QUEUE_MS: Final = 8000
"""Local sinks get the whole current GOP while their process starts, and may wait for a slow disk."""
PIPE_BLOCKED_S: Final = 6.0
"""A child that took no byte for this long while bytes waited is stuck; its own watch should have ended it sooner."""
LAST_BYTES: Final = 1024 * 1024
"""At a planned end the rest of the queue goes out as far as the pipe has room."""
CLOSE_S: Final = 2.5
"""What a child gets for closing its output before it is killed."""
NETWORK_PIPE_S: Final = 0.2
"""Little, so that a peer's congestion shows in the queue and not in the pipe."""
LOCAL_PIPE_S: Final = 1.0
"""Room for a whole batch and a key frame."""
RATE_WINDOW_S: Final = 4.0
BATCH_PICTURES: Final = {"rtmp": 1, "preview": 2, "file": 10, "null": 10}
"""Pictures that a child is woken for: waking costs more than what it does with one of them."""

EdgeCallback = Callable[[str, SinkEdge, str], None]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every host shares. `idle`: nobody talks; `edge(sink, edge, detail)` runs in the sinks' thread."""

    clock: Callable[[], float]
    rng: random.Random
    idle: Callable[[], bool]
    edge: EdgeCallback
    preview_socket: Callable[[str], str]


class SinkHost:
    def __init__(self, entry: Entry, around: Surroundings) -> None:
        self.entry = entry
        self._around = around
        self._opening: Opening | None = None
        self._child: SinkChild | None = None
        self._outcome: SinkFailure | None = None
        self._planned = False
        self._kill_at: float | None = None
        self._progress_at = 0.0
        self._samples: deque[tuple[float, int]] = deque()
        self._bytes = 0
        self._reconnects = 0
        self._error = ""
        self._failed = False
        self._failing = False
        self._retired = False
        self._queue = SinkQueue(LOCAL_QUEUE_MS, 25)
        self._dropped = 0
        self._total = 0
        self._policy = SinkPolicy(around.clock, around.rng)
        self._adopt(entry)

    # What the sinks' thread tells.

    def update(self, entry: Entry) -> None:
        """Other settings, another hold or a wish to try at once; the running session ends if they matter to it."""
        if entry == self.entry:
            return
        if self.live and (entry.config, entry.hold) == (self.entry.config, self.entry.hold):
            self.entry = entry
            return
        self._finish()
        self._adopt(entry)

    def retire(self) -> None:
        """The sink is removed; `gone` once its child has ended."""
        self._retired = True
        self._finish()

    def reopen(self, opening: Opening) -> None:
        """A new encoder: the session ends, and a new one begins with its parameter sets."""
        self._finish()
        self._opening = opening
        self._renew_queue()

    def put(self, packet: EncodedPacket) -> None:
        self._queue.put(packet)

    # What the sinks' thread asks for.

    @property
    def gone(self) -> bool:
        return self._retired and self._child is None

    @property
    def live(self) -> bool:
        return self._policy.state == "live"

    @property
    def child(self) -> SinkChild | None:
        return self._child

    def feed(self) -> None:
        """Moves packets from the queue into the pipe until one of them is out of room or out of packets."""
        child = self._child
        if child is None:
            return
        now = self._around.clock()
        while not child.broken:
            if child.idle:
                self._progress_at = now
                if not self._queue.holds(BATCH_PICTURES[self.entry.config.type]):
                    return
                child.feed(self._queue.take(BATCH_BYTES))
            written = child.flush()
            if written == 0:
                return
            self._progress_at = now
            if self.live:
                self._bytes += written

    def step(self, gop: Sequence[EncodedPacket]) -> None:
        """When the child said something, and a few times a second: deadlines, the child's end, the next try.

        `gop`: the packets since the last key frame, which local sinks begin with.
        """
        now = self._around.clock()
        if self._child is not None:
            self._watch(self._child, now)
        elif self._may_run() and self._policy.due():
            self._start(gop, now)
        edges = self._policy.withdraw() if self._entry_held() else self._policy.poll_edges()
        for edge in edges:
            self._around.edge(self.entry.config.name, edge, self._error)
        self._sample(now)

    def status(self) -> SinkStatus:
        """In the sinks' thread, as everything here."""
        queued = self._queue.queued_ms
        return SinkStatus(
            name=self.entry.config.name,
            type=self.entry.config.type,
            state=self._state(),
            address=self._shown,
            kbps=round(self._kbps(), 1),
            dropped_frames=self._dropped + self._queue.dropped_video,
            total_frames=self._total + self._queue.total_video,
            congestion=round(min(1.0, queued / self._queue.limit_ms), 3) if self.live else 0.0,
            queue_ms=queued,
            uptime_s=round(self._policy.uptime_s(), 1),
            reconnects=self._reconnects,
            bytes=self._bytes,
            retry_in_s=0.0 if self._entry_held() or self._failed else round(self._policy.retry_in_s(), 1),
            error=self._error,
        )

    # Its own affairs.

    def _adopt(self, entry: Entry) -> None:
        self.entry = entry
        config = entry.config
        backup = isinstance(config, RtmpSink) and config.backup_url is not None
        rotate = config.rotate_after_hours * 3600.0 if isinstance(config, RtmpSink) else None
        self._policy = SinkPolicy(
            self._around.clock,
            self._around.rng,
            addresses=2 if backup else 1,
            rotate_after_s=rotate,
            after=self._policy,
        )
        self._shown = address_of(config, 0)
        self._configured = not isinstance(config, RtmpSink) or config.configured
        self._failed = False
        self._failing = False
        self._error = ""
        self._redact = Redactor(secrets_of(config))
        self._renew_queue()

    def _renew_queue(self) -> None:
        self._dropped += self._queue.dropped_video
        self._total += self._queue.total_video
        config = self.entry.config
        limit_ms = config.queue_ms if isinstance(config, RtmpSink) else LOCAL_QUEUE_MS
        self._queue = SinkQueue(limit_ms, self._opening.format.fps if self._opening else 25)

    def _pipe_s(self) -> float:
        return NETWORK_PIPE_S if isinstance(self.entry.config, RtmpSink) else LOCAL_PIPE_S

    def _entry_held(self) -> bool:
        return self._retired or self.entry.hold != "" or not self._configured

    def _may_run(self) -> bool:
        return self._opening is not None and not self._failed and not self._entry_held()

    def _state(self) -> str:
        if self._entry_held():
            return self.entry.hold or "off"
        if self._failed:
            return "failed"
        return self._policy.state

    def _start(self, gop: Sequence[EncodedPacket], now: float) -> None:
        assert self._opening is not None
        config, form = self.entry.config, self._opening.format
        address = self._policy.started()
        self._shown = address_of(config, address)
        self._outcome = None
        self._planned = False
        self._kill_at = None
        self._progress_at = now
        bitrate = form.video_bitrate + form.audio_bitrate
        settings = {
            **reveal(config),
            "adapter": SINKS[config.type],
            "address": address,
            "bitrate": bitrate,
            "socket": self._around.preview_socket(config.name),
        }
        try:
            self._child = SinkChild(settings, self._opening.preamble, int(bitrate / 8 * self._pipe_s()))
        except OSError as err:
            self._note(f"cannot start the sink's process: {err.strerror}")
            self._policy.ended(SinkFailure.INTERNAL)
            return
        if not isinstance(config, RtmpSink):
            self._queue.begin(gop)
        self.feed()

    def _reported(self, report: dict[str, object]) -> None:
        event = report.get("event")
        if self._planned:
            return
        if event == "connected":
            self._policy.connected()
        elif event == "live":
            self._policy.live()
            self._reconnects += self._policy.sessions > 1
            if self._failing:
                log.info("sink is live again", extra={"sink": self.entry.config.name})
            self._failing = False
            self._error = ""
            self._samples.clear()
            if isinstance(self.entry.config, RtmpSink):
                self._queue.begin()
        elif event == "failed":
            self._outcome = SinkFailure(str(report.get("kind", "internal")))
            self._failed = not report.get("retryable", True)
            self._note(str(report.get("error", "")))

    def _watch(self, child: SinkChild, now: float) -> None:
        for report in child.reports():
            self._reported(report)
        if child.silent and self._kill_at is None:
            child.finish()
            self._kill_at = now + CLOSE_S
        if child.reap() is not None:
            self._ended()
        elif self._kill_at is not None:
            if now >= self._kill_at:
                child.kill()
        elif (reason := self._policy.overdue()) is not None:
            silent = reason is SinkFailure.SILENT
            self._give_up(child, reason, "no answer to the handshake" if silent else "no connection in time")
        elif not child.idle and now - self._progress_at > PIPE_BLOCKED_S and self.live:
            self._give_up(child, SinkFailure.LOST, "the peer stopped reading")
        elif self._policy.rotation_due(self._around.idle()):
            log.info("sink session rotated", extra={"sink": self.entry.config.name})
            self._finish()

    def _give_up(self, child: SinkChild, failure: SinkFailure, error: str) -> None:
        self._outcome = failure
        self._note(error)
        self._kill_at = self._around.clock()
        child.kill()

    def _finish(self) -> None:
        """Ends the running session in good order; it does not count as a failure."""
        if self._child is not None and not self._planned:
            self._planned = True
            if self._child.idle:
                self._child.feed(self._queue.take(LAST_BYTES))
                self._child.flush()
            self._child.finish()
            self._kill_at = self._around.clock() + CLOSE_S
        self._queue.end()

    def _ended(self) -> None:
        self._child = None
        self._samples.clear()
        self._queue.end()
        if self._planned:
            self._policy.ended(None)
            return
        if self._outcome is None:
            self._outcome = SinkFailure.INTERNAL
            self._note("the sink's process ended without a word")
        self._policy.ended(self._outcome)

    def _note(self, error: str) -> None:
        self._error = self._redact(error)
        if not self._failing:
            self._failing = True
            log.warning("sink failed", extra={"sink": self.entry.config.name, "error": self._error})

    def _sample(self, now: float) -> None:
        if self._samples and now - self._samples[-1][0] < 0.5:
            return
        self._samples.append((now, self._bytes))
        while now - self._samples[0][0] > RATE_WINDOW_S:
            self._samples.popleft()

    def _kbps(self) -> float:
        if len(self._samples) < 2 or not self.live:
            return 0.0
        (first, low), (last, high) = self._samples[0], self._samples[-1]
        return (high - low) * 8 / 1000 / (last - first)
