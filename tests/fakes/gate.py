"""The gate that lets everything pass. Pure; director's event loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from broadcaster.types import Origin, Verdict, VerdictKind


class PassGate:
    """Admits every text as it stands."""

    async def admit(self, text: str, origin: Origin) -> Verdict:
        return self.glance(text)

    async def hear(self, texts: Sequence[str], origin: Origin) -> list[Verdict]:
        return [await self.admit(text, origin) for text in texts]

    def glance(self, text: str) -> Verdict:
        return Verdict(VerdictKind.PASS, text)

    def nickname(self, name: str) -> str:
        return name

    def status(self) -> dict[str, Any]:
        return {}
