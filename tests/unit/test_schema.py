"""The published messages: the file is current, every message fits it, and bad ones are refused without an echo."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcaster.errors import Refused
from broadcaster.types import PLAIN, Happening, Inbound, Manner, Origin, PromptKind, Role, RoomEvent, Viewer
from sources import schema
from sources.schema import ErrorCode, parse
from sources.websocket import PromptSession

pytestmark = pytest.mark.unit


class Desk:
    """Accepts everything, or refuses with a given code; remembers what it was asked."""

    def __init__(self, refusal: Refused | None = None) -> None:
        self.refusal = refusal
        self.calls: list[tuple[str, str]] = []
        self.manners: list[Manner] = []
        self.about: list[dict[str, Any]] = []

    def _call(self, what: str, text: str = "") -> None:
        if self.refusal is not None:
            raise self.refusal
        self.calls.append((what, text))

    async def accept(
        self,
        kind: PromptKind,
        text: str,
        origin: Origin,
        manner: Manner = PLAIN,
        *,
        viewer: Viewer | None = None,
        resumable: bool = False,
        happening: Happening | None = None,
        recording: str = "",
    ) -> Inbound:
        self._call(kind.value, text)
        self.manners.append(manner)
        about = {"viewer": viewer, "resumable": resumable, "happening": happening, "recording": recording}
        self.about.append({key: value for key, value in about.items() if value})
        return Inbound(f"p{len(self.calls)}", kind, text, origin)

    async def interrupt(self, by: Origin) -> None:
        self._call("interrupt")

    async def panic(self, by: Origin) -> None:
        self._call("panic")

    async def resume(self, by: Origin) -> None:
        self._call("resume")

    async def queue(self, limit: int = 50) -> dict[str, Any]:
        raise Refused("nothing is queued here", "unknown")

    async def place(self, id: str) -> dict[str, Any]:
        raise Refused("nothing is queued here", "unknown")

    async def moderate(self, command: Mapping[str, Any], by: Origin) -> None:
        self._call(command["type"])

    def bans(self) -> list[dict[str, Any]]:
        return []


async def ask(session: PromptSession, message: Any) -> dict[str, Any]:
    raw = message if isinstance(message, str | bytes) else json.dumps(message, ensure_ascii=False)
    answers = [answer async for answer in session.handle(raw)]
    assert len(answers) == 1
    schema.OUTBOUND.validate_json(json.dumps(answers[0]))
    return answers[0]


def session(role: Role = Role.OPERATOR, desk: Desk | None = None, **options: Any) -> PromptSession:
    return PromptSession(desk or Desk(), Origin("test", role=role), **options)


def test_the_published_schema_is_current() -> None:
    assert schema.SCHEMA_PATH.read_text(encoding="utf-8") == schema.rendered_schema(), "run python -m sources.schema"


def test_the_published_schema_names_every_message_and_forbids_unknown_fields() -> None:
    published = schema.published_schema()
    names = {
        ref["$ref"].rpartition("/")[2] for way in ("inbound", "outbound") for ref in published["$defs"][way]["oneOf"]
    }
    assert names == {
        "Say", "Ask", "Event", "Interrupt", "Panic", "Resume",
        "Queue", "Place", "Approve", "Drop", "Edit", "Move", "Ban", "Unban", "Bans", "Slow", "PauseAuto",
        "Accepted", "Ok", "OnAir", "Held", "Done", "Cut", "Skipped", "Error", "Status",
        "QueueAnswer", "PlaceAnswer", "BansAnswer", "Pending",
    }  # fmt: skip
    assert all(published["$defs"][name]["additionalProperties"] is False for name in names)


@pytest.mark.parametrize(
    ("message", "answer"),
    [
        ({"type": "say", "text": "你好", "ref": "a"}, {"type": "accepted", "id": "p1", "ref": "a"}),
        ({"type": "ask", "text": "谁？"}, {"type": "accepted", "id": "p1", "ref": None}),
        ({"type": "interrupt", "ref": "b"}, {"type": "ok", "command": "interrupt", "ref": "b"}),
        ({"type": "panic"}, {"type": "ok", "command": "panic", "ref": None}),
        ({"type": "resume"}, {"type": "ok", "command": "resume", "ref": None}),
    ],
)
async def test_every_message_has_its_answer(message: dict[str, Any], answer: dict[str, Any]) -> None:
    desk = Desk()
    assert await ask(session(desk=desk), message) == answer
    assert desk.calls == [(message["type"], message.get("text", ""))]


@pytest.mark.parametrize(
    ("message", "about"),
    [
        ({"type": "say", "text": "好", "resumable": True}, {"resumable": True}),
        ({"type": "say", "text": "好", "resumable": False}, {}),
        ({"type": "ask", "text": "好", "viewer": "小明"}, {"viewer": Viewer("name:小明", "小明")}),
        ({"type": "ask", "text": "好", "viewer": "小明", "viewer_id": "7"}, {"viewer": Viewer("7", "小明")}),
        ({"type": "ask", "text": "好", "viewer_id": "7"}, {"viewer": Viewer("7", "")}),
        ({"type": "ask", "text": "好", "recording": "a" * 24}, {"recording": "a" * 24}),
        (
            {"type": "event", "event": "gift", "viewer": "小明", "viewer_id": "7", "item": "辣条", "count": 3},
            {"viewer": Viewer("7", "小明"), "happening": Happening(RoomEvent.GIFT, "辣条", 3)},
        ),
        (
            {"type": "event", "event": "follow", "viewer": "小明"},
            {"viewer": Viewer("name:小明", "小明"), "happening": Happening(RoomEvent.FOLLOW)},
        ),
    ],
)
async def test_what_a_message_says_of_itself_reaches_the_channel(
    message: dict[str, Any], about: dict[str, Any]
) -> None:
    desk = Desk()
    assert (await ask(session(desk=desk), message))["type"] == "accepted"
    assert desk.calls[0][0] == message["type"]
    assert desk.about == [about]


@pytest.mark.parametrize(
    "message",
    [
        {"type": "say", "text": "好", "resumable": 1},
        {"type": "say", "text": "好", "viewer": "小明"},
        {"type": "ask", "text": "好", "resumable": True},
        {"type": "ask", "text": "好", "viewer": "", "viewer_id": "7"},
        {"type": "ask", "text": "好", "viewer": "名" * 65},
        {"type": "ask", "text": "好", "recording": "../../etc/passwd"},
        {"type": "event", "viewer": "小明"},
        {"type": "event", "event": "gift"},
        {"type": "event", "event": "riot", "viewer": "小明"},
        {"type": "event", "event": "gift", "viewer": "小明", "count": 0},
        {"type": "event", "event": "gift", "viewer": "小明", "count": 1_000_001},
        {"type": "event", "event": "gift", "viewer": "小明", "count": "3"},
        {"type": "event", "event": "gift", "viewer": "小明", "item": "物" * 65},
        {"type": "event", "event": "gift", "viewer": "小明", "text": "好"},
    ],
)
async def test_what_a_message_cannot_say_of_itself_is_refused(message: dict[str, Any]) -> None:
    desk = Desk()
    assert (await ask(session(desk=desk), message))["code"] == "bad_message"
    assert desk.calls == []


@pytest.mark.parametrize("kind", ["say", "ask"])
@pytest.mark.parametrize(
    ("fields", "manner"),
    [
        ({}, PLAIN),
        ({"speed": None, "pitch": None, "voice": None}, PLAIN),
        ({"speed": 2}, Manner(speed=2.0)),
        ({"speed": 0.5, "pitch": -6, "voice": "zh-CN-XiaoxiaoNeural"}, Manner(0.5, -6.0, "zh-CN-XiaoxiaoNeural")),
        ({"pitch": 1.5, "voice": "中文女"}, Manner(pitch=1.5, voice="中文女")),
    ],
)
async def test_the_manner_of_a_prompt_reaches_the_channel(kind: str, fields: dict[str, Any], manner: Manner) -> None:
    desk = Desk()
    assert (await ask(session(desk=desk), {"type": kind, "text": "好", **fields}))["type"] == "accepted"
    assert desk.manners == [manner]


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("speed", [0.49, 2.01, 0, -1, "1", True, "fast", [1], math.nan, math.inf]),
        ("pitch", [-6.1, 6.1, "0", False, {}, math.nan]),
        ("voice", ["", "a b", "<voice>", "a&b", 'a"b', "a'b", "../a", "a\\b", "a\nb", "v" * 65, 3]),
    ],
)
async def test_a_manner_out_of_bounds_is_refused_by_name(field: str, values: list[Any]) -> None:
    for value in values:
        desk = Desk()
        answer = await ask(session(desk=desk), {"type": "say", "text": "好", field: value})
        assert (answer["code"], answer["message"].partition(":")[0]) == ("bad_message", field), value
        assert desk.calls == []


@pytest.mark.parametrize("kind", ["say", "ask", "event", "interrupt", "panic", "resume"])
async def test_roles(kind: str) -> None:
    message = {"type": kind, **({"text": "好"} if kind in ("say", "ask") else {})}
    if kind == "event":
        message |= {"event": "enter", "viewer": "小明"}
    allowed = {role: (await ask(session(role), message))["type"] != "error" for role in Role}
    assert allowed == {
        Role.VIEWER: False,
        Role.MODERATOR: kind != "resume",
        Role.OPERATOR: True,
    }
    assert (await ask(session(Role.VIEWER), message))["code"] == "forbidden"


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        ("", "JSON"),
        ("{", "JSON"),
        (b"\xff\xfe", "JSON"),
        ('"say"', "object"),
        ("[]", "object"),
        ("null", "object"),
        ("{}", "type"),
        ('{"type":"shout","text":"x"}', "type"),
        ('{"type":"say"}', "text"),
        ('{"type":"say","text":""}', "text"),
        ('{"type":"say","text":5}', "text"),
        ('{"type":"say","text":"x","volume":11}', "field"),
        ('{"type":"panic","text":"x"}', "field"),
        ('{"type":"interrupt","speed":1}', "field"),
        ('{"type":"say","text":"\\ud800"}', "JSON"),
        ('{"type":"say","text":"x","ref":"' + "r" * 65 + '"}', "ref"),
    ],
)
async def test_bad_messages_are_explained(raw: str | bytes, says: str) -> None:
    answer = await ask(session(), raw)
    assert answer["code"] == "bad_message"
    assert says in answer["message"]


async def test_a_bad_message_is_answered_with_its_reference_if_that_is_good() -> None:
    for ref, expected in (("r7", "r7"), ("r" * 64, "r" * 64), ("r" * 65, None), (7, None), (None, None)):
        answer = await ask(session(), {"type": "say", "text": "好", "speed": 9, "ref": ref})
        assert (answer["code"], answer["ref"]) == ("bad_message", expected)
    answer = await ask(session(), '{"type":"say","text":"\\ud800","ref":"\\ud800"}')
    assert answer["ref"] is None


async def test_a_refusal_carries_code_and_reference() -> None:
    for code in (*ErrorCode, "something_new"):
        answer = await ask(session(desk=Desk(Refused("no", str(code)))), {"type": "panic", "ref": "r"})
        expected = code if code in list(ErrorCode) else "refused"
        assert answer == {"type": "error", "code": expected, "message": "no", "ref": "r"}


async def test_size_is_counted_in_bytes() -> None:
    small = session(max_bytes=64)
    assert (await ask(small, {"type": "say", "text": "字" * 20}))["code"] == "too_large"
    assert (await ask(small, {"type": "say", "text": "字" * 8}))["type"] == "accepted"


async def test_the_rate_is_limited_but_never_for_the_brakes() -> None:
    now = 0.0
    limited = session(per_minute=3, now=lambda: now)
    message = {"type": "say", "text": "好"}
    kinds = [(await ask(limited, message))["type"] for _ in range(5)]
    assert kinds == ["accepted"] * 3 + ["error"] * 2
    assert (await ask(limited, "garbage"))["code"] == "rate_limited"
    assert (await ask(limited, {"type": "panic"}))["type"] == "ok"
    assert (await ask(limited, {"type": "interrupt"}))["type"] == "ok"
    now = 20.0
    assert (await ask(limited, message))["type"] == "accepted"
    assert (await ask(limited, message))["code"] == "rate_limited"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
NEARLY = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["say", "ask", "event", "interrupt", "panic", "resume", "stop"]) | JSON,
        "text": st.text(max_size=60) | JSON,
        "ref": st.text(max_size=70) | JSON,
        "speed": st.floats() | JSON,
        "pitch": st.floats() | JSON,
        "voice": st.text(max_size=70) | JSON,
        "viewer": st.text(max_size=70) | JSON,
        "event": st.sampled_from(["gift", "enter"]) | JSON,
        "count": st.integers() | JSON,
        "resumable": st.booleans() | JSON,
        "extra": JSON,
    },
)


@given(st.one_of(NEARLY, JSON))
async def test_whatever_json_comes_there_is_one_answer_that_fits_the_schema(message: Any) -> None:
    desk = Desk()
    answer = await ask(session(desk=desk, per_minute=60_000), message)
    assert answer["type"] in ("accepted", "ok", "error")
    assert len(desk.calls) == (answer["type"] != "error")


@given(st.binary(max_size=200) | st.text(max_size=200))
async def test_whatever_bytes_come_nothing_of_them_is_echoed(raw: str | bytes) -> None:
    canary = "canary-stream-key"
    marked = raw + canary if isinstance(raw, str) else raw + canary.encode()
    answer = await ask(session(), marked)
    assert canary not in json.dumps(answer)


def test_numbers_that_json_has_not_are_refused() -> None:
    with pytest.raises(ValueError, match="type"):
        parse(json.dumps({"type": math.nan}))
