"""What the suites over networked adapters share."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from broadcaster.journal.database import JournalPlace, journal_place
from tests.support.postgres import PostgresServer, missing, postgres

CHANNELS = itertools.count()
"""A schema on the server for each test."""


@pytest.fixture(scope="session")
def server() -> Iterator[PostgresServer]:
    """A PostgreSQL server; every test takes a schema of its own. Skipped where there is none."""
    if reason := missing():
        pytest.skip(reason)
    with postgres() as running:
        yield running


@pytest.fixture(params=("sqlite", "postgresql"))
def place(request: pytest.FixtureRequest, tmp_path: Path) -> JournalPlace:
    """Where a journal is to be kept that does not exist yet."""
    file = tmp_path / "state" / "journal.sqlite"
    if request.param == "sqlite":
        return file
    return journal_place(request.getfixturevalue("server").url, f"test-{next(CHANNELS)}", file)


@pytest.fixture
def hole() -> Iterator[int]:
    """A port that takes no connection and refuses none: its queue is full."""
    with socket.socket() as listener, ExitStack() as stack:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
