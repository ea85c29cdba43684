"""`broadcaster avatar prepare` for a photograph: a still avatar (`format: 1`), moved by warps. Blocking.

The still is kept with more detail than a picture has, because warps draw on it. There are no pictures of shut eyes in
a photograph, so the idle loop breathes and sways and does not blink.
"""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from broadcaster.config.avatar import Mouth
from broadcaster.errors import AssetError
from broadcaster.face import crop_box, face_width, landmarks_of, mask_of, mouth_openness
from broadcaster.head.prepare import sheet, writing
from broadcaster.head.prepare.looking import FAULTS, OTHER_FACE, Fault, fault_of
from broadcaster.head.prepare.making import focus_of, write_report, write_teeth
from broadcaster.head.prepare.mesh import FaceMesher, FoundFace
from broadcaster.head.prepare.order import Order, Progress, fingerprint, finish, workplace
from broadcaster.head.prepare.report import SHEET, Report
from broadcaster.head.prepare.seam import OPEN

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Bgr = NDArray[np.uint8]

STILL: Final = "still.webp"
LANDMARKS: Final = "landmarks.json"

DETAIL: Final = 1.5
"""The still's shorter side over the largest picture's height: what the idle loop draws on (`studio.avatar_loop`)."""

MOST_PIXELS: Final = 200_000_000
"""A larger picture is a trap, or a panorama."""

REMEDIES: Final = {
    Fault.TWO_FACES: "cut the others out of it",
    Fault.TURNED: "use one that looks into the camera",
    Fault.SMALL: "use a larger one, or cut it closer",
    Fault.CUT_OFF: "use one with the whole face in it",
    Fault.COVERED: "use a sharp one with nothing before the face",
}


def is_photo(path: Path) -> bool:
    """Whether the file is a single picture. False for whatever cannot be read: the video reader says why."""
    from PIL import Image

    try:
        with Image.open(path) as picture:
            return getattr(picture, "n_frames", 1) == 1
    except Image.DecompressionBombError:
        return True
    except (OSError, ValueError, SyntaxError):
        return False


def read_photo(path: Path, most: int) -> tuple[Bgr, tuple[int, int], tuple[str, ...]]:
    """(picture, its size as given, what was converted). Upright, sRGB, without transparency, the shorter side at most
    `most`, even. Raises AssetError."""
    from PIL import Image, ImageOps

    notes = []
    try:
        with Image.open(path) as given:
            if given.width * given.height > MOST_PIXELS:
                raise AssetError(f"{path}: {given.width}x{given.height} pixels are too many -> scale it down")
            size = given.size
            upright = ImageOps.exif_transpose(given)
            if given.getexif().get(0x0112, 1) != 1:
                notes.append("turned upright")
            coloured = _srgb(upright)
            if coloured is not upright:
                notes.append("colours converted to sRGB")
            if "A" in coloured.getbands() or "transparency" in coloured.info:
                notes.append("transparency replaced by grey")
                coloured = coloured.convert("RGBA")
                ground = Image.new("RGBA", coloured.size, (96, 96, 96, 255))
                coloured = Image.alpha_composite(ground, coloured)
            pixels = np.asarray(coloured.convert("RGB"))[:, :, ::-1]
    except (Image.DecompressionBombError, OSError, ValueError, SyntaxError) as err:
        raise AssetError(f"{path}: not a picture that can be read ({err}) -> save it as JPEG or PNG") from err
    scale = min(1.0, most / min(pixels.shape[:2]))
    if scale < 1.0:
        notes.append(f"scaled down to {round(pixels.shape[1] * scale)}x{round(pixels.shape[0] * scale)}")
    return _even(pixels, scale), size, tuple(notes)


