"""Weights without torch: which files a part needs, what the lock file keeps, and what the doctor says of them."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from broadcaster.config.head import HeadConfig, MuseTalkConfig
from broadcaster.doctor_head import weights
from broadcaster.errors import AssetError, ConfigError
from broadcaster.head.models import hubs
from broadcaster.head.models.catalogue import HUBS, PUBLISHED, files_of, place_of
from broadcaster.head.models.lock import NAME, Entry, Lock, read_lock, sha256_of, write_lock
from broadcaster.head.musetalk.layout import PARTS, VERSIONS, parts_for, weights_folder
from broadcaster.paths import Paths

pytestmark = pytest.mark.unit


def test_every_part_is_published_on_both_hubs() -> None:
    assert set(PUBLISHED) == set(PARTS)
    for published in PUBLISHED.values():
        assert set(published.repositories) == set(HUBS)
        assert published.licence
        assert published.terms


def test_the_parts_of_a_version() -> None:
    assert [part.name for part in parts_for("1.5")] == ["unet-1.5", "vae", "sound"]
    assert [part.name for part in parts_for("1.0", "fast")] == ["unet-1.0", "vae", "sound", "taesd"]
    folders = [parts_for(version)[0].folders for version in VERSIONS]
    assert folders == [("musetalkV15",), ("musetalk",)]


def test_what_is_needed_of_a_repository() -> None:
    musetalk = {"README.md", "musetalk/musetalk.json", "musetalk/pytorch_model.bin",
                "musetalkV15/musetalk.json", "musetalkV15/unet.pth"}  # fmt: skip
    assert files_of(PARTS["unet-1.5"], musetalk) == ["musetalkV15/musetalk.json", "musetalkV15/unet.pth"]
    assert files_of(PARTS["unet-1.0"], musetalk) == ["musetalk/musetalk.json", "musetalk/pytorch_model.bin"]
    assert files_of(PARTS["vae"], musetalk) is None
    vae = {"config.json", "diffusion_pytorch_model.bin", "diffusion_pytorch_model.safetensors"}
    assert files_of(PARTS["vae"], vae) == ["config.json", "diffusion_pytorch_model.safetensors"]
    whisper = {"config.json", "pytorch_model.bin", "preprocessor_config.json", "flax_model.msgpack"}
    assert files_of(PARTS["sound"], whisper) == ["config.json", "pytorch_model.bin", "preprocessor_config.json"]
    assert files_of(PARTS["sound"], {"pytorch_model.bin"}) is None
    assert place_of(PARTS["unet-1.5"], "musetalkV15/unet.pth") == "musetalkV15/unet.pth"
    assert place_of(PARTS["vae"], "config.json") == "sd-vae/config.json"


def test_where_weights_lie(tmp_path: Path) -> None:
    assert weights_folder(MuseTalkConfig(), tmp_path) == tmp_path / "musetalk"
    assert weights_folder(MuseTalkConfig(models=Path("/srv/own")), tmp_path) == Path("/srv/own")


def test_the_lock_file_keeps_what_was_fetched(tmp_path: Path) -> None:
    assert read_lock(tmp_path) == Lock()
    entry = Entry("0" * 64, 4, "huggingface", "openai/whisper-tiny", "main", "MIT", "2026-11-24")
    write_lock(tmp_path, Lock(files={"whisper/config.json": entry}))
    assert read_lock(tmp_path).files == {"whisper/config.json": entry}
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": 2}', '{"files": {"a": 3}}', '{"more": 1}'])
def test_a_lock_file_that_cannot_be_read(tmp_path: Path, content: str) -> None:
    (tmp_path / NAME).write_text(content)
    with pytest.raises(AssetError, match=r"weights\.lock\.json: cannot be read .* -> remove it and repeat"):
        read_lock(tmp_path)


def test_progress_of_a_hash(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(3_000_000))
    seen: list[int] = []
    digest = sha256_of(tmp_path / "a", seen.append)
    assert digest == hashlib.sha256(bytes(3_000_000)).hexdigest()
    assert sum(seen) == 3_000_000
    assert len(seen) == 3


def test_a_client_library_that_is_not_installed() -> None:
    with pytest.raises(
        ConfigError, match=r"no_such_library is not installed -> pip install 'broadcaster\[musetalk\]'"
    ):
        hubs._library("no_such_library")


def test_what_the_doctor_says(tmp_path: Path) -> None:
    paths = Paths(tmp_path / "state", tmp_path / "run", tmp_path / "cache")
    there, away = tmp_path, tmp_path / "nvidiactl"

    def rows(driver: Path = there, engine: str = "musetalk", **settings: object) -> list[tuple[str, str, str]]:
        config = HeadConfig(engine=engine, musetalk=MuseTalkConfig.model_validate(settings))
        return [(row.subject, row.state, row.detail) for row in weights(config, paths, driver)]

    assert rows(engine="warp") == []
    assert [row[:2] for row in rows(server=tmp_path / "no.sock")] == [("engine server", "missing")]
    ((subject, state, detail),) = rows()
    assert (subject, state) == ("weights", "missing")
    assert detail.endswith("no MuseTalk 1.5 UNet, no image coder sd-vae-ft-mse, no sound encoder whisper-tiny")
    for part in parts_for("1.5"):
        folder = paths.models / "musetalk" / part.folders[0]
        folder.mkdir(parents=True)
        (folder / part.weights[-1]).write_bytes(bytes(2_000_000))
    assert rows() == [("weights", "ok", f"MuseTalk 1.5 in {paths.models / 'musetalk'}, 6 MB")]
    assert rows(decoder="fast")[0][2].endswith("no tiny decoder TAESD")
    assert [row[:2] for row in rows(away)] == [("weights", "ok"), ("GPU", "optional")]
    assert [row[:2] for row in rows(away, device="cpu")] == [("weights", "ok")]
    (paths.models / "musetalk" / NAME).write_text("{")
    assert rows()[0][1] == "missing"


def test_nothing_heavy_is_imported_before_weights_are_used() -> None:
    modules = "models.pulling, models.linking, models.checking, musetalk.loading, musetalk.networks".split(", ")
    imports = "; ".join(f"import broadcaster.head.{module}" for module in modules)
    heavy = "{'torch', 'diffusers', 'transformers', 'huggingface_hub', 'modelscope_hub', 'av', 'numpy'}"
    code = f"import sys; {imports}; import broadcaster.cli.models; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
