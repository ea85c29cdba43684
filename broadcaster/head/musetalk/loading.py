"""Files of weights -> networks on a device. No thread of its own; runs where an engine is loaded.

A file is read without running anything that it holds (`weights_only`, or safetensors), mapped instead of copied
where its format allows it, and compared with the module it is for, name by name and shape by shape, before it is
used. Every fault is an AssetError that names the file, what is wrong with it, and what to do.
"""

from __future__ import annotations

import json
import pickle
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from broadcaster.errors import AssetError
from broadcaster.head.musetalk import networks
from broadcaster.head.musetalk.layout import DecoderName, Part, PartName, Version, parts_for

PULL: Final = "broadcaster models pull musetalk"

SHOWN: Final = 3
"""Names of each kind that a message lists; a wrong file has hundreds."""

MOST_JSON: Final = 100_000
"""Bytes; the longest of the published configurations has 2,000."""

_FIXED: Final[dict[str, tuple[str, ...]]] = {
    "UNet2DConditionModel": ("in_channels", "out_channels", "center_input_sample"),
    "AutoencoderKL": ("in_channels", "out_channels", "latent_channels", "down_block_types", "scaling_factor"),
    "whisper": ("num_mel_bins", "encoder_layers"),
    "AutoencoderTiny": ("in_channels", "out_channels", "latent_channels", "scaling_factor"),
}
"""What the pipeline counts on; the rest may differ in a network of one's own training."""

_OLD_ATTENTION: Final = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
"""Names in files that Diffusers wrote before 0.17, as sd-vae-ft-mse's are; its own loader renames them too."""

_OLD_NAME: Final = re.compile(r"(\.attentions\.\d+)\.(query|key|value|proj_attn)\.")

_SIGNS: Final[dict[str, tuple[str, ...]]] = {
    "UNet2DConditionModel": ("time_embedding.linear_1.weight",),
    "AutoencoderKL": ("encoder.conv_in.weight",),
    "whisper": ("model.encoder.conv1.weight", "encoder.conv1.weight", "conv1.weight"),
    "AutoencoderTiny": ("encoder.layers.0.weight",),
}
"""A name by which a file is told that holds one of the other networks."""


@dataclass(frozen=True, slots=True)
class Found:
    """One part in a folder of weights."""

    part: Part
    weights: Path
    config: Mapping[str, Any]


def load(
    folder: Path, version: Version, decoder_name: DecoderName, device: Any, *, encoder: bool = False
) -> networks.Networks:
    """The networks of one version on `device` (torch.device). `encoder`: with the part that makes latents.

    3.9 GB are read; on a CPU they stay mapped. Raises AssetError for a file, HeadError for the device.
    """
    found = [find(folder, part) for part in parts_for(version, decoder_name)]
    _fit_together(found)
    modules: dict[PartName, Any] = {each.part.name: module_of(each) for each in found}
    with networks.placing("the networks", device):
        return networks.assemble(version, decoder_name, device, modules, encoder=encoder)


def fingerprint(folder: Path) -> str:
    """`Networks.fingerprint` of a folder's image coder, without the other networks. Raises AssetError."""
    part = next(part for part in parts_for("1.5") if part.name == "vae")
    return networks.fingerprint_of(module_of(find(folder, part)))


def find(folder: Path, part: Part) -> Found:
    """Where one part lies, and its configuration. Raises AssetError that names the command which brings it."""
    if not folder.is_dir():
        raise AssetError(f"{folder}: there is no such folder of weights -> {PULL}")
    for name in part.folders:
        for file in part.weights:
            path = folder / name / file
            if path.is_file():
                return Found(part, path, read_config(path.parent / part.config_file, part))
    option = {"unet-1.0": " --version 1.0", "taesd": " --fast"}.get(part.name, "")
    wanted = folder / part.folders[0] / part.weights[-1]
    raise AssetError(f"{wanted}: the {part.title} is not there -> {PULL}{option}")


