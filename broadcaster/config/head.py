"""The talking head's section of the configuration. No I/O."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from broadcaster.config.base import ConfigPath, Section


class MuseTalkConfig(Section):
    """Engine musetalk. Its weights come by `broadcaster models pull musetalk`; a GPU is needed for a live channel."""

    version: Literal["1.5", "1.0"] = "1.5"
    """Which of the published weights."""
    models: ConfigPath | None = None
    """Folder with the weights. Empty: where `broadcaster models pull` puts them."""
    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:[0-9]{1,2})?)$")] = "auto"
    """auto (a GPU if there is one), cpu (off line only: seconds for one picture), cuda or cuda:1."""
    batch: Annotated[int, Field(ge=1, le=16)] = 4
    """Pictures in one call; 4 to 8 suit a GPU (0.16 to 0.32 s at 25 pictures a second)."""
    decoder: Literal["full", "fast"] = "full"
    """fast: the tiny decoder (TAESD), about a quarter of the work, a little softer."""
    server: ConfigPath | None = None
    """Socket of an engine server (`broadcaster head serve`) shared by several channels. Empty: a model of its own."""


class OnnxHeadConfig(Section):
    """Engine onnx: a network of yours (Wav2Lip or FeatherTalk style) through onnxruntime."""

    network: ConfigPath | None = None
    """Folder with `network.yaml`, which names the .onnx files and what goes in and out."""


class HeadConfig(Section):
    engine: str = ""
    """Talking-head engine: warp moves the lips of the picture, musetalk and onnx generate them, still keeps them
    closed. Empty: the avatar's own, or warp."""
    threads: Annotated[int, Field(ge=1, le=16)] = 1
    """Threads of the talking-head engine on the CPU."""
    musetalk: MuseTalkConfig = MuseTalkConfig()
    onnx: OnnxHeadConfig = OnnxHeadConfig()
