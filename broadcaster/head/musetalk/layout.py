"""What the published files of MuseTalk are called, under which licence they come, and how their networks are built.

Pure data; imports nothing heavy. A folder of weights looks like the `models/` folder of MuseTalk's own repository, so
that one which exists already can be used as it is:

    musetalk/      musetalk.json, pytorch_model.bin      the UNet of version 1.0 (fp32, 3.4 GB)
    musetalkV15/   musetalk.json, unet.pth               the UNet of version 1.5
    sd-vae/        config.json, diffusion_pytorch_model  the image coder
    whisper/       config.json, model                    the sound encoder (a whole whisper-tiny; its encoder is used)
    taesd/         config.json, diffusion_pytorch_model  the tiny decoder (decoder: fast)

Each folder's configuration is read where it is there, and must be of the class named here; where it is missing the
published one below is taken. Sources: upstream's README and loaders, musetalk.json and the models' cards.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from broadcaster.config.head import MuseTalkConfig

Version = Literal["1.5", "1.0"]
DecoderName = Literal["full", "fast"]
PartName = Literal["unet-1.5", "unet-1.0", "vae", "sound", "taesd"]

VERSIONS: Final[tuple[Version, ...]] = ("1.5", "1.0")

SCALING: Final = 0.18215
"""Latents of Stable Diffusion's image coder times this have about unit variance: what the UNet takes and gives."""

UNET: Final[dict[str, Any]] = {
    "act_fn": "silu",
    "attention_head_dim": 8,
    "block_out_channels": [320, 640, 1280, 1280],
    "center_input_sample": False,
    "cross_attention_dim": 384,
    "down_block_types": ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
    "downsample_padding": 1,
    "flip_sin_to_cos": True,
    "freq_shift": 0,
    "in_channels": 8,
    "layers_per_block": 2,
    "mid_block_scale_factor": 1,
    "norm_eps": 1e-05,
    "norm_num_groups": 32,
    "out_channels": 4,
    "sample_size": 64,
    "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"],
}
"""musetalk.json, the same for both versions: Stable Diffusion 1's UNet with 8 channels in (masked and reference
latents) and whisper-tiny's width across. `attention_head_dim` means 8 heads: Diffusers keeps the name for old files.
849.95 M parameters."""

VAE: Final[dict[str, Any]] = {
    "act_fn": "silu",
    "block_out_channels": [128, 256, 512, 512],
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "in_channels": 3,
    "latent_channels": 4,
    "layers_per_block": 2,
    "norm_num_groups": 32,
    "out_channels": 3,
    "sample_size": 256,
    "scaling_factor": SCALING,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
}
"""sd-vae-ft-mse: 83.7 M parameters, 49.5 M of them the decoder's."""

SOUND: Final[dict[str, Any]] = {
    "activation_function": "gelu",
    "d_model": 384,
    "decoder_attention_heads": 6,
    "decoder_ffn_dim": 1536,
    "decoder_layers": 4,
    "encoder_attention_heads": 6,
    "encoder_ffn_dim": 1536,
    "encoder_layers": 4,
    "max_source_positions": 1500,
    "max_target_positions": 448,
    "num_mel_bins": 80,
    "scale_embedding": False,
    "vocab_size": 51865,
}
"""whisper-tiny: 37.8 M parameters, 8.2 M of them the encoder's."""

TAESD: Final[dict[str, Any]] = {
    "act_fn": "relu",
    "decoder_block_out_channels": [64, 64, 64, 64],
    "encoder_block_out_channels": [64, 64, 64, 64],
    "in_channels": 3,
    "latent_channels": 4,
    "num_decoder_blocks": [3, 3, 3, 1],
    "num_encoder_blocks": [1, 3, 3, 3],
    "out_channels": 3,
    "scaling_factor": 1.0,
    "upsampling_scaling_factor": 2,
}
"""taesd: 2.4 M parameters, half of them the decoder's. Its latents are those that the UNet takes and gives."""


@dataclass(frozen=True, slots=True)
class Part:
    """One network: the folders it may lie in (first the one that a pull makes), its files, its class."""

    name: PartName
    title: str
    folders: tuple[str, ...]
    config_file: str
    weights: tuple[str, ...]
    """Names of the weights, the preferred one first: safetensors where it is published, else the pickle."""
    network: str
    """Class in Diffusers or Transformers, as `_class_name` or `model_type` of a configuration names it."""
    published: dict[str, Any]
    extra_files: tuple[str, ...] = ()
    """Small files that upstream's folder has besides; pulled where the hub has them, never needed."""


PARTS: Final[dict[PartName, Part]] = {
    "unet-1.5": Part(
        "unet-1.5",
        "MuseTalk 1.5 UNet",
        ("musetalkV15",),
        "musetalk.json",
        ("unet.safetensors", "unet.pth"),
        "UNet2DConditionModel",
        UNET,
    ),
    "unet-1.0": Part(
        "unet-1.0",
        "MuseTalk 1.0 UNet",
        ("musetalk",),
        "musetalk.json",
        ("pytorch_model.safetensors", "pytorch_model.bin"),
        "UNet2DConditionModel",
        UNET,
    ),
    "vae": Part(
        "vae",
        "image coder sd-vae-ft-mse",
        ("sd-vae", "sd-vae-ft-mse"),
        "config.json",
        ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin"),
        "AutoencoderKL",
        VAE,
    ),
    "sound": Part(
        "sound",
        "sound encoder whisper-tiny",
        ("whisper", "whisper-tiny"),
        "config.json",
        ("model.safetensors", "pytorch_model.bin"),
        "whisper",
        SOUND,
        ("preprocessor_config.json",),
    ),
    "taesd": Part(
        "taesd",
        "tiny decoder TAESD",
        ("taesd",),
        "config.json",
        ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin"),
        "AutoencoderTiny",
        TAESD,
    ),
}


def parts_for(version: Version, decoder: DecoderName = "full") -> tuple[Part, ...]:
    """What one version needs, in the order of loading. The image coder is always among them: its encoder makes an
    avatar's latents, whichever decoder paints the faces."""
    names: list[PartName] = ["unet-1.5" if version == "1.5" else "unet-1.0", "vae", "sound"]
    if decoder == "fast":
        names.append("taesd")
    return tuple(PARTS[name] for name in names)


def weights_folder(config: MuseTalkConfig, models: Path) -> Path:
    """Where the weights lie: `head.musetalk.models`, or a folder of the cache's `models` (`Paths.models`)."""
    return config.models or models / "musetalk"
