"""`broadcaster avatar prepare` for a video: the stages in order, each resumable. Blocking; runs in the command.

Everything is made in a folder beside the avatar's, `.preparing-NAME`, which stays when the work is broken off:

    job.json                   whose work it is; another video or other settings for reading begin anew
    marks, mesh, looks         what was seen (`survey`), growing
    seen.json                  ... and that it is complete
    plan.json, piece-*.mkv     the loop, and the clip in pieces
    made/                      the avatar's folder, renamed at the very end
"""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Final

from broadcaster.errors import AssetError
from broadcaster.head.prepare import writing
from broadcaster.head.prepare.looking import Looker
from broadcaster.head.prepare.making import make
from broadcaster.head.prepare.mesh import FaceMesher
from broadcaster.head.prepare.order import Order, Progress, fingerprint, finish, read_json, workplace
from broadcaster.head.prepare.planning import SHORTEST_S, NothingUsable, plan_of
from broadcaster.head.prepare.reading import Video, open_video
from broadcaster.head.prepare.report import Report
from broadcaster.head.prepare.survey import Survey

LONGEST_S: Final = 600.0
"""Seconds of the video that are looked at, unless more is asked for: longer than any loop should be."""


def prepare_video(order: Order, progress: Progress, restart: bool = False) -> Report:
    """An avatar of a video, in `order.folder`. Raises AssetError and Refused; what was done so far stays."""
    video = open_video(order.source, order.fps, order.max_height)
    first, last = _range(video, order)
    reading = fingerprint(order.source) | {"fps": order.fps, "max_height": order.max_height, "range": [first, last]}
    with workplace(order, reading, restart) as folder:
        try:
            _need_room(video, folder, last - first + 1 if last is not None else video.expected)
        except AssetError:
            if not (folder / "marks.f32").exists():
                shutil.rmtree(folder)  # nothing was begun
            raise
        survey = Survey(folder, video.facts.size)
        damaged = _look(video, survey, folder, first, last, progress)
        progress.stage("finding the loop", None, 0)
        try:
            plan = plan_of(order, video, survey, first)
        except NothingUsable:
            shutil.rmtree(folder)  # nothing to go on with, and the name is free for another video
            raise
        report = make(order, video, survey, plan, folder, first, damaged, progress)
        finish(order, folder)
    return report


def _range(video: Video, order: Order) -> tuple[int, int | None]:
    """Numbers of the first and the last picture to look at; None: to the end."""
    step, seconds = float(video.facts.step), video.facts.seconds
    if seconds is not None and order.begin_s >= seconds:
        raise AssetError(f"{order.source}: it ends at {seconds:.1f} s, before --from {order.begin_s:g}")
    end = order.end_s if order.end_s is not None else order.begin_s + LONGEST_S
    if end - order.begin_s < SHORTEST_S:
        raise AssetError(f"--from and --to leave {end - order.begin_s:.1f} s; at least {SHORTEST_S:g} s are needed")
    first = math.ceil(order.begin_s / step)
    last = math.floor(end / step) - 1
    return first, None if seconds is not None and end >= seconds and order.end_s is None else last


def _need_room(video: Video, folder: Path, pictures: int | None) -> None:
    width, height = video.facts.size
    loop = min(pictures or 10**6, round(300 * video.facts.fps))
    needed = (pictures or 0) * Survey(folder, video.facts.size).record_bytes
    needed += int(2 * loop * width * height * writing.BYTES_PER_PIXEL)
    free = shutil.disk_usage(folder).free
    kept = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
    missing = -(-(needed - kept) >> 20)
    if free + kept < needed:
        raise AssetError(
            f"{folder.parent}: {free >> 20} MiB free, up to {missing} MiB are needed -> make room there, "
            "or use less of the video (--from, --to)"
        )


def _look(video: Video, survey: Survey, folder: Path, first: int, last: int | None, progress: Progress) -> int:
    """Fills the survey. Returns how many packets were damaged."""
    complete = folder / "seen.json"
    known = read_json(complete)
    if known is not None and survey.count == known.get("pictures"):
        return int(known.get("damaged", 0))
    total = last - first + 1 if last is not None else video.expected and max(1, video.expected - first)
    start = survey.open()
    progress.stage("looking for the face", total, start)
    looker = Looker(FaceMesher(1))
    try:
        for number, picture in video.pictures(first + start, last, exact=False):
            survey.add(looker.look(number - first, picture))
            progress.done(number - first + 1)
    finally:
        survey.close()
    writing.write_text(complete, json.dumps({"pictures": survey.count, "damaged": video.faults}))
    return video.faults
