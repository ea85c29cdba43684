"""An avatar's tensors: what the UNet is given of each picture, made once by the image coder. One thread, resumable.

They lie in the pack whose pictures they were made of, one row for each distinct picture (`FacePack.source_frames`):

    engines/musetalk-<version>-<weights of the image coder>/latents.npy     float16 (rows, 8, 32, 32)
                                                            latents.json    what they were made of

A row is upstream's (its `get_latents_for_unet`): the face's crop at 256 pixels by Lanczos, once with its lower half
black, once whole, each encoded and times 0.18215, one behind the other in the channels. Upstream draws a random
sample of the coder's distribution, a narrow one; here its mean is taken: neighbouring pictures then differ by what
they show and not by chance, and a run that was broken off goes on as if it had not been.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from broadcaster.errors import AssetError
from broadcaster.head.musetalk.faces import FACE_SIZE
from broadcaster.head.musetalk.layout import PARTS, SCALING
from broadcaster.head.paste import cut_face
from broadcaster.types import FaceCrop

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from broadcaster.head.musetalk.layout import Version
    from broadcaster.head.musetalk.networks import Networks
    from broadcaster.ports import FacePack

    Image = NDArray[np.uint8]
    Box = tuple[int, int, int, int]

COMMAND: Final = "broadcaster avatar tensors"

CPU_SECONDS: Final = 5.0
"""One picture on two cores: two passes of the encoder, 2.4 s each."""

AT_ONCE: Final = {"cpu": 1, "cuda": 8}
"""Pictures in one call of the encoder."""

CROPS_KEPT: Final = 512

_CODER: Final = "the image coder and its pictures"

Progress = Callable[[int, int], None]


class Crops:
    """What is cut out of each base frame for one version of the weights. Not thread-safe.

    A pack holds the crops of version 1.5; those of 1.0 follow from its meshes by the older rule.
    """

    def __init__(self, pack: FacePack, version: Version) -> None:
        self._pack = pack
        self._version = version
        self._older = lru_cache(CROPS_KEPT)(self._by_the_older_rule)

    def of(self, base: int) -> FaceCrop:
        """Raises AssetError for an avatar without a mesh."""
        return self._pack.crop(base) if self._version == "1.5" else self._older(base)

    def box(self, base: int) -> Box:
        """The same without its mask, which takes the older rule milliseconds."""
        if self._version == "1.5":
            crop = self._pack.crop(base)
            return crop.left, crop.top, crop.right, crop.bottom
        from broadcaster.face.crop import crop_box

        return crop_box(self._pack.mesh(base), self._version, self._pack.mouth)

    def _by_the_older_rule(self, base: int) -> FaceCrop:
        from broadcaster.face.mask import mask_of

        box = self.box(base)
        return FaceCrop(*box, mask_of(self._pack.mesh(base), box, self._pack.mouth))


@dataclass(frozen=True, slots=True)
class ImageCoder:
    """The encoder of the networks' image coder on a device."""

    encode: Callable[[Any], Any]
    """Pictures (B, 3, 256, 256) RGB -1..1, in `dtype` on `device` -> the latents' mean (B, 4, 32, 32), not scaled."""
    device: Any
    dtype: Any
    fingerprint: str


def coder_of(networks: Networks) -> ImageCoder:
    """Of networks that were loaded with their encoder."""
    encoder = networks.encoder
    if encoder is None:
        raise ValueError("these networks were loaded without their encoder")
    return ImageCoder(lambda x: encoder(x)[0], networks.device, networks.dtype, networks.fingerprint)


def load_coder(weights: Path, device: Any) -> ImageCoder:
    """From a folder of weights, without the other networks: 340 MB. Raises AssetError, HeadError for the device."""
    import torch

    from broadcaster.head.musetalk import loading
    from broadcaster.head.musetalk.networks import fingerprint_of, placing

    vae = loading.module_of(loading.find(weights, PARTS["vae"]))
    fingerprint = fingerprint_of(vae)
    vae.decoder = vae.post_quant_conv = None
    dtype = torch.float16 if device.type == "cuda" else torch.float32
    with placing(_CODER, device):
        vae = torch.nn.Module.to(vae.eval().requires_grad_(False), device=device, dtype=dtype)
    return ImageCoder(lambda x: vae.encode(x).latent_dist.mean, device, dtype, fingerprint)


def find(pack: FacePack, version: Version, fingerprint: str = "") -> Path | None:
    """The tensors of this pack that fit the version and the image coder's weights ("": any, the newest), or None."""
    candidates = (pack.root / "engines").glob(f"musetalk-{version}-{fingerprint or '*'}/latents.npy")
    fitting = [path for path in candidates if _fits(path, pack, version)]
    return max(fitting, key=lambda path: path.stat().st_mtime_ns, default=None)


