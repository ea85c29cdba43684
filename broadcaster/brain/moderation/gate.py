"""Port `Gate`: every text of viewers, moderators and models passes here. Director's event loop; never raises.

The checks of this machine come first; the operator's own service (`Endpoint`) sees only what they let pass.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter, OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from broadcaster.brain.moderation.endpoint import Endpoint
from broadcaster.brain.moderation.findings import Finding, masked, verdict_of
from broadcaster.brain.moderation.judge import Case, Judge, Lists
from broadcaster.brain.moderation.lists import WordLists
from broadcaster.brain.moderation.nicknames import speakable
from broadcaster.config import ModerationConfig
from broadcaster.errors import BrainError
from broadcaster.ports import AlwaysClosed, Breaker
from broadcaster.redact import whereabouts
from broadcaster.types import Origin, Role, Verdict, VerdictKind

log = logging.getLogger(__name__)

KEPT: Final = 4096
"""Verdicts that are remembered: what is heard ahead of its turn is asked about again when its turn comes."""

REASONS: Final = 200
"""Reasons that are counted by name; the words of an endpoint are its own, and may be others for every text."""

OFF_LOOP: Final = 400
"""Characters, of all texts together, from which all checks take more than a millisecond and leave the event loop."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A verdict with what led to it, for the command that explains it."""

    verdict: Verdict
    findings: tuple[Finding, ...]


