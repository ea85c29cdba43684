"""Engine `onnx`: a network of the user's own (Wav2Lip or FeatherTalk style) through onnxruntime. The head's thread.

A face crop and what is heard around a picture go in, a face comes out and is laid over the lower face of the base
frame. In silence nothing is computed. Every patch is a function of the track around its tick alone.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from broadcaster.errors import AssetError, HeadError
from broadcaster.head.onnx.network import MANIFEST, MelSound, Network, read_network
from broadcaster.head.onnx.picture import Pictures
from broadcaster.head.onnx.sessions import Encoder, FaceNetwork
from broadcaster.head.onnx.sound import EncoderFeature, Feature, MelFeature
from broadcaster.head.paste import Paster
from broadcaster.head.timeline import Timeline
from broadcaster.head.track import Track
from broadcaster.head.voicing import Voicing
from broadcaster.types import SAMPLE_RATE, FaceCrop, MouthPatch, base_index, samples_at

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from broadcaster.config import HeadConfig
    from broadcaster.ports import FacePack, SpeechTrack

    Image = NDArray[np.uint8]

_log = logging.getLogger(__name__)

WARM_UP_RUNS: Final = 3
"""Pictures made while loading; the quickest of them says how long one takes."""

SLOW_SHARE: Final = 0.8
"""A network that takes more than this share of a picture's time leaves too little for everything else."""


@dataclass(frozen=True, slots=True)
class _Due:
    """A picture to make: how much of the face shows (0: the base alone), and what was cut out."""

    tick: int
    base: int
    crop: FaceCrop
    share: float
    cut: Image | None = None
    heard: NDArray[np.float32] | None = None


