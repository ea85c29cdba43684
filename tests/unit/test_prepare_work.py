"""From a video to an avatar's folder: what is in it, and that nothing is lost when the work is broken off."""

from __future__ import annotations

import hashlib
import itertools
import json
import shutil
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import yaml

from broadcaster.config.avatar import ClipManifest, manifest_of
from broadcaster.errors import AssetError, Refused
from broadcaster.face import eye_openness, mouth_openness
from broadcaster.head.prepare.checking import manifest_in, problems
from broadcaster.head.prepare.looking import Fault
from broadcaster.head.prepare.mesh import FaceMesher
from broadcaster.head.prepare.order import Order
from broadcaster.head.prepare.planning import bridged, usable_stretches
from broadcaster.head.prepare.report import unusable_of
from broadcaster.head.prepare.survey import Survey
from broadcaster.head.prepare.work import prepare_video
from broadcaster.head.prepare.writing import write_piece
from broadcaster.studio.avatar import expand
from tests.support import prepared
from tests.support.prepared import ABOUT, PERIOD, Broken, Watched, anchor, head, order_for, truth

pytestmark = pytest.mark.unit


def clip_of(folder: Path) -> list[np.ndarray]:
    """The clip's pictures, BGR."""
    with av.open(str(folder / "clip.mkv")) as clip:
        return [frame.to_ndarray(format="bgr24") for frame in clip.decode(video=0)]


def faces_of(folder: Path) -> dict[str, np.ndarray]:
    with np.load(folder / "faces.npz", allow_pickle=False) as stored:
        return dict(stored)


def alike(one: np.ndarray, other: np.ndarray) -> float:
    """PSNR in dB."""
    return float(cv2.PSNR(one, other))


def test_the_loop_of_a_moving_head_is_found_and_closes() -> None:
    folder, report = anchor()
    assert report.loop == "cut"
    assert report.loop_pictures % PERIOD == 0
    assert report.seam_score < 1.5
    assert report.faces_found == report.looked_at == len(head())
    assert report.unusable == ()
    print(f"\nseam score {report.seam_score}, disk {report.disk} bytes, face {report.face_width} pixels")
    pictures = clip_of(folder)
    assert len(pictures) == report.loop_pictures
    inside = np.mean([cv2.norm(a, b) for a, b in itertools.pairwise(pictures)])
    assert cv2.norm(pictures[-1], pictures[0]) < 2 * inside


def test_clip_and_faces_are_what_the_contract_says() -> None:
    folder, report = anchor()
    manifest = manifest_of(yaml.safe_load((folder / "avatar.yaml").read_text()))
    assert isinstance(manifest, ClipManifest)
    assert (manifest.name, manifest.title, manifest.voice.zh) == ("anchor", "试播", "zf_xiaoxiao")
    with av.open(str(folder / "clip.mkv")) as clip:
        stream = clip.streams.video[0]
        context = stream.codec_context
        assert (context.name, context.pix_fmt, context.has_b_frames) == ("h264", "yuv420p", False)
        assert (context.color_range, context.colorspace) == (1, 1)
        assert stream.average_rate == 25
        keys = [packet.is_keyframe for packet in clip.demux(stream) if packet.size]
    assert [k for k, key in enumerate(keys) if key] == list(range(0, len(keys), 12))
    faces = faces_of(folder)
    count = report.loop_pictures
    shapes = {name: (array.dtype.name, array.shape) for name, array in faces.items()}
    assert shapes == {
        "mesh": ("float32", (count, 468, 2)),
        "boxes": ("int32", (count, 4)),
        "masks": ("uint8", (count, 64, 64)),
        "rest": ("int32", ()),
        "source": ("int32", (count,)),
    }
    rest = faces["mesh"][int(faces["rest"])]
    assert mouth_openness(rest) < 0.08
    assert eye_openness(rest) > 0.2
    assert list(problems(folder)) == []


def test_every_picture_is_the_one_it_says_it_was_made_from() -> None:
    folder, _ = anchor()
    for picture, number in list(zip(clip_of(folder), faces_of(folder)["source"], strict=True))[::7]:
        given = head()[int(number)]
        assert alike(picture, given) > 34
        assert alike(picture, given) > alike(picture, head()[(int(number) + 7) % len(head())])