def cost(pack: FacePack) -> str:
    """What making them takes, for people."""
    pictures = int(pack.source_frames.max()) + 1
    minutes = -(-pictures * CPU_SECONDS // 60)
    return f"{pictures} pictures, seconds on a GPU, about {minutes:.0f} min on a CPU of two cores"


def fingerprint_in(path: Path) -> str:
    """Of the image coder that these tensors were made with."""
    return path.parent.name.rpartition("-")[2]


def make_latents(pack: FacePack, version: Version, coder: ImageCoder, progress: Progress | None = None) -> Path:
    """The tensors, made unless they are there; a run that was broken off goes on where it was.

    `progress` is told (rows done, rows in all). Raises AssetError for an avatar without a mesh, a full disk or
    weights that give no numbers, HeadError for the device.
    """
    there = find(pack, version, coder.fingerprint)
    if there is not None:
        return there
    target = pack.root / "engines" / f"musetalk-{version}-{coder.fingerprint}"
    try:
        with _alone(target.parent):
            there = find(pack, version, coder.fingerprint)
            if there is None:
                _make(pack, version, coder, target, progress)
    except OSError as err:
        raise AssetError(f"{target}: cannot be written ({err.strerror or err}) -> make room, then {COMMAND}") from err
    return target / "latents.npy"


def _make(pack: FacePack, version: Version, coder: ImageCoder, target: Path, progress: Progress | None) -> None:
    facts = _facts(pack, version)
    making = target.with_name(f".making-{target.name}")
    rows, done = facts["rows"], _done(making, facts)
    if done is None:
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir(mode=0o700)
        done = 0
    array = np.lib.format.open_memmap(
        making / "latents.npy", "r+" if done else "w+", dtype=np.float16, shape=(rows, 8, 32, 32)
    )
    crops, (_, firsts) = Crops(pack, version), np.unique(pack.source_frames, return_index=True)
    many = AT_ONCE[coder.device.type]
    while done < rows:
        bases = [int(base) for base in firsts[done : done + many]]
        faces = [cut_face(pack.frame(base), crops.of(base), FACE_SIZE) for base in bases]
        made = encoded(coder, np.stack(faces))
        if not np.isfinite(made).all():
            raise AssetError(
                f"{pack.root}: the image coder makes values of picture {bases[0]} that are no numbers: its weights "
                "are damaged -> broadcaster models check; or remove them and repeat: broadcaster models pull musetalk"
            )
        array[done : done + len(faces)] = made
        array.flush()
        done += len(faces)
        _write_json(making / "latents.json", facts | {"done": done})
        if progress is not None:
            progress(done, rows)
    del array
    shutil.rmtree(target, ignore_errors=True)
    making.rename(target)


def encoded(coder: ImageCoder, faces: Image) -> NDArray[np.float16]:
    """(n, 8, 32, 32) of faces uint8 (n, 256, 256, 3), RGB: masked latents, then those of the whole face. Raises
    HeadError."""
    import torch

    from broadcaster.head.musetalk.networks import placing

    with torch.inference_mode(), placing(_CODER, coder.device):
        whole = torch.from_numpy(faces).to(coder.device).permute(0, 3, 1, 2).float() / 255
        masked = whole.clone()
        masked[:, :, FACE_SIZE // 2 :] = 0
        pictures = (torch.cat([masked, whole]) - 0.5) / 0.5
        if coder.device.type == "cpu":  # there channels_last is half as fast, and its group norm 600 times less exact
            pictures = pictures.contiguous()
        means = coder.encode(pictures.to(coder.dtype)).float() * SCALING
        pairs = torch.cat(means.chunk(2), dim=1).to(torch.float16)
        rows: NDArray[np.float16] = pairs.cpu().numpy()
    return rows


def _facts(pack: FacePack, version: Version) -> dict[str, Any]:
    """What the tensors of a pack depend on besides its pictures, which never change."""
    crops = Crops(pack, version)
    rows, firsts = np.unique(pack.source_frames, return_index=True)
    if not np.array_equal(rows, np.arange(len(rows))):
        raise AssetError(f"{pack.root}: the pictures are not numbered in a row; remove it and it will be made again")
    boxes = np.array([crops.box(int(base)) for base in firsts], "<i4")
    return {"version": version, "rows": len(rows), "crops": hashlib.sha256(boxes.tobytes()).hexdigest()[:16]}


def _fits(path: Path, pack: FacePack, version: Version) -> bool:
    stored = _read_json(path.with_name("latents.json"))
    facts = _facts(pack, version)
    return stored == facts | {"done": facts["rows"]} and _whole(path, facts["rows"])


def _done(making: Path, facts: dict[str, Any]) -> int | None:
    """Rows that an earlier run has made of the same; None where none is of use."""
    stored = _read_json(making / "latents.json")
    if stored is None or {key: stored.get(key) for key in facts} != facts:
        return None
    done = stored.get("done")
    if not isinstance(done, int) or not 0 < done <= facts["rows"]:
        return None
    return done if _whole(making / "latents.npy", facts["rows"]) else None


def _whole(path: Path, rows: int) -> bool:
    """Whether the array is as long as it says and of this shape."""
    try:
        array = np.lib.format.open_memmap(path, mode="r")
    except Exception:  # numpy lets its tokenizer's own errors through
        return False
    return bool(array.shape == (rows, 8, 32, 32) and array.dtype == np.float16)


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        stored = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return stored if isinstance(stored, dict) else None


def _write_json(path: Path, facts: dict[str, Any]) -> None:
    """Whole or not at all: it says how much of the array may be believed."""
    new = path.with_suffix(".new")
    with new.open("w") as file:
        json.dump(facts, file)
        file.flush()
        os.fsync(file.fileno())
    new.rename(path)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One maker at a time: the command and a channel's head may both want the same tensors."""
    folder.mkdir(mode=0o700, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
