"""MuseTalk's pipeline read plainly: a whole clip, one frame at a time, fp32, loops instead of batches.

Written from the description of upstream's scripts (its audio_processor, vae, unet and inference modules). It shares
nothing with the pipeline but the networks' weights: what both agree on is right twice or wrong twice.
"""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

SCALE = 0.18215


def log_mel(sound: NDArray[np.float32]) -> NDArray[np.float64]:
    """(80, 3000) of at most 30 s at 16 kHz, padded with silence."""
    padded = np.zeros(480_000)
    padded[: len(sound)] = sound
    padded = np.pad(padded, 200, mode="reflect")
    window = np.array([0.5 * (1 - math.cos(2 * math.pi * n / 400)) for n in range(400)])
    spectrum = np.empty((201, 3000))
    for m in range(3000):
        spectrum[:, m] = np.abs(np.fft.fft(padded[160 * m : 160 * m + 400] * window)[:201]) ** 2
    mel = np.log10(np.maximum(slaney_filters() @ spectrum, 1e-10))
    return (np.maximum(mel, mel.max() - 8) + 4) / 4


def slaney_filters() -> NDArray[np.float64]:
    """80 triangles from 0 to 8 kHz, each of area 1 in hertz."""

    def hertz(mel: float) -> float:
        return mel * 200 / 3 if mel < 15 else 1000 * math.exp((mel - 15) * math.log(6.4) / 27)

    top = 15 + 27 * math.log(8.0) / math.log(6.4)
    corners = [hertz(top * i / 81) for i in range(82)]
    filters = np.zeros((80, 201))
    for band in range(80):
        low, peak, high = corners[band : band + 3]
        for k in range(201):
            f = 40.0 * k
            if low < f <= peak:
                filters[band, k] = (f - low) / (peak - low)
            elif peak < f < high:
                filters[band, k] = (high - f) / (high - peak)
        filters[band] *= 2 / (high - low)
    return filters


def clip_features(whisper_encoder: Any, sound: NDArray[np.float32]) -> Any:
    """(steps, 5, width) of a whole clip at 50 steps a second."""
    segments = []
    for start in range(0, len(sound), 480_000):
        mel = torch.tensor(log_mel(sound[start : start + 480_000]), dtype=torch.float32)[None]
        with torch.no_grad():
            states = whisper_encoder(mel, output_hidden_states=True).hidden_states
        segments.append(torch.stack(states, dim=2)[0])
    return torch.cat(segments)[: math.floor(len(sound) / 16_000 * 50)]


def frame_tokens(features: Any, frame: int, fps: int) -> Any:
    """(1, 50, width): ten steps around the frame, with the position of the token added."""
    width = features.shape[2]
    padded = torch.cat([torch.zeros(4, 5, width), features, torch.zeros(12, 5, width)])
    start = math.floor(frame * 50 / fps)
    tokens = torch.zeros(1, 50, width)
    for step in range(10):
        for state in range(5):
            n = 5 * step + state
            tokens[0, n] = padded[start + step, state]
            for i in range(0, width, 2):
                angle = n / 10_000 ** (i / width)
                tokens[0, n, i] += math.sin(angle)
                tokens[0, n, i + 1] += math.cos(angle)
    return tokens


def frame_latents(vae: Any, crop_bgr: NDArray[np.uint8]) -> Any:
    """(1, 8, 32, 32) of a face cut out of a frame: the masked latents and the reference's.

    Upstream draws a sample around the mean; here it is the mean.
    """
    face = cv2.resize(crop_bgr, (256, 256), interpolation=cv2.INTER_LANCZOS4)
    x = torch.tensor(face[:, :, ::-1].copy().astype(np.float32) / 255).permute(2, 0, 1)
    masked = x.clone()
    masked[:, 128:, :] *= 0
    with torch.no_grad():
        pair = [vae.encode((each[None] - 0.5) / 0.5).latent_dist.mean * SCALE for each in (masked, x)]
    return torch.cat(pair, dim=1)


def frame_sample(unet: Any, latents: Any, tokens: Any) -> Any:
    """(1, 4, 32, 32)"""
    with torch.no_grad():
        return unet(latents, torch.tensor([0]), encoder_hidden_states=tokens).sample


def frame_picture(vae: Any, sample: Any) -> NDArray[np.uint8]:
    """(256, 256, 3) BGR"""
    with torch.no_grad():
        picture = vae.decode(sample / SCALE).sample
    picture = (picture / 2 + 0.5).clamp(0, 1)[0].permute(1, 2, 0).numpy()
    return np.ascontiguousarray((picture * 255).round().astype(np.uint8)[:, :, ::-1])


def frame_blended(
    frame_bgr: NDArray[np.uint8],
    face_bgr: NDArray[np.uint8],
    box: tuple[int, int, int, int],
    mask: NDArray[np.uint8],
) -> NDArray[np.uint8]:
    """The face pasted into the square around its box, and the square into the frame by the mask; `mask` lies over
    the box, at its size."""
    left, top, right, bottom = box
    x, y = (left + right) // 2, (top + bottom) // 2
    half = int(max(right - left, bottom - top) // 2 * 1.5)
    square = (x - half, y - half, x + half, y + half)
    whole_mask = np.zeros((2 * half, 2 * half), np.uint8)
    whole_mask[top - square[1] : bottom - square[1], left - square[0] : right - square[0]] = mask
    body = Image.fromarray(frame_bgr[:, :, ::-1])
    around = body.crop(square)
    resized = cv2.resize(face_bgr, (right - left, bottom - top))
    around.paste(Image.fromarray(resized[:, :, ::-1]), (left - square[0], top - square[1]))
    body.paste(around, square[:2], Image.fromarray(whole_mask))
    return np.ascontiguousarray(np.array(body)[:, :, ::-1])
