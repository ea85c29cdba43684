"""The gate that lets everything pass. Pure; director's event loop."""

from __future__ import annotations

from broadcaster.types import Origin, Verdict, VerdictKind


class PassGate:
    """Admits every text as it stands."""

    async def admit(self, text: str, origin: Origin) -> Verdict:
        return Verdict(VerdictKind.PASS, text)
