"""The bench of a GPU goes to machines that nobody can debug it on: all of it runs here, with small networks."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from bench.gpu_face import Bench
from broadcaster.head.musetalk.networks import Networks
from tests.face.support.least import least

pytestmark = pytest.mark.unit


class _Bench(Bench):
    def networks(self, decoder: str) -> Networks:
        return replace(least())


@pytest.fixture(scope="module")
def bench() -> Bench:
    torch.set_num_threads(1)
    return _Bench(torch.device("cpu"), True, 0.05)


def test_faces_are_made_in_batches_and_the_plain_way(bench: Bench) -> None:
    made = bench.networks("full")
    rate, note = bench.ours(made, 2)
    assert rate > 0
    assert "off line only" in note
    assert bench.plain(made, 2) > 0


def test_channels_share_batches(bench: Bench) -> None:
    late, came = bench.channels(bench.networks("full"), 2)
    assert late > 0
    assert 0 < came <= 1


def test_a_first_patch_comes(bench: Bench) -> None:
    (first,) = bench.first_patch(bench.networks("full"), 1, 1)
    assert first > 0


def test_it_needs_no_container_and_nothing_of_the_daemon() -> None:
    code = "import sys, bench.gpu_face; print([m for m in ('av', 'pydantic', 'msgspec', 'yaml') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert out.stdout.strip() == "[]"
