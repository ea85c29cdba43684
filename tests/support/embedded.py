"""The embedded voice, loaded once for all tests of a run: it costs some seconds and 700 MB each time."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from broadcaster.config import VoiceConfig
from broadcaster.speech.kokoro import KokoroSynthesiser


@cache
def embedded() -> KokoroSynthesiser:
    """Kokoro with the default configuration, ready. For one test at a time."""
    with tempfile.TemporaryDirectory(prefix="bc-") as folder:
        engine = KokoroSynthesiser(VoiceConfig(), Path(folder))
        engine.load()
    return engine
