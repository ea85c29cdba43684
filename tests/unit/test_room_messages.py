"""The moderators' messages: what is taken, what reaches the channel, who may send it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from broadcaster.console.prompts import KINDS as COUNTED
from broadcaster.console.prompts import MODERATION
from broadcaster.types import Origin, PromptKind, Role
from sources.moderation import COMMANDS
from sources.schema import KINDS, OUTBOUND, parse
from sources.websocket import PromptSession
from tests.fakes.station import FakeStation

pytestmark = pytest.mark.unit

COMMAND_MESSAGES = [
    {"type": "approve", "id": "p1"},
    {"type": "drop", "id": "p1"},
    {"type": "drop", "id": "p1", "now": True},
    {"type": "edit", "id": "p1", "text": "换一句。"},
    {"type": "move", "id": "p1", "place": 3},
    {"type": "ban", "viewer": "bilibili:7"},
    {"type": "ban", "viewer": "bilibili:7", "seconds": 600},
    {"type": "unban", "viewer": "bilibili:7"},
    {"type": "slow", "seconds": 30},
    {"type": "slow", "seconds": 0},
    {"type": "pause_auto", "on": True},
]


async def ask(session: PromptSession, message: dict[str, Any]) -> dict[str, Any]:
    (answer,) = [answer async for answer in session.handle(json.dumps(message))]
    OUTBOUND.validate_python(answer)
    json.dumps(answer)
    return answer


async def station() -> FakeStation:
    made = FakeStation()
    await made.accept(PromptKind.ASK, "几点了？", Origin("test", role=Role.MODERATOR))
    return made


@pytest.mark.parametrize("message", COMMAND_MESSAGES)
async def test_commands_reach_the_channel_with_whoever_gave_them(message: dict[str, Any]) -> None:
    desk = await station()
    session = PromptSession(desk, Origin("websocket", "页面", Role.MODERATOR))
    answer = await ask(session, {**message, "ref": "r"})
    assert answer == {"type": "ok", "command": message["type"], "ref": "r"}
    ((command, by),) = desk.moderated
    assert by == Origin("websocket", "页面", Role.MODERATOR)
    assert {key: command[key] for key in message} == message
    assert not command.keys() & {"by", "ref"}


async def test_a_command_may_say_who_gives_it() -> None:
    desk = await station()
    session = PromptSession(desk, Origin("control", role=Role.OPERATOR))
    await ask(session, {"type": "slow", "seconds": 5, "by": "alice"})
    assert desk.moderated[0][1] == Origin("control", "alice", Role.OPERATOR)


async def test_the_queue_a_place_and_the_bans_are_told() -> None:
    desk = await station()
    desk.banned = [{"viewer": "x:1", "name": "小明", "by": "cli operator root", "at_ns": 1, "left_s": None}]
    session = PromptSession(desk, Origin("websocket", role=Role.MODERATOR))
    queue = await ask(session, {"type": "queue", "limit": 10})
    assert [item["id"] for item in queue["items"]] == ["p1"]
    place = await ask(session, {"type": "place", "id": "p1", "ref": "r"})
    assert (place["item"], place["ref"]) == (queue["items"][0], "r")
    assert (await ask(session, {"type": "bans"}))["bans"] == desk.banned
    assert (await ask(session, {"type": "place", "id": "p9"}))["code"] == "unknown"


@pytest.mark.parametrize(
    "message",
    [
        {"type": "approve"},
        {"type": "approve", "id": ""},
        {"type": "drop", "id": "p1", "now": 1},
        {"type": "edit", "id": "p1", "text": ""},
        {"type": "move", "id": "p1", "place": 0},
        {"type": "move", "id": "p1", "place": 1.5},
        {"type": "ban", "viewer": "x" * 201},
        {"type": "ban", "viewer": "x", "seconds": 0},
        {"type": "ban", "viewer": "x", "seconds": float("inf")},
        {"type": "slow", "seconds": -1},
        {"type": "slow", "seconds": 3601},
        {"type": "pause_auto", "on": "yes"},
        {"type": "queue", "limit": 0},
        {"type": "bans", "viewer": "x"},
        {"type": "slow", "seconds": 1, "by": ""},
    ],
)
def test_what_is_no_message_is_refused_without_an_echo(message: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r".") as refused:
        parse(json.dumps(message))
    assert "p1" not in str(refused.value)


@pytest.mark.parametrize("message", [*COMMAND_MESSAGES, {"type": "queue"}, {"type": "bans"}])
async def test_a_viewer_may_do_none_of_it(message: dict[str, Any]) -> None:
    desk = await station()
    answer = await ask(PromptSession(desk, Origin("websocket", role=Role.VIEWER)), message)
    assert answer["code"] == "forbidden"
    assert not desk.moderated


async def test_a_drop_is_a_brake_and_never_rate_limited() -> None:
    desk = await station()
    session = PromptSession(desk, Origin("websocket", role=Role.MODERATOR), per_minute=1, now=lambda: 0.0)
    await ask(session, {"type": "queue"})
    assert (await ask(session, {"type": "queue"}))["code"] == "rate_limited"
    assert (await ask(session, {"type": "drop", "id": "p1"}))["type"] == "ok"


def test_the_console_counts_every_message_of_the_schema() -> None:
    assert set(COUNTED) == set(KINDS)
    assert set(MODERATION) == {str(model.model_fields["type"].annotation.__args__[0]) for model in COMMANDS}
