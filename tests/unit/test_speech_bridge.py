"""From an SDK's thread to an async iterator: order, bound, ends, and nobody left waiting."""

from __future__ import annotations

import asyncio
import threading

import pytest

from broadcaster.cloud.bridge import QUEUED, Bridge
from broadcaster.errors import VoiceError

pytestmark = pytest.mark.unit


def on_a_thread(work: object) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)  # type: ignore[arg-type]
    thread.start()
    return thread


async def is_waiting(bridge: Bridge[int]) -> None:
    while bridge.waits == 0:  # noqa: ASYNC110
        await asyncio.sleep(0)


async def joined(thread: threading.Thread) -> None:
    await asyncio.to_thread(thread.join, 5)
    assert not thread.is_alive()


async def test_items_come_out_in_order_and_then_it_ends() -> None:
    bridge: Bridge[int] = Bridge()

    def bring() -> None:
        for item in range(QUEUED * 3):
            bridge.put(item)
        bridge.end()
        bridge.put(-1)

    thread = on_a_thread(bring)
    assert [item async for item in bridge] == list(range(QUEUED * 3))
    await joined(thread)


async def test_a_full_queue_makes_the_bringer_wait_and_loses_nothing() -> None:
    bridge: Bridge[int] = Bridge(bound=2)
    brought: list[int] = []

    def bring() -> None:
        for item in range(5):
            bridge.put(item)
            brought.append(item)
        bridge.end()

    thread = on_a_thread(bring)
    await is_waiting(bridge)
    assert brought == [0, 1]
    assert [item async for item in bridge] == [0, 1, 2, 3, 4]
    assert 1 <= bridge.waits <= 3
    await joined(thread)


async def test_closing_lets_a_waiting_bringer_go_and_drops_what_comes() -> None:
    bridge: Bridge[int] = Bridge(bound=1)
    thread = on_a_thread(lambda: [bridge.put(item) for item in range(3)])
    await is_waiting(bridge)
    bridge.close()
    await joined(thread)
    bridge.end()
    assert [item async for item in bridge] == []


async def test_what_came_before_an_error_is_heard_and_only_the_first_end_counts() -> None:
    bridge: Bridge[int] = Bridge()
    bridge.put(1)
    bridge.end(VoiceError("first", retryable=False))
    bridge.end(VoiceError("second"))
    bridge.end()
    assert await anext(bridge) == 1
    for _ in range(2):
        with pytest.raises(VoiceError, match="first") as caught:
            await anext(bridge)
        assert not caught.value.retryable


async def test_waiting_for_the_connection() -> None:
    there: Bridge[int] = Bridge()
    thread = on_a_thread(there.connected)
    await there.wait_connected(5)
    await joined(thread)

    ended: Bridge[int] = Bridge()
    ended.end(VoiceError("refused"))
    await ended.wait_connected(5)

    never: Bridge[int] = Bridge()
    with pytest.raises(VoiceError, match=r"no connection within 0\.01 s") as caught:
        await never.wait_connected(0.01)
    assert caught.value.retryable


def test_a_thread_that_outlives_the_loop_is_not_disturbed() -> None:
    async def made() -> Bridge[int]:
        return Bridge()

    bridge = asyncio.run(made())
    bridge.connected()
    bridge.put(1)
    bridge.end()
    assert bridge.ended
