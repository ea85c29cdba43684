"""Who has the floor: what arrives may cut what is on air, and what was cut waits here to go on. Event loop only."""

from __future__ import annotations

from broadcaster.config.minds import Turns
from broadcaster.director.rundown import Rundown
from broadcaster.director.turns import cutting
from broadcaster.director.utterance import Utterance
from broadcaster.inbox import Inbox
from broadcaster.journal import Journal
from broadcaster.types import Inbound


class Floor:
    """Keeps the utterances that were heard in part and go on, by prompt."""

    def __init__(self, turns: Turns, rundown: Rundown, inbox: Inbox, journal: Journal) -> None:
        self._turns = turns
        self._rundown = rundown
        self._inbox = inbox
        self._journal = journal
        self._rest: dict[str, Utterance] = {}

    def arrived(self, prompt: Inbound) -> None:
        """Queues a prompt that was just accepted; what it may cut makes way for it."""
        cuts = self._rundown.make_way(lambda other: cutting(self._turns, prompt, other))
        self._inbox.put(prompt, first=cuts)

    def arrived_paid(self, prompt: Inbound) -> None:
        """What was paid for waits in the queue; what it may cut makes way for it."""
        self._rundown.make_way(lambda other: cutting(self._turns, prompt, other))

    def adopt(self, rest: dict[str, Utterance]) -> None:
        """Takes over what an earlier run left; the prompts are queued already."""
        self._rest |= rest

    def begin(self, prompt: Inbound) -> Utterance:
        """The utterance of a prompt that is performed now: what is left of it, or a new one."""
        return self._rest.pop(prompt.id, None) or Utterance(prompt)

    def forget(self, id: str) -> None:
        """What is left of that prompt is not wanted any more."""
        self._rest.pop(id, None)

    def hold(self, utterance: Utterance) -> bool:
        """It was cut and goes on later. False when nothing of it is left."""
        rest = utterance.rest()
        if not rest.unsaid:
            return False
        self._rest[utterance.id] = rest
        self._journal.hold(utterance.id)
        self._inbox.hold(utterance.prompt)
        return True

    def put_back(self, utterance: Utterance) -> None:
        """It was given to playout and not heard (any further): it waits again."""
        if utterance.heard == 0 and not utterance.again:
            self._journal.requeue(utterance.id)
            self._inbox.restore(utterance.prompt)
        else:
            self.hold(utterance)
