"""An avatar's folder: the clip in playing order, the faces in it, avatar.yaml. PyAV, blocking; runs in the command.

The clip is encoded in pieces that are whole files, so that work that was broken off goes on with the next piece, and
joined by copying packets. Every file is written under another name, synced and renamed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import yaml
from numpy.typing import NDArray

from broadcaster.errors import AssetError
from broadcaster.head.prepare.frames import I420, limited

if TYPE_CHECKING:
    from broadcaster.head.prepare.reading import Video
    from broadcaster.head.prepare.seam import Blend

CLIP: Final = "clip.mkv"
FACES: Final = "faces.npz"

KEYFRAMES: Final = 12
"""Pictures from keyframe to keyframe: whoever begins anywhere decodes at most so many for nothing."""

PIECE: Final = 10 * KEYFRAMES
"""Pictures in one piece."""

BACKWARDS: Final = 48
"""Pictures kept at once where the video is played backwards: 300 MB of 1080p."""

QUALITY: Final = "17"
"""x264's CRF: what is lost is far below what the encoder of the air loses."""

BYTES_PER_PIXEL: Final = 0.08
"""Of the clip, for the check of the disk: a moving person at this quality, generously."""

SAME: Final = {"fflags": "+bitexact"}
"""Of the muxer: no random numbers and no dates, so the same pictures give the same file."""

GLOBAL_HEADER: Final = 1 << 22
"""AV_CODEC_FLAG_GLOBAL_HEADER: all pieces share the parameter sets of the first."""

_HEAD: Final = (
    "# Made by `broadcaster avatar prepare`. Voice, engine, mouth, gestures and texts may be edited by hand; see\n"
    "# docs/face.md. The other files belong together: prepare the avatar again to change them.\n"
)


def in_order(video: Video, order: Sequence[Blend], start: int, end: int) -> Iterator[I420]:
    """Pictures `start` .. `end - 1` of the playing order, mixed where they are to be."""
    others = sorted({blend.other for blend in order[start:end] if blend.other >= 0})
    mixed = _few(video, others)
    at = start
    while at < end:
        stop = at + 1
        step = order[stop].picture - order[at].picture if stop < end else 1
        while stop < end and order[stop].picture - order[stop - 1].picture == step and abs(step) == 1:
            stop += 1
        run = [blend.picture for blend in order[at:stop]]
        pictures = video.planes(run[0], run[-1]) if step == 1 or len(run) == 1 else _backwards(video, run)
        shown = at
        for number, picture in pictures:
            if number != order[shown].picture:
                break
            blend = order[shown]
            yield picture if blend.other < 0 else _blended(picture, mixed[blend.other], blend.share)
            shown += 1
        if shown != stop:
            raise AssetError(
                f"{video.path}: picture {order[shown].picture} could be read before, and cannot now -> "
                "check the file, and begin anew with --restart"
            )
        at = stop


def _backwards(video: Video, run: Sequence[int]) -> Iterator[tuple[int, I420]]:
    for begin in range(0, len(run), BACKWARDS):
        part = run[begin : begin + BACKWARDS]
        yield from reversed(list(video.planes(part[-1], part[0])))


def _few(video: Video, numbers: Sequence[int]) -> dict[int, I420]:
    """The pictures of a crossfade: a run of a few, held in memory."""
    if not numbers:
        return {}
    wanted = set(numbers)
    return {number: picture for number, picture in video.planes(numbers[0], numbers[-1]) if number in wanted}


def _blended(one: I420, other: I420, share: float) -> I420:
    import cv2

    return np.asarray(cv2.addWeighted(one, 1.0 - share, other, share, 0.0), dtype=np.uint8)


def encode(
    video: Video, order: Sequence[Blend], folder: Path, threads: int, progress: Callable[[int], None]
) -> list[Path]:
    """The clip in pieces, in `folder`; pieces that are there stay. `progress` is told how many pictures are done."""
    pieces = []
    for number, start in enumerate(range(0, len(order), PIECE)):
        end = min(start + PIECE, len(order))
        path = folder / f"piece-{number:05}.mkv"
        if not path.exists():
            making = path.with_suffix(".part")
            pictures = in_order(video, order, start, end)
            write_piece(making, pictures, video.facts.fps, threads, lambda done, start=start: progress(start + done))  # type: ignore[misc]
            _settle(making, path)
        pieces.append(path)
        progress(end)
    return pieces


