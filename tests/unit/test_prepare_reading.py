"""Videos of every kind come out as upright BT.709 pictures at a constant rate, or with a message that helps."""

from __future__ import annotations

import re
import struct
import tracemalloc
from collections.abc import Callable
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest

from broadcaster.errors import AssetError
from broadcaster.head.prepare import tonemap
from broadcaster.head.prepare.reading import Video, open_video
from tests.support.footage import number_of, write_numbered
from tests.support.synthetic import write_sound, write_video

pytestmark = pytest.mark.unit

FLAT = (60, 120, 180)
"""B, G, R."""


def flat(count: int = 52) -> list[np.ndarray]:
    return [np.full((240, 320, 3), FLAT, dtype=np.uint8)] * count


def numbers(video: Video, first: int = 0, last: int | None = None) -> list[tuple[int, int]]:
    return [(k, number_of(picture)) for k, picture in video.pictures(first, last)]


@pytest.mark.parametrize(
    ("suffix", "codec", "pixel_format"),
    [
        (".mp4", "libx264", "yuv420p"),
        (".mkv", "libx264", "yuv420p10le"),
        (".mov", "libx264", "yuv444p"),
        (".webm", "libvpx-vp9", "yuv420p"),
        (".ts", "libx264", "yuv420p"),
        (".h264", "libx264", "yuv420p"),
        (".avi", "mjpeg", "yuvj420p"),
    ],
)
def test_every_frame_of_an_ordinary_video_is_read_once_and_from_anywhere(
    short_dir: Path, suffix: str, codec: str, pixel_format: str
) -> None:
    video = open_video(write_numbered(short_dir / f"v{suffix}", 70, codec=codec, pixel_format=pixel_format))
    assert video.facts.fps == 25
    assert numbers(video) == [(k, k) for k in range(70)]
    assert numbers(video, 41, 44) == [(k, k) for k in range(41, 45)], "read again in the middle: the same pictures"


@pytest.mark.parametrize(
    ("rate", "fps", "every"),
    [
        (Fraction(30_000, 1001), 30, 1),
        (Fraction(24_000, 1001), 24, 1),
        (Fraction(50), 25, 2),
        (Fraction(60_000, 1001), 30, 2),
        (Fraction(120), 30, 4),
        (Fraction(15), 15, 1),
    ],
)
def test_a_rate_is_taken_as_it_is_or_divided_and_no_frame_is_shown_twice(
    short_dir: Path, rate: Fraction, fps: int, every: int
) -> None:
    video = open_video(write_numbered(short_dir / "v.mp4", round(3 * rate), rate))
    assert video.facts.fps == fps
    shown = numbers(video, 0, 40)
    assert [number for _, number in shown] == [every * k for k in range(len(shown))]


def test_another_rate_is_made_by_the_nearest_frame(short_dir: Path) -> None:
    path = write_numbered(short_dir / "v.mp4", 90, 30)
    shown = [number for _, number in numbers(open_video(path, fps=25))]
    assert len(shown) == 75
    assert all(abs(number - 1.2 * k) <= 0.6 for k, number in enumerate(shown))
    assert len([number for _, number in numbers(open_video(path, fps=60))]) >= 179


def test_a_variable_rate_becomes_constant_and_stays_in_time(short_dir: Path) -> None:
    rng = np.random.default_rng(4)
    times = np.cumsum(rng.uniform(0.02, 0.05, 100))
    video = open_video(write_numbered(short_dir / "v.mkv", 100, 30, times=list(times)))
    assert any("constant" in note for note in video.facts.notes)
    at = times - times[0]
    shown = numbers(video)
    for k, number in shown:
        best = np.abs(at - k * float(video.facts.step)).min()
        assert abs(at[number] - k * float(video.facts.step)) <= best + 0.002
    assert numbers(video, 50, 60) == shown[50:61]


@pytest.mark.parametrize(("turn", "bright"), [(90, (0, 1)), (180, (1, 1)), (270, (1, 0))])
def test_a_turned_video_comes_out_upright(short_dir: Path, turn: int, bright: tuple[int, int]) -> None:
    video = open_video(write_video(short_dir / "v.mp4", flat_corner(), rotation=turn))
    _, picture = next(video.pictures())
    height, width = picture.shape[:2]
    assert (width, height) == video.facts.size == ((240, 320) if turn != 180 else (320, 240))
    corner = picture[:: height - 1, :: width - 1, 1]
    assert np.unravel_index(int(corner.argmax()), (2, 2)) == bright
    assert f"turned by {turn} degrees" in video.facts.notes


def flat_corner() -> list[np.ndarray]:
    """Only the upper left quarter is bright."""
    picture = np.full((240, 320, 3), 40, dtype=np.uint8)
    picture[:120, :160] = 220
    return [picture] * 52


