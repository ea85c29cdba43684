"""What every test may use, and the rule that every module says what kind of tests it holds."""

from __future__ import annotations

import importlib.util
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from broadcaster.paths import Paths, channel_paths

collect_ignore = [] if importlib.util.find_spec("torch") else ["face"]
"""Engine musetalk's tests have an environment of their own (`make face`)."""

CATEGORIES = frozenset({"unit", "contract", "integration", "soak"})


IN_REAL_TIME = frozenset({"integration", "soak"})
"""They put channels on air and mostly wait: one after the other in one worker, while another does the rest."""

OFF_AIR = (
    "test_console",
    "test_director",
    "test_finished",
    "test_mind",
    "test_packaging",
    "test_parent_process",
    "test_render",
    "test_room",
    "test_speech",
    "test_systemd",
    "test_voice_cloud",
    "test_voice_dial",
    "test_voice_kokoro",
    "test_voice_local",
    "test_voice_process",
)
"""Modules of `tests/integration` whose names begin so have no picture on air that anybody could disturb."""


class ByKind(LoadScopeScheduling):
    """One worker for all tests in real time; the other modules one by one for whoever is free."""

    def _split_scope(self, nodeid: str) -> str:
        module = nodeid.partition("::")[0]
        path = Path(module)
        return "air" if IN_REAL_TIME.intersection(path.parts) and not path.name.startswith(OFF_AIR) else module


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByKind:
    return ByKind(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A module without its one category, or with two, fails the run: `make test` deals modules out by it."""
    wrong: dict[str, list[str]] = {}
    for item in items:
        module = item.getparent(pytest.Module)
        if module is None:
            continue
        marks = getattr(module.obj, "pytestmark", [])
        names = [mark.name for mark in (marks if isinstance(marks, list) else [marks])]
        found = sorted(CATEGORIES.intersection(names))
        if len(found) != 1:
            wrong[module.nodeid] = found
    if wrong:
        lines = [f"{name}: has {', '.join(found) or 'none'}" for name, found in sorted(wrong.items())]
        raise pytest.UsageError(
            f"every test module needs exactly one of {', '.join(sorted(CATEGORIES))} as its pytestmark:\n"
            + "\n".join(lines)
        )


@pytest.fixture
def short_dir() -> Iterator[Path]:
    """An empty folder with a path short enough for UNIX sockets, which pytest's own is not."""
    folder = Path(tempfile.mkdtemp(prefix="bc-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def paths(short_dir: Path) -> Paths:
    """The folders of a channel named "test", made."""
    made = channel_paths("test", short_dir)
    made.ensure()
    return made
