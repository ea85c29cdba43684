"""What is built from this repository holds what it needs, and the locked versions fit what is asked for."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())

COPYLEFT = re.compile(r"\bA?GPL", re.IGNORECASE)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[set[str]]:
    """Names of the files in a wheel built from a copy of the sources."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("broadcaster", "sources", "sinks", "avatars", "playlists"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "NOTICE", "config.yaml"):
        shutil.copy(ROOT / name, source / name)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    done = subprocess.run(
        [*command, "--wheel-dir", str(out), str(source)], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    (path,) = out.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        yield set(archive.namelist())


def below(folder: str, root: Path = ROOT) -> set[str]:
    found = (root / folder).rglob("*")
    return {str(path.relative_to(root)) for path in found if path.is_file() and "__pycache__" not in path.parts}


def test_the_wheel_holds_all_code_and_every_asset(wheel: set[str]) -> None:
    assert below("broadcaster") | below("sources") | below("sinks") <= wheel


def test_the_wheel_holds_the_demo_presenter_and_the_licences(wheel: set[str]) -> None:
    shared = {name.partition(".data/data/share/broadcaster/")[2] for name in wheel}
    assert below("avatars") | below("playlists") | {"config.yaml"} <= shared
    assert {"LICENSE", "NOTICE"} <= {name.rpartition("/licenses/")[2] for name in wheel}


def test_the_wheel_holds_nothing_else(wheel: set[str]) -> None:
    tops = {name.partition("/")[0] for name in wheel}
    assert {top for top in tops if not top.startswith("broadcaster-")} == {"broadcaster", "sources", "sinks"}


def pins() -> dict[str, str]:
    lines = [line.partition("#")[0].strip() for line in (ROOT / "constraints.txt").read_text().splitlines()]
    return {canonicalize_name(name): version for name, _, version in (line.partition("==") for line in lines if line)}


def wanted() -> list[Requirement]:
    project = PROJECT["project"]
    extras = [text for group in project["optional-dependencies"].values() for text in group]
    return [Requirement(text) for text in project["dependencies"] + extras + PROJECT["dependency-groups"]["dev"]]


OF_CUDA = re.compile(r"^(nvidia|cuda|triton)\b")
"""What PyPI's build of torch brings besides, and the CPU's build does not: as torch itself names it."""


def installed(name: str) -> metadata.Distribution:
    """Here, or in the environment of the neural engines, which lies on top of this one."""
    face = [str(path) for path in (ROOT / ".venv-face").glob("lib/python3.*/site-packages")]
    found = next(iter(metadata.distributions(name=name, path=[*sys.path, *face])), None)
    if found is None:
        pytest.skip(f"{name} is not installed: make dev face")
    return found


def closure() -> dict[str, metadata.Distribution]:
    """Everything that the requirements pull in, as it is installed here."""
    found: dict[str, metadata.Distribution] = {}
    todo = [(requirement, frozenset(requirement.extras)) for requirement in wanted()]
    seen: set[tuple[str, frozenset[str]]] = set()
    while todo:
        requirement, extras = todo.pop()
        name = canonicalize_name(requirement.name)
        if (name, extras) in seen or OF_CUDA.match(name):
            continue
        seen.add((name, extras))
        found[name] = installed(name)
        for text in found[name].requires or []:
            needed = Requirement(text)
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in (extras or {""})):
                todo.append((needed, frozenset(needed.extras)))
    return found


def test_every_package_is_locked_and_every_lock_is_needed() -> None:
    assert set(pins()) - {"pip"} == set(closure())


def test_the_locks_fit_what_is_asked_for() -> None:
    for requirement in wanted():
        assert Version(pins()[canonicalize_name(requirement.name)]) in requirement.specifier, requirement


def test_no_package_is_under_a_copyleft_licence() -> None:
    """By what the packages declare. What the wheels of PyAV and OpenCV contain besides is in NOTICE."""
    found = {}
    for name, distribution in closure().items():
        said = [distribution.metadata.get("License-Expression") or ""]
        said += [text for text in distribution.metadata.get_all("Classifier") or [] if text.startswith("License")]
        said.append((distribution.metadata.get("License") or "").partition("\n")[0])
        if COPYLEFT.search(" ".join(said)):
            found[name] = said
    assert found == {}