def test_the_mesh_follows_the_head() -> None:
    """The nose's tip against the truth, by its distance from where it is in the first picture."""
    faces = faces_of(anchor()[0])
    known = np.array([truth().points("nose_base", int(k) % PERIOD)[0] for k in faces["source"]])
    seen = faces["mesh"][:, 2].astype(np.float64)
    off = (seen - seen[0]) - (known - known[0])
    error = np.sqrt((off**2).sum(axis=1).mean())
    print(f"\nnose against the truth: {error:.2f} pixels RMS of a face of {anchor()[1].face_width}")
    assert error < 1.5


def test_a_prepared_clip_is_expanded_for_the_air(short_dir: Path) -> None:
    pack = expand(anchor()[0], short_dir, 320, 180, 25)
    assert pack.loop_frames == anchor()[1].loop_pictures
    assert pack.crop(3).mask.shape == (64, 64)


def test_the_report_and_the_contact_sheet_lie_beside_it() -> None:
    folder, report = anchor()
    stored = json.loads((folder / "report.json").read_text())
    assert stored["seam_score"] == report.seam_score
    assert stored["disk"] == sum(
        path.stat().st_size for path in folder.iterdir() if path.name != "report.json"
    )  # fmt: skip
    for name, entry in stored["files"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == entry["sha256"]
    sheet = cv2.imread(str(folder / "contact-sheet.png"))
    assert sheet.shape[1] > 1500
    text = "\n".join(report.lines())
    for part in ("640x360, 25 fps", "95 of 95 pictures", "cut:", "seam", "disk"):
        assert part in text


def test_there_and_back_is_written_backwards_and_a_crossfade_is_mixed(short_dir: Path) -> None:
    report = prepared.prepared(short_dir / "back", loop="pingpong")
    pictures, source = clip_of(short_dir / "back"), faces_of(short_dir / "back")["source"]
    assert report.loop == "pingpong"
    half = len(pictures) // 2
    assert list(source[1:half]) == list(source[:half:-1])
    assert alike(pictures[half - 5], pictures[half + 5]) > 38
    report = prepared.prepared(short_dir / "faded", loop="crossfade")
    pictures, faces = clip_of(short_dir / "faded"), faces_of(short_dir / "faded")
    assert (report.loop, report.seam_score < 1.5) == ("crossfade", True)
    last, first = int(faces["source"][-1]), int(faces["source"][0])
    mixed = cv2.addWeighted(head()[last], 1 / 9, head()[first - 1], 8 / 9, 0)
    assert alike(pictures[-1], mixed) > 34


@pytest.mark.parametrize(
    ("stage", "at"),
    [
        ("looking for the face", 88),
        ("writing the clip", 30),
        ("writing faces and report", 0),
    ],
)
def test_broken_off_at_any_stage_the_same_command_goes_on_to_the_same_end(
    short_dir: Path, stage: str, at: int
) -> None:
    order = order_for(short_dir / "anchor")
    shutil.copytree(prepared.seen(), order.working)
    if stage == "looking for the face":
        forget_what_was_seen(order.working, from_picture=83)
    with pytest.raises(Broken):
        prepare_video(order, Watched(lambda name, done: name == stage and done >= at))
    assert not order.folder.exists()
    with (order.working / "mesh.f32").open("ab") as torn:
        torn.write(b"half a record")
    again = Watched()
    prepare_video(order, again)
    if stage == "looking for the face":
        assert again.stages[0] == (stage, 95, 85), "at the last multiple of five"
    for name in ("clip.mkv", "faces.npz"):
        assert (order.folder / name).read_bytes() == (anchor()[0] / name).read_bytes(), name
    assert not order.working.exists()


def forget_what_was_seen(working: Path, from_picture: int) -> None:
    """As after a kill at that picture."""
    (working / "seen.json").unlink()
    count = Survey(working, (640, 360)).count
    for path in (*working.glob("*.f32"), *working.glob("*.u8")):
        with path.open("r+b") as file:
            file.truncate(path.stat().st_size // count * from_picture)


def test_finished_pieces_are_not_encoded_again(short_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broadcaster.head.prepare.writing.PIECE", 24)
    order = order_for(short_dir / "anchor")
    shutil.copytree(prepared.seen(), order.working)
    with pytest.raises(Broken):
        prepare_video(order, Watched(lambda name, done: name == "writing the clip" and done >= 55))
    pieces = {path.name: path.stat().st_mtime_ns for path in order.working.glob("piece-*.mkv")}
    assert len(pieces) == 2
    kept = []

    def look(name: str, done: int) -> bool:
        if name == "writing faces and report":
            kept.append({p.name: p.stat().st_mtime_ns for p in order.working.glob("piece-*.mkv")})
        return False

    prepare_video(order, Watched(look))
    assert pieces.items() <= kept[0].items()
    assert len(clip_of(order.folder)) == len(faces_of(order.folder)["mesh"])


def test_other_work_is_not_mixed_in_and_nothing_is_overwritten(short_dir: Path) -> None:
    order = order_for(short_dir / "anchor")
    shutil.copytree(prepared.seen(), order.working)
    other = short_dir / "other.mkv"
    write_piece(other, iter(head()[:31]), 15, 1)
    with pytest.raises(Refused, match=r"unfinished work for .*anchor\.mkv.*--restart"):
        prepare_video(Order(other, "anchor", order.folder, ABOUT), Watched())
    shutil.copytree(anchor()[0], order.folder)
    with pytest.raises(Refused, match=r"is there already .*--replace"):
        prepare_video(order, Watched())
    before = (order.folder / "clip.mkv").read_bytes()
    again = order_for(order.folder, loop="pingpong", replace=True)
    with pytest.raises(Broken):
        prepare_video(again, Watched(lambda name, done: name == "writing faces and report"))
    assert (order.folder / "clip.mkv").read_bytes() == before, "the old one stays until the new one is whole"
    with pytest.raises(Broken):
        prepare_video(
            Order(other, "anchor", order.folder, ABOUT, replace=True),
            Watched(lambda name, done: name == "looking for the face" and done == 3),
            restart=True,
        )
    assert not list(order.working.glob("piece-*")), "begun anew"
    shutil.rmtree(order.working)
    shutil.copytree(prepared.seen(), order.working)
    prepare_video(again, Watched())
    assert (order.folder / "clip.mkv").read_bytes() != before


def test_a_kill_between_the_renames_does_not_lose_the_old_avatar(short_dir: Path) -> None:
    order = order_for(short_dir / "anchor")
    shutil.copytree(prepared.seen(), order.working)
    shutil.copytree(anchor()[0], order.working / "replaced")
    with pytest.raises(Refused, match=r"is there already .*--replace"):
        prepare_video(order, Watched(), restart=True)
    assert manifest_in(order.folder).name == "anchor"


def test_two_commands_do_not_write_one_avatar(short_dir: Path) -> None:
    order = order_for(short_dir / "anchor")
    shutil.copytree(prepared.seen(), order.working)

    def meanwhile(name: str, done: int) -> bool:
        if name == "writing the clip" and done == 1:
            with pytest.raises(Refused, match="by another command"):
                prepare_video(order, Watched())
        return done == 1

    with pytest.raises(Broken):
        prepare_video(order, Watched(meanwhile))


def test_stretches_without_a_face_are_left_out_and_told(short_dir: Path) -> None:
    """The first 1.2 s show no face; the 0.12 s of absence later are bridged."""
    order = order_for(short_dir / "v")
    shutil.copytree(prepared.seen(), order.working)
    away = [*range(30), 60, 61, 62]
    marks = np.memmap(order.working / "marks.f32", dtype="<f4", mode="r+", shape=(95, 6))
    meshes = np.memmap(order.working / "mesh.f32", dtype="<f4", mode="r+", shape=(95, 468, 2))
    marks[away, 0], meshes[away] = Fault.NO_FACE, np.nan
    del marks, meshes
    report = prepare_video(order, Watched())
    assert report.loop_from >= 1.2
    assert [(entry.reason, entry.pictures) for entry in report.unusable] == [("no face", 33)]
    assert report.unusable[0].stretches == ((0.0, 1.2), (2.4, 2.52))
    assert "33 of 95 pictures: no face (0.0 s to 1.2 s, 2.4 s to 2.5 s)" in "\n".join(report.lines())
    assert np.isfinite(faces_of(short_dir / "v")["mesh"]).all()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda picture: cv2.blur(picture, (201, 201)), "no face .* -> film one face from the front"),
        (lambda picture: np.hstack([picture[:, 160:480]] * 2), "more than one face .* -> film one person"),
        (lambda picture: cv2.resize(picture, (480, 270)), "the face is less than 100 pixels wide .* -> go nearer"),
        (
            lambda picture: picture[:, : picture.shape[1] // 2],
            "the face is cut off by the edge .* -> keep the whole face",
        ),
    ],
)
def test_a_video_without_a_usable_face_says_why_and_what_to_do(short_dir: Path, change: object, says: str) -> None:
    still = change(head()[0])  # type: ignore[operator]
    path = short_dir / "v.mkv"
    write_piece(path, iter([still] * 31), 15, 1)
    with pytest.raises(AssetError, match=f"no stretch of 2 s can be used.*31 of 31 pictures: {says}"):
        prepare_video(Order(path, "v", short_dir / "v", ABOUT), Watched())
    assert not (short_dir / ".preparing-v").exists(), "the name is free for a better video"


def test_only_the_asked_for_part_is_looked_at(short_dir: Path) -> None:
    watched = Watched(lambda name, done: name == "looking for the face" and done == 2)
    order = order_for(short_dir / "v", begin_s=1.0, end_s=3.2)
    with pytest.raises(Broken):
        prepare_video(order, watched)
    assert watched.stages[0][:2] == ("looking for the face", 55)
    with pytest.raises(AssetError, match=r"ends at 3\.8 s, before --from 9"):
        prepare_video(order_for(short_dir / "w", begin_s=9), Watched())
    with pytest.raises(AssetError, match=r"leave 1\.0 s"):
        prepare_video(order_for(short_dir / "w", begin_s=1, end_s=2), Watched())


def test_a_full_disk_is_found_before_the_work(short_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 10**9, 1_000_000))  # type: ignore[attr-defined]
    with pytest.raises(AssetError, match=r"0 MiB free, up to \d+ MiB are needed -> make room"):
        prepare_video(order_for(short_dir / "v"), Watched())


