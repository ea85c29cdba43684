"""The one place with retry, back-off, restart budgets and health edges. Policy only: nothing here touches a network.

State machines with an injected clock (`backoff`, `sink`), and two shells that run an adapter by them: `threads` and
`aio` (import that one by its own name; playout and sinks know no asyncio).
"""

from __future__ import annotations

from broadcaster.supervisor.backoff import Backoff, Edge, RestartBudget, Turn
from broadcaster.supervisor.sink import SinkEdge, SinkPolicy
from broadcaster.supervisor.threads import keep_running

__all__ = ["Backoff", "Edge", "RestartBudget", "SinkEdge", "SinkPolicy", "Turn", "keep_running"]
