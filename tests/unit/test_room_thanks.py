"""Windows of thanks and welcomes, limits, what has come before: the pure parts of the room."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcaster.director.room.dedupe import Recent
from broadcaster.director.room.limits import Bucket
from broadcaster.director.room.thanks import COMBO_QUIET_S, COMBO_WINDOWS, KEYS, PARTS, Part, Window
from broadcaster.types import Post, PostKind, RoomEvent, Viewer

pytestmark = pytest.mark.unit

ANNA, BO = Viewer("test:a", "Anna"), Viewer("test:b", "Bo")


def gift(id: str = "", *, price: int = 0, count: int = 1, combo: str = "") -> Post:
    return Post("test", PostKind.GIFT, id, None, item="rose", count=count, price=price, combo=combo)


def add(window: Window, post: Post, viewer: Viewer = ANNA, item: str = "rose", at: float = 0.0) -> bool:
    return window.add(post, RoomEvent.GIFT, viewer, item, at)


def told(parts: list[Part]) -> list[tuple[str, str, int, int]]:
    return [(part.viewer.name, part.item, part.count, part.paid) for part in parts]


def test_what_a_window_gathers_is_one_entry_for_each_viewer_and_gift_the_dearest_first() -> None:
    window = Window(8.0)
    for number in range(3):
        assert add(window, gift(str(number), price=100), at=float(number))
    assert add(window, gift("b", price=5000, count=5), BO, "cake", 3.0)
    assert window.add(gift(), RoomEvent.FOLLOW, BO, "", 4.0)
    assert window.close(7.9) == []
    parts = window.close(8.0)
    assert told(parts) == [("Bo", "cake", 5, 5000), ("Anna", "rose", 3, 300), ("Bo", "", 1, 0)]
    assert [part.keys for part in parts] == [["test:b"], ["test:0", "test:1", "test:2"], []]
    assert len(window) == 0
    assert window.close(100.0) == []


def test_a_run_of_gifts_is_thanked_for_once_when_it_is_over() -> None:
    window = Window(8.0)
    at = 0.0
    while at < 11.0:
        add(window, gift(f"{at}", price=10, combo="c"), at=at)
        assert window.close(at) == []
        at += 1.0
    (part,) = window.close(10.0 + COMBO_QUIET_S + 3)
    assert (part.count, part.paid, len(part.keys)) == (11, 110, 11)


def test_a_run_that_never_ends_is_thanked_for_in_parts() -> None:
    window = Window(8.0)
    found: list[Part] = []
    for second in range(60):
        add(window, gift(f"{second}", price=10, combo="c"), at=float(second))
        found += window.close(float(second))
    assert 60 / (8 + COMBO_WINDOWS * COMBO_QUIET_S) - 1 <= len(found) <= 6
    assert all(part.count >= 8 for part in found)


def test_what_was_paid_for_takes_the_place_of_what_was_free_and_waits_for_room_in_the_queue() -> None:
    window = Window(8.0)
    for number in range(PARTS):
        assert window.add(gift(), RoomEvent.LIKE, Viewer(f"test:{number}", "x"), "", 0.0)
    assert not window.add(gift(), RoomEvent.LIKE, Viewer("test:more", "x"), "", 0.0)
    assert add(window, gift("paid", price=1))
    assert len(window) == PARTS
    free = window.close(8.0, room=False)
    assert len(free) == PARTS - 1
    assert not any(part.keys for part in free)
    assert told(window.close(20.0)) == [("Anna", "rose", 1, 1)]


def test_a_window_of_paid_gifts_is_bounded() -> None:
    window = Window(8.0)
    assert all(add(window, gift(str(number), price=1)) for number in range(KEYS))
    assert not add(window, gift("more", price=1))
    full = Window(8.0)
    assert all(add(full, gift(str(n), price=1), Viewer(f"test:{n}", "x")) for n in range(PARTS))
    assert not add(full, gift("more", price=1), BO)


def test_what_a_viewer_gave_for_nothing_can_be_taken_out() -> None:
    window = Window(8.0)
    add(window, gift("paid", price=1))
    window.add(gift(), RoomEvent.FOLLOW, ANNA, "", 0.0)
    assert window.remove(ANNA.id) == 1
    assert told(window.close(8.0)) == [("Anna", "rose", 1, 1)]


_GIFTS = st.lists(
    st.tuples(
        st.floats(0.0, 5.0), st.integers(0, 3), st.sampled_from(["", "c1", "c2"]), st.integers(0, 200),
        st.integers(1, 9), st.booleans(),
    ),
    max_size=80,
)  # fmt: skip


@given(_GIFTS, st.sampled_from([0.0, 1.0, 8.0]))
def test_every_paid_gift_comes_out_once(gifts: list[tuple[float, int, str, int, int, bool]], seconds: float) -> None:
    window = Window(seconds, parts=10)
    now, taken, count, out = 0.0, set(), 0, []
    for number, (wait, who, combo, price, many, room) in enumerate(gifts):
        now += wait
        post = gift(str(number), price=price, count=many, combo=combo)
        if add(window, post, Viewer(f"test:{who}", "x"), at=now) and price:
            taken.add(post.key)
            count += many
        out += window.close(now, room=room)
        assert len(window) <= 10
    for _ in range(COMBO_WINDOWS + 3):
        now += 10.0
        out += window.close(now)
    keys = [key for part in out for key in part.keys]
    assert sorted(keys) == sorted(taken)
    assert len(window) == 0
    assert sum(part.paid for part in out) == sum(
        price for number, (_, _, _, price, _, _) in enumerate(gifts) if f"test:{number}" in taken
    )


def test_a_bucket_lets_so_much_through_at_once_and_then_so_much_a_second() -> None:
    bucket = Bucket(10, 2.0, 0.0)
    assert sum(bucket.take(0.0) for _ in range(50)) == 10
    assert sum(bucket.take(1.0) for _ in range(50)) == 2
    assert sum(bucket.take(100.0) for _ in range(50)) == 10
    assert not bucket.take(99.0)


def test_what_has_come_is_known_for_a_while_within_a_bound() -> None:
    recent = Recent(100)
    assert not recent.seen("a")
    assert recent.seen("a")
    assert not any(recent.seen("") for _ in range(3))
    assert not any(recent.seen(f"{number}") for number in range(49))
    assert recent.seen("a")
    assert not any(recent.seen(f"x{number}") for number in range(1000))
    assert len(recent) <= 100
    assert not recent.seen("a")
