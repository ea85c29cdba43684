"""Bilibili's commands: every one there is, and whatever else may come."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broadcaster.types import Post, PostKind, Viewer
from sources.bilibili.events import UNKNOWN_LIMIT, Ended, Events

pytestmark = pytest.mark.unit


NOW = 1_700_000_123_000_000_000
PREFIX = "LIVE_OPEN_PLATFORM_"


def events() -> Events:
    return Events("bili", wall_ns=lambda: NOW)


def told(command: str, data: Any) -> bytes:
    return json.dumps({"cmd": PREFIX + command, "data": data}).encode()


def read(command: str, **data: Any) -> Post:
    found = events().read(told(command, data), room="7")
    assert isinstance(found, Post)
    return found


WHO: dict[str, Any] = {
    "open_id": "o1", "uid": 0, "uname": "小明", "guard_level": 3, "fans_medal_name": "粉", "fans_medal_level": 12,
    "room_id": 99, "msg_id": "m1", "timestamp": 1_700_000_000,
}  # fmt: skip


VIEWER = Viewer("o1", "小明", medal="粉", medal_level=12, guard=3)


def test_a_comment() -> None:
    assert read("DM", **WHO, msg="你好 \n主播", glory_level=5, dm_type=0) == Post(
        source="bili",
        kind=PostKind.COMMENT,
        id="m1",
        viewer=Viewer("o1", "小明", level=5, medal="粉", medal_level=12, guard=3),
        text="你好  主播",
        at_ns=1_700_000_000_000_000_000,
        received_ns=NOW,
        room="99",
    )


def test_a_gift() -> None:
    run = {"combo_gift": True, "combo_info": {"combo_id": "c1", "combo_count": 4, "combo_base_num": 2}}
    post = read("SEND_GIFT", **WHO, gift_name="小花花", gift_num=2, price=1000, r_price=900, paid=True, **run)
    assert (post.kind, post.item, post.count, post.price) == (PostKind.GIFT, "小花花", 2, 1800)
    assert (post.id, post.viewer, post.combo, post.paid) == ("m1", VIEWER, "c1", True)


@pytest.mark.parametrize(
    ("fields", "price"),
    [
        ({"price": 100, "r_price": 100, "gift_num": 3, "paid": False}, 0),  # silver has a price too
        ({"price": 100, "gift_num": 3, "paid": True}, 300),  # older messages have no r_price
        ({"price": 100, "r_price": 0, "gift_num": 3, "paid": True}, 300),
        ({"price": 100, "r_price": 60, "gift_num": 3, "paid": True}, 180),  # bought cheaper
        ({"r_price": "60", "gift_num": "3", "paid": True}, 180),
        ({"r_price": 60.0, "gift_num": None, "paid": True}, 60),
        ({"r_price": -5, "paid": True}, 0),
        ({"r_price": 10**40, "gift_num": 10**40, "paid": True}, 10**12),
        ({"r_price": True, "paid": True}, 0),
        ({"r_price": 60, "paid": 1}, 60),
        ({"r_price": 60, "paid": "yes"}, 0),
        ({"r_price": 60, "paid": [1]}, 0),
        ({"r_price": 60}, 0),
        ({"r_price": 5000, "paid": True, "blind_gift": {"blind_gift_id": 1, "status": True}}, 5000),
    ],
)
def test_what_a_gift_has_cost(fields: dict[str, Any], price: int) -> None:
    assert read("SEND_GIFT", **WHO, **fields).price == price


@pytest.mark.parametrize(
    ("fields", "item", "count"),
    [
        ({"guard_level": 3, "guard_num": 1, "guard_unit": "月"}, "舰长", 1),
        ({"guard_level": 2, "guard_num": 3, "guard_unit": "月"}, "提督", 3),
        ({"guard_level": 1, "guard_num": 2}, "总督", 2),
        ({"guard_level": 3, "guard_num": 9, "guard_unit": "*3天"}, "3天舰长", 1),
        ({"guard_level": 0}, "大航海", 1),
        ({"guard_level": "?", "guard_num": [], "guard_unit": {}}, "大航海", 1),
    ],
)
def test_a_guard(fields: dict[str, Any], item: str, count: int) -> None:
    who = {"user_info": {"open_id": "o1", "uname": "小明"}, "msg_id": "m1", "price": 198_000}
    post = read("GUARD", **who, **fields)
    assert (post.kind, post.item, post.count, post.price) == (PostKind.GUARD, item, count, 198_000)
    assert post.viewer is not None
    assert (post.viewer.id, post.viewer.name) == ("o1", "小明")


@pytest.mark.parametrize(
    ("rmb", "price"),
    [(30, 30_000), (0.1, 100), ("50", 50_000), ("1.5", 1500), (None, 0), (-1, 0), (1e300, 10**12), (10**30, 10**12)],
)
def test_a_super_chat(rmb: Any, price: int) -> None:
    post = read("SUPER_CHAT", **WHO, message_id=17, message="早", rmb=rmb, start_time=1, end_time=2)
    assert (post.kind, post.id, post.text, post.price) == (PostKind.SUPER_CHAT, "sc-17", "早", price)


def test_super_chats_are_taken_back_by_the_number_they_came_with() -> None:
    came = read("SUPER_CHAT", **WHO, message_id=17, message="早", rmb=30)
    gone = read("SUPER_CHAT_DEL", message_ids=[17, 18, {}, None], room_id=99, msg_id="m2")
    assert (gone.kind, gone.revokes, gone.viewer) == (PostKind.REVOKE, ("sc-17", "sc-18"), None)
    assert came.id in gone.revokes
    assert read("SUPER_CHAT", **WHO, message="早", rmb=30).id == "m1", "without a number the message's counts"


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        ("LIKE", PostKind.LIKE),
        ("LIVE_ROOM_ENTER", PostKind.ENTER),
        ("LIVE_START", PostKind.LIVE_START),
        ("LIVE_END", PostKind.LIVE_END),
    ],
)
def test_what_else_happens(command: str, kind: PostKind) -> None:
    post = read(command, **WHO, like_count=6, like_text="点赞", title="t", area_name="a")
    assert post.kind is kind
    assert post.count == (6 if command == "LIKE" else 1)
    assert post.viewer == (None if "START" in command or "END" in command else VIEWER)
    assert post.room == "99"


def test_the_end_of_a_session() -> None:
    assert events().read(told("INTERACTION_END", {"game_id": "g1", "timestamp": 1})) == Ended("g1")
    assert events().read(told("INTERACTION_END", {})) == Ended("")


@pytest.mark.parametrize(
    ("who", "known"),
    [
        ({"open_id": "o1", "uid": 5, "uname": "a"}, "o1"),
        ({"uid": 5, "uname": "a"}, "uid:5"),
        ({"open_id": "", "uid": 0, "uname": "a"}, "name:a"),
        ({"open_id": ["o1"], "uname": "a"}, "name:a"),
        ({}, None),
    ],
)
def test_who_it_was(who: dict[str, Any], known: str | None) -> None:
    viewer = read("DM", **who, msg="x", msg_id="1").viewer
    assert (viewer.id if viewer else None) == known


def test_where_and_when_from_the_session_where_the_message_says_nothing() -> None:
    post = read("DM", msg="x")
    assert (post.room, post.at_ns, post.received_ns) == ("7", NOW, NOW)
    assert read("DM", msg="x", room_id=0, timestamp="?").room == "7"


def test_texts_are_bounded_and_in_one_line() -> None:
    post = read("DM", msg="长" * 50_000, uname="名" * 5000, open_id="x" * 5000, msg_id="y" * 5000)
    assert post.viewer is not None
    assert [len(text) for text in (post.text, post.viewer.name, post.viewer.id, post.id)] == [1000, 100, 128, 128]
    assert read("DM", msg="a\x00b\ud800c\r\nd").text == "a b c d"


def test_unknown_commands_are_told_once(caplog: pytest.LogCaptureFixture) -> None:
    reader = events()
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            assert reader.read(told("NEW\n小明", {"uname": "小明"})) is None
        assert reader.read(b'{"cmd": "DANMU_MSG:4:0", "data": {}}') is None
        for number in range(UNKNOWN_LIMIT * 2):
            reader.read(told(f"N{number}", {}))
    assert reader.counts == {"unknown": 4 + UNKNOWN_LIMIT * 2}
    assert len(caplog.records) == UNKNOWN_LIMIT
    assert caplog.records[0].__dict__["command"] == PREFIX + "NEW???"
    assert not [record for record in caplog.records if "小明" in str(record.__dict__)]


def test_a_comment_of_another_room_is_left_out() -> None:
    reader = events()
    assert reader.read(told("DM_MIRROR", {"msg": "x", "uname": "y"})) is None
    assert reader.counts == {"mirrored": 1}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=5,
)


COMMANDS = st.sampled_from(
    ["DM", "SEND_GIFT", "GUARD", "SUPER_CHAT", "SUPER_CHAT_DEL", "LIKE", "LIVE_ROOM_ENTER", "LIVE_START", "X"]
)


FIELDS = st.sampled_from(
    "open_id uid uname msg msg_id timestamp room_id guard_level fans_medal_level paid fans_medal_name glory_level "
    "gift_name gift_num price r_price combo_info blind_gift user_info guard_num guard_unit message_id message rmb "
    "message_ids like_count game_id".split()
)


@settings(max_examples=80, deadline=None)
@given(COMMANDS, st.dictionaries(FIELDS, JSON, max_size=8))
def test_no_command_breaks_the_reader(command: str, data: dict[str, Any]) -> None:
    reader = events()
    post = reader.read(told(command, data))
    if post is None:
        assert sum(reader.counts.values()) == 1
        return
    assert isinstance(post, Post)
    assert 0 <= post.price <= 10**12
    assert 1 <= post.count <= 10**6
    assert post.at_ns > 0
    json.dumps([post.text, post.item, post.id, post.combo, post.room, *post.revokes], ensure_ascii=False).encode()


@settings(max_examples=80, deadline=None)
@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_no_message_breaks_the_reader(body: bytes) -> None:
    reader = events()
    assert not isinstance(reader.read(body), Post)


@pytest.mark.parametrize("body", [b"", b"null", b"[" * 200_000, b'{"cmd":"x"}', b'{"data":{}}', b"1" * 6000, b"\xff"])
def test_garbage_is_counted(body: bytes) -> None:
    reader = events()
    assert reader.read(body) is None
    assert reader.counts == {"garbage": 1}