def read_config(path: Path, part: Part) -> dict[str, Any]:
    """The fields that `part.published` has, from the file; the published ones where there is no file.

    Raises AssetError for a file that is no JSON, describes another network, or one that the pipeline cannot use.
    """
    if not path.is_file():
        return dict(part.published)
    try:
        if path.stat().st_size > MOST_JSON:
            raise ValueError(f"{path.stat().st_size} bytes are too many for a configuration")
        data = json.loads(path.read_bytes())
        if not isinstance(data, dict):
            raise ValueError("not a mapping")
    except (OSError, ValueError) as err:
        raise AssetError(f"{path}: no configuration of a network ({err}) -> {PULL}") from err
    name = data.get("_class_name", data.get("model_type", part.network))
    if name != part.network:
        raise AssetError(
            f"{path}: describes a {name}, not a {part.network} -> take the one published with {part.title}"
        )
    config = {}
    for field, published in part.published.items():
        value = data.get(field, published)
        like = isinstance(value, type(published)) or (isinstance(published, float) and type(value) is int)
        if not like or (isinstance(published, int) and type(value) is bool and type(published) is not bool):
            raise AssetError(f"{path}: {field} is {value!r}, where {published!r} is usual -> {PULL}")
        if field in _FIXED[part.network] and value != published:
            raise AssetError(
                f"{path}: {field} is {value!r}, and this pipeline needs {published!r} -> take the one published with "
                f"{part.title}"
            )
        config[field] = value
    return config


def module_of(found: Found) -> Any:
    """The module with the file's weights: fp32 on the CPU. Raises AssetError."""
    module, state = _matched(found)
    # Files may be fp16; what is fp32 stays mapped.
    module.load_state_dict({name: tensor.float() for name, tensor in state.items()}, assign=True)
    return module


def check(found: Found) -> int:
    """Compares names and shapes as `load` does, without using the weights. Returns how many parameters the module
    has. Raises AssetError."""
    module, _ = _matched(found)
    return sum(tensor.numel() for tensor in module.parameters())


def blank(found: Found) -> Any:
    """The module on `meta`. Raises AssetError for a configuration that its class does not take."""
    try:
        return networks.build(found.part.name, found.config)
    except (ValueError, TypeError, IndexError, ZeroDivisionError) as err:
        raise AssetError(
            f"{found.weights.parent / found.part.config_file}: no {found.part.network} can be built from it ({err}) "
            f"-> take the one published with {found.part.title}"
        ) from err


def _matched(found: Found) -> tuple[Any, dict[str, Any]]:
    """The module on `meta`, and the file's tensors under its names, all there and of its shapes."""
    module = blank(found)
    state = read_state(found.weights)
    matching = for_part(state, found.part.name)
    if faults := differences(matching, module):
        raise AssetError(
            f"{found.weights}: does not hold the {found.part.title}{_guess(state, found.part)}: {faults} -> "
            f"remove it and repeat: {PULL}"
        )
    return module, matching


