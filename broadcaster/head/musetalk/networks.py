"""The networks of MuseTalk as the pipeline uses them, and how they are built. No thread of its own.

The classes are Diffusers' and Transformers'; only `decoder` and `encoder` are wrapped, so that the two decoders,
whose latents differ by a factor, are one call. Everything is in eval mode and without gradients. fp32 on a CPU (fp16
and bf16 are 10 to 100 times slower there), fp16 with channels_last on CUDA. torch is imported inside functions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from broadcaster.errors import HeadError
from broadcaster.head.musetalk.layout import (
    SCALING,
    SOUND,
    TAESD,
    UNET,
    VAE,
    DecoderName,
    PartName,
    Version,
    parts_for,
)

LATENT_SIZE: Final = 32
"""A face of 256 pixels is 32 latents wide."""

_TINY_UNET: Final = UNET | {
    "attention_head_dim": 2,
    "block_out_channels": [8, 16, 16, 16],
    "cross_attention_dim": 32,
    "layers_per_block": 1,
    "norm_num_groups": 4,
}

TINY: Final[dict[PartName, dict[str, Any]]] = {
    "unet-1.5": _TINY_UNET,
    "unet-1.0": _TINY_UNET,
    "vae": VAE | {"block_out_channels": [8, 8, 8, 8], "layers_per_block": 1, "norm_num_groups": 4},
    "sound": SOUND
    | {
        "d_model": 32,
        "encoder_attention_heads": 2,
        "encoder_ffn_dim": 64,
        "decoder_layers": 1,
        "decoder_attention_heads": 2,
        "decoder_ffn_dim": 64,
    },
    "taesd": TAESD
    | {
        "decoder_block_out_channels": [8, 8, 8, 8],
        "encoder_block_out_channels": [8, 8, 8, 8],
        "num_decoder_blocks": [1, 1, 1, 1],
        "num_encoder_blocks": [1, 1, 1, 1],
    },
}
"""The same classes, the same latents, the same five states of 50 steps a second, and 30 to 1,000 times less work."""


@dataclass(frozen=True, slots=True)
class Networks:
    """Loaded networks on one device. Tensors go in and out in `dtype` on `device`, except where said otherwise."""

    version: Version
    decoder_name: DecoderName
    device: Any
    """torch.device."""
    dtype: Any
    """torch.float32 on a CPU, torch.float16 on CUDA."""
    unet: Any
    """UNet2DConditionModel: (B, 8, 32, 32) latents, timestep 0, tokens (B, 50, width) -> sample (B, 4, 32, 32)."""
    decoder: Callable[[Any], Any]
    """(B, 4, 32, 32) as the UNet gives it -> pictures (B, 3, 256, 256) RGB, about -1..1, not clamped. The division by
    SCALING is inside. No Python-side state: it may be captured in a CUDA graph."""
    encoder: Callable[[Any], tuple[Any, Any]] | None
    """Pictures (B, 3, 256, 256) RGB -1..1 -> mean and standard deviation, (B, 4, 32, 32) each, not yet times SCALING.
    None where it was not asked for: only an avatar's preparation needs it."""
    sound: Any
    """WhisperEncoder of Transformers: conv1, conv2, embed_positions, layers, layer_norm; `config.d_model` wide."""
    fingerprint: str
    """Twelve hex digits of the image coder's weights: an avatar's latents fit networks with the same ones."""

    @property
    def width(self) -> int:
        """Of a token: 384 with the published weights."""
        return int(self.sound.config.d_model)

    @property
    def steps(self) -> int:
        """Positions of the sound encoder: 1500 (30 s) with the published weights."""
        return int(self.sound.config.max_source_positions)


@dataclass(frozen=True, slots=True)
class _FullDecoder:
    vae: Any

    def __call__(self, latents: Any) -> Any:
        return self.vae.decoder(self.vae.post_quant_conv(latents * (1 / SCALING)))


@dataclass(frozen=True, slots=True)
class _TinyDecoder:
    vae: Any

    def __call__(self, latents: Any) -> Any:
        return self.vae.decoder(latents)


@dataclass(frozen=True, slots=True)
class _Encoder:
    vae: Any

    def __call__(self, pictures: Any) -> tuple[Any, Any]:
        mean, logvar = self.vae.quant_conv(self.vae.encoder(pictures)).chunk(2, dim=1)
        return mean, (0.5 * logvar.clamp(-30.0, 20.0)).exp()  # the bounds are Diffusers'


def choose_device(name: str, threads: int) -> Any:
    """torch.device for `head.musetalk.device` (auto, cpu, cuda, cuda:1); sets torch's threads on the CPU.

    Raises HeadError (not retryable) for a device that is not there.
    """
    import torch

    torch.set_num_threads(threads)
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(name)
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (device.index or 0) >= count:
            built = "" if torch.version.cuda else ", and this torch is a build without CUDA"
            raise HeadError(
                f"head.musetalk.device: there is no {name} here ({count} CUDA devices{built}) -> check nvidia-smi "
                "and the installed torch, or set device: cpu (off line only)",
                retryable=False,
            )
    return device


