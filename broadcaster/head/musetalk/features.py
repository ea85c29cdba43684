"""Spectrum -> what the UNet is told of the sound: the states of whisper's encoder, ten steps of them per face.

Upstream's rule (its audio_processor.py): the encoder's input to its layers and the output of each, the last one
normalised (what Transformers calls hidden_states), five vectors a step at 50 steps a second; per face the ten steps
from BEHIND before its picture to AHEAD behind it, step by step, 50 tokens; plus a sinusoidal position of the token.
torch is imported inside functions.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from broadcaster.head.musetalk.faces import AHEAD, BEHIND

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SEGMENT: Final = 30 * 16_000
"""Samples (16 kHz) that whisper hears at a time."""

STEP_LOW: Final = 320
"""Samples (16 kHz) of a step."""

STATES: Final = 5
TOKENS: Final = (BEHIND + AHEAD) * STATES


def states(sound: Any, mel: Any, position: Any) -> list[Any]:
    """The encoder's states over windows of any length: STATES tensors (B, steps, width).

    `sound`: Transformers' WhisperEncoder, whose own `forward` takes nothing but 30 s. `mel` (B, 80, 2 steps),
    `position` (B,) int64: of each window's first step.
    """
    import torch

    gelu = torch.nn.functional.gelu
    x = gelu(sound.conv2(gelu(sound.conv1(mel)))).permute(0, 2, 1)
    places = position[:, None] + torch.arange(x.shape[1], device=x.device)
    x = x + sound.embed_positions.weight[places]
    out = [x]
    for layer in sound.layers:
        x = layer(x, None)
        out.append(x)
    out[-1] = sound.layer_norm(x)
    return out


def tokens(sound: Any, mel: Any, position: Any, rows: Any, places: Any) -> Any:
    """(B, TOKENS, width): the tokens of one face per window. `rows` (B, 10) int64 are `Heard.rows`, `places` comes
    from `token_places`."""
    import torch

    found = states(sound, mel, position)
    steps = found[0].shape[1]
    there = (rows < steps)[:, :, None, None]
    index = rows.clamp(max=steps - 1)[:, :, None].expand(-1, -1, found[0].shape[2])
    chosen = torch.stack([state.gather(1, index) for state in found], dim=2) * there
    return chosen.flatten(1, 2) + places


def token_places(width: int, dtype: Any, device: Any) -> Any:
    """(TOKENS, width): sines and cosines of the token's number, the usual ones, with 10,000."""
    import torch

    at = torch.arange(TOKENS, dtype=torch.float32)[:, None]
    rate = torch.exp(torch.arange(0, width, 2, dtype=torch.float32) * (-math.log(10_000.0) / width))
    out = torch.zeros(TOKENS, width)
    out[:, 0::2], out[:, 1::2] = torch.sin(at * rate), torch.cos(at * rate)
    return out.to(device=device, dtype=dtype)


def clip_states(sound: Any, low: NDArray[np.float32]) -> Any:
    """(steps, STATES, width): a whole clip's states as upstream makes them, in segments of 30 s that are padded with
    silence. `low`: 16 kHz, -1..1. Not for a stream: every step sees the whole segment.

    The reference that the sliding window is measured against.
    """
    import torch
    from transformers import WhisperFeatureExtractor

    extractor = WhisperFeatureExtractor()
    weight = sound.conv1.weight
    parts = []
    for at in range(0, len(low), SEGMENT):
        mel = extractor(low[at : at + SEGMENT], sampling_rate=16_000, return_tensors="pt").input_features
        with torch.inference_mode():
            found = sound(mel.to(weight.device, weight.dtype), output_hidden_states=True).hidden_states
        parts.append(torch.stack(tuple(found), dim=2)[0])
    return torch.cat(parts)[: len(low) // STEP_LOW]
