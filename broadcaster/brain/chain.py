"""The brains of a channel in the order of asking, and how long each may take. Director's event loop.

The silence before an answer is bounded whatever fails: its deadline is the longest `first_token_s` of the links that
may be asked. What the first link leaves of it, and GRACE_S more, all others share; then the built-in rules answer.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from broadcaster.brain.budget import Budget
from broadcaster.brain.cleaning import Cleaner, Unspeakable
from broadcaster.brain.tokens import tokens_in, tokens_of
from broadcaster.errors import BrainError, CutOff
from broadcaster.ports import AlwaysClosed, Brain, Breaker
from broadcaster.redact import whereabouts
from broadcaster.sentences import sentence_end
from broadcaster.types import Turn, Usage, Written

log = logging.getLogger(__name__)

_T = TypeVar("_T")

GRACE_S: Final = 1.5
"""Behind the deadline the other links have so long; rules, gate and voice need the rest of two seconds."""

LEAST_S: Final = 0.3
"""With less than that left nobody is asked: no model begins sooner."""

SHORTEST_GAP_S: Final = 0.5
"""Behind the end of that time, a first sentence that is still growing is waited for so long each time."""

RETRY_S: Final = 0.2
"""Pause before another try, where the server does not say how long."""


def closing(iterator: AsyncIterator[_T]) -> AbstractAsyncContextManager[AsyncIterator[_T]]:
    """Closes it at the end of the block; the ports say iterator, and every one of them is an async generator."""
    return aclosing(iterator)  # type: ignore[type-var]


@dataclass(slots=True, eq=False)
class Link:
    """One brain with its limits in seconds (see the configuration) and how it is doing. Prices per million tokens."""

    name: str
    brain: Brain
    breaker: Breaker = field(default_factory=AlwaysClosed)
    first_token_s: float = 6.0
    gap_s: float = 5.0
    total_s: float = 30.0
    retries: int = 1
    price_in: float = 0.0
    price_out: float = 0.0
    answered: int = 0
    """Answers that came in full."""
    failures: int = 0
    """Tries that brought no answer, or not all of it."""
    error: str = ""
    """Of the last try that failed; empty after one that did not."""
    thinks: bool = False
    """Its answers begin in the middle of a thought: learnt from a mark that ended one."""
    not_before: float = 0.0
    """The server wants to be left alone until then (the loop's clock)."""


class Chain:
    """`links` are asked in order; `rules` answer when no link can. `name` is the host's."""

    def __init__(self, links: Sequence[Link], rules: Link | None, budget: Budget, *, name: str = "") -> None:
        self.links = tuple(links)
        self.rules = rules
        self._budget = budget
        self._name = name

    async def reply(self, turn: Turn) -> AsyncIterator[Written]:
        """Raises BrainError when nobody could answer, or when the answer broke off behind a whole sentence.

        One that broke off before that is not worth hearing: the next link begins anew, see the port `Mind`.
        """
        last: BrainError | None = None
        links = [link for link in self.links if self._may_be_asked(link)]
        end = _now() + max((link.first_token_s for link in links), default=0.0) + GRACE_S
        for link in links:
            if end - _now() < LEAST_S or not link.breaker.allows():
                continue
            given = ""
            try:
                async with closing(self._ask(link, turn, min(_now() + link.first_token_s, end), end)) as written:
                    async for text in written:
                        given += text
                        yield Written(text, link.name)
                return
            except BrainError as err:
                if sentence_end(given, finished=True) is not None:
                    raise
                last = err
        if self.rules is None:
            raise last or BrainError("there is no brain", retryable=False)
        async with closing(self.by_rules(turn)) as said:
            async for part in said:
                yield part

    async def by_rules(self, turn: Turn) -> AsyncIterator[Written]:
        """The answer of the built-in rules alone."""
        if self.rules is None:
            raise BrainError("there is no brain", retryable=False)
        async with closing(self.rules.brain.reply(turn)) as deltas:
            async for delta in deltas:
                if isinstance(delta, str):
                    yield Written(delta, self.rules.name)
        self.rules.answered += 1

    async def write(self, turn: Turn) -> str:
        """The whole answer of a language model, for what is not spoken. Raises BrainError when none can."""
        last: BrainError | None = None
        for link in self.links:
            if not self._may_be_asked(link) or not link.breaker.allows():
                continue
            try:
                until = _now() + link.first_token_s
                async with closing(self._ask(link, turn, until, until + GRACE_S)) as written:
                    return "".join([text async for text in written])
            except BrainError as err:
                last = err
        raise last or BrainError("there is no language model", retryable=False)

    def status(self) -> list[dict[str, Any]]:
        """One mapping per link, in order, the rules last: name, state, answered, failures, error."""
        links = [*self.links, self.rules] if self.rules is not None else list(self.links)
        return [
            {
                "name": link.name,
                "state": link.breaker.state,
                "answered": link.answered,
                "failures": link.failures,
                "error": link.error,
            }
            for link in links
        ]

    async def close(self) -> None:
        for link in self.links:
            await link.brain.close()
        if self.rules is not None:
            await self.rules.brain.close()

    def _may_be_asked(self, link: Link) -> bool:
        priced = link.price_in > 0 or link.price_out > 0
        return link.breaker.state != "open" and link.not_before <= _now() and self._budget.allows(priced=priced)

    # -- one link -------------------------------------------------------------------------------------------------

    async def _ask(self, link: Link, turn: Turn, until: float, end: float) -> AsyncIterator[str]:
        """Tries as long as an error may pass, nothing was given out yet and there is time before `until`.

        Until its first sentence is whole, an answer may stand still to `end` at most.
        """
        tries = link.retries
        settled = False
        try:
            while True:
                begun = False
                try:
                    async with closing(self._once(link, turn, until, end)) as written:
                        async for text in written:
                            begun = True
                            yield text
                except CutOff:
                    settled = True
                    self._well(link)
                    raise
                except BrainError as err:
                    pause = RETRY_S if err.retry_after_s is None else err.retry_after_s
                    left = until - _now() - pause
                    if begun or not err.retryable or not tries or left < LEAST_S:
                        settled = True
                        self._failed(link, err)
                        raise
                    link.failures += 1
                    tries -= 1
                    await asyncio.sleep(pause)
                    continue
                settled = True
                self._well(link)
                return
        finally:
            if not settled:  # broken off by whoever listens: nothing follows from it
                link.breaker.released()

    async def _once(self, link: Link, turn: Turn, until: float, end: float) -> AsyncIterator[str]:
        began = _now()
        cleaner = Cleaner(self._name, thinking=link.thinks)
        given = whole = False
        said = ""
        usage: Usage | None = None
        raw = ""
        refused = False
        try:
            async with closing(link.brain.reply(turn)) as deltas:
                while True:
                    limit = min(_now() + link.gap_s, began + link.total_s) if given else until
                    if given and not whole:
                        limit = min(limit, max(end, _now() + SHORTEST_GAP_S))
                    delta = await _next(deltas, limit, given=given)
                    if delta is None:
                        break
                    if isinstance(delta, Usage):
                        usage = delta
                        continue
                    raw += delta
                    text = cleaner.feed(delta)
                    if cleaner.unmasked and not link.thinks:
                        self._learn(link)
                        if given:
                            raise BrainError("its thoughts were not marked as such", retryable=False)
                    if text:
                        given = True
                        if not whole:
                            said += text
                            whole = sentence_end(said) is not None
                        yield text
                if text := cleaner.rest():
                    given = True
                    yield text
        except _TimeIsUp as err:
            raise BrainError(str(err)) from err
        except Unspeakable as err:
            if not err.refusal:
                link.thinks = False  # perhaps it was set so that it marks its thoughts now
            raise
        except BrainError:
            refused = not raw and usage is None
            raise
        except Exception as err:
            # Its own words may hold the question, so only the place is told.
            log.error("a brain broke", extra={"brain": link.name, **whereabouts(err)})
            refused = not raw and usage is None
            raise BrainError(f"{type(err).__name__} inside of it") from err
        finally:
            if not refused:
                self._account(link, turn, usage, raw)

    def _learn(self, link: Link) -> None:
        link.thinks = True
        log.warning(
            "a brain thinks aloud without saying where; set it so that it does not", extra={"brain": link.name}
        )

    def _account(self, link: Link, turn: Turn, usage: Usage | None, raw: str) -> None:
        """What a server does not tell is estimated, rather too much than too little."""
        if usage is None:
            usage = Usage(tokens_of(turn.system) + tokens_in(turn.messages), tokens_of(raw))
        self._budget.spend(link.name, usage, link.price_in, link.price_out)

    # -- edges ----------------------------------------------------------------------------------------------------

    def _failed(self, link: Link, err: BrainError) -> None:
        if isinstance(err, Unspeakable) and err.refusal:
            link.breaker.released()  # it will not answer this; it may well answer the next one
            return
        link.failures += 1
        if err.retry_after_s is not None:
            link.not_before = _now() + err.retry_after_s
        if not link.error:
            log.warning("a brain failed", extra={"brain": link.name, "reason": str(err)})
        link.error = str(err)
        asked = link.breaker.state == "closed"
        if err.retryable or err.denied:
            link.breaker.failed(for_good=err.denied)
        else:
            link.breaker.released()  # this question was refused; another one may well be answered
        if asked and link.breaker.state != "closed":
            log.warning("a brain is not asked for a while", extra={"brain": link.name, "reason": str(err)})

    def _well(self, link: Link) -> None:
        link.answered += 1
        link.breaker.succeeded()
        if link.error:
            link.error = ""
            log.info("a brain answers again", extra={"brain": link.name})


class _TimeIsUp(Exception):
    pass


def _now() -> float:
    return asyncio.get_running_loop().time()


async def _next(deltas: AsyncIterator[str | Usage], limit: float, *, given: bool) -> str | Usage | None:
    """The next of them, None at the end. Raises _TimeIsUp at the time `limit`."""
    try:
        async with asyncio.timeout_at(limit) as timeout:
            return await anext(deltas, None)
    except TimeoutError as err:
        if not timeout.expired():
            raise BrainError("the connection timed out") from err
        raise _TimeIsUp("the answer stopped" if given else "no answer in time") from err
