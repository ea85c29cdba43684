"""Weights in their published layouts: what loads, and what every wrong file is told to be."""

from __future__ import annotations

import json
import os
import pickle
import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from broadcaster.errors import AssetError, HeadError
from broadcaster.head.musetalk import loading, networks
from broadcaster.head.musetalk.layout import PARTS, VAE, DecoderName, PartName, Version
from tests.face.support.weights import state_of, with_old_names, write_part, write_published

pytestmark = pytest.mark.unit

CPU = torch.device("cpu")


def in_folder(root: Path, part: PartName, state: Any = None) -> loading.Found:
    """A part that `write_part` wrote, its weights replaced by `state`."""
    path = write_part(root, part)
    if state is not None:
        torch.save(state, path)
    return loading.find(root, PARTS[part])


def refusal(root: Path, part: PartName, content: bytes | None = None, state: Any = None, suffix: str = "") -> str:
    """What is said of a file; its name and a remedy are in it always."""
    found = in_folder(root, part, state)
    path = found.weights
    if suffix:
        path = path.rename(path.with_name(PARTS[part].weights[0]))
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(AssetError) as caught:
        loading.module_of(loading.find(root, PARTS[part]))
    said = str(caught.value)
    assert str(path) in said
    assert " -> " in said
    assert "broadcaster models pull musetalk" in said
    return said


# -- what loads ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("version", "decoder"), [("1.5", "full"), ("1.0", "fast")])
def test_the_published_layout_loads_bit_by_bit(tmp_path: Path, version: Version, decoder: DecoderName) -> None:
    write_published(tmp_path, (version,), fast=decoder == "fast")
    loaded = loading.load(tmp_path, version, decoder, CPU, encoder=True)
    made = networks.tiny(decoder, version)
    assert (loaded.version, loaded.decoder_name, loaded.width) == (version, decoder, 32)
    assert loaded.fingerprint == made.fingerprint == loading.fingerprint(tmp_path)
    assert loaded.dtype is torch.float32
    generator = torch.Generator().manual_seed(3)
    latents = torch.randn(1, 8, 32, 32, generator=generator)
    tokens = torch.randn(1, 50, 32, generator=generator)
    picture = torch.rand(1, 3, 256, 256, generator=generator) * 2 - 1
    sound = torch.randn(1, 80, 3000, generator=generator)
    assert loaded.encoder is not None
    assert made.encoder is not None
    with torch.inference_mode():
        for one, other in (
            (_unet(loaded, latents, tokens), _unet(made, latents, tokens)),
            (loaded.decoder(latents[:, :4]), made.decoder(latents[:, :4])),
            (loaded.encoder(picture)[0], made.encoder(picture)[0]),
            (loaded.sound(sound).last_hidden_state, made.sound(sound).last_hidden_state),
        ):
            assert torch.equal(one, other)
    assert loaded.decoder(latents[:, :4]).shape == (1, 3, 256, 256)


