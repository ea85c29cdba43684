"""Files of weights in the published layouts, with the random values of `networks.tiny`: loaded, they give it back."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import torch

from broadcaster.head.musetalk import networks
from broadcaster.head.musetalk.layout import PARTS, PartName, Version

OLD = {"to_q.": "query.", "to_k.": "key.", "to_v.": "value.", "to_out.0.": "proj_attn."}


def state_of(part: PartName, seed: int = 0) -> dict[str, torch.Tensor]:
    """What `networks.tiny` gives this part."""
    return dict(_state(part, seed))


@cache
def _state(part: PartName, seed: int) -> dict[str, torch.Tensor]:
    return networks.random_state(networks.build(part, networks.TINY[part]), seed)


def with_old_names(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """As sd-vae-ft-mse's file has them, which Diffusers wrote before 0.17."""
    renamed = {}
    for name, tensor in state.items():
        for new, old in OLD.items():
            if ".attentions." in name:
                name = name.replace(new, old)
        renamed[name] = tensor
    return renamed


def whole_whisper(encoder: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """As openai/whisper-tiny's file has it: the encoder among the decoder and the (tied) head."""
    from transformers import WhisperConfig
    from transformers.models.whisper.modeling_whisper import WhisperDecoder

    with torch.device("meta"):
        decoder = WhisperDecoder(WhisperConfig(**networks.TINY["sound"]))
    state = {f"model.encoder.{name}": tensor for name, tensor in encoder.items()}
    state |= {
        f"model.decoder.{name}": torch.zeros(1).expand(each.shape) for name, each in decoder.state_dict().items()
    }
    state["proj_out.weight"] = state["model.decoder.embed_tokens.weight"]
    return state


def write_config(folder: Path, part: PartName) -> None:
    kind = "model_type" if part == "sound" else "_class_name"
    data = {kind: PARTS[part].network, "_diffusers_version": "0.6.0.dev0"} | networks.TINY[part]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / PARTS[part].config_file).write_text(json.dumps(data, indent=2))


def write_part(root: Path, part: PartName, seed: int = 0) -> Path:
    """One part as it is published; the file of weights."""
    folder = root / PARTS[part].folders[0]
    write_config(folder, part)
    path = folder / PARTS[part].weights[-1]
    path.write_bytes(_file(part, seed))
    return path


@cache
def _file(part: PartName, seed: int) -> bytes:
    state = state_of(part, seed)
    if part == "vae":
        state = with_old_names(state)
    if part == "sound":
        state = whole_whisper(state)
    written = io.BytesIO()
    torch.save(state, written)
    return written.getvalue()


def write_published(
    root: Path, versions: tuple[Version, ...] = ("1.5",), *, fast: bool = False, seed: int = 0
) -> Path:
    """A folder of weights like MuseTalk's own `models/`, a few megabytes; `root` again. For the engine as a whole:

    `HeadConfig(musetalk=MuseTalkConfig(models=write_published(tmp_path), device="cpu"))`.
    """
    parts: list[PartName] = ["vae", "sound", *(("taesd",) if fast else ())]
    parts += [f"unet-{version}" for version in versions]
    for part in parts:
        write_part(root, part, seed)
    return root
