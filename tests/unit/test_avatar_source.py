"""Avatar folders: the shipped one is right, and whatever is wrong with one is said with file, key and remedy."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from broadcaster.errors import AssetError
from broadcaster.studio.avatar_source import fingerprint, load_source
from tests.support.faces import HOST

pytestmark = pytest.mark.unit

Edit = Callable[[Path], None]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(HOST, tmp_path / "avatar"))


def test_the_shipped_presenter_is_sound_and_small() -> None:
    source = load_source(HOST)
    assert not source.manifest.depicts_real_person
    assert source.manifest.licence
    assert (HOST / "NOTICE").read_text().strip()
    still = source.still()
    assert still.shape[0] >= 1080
    assert still.shape[1] >= 1920
    assert sum(path.stat().st_size for path in HOST.iterdir()) < 5_000_000
    for part in source.manifest.blink:
        picture = source.overlay(part, 3)
        assert part.x + picture.shape[1] <= still.shape[1]
        assert part.y + picture.shape[0] <= still.shape[0]
    for points in source.landmarks.values():
        assert (points >= 0).all()
        assert (points < (still.shape[1], still.shape[0])).all()


def manifest(**changes: object) -> Edit:
    def edit(folder: Path) -> None:
        path = folder / "avatar.yaml"
        document = yaml.safe_load(path.read_text())
        for key, value in changes.items():
            if value is None:
                del document[key]
            else:
                document[key] = value
        path.write_text(yaml.safe_dump(document))

    return edit


def points(**changes: object) -> Edit:
    def edit(folder: Path) -> None:
        path = folder / "landmarks.json"
        document = json.loads(path.read_text())
        for key, value in changes.items():
            if value is None:
                del document[key]
            else:
                document[key] = value
        path.write_text(json.dumps(document))

    return edit


def remove(name: str) -> Edit:
    return lambda folder: (folder / name).unlink()


def overwrite(name: str, content: bytes) -> Edit:
    def edit(folder: Path) -> None:
        (folder / name).write_bytes(content)

    return edit


FAULTS: dict[str, tuple[Edit, str]] = {
    "no manifest": (remove("avatar.yaml"), r"avatar\.yaml: missing; restore"),
    "manifest is not YAML": (overwrite("avatar.yaml", b"a: [1"), r"avatar\.yaml: not readable as YAML"),
    "manifest is empty": (overwrite("avatar.yaml", b""), r"avatar\.yaml: file:"),
    "manifest is binary": (overwrite("avatar.yaml", b"\xff\xfe\x00"), r"avatar\.yaml: not readable"),
    "unknown key": (manifest(colour="red"), r"avatar\.yaml: colour: Extra inputs"),
    "missing key": (manifest(licence=None), r"avatar\.yaml: licence: Field required"),
    "path outside the folder": (manifest(still="../still.webp"), r"avatar\.yaml: still:"),
    "newer format": (manifest(format=3), r"avatar\.yaml: file: Input tag '3'"),
    "no format": (manifest(format=None), r"avatar\.yaml: file: Unable to extract tag"),
    "a still called a clip": (manifest(format=2), r"avatar\.yaml: clip: Field required; faces: Field required"),
    "gesture backwards": (
        manifest(gestures={"nod": {"start": 2, "end": 1}}),
        r"gestures\.nod: ends at 1\.0 s, before",
    ),
    "gesture after the end": (
        manifest(gestures={"nod": {"start": 2, "end": 99}}),
        r"gestures\.nod: 99\.0 s is after",
    ),
    "loop too short": (manifest(idle={"seconds": 3}), r"idle\.seconds: .*greater than or equal to 8"),
    "blink after the end": (manifest(idle={"seconds": 8, "blinks": [8.5]}), r"idle\.blinks: 8\.5 is after the end"),
    "no landmarks": (remove("landmarks.json"), r"landmarks\.json: missing"),
    "landmarks are not JSON": (overwrite("landmarks.json", b"{"), r"landmarks\.json: not readable as JSON"),
    "landmarks are a list": (overwrite("landmarks.json", b"[]"), r"landmarks\.json: must be an object"),
    "no chin": (points(chin=None), r"point set 'chin' is missing"),
    "too few points": (points(lip_line=[[1, 2], [3, 4]]), r"lip_line: 2 points, at least 5"),
    "odd numbers": (points(chin=[1, 2, 3]), r"chin: must be a list of \[x, y\] pairs"),
    "not a number": (points(chin=[[float("nan"), 2]]), r"chin: 1 points, at least 1 finite"),
    "mesh too short": (points(mesh=[[1, 2]]), r"mesh: shape \(1, 2\); 468 finite points"),
    "mesh of words": (points(mesh="face"), r"mesh: must be a list of \[x, y\] pairs"),
    "backwards line": (points(lip_line=[[5, 1], [4, 1], [3, 1], [2, 1], [1, 1]]), r"x must grow from the left"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_wrong_is_said(folder: Path, fault: str) -> None:
    edit, message = FAULTS[fault]
    edit(folder)
    with pytest.raises(AssetError, match=message):
        load_source(folder)


def test_damaged_pictures_are_named(folder: Path) -> None:
    source = load_source(folder)
    (folder / source.manifest.still).write_bytes(b"not a picture")
    with pytest.raises(AssetError, match=r"still\.webp: not a picture"):
        source.still()
    (folder / source.manifest.still).write_bytes((folder / source.manifest.inner_mouth.upper.file).read_bytes())
    with pytest.raises(AssetError, match="must be 8-bit colour without transparency"):
        source.still()


def test_the_fingerprint_follows_what_is_seen(folder: Path) -> None:
    def now() -> str:
        return fingerprint(load_source(folder))

    before = now()
    assert before == fingerprint(load_source(HOST))
    manifest(title="Another", licence="MIT", engine="still", voice={"speed": 1.2})(folder)
    (folder / "extra.txt").write_text("a recording of the voice")
    assert now() == before
    seen = {before}
    for edit in (
        manifest(focus=[0.4, 0.5]),
        manifest(mouth={"opening": 0.8}),
        points(chin=[[900, 900]]),
        lambda f: (f / "teeth-upper.webp").write_bytes((f / "teeth-lower.webp").read_bytes()),
    ):
        edit(folder)
        seen.add(now())
    assert len(seen) == 5
