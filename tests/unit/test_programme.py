"""The programme: now, next, midnight, days, and errors that say where."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from broadcaster.errors import ConfigError
from broadcaster.programme import Entry, Programme

pytestmark = pytest.mark.unit

ZONE = timezone(timedelta(hours=8))
MONDAY = datetime(2026, 3, 2, tzinfo=ZONE)


def at(day: int, clock: str) -> datetime:
    hours, minutes = map(int, clock.split(":"))
    return MONDAY + timedelta(days=day, hours=hours, minutes=minutes)


WEEK = Programme(
    [
        Entry(title="day", start="08:00", end="12:00"),
        Entry(title="night", start="23:00", end="02:00"),
        Entry(title="weekend", start="10:00", end="11:00", days=["sat", "sun"]),
    ],
    ZONE,
)


@pytest.mark.parametrize(
    ("day", "clock", "now", "following"),
    [
        (0, "07:59", None, "day"),
        (0, "08:00", "day", "night"),
        (0, "11:59", "day", "night"),
        (0, "12:00", None, "night"),
        (0, "23:00", "night", "day"),
        (1, "01:59", "night", "day"),
        (1, "02:00", None, "day"),
        (5, "09:59", "day", "weekend"),
        (5, "10:30", "weekend", "night"),
        (5, "11:00", "day", "night"),
        (6, "23:30", "night", "day"),
    ],
)
def test_what_is_on_and_what_is_next(day: int, clock: str, now: str | None, following: str) -> None:
    moment = at(day, clock)
    running, coming = WEEK.now_on(moment), WEEK.next_after(moment)
    assert (running and running.entry.title) == now
    assert coming is not None
    assert coming.entry.title == following
    assert coming.start > moment


def test_a_night_programme_ends_on_the_next_day() -> None:
    slot = WEEK.now_on(at(0, "23:30"))
    assert slot is not None
    assert (slot.start, slot.end) == (at(0, "23:00"), at(1, "02:00"))


def test_moments_of_other_zones_mean_the_same() -> None:
    utc = at(0, "09:00").astimezone(timezone.utc)  # noqa: UP017
    running = WEEK.now_on(utc)
    assert running is not None
    assert running.entry.title == "day"


def test_a_weekly_entry_comes_back_after_a_week_and_an_empty_programme_has_nothing() -> None:
    weekly = Programme([Entry(title="x", start="10:00", end="11:00", days=["mon"])], ZONE)
    coming = weekly.next_after(at(0, "10:00"))
    assert coming is not None
    assert coming.start == at(7, "10:00")
    empty = Programme([], ZONE)
    assert empty.now_on(MONDAY) is None
    assert empty.next_after(MONDAY) is None
    assert [slot.entry.title for slot in WEEK.today(at(5, "12:00"))] == ["day", "weekend", "night"]


def test_the_shipped_programme_loads_and_covers_the_night() -> None:
    shipped = Programme.load(Path(__file__).resolve().parents[2] / "playlists" / "programme.yaml")
    running = shipped.now_on(at(0, "03:00"))
    assert running is not None
    assert running.entry.title == "夜间守候"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("entries: [{title: a, start: 20:30, end: '22:00'}]", 'in quotes, as "07:30"'),
        ("entries: [{title: a, start: '25:00', end: '08:00'}]", "entries.1.start"),
        ("entries: [{title: a, start: '07:00', end: '08:00', days: [monday]}]", "entries.1.days.1"),
        ("entries: [{title: a, start: '07:00', end: '08:00', colour: red}]", "entries.1.colour"),
        ("entries: [{title: '', start: '07:00', end: '08:00'}]", "entries.1.title"),
        ("[1, 2]", "the file"),
        ("entries: [", "not a YAML file"),
        ("timezone: Mars/Base\nentries: []", "no time zone 'Mars/Base'"),
    ],
)
def test_errors_name_the_place(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "programme.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as error:
        Programme.load(path)
    assert says in str(error.value)
    assert str(path) in str(error.value)


def test_a_missing_file_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"brain\.programme"):
        Programme.load(tmp_path / "none.yaml")
