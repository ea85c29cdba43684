"""Talking: which speech sounds at which tick, and which mouth goes with it. Runs in playout's tick thread only.

One utterance is on air at a time, the others wait in order. An utterance is played in segments: each is
anchored at a tick and a sample (an *epoch*), and the head renders for that anchor. A segment starts when the
head's first patches are in hand or a deadline has passed; when the sound runs dry inside an utterance, the
segment ends (a *hole*, counted) and the rest is anchored anew. The sound never waits for a patch once started.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from broadcaster.playout.lips import Lips, Mouth
from broadcaster.playout.packages import Packages
from broadcaster.playout.reports import Report, Reports
from broadcaster.playout.utterance import Utterance
from broadcaster.studio.mixer import fade_out
from broadcaster.types import SAMPLE_RATE, MouthPatch, PcmArray, base_index, samples_at
from broadcaster.wire import Anchor, AnyMessage, Cut, End, Speak, Trim, Window

START_DEADLINE_TICKS = 8
"""Past this an utterance starts without lips (320 ms at 25 fps: longer silence is worse than a still mouth)."""

ANCHOR_LEAD_NS = 22_000_000
"""The head gets at least this long for its first patches; a nearer tick is not promised (measured: 2-3 ms each)."""

WINDOW_EVERY = 4
WINDOW_TICKS = 30
"""Patches are asked for this far ahead: 1.2 s rides out a restart-free stall of the head and bounds its queue."""

TAIL_TICKS = 4
"""After the last sample the mouth's patches are still shown while they fade."""

MAX_QUEUED_SECONDS = 600

ToHead = Callable[[AnyMessage], None]


@dataclass(slots=True)
class TalkCounters:
    holes: int = 0
    hole_ticks: int = 0
    patches_shown: int = 0
    patches_missing: int = 0
    patches_late: int = 0
    started_without_lips: int = 0
    refused: int = 0


