"""The tick thread's time slice, asked of the real kernel."""

from __future__ import annotations

import threading

import pytest

from broadcaster.playout.priority import SLICE_NS, slice_ns, wake_promptly

pytestmark = pytest.mark.integration


def test_the_thread_that_asks_gets_the_shortest_slice_and_no_other_thread_does() -> None:
    before = slice_ns()
    found: list[int] = []

    def ask() -> None:
        if wake_promptly():
            found.append(slice_ns())

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    if not found:
        pytest.skip("this kernel (before Linux 6.12) has no time slices to choose")
    assert found == [SLICE_NS]
    assert slice_ns() == before
