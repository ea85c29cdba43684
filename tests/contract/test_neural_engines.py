"""The tests of engine `musetalk`, in the environment that has torch: `tests/face`, run by its own interpreter.

Here and not before the others, because the worker that puts no picture on air has the time for it.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.contract

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-face" / "bin" / "python"


@pytest.mark.skipif(not PYTHON.exists(), reason="needs the environment with torch: make face")
def test_everything_in_tests_face_passes(capfd: pytest.CaptureFixture[str]) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    run = subprocess.run(
        [str(PYTHON), "-m", "pytest", "tests/face", "-p", "no:cacheprovider", "-r", "fE"],
        cwd=ROOT,
        env=environment | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    with capfd.disabled():
        print(f"\ntests/face: {(run.stdout.strip().splitlines() or ['nothing'])[-1]}")
    assert run.returncode == 0, run.stdout[-20_000:] + run.stderr[-5_000:]
