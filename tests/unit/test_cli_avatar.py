"""`broadcaster avatar`: prepared, listed, shown, checked and removed; nobody's face is animated unasked."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from PIL import Image

from broadcaster.cli.main import main
from tests.support import prepared
from tests.support.prepared import head

pytestmark = pytest.mark.unit

HOST = Path(__file__).parents[2] / "avatars/host"
PHOTO = HOST / "still.webp"

Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def home(short_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the shipped presenter and a configuration of a small picture."""
    monkeypatch.chdir(short_dir)
    shutil.copytree(HOST, short_dir / "avatars/host")
    config = {"channel": "news", "state_dir": str(short_dir), "voice": {"engine": "tone"}}
    config["video"] = {"width": 320, "height": 180}
    (short_dir / "config.yaml").write_text(yaml.safe_dump(config))
    return short_dir


@pytest.fixture
def cli(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    def run(*arguments: str, answers: str | None = None) -> tuple[int, str, str]:
        """`answers`: what a person types at a terminal; None: there is none."""
        stdin = io.StringIO(answers or "")
        stdin.isatty = lambda: answers is not None  # type: ignore[method-assign]
        monkeypatch.setattr("sys.argv", ["broadcaster", "avatar", *arguments, "-c", str(home / "config.yaml")])
        monkeypatch.setattr("sys.stdin", stdin)
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return run


@pytest.fixture
def with_anchor(home: Path) -> Path:
    """Folder of a presenter that was prepared from a video."""
    shutil.copytree(prepared.anchor()[0], home / "avatars/anchor")
    return home / "avatars/anchor"


def manifest(home: Path, name: str) -> dict[str, object]:
    data: dict[str, object] = yaml.safe_load((home / "avatars" / name / "avatar.yaml").read_text())
    return data


# -- prepare --------------------------------------------------------------------------------------------------------


def test_a_photograph_becomes_a_presenter_that_is_ready_for_the_air(cli: Cli, home: Path) -> None:
    code, out, err = cli(
        "prepare", str(PHOTO), "--name", "pic", "--synthetic", "--title", "照片", "--licence", "CC0-1.0",
        "--engine", "warp", "--voice-zh", "zf_xiaoyi",
    )  # fmt: skip
    assert code == 0, err
    made = manifest(home, "pic")
    assert (made["format"], made["title"], made["licence"], made["engine"]) == (1, "照片", "CC0-1.0", "warp")
    assert (made["voice"], made["depicts_real_person"]) == ({"zh": "zf_xiaoyi"}, False)
    assert "consent" not in made
    assert "a still, 1920x1280" in out
    assert (home / "avatars/pic/contact-sheet.png").is_file()
    points = json.loads((home / "avatars/pic/landmarks.json").read_text())
    assert len(points["mesh"]) == 468
    assert cli("check", "pic")[:2] == (0, "Avatar pic is sound.\n")
    shown = json.loads(cli("show", "pic", "--json")[1])
    assert [pack["picture"] for pack in shown["packs"]] == ["320x180@25"]
    assert "avatar: pic" in out


def test_a_video_becomes_a_presenter_by_the_command(cli: Cli, home: Path) -> None:
    """Its work was broken off before the loop was found: the command goes on."""
    shutil.copytree(prepared.seen(), home / "avatars/.preparing-anchor")
    code, out, err = cli(
        "prepare", str(prepared.video()), "--name", "anchor", "--synthetic", "--seconds", "2.4", "--json"
    )  # fmt: skip
    assert code == 0, err
    report = json.loads(out)
    assert (report["kind"], report["loop"], report["fps"]) == ("clip", "cut", 25)
    assert report["files"].keys() >= {"clip.mkv", "faces.npz", "avatar.yaml", "contact-sheet.png"}
    assert "looking for the face" not in err
    assert "expanding for 320x180" in err


def test_of_a_real_person_nothing_is_made_without_consent(cli: Cli, home: Path) -> None:
    for arguments, says in (
        ((), "nobody can be asked here"),
        (("--real-person",), "nobody can be asked for consent"),
        (("--consent-by", "李雷"), "give both --consent-by NAME and --i-have-consent"),
        (("--i-have-consent",), "give both"),
    ):
        code, _, err = cli("prepare", str(PHOTO), "--name", "me", *arguments)
        assert code == 1
        assert says in err
    code, _, err = cli("prepare", str(PHOTO), "--name", "me", answers="y\n李雷\n\n\nn\n")
    assert (code, "nothing was written" in err) == (1, True)
    assert sorted(path.name for path in (home / "avatars").iterdir()) == ["host"]


def test_the_consent_note_says_who_when_and_for_what(cli: Cli, home: Path) -> None:
    note = ("--consent-by", "李雷", "--i-have-consent", "--scope", "the evening news")
    assert cli("prepare", str(PHOTO), "--name", "me", "--no-expand", *note)[0] == 0
    made = manifest(home, "me")
    assert made["depicts_real_person"] is True
    assert str(made["consent"]).startswith("李雷, 20")
    assert str(made["consent"]).endswith(": the evening news")
    answers = "y\n韩梅梅\n\n她的律师\ny\n"
    assert cli("prepare", str(PHOTO), "--name", "her", "--no-expand", answers=answers)[0] == 0
    assert str(manifest(home, "her")["consent"]).startswith("她的律师 for 韩梅梅, 20")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("no.mp4", "--name", "a"), "there is no such file"),
        (("avatars", "--name", "a"), "a folder -> name one"),
        (("config.yaml", "--name", "a"), "not a video that can be read"),
        ((str(PHOTO), "--name", "host"), "is there already -> choose another --name, or add --replace"),
        ((str(PHOTO), "--name", "Ä"), "small letters"),
        ((str(PHOTO), "--name", "a", "--engine", "wrap"), "one of: musetalk, onnx, still, warp"),
    ],
)
def test_what_cannot_work_is_refused_before_anybody_is_asked(
    cli: Cli, home: Path, arguments: tuple[str, ...], says: str
) -> None:
    code, out, err = cli("prepare", *arguments, answers="")
    assert code != 0
    assert says in err
    assert "real person" not in out + err