class Talk:
    """Fed with messages by `handle`, asked once per tick by `pull` (mouth) and `take` (sound)."""

    def __init__(
        self, fps: int, loop_frames: int, to_head: ToHead, report: Report, packages: Packages | None = None
    ) -> None:
        self.counters = TalkCounters()
        self.generation = 0
        self.panicked = False
        self._fps = fps
        self._loop_frames = loop_frames
        self._to_head = to_head
        self._reports = Reports(report)
        self._packages = packages or Packages(fps)
        self._queue: deque[Utterance] = deque()
        self._current: Utterance | None = None
        self._epoch = 0
        self._start: int | None = None  # tick of the current segment's first sample
        self._start_sample = 0
        self._speaking = False
        self._deadline = 0
        self._slips = 0
        self._hole_since: int | None = None
        self._tail = 0
        self._lead = 0
        self._lips = Lips()
        self._fade_out = False
        self._next_tick = 0

    # -- messages ---------------------------------------------------------------------------------------------

    def handle(self, message: AnyMessage, until_next_ns: int) -> None:
        """Speak, End, Trim, Cut of the director. `until_next_ns` tells how near the next tick is."""
        if isinstance(message, Speak):
            self._on_speak(message, until_next_ns)
        elif isinstance(message, End):
            self._on_end(message, until_next_ns)
        elif isinstance(message, Trim):
            self._on_trim(message)
        elif isinstance(message, Cut):
            self.cut(message.generation)

    def head_changed(self, lead_ticks: int | None) -> None:
        """A head connected (its lead) or went away (None). What is talking goes on; a new head gets it all."""
        self._lead = lead_ticks or 0
        self._lips.void()
        if lead_ticks is None:
            return
        for utterance in [u for u in (self._current, *self._queue) if u is not None]:
            for message in utterance.replayed():
                self._to_head(message)
        if self._current is not None and self._start is not None:
            self._anchor_head(self._current)

    def patch(self, patch: MouthPatch) -> None:
        if patch.epoch != self._epoch or patch.generation < self.generation:
            return  # rendered for an older anchor; the head was already told
        if patch.tick < self._next_tick or patch.base != base_index(patch.tick, self._loop_frames):
            self.counters.patches_late += 1
            return
        self._lips.put(patch, self._packages.now_ns())

    def cut(self, generation: int) -> None:
        """Drops everything older than `generation`; what sounds now fades in the next `take`."""
        if generation <= self.generation:
            return
        self.generation = generation
        self._to_head(Cut(generation))
        self._drop(generation)

    def panic(self, on: bool, generation: int) -> None:
        """Silence and the bare base picture from the next tick on; speech is refused until it is over.

        Whoever panics need not know the generation: everything in hand is dropped.
        """
        self.panicked = on
        self.cut(generation)
        if on:
            self._drop(None)
            self._lips.void()

    def reset(self) -> None:
        """Forgets everything in hand after a fault; all of it is reported as cut."""
        dropped = [u for u in (self._current, *self._queue) if u is not None]
        self._current = None
        self._queue.clear()
        self._lips.reset()
        self._speaking = self._fade_out = False
        self._start = self._hole_since = None
        self._tail = 0
        for utterance in dropped:
            self._reports.over("cut", utterance, self._next_tick - 1)

    def _drop(self, below: int | None) -> None:
        """Forgets utterances of a generation below `below`, or all."""

        def stays(utterance: Utterance) -> bool:
            return below is not None and utterance.generation >= below

        self._queue = deque(u for u in self._queue if stays(u))
        if self._current is not None and not stays(self._current):
            self._fade_out = self._speaking
            if not self._speaking:
                self._finish("cut")

    # -- per tick ---------------------------------------------------------------------------------------------

    def pull(self, tick: int) -> Mouth | None:
        """Decides whether speech starts at this tick, and returns its mouth. Call once per tick, before `take`."""
        self._next_tick = tick + 1
        if self._current is None and self._queue and self._tail == 0:
            self._arm(tick)
        elif self._current is not None and self._start is None:
            self._anchor(tick + 1)
        if self._current is not None and not self._speaking and self._start is not None:
            self._try_start(tick)
        if self._start is not None and tick % WINDOW_EVERY == 0:
            self._to_head(Window(tick, tick + WINDOW_TICKS))
        self._packages.lips_ns = self._lips.arrived_ns(tick)
        return self._mouth(tick)

    def take(self, tick: int) -> PcmArray | None:
        """The speech of this tick, mono int16, one tick long; None when nobody talks."""
        current = self._current
        if current is None or not self._speaking:
            return None
        count = samples_at(tick + 1, self._fps) - samples_at(tick, self._fps)
        sound = current.take(count)
        self._packages.sounded(current, self._start_sample)
        self._reports.sentences(current, tick)
        if self._fade_out:
            self._finish("cut")
            return fade_out(sound, count)
        if current.complete and current.aired >= current.samples:
            self._finish("done")
        elif len(sound) < count:
            self._open_hole(tick)
        if len(sound) < count:
            sound = np.concatenate([sound, np.zeros(count - len(sound), dtype=np.int16)])
        return sound

    # -- what the render clock and the status ask -------------------------------------------------------------

    def ready(self, tick: int) -> bool:
        """Off line: is everything in hand that this tick needs? Whole utterance, and its patch at this tick."""
        current = self._current
        if current is None:
            if self._lead and self._tail > 1:
                return self._lips.has([tick])
            return not self._queue or self._queue[0].complete
        if not current.complete:
            return False
        if self._lead == 0 or self._start is None:
            return True
        left = current.samples - self._start_sample
        last = self._start - (-left * self._fps // SAMPLE_RATE) - 1
        needed = range(max(tick, self._start), min(tick + self._lead, last) + 1)
        return self._lips.has(needed)

    @property
    def lead_ticks(self) -> int:
        """Pictures the head must have made before a piece of sound begins; 0 without a head."""
        return self._lead

    @property
    def talking(self) -> str:
        return self._current.id if self._current is not None and self._speaking else ""

    @property
    def busy(self) -> bool:
        return self._current is not None or bool(self._queue)

    @property
    def closing(self) -> bool:
        """The sound is over and the mouth is still fading."""
        return self._current is None and self._tail > 0

    @property
    def queued_samples(self) -> int:
        pending = [u for u in (self._current, *self._queue) if u is not None]
        return sum(u.samples - u.aired for u in pending)

    # -- inside -----------------------------------------------------------------------------------------------

    def _on_speak(self, message: Speak, until_next_ns: int) -> None:
        if self.panicked or message.generation < self.generation:
            return
        utterance = self._find(message.utterance)
        if utterance is None:
            utterance = Utterance(message.utterance, message.generation)
            if not self.busy and self._tail == 0:
                utterance.free_ns = self._packages.now_ns()
            self._queue.append(utterance)
        if self.queued_samples > MAX_QUEUED_SECONDS * SAMPLE_RATE:
            self.counters.refused += 1
            return
        utterance.append(message, self._packages.now_ns())
        self._to_head(message)
        self._soon(until_next_ns)

    def _on_end(self, message: End, until_next_ns: int) -> None:
        utterance = self._find(message.utterance)
        if utterance is None:
            return
        utterance.complete = True
        self._to_head(message)
        if utterance is self._current and utterance.aired >= utterance.samples:
            self._reports.sentences(utterance, self._next_tick - 1)
            self._finish("done")
        self._soon(until_next_ns)

    def _on_trim(self, message: Trim) -> None:
        utterance = self._find(message.utterance)
        if utterance is None or utterance.generation != message.generation:
            return
        if not utterance.trim(message.sentence):
            return
        left = max(0, utterance.samples - utterance.head_base)
        self._to_head(Trim(message.generation, message.utterance, message.sentence, left))
        if utterance is self._current and self._start is not None:
            sound = utterance.samples - self._start_sample
            self._lips.drop_from(self._start - (-sound * self._fps // SAMPLE_RATE))
        if utterance.aired < utterance.samples:
            return
        if utterance is self._current:
            self._reports.sentences(utterance, self._next_tick - 1)
            self._finish("done")
        else:
            self._queue.remove(utterance)
            self._reports.over("done", utterance, self._next_tick - 1)

    def _soon(self, until_next_ns: int) -> None:
        """Arms between ticks when the next one is far enough away for the head to be ready."""
        if until_next_ns < ANCHOR_LEAD_NS and self._lead:
            return
        if self._current is None and self._queue and self._tail == 0:
            self._arm(self._next_tick - 1)
        elif self._current is not None and self._start is None:
            self._anchor(self._next_tick)

    def _find(self, utterance_id: str) -> Utterance | None:
        for utterance in (self._current, *self._queue):
            if utterance is None or utterance.generation < self.generation:
                continue  # fading out after a cut: what comes under its name now begins anew
            if utterance.id == utterance_id:
                return utterance
        return None

    def _arm(self, tick: int) -> None:
        first = self._queue[0]
        if first.samples == 0:
            if first.complete:
                self._queue.popleft()
                self._reports.over("done", first, tick)
            return
        self._current = self._queue.popleft()
        self._current.free_ns = self._current.free_ns or self._packages.now_ns()
        self._slips = 0
        self._deadline = tick + START_DEADLINE_TICKS
        self._anchor(tick + 1)

    def _anchor(self, tick: int) -> None:
        current = self._current
        assert current is not None
        if current.samples - current.aired == 0:
            return
        self._start, self._start_sample = tick, current.aired
        self._anchor_head(current)

    def _anchor_head(self, current: Utterance) -> None:
        """Tells the head where the rest of `current` lies from now on: at `_start`, or at the next tick if that is
        past. What was rendered before is void."""
        assert self._start is not None
        tick = max(self._start, self._next_tick if self._speaking else self._start)
        skipped = samples_at(tick, self._fps) - samples_at(self._start, self._fps)
        first = self._start_sample + skipped - current.head_base
        self._epoch += 1
        self._lips.void()
        self._to_head(Anchor(current.generation, current.id, self._epoch, tick, first))
        self._to_head(Window(tick - 1, tick + WINDOW_TICKS))

    def _try_start(self, tick: int) -> None:
        assert self._start is not None
        if tick < self._start:
            return
        if self._has_lead(self._start):
            self._begin(tick)
        elif tick >= self._deadline:
            self.counters.started_without_lips += 1
            if tick != self._start:
                self._anchor(tick)
            self._begin(tick)
        else:
            self._slips += 1
            self._anchor(tick + min(self._slips, 2))

    def _has_lead(self, start: int) -> bool:
        current = self._current
        assert current is not None
        known = -(-(current.samples - current.aired) * self._fps // SAMPLE_RATE)
        return self._lips.has(range(start, start + min(self._lead, known)))

    def _begin(self, tick: int) -> None:
        self._speaking = True
        if self._hole_since is not None:
            self.counters.holes += 1
            self._packages.gap_ticks = tick - self._hole_since
            self.counters.hole_ticks += tick - self._hole_since
            self._hole_since = None

    def _open_hole(self, tick: int) -> None:
        """The sound ran dry inside an utterance: the segment ends, the next Speak anchors the rest."""
        self._hole_since = tick + 1
        self._speaking = False
        self._start = None
        self._slips = 0
        self._deadline = tick + 1 + START_DEADLINE_TICKS

    def _mouth(self, tick: int) -> Mouth | None:
        active = self._speaking
        if active and self._lead and not self._lips.has([tick]):
            self.counters.patches_missing += 1
        mouth = self._lips.take(tick, opening=active and not self._fade_out)
        if not active and self._tail > 0:
            self._tail -= 1
            if self._tail == 0 and self._current is None:
                self._start = None
        if mouth is None or not (active or self._tail or self._fade_out):
            return None
        self.counters.patches_shown += 1
        return mouth

    def _finish(self, event: str) -> None:
        current = self._current
        assert current is not None
        self._reports.over(event, current, self._next_tick - 1)
        spoke = self._speaking
        self._current = None
        self._speaking = False
        self._fade_out = False
        self._hole_since = None
        self._tail = TAIL_TICKS if spoke else 0
        if not spoke:
            self._start = None
