"""`broadcaster models` without a hub: weights from a folder of the user's, wrong words, damaged files of its own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from broadcaster.head.models.lock import NAME, read_lock
from tests.face.support.models import UNET, Cli, command, tree, weights_in
from tests.face.support.weights import write_published

pytestmark = pytest.mark.contract


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small networks in the published layout, version 1.5 with the tiny decoder."""
    return write_published(tmp_path_factory.mktemp("published"), fast=True)


@pytest.fixture
def folder(short_dir: Path) -> Path:
    return weights_in(short_dir)


@pytest.fixture
def cli(short_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    return command(short_dir, monkeypatch, capsys)


def test_weights_from_a_folder_are_linked_and_checked(cli: Cli, folder: Path, published: Path) -> None:
    status, _, said = cli("pull", "musetalk", "--from", str(published), "--yes", "--fast")
    assert status == 0, said
    assert tree(folder) == tree(published)
    assert (folder / UNET).samefile(published / UNET)
    assert read_lock(folder).files[UNET].source == "folder"
    assert cli("check", "--fast")[0] == 0
    assert cli("pull", "musetalk", "--from", str(folder), "--yes")[0] == 0  # itself
    assert tree(folder) == tree(published)
    status, _, said = cli("remove", "musetalk", "--version", "1.5", "--yes")  # its own files, only checked
    assert status == 1
    assert "nothing that a pull brought" in said
    assert (folder / UNET).exists()


def test_a_folder_on_another_disk_is_copied(cli: Cli, folder: Path, short_dir: Path) -> None:
    if Path("/dev/shm").stat().st_dev == short_dir.stat().st_dev:
        pytest.skip("/dev/shm is no other file system here")
    elsewhere = Path(f"/dev/shm/broadcaster-weights-{os.getpid()}")
    try:
        write_published(elsewhere)
        assert cli("pull", "musetalk", "--from", str(elsewhere), "--yes")[0] == 0
        assert (folder / UNET).read_bytes() == (elsewhere / UNET).read_bytes()
        assert not (folder / UNET).samefile(elsewhere / UNET)
    finally:
        for path in sorted(elsewhere.rglob("*"), reverse=True):
            path.unlink() if path.is_file() else path.rmdir()
        elsewhere.rmdir()


def test_a_folder_with_a_wrong_file_changes_nothing(cli: Cli, folder: Path, tmp_path: Path) -> None:
    source = write_published(tmp_path / "mine")
    (source / UNET).write_bytes(b"<html>Sign in</html>")
    status, _, said = cli("pull", "musetalk", "--from", str(source), "--yes")
    assert status == os.EX_CONFIG
    assert f"{source / UNET}: a web page" in said
    assert not folder.exists()
    status, _, said = cli("pull", "musetalk", "--from", str(tmp_path / "nowhere"), "--yes")
    assert status == os.EX_CONFIG
    assert "there is no such folder -> name the one that holds your weights" in said
    status, _, said = cli("pull", "musetalk", "--from", str(source / "sd-vae"), "--yes")
    assert status == 78
    assert "sd-vae: these are not in it: musetalkV15/unet.pth (MuseTalk 1.5 UNet), sd-vae/diffusion_pytorch" in said
    assert "-> name the folder that holds musetalkV15/, or fetch them from a hub" in said


def test_a_folder_that_nobody_may_write_to(cli: Cli, short_dir: Path, published: Path) -> None:
    (short_dir / "cache").mkdir()
    (short_dir / "cache/models").write_text("a file in the way")
    status, _, said = cli("pull", "musetalk", "--from", str(published), "--yes")
    assert status == os.EX_CONFIG
    assert "Not a directory -> check who may write" in said or "File exists -> check who may write" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["pull", "wav2lip"], "there are no weights named 'wav2lip' -> use one of: musetalk"),
        (["pull", "musetalk", "--hub", "github"], "there is no hub github -> use one of: huggingface, modelscope"),
        (["pull", "musetalk", "--version", "2.0"], "there is no MuseTalk 2.0 -> use one of: 1.5, 1.0"),
        (["remove", "musetalk", "--yes"], "there is nothing that a pull brought"),
    ],
)
def test_wrong_words(cli: Cli, arguments: list[str], said: str) -> None:
    status, _, told = cli(*arguments)
    assert status != 0
    assert said in told


def test_a_damaged_lock_file(cli: Cli, folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / NAME).write_text("{")
    status, _, said = cli("list")
    assert status == os.EX_CONFIG
    assert NAME in said
