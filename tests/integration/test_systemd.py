"""The shipped units, checked by systemd's own tools, without a booted systemd."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from broadcaster.cli import head
from broadcaster.head.musetalk.server import STOP_S
from broadcaster.parent.ending import ALL_S
from broadcaster.parent.keeper import LIMITS
from broadcaster.parent.run import EX_CONFIG

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"),
]

UNITS = Path(__file__).parents[2] / "systemd"
CHANNEL, HEAD = "broadcaster@.service", "broadcaster-head@.service"
EXPOSURE = 2.0


def settings(name: str) -> configparser.SectionProxy:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(UNITS / name)
    return parser["Service"]


def installed(folder: Path, name: str) -> Path:
    """The unit as it would be with the program where it says."""
    text = (UNITS / name).read_text()
    program = re.search(r"^ExecStart=(\S+)", text, re.MULTILINE)
    assert program is not None
    unit = folder / name
    unit.write_text(text.replace(program[1], sys.executable))
    return unit


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", [CHANNEL, HEAD])
def test_systemd_finds_no_fault(tmp_path: Path, name: str) -> None:
    done = analyze("verify", "--recursive-errors=no", str(installed(tmp_path, name)))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_systemd_finds_one(tmp_path: Path) -> None:
    unit = installed(tmp_path, CHANNEL)
    unit.write_text(unit.read_text().replace("WatchdogSec=15", "WatchdogSec=often"))
    assert "Failed to parse sec value" in analyze("verify", "--recursive-errors=no", str(unit)).stderr


@pytest.mark.parametrize("name", [CHANNEL, HEAD])
def test_it_is_locked_down(tmp_path: Path, name: str) -> None:
    done = analyze("security", "--offline=true", f"--threshold={int(EXPOSURE * 10)}", str(installed(tmp_path, name)))
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    assert found is not None, done.stdout + done.stderr
    assert done.returncode == 0
    assert float(found[1]) <= EXPOSURE


def test_it_fits_the_program() -> None:
    service = settings(CHANNEL)
    assert service["Type"] == "notify"
    assert service["ExecStart"].endswith("broadcaster run -c /etc/broadcaster/%i.yaml")
    assert int(service["RestartPreventExitStatus"]) == EX_CONFIG
    assert int(service["TimeoutStopSec"]) > 5 > ALL_S
    assert int(service["WatchdogSec"]) > 2 * LIMITS["playout"].silence_s


def test_the_engine_server_fits_the_program() -> None:
    service = settings(HEAD)
    words = service["ExecStart"].replace("\\\n", " ").split()
    assert words[1:3] == ["head", "serve"]
    options = {word for word in words[3:] if word.startswith("--")}
    known = {option for parameter in get_command(head.app).commands["serve"].params for option in parameter.opts}  # type: ignore[attr-defined]
    assert options <= known
    assert service["Type"] == "notify"
    assert int(service["RestartPreventExitStatus"]) == EX_CONFIG
    assert int(service["TimeoutStopSec"]) > STOP_S
    assert int(service["WatchdogSec"]) > 5 * head.PING_S