def read_state(path: Path) -> dict[str, Any]:
    """Every tensor in the file by its name, on the CPU, mapped where the format allows it. Raises AssetError."""
    remedy = f"remove it and repeat: {PULL}"
    with path.open("rb") as file:
        start = file.read(512)
    if problem := _not_weights(start):
        raise AssetError(f"{path}: {problem} -> {remedy}")
    if path.suffix == ".safetensors":
        return _read_safetensors(path, remedy)
    import torch

    zipped = start.startswith(b"PK")
    if not zipped and not start.startswith(b"\x80"):
        raise AssetError(f"{path}: neither a file that PyTorch wrote nor safetensors -> {remedy}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of damaged pickles, which are refused below
            # The format before PyTorch 1.6 (a bare pickle) cannot be mapped.
            data = torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except pickle.UnpicklingError as err:
        raise AssetError(f"{path}: {_refusal(err)} -> use the published file: {PULL}") from err
    except Exception as err:  # a damaged pickle fails as whatever its bytes happen to mean
        first = str(err).partition("\n")[0][:160]
        raise AssetError(f"{path}: cut off or damaged ({first or type(err).__name__}) -> {remedy}") from err
    return _tensors(path, data)


def _read_safetensors(path: Path, remedy: str) -> dict[str, Any]:
    import safetensors
    from safetensors.torch import load_file

    try:
        state: dict[str, Any] = load_file(path)
    except (safetensors.SafetensorError, OSError, ValueError) as err:
        raise AssetError(f"{path}: cut off, damaged or no safetensors file ({err}) -> {remedy}") from err
    return state


def _not_weights(start: bytes) -> str | None:
    """What a file is that no loader need be asked about; None when it may be weights."""
    head = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not start:
        return "empty"
    if head.startswith(b"version https://git-lfs"):
        return "a pointer of Git LFS, not the file it stands for"
    if head.startswith((b"<!doctype", b"<html", b"<?xml", b"<head", b"<error")):
        return "a web page, not weights (what a proxy or a login page answers)"
    if head.startswith((b"{", b"invalid ", b"not found", b"access to model")):
        return "a server's message, not weights"
    return None


def _refusal(err: pickle.UnpicklingError) -> str:
    """What `weights_only` says, in one line: its own text advises to switch the check off."""
    called = re.search(r"GLOBAL ([\w.]+)", str(err))
    if called is not None:
        return f"a pickle that asks for {called[1]}, which a file of weights never does"
    return "a damaged pickle, or one that holds something else than weights"


def _tensors(path: Path, data: object) -> dict[str, Any]:
    """Unwraps what training scripts wrap around a state dict; refuses what is none."""
    import torch

    if isinstance(data, Mapping) and isinstance(data.get("state_dict"), Mapping):
        data = data["state_dict"]
    if not isinstance(data, Mapping) or not data:
        raise AssetError(
            f"{path}: holds a {type(data).__name__}, no weights by name -> use the published file: {PULL}"
        )
    odd = [str(name) for name, value in data.items() if not isinstance(value, torch.Tensor)]
    if odd:
        raise AssetError(f"{path}: holds other things than weights ({_some(odd)}) -> use the published file: {PULL}")
    if all(str(name).startswith("module.") for name in data):  # saved from DistributedDataParallel
        return {str(name).removeprefix("module."): value for name, value in data.items()}
    return {str(name): value for name, value in data.items()}


def for_part(state: Mapping[str, Any], part: PartName) -> dict[str, Any]:
    """The file's tensors under the names of the module: a whole Whisper's encoder, today's names of attentions."""
    if part == "sound":
        for prefix in ("model.encoder.", "encoder."):
            inside = {name.removeprefix(prefix): each for name, each in state.items() if name.startswith(prefix)}
            if inside:
                others = ("model.decoder.", "decoder.", "proj_out.", prefix)
                return inside | {name: each for name, each in state.items() if not name.startswith(others)}
        return dict(state)
    if part == "vae":
        return {
            _OLD_NAME.sub(lambda hit: f"{hit[1]}.{_OLD_ATTENTION[hit[2]]}.", name): each
            for name, each in state.items()
        }
    return dict(state)


def differences(state: Mapping[str, Any], module: Any) -> str:
    """How the file differs from the module, in one line; empty when it does not."""
    wanted = module.state_dict()
    missing = [name for name in wanted if name not in state]
    unexpected = [name for name in state if name not in wanted]
    shapes = [
        f"{name} is {tuple(state[name].shape)} instead of {tuple(tensor.shape)}"
        for name, tensor in wanted.items()
        if name in state and state[name].shape != tensor.shape
    ]
    kinds = [f"{name} is {tensor.dtype}" for name, tensor in state.items() if not tensor.is_floating_point()]
    counted = (
        (missing, "missing"),
        (unexpected, "not known"),
        (shapes, "of another shape"),
        (kinds, "no real numbers"),
    )
    return "; ".join(f"{len(names)} {what} ({_some(names)})" for names, what in counted if names)


def _some(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")


def _guess(state: Mapping[str, Any], part: Part) -> str:
    for network, signs in _SIGNS.items():
        if network != part.network and any(sign in state for sign in signs):
            return f", but a {network}"
    return ""


def _fit_together(found: list[Found]) -> None:
    """The UNet looks at tokens of the sound encoder's width. Raises AssetError."""
    by_name = {each.part.name: each for each in found}
    unet, sound = found[0], by_name["sound"]
    across, width = unet.config["cross_attention_dim"], sound.config["d_model"]
    if across != width:
        raise AssetError(
            f"{unet.weights.parent}: this UNet takes sound features {across} wide, and {sound.weights.parent} makes "
            f"them {width} wide -> both must be of one training; take the published ones: {PULL}"
        )
