"""`voice add` and `voice try` with a model inside the process: the stand-in for CosyVoice's package and weights."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.fakes.cosyvoice import PACKAGE, asked, model_folder
from tests.support.recordings import SENTENCE, babble, write

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]


def test_a_local_model_speaks_with_the_voice_that_was_added(short_dir: Path) -> None:
    shutil.copytree(ROOT / "avatars/host", short_dir / "avatars/host")
    model = model_folder(short_dir, 2)
    link = {"engine": "cosyvoice", "model_dir": str(model), "package_dir": str(PACKAGE)}
    config = {"state_dir": str(short_dir), "voice": {"chain": [link]}}
    (short_dir / "config.yaml").write_text(yaml.safe_dump(config))
    recording = write(short_dir / "me.wav", babble())

    def voice(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "broadcaster.cli", "voice", *arguments]
        return subprocess.run(command, cwd=short_dir, capture_output=True, text=True, check=False, timeout=60)

    refused = voice("try", "今天的天气真好啊。")
    assert refused.returncode == 1
    assert "voice add RECORDING" in refused.stderr
    consent = ("--consent-by", "李雷", "--i-have-consent")
    assert voice("add", str(recording), "--text", SENTENCE, *consent).returncode == 0
    done = voice("try", "今天的天气真好啊。", "--speed", "1.25", "--json", "--out", "mine.wav")
    assert done.returncode == 0, done.stderr
    (figures,) = json.loads(done.stdout)
    assert figures["engine"] == "cosyvoice"
    assert (short_dir / "mine.wav").stat().st_size > 48_000
    said = [request for request in asked(model) if request.get("text") == "今天的天气真好啊。"]
    assert [(request["mode"], request["prompt"], request["speed"]) for request in said] == [
        ("zero_shot", SENTENCE, 1.25)
    ]
