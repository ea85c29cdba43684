"""The policy of one sink, in virtual time: when it is tried, killed, suspended, rotated and reported."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broadcaster.errors import SinkFailure
from broadcaster.supervisor import SinkEdge, SinkPolicy

pytestmark = pytest.mark.unit

REFUSED, LOST, UNREACHABLE = SinkFailure.REFUSED, SinkFailure.LOST, SinkFailure.UNREACHABLE


@dataclass
class World:
    """A clock, a policy, and the edges it reported."""

    addresses: int = 1
    rotate_after_s: float | None = None
    now: float = 1000.0
    edges: list[SinkEdge] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.policy = SinkPolicy(
            lambda: self.now, random.Random(7), addresses=self.addresses, rotate_after_s=self.rotate_after_s
        )

    def wait(self, seconds: float, step: float = 0.5) -> None:
        end = self.now + seconds
        while self.now < end:
            self.now = min(end, self.now + step)
            self.edges += self.policy.poll_edges()

    def attempt(self, failure: SinkFailure | None = None, live_s: float | None = None) -> float:
        """Waits until a try is due, makes it, and answers how long that took."""
        before = self.now
        if not self.policy.due():
            self.wait(self.policy.retry_in_s())
        waited = self.now - before
        assert self.policy.due()
        self.address = self.policy.started()
        self.policy.connected()
        if live_s is not None:
            self.policy.live()
            self.wait(live_s)
        if failure is not None:
            self.policy.ended(failure)
        self.edges += self.policy.poll_edges()
        return waited


def test_the_first_try_is_due_at_once() -> None:
    world = World()
    assert world.policy.due()
    assert world.policy.state == "waiting"


def test_endless_retry_with_growing_waits() -> None:
    world = World()
    waits = [world.attempt(UNREACHABLE) for _ in range(200)]
    assert waits[0] == 0
    assert waits[1] < 1.3
    assert all(45 <= wait <= 60 for wait in waits[8:])
    assert world.policy.state == "waiting"


def test_busy_backs_off_normally_and_never_suspends() -> None:
    world = World()
    waits = [world.attempt(SinkFailure.BUSY) for _ in range(50)]
    assert max(waits) <= 60
    assert SinkEdge.KEY_REJECTED not in world.edges


def test_a_silent_handshake_is_killed_after_five_seconds() -> None:
    world = World()
    world.policy.started()
    world.wait(14.9)
    assert world.policy.overdue() is None
    world.policy.connected()
    world.wait(4.9)
    assert world.policy.overdue() is None
    world.wait(0.1)
    assert world.policy.overdue() is SinkFailure.SILENT


def test_a_child_that_never_connects_is_killed() -> None:
    world = World()
    world.policy.started()
    world.wait(15.0)
    assert world.policy.overdue() is UNREACHABLE


def test_nothing_is_overdue_once_live() -> None:
    world = World()
    world.attempt(live_s=1000)
    assert world.policy.overdue() is None


def test_three_quick_refusals_suspend_and_alarm_once_then_every_five_minutes_for_ever() -> None:
    world = World()
    world.attempt(REFUSED)
    world.attempt(REFUSED)
    assert world.policy.state == "waiting"
    world.attempt(REFUSED)
    assert world.policy.state == "suspended"
    waits = [world.attempt(REFUSED) for _ in range(50)]
    assert all(285 <= wait <= 315 for wait in waits)
    assert world.edges.count(SinkEdge.KEY_REJECTED) == 1
    world.attempt(live_s=60)
    assert world.edges.count(SinkEdge.KEY_ACCEPTED) == 1
    assert world.policy.state == "live"


def test_a_connection_lost_within_seconds_counts_as_a_refusal() -> None:
    world = World()
    for _ in range(3):
        world.attempt(LOST, live_s=1.0)
    assert world.policy.state == "suspended"


def test_refusals_are_counted_in_a_row() -> None:
    world = World()
    for _ in range(10):
        world.attempt(REFUSED)
        world.attempt(REFUSED)
        world.attempt(LOST, live_s=20)
    for _ in range(10):
        world.attempt(REFUSED)
        world.attempt(REFUSED)
        world.attempt(UNREACHABLE)
    assert SinkEdge.KEY_REJECTED not in world.edges


def test_unreachable_while_suspended_stays_slow_and_keeps_the_alarm() -> None:
    world = World()
    for _ in range(3):
        world.attempt(REFUSED)
    world.attempt(UNREACHABLE)
    assert world.policy.state == "suspended"
    assert world.policy.retry_in_s() > 280


def test_after_a_healthy_run_the_next_try_comes_at_once_and_the_back_off_is_forgotten() -> None:
    world = World()
    for _ in range(10):
        world.attempt(UNREACHABLE)
    world.attempt(LOST, live_s=40)
    assert world.policy.retry_in_s() < 0.5
    world.attempt(UNREACHABLE)
    assert world.policy.retry_in_s() <= 2.5


def test_addresses_alternate_until_one_is_healthy() -> None:
    world = World(addresses=2)
    seen = []
    for _ in range(5):
        world.attempt(UNREACHABLE)
        seen.append(world.address)
    assert seen == [0, 1, 0, 1, 0]
    world.attempt(LOST, live_s=100)
    assert world.address == 1
    world.attempt(UNREACHABLE)
    assert world.address == 1
    world.attempt(UNREACHABLE)
    assert world.address == 0


def test_rotation_waits_for_an_idle_moment_but_not_for_ever() -> None:
    world = World(rotate_after_s=3600)
    world.attempt(live_s=3599)
    assert not world.policy.rotation_due(idle=True)
    world.wait(1)
    assert world.policy.rotation_due(idle=True)
    assert not world.policy.rotation_due(idle=False)
    world.wait(600)
    assert world.policy.rotation_due(idle=False)


def test_the_longest_rotation_ends_before_flv_time_wraps() -> None:
    world = World(rotate_after_s=596 * 3600)
    world.attempt(live_s=0)
    world.now += 596 * 3600 + 600
    assert world.policy.rotation_due(idle=False)
    assert world.policy.uptime_s() * 1000 < 2**31


def test_a_planned_end_is_no_failure() -> None:
    world = World()
    for _ in range(20):
        world.attempt(live_s=1)
        world.policy.ended(None)
        assert world.policy.due()
    assert world.edges == []


def test_down_for_thirty_seconds_is_told_once_and_so_is_the_recovery() -> None:
    world = World()
    world.attempt(LOST, live_s=100)
    world.wait(29)
    assert world.edges == []
    world.wait(2)
    assert world.edges == [SinkEdge.DOWN]
    world.wait(600)
    world.attempt(live_s=2)
    assert world.edges == [SinkEdge.DOWN]
    world.wait(2)
    assert world.edges == [SinkEdge.DOWN, SinkEdge.UP]


def test_a_full_disk_is_told_once_and_tried_every_ten_seconds() -> None:
    world = World()
    waits = [world.attempt(SinkFailure.STORAGE) for _ in range(6)]
    assert waits[1:] == [10.0] * 5
    world.attempt(live_s=10)
    assert [e for e in world.edges if e in (SinkEdge.DISK_LOW, SinkEdge.DISK_OK)] == [
        SinkEdge.DISK_LOW,
        SinkEdge.DISK_OK,
    ]


@settings(max_examples=150)
@given(
    st.integers(1, 2),
    st.lists(st.tuples(st.sampled_from([None, *SinkFailure]), st.none() | st.floats(0, 100)), max_size=40),
)
def test_whatever_happens_there_is_always_a_next_try_within_six_minutes(
    addresses: int, script: list[tuple[SinkFailure | None, float | None]]
) -> None:
    world = World(addresses=addresses)
    for failure, live_s in script:
        assert world.policy.retry_in_s() <= 315
        world.wait(world.policy.retry_in_s(), step=50)
        assert world.policy.due()
        assert world.policy.started() < addresses
        assert world.policy.state == "connecting"
        world.policy.connected()
        if live_s is not None:
            world.policy.live()
            world.wait(live_s, step=10)
        world.policy.ended(failure)
        assert world.policy.state in ("waiting", "suspended")
        assert world.policy.overdue() is None
    told = world.edges
    for raised, cleared in ((SinkEdge.DOWN, SinkEdge.UP), (SinkEdge.KEY_REJECTED, SinkEdge.KEY_ACCEPTED)):
        pair = [edge for edge in told if edge in (raised, cleared)]
        assert pair == [(raised, cleared)[n % 2] for n in range(len(pair))]


def test_alarms_outlive_a_change_of_settings_and_end_with_the_next_healthy_run() -> None:
    world = World()
    for _ in range(3):
        world.attempt(REFUSED)
    world.wait(60)
    assert set(world.edges) == {SinkEdge.KEY_REJECTED, SinkEdge.DOWN}
    world.policy = SinkPolicy(lambda: world.now, random.Random(7), after=world.policy)
    assert world.policy.due()
    assert world.policy.state == "waiting"
    world.edges.clear()
    world.attempt(live_s=10)
    assert sorted(world.edges) == sorted([SinkEdge.KEY_ACCEPTED, SinkEdge.UP])


def test_an_operator_who_holds_a_sink_ends_its_alarms() -> None:
    world = World()
    for _ in range(3):
        world.attempt(REFUSED)
    world.wait(60)
    assert sorted(world.policy.withdraw()) == sorted([SinkEdge.KEY_ACCEPTED, SinkEdge.UP])
    assert world.policy.withdraw() == []
