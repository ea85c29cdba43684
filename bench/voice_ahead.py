"""One measurement of the embedded voice's speed, as a process of its own: `python -m bench.voice_ahead THREADS`.

Runs at the niceness of the voice process. Prints a line of JSON: `factor` (seconds of work per second of sound),
`slowest` (the largest of a single text), `first_p50` and `first_p95` (milliseconds for a first piece of 4 to 8
characters), `count` of texts.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path

from bench.latency_prompts import PROMPTS
from bench.run_tables import percentile
from broadcaster.config import VoiceConfig
from broadcaster.ports import Synthesiser
from broadcaster.speech.engines import create
from broadcaster.speech.g2p import contains_han
from broadcaster.speech.packing import cut
from broadcaster.speech.process import NICE
from broadcaster.types import SAMPLE_RATE


def timed(engine: Synthesiser, text: str) -> tuple[float, float]:
    """(seconds of work, seconds of sound)."""
    config = VoiceConfig()
    language = "zh" if contains_han(text) else "en"
    began = time.perf_counter()
    speech = engine.synthesise(text, language, config.zh if language == "zh" else config.en, 1.0, lambda: False)
    return time.perf_counter() - began, len(speech.pcm) / SAMPLE_RATE


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("threads", type=int)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    os.setpriority(os.PRIO_PROCESS, 0, max(NICE, os.getpriority(os.PRIO_PROCESS, 0)))
    texts = PROMPTS[:3] if options.quick else PROMPTS
    with tempfile.TemporaryDirectory(prefix="bc-ahead-") as cache:
        engine = create(VoiceConfig(threads=options.threads), Path(cache))
        engine.load()
        whole = [timed(engine, text) for text in texts]
        first = [1000 * timed(engine, text[: cut(text, 4, 8)])[0] for text in texts]
    figures = {
        "factor": sum(work for work, _ in whole) / sum(sound for _, sound in whole),
        "slowest": max(work / sound for work, sound in whole),
        "first_p50": statistics.median(first),
        "first_p95": percentile(first, 95),
        "count": len(texts),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
