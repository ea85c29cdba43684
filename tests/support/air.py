"""Playout's talk, compositor and mixer under a virtual clock, with a scripted head: no process, no waiting.

Pictures and sound are those of the air; only the encoder is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from broadcaster.config import Label
from broadcaster.head.track import Track
from broadcaster.playout.lips import Mouth
from broadcaster.playout.talk import Talk
from broadcaster.ports import AvatarPack, FacePack, TalkingHead
from broadcaster.studio.compositor import Compositor
from broadcaster.studio.label import Overlay, draw_label
from broadcaster.studio.mixer import Mixer
from broadcaster.types import SAMPLE_RATE, MouthBox, MouthPatch, Plane, base_index
from broadcaster.wire import Aired, Anchor, AnyMessage, Cut, End, Speak, Window

FPS = 25
FAR_NS = 39_000_000
"""Time to the next tick for messages that come right after one."""
Picture = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]


class NoiseAvatar:
    """An `AvatarPack` whose frames are all different noise: a picture of the wrong tick cannot go unnoticed."""

    def __init__(self, width: int = 640, height: int = 360, loop_frames: int = 41) -> None:
        self.root = Path("/nonexistent")
        self.width, self.height, self.fps, self.loop_frames = width, height, FPS, loop_frames
        noise = np.random.default_rng(7)
        size = width * height * 3 // 2
        self._frames = noise.integers(16, 236, (loop_frames, size), dtype=np.uint8)
        self._frames.flags.writeable = False

    def frame(self, index: int) -> tuple[Plane, Plane, Plane]:
        return split(self._frames[index], self.width, self.height)


class Head(Protocol):
    box: MouthBox

    def tell(self, message: AnyMessage) -> None: ...

    def due(self, tick: int) -> Iterator[MouthPatch]:
        """Patches that arrive before `tick` is composed."""


class EngineHead:
    """A real engine that renders at once whatever a window asks for."""

    def __init__(self, engine: TalkingHead, pack: FacePack) -> None:
        engine.load(pack)
        self.box = pack.mouth_box
        self._engine = engine
        self._tracks: dict[str, Track] = {}
        self._next = 0
        self._ready: list[MouthPatch] = []

    def tell(self, message: AnyMessage) -> None:
        match message:
            case Speak():
                self._tracks.setdefault(message.utterance, Track()).add(message.pcm, message.phones)
            case End():
                self._tracks.setdefault(message.utterance, Track()).end()
            case Anchor():
                self._ready.clear()
                self._next = message.first_tick
                track = self._tracks[message.utterance]
                self._engine.begin(message.generation, message.epoch, track, message.first_tick, message.first_sample)
            case Window():
                for patch in self._engine.render(max(self._next, message.now + 1), message.through):
                    self._ready.append(patch)
                    self._next = patch.tick + 1

    def due(self, tick: int) -> Iterator[MouthPatch]:
        ready, self._ready = self._ready, []
        yield from ready


class ScriptedHead:
    """A head that renders patches of one flat shade each, named after its tick, `late` ticks after it could.

    `stall` maps a tick to a number of ticks in which nothing is delivered.
    """

    def __init__(self, box: MouthBox, loop_frames: int, late: int = 0, stalls: dict[int, int] | None = None) -> None:
        self.box = box
        self.late = late
        self.stalls = stalls or {}
        self.anchors: list[Anchor] = []
        self._loop_frames = loop_frames
        self._samples: dict[str, int] = {}
        self._pending: list[tuple[int, MouthPatch]] = []
        self._rendered = -1
        self._now = 0
        self._blocked_until = 0

    def tell(self, message: AnyMessage) -> None:
        match message:
            case Speak():
                self._samples[message.utterance] = self._samples.get(message.utterance, 0) + len(message.pcm) // 2
            case Anchor():
                self.anchors.append(message)
                self._rendered = message.first_tick - 1
            case Window():
                self._render(max(self._rendered + 1, message.now + 1), message.through)
            case Cut():
                self._pending.clear()
            case End():
                pass

    def due(self, tick: int) -> Iterator[MouthPatch]:
        """Patches that arrive before `tick` is composed."""
        self._now = tick
        if tick in self.stalls:
            self._blocked_until = tick + self.stalls[tick]
        if tick < self._blocked_until:
            return
        arrived = [patch for when, patch in self._pending if when <= tick]
        self._pending = [(when, patch) for when, patch in self._pending if when > tick]
        yield from arrived

    def _render(self, first: int, through: int) -> None:
        if not self.anchors:
            return
        anchor = self.anchors[-1]
        left = self._samples.get(anchor.utterance, 0) - anchor.first_sample
        last = min(through, anchor.first_tick - (-left * FPS // SAMPLE_RATE) - 1 + 4)
        for tick in range(first, last + 1):
            pixels = np.full(self.box.width * self.box.height * 3 // 2, shade(tick), np.uint8)
            patch = MouthPatch(
                anchor.generation, anchor.epoch, tick, base_index(tick, self._loop_frames), self.box, pixels.tobytes()
            )
            self._pending.append((self._now + self.late, patch))
            self._rendered = tick


@dataclass(frozen=True, slots=True)
class Composed:
    """One tick as it would have gone to the encoder. `sound` is the speech in it, int16 mono, before the mixer."""

    tick: int
    picture: Picture
    sound: NDArray[np.int16]
    mouth: Mouth | None
    talking: bool


@dataclass(slots=True)
class VirtualAir:
    head: Head
    avatar: AvatarPack
    label: Overlay
    talk: Talk
    compositor: Compositor
    mixer: Mixer
    aired: list[Aired] = field(default_factory=list)
    tick: int = 0

    def speak(
        self,
        utterance: str,
        pcm: NDArray[np.int16],
        phones: list[tuple[str, str, int, int]] | None = None,
        *,
        generation: int = 1,
    ) -> None:
        data = pcm.astype("<i2").tobytes()
        self.talk.handle(Speak(generation, utterance, 0, utterance, data, phones or []), FAR_NS)
        self.talk.handle(End(generation, utterance), FAR_NS)

    def step(self) -> Composed:
        for patch in self.head.due(self.tick):
            self.talk.patch(patch)
        mouth = self.talk.pull(self.tick)
        speech = self.talk.take(self.tick)
        sound = self.mixer.mix(self.tick, speech)
        frame = (
            self.compositor.compose(self.tick)
            if mouth is None
            else self.compositor.compose(self.tick, mouth.patch, mouth.gain)
        )
        flat = np.ascontiguousarray(frame.to_ndarray(), dtype=np.uint8).reshape(-1)
        picture = split(flat, self.avatar.width, self.avatar.height)
        assert sound.shape == (2, SAMPLE_RATE // FPS)
        heard = np.zeros(SAMPLE_RATE // FPS, np.int16) if speech is None else speech
        composed = Composed(self.tick, picture, heard, mouth, bool(self.talk.talking))
        self.tick += 1
        return composed


def virtual_air(
    *, late: int = 0, stalls: dict[int, int] | None = None, lead: int = 2, first_tick: int = 0
) -> VirtualAir:
    avatar = NoiseAvatar()
    head = ScriptedHead(MouthBox(280, 180, 80, 48), avatar.loop_frames, late, stalls)
    return air_of(avatar, head, lead, first_tick)


def air_of(avatar: AvatarPack, head: Head, lead: int = 2, first_tick: int = 0) -> VirtualAir:
    label_config = Label()
    label = draw_label(
        label_config.text, label_config.corner, label_config.height_percent, avatar.width, avatar.height
    )
    aired: list[Aired] = []
    talk = Talk(FPS, avatar.loop_frames, head.tell, aired.append)
    talk.head_changed(lead)
    return VirtualAir(head, avatar, label, talk, Compositor(avatar, label), Mixer(FPS), aired, first_tick)


def shade(tick: int) -> int:
    """Luma of the patch for `tick`; neighbours differ by more than rounding."""
    return 20 + tick * 7 % 200


def split(flat: NDArray[np.uint8], width: int, height: int) -> Picture:
    """I420 bytes as Y, U, V planes; views."""
    luma, chroma = width * height, width * height // 4
    return (
        flat[:luma].reshape(height, width),
        flat[luma : luma + chroma].reshape(height // 2, width // 2),
        flat[luma + chroma :].reshape(height // 2, width // 2),
    )


def differs_outside(a: Picture, b: Picture, *boxes: MouthBox) -> bool:
    """Whether the pictures differ anywhere outside the boxes."""
    for scale, left, right in zip((1, 2, 2), a, b, strict=True):
        different = left != right
        for box in boxes:
            top, side = box.y // scale, box.x // scale
            different[top : top + box.height // scale, side : side + box.width // scale] = False
        if different.any():
            return True
    return False
