"""Folders as the local CosyVoice wants them: the stand-in package, a model, a speaker's recording."""

from __future__ import annotations

import importlib
import json
import wave
from pathlib import Path
from types import ModuleType
from typing import Any

from broadcaster.types import VoiceReference

PACKAGE = Path(__file__).parent / "cosyvoice_package"
SAMPLES_PER_CHARACTER = 4800
"""At 24 kHz, speed 1."""


def model_folder(folder: Path, generation: int = 3, **script: object) -> Path:
    """A model of that generation; `script` as in the package's docstring."""
    made = folder / f"model{generation}"
    made.mkdir()
    name = "cosyvoice" if generation == 1 else f"cosyvoice{generation}"
    (made / f"{name}.yaml").write_text("sample_rate: 24000\n")
    (made / "script.json").write_text(json.dumps(script))
    return made


def reference(folder: Path, rate: int = 24_000) -> VoiceReference:
    path = folder / "reference.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        file.writeframes(b"\0\0" * rate)
    return VoiceReference(path, "希望你以后能够做的比我还好。", "zh")


def asked(model: Path) -> list[dict[str, Any]]:
    """What the model was asked, in order: loading, registering a speaker, each piece."""
    path = model / "asked.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def module() -> ModuleType:
    """The stand-in's module, once it is imported."""
    return importlib.import_module("cosyvoice.cli.cosyvoice")