class OnnxHead:
    """Ports `TalkingHead` and `ThinningHead`."""

    name = "onnx"

    def __init__(self, folder: Path | None, threads: int = 1) -> None:
        self.lead_ticks = 2
        self.stride = 1
        self.seen_ahead = 0
        """Samples that a picture may hear beyond its start (see `SteppedHead`)."""
        self.picture_ms = 0.0
        """How long one picture took while loading, of the batch's time."""
        self.note = ""
        """What the operator should know about the speed."""
        self._folder = folder
        self._threads = threads
        self._avatar: FacePack | None = None
        self._timeline: Timeline | None = None
        self._faces = self._silent = self._padded = 0

    @property
    def counts(self) -> dict[str, int]:
        """faces: made by the network. silent: the base alone. padded: rows of a batch that made no face."""
        return {"faces": self._faces, "silent": self._silent, "padded": self._padded}

    def load(self, avatar: FacePack) -> None:
        """Opens the files, holds them to network.yaml and makes a few pictures. Raises AssetError."""
        network, self._net, self._sound = open_network(self._folder, self._threads)
        self._network = network
        self._paster = Paster(avatar.width, avatar.height, self._threads)
        self._pictures = Pictures(network, avatar)
        self.lead_ticks = 1 + network.batch
        starts = range(0, SAMPLE_RATE, samples_at(1, avatar.fps))
        self.seen_ahead = max(self._sound.needs(start) - start for start in starts)
        self._avatar = avatar
        self._warm_up(avatar)
        _log.info("network %s: %s", network.name, network.licence, extra={"ms": round(self.picture_ms, 1)})

    def begin(self, generation: int, epoch: int, track: SpeechTrack, first_tick: int, first_sample: int) -> None:
        if self._avatar is None:
            raise HeadError("the onnx engine was asked to speak before an avatar was loaded", retryable=False)
        self._timeline = Timeline(generation, epoch, first_tick, first_sample, self._avatar.fps)
        self._track, self._voicing = track, Voicing(track)
        self._sound.begin()

    def render(self, first: int, last: int) -> Iterator[MouthPatch]:
        line, avatar = self._timeline, self._avatar
        if line is None or avatar is None:
            return
        waiting: list[_Due] = []
        first = max(first, line.first_tick)
        first += (line.first_tick - first) % self.stride
        for tick in range(first, last + 1, self.stride):
            due = self._due(avatar, line, tick)
            if due is None:
                break
            waiting.append(due)
            if sum(each.cut is not None for each in waiting) in (0, self._network.batch):
                yield from self._made(line, avatar, waiting)
                waiting = []
        yield from self._made(line, avatar, waiting)

    def _due(self, avatar: FacePack, line: Timeline, tick: int) -> _Due | None:
        """What tick needs, or None where the speech is not known so far, or over."""
        track, middle = self._track, line.middle(tick)
        start = middle - samples_at(1, avatar.fps) // 2
        if track.complete and line.over(tick, track.samples):
            return None
        if not (track.complete or track.due) and self._sound.needs(start) > track.samples:
            return None
        if middle >= self._voicing.known_until() and not track.complete:
            return None
        base = base_index(tick, avatar.loop_frames)
        share = self._voicing.gain_at(middle)
        if share == 0.0:
            return _Due(tick, base, self._pictures.crop(base), share)
        return _Due(
            tick, base, self._pictures.crop(base), share, self._pictures.cut(base), self._sound.of(track, start)
        )

    def _made(self, line: Timeline, avatar: FacePack, due: list[_Due]) -> Iterator[MouthPatch]:
        faces = self._run([(each.cut, each.heard) for each in due if each.cut is not None and each.heard is not None])
        for each in due:
            face = None
            if each.cut is not None:
                face = self._pictures.face(each.cut, next(faces))
                self._faces += 1
            else:
                self._silent += 1
            box, planes = self._paster.paste(avatar.frame(each.base), each.crop, face, each.share)
            yield MouthPatch(line.generation, line.epoch, each.tick, each.base, box, planes)

    def _run(self, wanted: list[tuple[Image, NDArray[np.float32]]]) -> Iterator[Image]:
        if not wanted:
            return iter(())
        self._padded += self._network.batch - len(wanted)
        pictures = np.stack([self._pictures.input(cut) for cut, _ in wanted])
        return iter(self._net.faces(pictures, np.stack([heard for _, heard in wanted])))

    def _warm_up(self, avatar: FacePack) -> None:
        """One batch after the other with the real shapes, over the first base frames. Raises AssetError."""
        track = Track()
        track.add(np.random.default_rng(1).normal(0, 3000, 48_000).astype("<i2").tobytes(), [])
        track.end()
        self.begin(0, 0, track, 0, 0)
        line, times = self._timeline, []
        assert line is not None
        for run in range(WARM_UP_RUNS):
            began = time.perf_counter()
            due = [self._due(avatar, line, 5 + run + n) for n in range(self._network.batch)]
            for _ in self._made(line, avatar, [each for each in due if each is not None]):
                pass
            times.append(1000 * (time.perf_counter() - began) / self._network.batch)
        self._timeline = None
        self._faces = self._silent = self._padded = 0
        self.picture_ms = min(times)
        if self.picture_ms > SLOW_SHARE * 1000 / avatar.fps:
            self.note = (
                f"one picture takes {self.picture_ms:.0f} ms on {self._threads} thread{'s' * (self._threads > 1)}: "
                f"too long for {avatar.fps} a second, some will be interpolated"
            )
            _log.warning("the network of the talking head is slow", extra={"reason": self.note})


def open_network(folder: Path | None, threads: int) -> tuple[Network, FaceNetwork, Feature]:
    """What network.yaml says, and the .onnx files that agree with it, each run once. Raises AssetError."""
    if folder is None:
        raise AssetError(f"head.onnx.network is not set; name the folder with your {MANIFEST} there")
    network = read_network(folder)
    net, sound = FaceNetwork(folder, network, threads), network.sound
    if isinstance(sound, MelSound):
        return network, net, MelFeature(sound)
    return network, net, EncoderFeature(sound, partial(Encoder, folder, sound, network.provider, threads))


def make(config: HeadConfig, models: Path) -> OnnxHead:
    return OnnxHead(config.onnx.network, config.threads)
