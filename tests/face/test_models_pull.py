"""`broadcaster models` through the real client libraries, against hubs on loopback: whole, broken off, wrong."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from broadcaster.errors import AlreadyRunning, AssetError
from broadcaster.head.models import hubs, pulling
from broadcaster.head.models.lock import NAME, alone, read_lock
from broadcaster.head.musetalk.layout import parts_for
from tests.face.support.models import UNET, Cli, command, contents, repositories, tree, weights_in
from tests.face.support.weights import write_published
from tests.fakes.hub_servers import COMMIT, HubServer, HuggingFaceServer, ModelScopeServer

pytestmark = pytest.mark.contract

TOKENS = {"huggingface": "HF_TOKEN", "modelscope": "MODELSCOPE_API_TOKEN"}
ENDPOINTS = {"huggingface": "HF_ENDPOINT", "modelscope": "MODELSCOPE_ENDPOINT"}

one_hub = pytest.mark.parametrize("server", ["huggingface"], indirect=True)
"""What does not depend on the hub's client."""


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small networks in the published layout, version 1.5 with the tiny decoder."""
    return write_published(tmp_path_factory.mktemp("published"), fast=True)


@pytest.fixture(params=["huggingface", "modelscope"])
def server(request: pytest.FixtureRequest, published: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    kind = {"huggingface": HuggingFaceServer, "modelscope": ModelScopeServer}[request.param]
    with kind(repositories(published, request.param), request.param) as serving:
        monkeypatch.setenv(ENDPOINTS[request.param], serving.endpoint)
        monkeypatch.setenv(TOKENS[request.param], "hf_4711")
        yield serving


@pytest.fixture
def folder(short_dir: Path) -> Path:
    return weights_in(short_dir)


@pytest.fixture
def cli(short_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    return command(short_dir, monkeypatch, capsys)


# -- a whole pull ----------------------------------------------------------------------------------------------------


def test_a_pull_brings_what_is_needed_and_no_more(server: HubServer, cli: Cli, folder: Path, published: Path) -> None:
    status, _, said = cli("pull", "musetalk", "--hub", server.name, "--yes")
    assert status == 0, said
    wanted = contents(published, "unet-1.5", "vae", "sound")
    wanted["whisper/preprocessor_config.json"] = b'{"feature_size": 80}\n'
    assert tree(folder) == wanted
    assert "even commercially" in said
    assert str(folder) in said
    lock = read_lock(folder)
    assert set(lock.files) == set(wanted)
    for place, content in wanted.items():
        assert lock.files[place].sha256 == hashlib.sha256(content).hexdigest()
        assert lock.files[place].bytes == len(content)
        assert lock.files[place].source == server.name
    assert lock.files[UNET].origin.endswith("/MuseTalk")
    assert lock.files[UNET].revision == (COMMIT if server.name == "huggingface" else "master")
    # The token goes to the hub, never to the storage behind a redirect.
    assert server.tokens
    assert set(server.tokens) == {"Bearer hf_4711"}
    assert server.strangers == []

    asked = len(server.requests)
    status, _, said = cli("pull", "musetalk", "--hub", server.name)
    assert status == 0
    assert "Everything is there already" in said
    assert not any("resolve" in each or "FilePath" in each for each in server.requests[asked:])


def test_the_tiny_decoder_comes_later_without_the_rest(
    server: HubServer, cli: Cli, folder: Path, published: Path
) -> None:
    assert cli("pull", "musetalk", "--hub", server.name, "--yes")[0] == 0
    before = len(server.ranges("unet.pth"))
    status, _, said = cli("pull", "musetalk", "--hub", server.name, "--yes", "--fast")
    assert status == 0, said
    assert contents(published, "taesd").items() <= tree(folder).items()
    assert len(server.ranges("unet.pth")) == before


@one_hub
def test_list_check_and_remove(server: HubServer, cli: Cli, folder: Path) -> None:
    assert cli("check")[0] == 1
    assert cli("pull", "musetalk", "--hub", server.name, "--yes")[0] == 0
    listed = json.loads(cli("list", "--json")[1])
    assert listed["folder"] == str(folder)
    rows = {row["part"]: row for row in listed["models"]}
    assert rows["unet-1.5"]["there"]
    assert rows["unet-1.5"]["source"].startswith(server.name)
    assert not rows["taesd"]["there"]
    assert "not there" in cli("list")[1]

    status, out, _ = cli("check")
    assert status == 0
    assert out.count(" ok ") == 3
    assert "sha256 as recorded" in out
    assert "every name and shape right" in out

    path = folder / UNET
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(b"\x00\x01\x02\x03")
    status, out, _ = cli("check", "--json")
    found = {each["part"]: each for each in json.loads(out)}
    assert status == 1
    assert found["unet-1.5"]["state"] == "damaged"
    assert "its sha256 is not the recorded" in found["unet-1.5"]["detail"]
    assert found["vae"]["state"] == "ok"

    (folder / "own.txt").write_text("mine")
    status, _, said = cli("remove", "musetalk")
    assert status == 1
    assert "nothing was removed" in said
    assert cli("remove", "musetalk", answers="n\n")[0] == 1
    status, out, _ = cli("remove", "musetalk", "--version", "1.5", answers="y\n")
    assert status == 0
    assert "2 files were removed" in out
    assert cli("remove", "musetalk", "--yes")[0] == 0
    assert tree(folder) == {"own.txt": b"mine"}


@one_hub
def test_licences_are_accepted_or_nothing_is_fetched(server: HubServer, cli: Cli, folder: Path) -> None:
    for answers in (None, "n\n", "\n"):
        status, _, said = cli("pull", "musetalk", "--hub", server.name, answers=answers)
        assert status == 1
        assert "MIT" in said
        assert "accept" in said
    assert not folder.exists()
    assert cli("pull", "musetalk", "--hub", server.name, answers="y\n")[0] == 0
    assert (folder / UNET).exists()


# -- what goes wrong -------------------------------------------------------------------------------------------------


class Stopped(BaseException):
    """Ctrl-C, without stopping pytest."""


def big(server: HubServer) -> bytes:
    """A UNet's file that the hub's clients take in several pieces; made of noise, so nothing can load it."""
    content = os.urandom(1 << 20) * 25
    for files in server.repositories.values():
        if UNET in files:
            files[UNET] = content
    return content


def silent(*_: object) -> None: ...


def test_a_transfer_that_breaks_off_goes_on_where_it_was(server: HubServer, folder: Path) -> None:
    """The connection breaks at 24 of 25 MB. Some pieces have reached the disk, and are not asked for again."""
    content = big(server)
    server.cut[UNET] = 24 << 20
    made = pulling.plan(hubs.open_hub(server.name), parts_for("1.5"), folder)
    if server.name == "huggingface":
        with pytest.raises(AssetError, match=r"broke off .* -> repeat, it goes on from there"):
            pulling.pull(made, silent)
    else:  # its library repeats by itself
        pulling.pull(made, silent)
    again = pulling.plan(hubs.open_hub(server.name), parts_for("1.5"), folder)
    assert again.bytes_missing < made.bytes_missing
    pulling.pull(again, silent)
    assert (folder / UNET).read_bytes() == content
    first, second = server.ranges("unet.pth")[-2:]
    assert first == ""
    assert int(second.removeprefix("bytes=").removesuffix("-")) >= 10 << 20
    assert not (folder / pulling.INCOMING).exists()


def test_a_pull_that_is_stopped_goes_on_where_it_was(server: HubServer, folder: Path) -> None:
    content = big(server)
    made = pulling.plan(hubs.open_hub(server.name), parts_for("1.5"), folder)

    def stop(file: str, stage: str, done: int, total: int) -> None:
        if file == UNET and done > total // 2:
            raise Stopped

    with pytest.raises(Stopped):
        pulling.pull(made, stop)
    assert not (folder / UNET).exists()
    again = pulling.plan(hubs.open_hub(server.name), parts_for("1.5"), folder)
    assert again.bytes_missing < made.bytes_missing
    pulling.pull(again, silent)
    assert (folder / UNET).read_bytes() == content
    assert server.ranges("unet.pth")[-1].startswith("bytes=1")


def test_another_hash_than_declared_is_not_kept(
    server: HubServer, cli: Cli, folder: Path, published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bytes that a mirror changed on the way, of the right number."""
    monkeypatch.setattr("modelscope_hub._download.DOWNLOAD_INTEGRITY_RETRY_BACKOFF", 0.0)  # 3 s otherwise
    content = (published / UNET).read_bytes()
    server.sent[UNET] = content[:5000] + b"\x00" + content[5001:]
    status, _, said = cli("pull", "musetalk", "--hub", server.name, "--yes")
    assert status == os.EX_CONFIG
    assert "sha256" in said or "not what it declares" in said
    assert UNET in said
    assert not (folder / UNET).exists()
    assert not any(path.stat().st_size == len(content) for path in (folder / pulling.INCOMING).rglob("*.p*"))
    del server.sent[UNET]
    assert cli("pull", "musetalk", "--hub", server.name, "--yes")[0] == 0
    assert (folder / UNET).read_bytes() == content