def _unet(of: networks.Networks, latents: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    result: torch.Tensor = of.unet(latents, torch.zeros(1), encoder_hidden_states=tokens, return_dict=False)[0]
    return result


def test_the_libraries_own_loaders_read_the_same_from_these_files(tmp_path: Path) -> None:
    """Old names of attentions, and the encoder inside a whole Whisper: they know these files as well."""
    from diffusers import AutoencoderKL
    from transformers import WhisperModel

    write_published(tmp_path)
    for part, theirs in (
        ("vae", AutoencoderKL.from_pretrained(tmp_path / "sd-vae", use_safetensors=False)),
        ("sound", WhisperModel.from_pretrained(tmp_path / "whisper").encoder),
    ):
        ours = loading.module_of(loading.find(tmp_path, PARTS[part])).state_dict()
        assert list(ours) == list(theirs.state_dict())
        assert all(torch.equal(ours[name], tensor) for name, tensor in theirs.state_dict().items())


def test_at_run_time_only_what_is_needed_is_kept(tmp_path: Path) -> None:
    write_published(tmp_path, fast=True)
    for decoder in ("full", "fast"):
        loaded = loading.load(tmp_path, "1.5", decoder, CPU)
        assert loaded.encoder is None
        assert loaded.decoder.vae.encoder is None
        assert not any(each.requires_grad for each in loaded.unet.parameters())
        assert not loaded.unet.training


def test_weights_stay_mapped(tmp_path: Path) -> None:
    """Bytes that change in the file afterwards are seen: nothing was copied."""
    path = write_part(tmp_path, "unet-1.5")
    module = loading.module_of(loading.find(tmp_path, PARTS["unet-1.5"]))
    data = path.read_bytes()
    raw = module.conv_in.weight.detach().numpy().tobytes()
    at = data.index(raw)
    with path.open("r+b") as file:
        file.seek(at)
        file.write(struct.pack("<f", 42.0))
    assert module.conv_in.weight.flatten()[0].item() == 42.0


@pytest.mark.parametrize("wrap", [
    lambda state: {"state_dict": state},
    lambda state: {f"module.{name}": each for name, each in state.items()},
    lambda state: {"state_dict": {f"module.{name}": each for name, each in state.items()}, "epoch": 3},
    lambda state: {name: each.half() for name, each in state.items()},
    lambda state: {name: torch.nn.Parameter(each) for name, each in state.items()},
])  # fmt: skip
def test_what_training_scripts_wrap_around_weights(tmp_path: Path, wrap: Callable[[Any], Any]) -> None:
    state = state_of("unet-1.5")
    module = loading.module_of(in_folder(tmp_path, "unet-1.5", wrap(state)))
    assert torch.allclose(module.conv_in.weight, state["conv_in.weight"], atol=1e-3)
    assert module.conv_in.weight.dtype is torch.float32


def test_the_format_before_2020_loads_unmapped(tmp_path: Path) -> None:
    found = in_folder(tmp_path, "unet-1.0")
    state = state_of("unet-1.0")
    torch.save(state, found.weights, _use_new_zipfile_serialization=False)
    assert torch.equal(loading.module_of(found).conv_in.weight, state["conv_in.weight"])


@pytest.mark.parametrize("part", ["unet-1.5", "unet-1.0", "vae", "sound", "taesd"])
def test_safetensors_load_and_come_first(tmp_path: Path, part: PartName) -> None:
    old = write_part(tmp_path, part)
    path = old.with_name(PARTS[part].weights[0])
    save_file(state_of(part, seed=5), path)
    old.write_bytes(b"")  # never looked at
    module = loading.module_of(loading.find(tmp_path, PARTS[part]))
    name, tensor = next(iter(state_of(part, seed=5).items()))
    assert torch.equal(module.state_dict()[name], tensor)


def test_both_spellings_of_the_image_coder_have_one_fingerprint(tmp_path: Path) -> None:
    state = state_of("vae")
    old = in_folder(tmp_path / "old", "vae", with_old_names(state))
    in_folder(tmp_path / "new", "vae", state)
    assert "encoder.mid_block.attentions.0.query.weight" in loading.read_state(old.weights)
    assert loading.fingerprint(tmp_path / "old") == loading.fingerprint(tmp_path / "new")
    other = in_folder(tmp_path / "other", "vae", state_of("vae", seed=1))
    assert loading.fingerprint(other.weights.parents[1]) != loading.fingerprint(tmp_path / "new")


def test_the_old_folder_names_of_the_coder_and_of_whisper(tmp_path: Path) -> None:
    write_published(tmp_path)
    (tmp_path / "sd-vae").rename(tmp_path / "sd-vae-ft-mse")
    (tmp_path / "whisper").rename(tmp_path / "whisper-tiny")
    assert loading.load(tmp_path, "1.5", "full", CPU).width == 32


# -- what does not ---------------------------------------------------------------------------------------------------


def test_a_file_that_is_missing_is_named_with_the_command_that_brings_it(tmp_path: Path) -> None:
    with pytest.raises(AssetError, match=r"there is no such folder of weights -> broadcaster models pull musetalk$"):
        loading.load(tmp_path / "nowhere", "1.5", "full", CPU)
    write_published(tmp_path)
    with pytest.raises(AssetError, match=r"musetalk/pytorch_model\.bin: .* -> .* --version 1\.0$"):
        loading.load(tmp_path, "1.0", "full", CPU)
    with pytest.raises(AssetError, match=r"taesd/diffusion_pytorch_model\.bin: .* -> .* --fast$"):
        loading.load(tmp_path, "1.5", "fast", CPU)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3400000000\n", "pointer of Git LFS"),
        (b"\n  <!DOCTYPE html><html><body>Sign in</body></html>", "web page"),
        (b"<html><head></head></html>", "web page"),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "web page"),
        (b'{"error":"Repository not found"}', "server's message"),
        (b"Entry not found", "neither"),
        (b"RIFF" + bytes(100), "neither"),
        (b"PK\x03\x04" + bytes(300), "cut off or damaged"),
        (b"\x80\x02" + bytes(300), "damaged"),
    ],
)
def test_what_is_no_file_of_weights(tmp_path: Path, content: bytes, said: str) -> None:
    assert said in refusal(tmp_path, "unet-1.5", content)


