"""What `broadcaster head` says before anything heavy is loaded."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from broadcaster.cli.main import app
from broadcaster.errors import AlreadyRunning, ConfigError, NotRunning
from broadcaster.head.musetalk.socketfile import listening

pytestmark = pytest.mark.unit


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration in the working directory; no other is found."""
    monkeypatch.delenv("BROADCASTER_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "config.yaml"
    path.write_text("channel: test\nsinks: []\n")
    return path


def head(*words: object) -> Result:
    return CliRunner().invoke(app, ["head", *map(str, words)])


@pytest.mark.parametrize("command", ["serve", "status"])
def test_a_server_has_a_socket(config: Path, command: str) -> None:
    said = head(command)
    assert isinstance(said.exception, ConfigError)
    assert "--socket PATH" in str(said.exception)
    assert "head.musetalk.server" in str(said.exception)


def test_the_configuration_names_it(config: Path) -> None:
    config.write_text("channel: test\nsinks: []\nhead: {musetalk: {server: run/head.sock}}\n")
    said = head("status")
    assert isinstance(said.exception, NotRunning)
    assert f"no engine server answers at {config.parent / 'run/head.sock'}" in str(said.exception)


def test_no_configuration_is_needed(config: Path) -> None:
    config.unlink()
    assert isinstance(head("status", "--socket", "no.sock").exception, NotRunning)


def test_a_broken_configuration_is_told(config: Path) -> None:
    config.write_text("head: {musetalk: {batch: 99}}\n")
    said = head("status", "--socket", "no.sock")
    assert isinstance(said.exception, ConfigError)
    assert "head.musetalk.batch" in str(said.exception)


@pytest.mark.parametrize(("option", "value"), [("--version", "2.0"), ("--device", "tpu"), ("--decoder", "slow")])
def test_what_an_option_cannot_be(config: Path, option: str, value: str) -> None:
    said = head("serve", "--socket", "no.sock", option, value)
    assert isinstance(said.exception, ConfigError)
    assert option in str(said.exception)
    assert "broadcaster head serve --help" in str(said.exception)


def test_a_place_that_is_taken_is_told_before_anything_is_loaded(config: Path, short_dir: Path) -> None:
    place = short_dir / "head.sock"
    place.write_text("a note")
    assert "is there and is no socket" in str(head("serve", "--socket", place).exception)
    place.unlink()
    with listening(place):
        said = head("serve", "--socket", place, "--models", "nowhere")
        assert isinstance(said.exception, AlreadyRunning)
        assert place.exists()


@pytest.mark.skipif(importlib.util.find_spec("torch") is not None, reason="torch is installed here")
def test_without_torch_the_extra_is_named(config: Path) -> None:
    said = head("serve", "--socket", "no.sock")
    assert isinstance(said.exception, ConfigError)
    assert "broadcaster[musetalk]" in str(said.exception)


def test_a_channel_of_a_server_loads_no_networks() -> None:
    code = (
        "import sys; import broadcaster.head.musetalk.engine, broadcaster.head.musetalk.remote; "
        "import broadcaster.cli.main; "
        "print(sorted({'torch', 'diffusers', 'transformers', 'av'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