@one_hub
def test_weights_of_something_else_are_not_taken_for_a_unet(
    server: HubServer, cli: Cli, published: Path, folder: Path
) -> None:
    for files in server.repositories.values():
        if UNET in files:
            files[UNET] = (published / "sd-vae/diffusion_pytorch_model.bin").read_bytes()
    status, _, said = cli("pull", "musetalk", "--hub", server.name, "--yes")
    assert status == os.EX_CONFIG
    assert "does not hold the MuseTalk 1.5 UNet, but a AutoencoderKL" in said


@pytest.mark.parametrize("status", [401, 403])
def test_a_hub_that_refuses(server: HubServer, cli: Cli, status: int) -> None:
    server.status = status
    ended, _, said = cli("pull", "musetalk", "--hub", server.name, "--yes")
    assert ended == os.EX_CONFIG
    assert f"refuses it (status {status})" in said
    assert TOKENS[server.name] in said
    assert "hf_4711" not in said


def test_a_repository_that_is_not_there(server: HubServer, cli: Cli) -> None:
    server.repositories = {name: files for name, files in server.repositories.items() if "whisper" not in name}
    ended, _, said = cli("pull", "musetalk", "--hub", server.name, "--yes")
    assert ended == os.EX_CONFIG
    assert f"{server.name} does not show the sound encoder whisper-tiny (looked in open" in said
    assert "--from FOLDER" in said


