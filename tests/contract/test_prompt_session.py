"""The prompt websocket without its websocket: what it takes reaches the channel, what is refused is answered."""

from __future__ import annotations

import json
from typing import Any

import pytest

from broadcaster.errors import Refused
from broadcaster.station import Station
from broadcaster.types import PLAIN, Inbound, Manner, Origin, PromptKind, Role
from sources.schema import OUTBOUND, ErrorCode
from sources.websocket import PromptDesk, PromptSession
from tests.fakes.station import FakeStation

pytestmark = pytest.mark.contract


def test_the_station_is_a_desk() -> None:
    station: Station = FakeStation()  # type: ignore[assignment]
    desk: PromptDesk = station
    assert desk is station


async def answers(session: PromptSession, message: dict[str, Any]) -> list[dict[str, Any]]:
    found = [answer async for answer in session.handle(json.dumps(message))]
    for answer in found:
        OUTBOUND.validate_python(answer)
    return found


async def test_prompts_reach_the_channel_with_their_origin() -> None:
    station = FakeStation()
    origin = Origin("websocket", "somebody", Role.MODERATOR)
    session = PromptSession(station, origin)
    (accepted,) = await answers(session, {"type": "say", "text": "你好", "ref": "1"})
    (asked,) = await answers(session, {"type": "ask", "text": "谁？"})
    assert [(p.id, p.kind, p.text, p.origin) for p in station.waiting] == [
        (accepted["id"], PromptKind.SAY, "你好", origin),
        (asked["id"], PromptKind.ASK, "谁？", origin),
    ]


async def test_the_manner_of_a_prompt_reaches_the_channel() -> None:
    station = FakeStation()
    session = PromptSession(station, Origin("websocket", role=Role.MODERATOR))
    await answers(session, {"type": "say", "text": "你好", "speed": 1.2, "pitch": -2, "voice": "zm_yunxi"})
    await answers(session, {"type": "ask", "text": "谁？"})
    assert [prompt.manner for prompt in station.waiting] == [Manner(1.2, -2.0, "zm_yunxi"), PLAIN]


async def test_what_the_channel_refuses_is_answered_with_its_code() -> None:
    station = FakeStation(capacity=0)
    session = PromptSession(station, Origin("websocket", role=Role.OPERATOR))
    (full,) = await answers(session, {"type": "say", "text": "你好"})
    assert (full["type"], full["code"]) == ("error", "full")
    await answers(session, {"type": "panic"})
    (refused,) = await answers(session, {"type": "say", "text": "你好", "ref": "x"})
    assert (refused["code"], refused["ref"]) == ("panicked", "x")
    (resumed,) = await answers(session, {"type": "resume"})
    assert resumed["type"] == "ok"


async def test_a_viewer_changes_nothing() -> None:
    station = FakeStation()
    session = PromptSession(station, Origin("websocket", role=Role.VIEWER))
    for message in (
        {"type": "say", "text": "x"}, {"type": "ask", "text": "x"},
        {"type": "interrupt"}, {"type": "panic"}, {"type": "resume"},
    ):  # fmt: skip
        (answer,) = await answers(session, message)
        assert answer["code"] == "forbidden"
    assert not station.waiting
    assert not station.panicked


class Broken:
    """A desk that refuses with every code there is."""

    def __init__(self, code: str) -> None:
        self.code = code

    async def accept(self, *_: Any, **about: Any) -> Inbound:
        raise Refused("no", self.code)

    async def interrupt(self, by: Origin) -> None:
        raise Refused("no", self.code)

    panic = resume = interrupt


@pytest.mark.parametrize("code", [*ErrorCode, "of-tomorrow"])
async def test_every_refusal_has_an_answer(code: str) -> None:
    session = PromptSession(Broken(code), Origin("websocket", role=Role.OPERATOR))
    for message in ({"type": "say", "text": "x"}, {"type": "interrupt"}, {"type": "panic"}, {"type": "resume"}):
        (answer,) = await answers(session, message)
        assert answer["code"] == (code if code != "of-tomorrow" else "refused")