@pytest.mark.parametrize("share", [0.01, 0.5, 0.999])
def test_a_file_that_was_cut_off(tmp_path: Path, share: float) -> None:
    whole = write_part(tmp_path, "unet-1.5").read_bytes()
    assert "cut off or damaged" in refusal(tmp_path, "unet-1.5", whole[: int(share * len(whole))])


@pytest.mark.parametrize("share", [0.0001, 0.5, 0.999])
def test_safetensors_that_were_cut_off(tmp_path: Path, share: float) -> None:
    save_file(state_of("vae"), tmp_path / "whole")
    whole = (tmp_path / "whole").read_bytes()
    assert "cut off" in refusal(tmp_path, "vae", whole[: int(share * len(whole))], suffix="safetensors")


@pytest.mark.parametrize("kind", ["zip", "pickle", "safetensors"])
def test_a_damaged_file_loads_or_is_refused_and_nothing_else(tmp_path: Path, kind: str) -> None:
    """A few bytes changed near one of the ends, where the structure lies. Changed values are the hash's business."""
    path = tmp_path / f"weights.{kind}"
    state, dice = state_of("taesd"), random.Random(4711)
    if kind == "safetensors":
        save_file(state, path)
    else:
        torch.save(state, path, _use_new_zipfile_serialization=kind == "zip")
    whole, refused = path.read_bytes(), 0
    for _ in range(60):
        content = bytearray(whole)
        for _ in range(dice.choice((1, 2, 5, 20))):
            at = dice.randrange(2000)
            content[at if dice.random() < 0.5 else -1 - at] = dice.randrange(256)
        path.write_bytes(content)
        try:
            assert loading.read_state(path)
        except AssetError:
            refused += 1
    assert refused > 10


