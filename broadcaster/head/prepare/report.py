"""What the preparation of an avatar found, for people and for scripts. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

from broadcaster.head.prepare.looking import FAULTS, Fault

if TYPE_CHECKING:
    from pathlib import Path

REPORT: Final = "report.json"
SHEET: Final = "contact-sheet.png"

STRETCHES_TOLD: Final = 4
"""Of each reason, in the text; report.json has them all."""


@dataclass(frozen=True, slots=True)
class Unusable:
    """Pictures that cannot be used for one reason, and the stretches they lie in, in seconds of the video."""

    reason: str
    pictures: int
    stretches: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Report:
    """Sizes are pixels, times seconds, disk space bytes."""

    name: str
    input: str
    kind: str
    """clip or still."""
    width: int
    height: int
    fps: int
    """0 for a still."""
    input_width: int
    input_height: int
    input_fps: float
    codec: str
    conversions: tuple[str, ...]
    looked_at: int
    """Pictures; 1 for a still."""
    faces_found: int
    """Pictures with a face."""
    unusable: tuple[Unusable, ...]
    damaged: int
    """Packets that could not be decoded."""
    face_width: float
    loop: str
    """cut, crossfade or pingpong; "" for a still."""
    loop_from: float
    loop_to: float
    loop_pictures: int
    loop_seconds: float
    seam_score: float
    mouth_open: float
    """Share of the loop's pictures with open lips."""
    warnings: tuple[str, ...]
    files: dict[str, tuple[int, str]] = field(default_factory=dict)
    """Name -> (bytes, SHA-256)."""

    @property
    def disk(self) -> int:
        return sum(size for size, _ in self.files.values())

    def to_json(self) -> str:
        data: dict[str, Any] = asdict(self)
        data["files"] = {name: {"bytes": size, "sha256": digest} for name, (size, digest) in self.files.items()}
        return json.dumps(data | {"disk": self.disk}, ensure_ascii=False, indent=2) + "\n"

    def lines(self) -> list[str]:
        """The report as text."""
        size = f"{self.width}x{self.height}"
        given = f"{self.input_width}x{self.input_height}"
        if self.kind == "still":
            lines = [f"Avatar {self.name}: a still, {size} (given: {given}, {self.codec})"]
        else:
            lines = [
                f"Avatar {self.name}: a clip, {size}, {self.fps} fps "
                f"(given: {given}, {self.input_fps:.4g} fps, {self.codec})"
            ]
        lines += [f"  converted   {text}" for text in self.conversions]
        lines.append(
            f"  faces       {self.faces_found} of {self.looked_at} pictures, {self.face_width:.0f} pixels wide"
        )
        lines += [f"  unusable    {_unusable(entry, self.looked_at)}" for entry in self.unusable]
        if self.damaged:
            lines.append(f"  damaged     {self.damaged} packets could not be decoded")
        if self.kind == "clip":
            lines.append(
                f"  loop        {_LOOPS[self.loop]}: {self.loop_pictures} pictures, {self.loop_seconds:.1f} s "
                f"(of the video: {clock(self.loop_from)} to {clock(self.loop_to)})"
            )
            lines.append(f"  seam        {self.seam_score:.2f} (1 = a step like any other; below 1.5 nobody sees it)")
            lines.append(f"  mouth       open in {self.mouth_open:.0%} of the loop")
        lines.append(f"  disk        {self.disk / 1e6:.1f} MB")
        return lines + [f"  warning: {text}" for text in self.warnings]


_LOOPS: Final = {"cut": "cut", "crossfade": "crossfade at the seam", "pingpong": "there and back"}


def unusable_of(faults: Sequence[Fault], step_s: float, begin_s: float) -> tuple[Unusable, ...]:
    """The faults of successive pictures by reason, the most frequent first."""
    found = []
    for fault, reason in FAULTS.items():
        numbers = [k for k, each in enumerate(faults) if each == fault]
        if numbers:
            stretches = [
                (round(begin_s + a * step_s, 2), round(begin_s + (b + 1) * step_s, 2)) for a, b in _runs(numbers)
            ]
            found.append(Unusable(reason, len(numbers), tuple(stretches)))
    return tuple(sorted(found, key=lambda entry: -entry.pictures))


def _runs(numbers: Sequence[int]) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return runs


def _unusable(entry: Unusable, of: int) -> str:
    shown = [f"{clock(a)} to {clock(b)}" for a, b in entry.stretches[:STRETCHES_TOLD]]
    more = len(entry.stretches) - len(shown)
    return (
        f"{entry.pictures} of {of} pictures: {entry.reason} ({', '.join(shown)}{f' and {more} more' if more else ''})"
    )


def nothing_usable(path: Path, unusable: Sequence[Unusable], looked_at: int, longest_s: float) -> str:
    """Why no loop can be made of a video, and what to do."""
    remedies = {
        FAULTS[Fault.NO_FACE]: "film one face from the front",
        FAULTS[Fault.TWO_FACES]: "film one person, or cut the others out of the picture",
        FAULTS[Fault.TURNED]: "look into the camera, within 30 degrees",
        FAULTS[Fault.SMALL]: "go nearer, or give the video in its full size",
        FAULTS[Fault.CUT_OFF]: "keep the whole face in the picture",
        FAULTS[Fault.COVERED]: "keep hands, masks and microphones away from the face, and the focus on it",
    }
    if not unusable:
        return f"{path}: too short for a loop ({longest_s:.1f} s of 2 s) -> record 10 to 60 s"
    reasons = "; ".join(_unusable(entry, looked_at) for entry in unusable)
    return (
        f"{path}: no stretch of 2 s can be used (the longest has {longest_s:.1f} s); {reasons} "
        f"-> {remedies[unusable[0].reason]}"
    )


def clock(seconds: float) -> str:
    """1:02.5; seconds of a short one."""
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes)}:{rest:04.1f}" if minutes else f"{rest:.1f} s"
