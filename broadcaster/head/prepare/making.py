"""The avatar's folder of a video whose loop is found: clip, faces, teeth, texts, contact sheet. Blocking."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from broadcaster.config.avatar import Mouth
from broadcaster.errors import AssetError
from broadcaster.face import eye_openness, face_width, mask_of, mouth_openness
from broadcaster.head.prepare import sheet, writing
from broadcaster.head.prepare.order import Order, Progress, read_json
from broadcaster.head.prepare.planning import Plan, bridged
from broadcaster.head.prepare.reading import Video, VideoFacts, open_video
from broadcaster.head.prepare.report import REPORT, SHEET, Report, clock
from broadcaster.head.prepare.seam import OPEN, Loop
from broadcaster.head.prepare.stabilise import steady, steady_boxes
from broadcaster.head.prepare.survey import Survey
from broadcaster.head.prepare.teeth import inner_mouth, teeth_for

if TYPE_CHECKING:
    from numpy.typing import NDArray

TILES: Final = 8
"""Pictures on the contact sheet besides the seam."""


def make(
    order: Order, video: Video, survey: Survey, plan: Plan, folder: Path, first: int, damaged: int, progress: Progress
) -> Report:
    loop = plan.loop
    facts = video.facts
    given = [
        replace(b, picture=b.picture + first, other=b.other + first if b.other >= 0 else -1)
        for b in loop.playing_order()
    ]
    _keep_or_drop_pieces(folder, loop, first)
    progress.stage("writing the clip", len(given), 0)
    pieces = writing.encode(video, given, folder, order.threads, progress.done)
    progress.stage("writing faces and report", None, 0)
    made = folder / "made"
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir()
    writing.join(pieces, made / writing.CLIP, facts.fps)
    meshes = _loop_meshes(survey, plan, facts.fps)
    boxes = steady_boxes(meshes, "1.5", Mouth(), facts.fps, loop=True)
    masks = np.stack([mask_of(mesh, _box(box), Mouth()) for mesh, box in zip(meshes, boxes, strict=True)])
    rest = rest_of(meshes, [blend.other < 0 for blend in given])
    source = np.array([blend.picture for blend in given], dtype=np.int32)
    writing.write_faces(made / writing.FACES, meshes, boxes, masks, rest, source)
    teeth = write_teeth(made, meshes[rest])
    _write_clip_manifest(order, made, meshes[rest], facts.size, teeth)
    tiles = _tiles(made / writing.CLIP, facts.fps, meshes, boxes, masks, rest)
    writing.write_bytes(made / SHEET, sheet.sheet(tiles))
    report = _report(order, facts, plan, survey, meshes, first, damaged)
    return write_report(made, report)


def _keep_or_drop_pieces(folder: Path, loop: Loop, first: int) -> None:
    """Pieces of another loop are of no use."""
    plan = folder / "plan.json"
    wanted = asdict(loop) | {"offset": first}
    if read_json(plan) != json.loads(json.dumps(wanted)):
        for piece in folder.glob("piece-*"):
            piece.unlink()
        writing.write_text(plan, json.dumps(wanted))


def _loop_meshes(survey: Survey, plan: Plan, fps: int) -> NDArray[np.float32]:
    """(pictures, 468, 2) in playing order, without jitter."""
    low, high = plan.stretch
    near = bridged(survey.meshes[low : high + 1], plan.faults[low : high + 1], [(0, high - low)])
    shown = []
    for blend in plan.loop.playing_order():
        mesh = near[blend.picture - low]
        if blend.other >= 0:
            mesh = mesh + (near[blend.other - low] - mesh) * np.float32(blend.share)
        shown.append(mesh)
    return steady(shown, fps, loop=True)


def rest_of(meshes: NDArray[np.float32], plain: Sequence[bool] | None = None) -> int:
    """The picture whose mouth is shut best, eyes open and the head where it mostly is; not a mixed one."""
    mouths = np.array([mouth_openness(mesh) for mesh in meshes])
    eyes = np.array([eye_openness(mesh) for mesh in meshes])
    middle = np.median(meshes, axis=0)
    away = np.sqrt(((meshes - middle) ** 2).sum(axis=2).mean(axis=1)) / face_width(middle)
    cost = mouths.clip(0.02) + 0.3 * away + 0.5 * (0.95 - eyes / np.median(eyes)).clip(0.0)
    if plain is not None and any(plain):
        cost = cost + np.where(plain, 0.0, 10.0)
    return int(cost.argmin())


def write_teeth(made: Path, mesh: NDArray[np.float32]) -> dict[str, Any]:
    """The pictures of the inner mouth for a face, and what `avatar.yaml` says of them."""
    import cv2

    teeth = teeth_for(mesh)
    for picture in teeth:
        written, data = cv2.imencode(".png", picture.pixels)
        if not written:
            raise AssetError(f"{made / picture.file}: the picture of the teeth cannot be written")
        writing.write_bytes(made / picture.file, data.tobytes())
    named: dict[str, Any] = inner_mouth(teeth).model_dump()
    return named


def focus_of(mesh: NDArray[np.float32], size: tuple[int, int]) -> list[float]:
    """The centre of a cut for other shapes: the face, with room for shoulders below."""
    low, high = mesh.min(axis=0), mesh.max(axis=0)
    x = float(low[0] + high[0]) / 2 / size[0]
    y = float(low[1] + 0.7 * (high[1] - low[1])) / size[1]
    return [round(min(max(x, 0.0), 1.0), 3), round(min(max(y, 0.0), 1.0), 3)]


def _write_clip_manifest(
    order: Order, made: Path, mesh: NDArray[np.float32], size: tuple[int, int], teeth: dict[str, Any]
) -> None:
    manifest = {"format": 2} | order.about.manifest(order.name)
    manifest |= {"clip": writing.CLIP, "faces": writing.FACES, "inner_mouth": teeth, "focus": focus_of(mesh, size)}
    writing.write_manifest(made / "avatar.yaml", manifest)


def _tiles(
    clip: Path,
    fps: int,
    meshes: NDArray[np.float32],
    boxes: NDArray[np.int32],
    masks: NDArray[np.uint8],
    rest: int,
) -> list[NDArray[np.uint8]]:
    """Pictures spread over the loop, then the last, the first, their difference, and an ordinary one beside it."""
    video = open_video(clip, fps, max_height=10_000)

    def picture(number: int) -> NDArray[np.uint8]:
        return next(video.pictures(number, number))[1]

    count = len(meshes)
    window = sheet.window_of(boxes, video.facts.size)
    shown = sorted({rest, *(round(k * (count - 1) / (TILES - 2)) for k in range(TILES - 1))})
    tiles = [
        sheet.drawn(
            picture(k),
            meshes[k],
            boxes[k],
            masks[k],
            window,
            f"{k / fps:.2f} s{', mouth at rest' if k == rest else ''}",
        )
        for k in shown[:TILES]
    ]
    last, first = picture(count - 1), picture(0)
    usual = sheet.difference(picture(1), first)
    tiles += [
        sheet.tile(last, "seam: last"),
        sheet.tile(first, "seam: first"),
        sheet.tile(sheet.difference(first, last), "first - last, x4"),
        sheet.tile(usual, "second - first, x4"),
    ]
    return tiles


def _report(
    order: Order,
    facts: VideoFacts,
    plan: Plan,
    survey: Survey,
    meshes: NDArray[np.float32],
    first: int,
    damaged: int,
) -> Report:
    loop, step = plan.loop, float(facts.step)
    openness = np.array([mouth_openness(mesh) for mesh in meshes])
    width = float(np.median([face_width(mesh) for mesh in meshes]))
    still = float(
        np.mean((np.diff(survey.looks[loop.first : loop.last + 1].astype(np.int16), axis=0) == 0).all((1, 2)))
    )
    opened = float((openness > OPEN).mean())
    report = Report(
        name=order.name,
        input=str(order.source),
        kind="clip",
        width=facts.size[0],
        height=facts.size[1],
        fps=facts.fps,
        input_width=facts.coded[0],
        input_height=facts.coded[1],
        input_fps=facts.rate,
        codec=facts.codec,
        conversions=(*facts.notes, *_part(facts, first, survey.count)),
        looked_at=survey.count,
        faces_found=plan.faces_found,
        unusable=plan.unusable,
        damaged=damaged,
        face_width=round(width, 1),
        loop=loop.kind,
        loop_from=round((first + loop.first) * step, 2),
        loop_to=round((first + loop.last + 1) * step, 2),
        loop_pictures=len(meshes),
        loop_seconds=round(len(meshes) / facts.fps, 2),
        seam_score=round(loop.score, 2),
        mouth_open=round(opened, 3),
        warnings=(),
    )
    return replace(report, warnings=tuple(_warnings(report, still)))


def _part(facts: VideoFacts, first: int, count: int) -> Iterator[str]:
    """Which part of the video was looked at, where it was not all of it."""
    begin, end = first * float(facts.step), (first + count) * float(facts.step)
    if facts.seconds is not None and (begin > 0.5 or end < facts.seconds - 0.5):
        yield f"looked at {clock(begin)} to {clock(end)} of {clock(facts.seconds)}"


def _warnings(report: Report, still: float) -> Iterator[str]:
    if report.mouth_open > 0.2:
        yield "the mouth is open in much of the loop: in idle the presenter seems to speak -> record a quiet stretch"
    if report.face_width < 160:
        yield "the face is small: a neural mouth is drawn at 256 pixels -> a nearer take would look sharper"
    if report.seam_score > 2.5:
        yield "the seam may be seen -> look at the contact sheet; another --loop or a longer video may be better"
    if report.loop_seconds < 6:
        yield "the loop is short and will be seen to repeat -> a video of 10 to 60 s is better"
    if still > 0.3:
        yield f"{still:.0%} of the pictures repeat the one before: the video has a lower rate than it says"


def write_report(made: Path, report: Report) -> Report:
    """`report.json` with the sizes and hashes of all other files. Returns the report with them."""
    files = {}
    for path in sorted(made.iterdir()):
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
        files[path.name] = (path.stat().st_size, digest.hexdigest())
    report = replace(report, files=files)
    writing.write_text(made / REPORT, report.to_json())
    _sync(made)
    return report


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _box(row: NDArray[np.int32]) -> tuple[int, int, int, int]:
    left, top, right, bottom = (int(edge) for edge in row)
    return left, top, right, bottom
