"""The simplest of what a mind needs: no memory, and questions as they were asked. For tools, benches and tests."""

from __future__ import annotations

from typing import Any, Protocol

from broadcaster.ports import MemoryStore
from broadcaster.types import Inbound, Message, Turn, Viewer


class Heard(Protocol):
    def messages(self) -> tuple[Message, ...]: ...


class NoMemory:
    """Remembers nothing."""

    async def open(self, store: MemoryStore) -> None:
        pass

    def messages(self) -> tuple[Message, ...]:
        return ()

    def summary(self) -> str:
        return ""

    async def viewer_note(self, viewer: Viewer | None) -> str:
        return ""

    def heard(self, prompt: Inbound, sentence: int, text: str) -> None:
        pass

    def ended(self, prompt: Inbound, *, cut: bool = False) -> None:
        pass

    def forget(self, viewer: str | None) -> None:
        pass

    def status(self) -> dict[str, Any]:
        return {"messages": 0, "tokens": 0, "viewers": 0}

    async def close(self) -> None:
        pass


class AsAsked:
    """The question behind the conversation, and nothing else."""

    async def turn(self, prompt: Inbound, conversation: Heard) -> Turn:
        return Turn(prompt, "", (*conversation.messages(), Message("user", prompt.text)))
