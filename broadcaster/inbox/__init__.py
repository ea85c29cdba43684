"""The queue of what asks for air time: moderators' prompts and the audience's, in one order."""

from broadcaster.inbox.nouns import Fate, Offer, Place, Standing
from broadcaster.inbox.questions import QUESTION_FROM, likeness
from broadcaster.inbox.queue import Inbox

__all__ = ["QUESTION_FROM", "Fate", "Inbox", "Offer", "Place", "Standing", "likeness"]
