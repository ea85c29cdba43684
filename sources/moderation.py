"""The messages by which moderators work the queue, and what they are answered. Pure.

`sources.schema` makes them a part of the websocket's messages; `POST /api/queue` takes them too.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import Field

from sources.message import ID_LIMIT, NAME_LIMIT, Id, Message, Ref, Text

QUEUE_LIMIT: Final = 500
"""Items of one answer."""

LONGEST_BAN_S: Final = 10 * 366 * 86_400
"""A longer one is for good."""

LONGEST_SLOW_S: Final = 3600

By = Annotated[
    str | None,
    Field(min_length=1, max_length=NAME_LIMIT, description="Who does it, for the log; you tell it, nobody checks it"),
]
PromptId = Annotated[Id, Field(description="Of the prompt, as the queue shows it")]
ViewerIdInChannel = Annotated[Id, Field(description="The viewer's id in the channel, as the queue shows it")]


class Queue(Message):
    """List what waits, what is held for you and what is on its way to air, in order. Needs the role moderator."""

    type: Literal["queue"]
    limit: Annotated[int, Field(ge=1, le=QUEUE_LIMIT, strict=True)] = 50
    ref: Ref = None


class Place(Message):
    """Where is this prompt, and when will it be heard? Needs the role moderator."""

    type: Literal["place"]
    id: PromptId
    ref: Ref = None


class Approve(Message):
    """Let through what moderation holds, or will not be judged again. Needs the role moderator."""

    type: Literal["approve"]
    id: PromptId
    by: By = None
    ref: Ref = None


class Drop(Message):
    """It is not said: taken out of the queue, or off the air behind the sentence on air. Needs the role moderator."""

    type: Literal["drop"]
    id: PromptId
    now: Annotated[bool, Field(strict=True, description="On air: not behind its sentence, but at once")] = False
    by: By = None
    ref: Ref = None


class Edit(Message):
    """Another text for what waits or is held; it is judged again. Needs the role moderator."""

    type: Literal["edit"]
    id: PromptId
    text: Text
    by: By = None
    ref: Ref = None


class Move(Message):
    """To this place of the queue, where it stays; 1 is said next. Needs the role moderator."""

    type: Literal["move"]
    id: PromptId
    place: Annotated[int, Field(ge=1, le=100_000, strict=True)]
    by: By = None
    ref: Ref = None


class Ban(Message):
    """Nothing of this viewer is taken any more, and what waits of it is skipped. Needs the role moderator."""

    type: Literal["ban"]
    viewer: ViewerIdInChannel
    seconds: Annotated[
        float | None,
        Field(gt=0, le=LONGEST_BAN_S, allow_inf_nan=False, description="How long; without it, until `unban`"),
    ] = None
    by: By = None
    ref: Ref = None


class Unban(Message):
    """End a ban. Needs the role moderator."""

    type: Literal["unban"]
    viewer: ViewerIdInChannel
    by: By = None
    ref: Ref = None


class Bans(Message):
    """List who is banned. Needs the role moderator."""

    type: Literal["bans"]
    ref: Ref = None


class Slow(Message):
    """Slow mode: one comment of each viewer counts in so many seconds. Needs the role moderator."""

    type: Literal["slow"]
    seconds: Annotated[float, Field(ge=0, le=LONGEST_SLOW_S, allow_inf_nan=False, description="0 ends it")]
    by: By = None
    ref: Ref = None


class PauseAuto(Message):
    """Only what moderators send, approve or move goes on air, until it is off again. Needs the role moderator."""

    type: Literal["pause_auto"]
    on: Annotated[bool, Field(strict=True)]
    by: By = None
    ref: Ref = None


Command = Approve | Drop | Edit | Move | Ban | Unban | Slow | PauseAuto
"""What changes something."""

COMMANDS: Final = (Approve, Drop, Edit, Move, Ban, Unban, Slow, PauseAuto)
QUESTIONS: Final = (Queue, Place, Bans)
"""What only asks."""

State = Literal["waiting", "held", "pending", "on_air", "on_disk"]


class QueueItem(Message):
    """One prompt on its way to air.

    `waiting`: in the queue; `held`: moderation holds it for you; `pending`: written and spoken, about to be heard;
    `on_disk`: paid for, and there was no room in memory yet.
    """

    id: str
    place: Annotated[int | None, Field(description="1 is said next; 0 is on air; null: not in the queue")]
    eta_s: Annotated[float | None, Field(description="Estimated seconds until it is heard; null: nobody knows")]
    lane: str
    kind: str
    text: str
    viewer: Annotated[str, Field(max_length=ID_LIMIT, description="Id in the channel, for `ban`")]
    name: str
    paid: Annotated[float, Field(description="Yuan")]
    alike: Annotated[int, Field(description="How many asked the same")]
    state: State
    reason: Annotated[str, Field(description="Why it is held")]
    approved: bool
    why: Annotated[dict[str, Any], Field(description="What makes it come here: features and their weights")]


class QueueAnswer(Message):
    """What `queue` is answered."""

    type: Literal["queue"] = "queue"
    items: list[QueueItem]
    length: Annotated[int, Field(description="Prompts that wait, in memory, listed here or not")]
    held: int
    on_disk: int
    paused: bool
    slow_s: float
    delay_s: float
    ref: str | None = None


class PlaceAnswer(Message):
    """What `place` is answered."""

    type: Literal["place"] = "place"
    item: QueueItem
    ref: str | None = None


class BanEntry(Message):
    viewer: str
    name: str
    by: str
    at_ns: int
    left_s: Annotated[float | None, Field(description="null: for good")]


class BansAnswer(Message):
    """What `bans` is answered; the newest first."""

    type: Literal["bans"] = "bans"
    bans: list[BanEntry]
    ref: str | None = None


class Pending(Message):
    """A line of the prompt may be said; it is heard in about `airs_in_s` and can be dropped until then.

    Only with a broadcast delay (`moderation.delay_s`). `sentence` counts what was written, from 0; the voice may
    divide it otherwise.
    """

    type: Literal["pending"] = "pending"
    id: str
    sentence: int = Field(ge=0)
    text: str
    airs_in_s: float


ANSWERS: Final = (QueueAnswer, PlaceAnswer, BansAnswer, Pending)