def test_odd_sizes_are_cut_even_and_wide_pixels_made_square(short_dir: Path) -> None:
    odd = open_video(write_numbered(short_dir / "o.mkv", 60, size=(321, 241), pixel_format="yuv444p"))
    assert odd.facts.size == (320, 240)
    assert next(odd.pictures())[1].shape == (240, 320, 3)
    wide = open_video(write_video(short_dir / "w.mp4", flat(), aspect=Fraction(4, 3)))
    assert wide.facts.size == (426, 240)
    assert next(wide.pictures())[1].shape == (240, 426, 3)


def test_of_an_interlaced_video_one_field_is_used(short_dir: Path) -> None:
    """A moving edge has a comb in every frame; in one field it has none."""
    rows = np.arange(240)[:, None]
    combed = [np.where((np.arange(320) > 100 + 2 * k + 8 * (rows % 2))[:, :, None], 220, 40) for k in range(52)]
    pictures = [np.repeat(picture, 3, axis=2).astype(np.uint8) for picture in combed]
    video = open_video(write_video(short_dir / "v.mkv", pictures, options={"x264-params": "tff=1", "crf": "4"}))
    assert video.facts.interlaced
    assert any(note.startswith("interlaced") for note in video.facts.notes)
    _, picture = next(video.pictures(20, 20))
    steps = np.abs(np.diff(picture[20:-20, :, 1].astype(int), axis=0))
    assert steps.max() < 30, "no comb is left"


def test_large_videos_are_scaled_down(short_dir: Path) -> None:
    video = open_video(write_numbered(short_dir / "v.mp4", 60, size=(1280, 720)), max_height=360)
    assert video.facts.size == (640, 360)
    assert number_of(next(video.pictures(7, 7))[1]) == 7


@pytest.mark.parametrize("matrix", ["bt709", "smpte170m", "bt2020nc"])
@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv420p10le"])
def test_colours_are_those_that_were_filmed(
    short_dir: Path, matrix: str, full_range: bool, pixel_format: str
) -> None:
    colours = (matrix, "bt709", "bt709")
    path = write_video(
        short_dir / "v.mkv", flat(), colours=colours, full_range=full_range, pixel_format=pixel_format
    )  # fmt: skip
    _, picture = next(open_video(path).pictures())
    off = np.abs(picture[100, 100].astype(int) - FLAT)
    assert off.max() <= 3, f"{matrix}, {'full' if full_range else 'limited'}: off by {off}"


def test_what_is_as_the_air_wants_it_goes_through_untouched_and_the_rest_is_converted(short_dir: Path) -> None:
    plain = write_video(short_dir / "p.mkv", flat(), colours=("bt709", "bt709", "bt709"))
    with av.open(str(plain)) as container:
        stored = [frame.to_ndarray() for frame in container.decode(video=0)]
    read = [planes for _, planes in open_video(plain).planes()]
    assert all(np.array_equal(a, b) for a, b in zip(read, stored, strict=True))
    other = open_video(
        write_video(short_dir / "o.mkv", flat(), colours=("smpte170m", "bt709", "bt709"), full_range=True)
    )  # fmt: skip
    _, planes = next(other.planes())
    assert planes.shape == (360, 320)
    assert np.abs(planes.astype(int) - stored[0]).max() <= 2, "the same colours in the same terms"
    turned = open_video(write_video(short_dir / "t.mp4", flat_corner(), rotation=90))
    assert next(turned.planes())[1].shape == (480, 240)


@pytest.mark.parametrize(("transfer", "kind"), [("smpte2084", "PQ"), ("arib-std-b67", "HLG")])
def test_hdr_is_mapped_and_said(short_dir: Path, transfer: str, kind: str) -> None:
    path = write_video(
        short_dir / "v.mkv",
        [np.full((240, 320, 3), level, dtype=np.uint8) for level in np.linspace(60, 190, 55)],
        codec="libx265",
        pixel_format="yuv420p10le",
        colours=("bt2020nc", transfer, "bt2020"),
    )
    video = open_video(path)
    assert video.facts.kind == kind
    assert any(note.startswith(f"{kind}: HDR tone-mapped") for note in video.facts.notes)
    shown = [picture[120, 160].astype(int) for _, picture in islice(video.pictures(), 0, None, 10)]
    assert all(np.ptp(grey) <= 3 for grey in shown), "grey stays grey"
    assert np.all(np.diff([grey.mean() for grey in shown]) > 0), "brighter stays brighter"


def test_tone_mapping_keeps_white_paper_bright_and_shades_apart() -> None:
    # 203 nits, the reference white, is PQ code 0.5807; 1000 nits is 0.7518; 100 nits 0.5081 (ST 2084).
    assert tonemap.pq_nits(np.array([0.5807, 0.7518])) == pytest.approx([203, 1000], rel=0.01)
    assert tonemap.hlg_scene(np.array([0.5, 1.0])) == pytest.approx([1 / 12, 1.0], abs=1e-4)
    codes = np.repeat((np.array([0.30, 0.5081, 0.5807, 0.7518, 1.0]) * 65535).astype(np.uint16), 3)
    shown = tonemap.to_bt709(codes.reshape(1, 5, 3), "PQ")[0, :, 0].astype(int)
    assert shown[2] > 210
    assert list(shown) == sorted(shown)
    assert shown[3] == 255
    curve = tonemap.shoulder(np.linspace(0, 4.93, 2000, dtype=np.float32), 1000 / 203)
    assert np.diff(curve).min() >= 0
    assert curve[-1] == pytest.approx(1.0, abs=1e-4)


