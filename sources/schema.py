"""The messages of the prompt websocket, both ways: pydantic models and the JSON schema published from them.

Pure: no I/O but `write_schema`. `docs/schema/messages.json` is generated (`python -m sources.schema`) and
a test holds it to these models.
"""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import Field, TypeAdapter, ValidationError
from pydantic.json_schema import models_json_schema

from sources.message import NAME_LIMIT, REF_LIMIT, TEXT_LIMIT, Message, Ref, Text
from sources.moderation import (
    ANSWERS,
    COMMANDS,
    QUESTIONS,
    Approve,
    Ban,
    Bans,
    BansAnswer,
    Drop,
    Edit,
    Move,
    PauseAuto,
    Pending,
    Place,
    PlaceAnswer,
    Queue,
    QueueAnswer,
    Slow,
    Unban,
)

__all__ = ["NAME_LIMIT", "REF_LIMIT", "TEXT_LIMIT"]

COUNT_LIMIT: Final = 1_000_000

SCHEMA_PATH: Final = Path(__file__).resolve().parents[1] / "docs" / "schema" / "messages.json"


class ErrorCode(StrEnum):
    """Why something was refused. Also the `code` of `broadcaster.errors.Refused`."""

    BAD_MESSAGE = "bad_message"  # not JSON, an unknown type, a missing or unknown field
    TOO_LARGE = "too_large"  # the message is over the size limit
    RATE_LIMITED = "rate_limited"  # too many messages in a minute
    FORBIDDEN = "forbidden"  # the role of the token does not cover it
    PANICKED = "panicked"  # the channel is in panic until an operator resumes
    FULL = "full"  # the queue is full
    TOO_LONG = "too_long"  # the text is over `inbox.max_text`
    EMPTY = "empty"  # nothing to say
    JOURNAL = "journal"  # the prompt could not be made durable (disk full, locked, damaged)
    STOPPING = "stopping"  # the daemon is going down
    UNKNOWN = "unknown"  # no prompt of this id is on its way, or no viewer of this id is banned
    UNAVAILABLE = "unavailable"  # the process that must answer is being restarted
    REFUSED = "refused"  # everything else; the message says what


class SkipReason(StrEnum):
    """Why an accepted prompt never went on air (or not all of it)."""

    DROPPED = "dropped"  # the gate dropped it, or a moderator
    HELD = "held"  # the gate held it for a person to decide, and nobody did in time
    BANNED = "banned"  # a moderator has banned its viewer
    REVOKED = "revoked"  # the platform took it back
    LANE = "lane"  # its priority class is left out of `inbox.order`
    FORGOTTEN = "forgotten"  # an operator has had its viewer forgotten
    EXPIRED = "expired"  # it waited longer than it may
    EMPTY = "empty"  # nothing was left to say
    VOICE = "voice"  # no voice could speak it
    BRAIN = "brain"  # no answer could be made
    STALE = "stale"  # the question became too old while it waited for its answer
    INTERRUPTED = "interrupted"  # interrupted before its first word


VOICE_PATTERN: Final = r"^[^\x00-\x20<>&\x22'/\\]{1,64}$"
"""Names of voices of every engine, in any script, without what could mean something else in XML or in a path."""

Speed = Annotated[
    float | None,
    Field(ge=0.5, le=2.0, allow_inf_nan=False, strict=True, description="Times the configured speed"),
]
Pitch = Annotated[
    float | None,
    Field(ge=-6.0, le=6.0, allow_inf_nan=False, strict=True, description="Semitones added to the configured pitch"),
]
VoiceName = Annotated[
    str | None,
    Field(pattern=VOICE_PATTERN, description="A voice of the engine that speaks; one it does not know is ignored"),
]

Resumable = Annotated[
    bool,
    Field(
        strict=True, description="Cut by another prompt or by a restart, it goes on at the sentence where it was cut"
    ),
]
ViewerName = Annotated[
    str | None, Field(min_length=1, max_length=NAME_LIMIT, description="Who asks, as the platform shows it")
]
ViewerId = Annotated[
    str | None,
    Field(min_length=1, max_length=NAME_LIMIT, description="Stable at its platform; else the name is taken"),
]
Recording = Annotated[
    str | None,
    Field(
        pattern=r"^[0-9a-f]{24}$",
        description="The question as sound: what POST /api/questions returned. `text` says what it is about",
    ),
]


class Say(Message):
    """Speak this text as it stands. Needs the role moderator."""

    type: Literal["say"]
    text: Text
    speed: Speed = None
    pitch: Pitch = None
    voice: VoiceName = None
    resumable: Resumable = False
    ref: Ref = None


class Ask(Message):
    """Answer this question. Needs the role moderator."""

    type: Literal["ask"]
    text: Text
    speed: Speed = None
    pitch: Pitch = None
    voice: VoiceName = None
    viewer: ViewerName = None
    viewer_id: ViewerId = None
    recording: Recording = None
    ref: Ref = None


class Event(Message):
    """This has happened in the room; the host thanks or welcomes. Needs the role moderator."""

    type: Literal["event"]
    event: Literal["gift", "super_chat", "guard", "fan_club", "follow", "like", "enter"]
    viewer: Annotated[
        str, Field(min_length=1, max_length=NAME_LIMIT, description="Who did it, as the platform shows it")
    ]
    viewer_id: ViewerId = None
    item: Annotated[str, Field(max_length=NAME_LIMIT, description="What was given")] = ""
    count: Annotated[int, Field(ge=1, le=COUNT_LIMIT, strict=True, description="How many")] = 1
    ref: Ref = None