class Moderation:
    """Without an `endpoint` nobody else is asked. Blocking when it is made: reads `lists`. Raises ConfigError."""

    def __init__(
        self,
        settings: ModerationConfig,
        lists: WordLists,
        endpoint: Endpoint | None = None,
        breaker: Breaker | None = None,
    ) -> None:
        self._settings = settings
        self._lists = lists
        lists.changed = self.take
        self._judge = Judge(settings, lists.load())
        self._endpoint = endpoint
        self._breaker = breaker or AlwaysClosed()
        self._kept: OrderedDict[tuple[Case, int], Verdict] = OrderedDict()
        self._names: OrderedDict[str, str] = OrderedDict()
        self._readings = 0
        self._verdicts: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()
        self._asked = 0
        self._failures = 0
        self._error = ""
        self._watching: asyncio.Task[None] | None = None

    # -- life -----------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Begins to watch the word lists. In the event loop."""
        self._watching = asyncio.create_task(self._lists.watch())

    async def close(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watching
        if self._endpoint is not None:
            await self._endpoint.close()

    def take(self, lists: Lists) -> None:
        """Uses these lists from now on; what was judged by the old ones is forgotten."""
        self._judge.lists = lists
        self._readings += 1
        self._kept.clear()
        self._names.clear()

    def status(self) -> dict[str, Any]:
        """`words`, `files`, `error` of the lists; `verdicts` by kind, `reasons` by check; `endpoint` (or None)."""
        words = self._judge.lists.words
        return {
            "words": len(words.listed),
            "files": words.files,
            "error": self._lists.error,
            "verdicts": dict(self._verdicts),
            "reasons": dict(self._reasons),
            "endpoint": None
            if self._endpoint is None
            else {
                "place": self._endpoint.place,
                "state": self._breaker.state,
                "asked": self._asked,
                "failures": self._failures,
                "error": self._error,
            },
        }

    # -- port Gate ------------------------------------------------------------------------------------------------

    async def admit(self, text: str, origin: Origin) -> Verdict:
        return (await self._judged([Case(text, inbound=False, trusted=_trusted(origin))]))[0]

    async def hear(self, texts: Sequence[str], origin: Origin) -> list[Verdict]:
        return await self._judged([Case(text, inbound=True, trusted=_trusted(origin)) for text in texts])

    def glance(self, text: str) -> Verdict:
        verdict = self._verdict(Case(text, inbound=True), thorough=False)
        self._count("glance", verdict)
        return verdict

    def nickname(self, name: str) -> str:
        if name not in self._names:
            self._names[name] = self._named(name)
            if len(self._names) > KEPT:
                self._names.popitem(last=False)
        return self._names[name]

    def _named(self, name: str) -> str:
        try:
            fine = not self.name_findings(name)
        except Exception as err:
            log.error("a check of names broke", extra=whereabouts(err))
            fine = False
        if not fine:
            self._reasons["nickname"] += 1
        return speakable(name) if fine else ""

    def name_findings(self, name: str) -> list[Finding]:
        """Everything that a name must not have: what is judged both ways, as it is written and as it is said."""
        cases = [Case(each, inbound) for each in dict.fromkeys((name, speakable(name))) for inbound in (True, False)]
        return list(dict.fromkeys(found for case in cases for found in self._judge.find(case)))

    # -- all checks -----------------------------------------------------------------------------------------------

    def explain(self, case: Case) -> Judged:
        """What this machine's own checks say, and why."""
        findings = tuple(self._judge.find(case))
        return Judged(verdict_of(case.text, findings), findings)

    async def _judged(self, cases: Sequence[Case]) -> list[Verdict]:
        """One verdict for each. What changes the lists meanwhile leaves none of the old verdicts behind."""
        reading = self._readings
        made = {case: self._kept[case, reading] for case in cases if (case, reading) in self._kept}
        for case in made:
            self._kept.move_to_end((case, reading))
        new = [case for case in dict.fromkeys(cases) if case not in made]
        if new:
            if sum(len(case.text) for case in new) > OFF_LOOP:
                local = await asyncio.to_thread(lambda: [self._verdict(case) for case in new])
            else:
                local = [self._verdict(case) for case in new]
            failures = self._failures
            answered = await self._asked_about(dict(zip(new, local, strict=True)))
            if self._failures == failures and self._breaker.state == "closed":
                for case, verdict in answered.items():
                    self._keep((case, reading), verdict)
            made |= answered
        for case in cases:
            self._count(case.direction, made[case])
        return [made[case] for case in cases]

    def _verdict(self, case: Case, *, thorough: bool = True) -> Verdict:
        """A fault of a check must not let a text through, nor stop the host."""
        try:
            return verdict_of(case.text, self._judge.find(case, thorough=thorough))
        except Exception as err:
            log.error("a check of texts broke", extra=whereabouts(err))  # its own words may hold the text
            kind = VerdictKind.HOLD if case.inbound else VerdictKind.DROP
            return Verdict(kind, case.text if case.inbound else "", "broken")

    def _keep(self, key: tuple[Case, int], verdict: Verdict) -> None:
        if key[1] == self._readings:
            self._kept[key] = verdict
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)

    def _count(self, direction: str, verdict: Verdict) -> None:
        self._verdicts[f"{direction}_{verdict.kind.value}"] += 1
        if verdict.reason:
            known = verdict.reason in self._reasons or len(self._reasons) < REASONS
            self._reasons[verdict.reason if known else "others"] += 1

    # -- the endpoint ---------------------------------------------------------------------------------------------

    async def _asked_about(self, local: dict[Case, Verdict]) -> dict[Case, Verdict]:
        """The verdicts after the endpoint was asked about what may go on."""
        endpoint = self._endpoint
        if endpoint is None:
            return local
        verdicts = dict(local)
        for direction in ("in", "out"):
            if self._settings.endpoint.direction not in (direction, "both"):
                continue
            asked = [
                case
                for case, verdict in local.items()
                if case.direction == direction
                and verdict.kind not in (VerdictKind.DROP, VerdictKind.HOLD)
                and verdict.text.strip()
                and not (case.trusted and case.inbound)
            ]
            if asked:
                verdicts |= await self._ask(endpoint, asked, local, direction)
        return verdicts

    async def _ask(
        self, endpoint: Endpoint, asked: list[Case], local: dict[Case, Verdict], direction: str
    ) -> dict[Case, Verdict]:
        if not self._breaker.allows():
            return {case: self._unanswered(case, local[case]) for case in asked}
        self._asked += 1
        try:
            answers = await endpoint.judge([local[case].text for case in asked], direction)
        except BrainError as err:
            self._failed(err)
            return {case: self._unanswered(case, local[case]) for case in asked}
        except Exception as err:  # a fault of the program: the gate never raises, and lets nothing through for it
            log.error("the moderation endpoint could not be asked", extra=whereabouts(err))
            self._failed(BrainError(f"{endpoint.place} could not be asked ({type(err).__name__})"))
            return {case: self._unanswered(case, local[case]) for case in asked}
        except BaseException:
            self._breaker.released()
            raise
        self._breaker.succeeded()
        if self._error:
            log.info("the moderation endpoint answers again", extra={"place": endpoint.place})
            self._error = ""
        return {case: self._agreed(case, local[case], answer) for case, answer in zip(asked, answers, strict=True)}

    def _agreed(self, case: Case, local: Verdict, answer: Verdict) -> Verdict:
        """What the endpoint would have said instead passes the checks of this machine too."""
        if answer.kind is VerdictKind.PASS:
            return local
        if answer.kind in (VerdictKind.MASK, VerdictKind.REPLACE):
            again = self._verdict(Case(answer.text, case.inbound, case.trusted))
            return answer if again.kind is VerdictKind.PASS else again
        return answer

    def _failed(self, err: BrainError) -> None:
        self._failures += 1
        self._breaker.failed(for_good=err.denied)
        if not self._error:
            log.warning("the moderation endpoint failed", extra={"reason": str(err)})
        self._error = str(err)

    def _unanswered(self, case: Case, local: Verdict) -> Verdict:
        if not case.inbound:
            return local
        reason = "endpoint: no answer"
        match self._settings.endpoint.on_failure:
            case "drop":
                return Verdict(VerdictKind.DROP, "", reason)
            case "hold":
                return Verdict(VerdictKind.HOLD, case.text, reason)
            case "mask":
                return Verdict(VerdictKind.MASK, masked(case.text), reason)
        return local


def _trusted(origin: Origin) -> bool:
    return origin.role.covers(Role.MODERATOR)
