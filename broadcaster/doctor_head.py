"""The doctor's look at engine musetalk: its weights, and a GPU. Imports no torch; reads no weights."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from broadcaster.config import HeadConfig
from broadcaster.doctor import Row
from broadcaster.errors import AssetError
from broadcaster.paths import Paths

NVIDIA: Final = Path("/dev/nvidiactl")
"""There when NVIDIA's driver is loaded."""


def weights(config: HeadConfig, paths: Paths, driver: Path = NVIDIA) -> Iterator[Row]:
    """Findings where the configuration chooses engine musetalk and no engine server has its networks."""
    from broadcaster.head.models.checking import inventory
    from broadcaster.head.musetalk.layout import parts_for, weights_folder

    settings = config.musetalk
    if config.engine != "musetalk" or settings.server is not None:
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
