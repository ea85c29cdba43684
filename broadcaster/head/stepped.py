"""Engine and stand-ins as one `TalkingHead`: steps down when pictures come late or the engine fails, and up again.

The steps: in full; every second picture rendered and the ones between interpolated; every third; `warp`; `still`. An
engine that cannot thin out (`warp` itself) has only its stand-ins, and only for faults. The head process's thread; on
air an engine that takes long to load, or whose fault may pass (its server is away), is loaded in a thread of its own,
so that the stand-in's lips never wait for it.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from broadcaster.errors import HeadError
from broadcaster.head.between import Rendered, between, rendered
from broadcaster.head.desk import SEEN_AHEAD
from broadcaster.head.engines import FALLBACKS
from broadcaster.head.ladder import Ladder
from broadcaster.head.still import base_planes
from broadcaster.head.timeline import Timeline
from broadcaster.ports import ThinningHead
from broadcaster.types import MouthPatch, base_index, samples_at

if TYPE_CHECKING:
    from broadcaster.ports import FacePack, SpeechTrack, TalkingHead

_log = logging.getLogger(__name__)

THINNING: Final = (("", 1), ("half", 2), ("third", 3))
"""Steps of one engine: what it is called in the status, and of how many pictures one is rendered."""

FIRST_RETRY_S: Final = 5.0
LAST_RETRY_S: Final = 120.0
"""Pauses before an engine whose fault may pass is loaded again: doubled each time."""

LOADING: Final = "is being loaded"

Make = Callable[[str], "TalkingHead"]


@dataclass(frozen=True, slots=True)
class _Anchored:
    generation: int
    epoch: int
    track: SpeechTrack
    first_tick: int
    first_sample: int


class SteppedHead:
    """Port `TalkingHead`. `make` gives an engine that is not loaded yet, by name."""

    def __init__(self, name: str, make: Make, now: Callable[[], float] = time.monotonic) -> None:
        self._asked_for = name
        self._make_named = make
        self._now = now
        self._engine: TalkingHead = make(name)
        self._preferred = self._engine.name
        self._own_device = bool(getattr(self._engine, "own_device", False))
        self.lead_ticks = self._engine.lead_ticks
        self._faults: dict[str, str] = {}
        """Why an engine is not used, by its name."""
        self._avatar: FacePack | None = None
        self._stand_ins: dict[str, TalkingHead] = {}
        self._ladder = Ladder(1)
        self._anchored: _Anchored | None = None
        self._last: Rendered | None = None
        self._heard = 0
        """Samples of the track that were known when `_last` was made."""
        self._version = 0
        self._interpolated = 0
        self._returned = 0
        self._retry_at = float("inf")
        self._pause = FIRST_RETRY_S
        self._fresh: list[TalkingHead | Exception] = []
        self._broke = False
        """The preferred engine has failed at work, and not come back since."""
        self.worn = False
        """It failed at work, could not be loaded again, and holds a device of its own: what is wrong with a GPU stays
        with its process, so only a new process may load it."""

    @property
    def name(self) -> str:
        """Of the engine at work."""
        return self._working().name

    @property
    def note(self) -> str:
        slow = [f"{self._preferred} is too slow here"] if self.step in FALLBACKS else []
        own = [said] if (said := str(getattr(self._engine, "note", ""))) else []
        return "; ".join([*slow, *(f"{name} {fault}" for name, fault in self._faults.items()), *own])

    @property
    def seen_ahead(self) -> int:
        """Samples beyond the start of a picture that may change it: what the engine at work looks at, from the
        rendered picture on that comes after one in between."""
        own = max(SEEN_AHEAD, int(getattr(self._working(), "seen_ahead", 0)))
        return own + samples_at(self._stride - 1, self._pack.fps)

    @property
    def step(self) -> str:
        """ "" in full, "half", "third", or the stand-in that is used because the engine is too slow."""
        return self._steps()[self._ladder.step][0]

    @property
    def state(self) -> tuple[str, str, bool]:
        """Engine, step, degraded: what is told at once when it changes."""
        return self.name, self.step, self.degraded

    @property
    def degraded(self) -> bool:
        """A stand-in is at work, and not only until the engine has been loaded."""
        if self.name == self._preferred:
            return False
        return self._faults.get(self._preferred) != LOADING or len(self._faults) > 1

    @property
    def counts(self) -> dict[str, int]:
        engine = self._engine
        own = engine.counts if isinstance(engine, ThinningHead) else {}
        ladder = self._ladder
        return {
            **own,
            "interpolated": self._interpolated,
            "stepped_down": ladder.stepped_down,
            "stepped_up": ladder.stepped_up,
            "returned": self._returned,
        }

    def load(self, avatar: FacePack, *, wait: bool = True) -> None:
        """The engine, or the first stand-in that can be loaded. Raises HeadError when none can.

        Without `wait`, a stand-in begins while an engine that takes long to load (its class says `loads_long`) is
        loaded in the background; it takes over at an utterance's beginning.
        """
        self._avatar = avatar
        if not wait and getattr(self._engine, "loads_long", False):
            engine = self._engine
            self._faults[self._preferred] = LOADING
            self._replace()
            self._load_behind(engine)
            return
        try:
            self._engine.load(avatar)
        except Exception as err:
            self._fail(f"cannot be loaded: {err}", err)
        else:
            self.lead_ticks = self._engine.lead_ticks
            self._climb_anew()

    def begin(self, generation: int, epoch: int, track: SpeechTrack, first_tick: int, first_sample: int) -> None:
        """As of a `TalkingHead`. Steps up here, between utterances, and never within one."""
        another = self._anchored is None or self._anchored.track is not track
        self._anchored = _Anchored(generation, epoch, track, first_tick, first_sample)
        if another:
            if self._preferred not in self._faults:
                self._pause = FIRST_RETRY_S  # it has lasted through an utterance
            self._take_back()
            self._rise()
        self._start()

    def render(self, first: int, last: int) -> Iterator[MouthPatch]:
        """As of a `TalkingHead`; ends early as well when the step changes, and goes on when it is called again."""
        version = self._version
        anchored = self._anchored
        if anchored is None:
            return
        while version == self._version:
            stride = self._stride
            source = self._whole(first, last) if stride == 1 else self._thinned(anchored, stride, first, last)
            try:
                for patch in source:
                    first = patch.tick + 1
                    self._ladder.made()
                    yield patch
                    if version != self._version:
                        return
            except Exception as err:
                self._fail(f"failed: {err}", err)
                version = self._version
                continue
            return

    def late(self, pictures: int) -> None:
        """So many pictures more were skipped because their tick had passed."""
        if pictures > 0 and self._ladder.skipped(pictures):
            _log.warning("the talking head is too slow and steps down", extra={"step": self.step or self.name})
            self._restart()

    def idle(self) -> None:
        """Nothing is to be rendered: looks after an engine that has failed, without waiting for it. One that has come
        back is left for the next utterance, if there was one."""
        if self._fresh and (isinstance(self._fresh[0], Exception) or self._anchored is None):
            self._take_back()
        if self._avatar is not None and self._retry_at <= self._now():
            self._load_behind(self._make(self._preferred))

    def _make(self, name: str) -> TalkingHead:
        """By the engine's own name: the configuration may know the preferred one by another."""
        return self._make_named(self._asked_for if name == self._preferred else name)

    def _steps(self) -> list[tuple[str, int]]:
        if not isinstance(self._engine, ThinningHead):
            return [*THINNING[:1]]
        return [*THINNING, *((name, 1) for name in FALLBACKS if name in self._stand_ins)]

    @property
    def _stride(self) -> int:
        return self._steps()[self._ladder.step][1]

    def _working(self) -> TalkingHead:
        return self._stand_ins.get(self.step, self._engine)

    def _climb_anew(self) -> None:
        """Another engine is the first choice now: its steps begin in full."""
        if isinstance(self._engine, ThinningHead):
            for name in FALLBACKS:
                if name not in self._stand_ins and name not in self._faults:
                    self._stand_in(name)
        old, self._ladder = self._ladder, Ladder(len(self._steps()))
        self._ladder.stepped_down, self._ladder.stepped_up = old.stepped_down, old.stepped_up

    def _stand_in(self, name: str) -> None:
        engine = self._make(name)
        try:
            engine.load(self._pack)
        except Exception as err:
            self._faults[name] = f"cannot be loaded: {err}"
            return
        self._stand_ins[name] = engine

    @property
    def _pack(self) -> FacePack:
        assert self._avatar is not None
        return self._avatar

    def _fail(self, why: str, err: Exception) -> None:
        """The engine at work is given up for the next of FALLBACKS, or a stand-in for the next step; a fault that may
        pass is looked at again."""
        failed = self._working()
        self._faults[failed.name] = why
        if failed.name == self._preferred:
            self._broke = self._anchored is not None
            self._retry_after(err)
        _close(failed)
        _log.error("the talking-head engine failed; another takes over", extra={"reason": self.note})
        self._stand_ins.pop(failed.name, None)
        if failed is self._engine:
            self._replace()
        else:
            self._ladder.shorten(len(self._steps()))
            self._restart()

    def _retry_after(self, err: Exception) -> None:
        """The preferred engine is loaded again after a pause if its fault may pass."""
        if isinstance(err, HeadError) and err.retryable:
            self._retry_at = self._now() + self._pause
            self._pause = min(2 * self._pause, LAST_RETRY_S)

    def _replace(self) -> None:
        """The first of FALLBACKS that is not known to be broken takes over, in the middle of a word if need be."""
        for name in FALLBACKS:
            if name in self._faults:
                continue
            if name not in self._stand_ins:
                self._stand_in(name)
            if name in self._stand_ins:
                self._engine = self._stand_ins[name]
                self._climb_anew()
                self._restart()
                return
        raise HeadError(f"no talking-head engine can be loaded: {self.note}", retryable=False)

    def _load_behind(self, engine: TalkingHead) -> None:
        pack = self._pack

        def load() -> None:
            try:
                engine.load(pack)
            except Exception as err:
                self._fresh.append(err)
            else:
                self._fresh.append(engine)

        self._retry_at = float("inf")
        threading.Thread(target=load, name="head-loading", daemon=True).start()

    def _take_back(self) -> None:
        """The engine that failed is used again if it could be loaded in the meantime."""
        if not self._fresh:
            return
        fresh = self._fresh.pop()
        if isinstance(fresh, Exception):
            if self._faults.get(self._preferred) == LOADING:
                _log.error("the talking-head engine cannot be loaded", extra={"reason": str(fresh)})
            self._faults[self._preferred] = f"cannot be loaded: {fresh}"
            self._retry_after(fresh)
            self.worn = self._broke and self._own_device
            return
        self._broke = False
        first = self._faults.pop(self._preferred, None) == LOADING
        self._engine = fresh
        self._returned += not first
        _log.info("the talking-head engine is %s", "here" if first else "back", extra={"engine": fresh.name})
        self._climb_anew()

    def _rise(self) -> None:
        if self._ladder.may_rise():
            _log.info("the talking head tries the next step up", extra={"step": self.step or self.name})

    def _restart(self) -> None:
        """Another engine, or another stride, goes on within the utterance."""
        self._version += 1
        if self._anchored is not None:
            self._start()

    def _start(self) -> None:
        told = self._anchored
        assert told is not None
        self._last = None
        engine = self._working()
        try:
            if isinstance(engine, ThinningHead):
                engine.stride = self._stride
            engine.begin(told.generation, told.epoch, told.track, told.first_tick, told.first_sample)
        except Exception as err:
            self._fail(f"failed: {err}", err)

    def _whole(self, first: int, last: int) -> Iterator[MouthPatch]:
        return self._working().render(first, last)

    def _thinned(self, told: _Anchored, stride: int, first: int, last: int) -> Iterator[MouthPatch]:
        """Every tick first..last from every `stride`-th rendered one."""
        avatar = self._pack
        line = Timeline(told.generation, told.epoch, told.first_tick, told.first_sample, avatar.fps)
        first = max(first, told.first_tick)
        behind = (first - told.first_tick) % stride
        if told.track.samples < self._heard:
            self._last = None  # trimmed: it may show speech that is not heard
        before, self._heard = self._last, told.track.samples
        if before is not None and not first - stride < before.patch.tick <= first:
            before = None
        if before is not None and before.patch.tick == first <= last:
            yield before.patch
        start = first - behind if before is None else before.patch.tick + stride
        end = last + (told.first_tick - last) % stride
        for patch in self._working().render(start, end):
            after = rendered(avatar, patch)
            if before is not None:
                for tick in range(max(first, before.patch.tick + 1), min(patch.tick, last + 1)):
                    self._interpolated += 1
                    yield between(avatar, tick, before, after)
            before = self._last = after
            if first <= patch.tick <= last:
                yield patch
        if before is None or not told.track.complete:
            return
        for tick in range(max(first, before.patch.tick + 1), last + 1):
            if line.over(tick, told.track.samples) or not line.over(before.patch.tick + stride, told.track.samples):
                return
            base = base_index(tick, avatar.loop_frames)
            box = avatar.mouth_box_at(base)
            planes = b"".join(plane.tobytes() for plane in base_planes(avatar, box, base))
            self._interpolated += 1
            yield MouthPatch(told.generation, told.epoch, tick, base, box, planes)


def _close(engine: TalkingHead) -> None:
    """Lets go of what an engine that failed holds (a GPU's memory); what it says to that is of no interest."""
    with contextlib.suppress(Exception):
        getattr(engine, "close", lambda: None)()
