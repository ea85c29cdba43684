"""`broadcaster render`: the composition root of the off-line channel.

Threads: playout (the caller's), head, voice, and one with the asyncio loop of the rehearsal. The parts are those of
the channel on air; only the clock differs, and it waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from broadcaster.app import avatar_of
from broadcaster.config import Config, LoadedConfig
from broadcaster.config.checks import find_avatar
from broadcaster.errors import BroadcasterError, RenderError
from broadcaster.head.process import run_head
from broadcaster.minds import gate_of, mind_of
from broadcaster.paths import Paths, channel_paths
from broadcaster.playout.encoder import identified
from broadcaster.playout.offline import OfflinePlayout
from broadcaster.rehearsal import Rehearsal
from broadcaster.script import Step, load_script
from broadcaster.speech.client import VoiceClient
from broadcaster.speech.pipeline import PacedSpeaker
from broadcaster.speech.process import run_voice
from broadcaster.voices import chain_of
from broadcaster.wire import Aired

log = logging.getLogger(__name__)

Progress = Callable[[float, str], None]
"""Seconds of picture written so far, and the sentence that begins there ("" on other calls)."""


@dataclass(frozen=True, slots=True)
class RenderReport:
    seconds: float
    took_s: float
    sentences: int


def render(loaded: LoadedConfig, script: Path, out: Path, progress: Progress = lambda s, t: None) -> RenderReport:
    """Writes `out` from `script`. A file that could not be finished is removed.

    Raises ConfigError for a bad script and RenderError, AssetError, VoiceError or HeadError for what fails later.
    """
    steps = load_script(script)
    run = hashlib.sha256(script.read_bytes()).hexdigest()[:16]  # the same script makes the same file
    real = channel_paths(loaded.config.channel, loaded.config.state_dir)
    folder = Path(tempfile.mkdtemp(prefix="render-"))
    paths = Paths(state=folder, run=folder, cache=real.cache)
    paths.cache.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(f".{out.stem}.partial{out.suffix}")
    try:
        report = _Render(loaded, paths, partial, run, progress).run(steps)
        partial.replace(out)
    finally:
        partial.unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
    return report


class _Render:
    def __init__(self, loaded: LoadedConfig, paths: Paths, out: Path, run: str, progress: Progress) -> None:
        self._loaded = loaded
        self._paths = paths
        self._progress = progress
        self._stop = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._sentences = 0
        avatar, its_own = avatar_of(loaded, paths), avatar_of(loaded, paths)  # a reader of pictures has one thread
        config = loaded.config
        aigc = identified(config.aigc, config.channel, run)
        config = config.model_copy(update={"aigc": aigc})
        self._playout = OfflinePlayout(config, paths, avatar, out, self._on_aired)
        self._threads = [
            self._thread("head", lambda: run_head(config.head, paths, its_own, _no_beat, self._stop, patient=True)),
            self._thread("voice", lambda: run_voice(config.voice, paths, _no_beat, self._stop)),
        ]
        self._rehearsal: Rehearsal | None = None

    def run(self, steps: list[Step]) -> RenderReport:
        started = time.monotonic()
        threads = [*self._threads, self._thread("rehearsal", lambda: self._perform(steps))]
        for thread in threads:
            thread.start()
        try:
            ticks = self._playout.run(self._on_tick)
        finally:
            self._stop.set()
            self._end_rehearsal()
            for thread in threads:
                thread.join(timeout=10)
        return RenderReport(ticks / self._playout.fps, time.monotonic() - started, self._sentences)

    def _perform(self, steps: list[Step]) -> None:
        with asyncio.Runner() as runner, contextlib.suppress(asyncio.CancelledError):
            self._loop = runner.get_loop()
            runner.run(self._rehearse(self._loaded.config, steps))

    async def _rehearse(self, config: Config, steps: list[Step]) -> None:
        self._task = asyncio.current_task()
        embedded = VoiceClient(config.voice, self._paths, lambda reason: log.error("voice", extra={"reason": reason}))
        # The voices of the channel: what is heard here is what will be heard on air. Only the embedded one makes the
        # same file every time; a configuration for that leaves the chain empty.
        avatar = find_avatar(config.avatar, self._loaded.base)
        chain = await asyncio.to_thread(chain_of, config.voice, self._paths, avatar, embedded)
        speaker = PacedSpeaker(chain, paced=False, cache=self._paths.cache)
        mind = await asyncio.to_thread(mind_of, config.brain, self._paths.cache)
        gate = await asyncio.to_thread(gate_of, config.moderation, self._paths.cache)
        self._rehearsal = Rehearsal(speaker, mind, gate, self._playout.feed, self._playout.fps)
        try:
            await self._rehearsal.perform(steps)
        finally:
            await gate.close()
            await mind.close()
            await chain.close()

    def _thread(self, name: str, work: Callable[[], None]) -> threading.Thread:
        def guarded() -> None:
            try:
                work()
            except BroadcasterError as err:
                self._playout.fail(err if isinstance(err, RenderError) else RenderError(f"{name}: {err}"))
            except Exception as err:
                log.exception("a part of the render failed", extra={"part": name})
                self._playout.fail(RenderError(f"{name} failed: {err!r}"))

        return threading.Thread(target=guarded, name=name, daemon=True)

    def _on_aired(self, event: Aired) -> None:
        if event.event == "on_air":
            self._sentences += 1
            self._progress(event.tick / self._playout.fps, event.text)
        elif event.event in ("done", "cut") and self._rehearsal is not None and self._loop is not None:
            self._loop.call_soon_threadsafe(self._rehearsal.aired, event.utterance)

    def _on_tick(self, tick: int) -> None:
        if tick % self._playout.fps == 0:
            self._progress(tick / self._playout.fps, "")

    def _end_rehearsal(self) -> None:
        """Ends a rehearsal that is still at work because playout has failed; one that has ended needs nothing."""
        if self._task is not None and self._loop is not None:
            with contextlib.suppress(RuntimeError):  # its loop is closed
                self._loop.call_soon_threadsafe(self._task.cancel)


def _no_beat(progress: int, ready: bool, note: str) -> None:
    """Nobody watches the parts of a render but its own stall limit."""
