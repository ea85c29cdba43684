"""What moderation holds and a moderator approves, in a running channel with a scripted voice, brain and gate."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from broadcaster.errors import Refused
from broadcaster.paths import Paths
from broadcaster.types import Origin, Verdict, VerdictKind
from tests.support.directing import station
from tests.support.moderating import (
    Gate,
    blocked,
    brains,
    bring,
    command,
    comment,
    decisions,
    items,
    reason,
    super_chat,
)
from tests.support.waiting import until

pytestmark = pytest.mark.contract


async def test_what_moderation_holds_is_listed_and_waits_for_a_moderator(paths: Paths) -> None:
    async with station(paths, brains=brains(), gate=Gate()) as made:
        held, other = await bring(made, comment("加扣扣一二三？", "乙"), comment("加扣扣四五六？", "丙"))
        found = {item["id"]: item for item in await items(made)}
        assert [found[each]["state"] for each in (held, other)] == ["held", "held"]
        assert (found[held]["reason"], found[held]["place"], found[held]["eta_s"]) == ("contact", None, None)
        with pytest.raises(Refused, match="approve it first"):
            await command(made, "move", id=held, place=1)
        await command(made, "approve", id=held)
        await made.ended(held)
        assert made.types(held)[-1] == "done"
        await command(made, "edit", id=other, text="几点下播？")
        await made.ended(other)
        assert made.types(other)[-1] == "done"
        assert (await made.director.queue())["held"] == 0


async def test_an_edit_that_moderation_would_hold_is_held_until_it_is_approved(paths: Paths) -> None:
    async with station(paths, brains=brains(), gate=Gate()) as made:
        await blocked(made)
        (asked,) = await bring(made, comment("你几岁了？"))
        await command(made, "edit", id=asked, text="扣几？")
        assert ((await made.director.place(asked))["state"], decisions(paths)[-1][-1]) == ("held", "hold")
        await command(made, "approve", id=asked)
        made.playout.pause_in(None)
        await made.ended(asked)
        assert made.types(asked)[-1] == "done"


async def test_what_was_paid_for_is_held_through_a_restart_and_what_is_approved_stays_so(paths: Paths) -> None:
    async with station(paths, brains=brains(), gate=Gate()) as made:
        await command(made, "pause_auto", on=True)
        held, approved = await bring(made, super_chat("扣一？", "乙"), super_chat("扣二？", "丙"))
        await until(lambda: made.director.status()["moderators"]["held"] == 2)
        await blocked(made)
        await command(made, "approve", id=approved)
        await made.director.journal.flush()
    async with station(paths, brains=brains(), gate=Gate()) as again:
        await again.ended(approved)
        assert again.types(approved)[-1] == "done"
        await command(again, "pause_auto", on=False)
        await until(lambda: again.director.status()["moderators"]["held"] == 1)
        assert (await again.director.place(held))["state"] == "held"
        await command(again, "drop", id=held)
        await again.ended(held)
        assert reason(again, held) == "dropped"


class SlowGate(Gate):
    """Judges only when it is let."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.go = asyncio.Event()

    def glance(self, text: str) -> Verdict:
        return Verdict(VerdictKind.PASS, text)

    async def hear(self, texts: Sequence[str], origin: Origin) -> list[Verdict]:
        self.asked.set()
        await self.go.wait()
        return await super().hear(texts, origin)


async def test_what_is_approved_while_it_is_being_judged_stays_approved(paths: Paths) -> None:
    gate = SlowGate()
    async with station(paths, brains=brains(), gate=gate) as made:
        await blocked(made)
        (asked,) = await bring(made, comment("扣几？"))
        async with asyncio.timeout(10):
            await gate.asked.wait()
        await command(made, "approve", id=asked)
        gate.go.set()
        made.playout.pause_in(None)
        await made.ended(asked)
        assert made.types(asked)[-1] == "done"
