"""Engine onnx with networks of the published sizes (random weights): milliseconds for one picture, beside `warp`.

The same speech over the presenter at 720p, on one thread and on two; the ways take turns, a stretch of pictures each.
"the network alone" is onnxruntime's run, the rest of a picture is crop, sound feature and paste-back.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from bench.head_warp import HOST, speech
from bench.onnx_networks import written
from bench.run_tables import Row, table
from broadcaster.head.onnx.engine import OnnxHead
from broadcaster.head.onnx.network import EncoderSound, read_network
from broadcaster.head.onnx.sessions import Encoder, FaceNetwork
from broadcaster.head.onnx.sound import EncoderFeature
from broadcaster.head.track import Track
from broadcaster.head.warp import WarpHead
from broadcaster.ports import TalkingHead
from broadcaster.studio.avatar import expand

STRETCH = 25
"""Pictures in one turn of a way."""

PICTURE_MS = 40.0
"""At 25 pictures a second."""

THREADS = (1, 2)


def run(*, quick: bool = False) -> list[Row]:
    turns = 2 if quick else 12
    with tempfile.TemporaryDirectory() as folder:
        avatar = expand(HOST, Path(folder), 1280, 720, 25)
        warp = WarpHead()
        warp.load(avatar)
        heads: dict[str, TalkingHead] = {"warp, 1 thread": warp}
        alone: dict[str, list[Row]] = {}
        for name in ("wav2lip", "feathertalk"):
            network, parameters = written(Path(folder) / name, name)
            for threads in THREADS:
                head = OnnxHead(network, threads)
                head.load(avatar)
                title = f"{name}, {threads} thread{'s' if threads > 1 else ''}"
                heads[title] = head
                alone[title] = _alone(network, threads, title, f"{parameters / 1e6:.1f} M parameters", 5 * turns)
        spent = _rendered(heads, turns)
        silent = _silent(heads["wav2lip, 1 thread"])
    warp_ms = statistics.median(spent["warp, 1 thread"])
    rows = [Row("warp, 1 thread: a picture", warp_ms, "ms")]
    for title, parts in alone.items():
        whole = statistics.median(spent[title])
        goal = PICTURE_MS if title == "feathertalk, 2 threads" else None
        rows.append(
            Row(f"{title}: a picture", whole, "ms", goal, f"{1000 / whole:.0f}/s, {whole / warp_ms:.1f}x warp")
        )
        rows += parts
    rows.append(Row("a picture in silence", silent, "ms"))
    table(f"Engine onnx at 720p, medians of {turns} turns of {STRETCH} pictures", rows)
    return rows


def _rendered(heads: dict[str, TalkingHead], turns: int) -> dict[str, list[float]]:
    """Milliseconds for one picture in each turn."""
    track = speech(2.0 + turns)
    spent: dict[str, list[float]] = {title: [] for title in heads}
    order = np.random.default_rng(2)
    for turn in range(turns):
        for title in order.permutation(list(heads)):
            head, first = heads[title], turn * STRETCH
            head.begin(1, turn, track, first, first * 1920)
            began = time.perf_counter()
            made = sum(1 for _ in head.render(first, first + STRETCH - 1))
            spent[title].append(1000 * (time.perf_counter() - began) / made)
    return spent


def _alone(folder: Path, threads: int, title: str, note: str, times: int) -> list[Row]:
    """The networks without anything of ours around them. The encoder's share: one run is good for a block of
    features, of which a picture at 25 a second has `rate` / 25."""
    network = read_network(folder)
    net, random = FaceNetwork(folder, network, threads), np.random.default_rng(1)
    size, sound = network.picture.size, network.sound
    picture = random.random((1, network.picture.channels, size, size), np.float32)
    heard = np.zeros((1, *sound.shape), np.float32)
    rows = [Row(f"{title}: the network alone", _timed(lambda: net.faces(picture, heard), times), "ms", None, note)]
    if isinstance(sound, EncoderSound):
        runs: list[tuple[Encoder, int]] = []

        def opened(samples: int, count: int) -> Encoder:
            runs.append((Encoder(folder, sound, "cpu", threads, samples, count), samples))
            return runs[0][0]

        EncoderFeature(sound, opened)
        encoder, samples = runs[0]
        waveform = random.normal(0, 1, samples).astype(np.float32)
        share = _timed(lambda: encoder.features(waveform), times) * sound.rate / 25 / sound.block
        rows.append(Row(f"{title}: the encoder alone", share, "ms", None, "a picture's share"))
    return rows


def _silent(head: TalkingHead) -> float:
    track = Track()
    track.add(bytes(96_000 * 2), [])
    track.end()
    head.begin(1, 1, track, 0, 0)
    return _timed(lambda: sum(1 for _ in head.render(0, 40)), 3) / 41


def _timed(work: Callable[[], object], times: int) -> float:
    spent = []
    for _ in range(times + 1):
        began = time.perf_counter()
        work()
        spent.append(1000 * (time.perf_counter() - began))
    return statistics.median(spent[1:])


if __name__ == "__main__":
    run()
