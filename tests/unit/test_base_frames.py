"""Base frames from a file: the right picture from anywhere, nothing that waits on air, nothing dark in a bad file."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from pathlib import Path

import av
import numpy as np
import pytest

from broadcaster.errors import AssetError
from broadcaster.studio.avatar import ExpandedAvatar, expand, open_pack
from broadcaster.studio.base_frames import AHEAD, KEPT, CodedFrames, FramesAhead
from broadcaster.studio.coded import GROUP, CodedReader, CodedWriter, Picture
from tests.support.clips import make_clip_avatar

pytestmark = pytest.mark.unit

SIZE = (320, 180)
COUNT = 50
WAIT_S = 20.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip_avatar(tmp_path_factory.mktemp("clip"), size=SIZE)[0]


@pytest.fixture(scope="module")
def raw(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> ExpandedAvatar:
    return expand(folder, tmp_path_factory.mktemp("cache"), *SIZE, 25)


@pytest.fixture(scope="module")
def coded(folder: Path, raw: ExpandedAvatar) -> ExpandedAvatar:
    return expand(folder, raw.root.parents[1], *SIZE, 25, budget=0)


def same(one: Picture, other: Picture) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_the_budget_decides_and_both_packs_stay(folder: Path, raw: ExpandedAvatar, coded: ExpandedAvatar) -> None:
    assert (raw.decoded, coded.decoded) == (False, True)
    cache = raw.root.parents[1]
    assert expand(folder, cache, *SIZE, 25).root == raw.root
    assert expand(folder, cache, *SIZE, 25, budget=0).root == coded.root
    assert expand(folder, cache, *SIZE, 25, budget=320 * 180 * 3 // 2 * COUNT).root == raw.root
    assert expand(folder, cache, *SIZE, 25, budget=320 * 180 * 3 // 2 * COUNT - 1).root == coded.root
    assert (coded.root / "base.mkv").samefile(folder / "clip.mkv")
    assert coded.disk_bytes() < raw.disk_bytes() / 5


def test_any_picture_in_any_order_is_the_raw_one(raw: ExpandedAvatar, coded: ExpandedAvatar) -> None:
    order = [0, 1, 2, 3, 30, 31, 7, 49, 0, 12, 11, 24, 23, 49, 48, 13, 13, 37]
    for index in [*order, *range(COUNT), *range(COUNT)]:
        planes = coded.frame(index)
        assert same(planes, raw.frame(index)), index
        assert not any(plane.flags.writeable for plane in planes)
    assert coded.held == 0


def test_another_size_is_coded_once_and_looks_the_same(folder: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    pack = expand(folder, tmp_path, 160, 90, 25, lambda done, total: told.append((done, total)), budget=0)
    exact = expand(folder, tmp_path, 160, 90, 25)
    assert told == [(n, COUNT) for n in range(1, COUNT + 1)]
    for index in range(COUNT):
        for one, other in zip(pack.frame(index), exact.frame(index), strict=True):
            assert np.square(one.astype(np.int32) - other).mean() < 3.0
    with av.open(str(pack.root / "base.mkv")) as container:
        stream = container.streams.video[0]
        packets = [packet for packet in container.demux(stream) if packet.size]
        assert [n for n, packet in enumerate(packets) if packet.is_keyframe] == list(range(0, COUNT, GROUP))
        assert [packet.pts for packet in packets] == [40 * n for n in range(COUNT)]
        context = stream.codec_context
        assert (context.color_range, context.colorspace, context.has_b_frames) == (1, 1, False)


def test_only_the_last_pictures_are_kept(coded: ExpandedAvatar) -> None:
    reader = CountingReader(coded.root / "base.mkv")
    frames = CodedFrames(reader, coded.frame(0))
    assert reader.asked == []
    for index in (0, 1, 2, 3, 2, 1, 0):
        frames.planes(index)
    assert reader.asked == [0, 1, 2, 3]
    assert KEPT == 4
    frames.planes(4)
    frames.planes(0)
    assert reader.asked == [0, 1, 2, 3, 4, 0]
    frames.close()


class CountingReader(CodedReader):
    """A real reader that notes what it is asked, and waits at a gate where there is one."""

    def __init__(self, path: Path, gate: threading.Event | None = None) -> None:
        super().__init__(path, *SIZE)
        self.asked: list[int] = []
        self.gate = gate

    def read(self, index: int) -> Picture | None:
        self.asked.append(index)
        if self.gate is not None:
            assert self.gate.wait(WAIT_S)
        return super().read(index)


def test_pictures_ahead_are_there_round_the_loop(raw: ExpandedAvatar, coded: ExpandedAvatar) -> None:
    air = coded.on_air()
    assert raw.on_air() is raw
    for tick in range(2 * COUNT + 5):
        frames = air._frames
        assert isinstance(frames, FramesAhead)
        assert frames.filled(WAIT_S)
        assert same(air.frame(tick % COUNT), raw.frame(tick % COUNT)), tick
        assert len(frames._ready) <= AHEAD
    assert air.held == 0
    air.close()
    assert not frames._thread.is_alive()


def test_a_picture_that_is_not_decoded_is_the_last_one_again(raw: ExpandedAvatar, coded: ExpandedAvatar) -> None:
    gate = threading.Event()
    gate.set()
    reader = CountingReader(coded.root / "base.mkv", gate)
    frames = FramesAhead(reader, COUNT, coded.frame(0))
    assert frames.filled(WAIT_S)
    gate.clear()
    for index in range(AHEAD):
        shown = frames.planes(index)
        assert same(shown, raw.frame(index))
    for index in range(AHEAD, AHEAD + 5):
        assert frames.planes(index) is shown
    assert frames.held == 5
    assert len(reader.asked) <= AHEAD + 1
    gate.set()
    assert frames.filled(WAIT_S)
    last = AHEAD + 4 + AHEAD - 1
    assert same(frames.planes(last), raw.frame(last)), "what follows is there, though some were left out"
    assert frames.held == 5
    frames.close()


def test_it_may_begin_anywhere(raw: ExpandedAvatar, coded: ExpandedAvatar) -> None:
    frames = FramesAhead(CodedReader(coded.root / "base.mkv", *SIZE), COUNT, coded.frame(0), start=37)
    assert frames.filled(WAIT_S)
    assert same(frames.planes(37), raw.frame(37))
    frames.planes(5)
    assert frames.filled(WAIT_S)
    assert same(frames.planes(5 + 2), raw.frame(7)), "the next two were left out, to get ahead again"
    frames.close()


def test_a_reader_that_is_always_late_leaves_pictures_out(coded: ExpandedAvatar) -> None:
    """Each read lets the air go on by three ticks: without leaving any out, every picture would come too late."""
    frames: FramesAhead

    class Slow(CodedReader):
        def read(self, index: int) -> Picture | None:
            found = super().read(index)
            if begun.wait(WAIT_S):
                for _ in range(3):
                    shown.append(frames.planes(next(ticks) % COUNT))
            return found

    begun = threading.Event()
    shown: list[Picture] = []
    ticks = iter(range(1, 1000))
    frames = FramesAhead(Slow(coded.root / "base.mkv", *SIZE), COUNT, coded.frame(0))
    begun.set()
    while len(shown) < 300:
        threading.Event().wait(0.002)
    frames.close()
    assert len({id(picture) for picture in shown}) > 20
    assert frames.held < len(shown)


def damaged(coded: ExpandedAvatar, folder: Path, first: int) -> ExpandedAvatar:
    """A copy whose pictures from `first` to the end of that group are overwritten."""
    root = Path(shutil.copytree(coded.root, folder / "pack"))
    path = root / "base.mkv"
    with av.open(str(path)) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    data = bytearray(path.read_bytes())
    for packet in packets[first : first // GROUP * GROUP + GROUP]:
        at = bytes(data).index(packet)
        data[at + 5 : at + len(packet)] = bytes(len(packet) - 5)
    path.unlink()
    path.write_bytes(data)
    return open_pack(root)


@pytest.mark.parametrize("first", [0, 12, 15])
def test_damage_holds_the_last_picture_until_the_next_group(
    raw: ExpandedAvatar, coded: ExpandedAvatar, tmp_path: Path, first: int, caplog: pytest.LogCaptureFixture
) -> None:
    pack = damaged(coded, tmp_path, first)
    end = first // GROUP * GROUP + GROUP
    good = [n for n in range(COUNT) if not first <= n < end]
    for index in good:
        assert same(pack.frame(index), raw.frame(index)), index
    assert pack.held == 0
    pack.frame(COUNT - 1)
    assert same(pack.frame(first), raw.frame(COUNT - 1))
    assert pack.held == 1
    air = pack.on_air()
    last = raw.frame(0)
    for index in range(COUNT):
        assert isinstance(air._frames, FramesAhead)
        assert air._frames.filled(WAIT_S)
        last = raw.frame(index) if index in good else last
        assert same(air.frame(index), last), index
    assert air.held == end - first
    air.close()
    assert [r.message for r in caplog.records].count("a picture of the avatar is damaged; the last one is held") == 1


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("base.mkv", b"short", r"base\.mkv: 5 bytes, must be \d+; remove"),
        ("base.mkv", None, r"base\.mkv: missing; remove"),
        ("first.i420", b"short", r"pack\.json: damaged \(first\.i420 holds 5 bytes\); remove"),
        ("frames.npz", b"short", r"frames\.npz: damaged"),
        ("frames.npz", None, r"frames\.npz: missing"),
        ("mesh.npy", None, r"mesh\.npy: missing"),
        ("masks.npy", b"short", r"mesh\.npy: damaged|masks\.npy: damaged"),
    ],
)
def test_a_damaged_pack_of_a_clip_is_refused(
    coded: ExpandedAvatar, tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    pack = shutil.copytree(coded.root, tmp_path / "pack")
    (pack / name).unlink()
    if content is not None:
        (pack / name).write_bytes(content)
    with pytest.raises(AssetError, match=message):
        open_pack(pack)


def test_only_decoded_packs_need_pyav(raw: ExpandedAvatar, coded: ExpandedAvatar) -> None:
    script = (
        "import sys; from pathlib import Path; from broadcaster.studio.avatar import open_pack\n"
        f"open_pack(Path({str(raw.root)!r})).on_air().frame(3); print('av' in sys.modules, 'cv2' in sys.modules)\n"
        f"open_pack(Path({str(coded.root)!r})).frame(3); print('av' in sys.modules, 'cv2' in sys.modules)\n"
    )
    root = Path(__file__).parents[2]
    told = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, check=True)
    assert told.stdout.decode().split() == ["False", "False", "True", "False"]


def test_a_long_loop_takes_no_more_than_its_budget(tmp_path: Path) -> None:
    """Noise cannot be compressed: the limit is what holds."""
    noise = np.random.default_rng(5)
    writer = CodedWriter(tmp_path / "a.mkv", *SIZE, 25, frames=75, most=3_000_000)
    for _ in range(75):
        planes = [noise.integers(0, 255, shape, dtype=np.uint8) for shape in ((180, 320), (90, 160), (90, 160))]
        writer.add((planes[0], planes[1], planes[2]))
    writer.close()
    assert 1_000_000 < (tmp_path / "a.mkv").stat().st_size < 3_600_000


def test_two_threads_at_different_places_get_their_own_pictures(raw: ExpandedAvatar, coded: ExpandedAvatar) -> None:
    """An engine that is loaded in the background reads the pack that its stand-in shows meanwhile."""
    wrong: list[object] = []
    together = threading.Barrier(2)

    def read(start: int) -> None:
        together.wait(WAIT_S)
        for index in range(start, start + 25):
            try:
                if not same(coded.frame(index), raw.frame(index)):
                    wrong.append(index)
            except Exception as err:
                wrong.append(err)

    threads = [threading.Thread(target=read, args=(start,)) for start in (0, 25)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)
    assert wrong == []
    assert coded.held == 0
