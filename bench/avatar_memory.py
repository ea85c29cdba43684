"""A presenter from a long 1080p video: memory of playout and head, disk, and the CPU of pictures that are decoded.

The video is rendered here: five minutes of the shipped presenter moving, which raw would take 23 GB.
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.cpu import one_slice
from bench.latency_prompts import PROMPTS
from bench.memory import by_role
from bench.run_tables import Row, table
from broadcaster.config import Label
from broadcaster.studio.avatar import ExpandedAvatar, expand
from broadcaster.studio.base_frames import FramesAhead
from broadcaster.studio.compositor import Compositor
from broadcaster.studio.label import draw_label
from tests.support.channel import Channel
from tests.support.clips import make_clip_avatar
from tests.support.synthetic import Motion

SIZE = (1920, 1080)
FPS = 25
PERIOD_S = 4.0
GOAL_MB = 300.0
VIDEO = {"width": 1920, "height": 1080, "fps": FPS, "bitrate_kbps": 4000, "preset": "ultrafast", "threads": 2}


def run(*, quick: bool) -> list[Row]:
    minutes, air_s, ticks = (0.4, 15.0, 100) if quick else (5.0, 90.0, 500)
    folder = Path(tempfile.mkdtemp(prefix="bc-long-"))
    try:
        motion = Motion(period=PERIOD_S, noise=0.5)
        repeats = round(60 * minutes / PERIOD_S)
        root, _ = make_clip_avatar(
            folder, size=SIZE, fps=FPS, seconds=PERIOD_S, motion=motion, repeats=repeats, name="long-bench"
        )
        short, _ = make_clip_avatar(folder, size=SIZE, fps=FPS, seconds=PERIOD_S, motion=motion, name="short-bench")
        rows = _disk_and_speed(root, short, folder / "cache", minutes)
        rows += _cpu(short, folder / "cache", ticks)
        rows += _on_air(root, air_s)
    finally:
        shutil.rmtree(folder)
    table(f"A presenter from {minutes:g} minutes of 1080p at {FPS} a second", rows)
    return rows


def _disk_and_speed(root: Path, short: Path, cache: Path, minutes: float) -> list[Row]:
    rows = [Row("the avatar's folder", sum(p.stat().st_size for p in root.iterdir()) / 1e6, "MB")]
    for name, folder, (width, height) in (
        ("1080p, the clip itself", root, SIZE),
        (f"{PERIOD_S:g} s in 720p, coded anew", short, (1280, 720)),
    ):
        began = time.monotonic()
        pack = expand(folder, cache, width, height, FPS, budget=0)
        took = time.monotonic() - began
        raw = pack.loop_frames * width * height * 3 / 2 / 1e6
        rows += [
            Row(f"pack, {name}", pack.disk_bytes() / 1e6, "MB", note=f"raw: {raw:,.0f} MB"),
            Row(f"expanding, {name}", pack.loop_frames / took, "fps", note=f"{took:.0f} s"),
        ]
    return rows


def _cpu(root: Path, cache: Path, ticks: int) -> list[Row]:
    """CPU of the whole process for each composed picture: raw, and decoded ahead by a thread."""
    raw = expand(root, cache, *SIZE, FPS)
    decoded = expand(root, cache, *SIZE, FPS, budget=0).on_air()
    label = Label()
    overlay = draw_label(label.text, label.corner, label.height_percent, *SIZE)
    spent: dict[str, list[float]] = {"raw": [], "decoded": []}
    makers = {"raw": (raw, Compositor(raw, overlay)), "decoded": (decoded, Compositor(decoded, overlay))}
    for turn in range(6):
        for name, (pack, compositor) in makers.items():
            began = time.process_time()
            for tick in range(turn * ticks, (turn + 1) * ticks):
                _wait(pack)
                compositor.compose(tick)
            if turn:  # the first reads from the disk
                spent[name].append(1000 * (time.process_time() - began) / ticks)
    held = decoded.held
    decoded.close()
    cost = {name: statistics.median(values) for name, values in spent.items()}
    return [
        Row("a picture composed, raw", cost["raw"], "ms"),
        Row("a picture composed, decoded", cost["decoded"], "ms", note=f"{held} held"),
        Row("decoding, share of a core on air", 100 * (cost["decoded"] - cost["raw"]) * FPS / 1000, "%"),
    ]


def _wait(pack: ExpandedAvatar) -> None:
    if isinstance(pack._frames, FramesAhead):
        pack._frames.filled(10.0)


def _on_air(root: Path, seconds: float) -> list[Row]:
    samples: list[dict[str, float]] = []
    budget = 0.0 if seconds < 60 else 2.0  # the short video of --quick would fit
    settings: dict[str, Any] = {"video": VIDEO, "avatar": str(root), "avatar_disk_gb": budget}
    settings["inbox"] = {"max_text": 2000}
    with Channel(voice="tone", settings=settings, start=False) as channel:
        cache = (channel.root / "cache").resolve()
        expand(root, cache, *SIZE, FPS, budget=round(budget * 1e9))
        try:
            channel.start()
            idle = one_slice(channel, channel.process.pid, min(20.0, seconds))  # type: ignore[union-attr]
            end, number = time.monotonic() + seconds, 0
            while time.monotonic() < end:
                if len(channel.status()["next"]) < 2:
                    channel.say(PROMPTS[number % len(PROMPTS)])
                    number += 1
                samples.append(by_role(channel))
                time.sleep(1.0)
            status = channel.status()
        finally:
            for pack in cache.glob("avatars/long-bench-*"):
                shutil.rmtree(pack)
    most = {role: max(sample.get(role, 0.0) for sample in samples) for role in ("playout", "head")}
    clock = status["clock"]
    return [
        Row("playout: PSS without page cache, talking, max", most["playout"], "MB", GOAL_MB),
        Row("head: PSS without page cache, talking, max", most["head"], "MB", GOAL_MB),
        Row("playout: CPU, idle", idle.get("playout", 0.0), "%", note="encoder included"),
        Row("head: CPU, idle", idle.get("head", 0.0), "%"),
        Row("pictures held", float(clock["held_ticks"]), note=f"of {clock['tick']} ticks"),
        Row("ticks that ran late", float(clock["late_ticks"]), note="a busy machine holds pictures by itself"),
    ]


if __name__ == "__main__":
    run(quick=False)