def test_a_mouth_behind_a_hand_is_not_used() -> None:
    """The survey of a real one, with the mouths of ten pictures hidden."""
    survey = Survey(prepared.seen(), (640, 360))
    assert set(survey.faults) == {Fault.NONE}
    mesher = FaceMesher(1)
    hidden = head()[20].copy()
    face = mesher.find(hidden)[0].mesh
    x, y = face[13].round().astype(int)
    cv2.ellipse(hidden, (int(x), int(y) + 6), (40, 26), 0, 0, 360, (60, 90, 60), -1)
    from broadcaster.head.prepare.covered import covered, trace_of

    traces = np.concatenate([np.fromfile(prepared.seen() / "trace.u8", dtype=np.uint8)]).reshape(survey.count, -1)
    assert covered(np.vstack([traces, trace_of(hidden, face)[None]]))[-1]


def test_stretches_bridge_short_gaps_only() -> None:
    faults = [Fault.NONE] * 60 + [Fault.NO_FACE] * 5 + [Fault.NONE] * 60 + [Fault.TURNED] * 20 + [Fault.NONE] * 30
    assert usable_stretches(faults, 25) == [(0, 124), (145, 174)]
    meshes = np.zeros((175, 468, 2), dtype=np.float32)
    meshes[:60], meshes[60:65], meshes[65:] = 1.0, np.nan, 7.0
    filled = bridged(meshes, faults, [(0, 124)])
    assert filled[59:66, 0, 0] == pytest.approx([1, 2, 3, 4, 5, 6, 7])
    told = unusable_of(faults, 0.04, 10.0)
    assert [(entry.reason, entry.pictures) for entry in told] == [("the head is turned too far", 20), ("no face", 5)]
    assert told[0].stretches == ((15.0, 15.8),)
