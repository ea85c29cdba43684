"""The networks at their published sizes, on `meta`: counts, names and shapes; and which devices can be asked for."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from broadcaster.errors import HeadError
from broadcaster.head.musetalk import loading, networks
from broadcaster.head.musetalk.layout import SOUND, TAESD, UNET, VAE, PartName

pytestmark = pytest.mark.unit


def parameters(module: torch.nn.Module) -> int:
    return sum(tensor.numel() for tensor in module.parameters())


@pytest.mark.parametrize(
    ("part", "config", "millions", "tensors"),
    [("unet-1.5", UNET, 849.947844, 686), ("unet-1.0", UNET, 849.947844, 686), ("vae", VAE, 83.653863, 248),
     ("sound", SOUND, 8.208384, 67), ("taesd", TAESD, 2.445063, 134)],
)  # fmt: skip
def test_the_networks_have_the_published_sizes(
    part: PartName, config: dict[str, Any], millions: float, tensors: int
) -> None:
    module = networks.build(part, config)
    assert parameters(module) / 1e6 == pytest.approx(millions, abs=1e-9)
    assert len(module.state_dict()) == tensors
    assert all(tensor.is_meta for tensor in module.state_dict().values())


def test_names_and_shapes_of_the_published_unet() -> None:
    shapes = {name: tuple(each.shape) for name, each in networks.build("unet-1.5", UNET).state_dict().items()}
    assert shapes["conv_in.weight"] == (320, 8, 3, 3)
    assert shapes["conv_out.weight"] == (4, 320, 3, 3)
    cross = "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight"
    assert shapes[cross] == (320, 384)
    assert shapes["mid_block.resnets.1.conv2.weight"] == (1280, 1280, 3, 3)
    assert shapes["time_embedding.linear_1.weight"] == (1280, 320)
    assert "down_blocks.3.attentions.0.norm.weight" not in shapes
    vae = {name: tuple(each.shape) for name, each in networks.build("vae", VAE).state_dict().items()}
    assert vae["encoder.conv_out.weight"] == (8, 512, 3, 3)
    assert vae["post_quant_conv.weight"] == (4, 4, 1, 1)
    sound = {name: tuple(each.shape) for name, each in networks.build("sound", SOUND).state_dict().items()}
    assert sound["conv1.weight"] == (384, 80, 3)
    assert sound["embed_positions.weight"] == (1500, 384)


def test_the_sound_encoder_is_a_fifth_of_whisper_tiny() -> None:
    from transformers import WhisperConfig, WhisperModel

    with torch.device("meta"):
        whole = WhisperModel(WhisperConfig(**SOUND))
    assert parameters(whole) == 37_760_640
    names = loading.for_part(whole.state_dict(), "sound")
    assert set(names) == set(networks.build("sound", SOUND).state_dict())


def test_the_decoders_halves() -> None:
    vae, taesd = networks.build("vae", VAE), networks.build("taesd", TAESD)
    assert parameters(vae.decoder) == 49_490_179
    assert parameters(vae.encoder) == 34_163_592
    assert parameters(taesd.decoder) == 1_222_531


def test_a_device_that_is_not_there() -> None:
    threads = torch.get_num_threads()
    try:
        assert networks.choose_device("cpu", 2).type == "cpu"
        assert torch.get_num_threads() == 2
        if not torch.cuda.is_available():
            assert networks.choose_device("auto", 1).type == "cpu"
            with pytest.raises(HeadError, match=r"there is no cuda:1 here \(0 CUDA devices") as caught:
                networks.choose_device("cuda:1", 1)
            assert not caught.value.retryable
    finally:
        torch.set_num_threads(threads)
