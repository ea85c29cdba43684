"""The pipeline's stages beside the plain reading of them, for networks of any size: the greatest differences."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from bench.whisper_window import deviation
from broadcaster.head.downsample import FACTOR, downsampled
from broadcaster.head.musetalk import mel
from broadcaster.head.musetalk.generator import FaceGenerator, Job, Pipeline
from broadcaster.head.musetalk.latents import coder_of, encoded
from broadcaster.head.musetalk.layout import SCALING
from broadcaster.head.musetalk.networks import Networks
from broadcaster.head.musetalk.window import POSITIONS, Heard, SoundWindow, Window
from broadcaster.head.paste import Paster, cut_face
from broadcaster.types import SAMPLE_RATE
from tests.face import plain
from tests.support.blending import crop_with_mask, i420, rgb

FPS = 25
CLIP_S = 3
WIDTH, HEIGHT = 480, 360
CROP = crop_with_mask(150, 70, 300, 250)
ROWS = 3
BATCH = 4


@cache
def speech() -> NDArray[np.int16]:
    """A voice that swells and fades under noise, 48 kHz, as loud as speech on air; it ends before the clip does."""
    at = np.arange(CLIP_S * SAMPLE_RATE)
    noise = np.random.default_rng(5).normal(size=len(at)) * 0.1
    voice = sum(np.sin(2 * np.pi * 180 * n * at / SAMPLE_RATE) for n in (1, 2, 3)) * 0.25
    sound = (noise + voice) * (0.3 + 0.7 * np.abs(np.sin(at / 11_000)))
    sound[-SAMPLE_RATE // 100 :] = 0
    return np.clip(sound * 32_768, -32_768, 32_767).astype(np.int16)


@cache
def low_speech() -> NDArray[np.float32]:
    return downsampled(speech(), 0, len(speech()) // FACTOR)


def clip_window() -> Window:
    """Sees all of the clip from every picture on, as upstream does."""
    return Window(POSITIONS, ahead=50 * CLIP_S, pad=1, loudest=mel.FLOOR)


class Agreement:
    """`networks` with their encoder, the full decoder, on the CPU."""

    def __init__(self, networks: Networks, batch: int = BATCH) -> None:
        self.networks = networks
        self._batch = batch
        self._made_already: dict[tuple[int, ...], list[NDArray[np.uint8]]] = {}
        self.seconds = 0.0
        """The generator's time for one picture, the last time."""
        self._pipeline = Pipeline(networks)
        self._vae: Any = networks.decoder.vae  # type: ignore[attr-defined]
        self._sound = SoundWindow(clip_window())
        self._sound.hear(speech().tobytes())
        self._features = plain.clip_features(networks.sound, low_speech())
        dice = np.random.default_rng(2)
        self._latents = dice.normal(size=(ROWS, 8, 32, 32)).astype(np.float16)
        picture = cv2.resize(dice.integers(30, 220, (12, 16, 3), dtype=np.uint8), (WIDTH, HEIGHT))
        self._planes = i420(picture)

    def spectrum(self) -> float:
        from transformers import WhisperFeatureExtractor

        theirs = WhisperFeatureExtractor()(low_speech(), sampling_rate=16_000, return_tensors="np").input_features[0]
        ours = mel.frames(low_speech(), 0, 3000)
        ours = mel.scaled(ours, float(ours.max()))
        read = plain.log_mel(low_speech())
        windowed = self._sound.heard(0).mel
        return float(max(np.abs(each - read).max() for each in (theirs, ours, windowed)))

    def features(self, frames: Sequence[int]) -> float:
        return max(
            float((self._told([frame]) - plain.frame_tokens(self._features, frame, FPS)).abs().max())
            for frame in frames
        )

    def latents(self) -> float:
        """Before they are rounded to fp16, of a face that was cut out already."""
        face = np.ascontiguousarray(cut_face(self._planes, CROP, 256))
        read = plain.frame_latents(self._vae, np.ascontiguousarray(face[:, :, ::-1]))
        seen: list[Any] = []
        coder = coder_of(self.networks)

        def encode(pictures: Any) -> Any:
            seen.append(coder.encode(pictures))
            return seen[0]

        kept = torch.from_numpy(encoded(replace(coder, encode=encode), face[None]))
        ours = torch.cat(list(seen[0] * SCALING), dim=0)[None]
        assert torch.equal(kept, ours.half())
        return float((ours - read).abs().max())

    def samples(self, frames: Sequence[int]) -> float:
        ours = self._made(frames)
        return max(float((ours[at] - self._sample(frame)[0]).abs().max()) for at, frame in enumerate(frames))

    def pictures(self, frames: Sequence[int]) -> int:
        """Through the generator, in batches of which the last one is padded."""
        ours = self._pictures(frames)
        read = [plain.frame_picture(self._vae, self._sample(frame))[:, :, ::-1] for frame in frames]
        return max(int(np.abs(one.astype(int) - other).max()) for one, other in zip(ours, read, strict=True))

    def frames(self, frames: Sequence[int]) -> int:
        paster = Paster(WIDTH, HEIGHT)
        bgr = np.ascontiguousarray(rgb(self._planes)[:, :, ::-1])
        box = (CROP.left, CROP.top, CROP.right, CROP.bottom)
        mask = cv2.resize(CROP.mask, (box[2] - box[0], box[3] - box[1]), interpolation=cv2.INTER_LINEAR)
        worst = 0
        for ours, frame in zip(self._pictures(frames), frames, strict=True):
            face = plain.frame_picture(self._vae, self._sample(frame))
            read = i420(plain.frame_blended(bgr, face, box, mask)[:, :, ::-1])
            place, patch = paster.paste(self._planes, CROP, ours)
            at = 0
            for plane, scale in zip(read, (1, 2, 2), strict=True):
                x, y = place.x // scale, place.y // scale
                width, height = place.width // scale, place.height // scale
                got = np.frombuffer(patch, np.uint8, width * height, at).reshape(height, width)
                worst = max(worst, int(np.abs(got.astype(int) - plane[y : y + height, x : x + width]).max()))
                at += width * height
        return worst

    def deviation(self, window: Window, frames: Iterable[int]) -> list[float]:
        """RMS difference of a sliding window's states to the whole clip's, in units of how much these vary."""
        return deviation(self.networks.sound, window, speech(), self._features, frames)

    def _told(self, frames: Sequence[int]) -> Any:
        heard = [self._sound.heard(2 * frame) for frame in frames]
        with torch.inference_mode():
            return self._pipeline.told(*tensors(heard))

    def _made(self, frames: Sequence[int]) -> Any:
        rows = torch.from_numpy(np.stack([self._latents[frame % ROWS] for frame in frames])).float()
        with torch.inference_mode():
            return self._pipeline.made(rows, self._told(frames))

    def _pictures(self, frames: Sequence[int]) -> list[NDArray[np.uint8]]:
        key = tuple(frames)
        if key not in self._made_already:
            generator = FaceGenerator(self.networks, self._batch, clip_window())
            held = generator.hold(self._latents)
            out: list[NDArray[np.uint8]] = []
            began = time.perf_counter()
            for at in range(0, len(frames), self._batch):
                jobs = [Job(held, f % ROWS, self._sound.heard(2 * f)) for f in frames[at : at + self._batch]]
                generator.submit(jobs)
                out += generator.take(60) or []
            self.seconds = (time.perf_counter() - began) / len(frames)
            self._made_already[key] = out
        return self._made_already[key]

    def _sample(self, frame: int) -> Any:
        latents = torch.from_numpy(self._latents[frame % ROWS : frame % ROWS + 1]).float()
        return plain.frame_sample(self.networks.unet, latents, plain.frame_tokens(self._features, frame, FPS))


def tensors(heard: Sequence[Heard]) -> tuple[Any, Any, Any]:
    """Spectra, positions and rows of a batch."""
    return (
        torch.from_numpy(np.stack([each.mel for each in heard])),
        torch.tensor([each.position for each in heard]),
        torch.tensor([each.rows for each in heard]),
    )
