"""The published JSON of a post: the file is current, its examples are taken, bad lines are told and never quoted."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broadcaster.types import Post, PostKind, Viewer
from sources.lines import ID_LIMIT, NAME_LIMIT, PRICE_LIMIT, TEXT_LIMIT
from sources.lines_schema import EXAMPLES, SCHEMA_PATH, published_schema, rendered_schema
from sources.posts import BadLine, read_post, read_recorded, write_post

pytestmark = pytest.mark.unit

SECRET = "私密的话"


def test_the_published_file_is_current() -> None:
    assert SCHEMA_PATH.read_text("utf-8") == rendered_schema(), "run `make docs`"


def test_every_kind_has_examples_that_fit_the_schema_and_are_taken() -> None:
    validator = jsonschema.Draft202012Validator(published_schema())
    assert set(EXAMPLES) == {kind.value for kind in PostKind}
    for kind, examples in EXAMPLES.items():
        for example in examples:
            validator.validate(example)
            assert read_post(json.dumps(example), "catcher", 7).kind == kind


def test_the_lines_of_the_documentation_are_taken() -> None:
    text = (Path(__file__).parents[2] / "docs" / "room.md").read_text("utf-8")
    section = text.partition("## Any other platform")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith('{"kind"')]
    assert len(lines) == 4
    for line in lines:
        read_post(line, "catcher", 0)


def test_a_line_becomes_a_post() -> None:
    line = {
        "kind": "gift", "id": "g1", "viewer": {"id": "u1", "name": "小满", "level": 4, "guard": 3}, "item": "小花",
        "count": 2, "price": 200, "combo": "r1", "room": "77", "at_ms": 1_760_000_000_123, "received_ms": 5,
    }  # fmt: skip
    assert read_post(json.dumps(line), "catcher", 9) == Post(
        "catcher", PostKind.GIFT, "g1", Viewer("u1", "小满", level=4, guard=3), item="小花", count=2, price=200,
        at_ns=1_760_000_000_123_000_000, received_ns=9, room="77", combo="r1",
    )  # fmt: skip
    assert read_recorded(json.dumps(line), "catcher", 9)[1] == 5


def test_a_viewer_without_an_id_is_known_by_its_name() -> None:
    post = read_post('{"kind": "enter", "viewer": {"name": "路人"}}', "catcher", 0)
    assert post.viewer == Viewer("name:路人", "路人")
    for viewer in (post.viewer, Viewer("name:路 人", "路 人")):
        again = read_post(write_post(Post("x", PostKind.ENTER, viewer=viewer)), "catcher", 0)
        assert again.viewer == viewer


def test_control_characters_become_blanks() -> None:
    post = read_post('{"kind":"comment","viewer":{"id":"a","name":"b\\u0000c"},"text":"x\\ny\\u2028z👨‍👩‍👧"}', "s", 0)
    assert post.text == "x y z👨‍👩‍👧"
    assert post.viewer is not None
    assert post.viewer.name == "b c"


BAD = [
    ("", "not JSON"),
    ("{", "not JSON"),
    ("nonsense", "not JSON (byte"),
    ("[1]", "Expected `object`"),
    (f'{{"kind": "{SECRET}"}}', "kind: none that is known"),
    ('{"kind": 3}', "kind: none that is known"),
    (f'{{"viewer": {{"id": "{SECRET}"}}}}', "missing required field `kind`"),
    ('{"kind": "comment", "text": "x"}', "missing required field `viewer`"),
    ('{"kind": "comment", "viewer": {"id": "a"}}', "missing required field `text`"),
    ('{"kind": "comment", "viewer": {"id": "a"}, "text": ""}', "text: Expected `str` of length >= 1"),
    (f'{{"kind": "comment", "viewer": {{"id": "a"}}, "text": "{SECRET * 300}"}}', "text: Expected `str` of length"),
    ('{"kind": "comment", "viewer": {}, "text": "x"}', "viewer: an id or a name is needed"),
    (f'{{"kind": "comment", "viewer": "{SECRET}", "text": "x"}}', "viewer: Expected `object`"),
    ('{"kind": "comment", "viewer": {"id": "a b"}, "text": "x"}', "viewer.id: blanks"),
    ('{"kind": "comment", "viewer": {"id": "a\\n"}, "text": "x"}', "viewer.id: blanks"),
    ('{"kind": "comment", "viewer": {"id": "a"}, "txt": "x"}', "there is no field txt"),
    (f'{{"kind": "comment", "viewer": {{"id": "a"}}, "{SECRET}": 1}}', "a field that is not known"),
    ('{"kind": "gift", "viewer": {"id": "a"}, "price": 1}', "id: what was paid for needs one"),
    ('{"kind": "gift", "viewer": {"id": "a"}, "count": 0}', "count: Expected `int` >= 1"),
    ('{"kind": "gift", "viewer": {"id": "a"}, "count": "2"}', "count: Expected `int`, got `str`"),
    ('{"kind": "gift", "viewer": {"id": "a"}, "price": 1e400}', "price: Number out of range"),
    ('{"kind": "gift", "viewer": {"id": "a"}, "price": 99999999999999999999999}', "price: Expected `int`"),
    ('{"kind": "super_chat", "id": "s", "viewer": {"id": "a"}}', "missing required field `price`"),
    ('{"kind": "revoke", "revokes": []}', "revokes: Expected `array` of length >= 1"),
    (f'{{"kind": "revoke", "revokes": ["a", {{"{SECRET}": 1}}]}}', "revokes: Expected `str`, got `object`"),
    ('{"kind": "like", "viewer": {"id": "a"}, "at_ms": -1}', "at_ms: Expected `int` >= 0"),
    ('{"kind": "live_start"} {"kind": "live_end"}', "not JSON (byte"),
]


@pytest.mark.parametrize(("line", "told"), BAD)
def test_bad_lines_are_told_by_field_and_not_quoted(line: str, told: str) -> None:
    with pytest.raises(BadLine) as caught:
        read_post(line, "catcher", 0)
    assert told in str(caught.value)
    assert SECRET not in str(caught.value)
    assert len(str(caught.value)) < 250


def test_what_is_no_text_is_told() -> None:
    for raw in (b"\xff\xfe", b'{"kind": "comment", "viewer": {"id": "a"}, "text": "\xff"}', b"[" * 100_000):
        with pytest.raises(BadLine):
            read_post(raw, "catcher", 0)


TEXTS = st.text(max_size=30) | st.text(st.characters(min_codepoint=0xD7F0, max_codepoint=0xE010), max_size=5)
VIEWERS = st.builds(
    Viewer, TEXTS, TEXTS, level=st.integers(-5, 2**40), medal=TEXTS, medal_level=st.integers(-5, 2**40),
    guard=st.integers(-1, 9),
)  # fmt: skip
POSTS = st.builds(
    Post, st.just("s"), st.sampled_from(PostKind), TEXTS, st.none() | VIEWERS, TEXTS | st.just("长" * 3000), TEXTS,
    st.integers(-5, 2**70), st.integers(-5, 2**70), st.integers(-5, 2**80), st.integers(0, 2**80), TEXTS, TEXTS,
    st.lists(TEXTS, max_size=3).map(tuple),
)  # fmt: skip


@given(POSTS)
def test_whatever_a_source_made_is_written_as_a_line_that_can_be_read(post: Post) -> None:
    line = write_post(post)
    assert b"\n" not in line
    read, _ = read_recorded(line, "s", 0)
    assert read.kind is post.kind
    assert len(read.text) <= TEXT_LIMIT
    assert len(read.item) <= NAME_LIMIT
    assert len(read.id) <= ID_LIMIT
    assert read.price <= PRICE_LIMIT


@given(
    kind=st.sampled_from(PostKind),
    name=st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=20),
    text=st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=60),
    price=st.integers(1, PRICE_LIMIT),
)
def test_what_is_written_is_read_as_it_was(kind: PostKind, name: str, text: str, price: int) -> None:
    post = Post(
        "s", kind, "id-1", Viewer("v1", name, 3, name, 4, 2), text, name, 5, price, 7_000_000, 9, "1", "c", ("x",)
    )
    first = read_post(write_post(post), "s", 9)
    assert read_post(write_post(first), "s", 9) == first
    if kind is PostKind.COMMENT:
        assert (first.text, first.viewer) == (text, post.viewer)
    if kind in (PostKind.GIFT, PostKind.GUARD, PostKind.FAN_CLUB):
        assert (first.item, first.count, first.price, first.combo) == (name, 5, price, "c")
    if kind is PostKind.SUPER_CHAT:
        assert (first.text, first.price) == (text, price)
    assert (first.revokes == ("x",)) is (kind is PostKind.REVOKE)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
FIELDS = st.sampled_from(
    ["kind", "id", "viewer", "text", "item", "count", "price", "combo", "revokes", "at_ms", "received_ms", "room"]
)
OBJECTS = st.dictionaries(FIELDS, JSON | st.sampled_from(sorted(EXAMPLES)), max_size=8)


@settings(max_examples=300)
@given(st.binary(max_size=200) | OBJECTS.map(lambda data: json.dumps(data).encode()))
def test_fuzz_nothing_but_a_post_or_a_bad_line(line: bytes) -> None:
    try:
        post = read_post(line, "s", 0)
    except BadLine as err:
        str(err).encode()
    else:
        assert isinstance(post, Post)
        post.text.encode()


def test_no_line_takes_much_more_memory_than_it_is_long() -> None:
    deep = b'{"kind":"comment","viewer":' + b'{"id":' * 8_000 + b"1" + b"}" * 8_000
    wide = b'{"kind":"revoke","revokes":[' + b'"a",' * 16_000 + b'"a"]}'
    tracemalloc.start()
    try:
        for line in (deep, wide, b'"' + b"\\u0041" * 10_000 + b'"'):
            with pytest.raises(BadLine):
                read_post(line, "s", 0)
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()
