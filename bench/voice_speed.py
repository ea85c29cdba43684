"""The embedded voice alone and beside x264: speed at 1 and 2 threads, and how soon and how evenly it speaks.

The first table alternates the two engines text by text in one process. The second speaks prompts through the voice
process, its client and the pacing, as the director does, while another process encodes 720p25 in real time.
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.latency_prompts import PROMPTS
from bench.run_tables import Row, spread, table
from broadcaster.config import VoiceConfig
from broadcaster.paths import Paths
from broadcaster.ports import Synthesiser
from broadcaster.speech.client import VoiceClient
from broadcaster.speech.engines import create
from broadcaster.speech.g2p import contains_han
from broadcaster.speech.packing import cut
from broadcaster.speech.pipeline import PacedSpeaker
from broadcaster.types import SAMPLE_RATE

SERVE = """
import sys, threading
from pathlib import Path
from broadcaster.config import VoiceConfig
from broadcaster.paths import Paths
from broadcaster.speech.process import run_voice
run_voice(VoiceConfig(), Paths(*map(Path, sys.argv[1:])), lambda *beat: None, threading.Event())
"""

ENCODE = """
from fractions import Fraction
import time
import av, numpy as np
codec = av.CodecContext.create("libx264", "w")
codec.width, codec.height, codec.pix_fmt, codec.bit_rate = 1280, 720, "yuv420p", 2_500_000
codec.framerate, codec.time_base, codec.thread_count = 25, Fraction(1, 25), 2
codec.options = {"preset": "veryfast", "tune": "zerolatency"}
dice = np.random.default_rng(1)
base = dice.integers(16, 235, (1080, 1280), dtype=np.uint8)
base = (base // 16 * 4 + np.linspace(40, 160, 1280, dtype=np.uint8)).astype(np.uint8)
begun = time.monotonic()
for tick in range(10**9):
    picture = np.roll(base, tick % 40, axis=1)
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="yuv420p")
    frame.pts = tick
    codec.encode(frame)
    time.sleep(max(0.0, begun + (tick + 1) / 25 - time.monotonic()))
"""


def never() -> bool:
    return False


def _timed(engine: Synthesiser, text: str) -> tuple[float, float, float]:
    """(wall seconds, CPU seconds, seconds of sound) of one call."""
    config = VoiceConfig()
    language = "zh" if contains_han(text) else "en"
    wall, cpu = time.perf_counter(), time.process_time()
    speech = engine.synthesise(text, language, config.zh if language == "zh" else config.en, 1.0, never)
    return time.perf_counter() - wall, time.process_time() - cpu, len(speech.pcm) / SAMPLE_RATE


def _engines(cache: Path, prompts: tuple[str, ...]) -> list[Row]:
    rows: list[Row] = []
    engines = {threads: create(VoiceConfig(threads=threads), cache) for threads in (1, 2)}
    for threads, engine in engines.items():
        begun = time.perf_counter()
        engine.load()
        rows.append(Row(f"load, {threads} threads", time.perf_counter() - begun, "s", note="files may be cached"))
    whole: dict[int, list[tuple[float, float, float]]] = {1: [], 2: []}
    first: dict[int, list[float]] = {1: [], 2: []}
    for text in prompts:
        for threads, engine in engines.items():
            whole[threads].append(_timed(engine, text))
            first[threads].append(_timed(engine, text[: cut(text, 4, 8)])[0])
    for threads in engines:
        wall, cpu, sound = (sum(column) for column in zip(*whole[threads], strict=True))
        rows.append(Row(f"real-time factor, {threads} threads", wall / sound, "", note=f"n={len(prompts)}"))
        rows.append(Row(f"CPU per second of sound, {threads} threads", cpu / sound, "s"))
        rows.append(
            Row(f"first piece of 4-8 characters, {threads} threads, P50", statistics.median(first[threads]), "s")
        )
    return rows


@contextmanager
def _running(code: str, *arguments: str) -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-c", code, *arguments])
    try:
        yield
    finally:
        process.kill()
        process.wait()


async def _paced(paths: Paths, prompts: tuple[str, ...]) -> tuple[list[float], list[float]]:
    """(milliseconds to the first sound of each prompt, holes in milliseconds behind each other piece)."""

    async def once(text: str) -> AsyncIterator[str]:
        yield text

    def hung(reason: str) -> None:
        raise SystemExit(f"the voice hung: {reason}")

    voice = VoiceClient(VoiceConfig(), paths, hung, away_s=60)
    await voice.warm()
    speaker = PacedSpeaker(voice, cache=paths.cache)
    await speaker.warm()
    first: list[float] = []
    holes: list[float] = []
    for number, text in enumerate(prompts):
        begun = time.monotonic()
        end: float | None = None
        async for piece in speaker.speak(once(text), number):
            now = time.monotonic()
            if end is None:
                first.append(1000 * (now - begun))
                end = now
            else:
                holes.append(1000 * max(0.0, now - end))
            end = max(now, end) + len(piece.speech.pcm) / SAMPLE_RATE
        await asyncio.sleep(max(0.0, (end or 0.0) - time.monotonic()))
    await voice.close()
    return first, holes


def run(*, quick: bool) -> list[Row]:
    prompts = PROMPTS[:4] if quick else PROMPTS
    with tempfile.TemporaryDirectory(prefix="bc-") as folder:
        paths = Paths(*(Path(folder, name) for name in ("s", "r", "c")))
        paths.ensure()
        rows = _engines(paths.cache, prompts)
        table("Embedded voice alone", rows)
        with _running(SERVE, str(paths.state), str(paths.run), str(paths.cache)), _running(ENCODE):
            first, holes = asyncio.run(_paced(paths, prompts))
    beside = spread("text -> first piece let go", first, "ms", p50=1500)
    beside += spread("hole behind a piece", holes, "ms", p95=250)
    table("Embedded voice, paced, beside x264 720p25", beside)
    return rows + beside


if __name__ == "__main__":
    run(quick="--quick" in sys.argv)