class Interrupt(Message):
    """Cut what is being said; the queue goes on. Needs the role moderator."""

    type: Literal["interrupt"]
    ref: Ref = None


class Panic(Message):
    """Silence and the idle picture until an operator resumes. Needs the role moderator."""

    type: Literal["panic"]
    ref: Ref = None


class Resume(Message):
    """End the panic. Needs the role operator."""

    type: Literal["resume"]
    ref: Ref = None


_Prompts = Say | Ask | Event
_Brakes = Interrupt | Panic | Resume
_Moderation = Queue | Place | Approve | Drop | Edit | Move | Ban | Unban | Bans | Slow | PauseAuto
AnyInbound = _Prompts | _Brakes | _Moderation

Inbound = Annotated[AnyInbound, Field(discriminator="type")]
INBOUND_TYPES: Final = (Say, Ask, Event, Interrupt, Panic, Resume, *COMMANDS, *QUESTIONS)
KINDS: Final = tuple(str(get_args(model.model_fields["type"].annotation)[0]) for model in INBOUND_TYPES)
"""Every `type` that a message to the channel may have."""


class Accepted(Message):
    """A prompt is in the journal and will be spoken, skipped or cut; every later event carries its id."""

    type: Literal["accepted"] = "accepted"
    id: str
    ref: str | None = None


class Ok(Message):
    """A command was carried out."""

    type: Literal["ok"] = "ok"
    command: Literal[
        "interrupt", "panic", "resume",
        "approve", "drop", "edit", "move", "ban", "unban", "slow", "pause_auto",
    ]  # fmt: skip
    ref: str | None = None


class OnAir(Message):
    """A sentence has begun: it is heard from picture `tick` on."""

    type: Literal["on_air"] = "on_air"
    id: str
    sentence: int = Field(ge=0)
    text: str
    tick: int


class Held(Message):
    """The prompt was cut by another one, or by the end of the daemon; it goes on later, at this sentence."""

    type: Literal["held"] = "held"
    id: str
    sentence: int = Field(ge=0)


class Done(Message):
    """Everything of the prompt was heard in full."""

    type: Literal["done"] = "done"
    id: str


class Cut(Message):
    """The prompt ended early, in this sentence, `samples` (48 kHz) into it, at picture `tick`."""

    type: Literal["cut"] = "cut"
    id: str
    sentence: int = Field(ge=0)
    samples: int = Field(ge=0)
    tick: int


class Skipped(Message):
    """The prompt will not go on air."""

    type: Literal["skipped"] = "skipped"
    id: str
    reason: SkipReason


class Error(Message):
    """A message was refused; nothing was queued for it."""

    type: Literal["error"] = "error"
    code: ErrorCode
    message: str
    ref: str | None = None


class Status(Message):
    """The state of the channel, once a second and on every change of `panicked`; as `/api/status`."""

    type: Literal["status"] = "status"
    status: dict[str, Any]


_Answers = Accepted | Ok | Error | QueueAnswer | PlaceAnswer | BansAnswer
_Events = Pending | OnAir | Held | Done | Cut | Skipped | Status
AnyOutbound = _Answers | _Events

Outbound = Annotated[AnyOutbound, Field(discriminator="type")]
OUTBOUND_TYPES: Final = (Accepted, Ok, OnAir, Held, Done, Cut, Skipped, Error, Status, *ANSWERS)

INBOUND: Final[TypeAdapter[AnyInbound]] = TypeAdapter(Inbound)
OUTBOUND: Final[TypeAdapter[AnyOutbound]] = TypeAdapter(Outbound)


def parse(raw: str | bytes) -> AnyInbound:
    """One inbound message from its JSON text. Raises ValueError with a reason that quotes nothing of the input."""
    try:
        return INBOUND.validate_json(raw)
    except ValidationError as err:
        raise ValueError(_explain(err)) from None


def _explain(err: ValidationError) -> str:
    first = err.errors(include_url=False, include_context=False, include_input=False)[0]
    kinds = ", ".join(KINDS)
    match first["type"]:
        case "json_invalid":
            return "not a JSON text"
        case "union_tag_invalid" | "union_tag_not_found":
            return f'"type" must be one of {kinds}'
        case "extra_forbidden":
            return "a field that this message does not have"
        case "model_attributes_type" | "dict_type" | "model_type":
            return f'a JSON object with a "type" is expected ({kinds})'
        case _:
            where = ".".join(str(part) for part in first["loc"][1:])
            return f"{where}: {first['msg']}" if where else str(first["msg"])


def published_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of both directions: `$defs` holds every message, `inbound` and `outbound` list them."""
    models = (*INBOUND_TYPES, *OUTBOUND_TYPES)
    _, defs = models_json_schema([(model, "validation") for model in models])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Broadcaster prompt websocket",
        "description": "One JSON text per websocket message. You send `inbound`; the daemon sends `outbound`.",
        "$defs": {
            **defs["$defs"],
            "inbound": {"oneOf": [{"$ref": f"#/$defs/{model.__name__}"} for model in INBOUND_TYPES]},
            "outbound": {"oneOf": [{"$ref": f"#/$defs/{model.__name__}"} for model in OUTBOUND_TYPES]},
        },
        "oneOf": [{"$ref": "#/$defs/inbound"}, {"$ref": "#/$defs/outbound"}],
    }


def rendered_schema() -> str:
    return json.dumps(published_schema(), ensure_ascii=False, indent=2, sort_keys=True) + "\n"


def write_schema(path: Path = SCHEMA_PATH) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(rendered_schema(), encoding="utf-8")


if __name__ == "__main__":
    write_schema()