def write_piece(
    path: Path,
    pictures: Iterator[NDArray[np.uint8]],
    fps: int,
    threads: int,
    progress: Callable[[int], None] | None = None,
) -> None:
    """Pictures, BGR or 4:2:0, as H.264 in Matroska: BT.709 limited range, no B pictures. Raises AssetError."""
    import av
    import av.error

    try:
        with av.open(str(path), "w", format="matroska", options=SAME) as container:
            stream: Any = None
            done = 0
            for picture in pictures:
                if stream is None:
                    stream = _stream(container, *_size(picture), fps, threads)
                frame = (
                    limited(picture) if picture.ndim == 3 else av.VideoFrame.from_ndarray(picture, format="yuv420p")
                )
                frame.pts, frame.time_base = done, Fraction(1, fps)
                kind = av.video.frame.PictureType
                frame.pict_type = kind.I if done % KEYFRAMES == 0 else kind.NONE
                container.mux(stream.encode(frame))
                done += 1
                if progress is not None:
                    progress(done)
            container.mux(stream.encode(None))
    except (av.error.FFmpegError, OSError) as err:
        raise _no_room(path, err) from err


def _size(picture: NDArray[np.uint8]) -> tuple[int, int]:
    """Width and height of a BGR picture, or of one in 4:2:0."""
    return picture.shape[1], picture.shape[0] if picture.ndim == 3 else picture.shape[0] * 2 // 3


def _stream(container: Any, width: int, height: int, fps: int, threads: int) -> Any:
    from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc

    stream = container.add_stream("libx264", rate=fps)
    context = stream.codec_context
    context.width, context.height, context.pix_fmt = width, height, "yuv420p"
    context.time_base = Fraction(1, fps)
    context.gop_size = KEYFRAMES
    context.max_b_frames = 0
    context.thread_count = threads
    context.flags |= GLOBAL_HEADER
    context.color_range, context.colorspace = ColorRange.MPEG, Colorspace.ITU709
    context.color_primaries, context.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
    context.options = {
        "preset": "veryfast",
        "crf": QUALITY,
        "x264-params": f"keyint={KEYFRAMES}:min-keyint={KEYFRAMES}:scenecut=0:open-gop=0",
    }
    return stream


def join(pieces: Sequence[Path], target: Path, fps: int) -> int:
    """One clip of all pieces, by copying packets. Returns how many pictures it has."""
    import av
    import av.error

    making = target.with_suffix(".part")
    count = 0
    try:
        with av.open(str(making), "w", format="matroska", options=SAME) as out:
            stream: Any = None
            for piece in pieces:
                with av.open(str(piece)) as container:
                    given = container.streams.video[0]
                    if stream is None:
                        stream = out.add_stream_from_template(given)
                        stream.time_base = Fraction(1, fps)
                    for packet in container.demux(given):
                        if packet.size == 0:
                            continue
                        packet.stream = stream
                        packet.time_base = Fraction(1, fps)
                        packet.pts = packet.dts = count
                        packet.duration = 1
                        out.mux(packet)
                        count += 1
    except (av.error.FFmpegError, OSError) as err:
        raise _no_room(target, err) from err
    _settle(making, target)
    return count


def write_faces(
    path: Path,
    meshes: NDArray[np.float32],
    boxes: NDArray[np.int32],
    masks: NDArray[np.uint8],
    rest: int,
    source: NDArray[np.int32],
) -> None:
    """`faces.npz` as `config.avatar.ClipManifest` describes it."""
    making = path.with_suffix(".part")
    try:
        with making.open("wb") as file:
            np.savez_compressed(file, mesh=meshes, boxes=boxes, masks=masks, rest=np.int32(rest), source=source)
    except OSError as err:
        raise _no_room(path, err) from err
    _settle(making, path)


def write_manifest(path: Path, manifest: dict[str, Any]) -> None:
    write_text(path, _HEAD + yaml.safe_dump(manifest, sort_keys=False, allow_unicode=True, width=100))


def write_text(path: Path, text: str) -> None:
    making = path.with_name(path.name + ".part")
    try:
        making.write_text(text, encoding="utf-8")
    except OSError as err:
        raise _no_room(path, err) from err
    _settle(making, path)


def write_bytes(path: Path, data: bytes) -> None:
    making = path.with_name(path.name + ".part")
    try:
        making.write_bytes(data)
    except OSError as err:
        raise _no_room(path, err) from err
    _settle(making, path)


def _settle(making: Path, path: Path) -> None:
    """Synced to disk and given its name: a file of this name is whole, even after a power cut."""
    with making.open("rb") as file:
        os.fsync(file.fileno())
    making.rename(path)


def _no_room(path: Path, err: Exception) -> AssetError:
    return AssetError(
        f"{path}: cannot be written ({getattr(err, 'strerror', None) or err}) -> make room, and run again"
    )
