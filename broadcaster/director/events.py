"""Outbound events to whoever listens: websocket clients and pages. Director's event loop only."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, Final

from broadcaster.types import Inbound
from broadcaster.wire import Aired

SUBSCRIBER_EVENTS: Final = 256
"""About a minute of a busy channel; a page that lags further reads the state from the next `status` anyway."""


class EventHub:
    """Publishing never waits. `lost` counts what lagging subscribers missed (their oldest events)."""

    def __init__(self) -> None:
        self.lost = 0
        self._subscribers: set[Subscription] = set()

    def publish(self, event: dict[str, Any]) -> None:
        for subscriber in self._subscribers:
            self.lost += subscriber.push(event)

    def subscribe(self) -> Subscription:
        subscription = Subscription(self)
        self._subscribers.add(subscription)
        return subscription

    def forget(self, subscription: Subscription) -> None:
        self._subscribers.discard(subscription)

    def close(self) -> None:
        """Ends every subscription after what is still in it."""
        for subscriber in tuple(self._subscribers):
            subscriber.end()

    def __len__(self) -> int:
        return len(self._subscribers)


class Subscription:
    """Events from the moment of subscribing on; an async iterator."""

    def __init__(self, hub: EventHub) -> None:
        self._hub = hub
        self._events: deque[dict[str, Any]] = deque()
        self._more = asyncio.Event()
        self._ended = False

    def push(self, event: dict[str, Any]) -> int:
        """Number of events lost by it."""
        full = len(self._events) >= SUBSCRIBER_EVENTS
        if full:
            self._events.popleft()
        self._events.append(event)
        self._more.set()
        return int(full)

    def end(self) -> None:
        self._ended = True
        self._hub.forget(self)
        self._more.set()

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> dict[str, Any]:
        while not self._events:
            if self._ended:
                raise StopAsyncIteration
            self._more.clear()
            await self._more.wait()
        return self._events.popleft()

    async def aclose(self) -> None:
        self._events.clear()
        self.end()


def ending(prompt: Inbound, state: str, reason: str, event: Aired | None, sentence: int) -> dict[str, Any]:
    """The last event of a prompt. `state`: done, cut or skipped; a cut fell where playout says, or in `sentence`."""
    message: dict[str, Any] = {"type": state, "id": prompt.id}
    if state == "skipped":
        message["reason"] = reason
    elif state == "cut" and event is not None:
        message |= {"sentence": max(0, event.sentence), "samples": event.samples, "tick": event.tick}
    elif state == "cut":
        message |= {"sentence": sentence, "samples": 0, "tick": 0}
    return message