@contextmanager
def placing(what: str, device: Any) -> Iterator[None]:
    """torch's errors of a device in our words. Raises HeadError: retryable where memory is short, which others may
    free."""
    import torch

    try:
        yield
    except torch.OutOfMemoryError as err:
        raise HeadError(
            f"{what} do not fit into the memory of {device}: {str(err).partition('. ')[0]} -> free some (nvidia-smi "
            "shows who uses it), or share one engine between channels: head.musetalk.server"
        ) from err
    except RuntimeError as err:  # lost, or of a kind that this build of torch has no kernels for
        first = (str(err).strip().splitlines() or [type(err).__name__])[0][:300]
        raise HeadError(
            f"{what} cannot be used on {device}: {first} -> check nvidia-smi, and that the installed torch knows "
            "this GPU; another one is set by head.musetalk.device",
            retryable=False,
        ) from err


def build(part: PartName, config: Mapping[str, Any]) -> Any:
    """The module of one part with every parameter on the `meta` device: names and shapes, no memory.

    `config` has the fields of layout's published configuration. Raises ValueError or TypeError for one that the class
    does not take.
    """
    import torch

    with torch.device("meta"):
        if part == "sound":
            from transformers import WhisperConfig
            from transformers.models.whisper.modeling_whisper import WhisperEncoder

            return WhisperEncoder(WhisperConfig(**config)).eval()
        from diffusers import AutoencoderKL, AutoencoderTiny, UNet2DConditionModel

        classes = {"vae": AutoencoderKL, "taesd": AutoencoderTiny}
        return classes.get(part, UNet2DConditionModel)(**config).eval()


def assemble(
    version: Version,
    decoder_name: DecoderName,
    device: Any,
    parts: Mapping[PartName, Any],
    *,
    encoder: bool,
) -> Networks:
    """Loaded modules (on the CPU, fp32) -> Networks on `device`. What is not needed there is dropped."""
    import torch

    cuda = device.type == "cuda"
    dtype = torch.float16 if cuda else torch.float32

    def placed(module: Any) -> Any:
        # The base class's `to`: Diffusers' own logs a warning for a module that keeps nothing in fp32.
        module = torch.nn.Module.to(module.eval().requires_grad_(False), device=device, dtype=dtype)
        return module.to(memory_format=torch.channels_last) if cuda else module

    vae = parts["vae"]
    fingerprint = fingerprint_of(vae)
    if not encoder:
        vae.encoder = vae.quant_conv = None
    placed_vae = None
    if decoder_name == "fast":
        vae.decoder = vae.post_quant_conv = None
        tiny = parts["taesd"]
        tiny.encoder = None
        decode: Callable[[Any], Any] = _TinyDecoder(placed(tiny))
        if encoder:
            placed_vae = placed(vae)
    else:
        placed_vae = placed(vae)
        decode = _FullDecoder(placed_vae)
    return Networks(
        version=version,
        decoder_name=decoder_name,
        device=device,
        dtype=dtype,
        unet=placed(parts[parts_for(version)[0].name]),
        decoder=decode,
        encoder=_Encoder(placed_vae) if encoder else None,
        sound=placed(parts["sound"]),
        fingerprint=fingerprint,
    )


def fingerprint_of(vae: Any) -> str:
    """Of the weights that make latents (encoder and quant_conv; fp32, on the CPU): 0.2 s for the published ones. The
    same whichever file format they came in."""
    digest = hashlib.sha256()
    for name, tensor in sorted(vae.state_dict().items()):
        if name.startswith(("encoder.", "quant_conv.")):
            digest.update(name.encode())
            digest.update(tensor.contiguous().numpy())
    return digest.hexdigest()[:12]


def random(
    configs: Mapping[PartName, Mapping[str, Any]],
    version: Version = "1.5",
    decoder_name: DecoderName = "full",
    device: Any = None,
    *,
    encoder: bool = False,
    seed: int = 0,
) -> Networks:
    """Networks with random weights, the same ones for the same `seed`: for tests, and for measuring speed.

    With layout's published configurations they are of full size (3.9 GB in fp32).
    """
    import torch

    device = torch.device("cpu") if device is None else device
    parts: dict[PartName, Any] = {}
    for part in parts_for(version, decoder_name):
        module = build(part.name, configs[part.name])
        module.load_state_dict(random_state(module, seed), assign=True)
        parts[part.name] = module
    return assemble(version, decoder_name, device, parts, encoder=encoder)


def random_state(module: Any, seed: int) -> dict[str, Any]:
    """Random weights for a module on `meta`: keeps the signal's size from layer to layer as trained ones do."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    state = {}
    for name, tensor in module.state_dict().items():
        values = torch.randn(tensor.shape, generator=generator)
        if tensor.dim() > 1:
            values *= tensor[0].numel() ** -0.5
        else:  # biases, and the weights of normalisations
            values = values * 0.1 + (1.0 if name.endswith("weight") else 0.0)
        state[name] = values
    return state


def tiny(
    decoder_name: DecoderName = "full", version: Version = "1.5", *, encoder: bool = True, seed: int = 0
) -> Networks:
    """Small random networks of the same classes on the CPU: a face in about 60 ms on one thread, made in 0.1 s.

    Only the inner sizes differ from the published ones: `width` is 32 instead of 384.
    """
    return random(TINY, version, decoder_name, encoder=encoder, seed=seed)