def prepare_photo(order: Order, progress: Progress, restart: bool = False) -> Report:
    """A still avatar of a photograph, in `order.folder`. Raises AssetError and Refused."""
    progress.stage("reading the photograph", None, 0)
    picture, given, notes = read_photo(order.source, round(DETAIL * order.max_height))
    face = _face_of(order.source, picture)
    with workplace(order, fingerprint(order.source) | {"max_height": order.max_height}, restart) as folder:
        size = (picture.shape[1], picture.shape[0])
        progress.stage("writing the still", None, 0)
        made = folder / "made"
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir()
        writing.write_bytes(made / STILL, _webp(picture))
        points = {name: points.round(2).tolist() for name, points in landmarks_of(face.mesh).items()}
        points["mesh"] = face.mesh.astype(np.float64).round(2).tolist()
        writing.write_text(made / LANDMARKS, json.dumps(points))
        manifest: dict[str, Any] = {"format": 1} | order.about.manifest(order.name)
        manifest |= {"still": STILL, "landmarks": LANDMARKS, "inner_mouth": write_teeth(made, face.mesh)}
        manifest |= {"focus": focus_of(face.mesh, size), "idle": {"seconds": 10, "blinks": []}}
        writing.write_manifest(made / "avatar.yaml", manifest)
        writing.write_bytes(made / SHEET, _sheet(picture, face))
        report = write_report(made, _report(order, face, size, given, notes))
        finish(order, folder)
    return report


def _face_of(path: Path, picture: Bgr) -> FoundFace:
    """The one face of a photograph. Raises AssetError."""
    found = FaceMesher(1).find(picture)
    if not found:
        raise AssetError(f"{path}: no face was found in it -> use a photograph of one face, from the front")
    crowd = len(found) > 1 and face_width(found[1].mesh) >= OTHER_FACE * face_width(found[0].mesh)
    fault = fault_of(found[0], crowd, (picture.shape[1], picture.shape[0]))
    if fault != Fault.NONE:
        raise AssetError(f"{path}: {FAULTS[fault]} -> {REMEDIES[fault]}")
    return found[0]


def _sheet(picture: Bgr, face: FoundFace) -> bytes:
    box = crop_box(face.mesh, "1.5", Mouth())
    mask = mask_of(face.mesh, box, Mouth())
    window = sheet.window_of(np.array([box]), (picture.shape[1], picture.shape[0]))
    return sheet.sheet([sheet.tile(picture, "still"), sheet.drawn(picture, face.mesh, box, mask, window, "the face")])


def _report(
    order: Order, face: FoundFace, size: tuple[int, int], given: tuple[int, int], notes: tuple[str, ...]
) -> Report:
    opened = mouth_openness(face.mesh)
    report = Report(
        name=order.name,
        input=str(order.source),
        kind="still",
        width=size[0],
        height=size[1],
        fps=0,
        input_width=given[0],
        input_height=given[1],
        input_fps=0.0,
        codec=order.source.suffix.lower().lstrip(".") or "picture",
        conversions=notes,
        looked_at=1,
        faces_found=1,
        unusable=(),
        damaged=0,
        face_width=round(face_width(face.mesh), 1),
        loop="",
        loop_from=0.0,
        loop_to=0.0,
        loop_pictures=0,
        loop_seconds=0.0,
        seam_score=0.0,
        mouth_open=round(float(opened > OPEN), 3),
        warnings=(),
    )
    return replace(report, warnings=tuple(_warnings(report, order)))


def _warnings(report: Report, order: Order) -> Iterator[str]:
    if report.mouth_open:
        yield "the mouth is open: it stays so in idle -> a photograph with the lips shut is better"
    if report.face_width < 160:
        yield "the face is small -> a nearer photograph would look sharper"
    if min(report.width, report.height) < order.max_height * 2 // 3:
        yield f"{report.width}x{report.height} is little for a broadcast picture -> a larger photograph is sharper"


def _srgb(picture: Any) -> Any:
    """The picture in sRGB, if it says that its colours are others."""
    from PIL import ImageCms

    profile = picture.info.get("icc_profile")
    if not profile or picture.mode not in ("RGB", "RGBA", "CMYK", "L"):
        return picture
    try:
        own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "sRGB" in ImageCms.getProfileDescription(own):
            return picture
        return ImageCms.profileToProfile(picture, own, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return picture


def _even(picture: Bgr, scale: float) -> Bgr:
    import cv2

    width, height = (2 * int(side * scale / 2 + 1e-9) for side in (picture.shape[1], picture.shape[0]))
    if scale < 1.0:
        return np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)
    return np.ascontiguousarray(picture[:height, :width])


def _webp(picture: Bgr) -> bytes:
    import cv2

    done, data = cv2.imencode(".webp", picture, [cv2.IMWRITE_WEBP_QUALITY, 97])
    if not done:
        raise AssetError(f"a picture of {picture.shape[1]}x{picture.shape[0]} cannot be written as WebP")
    return data.tobytes()
