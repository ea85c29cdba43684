"""An avatar's tensors: what is in them, how they are resumed, and which belong to what."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from broadcaster.config import HeadConfig
from broadcaster.config.head import MuseTalkConfig
from broadcaster.errors import AssetError, HeadError
from broadcaster.head.musetalk import latents
from broadcaster.head.musetalk.engine import make
from broadcaster.head.musetalk.latents import Crops, ImageCoder, coder_of, find, load_coder, make_latents
from broadcaster.head.paste import cut_face
from broadcaster.types import FaceCrop
from tests.face.support.least import least
from tests.face.support.weights import write_published
from tests.support.faces import HOST, host
from tests.support.noise_face import NoiseFace

pytestmark = pytest.mark.unit

ROWS = 5


@pytest.fixture
def coder() -> ImageCoder:
    return coder_of(least())


@pytest.fixture
def pack(tmp_path: Path) -> NoiseFace:
    return NoiseFace(tmp_path / "pack", 160, 90, loop_frames=2 * ROWS - 1)


def folder(pack: NoiseFace) -> NoiseFace:
    pack.root.mkdir()
    return pack


def test_a_row_is_the_masked_and_the_whole_face_of_its_picture(pack: NoiseFace, coder: ImageCoder) -> None:
    made = np.load(make_latents(folder(pack), "1.5", coder))
    assert (made.shape, made.dtype) == ((ROWS, 8, 32, 32), np.float16)
    for row in (0, 3):
        face = cut_face(pack.frame(2 * row), pack.crop(2 * row), 256).astype(np.float32)
        masked = face.copy()
        masked[128:] = 0
        for half, pixels in ((slice(0, 4), masked), (slice(4, 8), face)):
            x = torch.from_numpy((pixels / 255 - 0.5) / 0.5).permute(2, 0, 1)[None]
            with torch.inference_mode():
                wanted = (coder.encode(x) * 0.18215).numpy()[0]
            worst = float(np.abs(made[row, half] - wanted.astype(np.float16)).max())
            print(f"row {row}, channels {half.start}..{half.stop - 1}: {worst:.1e} from the plain reading")
            assert worst <= 1e-3


def test_a_run_that_was_broken_off_goes_on_to_the_same_bits(
    pack: NoiseFace, coder: ImageCoder, tmp_path: Path
) -> None:
    class BrokenOff(Exception):
        pass

    told: list[tuple[int, int]] = []

    def breaks(done: int, total: int) -> None:
        told.append((done, total))
        if done == 2:
            raise BrokenOff

    folder(pack)
    with pytest.raises(BrokenOff):
        make_latents(pack, "1.5", coder, breaks)
    assert find(pack, "1.5") is None
    path = make_latents(pack, "1.5", coder, lambda done, total: told.append((done, total)))
    assert told == [(1, ROWS), (2, ROWS), (3, ROWS), (4, ROWS), (5, ROWS)]
    other = folder(NoiseFace(tmp_path / "other", 160, 90, loop_frames=2 * ROWS - 1))
    assert path.read_bytes() == make_latents(other, "1.5", coder).read_bytes()
    assert [p.name for p in path.parents[1].iterdir() if p.is_dir()] == [path.parent.name]


@pytest.mark.parametrize("fault", ["cut off", "no JSON", "too many rows"])
def test_what_an_earlier_run_left_damaged_is_made_anew(pack: NoiseFace, coder: ImageCoder, fault: str) -> None:
    making = folder(pack).root / "engines" / f".making-musetalk-1.5-{coder.fingerprint}"
    with pytest.raises(ZeroDivisionError):
        make_latents(pack, "1.5", coder, lambda done, total: 1 // (2 - done) and None)
    state = making / "latents.json"
    if fault == "cut off":
        (making / "latents.npy").write_bytes((making / "latents.npy").read_bytes()[:1000])
    elif fault == "no JSON":
        state.write_text("{")
    else:
        state.write_text(json.dumps(json.loads(state.read_text()) | {"done": 99}))
    told: list[int] = []
    made = np.load(make_latents(pack, "1.5", coder, lambda done, total: told.append(done)))
    assert told == list(range(1, ROWS + 1))
    assert all(np.abs(row).max() > 0 for row in made)


def test_tensors_are_found_by_version_and_weights(pack: NoiseFace, coder: ImageCoder) -> None:
    path = make_latents(folder(pack), "1.5", coder)
    assert find(pack, "1.5") == find(pack, "1.5", coder.fingerprint) == path
    assert latents.fingerprint_in(path) == coder.fingerprint
    assert find(pack, "1.0") is None
    assert find(pack, "1.5", "0123456789ab") is None
    other = make_latents(pack, "1.5", replace(coder, fingerprint="0123456789ab"))
    assert {find(pack, "1.5", "0123456789ab"), find(pack, "1.5")} == {other}


def test_damaged_tensors_are_made_again(pack: NoiseFace, coder: ImageCoder) -> None:
    path = make_latents(folder(pack), "1.5", coder)
    whole = path.read_bytes()
    for damaged in (whole[:-100], whole.replace(b"}", b"(", 1), b"PK\x03\x04"):
        path.write_bytes(damaged)
        assert find(pack, "1.5") is None
    assert make_latents(pack, "1.5", coder).read_bytes() == whole


def test_weights_that_give_no_numbers_make_no_tensors(pack: NoiseFace, coder: ImageCoder) -> None:
    damaged = replace(coder, encode=lambda pictures: coder.encode(pictures) * float("nan"))
    with pytest.raises(AssetError, match=r"picture 0 that are no numbers.*-> broadcaster models check"):
        make_latents(folder(pack), "1.5", damaged)
    assert find(pack, "1.5") is None
    assert make_latents(pack, "1.5", coder).is_file()


def test_a_lost_device_and_a_full_one_are_told_apart(pack: NoiseFace, coder: ImageCoder) -> None:
    for err, said, again in (
        (torch.OutOfMemoryError("CUDA out of memory. Tried"), "do not fit into the memory of cpu: CUDA out", True),
        (RuntimeError("CUDA error: no kernel image is available\nmore"), "kernel image is available -> check", False),
    ):

        def encode(_: object, err: RuntimeError = err) -> object:
            raise err

        with pytest.raises(HeadError, match=said) as caught:
            make_latents(pack if pack.root.exists() else folder(pack), "1.5", replace(coder, encode=encode))
        assert caught.value.retryable is again


def test_tensors_of_other_crops_are_not_this_avatars(pack: NoiseFace, coder: ImageCoder) -> None:
    class Moved(NoiseFace):
        def crop(self, index: int) -> FaceCrop:
            crop = super().crop(index)
            return replace(crop, bottom=crop.bottom + 10)

    make_latents(folder(pack), "1.5", coder)
    moved = Moved(pack.root, 160, 90, loop_frames=2 * ROWS - 1)
    assert find(moved, "1.5") is None
    make_latents(moved, "1.5", coder)
    assert find(moved, "1.5") is not None


def test_the_older_weights_have_crops_of_their_own(tmp_path: Path) -> None:
    avatar = host(tmp_path, 640, 360)
    newer, older = Crops(avatar, "1.5").of(0), Crops(avatar, "1.0").of(0)
    assert older.bottom < newer.bottom
    assert abs(older.left - newer.left) <= 1
    assert abs(older.right - newer.right) <= 1
    assert older.mask.any()
    assert not older.mask[:32].any()
    for version, crop in (("1.5", newer), ("1.0", older)):
        assert Crops(avatar, version).box(0) == (crop.left, crop.top, crop.right, crop.bottom)


def test_a_cpu_without_tensors_names_the_command_and_the_command_makes_them(
    tmp_path: Path, short_dir: Path, pack: NoiseFace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from broadcaster.cli.main import app

    models = write_published(tmp_path / "weights")
    config = tmp_path / "config.yaml"
    config.write_text(
        f"channel: tensors\nstate_dir: {short_dir}\navatar: {HOST}\n"
        f"head: {{musetalk: {{models: {models}, device: cpu, batch: 2}}}}\n"
    )
    monkeypatch.setattr("broadcaster.studio.avatar.expand", lambda *_, **__: folder(pack))
    head = make(HeadConfig(musetalk=MuseTalkConfig(models=models, device="cpu", batch=2)), tmp_path)
    with pytest.raises(AssetError, match=r"not there -> broadcaster avatar tensors \(5 pictures, seconds on a GPU"):
        head.load(pack)
    told = CliRunner().invoke(app, ["avatar", "tensors", "--config", str(config)])
    assert told.exit_code == 0, told.output
    assert "ready for musetalk 1.5" in told.output
    head.load(pack)
    assert head.note.startswith("the engine runs on the CPU")
    head.close()
    assert head.note == ""


def test_a_coder_of_the_published_files_is_that_of_the_networks(tmp_path: Path, pack: NoiseFace) -> None:
    from broadcaster.head.musetalk import loading

    models = write_published(tmp_path / "weights")
    device = torch.device("cpu")
    alone = load_coder(models, device)
    whole = coder_of(loading.load(models, "1.5", "full", device, encoder=True))
    assert alone.fingerprint == whole.fingerprint == loading.fingerprint(models)
    face = cut_face(pack.frame(0), pack.crop(0), 256)[None]
    assert np.array_equal(latents.encoded(alone, face), latents.encoded(whole, face))
