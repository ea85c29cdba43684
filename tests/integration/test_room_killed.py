"""Kill -9 at random moments: nothing that was acknowledged is lost, nothing is said twice but what was on air."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from broadcaster.paths import Paths
from tests.support.killing import kill_often

pytestmark = pytest.mark.integration


async def test_killed_at_random_moments_everything_paid_and_accepted_is_said_once(
    paths: Paths, short_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """KILLS=50: as many as that."""
    outcome = await kill_often(
        paths, short_dir, int(os.environ.get("KILLS", "8")), seed=int(os.environ.get("SEED", "1"))
    )
    with capsys.disabled():
        print(f"\n{outcome.text()}")
    assert outcome.faults == []
    assert outcome.posts > 8