def test_photographs_of_all_kinds_are_brought_upright_and_to_srgb(cli: Cli, home: Path) -> None:
    picture = Image.fromarray(head()[0][:, 120:520, ::-1])
    turned = picture.rotate(90, expand=True)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    turned.save(home / "turned.jpg", quality=95, exif=exif)
    clear = picture.convert("RGBA")
    clear.putpixel((0, 0), (0, 0, 0, 0))
    clear.resize((802, 721)).save(home / "odd.png")
    for name, size, said in (("turned.jpg", "400x360", "turned upright"), ("odd.png", "802x720", "transparency")):
        code, out, err = cli("prepare", name, "--name", name[:3], "--synthetic", "--no-expand")
        assert code == 0, err
        assert f"a still, {size}" in out
        assert said in out
        assert cli("check", name[:3])[0] == 0


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda picture: cv2.blur(picture, (201, 201)), "no face was found in it -> use a photograph"),
        (lambda picture: np.hstack([picture[:, 160:480]] * 2), "more than one face -> cut the others out"),
        (lambda picture: picture[::4, ::4], "no face was found|less than 100 pixels wide -> use a larger one"),
    ],
)
def test_a_photograph_without_a_usable_face_says_why(
    cli: Cli, home: Path, change: Callable[[np.ndarray], np.ndarray], says: str
) -> None:
    cv2.imwrite(str(home / "bad.png"), change(head()[0]))
    code, _, err = cli("prepare", "bad.png", "--name", "bad", "--synthetic")
    assert code == 78
    assert any(part in err for part in says.split("|"))
    assert not (home / "avatars/bad").exists()


