"""The programme: what is on now and what comes next, from a YAML file of weekly entries. Pure but for `load`.

timezone: Asia/Shanghai          # optional; the machine's own otherwise
entries:
  - title: 早安新闻
    title_en: Morning news       # optional, for English answers
    start: "07:00"
    end: "08:00"                 # not after start: ends on the next day
    days: [mon, tue, wed, thu, fri]   # optional, every day otherwise
    note: 每天早上的要闻          # optional
    image: pictures/news.jpg     # optional, for models that see; starts at this file's folder
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from broadcaster.config import config_path
from broadcaster.errors import ConfigError
from broadcaster.picture import read_picture

_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Clock = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Entry(_Strict):
    """One programme of the week. `start` and `end` are wall-clock HH:MM (in quotes: YAML reads 20:00 as a number)."""

    title: Annotated[str, Field(min_length=1, max_length=80)]
    title_en: Annotated[str, Field(max_length=80)] = ""
    start: Clock
    end: Clock
    days: Annotated[list[Day], Field(min_length=1)] = list(_DAYS)
    note: Annotated[str, Field(max_length=400)] = ""
    image: Path | None = None
    """JPEG, PNG or WebP of at most 5 MB."""


class _File(_Strict):
    timezone: str | None = None
    entries: list[Entry]


@dataclass(frozen=True, slots=True)
class Slot:
    """One airing of an entry; both times carry the programme's time zone. `end` is not part of it."""

    entry: Entry
    start: datetime
    end: datetime


class Programme:
    """`zone` is the time zone the file speaks of, None for the machine's own."""

    def __init__(self, entries: list[Entry], zone: tzinfo | None = None) -> None:
        self.entries = entries
        self.zone = zone

    @classmethod
    def load(cls, path: Path) -> Programme:
        """Raises ConfigError that names the file, the entry, what is wrong and what to do."""
        try:
            data = yaml.safe_load(path.read_text(encoding="utf-8"))
            file = _File.model_validate(data if data is not None else {"entries": []})
        except OSError as err:
            raise ConfigError(f"{path}: {err.strerror} -> set brain.programme to a readable file") from err
        except (yaml.YAMLError, UnicodeDecodeError) as err:
            raise ConfigError(f"{path}: not a YAML file: {_one_line(err)}") from err
        except ValidationError as err:
            raise ConfigError(*(_problem(path, fault) for fault in err.errors(include_url=False))) from err
        return cls(_with_pictures(path, file.entries), _zone(path, file.timezone))

    def now_on(self, moment: datetime) -> Slot | None:
        """What is on at `moment` (aware); the one that began last when two overlap."""
        running = [slot for slot in self._around(moment) if slot.start <= moment < slot.end]
        return max(running, key=lambda slot: slot.start, default=None)

    def next_after(self, moment: datetime) -> Slot | None:
        """The first that begins after `moment`, within a week."""
        return min(
            (slot for slot in self._around(moment) if slot.start > moment), key=lambda s: s.start, default=None
        )

    def today(self, moment: datetime) -> list[Slot]:
        """All that begin on the day of `moment`, in order."""
        day = self.local(moment).date()
        return sorted((slot for slot in self._on(day)), key=lambda slot: slot.start)

    def local(self, moment: datetime) -> datetime:
        return moment.astimezone(self.zone)

    def _around(self, moment: datetime) -> list[Slot]:
        first = self.local(moment).date() - timedelta(days=1)
        return [slot for offset in range(9) for slot in self._on(first + timedelta(days=offset))]

    def _on(self, day: date) -> list[Slot]:
        name = _DAYS[day.weekday()]
        return [self._slot(entry, day) for entry in self.entries if name in entry.days]

    def _slot(self, entry: Entry, day: date) -> Slot:
        start, end = time.fromisoformat(entry.start), time.fromisoformat(entry.end)
        last = day if end > start else day + timedelta(days=1)
        return Slot(entry, self._at(day, start), self._at(last, end))

    def _at(self, day: date, clock: time) -> datetime:
        moment = datetime.combine(day, clock)
        return moment.replace(tzinfo=self.zone) if self.zone is not None else moment.astimezone()


def _with_pictures(path: Path, entries: list[Entry]) -> list[Entry]:
    """Their pictures as whole paths. Raises ConfigError for one that cannot be shown to a model."""
    problems, found = [], []
    for number, entry in enumerate(entries, 1):
        image = entry.image and config_path(entry.image, path.parent)
        if image is not None:
            try:
                read_picture(image)
            except ConfigError as err:
                problems.append(f"{path}: entries.{number}.image: {err}")
        found.append(entry.model_copy(update={"image": image}))
    if problems:
        raise ConfigError(*problems)
    return found


def _zone(path: Path, name: str | None) -> tzinfo | None:
    if name is None:
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as err:
        raise ConfigError(
            f"{path}: timezone: there is no time zone {name!r} on this machine -> use one like Asia/Shanghai, "
            "or install the package tzdata"
        ) from err


def _problem(path: Path, fault: Any) -> str:
    where = ".".join(str(part + 1) if isinstance(part, int) else str(part) for part in fault["loc"]) or "the file"
    what = fault["msg"]
    if fault["loc"] and fault["loc"][-1] in ("start", "end"):
        what = 'not a time of day -> write it in quotes, as "07:30"'
    return f"{path}: {where}: {what}"


def _one_line(err: Exception) -> str:
    return " ".join(str(err).split())
