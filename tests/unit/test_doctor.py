"""The doctor: each kind of lack is found, named, and answered with what to do."""

from __future__ import annotations

import socket
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from broadcaster import doctor
from broadcaster.config import LoadedConfig, load_config
from broadcaster.doctor import Row, examine, worst
from broadcaster.lock import ChannelLock
from broadcaster.paths import channel_paths
from tests.fakes.cosyvoice import PACKAGE, model_folder
from tests.support.clips import make_clip_avatar

pytestmark = pytest.mark.unit

SHIPPED_AVATAR = Path(__file__).parents[2] / "avatars/host"
CANARY = "live_4711_c4n4ryk3y"


def load(folder: Path, text: str = "") -> LoadedConfig:
    return load_config(
        folder / "config.yaml", f"channel: news\nstate_dir: {folder}\navatar: {SHIPPED_AVATAR}\n{text}", {}
    )


def rows(loaded: LoadedConfig, subject: str, *, connect: bool = False) -> list[Row]:
    return [row for row in examine(loaded, connect=connect) if row.subject.startswith(subject)]


def test_this_machine_has_what_the_tests_need(short_dir: Path) -> None:
    found = list(examine(load(short_dir, "console: {port: 0}")))
    assert [row for row in found if row.state == "missing"] == []
    assert worst(found) == 0
    assert {row.subject for row in found} >= {
        "python", "PyAV", "extra openai", "label font", "encoder x264", "encoder NVENC", "voice model", "avatar",
        "disk state", "disk cache", "monotonic clock", "wall clock", "console 127.0.0.1:0",
    }  # fmt: skip


def test_whatever_is_missing_has_a_remedy(short_dir: Path) -> None:
    text = "voice: {zh: nobody}\nlabel: {text: AI生成 数字人 😀}\nvideo: {encoder: nvenc}\n"
    found = list(examine(load(short_dir, text)))
    lacks = {row.subject for row in found if row.state == "missing"}
    assert {"voice kokoro", "label font"} <= lacks
    assert all(row.remedy for row in found if row.state == "missing")
    assert worst(found) == 1


def test_a_label_character_without_a_glyph_is_named(short_dir: Path) -> None:
    (row,) = rows(load(short_dir, "label: {text: AI生成 数字人 😀}"), "label font")
    assert row.state == "missing"
    assert "😀" in row.detail
    assert "生" not in row.detail