def test_sdr_of_a_wide_gamut_keeps_grey() -> None:
    grey = np.full((4, 4, 3), 128 * 257, dtype=np.uint16)
    assert np.abs(tonemap.to_bt709(grey, "BT.2020").astype(int) - 128).max() <= 1


# -- what cannot be used --------------------------------------------------------------------------------------------


def short(folder: Path) -> Path:
    return write_numbered(folder / "v.mp4", 30)


def slow(folder: Path) -> Path:
    return write_numbered(folder / "v.mp4", 40, 10)


def little(folder: Path) -> Path:
    return write_numbered(folder / "v.mp4", 60, size=(160, 120))


def sound(folder: Path) -> Path:
    return write_sound(folder / "v.mp4")


def text(folder: Path) -> Path:
    (folder / "v.mp4").write_text("not a video\n" * 100)
    return folder / "v.mp4"


def empty(folder: Path) -> Path:
    (folder / "v.mp4").touch()
    return folder / "v.mp4"


def partial(folder: Path) -> Path:
    path = write_numbered(folder / "v.mp4", 80)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def playlist(folder: Path) -> Path:
    write_numbered(folder / "other.mp4", 60)
    (folder / "v.m3u8").write_text("#EXTM3U\n#EXTINF:2,\nother.mp4\n#EXT-X-ENDLIST\n")
    return folder / "v.m3u8"


def encrypted(folder: Path) -> Path:
    """As DRM leaves it: the sample entry is `encv`, and the samples are noise."""
    path = write_numbered(folder / "v.mp4", 60)
    data = path.read_bytes().replace(b"avc1", b"encv")
    at = data.index(b"mdat") + 4
    path.write_bytes(data[:at] + np.random.default_rng(1).bytes(2000) + data[at + 2000 :])
    return path


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (short, r"1\.2 s long, at least 2 s"),
        (slow, "10 frames per second, at least 15"),
        (little, "160x120 is too small for a face"),
        (sound, "only sound in it"),
        (text, "not a video that can be read"),
        (empty, "empty -> copy"),
        (partial, "partial copy or download"),
        (playlist, "not a video that can be read"),
        (encrypted, "encrypted"),
        (lambda folder: folder, "a folder -> name one"),
        (lambda folder: folder / "no.mp4", "no such file"),
        (lambda folder: Path("/dev/zero"), "not an ordinary file"),
    ],
)
def test_what_cannot_be_used_is_told_with_a_remedy(short_dir: Path, make: Callable[[Path], Path], says: str) -> None:
    path = make(short_dir)
    with pytest.raises(AssetError) as told:
        open_video(path)
    assert re.search(says, str(told.value)), told.value
    assert " -> " in str(told.value)


def test_a_damaged_stretch_is_counted_and_the_rest_is_read(short_dir: Path) -> None:
    path = write_numbered(short_dir / "v.ts", 120, options={"g": "10"})
    data = bytearray(path.read_bytes())
    middle = len(data) // 2 // 188 * 188
    data[middle : middle + 188 * 6] = b"\xff" * (188 * 6)
    path.write_bytes(data)
    video = open_video(path)
    shown = numbers(video)
    right = [k for k, number in shown if k == number]
    assert len(right) > 90, "what is whole keeps its place in time"
    assert right[-1] == 119


def test_a_file_of_more_than_four_gigabytes_is_read_like_any_other(short_dir: Path) -> None:
    """Its index lies behind 4.4 GB of nothing (a sparse file: it takes no disk)."""
    path = write_numbered(short_dir / "v.mp4", 60)
    data = path.read_bytes()
    moov = data.rindex(b"moov") - 4
    gap = 4_400_000_000
    with path.open("wb") as file:
        file.write(data[:moov] + struct.pack(">I4sQ", 1, b"free", gap))
        file.seek(moov + gap)
        file.write(data[moov:])
    assert path.stat().st_size > 4 << 30
    assert numbers(open_video(path)) == [(k, k) for k in range(60)]


def test_a_long_video_takes_no_more_memory_than_a_short_one(short_dir: Path) -> None:
    def peak(count: int) -> int:
        video = open_video(write_numbered(short_dir / f"{count}.mkv", count, numbers=(k % 256 for k in range(count))))
        tracemalloc.start()
        seen = sum(1 for _ in video.pictures())
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert seen == count
        return most

    assert peak(400) < peak(60) + 300_000, "one picture has 230 kB"
