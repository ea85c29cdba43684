"""Who counts as hung, and when who is started again, in virtual time."""

from __future__ import annotations

import random

import pytest

from broadcaster.config import Config
from broadcaster.parent.keeper import LIMITS, ORDER, PLAYOUT_CAP_S, Keeper, Limits, keepers, roles_of
from broadcaster.supervisor.backoff import RestartBudget

pytestmark = pytest.mark.unit


def keeper(role: str = "voice", limits: Limits | None = None) -> Keeper:
    return Keeper(role, limits or Limits(start_s=90.0, silence_s=10.0), RestartBudget(random.Random(1)))


def by_role(role: str) -> Keeper:
    return next(k for k in keepers(random.Random(1)) if k.role == role)


def test_the_order_of_starting() -> None:
    order = ["playout", "head", "voice", "voice-local", "director"]
    assert [k.role for k in keepers(random.Random(1))] == order == list(ORDER)


def test_the_local_voice_is_asked_for_by_an_enabled_link() -> None:
    link = {"engine": "cosyvoice", "model_dir": "/models/cosyvoice"}
    chains = ([], [{"engine": "edge"}, link], [{**link, "enabled": False}])
    asked = [roles_of(Config.model_validate({"voice": {"chain": chain}})) for chain in chains]
    assert [set(ORDER) - roles for roles in asked] == [{"voice-local"}, set(), {"voice-local"}]


def test_the_local_voice_is_not_loaded_again_every_half_minute() -> None:
    k = by_role("voice-local")
    k.started(0.0)
    assert k.exited(20.0, hopeless=True) == 600.0
    delays = []
    now = 1000.0
    for _ in range(20):
        k.started(now)
        delays.append(k.exited(now + 20.0))
        now += 20.0 + delays[-1]
    assert 100.0 < delays[-1] <= 300.0


def test_all_are_due_at_once_at_the_start() -> None:
    assert all(k.due(0.0) for k in keepers(random.Random(1)))


def test_a_child_that_advances_is_never_hung() -> None:
    k = keeper()
    k.started(0.0)
    for second in range(1, 1000):
        assert k.beat(second, True, "", float(second))
        assert k.hung(float(second)) is None


def test_silence_after_progress_is_a_hang() -> None:
    k = keeper()
    k.started(0.0)
    k.beat(0, False, "", 1.0)
    k.beat(1, True, "", 2.0)
    assert k.hung(11.9) is None
    assert k.hung(12.0) == "no progress for 10.0 s"


def test_beats_without_progress_are_silence() -> None:
    k = keeper()
    k.started(0.0)
    k.beat(0, True, "", 0.0)
    k.beat(1, True, "", 0.0)
    for second in range(1, 10):
        assert not k.beat(1, True, "", float(second))
    assert k.hung(10.0) is not None


def test_work_before_the_start_has_the_longer_limit_again_from_each_beat() -> None:
    k = keeper()
    k.started(0.0)
    for second in range(0, 400, 80):
        assert k.beat(second - 1000, False, "making the presenter's pictures", float(second))
        assert k.hung(second + 79.0) is None
    assert not k.proven
    assert k.hung(320.0 + 90.0) == "not started after 90 s"
    assert k.beat(0, True, "", 400.0)
    assert k.proven
    assert k.hung(410.0) == "no progress for 10.0 s"


def test_a_loading_child_has_the_longer_limit() -> None:
    k = keeper()
    k.started(100.0)
    for second in range(101, 190):
        k.beat(0, False, "loading", float(second))
    assert k.hung(190.9) is None
    assert k.hung(191.0) == "not started after 90 s"


def test_a_child_that_was_ready_has_the_shorter_limit() -> None:
    k = keeper()
    k.started(0.0)
    k.beat(0, True, "", 5.0)
    assert k.hung(14.9) is None
    assert k.hung(15.0) == "no progress for 10.0 s"


def test_playout_has_three_seconds() -> None:
    k = by_role("playout")
    assert LIMITS["playout"].silence_s == 3.0
    k.started(0.0)
    k.beat(10, True, "", 1.0)
    k.beat(35, True, "", 2.0)
    assert k.hung(4.9) is None
    assert k.hung(5.0) is not None


def test_a_child_that_is_down_is_not_hung() -> None:
    k = keeper()
    assert k.hung(1e9) is None
    k.started(0.0)
    k.exited(1.0)
    assert k.hung(1e9) is None


def test_a_judge_that_was_away_forgives() -> None:
    k = keeper()
    k.started(0.0)
    k.beat(0, True, "", 0.0)
    k.beat(1, True, "", 1.0)
    k.forgive(60.0)
    assert k.hung(69.9) is None
    assert k.hung(70.0) is not None


def test_progress_may_start_again_from_zero_after_a_restart() -> None:
    k = keeper()
    k.started(0.0)
    k.beat(500, True, "", 1.0)
    k.exited(2.0)
    k.started(3.0)
    assert k.beat(0, False, "", 4.0)
    assert not k.ready


def test_the_first_restart_is_at_once() -> None:
    k = keeper()
    k.started(0.0)
    assert k.exited(5.0) < 0.2
    assert not k.due(5.0)
    assert k.due(5.2)


def test_a_crash_loop_slows_down_and_is_reported_once() -> None:
    k = keeper()
    now, reports = 0.0, 0
    delays = []
    while now < 3600.0:
        k.started(now)
        had = k.gave_up
        delays.append(k.exited(now + 0.1))
        reports += k.gave_up and not had
        now += 0.1 + delays[-1]
    assert delays[0] < 0.2
    assert max(delays) > 10.0
    assert k.starts < 3600
    assert reports == 1


def test_a_healthy_run_makes_restarts_quick_again() -> None:
    k = keeper()
    now = 0.0
    for _ in range(20):
        k.started(now)
        now += 0.1 + k.exited(now + 0.1)
    k.started(now)
    assert k.exited(now + 3600.0) < 0.2
    assert not k.gave_up


def test_playout_is_restarted_for_ever_and_soon() -> None:
    k = by_role("playout")
    now = 0.0
    for _ in range(500):
        k.started(now)
        delay = k.exited(now + 0.05)
        assert delay <= PLAYOUT_CAP_S
        now += 0.05 + delay
    assert k.starts == 500


def test_a_wanted_exit_costs_nothing() -> None:
    k = keeper()
    for second in range(100):
        k.started(float(second))
        assert k.exited(second + 0.5, wanted=True) == 0.0
        assert k.due(second + 0.5)
    k.started(100.0)
    assert k.exited(100.5) < 0.2


def test_a_refused_configuration_waits() -> None:
    k = keeper()
    k.started(0.0)
    assert k.exited(0.5, hopeless=True) == 30.0
    assert k.gave_up
    assert not k.due(30.0)
    assert k.due(30.5)