class Foreign:
    """Pickled as a call of `os.system`."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch '{self.marker}'",)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_foreign_pickle_runs_nothing(tmp_path: Path, zipped: bool) -> None:
    found = in_folder(tmp_path, "unet-1.5")
    foreign = {"conv_in.weight": Foreign(tmp_path / "ran")}
    torch.save(foreign, found.weights, _use_new_zipfile_serialization=zipped)
    assert "asks for posix.system, which a file of weights never does" in refusal(
        tmp_path, "unet-1.5", found.weights.read_bytes()
    )
    assert not (tmp_path / "ran").exists()


def test_a_bare_pickle(tmp_path: Path) -> None:
    assert "pickle" in refusal(tmp_path, "unet-1.5", pickle.dumps({"a": [1, 2, 3]}, protocol=2))


def test_another_network_is_told(tmp_path: Path) -> None:
    said = refusal(tmp_path, "unet-1.5", state=state_of("vae"))
    assert "does not hold the MuseTalk 1.5 UNet, but a AutoencoderKL" in said
    assert "missing (conv_in.weight" in said
    assert said.count("weight") <= 10  # a few names, not hundreds
    assert "but a UNet2DConditionModel" in refusal(tmp_path, "vae", state=state_of("unet-1.5"))
    assert "but a AutoencoderKL" in refusal(tmp_path, "sound", state=state_of("vae"))


def test_missing_unexpected_and_misshapen_weights_are_listed(tmp_path: Path) -> None:
    state = state_of("unet-1.5")
    del state["conv_in.bias"]
    state["extra.weight"] = torch.zeros(3)
    state["conv_out.bias"] = torch.zeros(5)
    state["conv_norm_out.bias"] = torch.zeros(8, dtype=torch.int64)
    said = refusal(tmp_path, "unet-1.5", state=state)
    assert "1 missing (conv_in.bias)" in said
    assert "1 not known (extra.weight)" in said
    assert "1 of another shape (conv_out.bias is (5,) instead of (4,))" in said
    assert "1 no real numbers (conv_norm_out.bias is torch.int64)" in said


def test_other_things_than_weights(tmp_path: Path) -> None:
    assert "no weights by name" in refusal(tmp_path, "unet-1.5", state=[torch.zeros(3)])
    assert "no weights by name" in refusal(tmp_path, "unet-1.5", state={})
    assert "other things than weights (epoch)" in refusal(
        tmp_path, "unet-1.5", state=state_of("unet-1.5") | {"epoch": 1}
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"_class_name": "UNet2DModel"}, "describes a UNet2DModel, not a UNet2DConditionModel"),
        ({"in_channels": 4}, "in_channels is 4, and this pipeline needs 8"),
        ({"block_out_channels": 320}, "block_out_channels is 320, where"),
        ({"layers_per_block": True}, "layers_per_block is True"),
        ({"norm_num_groups": 7}, "no UNet2DConditionModel can be built from it"),
        ({"down_block_types": ["NoSuchBlock"] * 4}, "no UNet2DConditionModel can be built from it"),
    ],
)
def test_a_configuration_that_fits_no_pipeline(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    path = write_part(tmp_path, "unet-1.5").with_name("musetalk.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(AssetError) as caught:
        loading.module_of(loading.find(tmp_path, PARTS["unet-1.5"]))
    assert said in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("content", ["", "[]", "<html>", "{}" + " " * 200_000])
def test_a_configuration_that_is_none(tmp_path: Path, content: str) -> None:
    write_part(tmp_path, "vae").with_name("config.json").write_text(content)
    with pytest.raises(AssetError, match="no configuration of a network"):
        loading.find(tmp_path, PARTS["vae"])


def test_latents_of_another_scale_are_not_ours(tmp_path: Path) -> None:
    path = write_part(tmp_path, "vae").with_name("config.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"scaling_factor": 0.13025}))
    with pytest.raises(AssetError, match=r"scaling_factor is 0\.13025, and this pipeline needs 0\.18215"):
        loading.find(tmp_path, PARTS["vae"])


def test_without_a_configuration_the_published_one_counts(tmp_path: Path) -> None:
    path = write_part(tmp_path, "vae")
    path.with_name("config.json").unlink()
    found = loading.find(tmp_path, PARTS["vae"])
    assert found.config == VAE
    with pytest.raises(
        AssetError, match=r"of another shape \(encoder.conv_in.weight is \(8, 3, 3, 3\) instead of \(128"
    ):
        loading.module_of(found)


def test_a_device_that_torch_cannot_use_is_no_crash(tmp_path: Path) -> None:
    with pytest.raises(HeadError, match=r"the networks cannot be used on mps: .* -> check nvidia-smi") as caught:
        loading.load(write_published(tmp_path), "1.5", "full", torch.device("mps"))
    assert not caught.value.retryable


def test_a_unet_and_a_sound_encoder_of_two_trainings(tmp_path: Path) -> None:
    path = write_published(tmp_path) / "whisper/config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"d_model": 64}))
    with pytest.raises(AssetError, match=r"takes sound features 32 wide, and .* makes them 64 wide"):
        loading.load(tmp_path, "1.5", "full", CPU)
