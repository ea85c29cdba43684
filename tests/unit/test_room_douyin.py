"""Douyin's pushes without a network: who signed them, what their items are, and what is answered."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broadcaster.types import PostKind
from sources.douyin.events import KINDS, Events, items_of
from sources.douyin.receiver import Receiver
from sources.douyin.signing import is_signed, signature
from tests.fakes.douyin_server import PUSH_SECRET, ROOM, comment, fans, gift, like, signed
from tests.fakes.intake import KeepingIntake

pytestmark = pytest.mark.unit

NOW_NS = 1_790_000_000 * 10**9
NOW_MS = NOW_NS // 10**6

OFFICIAL = {"x-nonce-str": "123456", "x-timestamp": "456789", "x-roomid": "268", "x-msg-type": "live_gift"}
OFFICIAL_BODY = "abc123你好".encode()


def body_of(*items: Any) -> bytes:
    return json.dumps(items, ensure_ascii=False).encode()


def receiver(intake: KeepingIntake, **options: Any) -> Receiver:
    settings = {"source": "douyin", "secret": PUSH_SECRET, "kinds": frozenset(KINDS), "wall_ns": lambda: NOW_NS}
    return Receiver(intake, **{**settings, **options})


async def post(door: Receiver, headers: dict[str, str], body: bytes, method: str = "POST") -> int:
    """The status of the answer."""
    told: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        told.append(message)

    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await door({"type": "http", "method": method, "path": "/", "headers": raw}, receive, send)
    assert [message["type"] for message in told] == ["http.response.start", "http.response.body"]
    status: int = told[0]["status"]
    return status


async def push(door: Receiver, kind: str, *items: Any, room: str = ROOM, at_ms: int = NOW_MS) -> int:
    body = body_of(*items)
    return await post(door, signed(kind, body, room=room, at_ms=at_ms), body)


# -- the signature ------------------------------------------------------------------------------------------------


def test_the_official_example() -> None:
    assert signature(OFFICIAL, OFFICIAL_BODY, "123abc") == "PDcKhdlsrKEJif6uMKD2dw=="
    given = {**OFFICIAL, "x-signature": "PDcKhdlsrKEJif6uMKD2dw==", "content-type": "application/json", "host": "a.b"}
    assert is_signed(given, OFFICIAL_BODY, "123abc")


@pytest.mark.parametrize("name", [*OFFICIAL, "x-signature"])
def test_a_header_that_is_changed_or_missing(name: str) -> None:
    good = {**OFFICIAL, "x-signature": "PDcKhdlsrKEJif6uMKD2dw=="}
    assert not is_signed({**good, name: good[name] + "0"}, OFFICIAL_BODY, "123abc")
    assert not is_signed({key: value for key, value in good.items() if key != name}, OFFICIAL_BODY, "123abc")


def test_a_body_or_a_secret_that_is_changed() -> None:
    good = {**OFFICIAL, "x-signature": "PDcKhdlsrKEJif6uMKD2dw=="}
    assert not is_signed(good, OFFICIAL_BODY + b" ", "123abc")
    assert not is_signed(good, OFFICIAL_BODY, "123abd")
    assert not is_signed({**good, "x-signature": "\udcff\u4e2d"}, OFFICIAL_BODY, "123abc")


# -- items --------------------------------------------------------------------------------------------------------


def one(kind: str, item: dict[str, Any]) -> Any:
    (made,) = Events("douyin").posts(kind, [item], ROOM, NOW_NS)
    return made


def test_a_comment() -> None:
    made = one("live_comment", comment(" 主播叫什么名字？", timestamp=1_700_000_000_123, fansclub_level=7))
    assert (made.kind, made.text, made.paid) == (PostKind.COMMENT, "主播叫什么名字？", False)
    assert (made.viewer.id, made.viewer.name, made.viewer.medal_level) == ("openid-1", "小明", 7)
    assert (made.at_ns, made.received_ns, made.room) == (1_700_000_000_123_000_000, NOW_NS, ROOM)
    assert made.key.startswith("douyin:msg-")


def test_a_gift_is_worth_what_the_platform_says_of_all_of_it() -> None:
    # A wand costs 1 coin, a tenth of a yuan, and comes as 10 fen; ten of them in one item as 100.
    made = one("live_gift", gift(value=100, num=10))
    assert (made.kind, made.item, made.count, made.price) == (PostKind.GIFT, "仙女棒", 10, 1000)
    assert made.paid


def test_numbers_in_quotes_are_numbers() -> None:
    made = one("live_gift", gift(value="5200", num="1", timestamp="1700000000123"))
    assert (made.price, made.count, made.at_ns) == (52_000, 1, 1_700_000_000_123_000_000)


def test_a_gift_without_a_known_name_is_thanked_for_without_it() -> None:
    events = Events("douyin")
    (made,) = events.posts("live_gift", [gift(sec_gift_id="nobody/knows=")], ROOM, NOW_NS)
    assert (made.item, events.counts["nameless"]) == ("", 1)
    assert one("live_gift", gift(sec_gift_id="x", gift_name="火箭")).item == "火箭"


def test_nobody_has_paid_for_the_gift_of_a_test() -> None:
    events = Events("douyin")
    (made,) = events.posts("live_gift", [gift(value=5200, test=True)], ROOM, NOW_NS)
    assert (made.kind, made.price, events.counts["test"]) == (PostKind.GIFT, 0, 1)


def test_likes_and_the_fan_club() -> None:
    assert (one("live_like", like(5)).kind, one("live_like", like(5)).count) == (PostKind.LIKE, 5)
    joined = one("live_fansclub", fans(reason=2, level=1))
    assert (joined.kind, joined.viewer.medal_level) == (PostKind.FAN_CLUB, 1)
    events = Events("douyin")
    assert not list(events.posts("live_fansclub", [fans(reason=1, level=9), fans(reason=16)], ROOM, NOW_NS))
    assert events.counts == {"odd": 0, "test": 0, "quiet": 2, "nameless": 0}


@pytest.mark.parametrize(
    ("kind", "item"),
    [
        ("live_comment", comment("  ")),
        ("live_comment", comment(7)),
        ("live_gift", gift(value=-1)),
        ("live_gift", gift(value=10**12)),
        ("live_gift", gift(value=True)),
        ("live_gift", gift(value=1.5)),
        ("live_gift", gift(num=0)),
        ("live_gift", {"msg_id": "1"}),
        ("live_like", like(0)),
        ("live_fansclub", fans(reason="2 or so")),
        ("live_comment", "no item"),
        ("live_comment", None),
        ("live_comment", ["no", "item"]),
    ],
)
def test_an_odd_item_is_counted_and_the_one_beside_it_taken(kind: str, item: Any) -> None:
    events = Events("douyin")
    good = {"live_comment": comment(), "live_gift": gift(), "live_like": like(), "live_fansclub": fans()}[kind]
    (made,) = events.posts(kind, [item, good], ROOM, NOW_NS)
    assert (made.id, events.counts["odd"]) == (good["msg_id"], 1)


def test_an_item_without_an_id_gets_the_same_one_again() -> None:
    nameless = gift()
    del nameless["msg_id"]
    assert one("live_gift", nameless).id == one("live_gift", dict(reversed(nameless.items()))).id != ""
    assert one("live_gift", {**nameless, "timestamp": 1}).id != one("live_gift", nameless).id


def test_a_viewer_without_an_id_is_nobody() -> None:
    assert one("live_comment", comment(sec_openid="")).viewer is None
    assert one("live_comment", comment(sec_openid=["x"])).viewer is None
    assert one("live_comment", comment(nickname=None)).viewer.name == ""
    assert len(one("live_comment", comment(nickname="长" * 500)).viewer.name) == 64


# -- what is answered ---------------------------------------------------------------------------------------------


async def test_a_good_push_is_taken() -> None:
    intake = KeepingIntake()
    door = receiver(intake)
    assert await push(door, "live_comment", comment("一"), comment("二")) == 200
    assert await push(door, "live_gift", gift()) == 200
    assert [post.kind for post in intake.posts] == [PostKind.COMMENT, PostKind.COMMENT, PostKind.GIFT]
    assert (door.counts["pushes"], door.counts["posts"]) == (2, 3)


async def test_the_platform_checks_the_address() -> None:
    door = receiver(KeepingIntake())
    assert await post(door, {}, b"", "HEAD") == 200
    assert await post(door, {}, b"", "GET") == 200
    assert await post(door, {}, b"", "PUT") == 405


async def test_what_is_not_signed_is_refused() -> None:
    intake = KeepingIntake()
    door = receiver(intake)
    body = body_of(gift())
    assert await post(door, signed("live_gift", body, secret="guessed", at_ms=NOW_MS), body) == 401
    assert await post(door, {}, body) == 401
    assert await post(door, {"x-signature": "\xff"}, b"") == 401
    assert (intake.posts, door.counts["unsigned"]) == ([], 3)


@pytest.mark.parametrize(
    ("off_s", "status"), [(-301, 401), (301, 401), (-299, 200), (299, 200), (-NOW_NS // 10**9, 401)]
)
async def test_a_push_of_another_time_is_refused(off_s: int, status: int) -> None:
    door = receiver(KeepingIntake())
    assert await push(door, "live_comment", comment(), at_ms=NOW_MS + off_s * 1000) == status
    assert door.counts["stale"] == (status == 401)


async def test_a_time_in_seconds_is_understood() -> None:
    assert await push(receiver(KeepingIntake()), "live_comment", comment(), at_ms=NOW_MS // 1000) == 200


async def test_a_push_that_is_repeated_counts_once() -> None:
    intake = KeepingIntake()
    door = receiver(intake)
    body = body_of(gift())
    headers = signed("live_gift", body, at_ms=NOW_MS)
    assert [await post(door, headers, body) for _ in range(3)] == [200, 200, 200]
    assert (len(intake.batches), door.counts["repeated"]) == (1, 2)


async def test_what_is_remembered_of_pushes_is_bounded() -> None:
    intake = KeepingIntake()
    door = receiver(intake, seen_limit=2)
    pushes = [(signed("live_like", body, at_ms=NOW_MS), body) for body in (body_of(like()) for _ in range(3))]
    for headers, body in (*pushes, pushes[0], pushes[2]):
        assert await post(door, headers, body) == 200
    assert (len(intake.batches), door.counts["repeated"]) == (4, 1)


async def test_a_push_that_was_refused_is_taken_when_it_comes_again() -> None:
    intake = KeepingIntake()
    intake.refuses = True
    door = receiver(intake)
    body = body_of(gift(value=0), gift())  # one of them was free
    headers = signed("live_gift", body, at_ms=NOW_MS)
    assert await post(door, headers, body) == 503
    intake.refuses = False
    assert await post(door, headers, body) == 200
    assert (len(intake.posts), door.counts["late"]) == (2, 1)


async def test_only_its_own_room_and_what_was_asked_for() -> None:
    intake = KeepingIntake()
    door = receiver(intake, room=ROOM, kinds=frozenset({"live_comment"}))
    assert await push(door, "live_comment", comment(), room="1") == 403
    assert await push(door, "live_gift", gift()) == 200
    assert await push(door, "live_team", {}) == 200
    assert (intake.posts, door.counts["foreign"], door.counts["unknown"]) == ([], 1, 2)


@pytest.mark.parametrize("body", [b"", b"7", b'"x"', b"null", b"[", b"\xff\xfe", b"[" * 200_000, b'["\\ud800"]'])
async def test_a_signed_body_that_is_no_list(body: bytes) -> None:
    door = receiver(KeepingIntake())
    assert await post(door, signed("live_comment", body, at_ms=NOW_MS), body) == 400
    assert door.counts["garbage"] == 1


async def test_one_item_alone_is_a_list_of_one() -> None:
    intake = KeepingIntake()
    body = json.dumps(comment("我一个人")).encode()
    assert await post(receiver(intake), signed("live_comment", body, at_ms=NOW_MS), body) == 200
    assert intake.posts[0].text == "我一个人"


# -- anything at all ----------------------------------------------------------------------------------------------

FIELDS = st.sampled_from(
    "msg_id sec_openid content nickname timestamp sec_gift_id gift_num gift_value like_num test fansclub_level "
    "fansclub_reason_type gift_name".split()
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just("9" * 30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from([*KINDS, "live_other", ""]), st.lists(st.dictionaries(FIELDS, VALUES) | VALUES, max_size=5))
@settings(max_examples=150, deadline=None)
def test_no_item_makes_it_fail(kind: str, items: list[Any]) -> None:
    events = Events("douyin")
    made = list(events.posts(kind, items, ROOM, NOW_NS))
    assert len(made) + events.counts["odd"] + events.counts["quiet"] == len(items)
    for found in made:
        assert found.id
        assert 0 <= found.price < 10**11
        assert 1 <= found.count <= 10**6
        assert len(found.text) <= 2000


@given(
    st.binary(max_size=300)
    | st.text(max_size=200).map(lambda text: f'[{{"content": "{text}"}}]'.encode("utf-8", "replace"))
)
@settings(max_examples=150, deadline=None)
def test_no_body_makes_it_fail(body: bytes) -> None:
    items = items_of(body)
    if items is not None:
        for found in Events("douyin").posts("live_comment", items, ROOM, NOW_NS):
            found.text.encode()
            json.dumps(found.text)


@given(
    st.dictionaries(
        st.sampled_from([*OFFICIAL, "x-signature"]), st.text(st.characters(max_codepoint=255), max_size=30)
    ),
    st.binary(max_size=60),
)
@settings(max_examples=100, deadline=None)
async def test_no_request_without_the_secret_is_taken(headers: dict[str, str], body: bytes) -> None:
    intake = KeepingIntake()
    assert await post(receiver(intake), headers, body) == 401
    assert not intake.posts