def test_killed_the_command_leaves_work_that_it_goes_on_with(home: Path) -> None:
    """A real kill -9 in the middle of looking, and the same command again."""
    arguments = ["prepare", str(prepared.video()), "--name", "a", "--synthetic", "--no-expand", "--seconds", "2.4"]
    command = [sys.executable, "-m", "broadcaster.cli", "avatar", *arguments]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    shutil.copytree(prepared.seen(), home / "avatars/.preparing-a")
    working = home / "avatars/.preparing-a"
    (working / "seen.json").unlink()
    for path, size in ((working / "marks.f32", 24), (working / "mesh.f32", 3744)):
        os.truncate(path, 70 * size + 7)
    process = subprocess.Popen(command, cwd=home, env=environment, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    assert "70 of 95 pictures done" in process.stderr.readline()
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    process.stderr.close()
    assert (working / "job.json").is_file()
    assert not (home / "avatars/a").exists()
    done = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert (home / "avatars/a/clip.mkv").read_bytes() == (prepared.anchor()[0] / "clip.mkv").read_bytes()


# -- list, show, check, remove --------------------------------------------------------------------------------------


def test_the_list_shows_every_presenter_and_marks_the_configured_one(cli: Cli, with_anchor: Path) -> None:
    code, out, _ = cli("list")
    lines = out.splitlines()
    assert code == 0
    assert [line.split()[:2] for line in lines] == [["anchor", "clip"], ["*", "host"]]
    assert "640x360" in lines[0]
    assert "25 fps" in lines[0]
    assert "not expanded" in lines[0]
    rows = json.loads(cli("list", "--json")[1])
    assert [(row["name"], row["kind"], row["configured"]) for row in rows] == [
        ("anchor", "clip", False),
        ("host", "still", True),
    ]
    assert rows[0]["seconds"] == prepared.anchor()[1].loop_seconds
    (with_anchor / "avatar.yaml").write_text("format: 3\n")
    code, out, _ = cli("list")
    assert code == 0
    assert "format" in out


def test_show_tells_how_it_was_made(cli: Cli, with_anchor: Path) -> None:
    code, out, _ = cli("show", "anchor")
    assert code == 0
    for part in ("试播", "no real person", "CC0-1.0", "zh zf_xiaoxiao", "seam", "anchor.mkv", "not yet"):
        assert part in out
    assert json.loads(cli("show", "anchor", "--json")[1])["report"]["loop"] == "cut"
    assert cli("show", "nobody")[0] == 78


def test_check_finds_what_is_missing_changed_or_wrong(cli: Cli, with_anchor: Path) -> None:
    assert cli("check", "anchor")[:2] == (0, "Avatar anchor is sound.\n")
    assert cli("check", "host")[0] == 0
    whole = {path.name: path.read_bytes() for path in with_anchor.iterdir()}
    faces = dict(np.load(io.BytesIO(whole["faces.npz"])))

    def saved(**change: object) -> bytes:
        out = io.BytesIO()
        np.savez(out, **(faces | change))  # type: ignore[arg-type]
        return out.getvalue()

    text = whole["avatar.yaml"].decode()
    for name, data, says in (
        ("clip.mkv", None, "clip.mkv: missing -> restore it"),
        ("clip.mkv", whole["clip.mkv"][:-3000], "not as it was prepared"),
        ("clip.mkv", b"x" * 5000, "clip.mkv: damaged"),
        ("faces.npz", whole["faces.npz"][:900], "faces.npz: damaged"),
        ("faces.npz", saved(mesh=faces["mesh"][:-1]), "must be float32"),
        ("faces.npz", saved(mesh=faces["mesh"] + 2000), "points outside of the picture"),
        ("faces.npz", saved(rest=np.int32(10_000)), "is no picture of the clip"),
        ("teeth-upper.png", None, "teeth-upper.png: missing"),
        ("avatar.yaml", b"format: 2\n", "name: Field required"),
        ("avatar.yaml", text.replace("name: anchor", "name: other").encode(), "write the folder's name"),
        ("avatar.yaml", text.replace("person: false", "person: true").encode(), "who allowed it"),
        ("avatar.yaml", (text + "gestures: {nod: {start: 1, end: 99}}\n").encode(), "gestures.nod: 1 to 99 s"),
    ):
        path = with_anchor / name
        path.unlink() if data is None else path.write_bytes(data)
        code, out, err = cli("check", "anchor")
        assert code == 1, (name, says)
        assert says in out, (out, err)
        assert " -> " in out
        path.write_bytes(whole[name])
    (with_anchor / "clip.mkv").unlink()
    assert json.loads(cli("check", "anchor", "--json")[1])["problems"][0].endswith("or prepare the avatar again")


def test_remove_asks_takes_the_packs_too_and_spares_the_configured_one(
    cli: Cli, home: Path, with_anchor: Path
) -> None:
    packs = home / "cache/avatars"
    (packs / "anchor-320x180@25-0123456789ab.3").mkdir(parents=True)
    (packs / "anchor-two-320x180@25-0123456789ab.3").mkdir()
    (home / "avatars/.preparing-anchor").mkdir()
    code, _, err = cli("remove", "host", "--yes")
    assert (code, "is the presenter of this configuration" in err) == (1, True)
    assert cli("remove", "anchor", answers="n\n")[0] == 1
    assert with_anchor.is_dir()
    assert cli("remove", "anchor", answers="y\n")[0] == 0
    assert sorted(path.name for path in (home / "avatars").iterdir()) == ["host"]
    assert [path.name for path in packs.iterdir()] == ["anchor-two-320x180@25-0123456789ab.3"]
    (home / "avatars/.preparing-half").mkdir()
    assert cli("remove", "half", "--yes")[0] == 0
    assert cli("remove", "half", "--yes")[0] == 78