def test_what_the_links_of_the_chain_lack_is_found_and_only_of_those_that_are_on(
    short_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://somebody:{CANARY}@127.0.0.1:{server.getsockname()[1]}"
        (short_dir / "words.yaml").write_text("words: {小播: 小波}\n")
        loaded = load(
            short_dir,
            "voice:\n"
            "  lexicon: words.yaml\n"
            "  chain:\n"
            f"    - {{engine: chattts, url: '{url}/generate_voice'}}\n"
            f"    - {{engine: cosyvoice_server, name: clone, url: '{url}'}}\n"
            "    - {engine: gpt_sovits, url: 'http://no-such-host.invalid', enabled: false}\n",
        )
        found = {row.subject: row for row in examine(loaded)}
        assert found["lexicon"].state == "ok"
        assert "1 words" in found["lexicon"].detail
        assert found["voice chattts"].state == "ok"
        assert found["voice clone"].state == "missing"
        assert "broadcaster voice add" in found["voice clone"].remedy
        assert "voice gpt_sovits" not in found
        server.settimeout(0)
        with pytest.raises(BlockingIOError):
            server.accept()
        (asked,) = rows(loaded, "voice chattts", connect=True)
        assert asked.state == "ok"
        server.accept()[0].close()
        (short_dir / "words.yaml").write_text("words: [1]\n")
        (row,) = rows(loaded, "lexicon")
        assert row.state == "missing"
        assert "words.yaml" in row.detail
    (asked,) = rows(loaded, "voice chattts", connect=True)
    assert asked.state == "optional", "the chain goes on with its other voices"
    assert CANARY not in repr([found, asked, row])


def test_a_server_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()
    monkeypatch.setattr(doctor, "CONNECT_S", 0.05)

    def never(*args: object, **options: object) -> None:
        released.wait(10)
        raise TimeoutError

    monkeypatch.setattr(doctor.socket, "create_connection", never)
    assert doctor._unreachable("192.0.2.1", 1) == "does not answer"
    released.set()


def test_a_damaged_voice_model_is_found(short_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from broadcaster.speech import kokoro

    monkeypatch.setattr(kokoro, "MODEL_SHA256", "0" * 64)
    (row,) = rows(load(short_dir), "voice model")
    assert row.state == "missing"
    assert "--force-reinstall" in row.remedy


def test_a_damaged_avatar_is_found_before_it_is_expanded(short_dir: Path) -> None:
    root, _ = make_clip_avatar(short_dir, size=(160, 90), seconds=0.6)
    (root / "faces.npz").write_bytes(b"no longer")
    loaded = load(short_dir)
    loaded = replace(loaded, config=loaded.config.model_copy(update={"avatar": str(root)}))
    (row,) = rows(loaded, "avatar")
    assert row.state == "missing"
    assert "faces.npz" in row.detail


def test_an_avatar_that_is_not_expanded_names_the_command(short_dir: Path) -> None:
    (row,) = rows(load(short_dir), "avatar")
    assert row.state == "optional"
    assert row.remedy == f"broadcaster avatar expand -c {short_dir}/config.yaml"


def test_a_port_in_use_is_told_from_our_own(short_dir: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        loaded = load(short_dir, f"console: {{port: {taken.getsockname()[1]}}}")
        (row,) = rows(loaded, "console")
        assert row.state == "missing"
        paths = channel_paths("news", short_dir)
        paths.ensure()
        with ChannelLock(paths.lock, "news"):
            (row,) = rows(loaded, "console")
        assert row.state == "ok"
        assert "this channel is running" in row.detail


def test_a_full_disk_is_found(short_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "MIN_FREE_GB", 1e9)
    assert {row.state for row in rows(load(short_dir), "disk")} == {"missing"}


def test_servers_are_looked_up_and_only_connected_to_when_asked(short_dir: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        loaded = load(
            short_dir,
            "sinks:\n"
            f"  - {{type: rtmp, name: up, url: 'rtmp://127.0.0.1:{port}/live/{CANARY}'}}\n"
            f"  - {{type: rtmp, name: gone, url: 'rtmp://no-such-host.invalid/live', key: {CANARY}}}\n"
            "  - {type: rtmp, name: off, url: 'rtmp://no-such-host.invalid/live', enabled: false}\n"
            "  - {type: rtmp, name: later}\n",
        )
        found = rows(loaded, "sink")
        assert [(row.subject, row.state) for row in found] == [
            ("sink up", "ok"),
            ("sink gone", "missing"),
            ("sink later", "optional"),
        ]
        server.settimeout(0)
        with pytest.raises(BlockingIOError):
            server.accept()
        asked = rows(loaded, "sink up", connect=True)
        assert "accepts connections" in asked[0].detail
        server.accept()[0].close()
    assert rows(loaded, "sink up", connect=True)[0].state == "missing"
    assert CANARY not in repr(found)


def test_an_encoder_that_does_not_exist_is_no_crash(short_dir: Path) -> None:
    assert doctor._opens("no_such_encoder", load(short_dir).config) is not None
    assert doctor._opens("libx264", load(short_dir).config) is None


def test_a_local_cosyvoice_is_looked_at_without_loading_it(short_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_folder(short_dir)
    link = f"{{engine: cosyvoice, model_dir: {model}, package_dir: {PACKAGE}, mode: sft, voice: 中文女}}"
    loaded = load(short_dir, f"voice: {{chain: [{link}]}}\n")
    assert rows(load(short_dir), "torch") == []
    for there, state in ((False, "missing"), (True, "ok")):
        monkeypatch.setattr(doctor, "_has_torch", lambda there=there: there)
        (row,) = rows(loaded, "torch")
        assert row.state == state
        assert "the voice cosyvoice" in row.detail
        assert bool(row.remedy) is not there
    (row,) = rows(loaded, "voice cosyvoice")
    assert row.state == "ok"
    (model / "cosyvoice3.yaml").unlink()
    (row,) = rows(loaded, "voice cosyvoice")
    assert row.state == "missing"
    assert "holds no CosyVoice model" in row.detail
    assert row.remedy == "check the path"
