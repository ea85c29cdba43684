"""The doctor's look at the face: the avatar; the neural engines' weights, GPU, server, network. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from broadcaster.config import HeadConfig, LoadedConfig
from broadcaster.config.checks import find_avatar
from broadcaster.doctor import Row
from broadcaster.errors import AssetError, BroadcasterError, HeadError
from broadcaster.paths import Paths

NVIDIA: Final = Path("/dev/nvidiactl")
"""There when NVIDIA's driver is loaded."""


def avatar(loaded: LoadedConfig, paths: Paths) -> Iterator[Row]:
    """The presenter: its files, and whether it is expanded for the configured picture."""
    from broadcaster.head.prepare.checking import problems
    from broadcaster.studio.avatar import find_pack, open_pack
    from broadcaster.studio.avatar_source import load_source

    config, video = loaded.config, loaded.config.video
    command = f"broadcaster avatar expand -c {loaded.path}" if loaded.path else "broadcaster avatar expand"
    pack = None
    try:
        folder = find_avatar(config.avatar, loaded.base)
        name = load_source(folder).manifest.name
        budget = round(config.avatar_disk_gb * 1e9)
        pack = find_pack(folder, paths.cache, video.width, video.height, video.fps, budget)
        kept = open_pack(pack).summary() if pack is not None else ""
    except BroadcasterError as err:
        yield Row("avatar", "missing", str(err), f"rm -r {pack} && {command}" if pack else "set avatar: host")
        return
    if kept:
        size = f"{video.width}x{video.height} at {video.fps} fps"
        yield Row("avatar", "ok", f"{name}, expanded for {size}: {kept}")
    elif found := next(problems(folder), ""):
        what, _, remedy = found.rpartition(" -> ")
        yield Row("avatar", "missing", what, remedy)
    else:
        yield Row("avatar", "optional", f"{name}, not expanded yet: the first start takes longer", command)


def weights(config: HeadConfig, paths: Paths, driver: Path = NVIDIA) -> Iterator[Row]:
    """Findings where the configuration chooses engine musetalk or onnx."""
    from broadcaster.head.models.checking import inventory
    from broadcaster.head.musetalk.layout import parts_for, weights_folder

    if config.engine == "onnx":
        yield _network(config)
    settings = config.musetalk
    if config.engine != "musetalk":
        return
    if settings.server is not None:
        yield _server(settings.server, settings.version)
        return
    folder = weights_folder(settings, paths.models)
    try:
        there = {row.part: row for row in inventory(folder)}
    except AssetError as err:
        what, _, remedy = str(err).rpartition(" -> ")
        yield Row("weights", "missing", what, remedy)
        return
    parts = parts_for(settings.version, settings.decoder)
    lacking = [part.title for part in parts if not there[part.name].there]
    if lacking:
        yield Row("weights", "missing", f"{folder}: no {', no '.join(lacking)}", "broadcaster models pull musetalk")
    else:
        megabytes = sum(there[part.name].megabytes for part in parts)
        yield Row("weights", "ok", f"MuseTalk {settings.version} in {folder}, {megabytes:,} MB")
    if settings.device != "cpu" and not driver.exists():
        yield Row(
            "GPU", "optional", "no NVIDIA driver is loaded: engine musetalk serves rendering off line only",
            "install the NVIDIA driver, or choose head.engine: warp",
        )  # fmt: skip


def _server(path: Path, version: str) -> Row:
    """Asks the engine server, which answers at once or is not there."""
    from broadcaster.head.musetalk.link import hello_of

    try:
        hello = hello_of(path)
    except HeadError as err:
        what, _, remedy = str(err).rpartition(" -> ")
        return Row(
            "engine server",
            "missing",
            what or str(err),
            remedy if what else f"broadcaster head status --socket {path}",
        )
    if hello.version != version:
        return Row(
            "engine server",
            "missing",
            f"{path} has MuseTalk {hello.version}",
            f'set head.musetalk.version: "{hello.version}"',
        )
    return Row("engine server", "ok", f"{path}: MuseTalk {hello.version} on {hello.device}")


def _network(config: HeadConfig) -> Row:
    """Opens the .onnx files: whether they agree with network.yaml shows before a channel is on air."""
    from broadcaster.head.onnx.engine import open_network

    try:
        network, _, _ = open_network(config.onnx.network, config.threads)
    except AssetError as err:
        return Row("network", "missing", str(err), 'see docs/face.md, "A network of your own"')
    return Row("network", "ok", f"{network.name} in {config.onnx.network}, licence: {network.licence}")
