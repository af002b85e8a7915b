"""The engine's events: numbered, kept in a ring, handed to every subscriber.

A slow subscriber loses its oldest events rather than holding memory; it sees the gap in `sequence`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any

from runtime.engine.clock import now_rfc3339

if TYPE_CHECKING:
    from collections.abc import Callable

RING = 4096
BACKLOG = 1024


class Subscription:
    """An open event stream; iterate with `await next()`."""

    def __init__(self, wanted: Callable[[dict[str, Any]], bool]) -> None:
        self.wanted = wanted
        self._queue: deque[dict[str, Any]] = deque(maxlen=BACKLOG)
        self._ready = asyncio.Event()

    def offer(self, event: dict[str, Any]) -> None:
        if self.wanted(event):
            self._queue.append(event)
            self._ready.set()

    async def next(self) -> dict[str, Any]:
        while not self._queue:
            self._ready.clear()
            await self._ready.wait()
        return self._queue.popleft()


class EventBus:
    """Where everything that happened is told."""

    def __init__(self) -> None:
        self.ring: deque[dict[str, Any]] = deque(maxlen=RING)
        self._subscriptions: set[Subscription] = set()
        self._sequence = 0

    def publish(self, kind: str, action: str, object_id: str, name: str, attributes: dict[str, str]) -> None:
        self._sequence += 1
        event = {
            "sequence": self._sequence,
            "time": now_rfc3339(),
            "type": kind,
            "action": action,
            "id": object_id,
            "name": name,
            "attributes": attributes,
        }
        self.ring.append(event)
        for subscription in self._subscriptions:
            subscription.offer(event)

    def subscribe(self, wanted: Callable[[dict[str, Any]], bool]) -> Subscription:
        subscription = Subscription(wanted)
        self._subscriptions.add(subscription)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        self._subscriptions.discard(subscription)
