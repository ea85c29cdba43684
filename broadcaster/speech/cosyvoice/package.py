"""Finds and imports the official CosyVoice source, and refuses what is not it. Runs wherever it is called.

The official source is no installable package: it is a checkout of https://github.com/FunAudioLLM/CosyVoice with its
submodule Matcha-TTS, put on Python's path of the process `voice-local` alone. What PyPI calls `cosyvoice` is a third
party's, under the GPL and without the module that is needed.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import logging
import os
import sys
from pathlib import Path
from typing import Any, Final

from broadcaster.config.voices import CosyVoiceLocal
from broadcaster.errors import AssetError

MODULE: Final = "cosyvoice.cli.cosyvoice"
MATCHA: Final = Path("third_party/Matcha-TTS")
OFFICIAL: Final = "https://github.com/FunAudioLLM/CosyVoice"
_CLONE: Final = f"git clone --recursive {OFFICIAL}, and set package_dir to that folder"

_GENERATIONS: Final = {1: "cosyvoice.yaml", 2: "cosyvoice2.yaml", 3: "cosyvoice3.yaml"}
"""In the order in which the package itself looks for them."""


def generation(model_dir: Path) -> int | None:
    """1, 2 or 3 by the model's own settings file; None when the folder holds no CosyVoice model."""
    return next((number for number, name in _GENERATIONS.items() if (model_dir / name).is_file()), None)


def problems(link: CosyVoiceLocal) -> list[str]:
    """What is missing on this machine, one line each ("what -> what to do"). Imports nothing of it."""
    found: list[str] = []
    if not link.model_dir.is_dir():
        # The package would take the path for the name of a model and download that.
        found.append(f"model_dir: there is no folder {link.model_dir} -> download the model into it")
    elif generation(link.model_dir) is None:
        names = ", ".join(_GENERATIONS.values())
        found.append(f"model_dir: {link.model_dir} holds no CosyVoice model (none of {names}) -> check the path")
    if problem := _source_problem(link.package_dir):
        found.append(problem)
    if link.mode == "sft" and not link.voice:
        found.append("mode sft has no speaker -> set voice to one of the model's speakers")
    if link.mode == "instruct2" and not link.instruct:
        found.append("mode instruct2 has no instruction -> set instruct, such as 用四川话说这句话")
    return found


def _source_problem(package_dir: Path | None) -> str | None:
    if package_dir is None:
        folder = _installed()
        if folder is None:
            return f"package_dir: the official CosyVoice source is not on Python's path -> {_CLONE}"
        package_dir = folder.parent
        if not (folder / "cli/cosyvoice.py").is_file():
            return (
                f"package_dir: {folder} is not CosyVoice's official source but another package of that name (PyPI's "
                f"is a third party's, under the GPL) -> pip uninstall cosyvoice; {_CLONE}"
            )
    elif not (package_dir / "cosyvoice/cli/cosyvoice.py").is_file():
        return f"package_dir: {package_dir} is not the official CosyVoice source (no {MODULE}) -> {_CLONE}"
    if not (package_dir / MATCHA / "matcha").is_dir() and importlib.util.find_spec("matcha") is None:
        return f"package_dir: {package_dir / MATCHA} is empty -> git submodule update --init --recursive"
    return None


def _installed() -> Path | None:
    """Folder of whatever calls itself `cosyvoice` on Python's path; found without running any of its code."""
    spec = importlib.util.find_spec("cosyvoice")
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))


def auto_model(link: CosyVoiceLocal) -> Any:
    """The official `AutoModel`. Changes this process: path, root logger, environment. Raises AssetError."""
    if faults := problems(link):
        raise AssetError("; ".join(faults))
    if link.package_dir is not None:
        sys.path.insert(0, str(link.package_dir))  # before whatever else is installed under that name
        sys.path.append(str(link.package_dir / MATCHA))
    # It writes every text through the root logger, at all levels, and draws a progress bar for each.
    root = logging.getLogger()
    if _not_the_packages not in root.filters:
        root.addFilter(_not_the_packages)
    os.environ.setdefault("TQDM_DISABLE", "1")
    try:
        module = importlib.import_module(MODULE)
    except Exception as err:
        raise AssetError(
            f"CosyVoice cannot be imported: {type(err).__name__}: {err} -> install its requirements.txt into this "
            "program's environment, or run its FastAPI server in its own and use engine: cosyvoice_server"
        ) from err
    made = getattr(module, "AutoModel", None)
    zero_shot = getattr(getattr(module, "CosyVoice", None), "inference_zero_shot", None)
    if made is None or zero_shot is None or "prompt_wav" not in inspect.signature(zero_shot).parameters:
        raise AssetError(
            f"{getattr(module, '__file__', MODULE)} has no AutoModel that takes recordings by path (official since "
            f"December 2025) -> update the checkout of {OFFICIAL}"
        )
    return made


def _not_the_packages(record: logging.LogRecord) -> bool:
    """A filter of the root logger: sees only what was logged to it directly, which nothing of ours does."""
    return False
