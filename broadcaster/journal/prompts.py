"""A prompt as a row of the journal, and back. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from broadcaster.types import (
    Given,
    Happening,
    Inbound,
    Lane,
    Manner,
    Origin,
    PromptKind,
    Role,
    RoomEvent,
    Viewer,
)

PROMPT_COLUMNS: Final = (
    "id, kind, text, source, author, role, received_ns, speed, pitch, voice, viewer_id, viewer_name, resumable,"
    " event, item, count, recording, lane, paid, alike, given, post, approved"
)


def prompt_row(prompt: Inbound) -> tuple[Any, ...]:
    """Values of PROMPT_COLUMNS."""
    origin, manner, viewer, happening = prompt.origin, prompt.manner, prompt.viewer, prompt.happening
    return (
        prompt.id, prompt.kind.value, prompt.text, origin.source, origin.author, origin.role.value,
        prompt.received_ns, manner.speed, manner.pitch, manner.voice,
        viewer.id if viewer else None, viewer.name if viewer else "", int(prompt.resumable),
        happening.event.value if happening else None, happening.item if happening else "",
        happening.count if happening else 1, str(prompt.recording) if prompt.recording else None,
        prompt.lane.value, prompt.paid, prompt.alike, _given_text(prompt.given), prompt.post, int(prompt.approved),
    )  # fmt: skip


def prompt_of(row: Sequence[Any]) -> Inbound:
    """From the values of PROMPT_COLUMNS."""
    (
        identity, kind, text, source, author, role, received_ns, speed, pitch, voice, viewer_id, viewer_name,
        resumable, event, item, count, recording, lane, paid, alike, given, post, approved,
    ) = row  # fmt: skip
    return Inbound(
        identity,
        PromptKind(kind),
        text,
        Origin(source, author, Role(role)),
        received_ns,
        Manner(speed, pitch, voice),
        Viewer(viewer_id, viewer_name) if viewer_id is not None else None,
        bool(resumable),
        Happening(RoomEvent(event), item, count) if event is not None else None,
        Path(recording) if recording else None,
        Lane(lane),
        paid,
        alike,
        _given_of(given),
        post,
        bool(approved),
    )


def _given_text(given: tuple[Given, ...]) -> str | None:
    if not given:
        return None
    rows = [
        (part.viewer.id, part.viewer.name, part.happening.event.value, part.happening.item, part.happening.count)
        for part in given
    ]
    return json.dumps(rows, ensure_ascii=False)


def _given_of(text: str | None) -> tuple[Given, ...]:
    return tuple(
        Given(Viewer(identity, name), Happening(RoomEvent(event), item, count))
        for identity, name, event, item, count in json.loads(text or "[]")
    )
