"""Talking-head engines as the configuration's defaults make them."""

from __future__ import annotations

from pathlib import Path

from broadcaster.config import HeadConfig
from broadcaster.head.engines import make_engine
from broadcaster.ports import TalkingHead


def engine_named(name: str) -> TalkingHead:
    return make_engine(name, HeadConfig(), Path("no-models-here"))