@one_hub
def test_a_repository_that_has_other_files(server: HubServer, cli: Cli) -> None:
    for files in server.repositories.values():
        files.pop(UNET, None)
    ended, _, said = cli("pull", "musetalk", "--hub", server.name, "--yes")
    assert ended == os.EX_CONFIG
    assert "does not show the MuseTalk 1.5 UNet" in said


def test_a_hub_that_is_away(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:  # bound, and not listening
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{taken.getsockname()[1]}")
        ended, _, said = cli("pull", "musetalk", "--yes")
    assert ended == os.EX_CONFIG
    assert "cannot be reached" in said
    assert "HF_ENDPOINT" in said
    assert "--hub" in said


def test_a_full_disk(server: HubServer, folder: Path, published: Path) -> None:
    """/dev/full in the place of the half-fetched file: the kernel's own answer."""
    made = pulling.plan(hubs.open_hub(server.name), parts_for("1.5"), folder)
    unet = next(each.remote for each in made.files if each.place == UNET)
    if server.name == "huggingface":
        place = folder / pulling.INCOMING / f"{unet.sha256}.part"
    else:
        place = folder / pulling.INCOMING / str(unet.sha256) / f"{UNET}.incomplete"
    place.parent.mkdir(parents=True)
    place.symlink_to("/dev/full")
    with pytest.raises(AssetError, match="the disk is full -> free some space and repeat"):
        pulling.pull(made, silent)
    assert stat.S_ISCHR(Path("/dev/full").stat().st_mode)
    place.unlink()
    pulling.pull(pulling.plan(hubs.open_hub(server.name), parts_for("1.5"), folder), silent)
    assert (folder / UNET).read_bytes() == (published / UNET).read_bytes()


@one_hub
def test_a_disk_that_is_too_small_is_told_before_anything_is_fetched(server: HubServer, folder: Path) -> None:
    made = pulling.plan(hubs.open_hub(server.name), parts_for("1.5"), folder)

    class Vast:
        """A hub that declares files of a petabyte."""

        name = server.name

        def listing(self, repository: str) -> hubs.Listing | None:
            listing = made.hub.listing(repository)
            if listing is None:
                return None
            files = {path: hubs.Remote(path, 10**15, each.sha256, each.blob) for path, each in listing.files.items()}
            return hubs.Listing(repository, listing.revision, files)

        def fetch(self, *_: Any) -> Path:
            raise AssertionError("nothing may be fetched")

    with pytest.raises(AssetError, match=r"the weights need \d+\.\d GB, and the disk has \d+\.\d GB free"):
        pulling.plan(Vast(), parts_for("1.5"), folder)
    assert not folder.exists()


def test_files_of_the_users_own_are_taken_over_or_left_alone(
    server: HubServer, cli: Cli, folder: Path, published: Path
) -> None:
    """A folder that was laid out by hand: what equals the hub's is not fetched again, and nothing is overwritten."""
    write_published(folder)
    assert cli("pull", "musetalk", "--hub", server.name, "--yes")[0] == 0
    assert server.ranges("unet.pth") == []
    assert read_lock(folder).files[UNET].sha256 == hashlib.sha256((published / UNET).read_bytes()).hexdigest()
    (folder / NAME).unlink()
    own = (published / UNET).read_bytes()[:-1] + b"\x01"
    (folder / UNET).write_bytes(own)
    status, _, said = cli("pull", "musetalk", "--hub", server.name, "--yes")
    assert status == os.EX_CONFIG
    assert f"{folder / UNET}: is there already and no pull brought it" in said
    assert (folder / UNET).read_bytes() == own


@one_hub
def test_two_pulls_at_once(server: HubServer, cli: Cli, folder: Path) -> None:
    with alone(folder), pytest.raises(AlreadyRunning, match="another pull works on these weights"), alone(folder):
        pass
    with alone(folder):
        assert cli("pull", "musetalk", "--hub", server.name, "--yes")[0] == os.EX_TEMPFAIL
