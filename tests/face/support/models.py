"""`broadcaster models` as tests call it, and hubs that have small networks in the published layout."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from broadcaster.cli.main import main
from broadcaster.head.models.lock import NAME

FOLDERS = {"unet-1.5": "musetalkV15", "vae": "sd-vae", "sound": "whisper", "taesd": "taesd"}
UNET = "musetalkV15/unet.pth"

Cli = Callable[..., tuple[int, str, str]]


def weights_in(state_dir: Path) -> Path:
    """Where the configuration of `command` keeps its weights."""
    return state_dir / "cache/models/musetalk"


def command(state_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Runs `broadcaster models ...`: status, what it printed, what it said."""
    config = state_dir / "config.yaml"
    config.write_text(yaml.safe_dump({"channel": "news", "state_dir": str(state_dir)}))

    def run(*arguments: str, answers: str | None = None) -> tuple[int, str, str]:
        """`answers`: what a person types at a terminal; None: there is none."""
        stdin = io.StringIO(answers or "")
        stdin.isatty = lambda: answers is not None
        monkeypatch.setattr("sys.argv", ["broadcaster", "models", *arguments, "-c", str(config)])
        monkeypatch.setattr("sys.stdin", stdin)
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return run


def repositories(published: Path, hub: str) -> dict[str, dict[str, bytes]]:
    """As the hubs have them, and with what nobody asks for."""
    names = {
        "huggingface": ("TMElyralab/MuseTalk", "stabilityai/sd-vae-ft-mse", "openai/whisper-tiny",
                        "madebyollin/taesd"),
        "modelscope": ("AI-ModelScope/MuseTalk", "AI-ModelScope/sd-vae-ft-mse", "openai-mirror/whisper-tiny",
                       "AI-ModelScope/taesd"),
    }  # fmt: skip
    found: dict[str, dict[str, bytes]] = {}
    for repository, folder in zip(names[hub], FOLDERS.values(), strict=True):
        inside = f"{folder}/" if "MuseTalk" in repository else ""
        found[repository] = {inside + path.name: path.read_bytes() for path in (published / folder).iterdir()}
        found[repository] |= {"README.md": b"# A model\n", "flax_model.msgpack": bytes(50_000)}
    whisper = next(files for name, files in found.items() if "whisper" in name)
    whisper["preprocessor_config.json"] = b'{"feature_size": 80}\n'
    return found


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in (NAME, ".pull")
    }


def contents(published: Path, *parts: str) -> dict[str, bytes]:
    return {
        f"{FOLDERS[part]}/{path.name}": path.read_bytes()
        for part in parts
        for path in (published / FOLDERS[part]).iterdir()
    }
