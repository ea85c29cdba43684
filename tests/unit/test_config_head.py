"""Which talking-head engine a channel gets: the configuration's, else the avatar's own, else warp."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
from pydantic import ValidationError

from broadcaster import registry
from broadcaster.config import LoadedConfig, load_config
from broadcaster.config.avatar import manifest_of
from broadcaster.errors import ConfigError
from broadcaster.head.engines import DEFAULT, make_engine

pytestmark = pytest.mark.unit


@pytest.fixture
def home(short_dir: Path) -> Path:
    (short_dir / "avatars/host").mkdir(parents=True)
    (short_dir / "avatars/host/avatar.yaml").touch()
    return short_dir


def load(home: Path, text: str = "", avatar: str = "") -> LoadedConfig:
    (home / "avatars/host/avatar.yaml").write_text(avatar)
    return load_config(home / "config.yaml", f"state_dir: {home}\n{text}", {})


@pytest.mark.parametrize(
    ("configured", "of_avatar", "chosen"),
    [
        ("", "", ""),
        ("", "engine: onnx\n", "onnx"),
        ("", "engine: still\n", "still"),
        ("head: {engine: warp}\n", "engine: onnx\n", "warp"),
        ("head: {engine: ''}\n", "engine: still\n", "still"),
        ("head: {threads: 2}\n", "engine: still\n", "still"),
        ("", "engine: [warp]\n", ""),
        ("", "not: [closed", ""),
    ],
)
def test_the_configuration_then_the_avatar_then_warp(
    home: Path, configured: str, of_avatar: str, chosen: str
) -> None:
    head = load(home, configured, of_avatar).config.head
    assert head.engine == chosen
    assert make_engine(head.engine or DEFAULT, head, home).name == (chosen or "warp")


def test_an_engine_of_the_avatar_that_is_not_there_is_said(home: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"avatar\.yaml: engine: there is no head engine named .warpp. -> use one of"
    ):
        load(home, "", "engine: warpp\n")
    if find_spec("torch") is None:
        with pytest.raises(ConfigError, match=r"engine: head engine musetalk needs .*broadcaster\[musetalk\]"):
            load(home, "", "engine: musetalk\n")


def test_the_network_is_a_folder_beside_the_configuration(home: Path) -> None:
    config = load(home, "head: {engine: onnx, onnx: {network: networks/anna}}\n").config
    assert config.head.onnx.network == home / "networks/anna"
    with pytest.raises(ConfigError, match=r"head\.onnx\.networks"):
        load(home, "head: {onnx: {networks: x}}\n")


def test_an_engine_of_a_package_of_its_own_is_named_by_its_module(home: Path) -> None:
    config = load(home, "head: {engine: 'broadcaster.head.still:make'}\n").config
    assert make_engine(config.head.engine, config.head, home).name == "still"
    with pytest.raises(ConfigError, match="there is no module nowhere"):
        load(home, "head: {engine: 'nowhere.head:make'}\n")
    assert set(registry.HEADS) == {"warp", "musetalk", "onnx", "still"}


@pytest.mark.parametrize(
    ("part", "where"),
    [
        ({"mouth": {"opening": float("nan")}}, "mouth.opening"),
        ({"focus": [0.5, float("nan")]}, "focus.1"),
        ({"gestures": {"nod": {"start": -1, "end": 1}}}, "gestures.nod.start"),
        ({"gestures": {"nod": {"start": 0, "end": float("inf")}}}, "gestures.nod.end"),
        ({"inner_mouth": {"upper": {"file": "u.png", "x": -1, "y": 0}}}, "inner_mouth.upper.x"),
        ({"inner_mouth": {"upper": {"file": "../u.png", "x": 0, "y": 0}}}, "inner_mouth.upper.file"),
        ({"clip": "a/b.mkv"}, "clip"),
        ({"idle": {}}, "idle"),
        ({"format": 3}, ""),
    ],
)
def test_numbers_and_names_of_an_avatar_that_cannot_be(part: dict[str, object], where: str) -> None:
    cut = {"file": "u.png", "x": 0, "y": 0}
    plain = {
        "format": 2, "name": "ann", "title": "Ann", "depicts_real_person": False, "licence": "CC0", "credits": "us",
        "clip": "clip.mkv", "faces": "faces.npz", "inner_mouth": {"upper": cut, "lower": cut},
    }  # fmt: skip
    assert manifest_of(plain).name == "ann"
    if "inner_mouth" in part:
        part = {"inner_mouth": {**plain["inner_mouth"], **part["inner_mouth"]}}  # type: ignore[dict-item]
    with pytest.raises(ValidationError) as raised:
        manifest_of({**plain, **part})
    (fault,) = raised.value.errors()
    assert ".".join(map(str, fault["loc"][1:])) == where
