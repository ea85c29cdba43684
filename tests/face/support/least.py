"""The smallest networks that keep all shapes, and engines over them: for suites that make hundreds of faces."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from broadcaster.head.musetalk import latents, networks
from broadcaster.head.musetalk.engine import MuseTalkHead
from broadcaster.head.musetalk.layout import PartName
from broadcaster.head.musetalk.local import LocalFaces
from broadcaster.head.musetalk.networks import TINY, Networks
from broadcaster.ports import FacePack

LEAST: dict[PartName, dict[str, Any]] = TINY | {
    "unet-1.5": TINY["unet-1.5"]
    | {"block_out_channels": [4, 4, 4, 4], "norm_num_groups": 2, "attention_head_dim": 1},
    "vae": TINY["vae"] | {"block_out_channels": [2, 2, 4, 4], "norm_num_groups": 2},
}
"""A third of the work of `networks.tiny`."""


@cache
def least() -> Networks:
    """Made once in a process; nothing in them changes."""
    import torch

    torch.set_num_threads(1)
    return networks.random(LEAST, encoder=True)


def least_head(batch: int = 4) -> MuseTalkHead:
    """An engine that is not loaded; it makes the avatar's latents where they are not there."""

    def supply(avatar: FacePack) -> tuple[LocalFaces, Path]:
        return LocalFaces(least, batch), latents.make_latents(avatar, "1.5", latents.coder_of(least()))

    return MuseTalkHead(supply, batch)
