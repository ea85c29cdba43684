"""The engine server over real sockets: sessions, turns, avatars. What paints is a stand-in without networks."""

from __future__ import annotations

import os
import random
import stat
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from typer.testing import CliRunner

from broadcaster.cli.main import app
from broadcaster.config import HeadConfig
from broadcaster.config.head import MuseTalkConfig
from broadcaster.doctor_head import weights
from broadcaster.errors import AssetError, HeadError, NotRunning
from broadcaster.head.musetalk.batcher import BOUND
from broadcaster.head.musetalk.faces import Face, Wanted
from broadcaster.head.musetalk.generator import Job, Latents
from broadcaster.head.musetalk.link import hello_of, state_of
from broadcaster.head.musetalk.messages import PROTOCOL, Hello
from broadcaster.head.musetalk.remote import RemoteFaces
from broadcaster.head.musetalk.window import SoundWindow
from broadcaster.paths import Paths
from tests.face.support.serving import latents, opened, serving, spoken, taken, until
from tests.fakes.face_maker import FaceMaker, painted
from tests.support.faces import voiced

pytestmark = pytest.mark.integration


@pytest.fixture
def path(short_dir: Path) -> Path:
    return short_dir / "head.sock"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return latents(tmp_path / "latents.npy")


@pytest.fixture
def maker(path: Path) -> Iterator[FaceMaker]:
    """What the running server paints with."""
    made = FaceMaker()
    with serving(path, made):
        yield made


def wanted(*keys: int) -> list[Wanted]:
    return [Wanted(key, 2 * key, key % 5) for key in keys]


def keys(faces: RemoteFaces, count: int) -> list[int]:
    return [face.key for face in taken(faces, count)]


def test_the_socket_is_for_its_user_alone(path: Path, maker: FaceMaker) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert hello_of(path) == Hello(PROTOCOL, "1.5", "0123456789ab", "cpu", 4)


def test_a_face_is_made_of_its_row_and_of_the_sound_that_was_heard(path: Path, maker: FaceMaker, file: Path) -> None:
    faces, sound, pcm = opened(path, file), SoundWindow(), voiced(24_000)
    faces.hear(pcm)
    sound.hear(pcm)
    questions = [Wanted(7, 12, 3), Wanted(8, 14, 0), Wanted(9, -40, 1), Wanted(10, 100_000, 2), Wanted(11, 40, 2)]
    faces.ask(questions)
    faces.flush()
    held = Latents(np.load(file), 5)
    for question, face in zip(questions, taken(faces, 5), strict=True):
        step = min(max(question.step, -6), 25 + 4)
        assert face.key == question.key
        assert np.array_equal(face.pixels, painted(Job(held, question.row, sound.heard(step))))
    faces.close()


def test_channels_do_not_change_each_others_faces(path: Path, maker: FaceMaker, tmp_path: Path) -> None:
    files = [latents(tmp_path / f"{name}.npy", seed=seed) for name, seed in (("a", 1), ("b", 2), ("c", 1))]

    def pixels(seed: int) -> list[bytes]:
        faces = opened(path, files[seed], channel=f"channel {seed}")
        found = [face.pixels.tobytes() for face in spoken(faces, 1.0, seed)]
        faces.close()
        return found

    alone = [pixels(seed) for seed in range(3)]
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(pixels, range(3)))
    assert together == alone
    assert maker.held == 2  # the same latents in two files are one avatar


def test_what_is_asked_for_far_ahead_comes_in_its_order(path: Path, maker: FaceMaker, file: Path) -> None:
    faces, count = opened(path, file), 3 * BOUND + 1
    faces.ask(wanted(*range(count)))
    faces.flush()
    assert faces.asked == count
    assert keys(faces, count) == list(range(count))
    assert (faces.asked, faces.lost) == (0, 0)
    faces.close()


def test_a_part_of_a_batch_does_not_wait_for_ever(path: Path, maker: FaceMaker, file: Path) -> None:
    faces = opened(path, file)
    faces.ask(wanted(1))
    assert keys(faces, 1) == [1]
    assert faces.take(0) == []
    faces.close()


def test_a_new_utterance_makes_the_old_one_void(path: Path, maker: FaceMaker, file: Path) -> None:
    faces = opened(path, file)
    maker.hold_back()
    faces.ask(wanted(*range(30)))
    until(lambda: maker.in_flight == 2)
    faces.begin()
    assert faces.asked == 0
    faces.ask(wanted(100))
    faces.flush()
    until(lambda: state_of(path).sessions[0].waiting == 2 * 4 + 1)
    maker.release()
    assert keys(faces, 1) == [100]
    assert faces.take(0) == []
    until(lambda: faces.take(0) == [] and faces.owing == 0)
    (session,) = state_of(path).sessions
    assert (session.asked, session.made, session.void, session.lost) == (31, 1, 30, 0)
    faces.close()


def test_a_greedy_channel_gets_no_more_than_a_modest_one(path: Path, maker: FaceMaker, file: Path) -> None:
    greedy, modest = opened(path, file), opened(path, file)
    maker.hold_back()
    greedy.ask(wanted(*range(60)))
    until(lambda: maker.in_flight == 2)
    modest.ask(wanted(*range(8)))
    until(lambda: sum(session.waiting for session in state_of(path).sessions) == 68)
    maker.release(2)
    assert keys(greedy, 8) == list(range(8))
    maker.release(4)
    assert keys(modest, 8) == list(range(8))
    assert keys(greedy, 8) == list(range(8, 16))
    assert greedy.take(0) == []
    maker.release()
    assert keys(greedy, 44) == list(range(16, 60))
    greedy.close()
    modest.close()


def test_batches_are_shared(path: Path, maker: FaceMaker, file: Path) -> None:
    channels = [opened(path, file) for _ in range(4)]
    maker.hold_back()
    channels[0].ask(wanted(*range(8)))
    until(lambda: maker.in_flight == 2)
    for faces in channels:
        faces.ask(wanted(8, 9))
    until(lambda: sum(session.waiting for session in state_of(path).sessions) == 16)
    maker.release()
    assert keys(channels[0], 8) == list(range(8))
    for faces in channels:
        assert keys(faces, 2) == [8, 9]
        faces.close()
    assert maker.batches == [4, 4, 4, 4]


def test_a_channel_that_ends_leaves_the_others_alone(path: Path, maker: FaceMaker, file: Path) -> None:
    gone, stays = opened(path, file), opened(path, file)
    maker.hold_back()
    gone.ask(wanted(*range(40)))
    until(lambda: maker.in_flight == 2)
    stays.ask(wanted(0, 1))
    stays.flush()
    gone.close()
    until(lambda: len(state_of(path).sessions) == 1)
    maker.release()
    assert keys(stays, 2) == [0, 1]
    until(lambda: maker.in_flight == 0)
    assert sum(maker.batches) <= 8 + 2
    stays.close()


def test_the_state_tells_what_is_going_on(path: Path, maker: FaceMaker, file: Path) -> None:
    faces = opened(path, file, channel="news")
    spoken(faces, 1.0, seed=3)
    state = state_of(path)
    assert (state.device, state.version, state.decoder, state.batch) == ("cpu", "1.5", "full", 4)
    assert (state.faces, state.avatars, state.refused) == (25, 1, 0)
    assert state.batches == len(maker.batches)
    assert 0 < state.fill <= 1
    assert state.latents_mb == pytest.approx(5 * 16_384 / 1e6)
    (session,) = state.sessions
    assert (session.channel, session.pid, session.rows) == ("news", os.getpid(), 5)
    assert (session.asked, session.made, session.void, session.lost, session.waiting) == (25, 25, 0, 0, 0)
    assert len(session.avatar) == 12
    faces.close()


def test_avatars_are_shared_and_an_unused_one_makes_room(path: Path, tmp_path: Path) -> None:
    files = [latents(tmp_path / f"{seed}.npy", rows=5, seed=seed) for seed in range(3)]
    maker = FaceMaker()
    with serving(path, maker, limit=10 * 16_384):
        first, second = opened(path, files[0]), opened(path, files[1])
        with pytest.raises(HeadError, match="find no room") as caught:
            opened(path, files[2])
        assert caught.value.retryable
        second.close()
        until(lambda: len(state_of(path).sessions) == 1)
        again = opened(path, files[1])
        assert maker.held == 2
        again.close()
        until(lambda: len(state_of(path).sessions) == 1)
        third = opened(path, files[2])
        assert (maker.held, state_of(path).avatars) == (3, 2)
        with pytest.raises(AssetError, match=r"big\.npy: the latents take 0 MB, and this server holds 0 MB at most"):
            opened(path, latents(tmp_path / "big.npy", rows=11))
        first.close()
        third.close()


def test_the_latents_are_read_before_they_are_believed(path: Path, maker: FaceMaker, tmp_path: Path) -> None:
    good = np.zeros((3, 8, 32, 32), np.float16)
    holed = good.copy()
    holed[1, 2, 3, 4] = np.nan
    wrong = {
        "no latents: float16": good.astype(np.float32),
        r"\(3, 4, 32, 32\) are no latents": good[:, :4],
        r"\(0, 8, 32, 32\) are no latents": good[:0],
        "no numbers": holed,
    }
    for at, (said, values) in enumerate(wrong.items()):
        np.save(tmp_path / f"{at}.npy", np.ascontiguousarray(values))
        with pytest.raises(AssetError, match=said) as caught:
            opened(path, tmp_path / f"{at}.npy")
        assert str(tmp_path / f"{at}.npy") in str(caught.value)
        assert "avatar tensors" in str(caught.value)
    np.save(tmp_path / "good.npy", good)
    data = (tmp_path / "good.npy").read_bytes()
    for name, content, said in (
        ("short", data[:-1], "cut off"),
        ("long", data + b"x", "cut off"),
        ("text", b"version https://git-lfs.github.com/spec/v1\n", "not a .npy file"),
        ("empty", b"", "not a .npy file"),
        ("open bracket", data.replace(b"32)", b"32 "), "not a .npy file"),
        ("huge", data.replace(b"(3, 8,", b"(99999999999, 8,"), "not a .npy file|take"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(AssetError, match=said):
            opened(path, tmp_path / name)
    with pytest.raises(AssetError, match="no regular file"):
        opened(path, Path("/dev/null"))
    with pytest.raises(AssetError, match="cannot be read"):
        opened(path, tmp_path / "nowhere.npy")
    faces = opened(path, tmp_path / "good.npy")
    assert state_of(path).avatars == 1
    faces.close()


def test_a_server_with_other_weights_is_told_apart(path: Path, maker: FaceMaker, file: Path) -> None:
    for faces, said in (
        (RemoteFaces(path, "1.0", 4), r"has MuseTalk 1\.5, and head\.musetalk\.version is 1\.0"),
        (RemoteFaces(path, "1.5", 4, "ffffffffffff"), "other weights of the image coder"),
    ):
        with pytest.raises(HeadError, match=said) as caught:
            faces.load(file)
        assert not caught.value.retryable
    faces = RemoteFaces(path, "1.5", 16, "0123456789ab")
    faces.load(file)
    assert faces.batch == 4
    faces.close()


def at_random(path: Path, file: Path, seed: int) -> None:
    """One channel that does what comes to its mind; every face must be of its own sound and avatar, and in order."""
    chance, held = random.Random(seed), Latents(np.load(file), 5)
    faces, sound, key = opened(path, file), SoundWindow(), 0
    expected: deque[tuple[int, bytes]] = deque()

    def check(found: list[Face]) -> None:
        for face in found:
            assert (face.key, face.pixels[0, 0].tobytes()) == expected.popleft()

    for _ in range(80):
        match chance.choice(
            ["begin", "hear", "hear", "hear", "rewind", "ask", "ask", "ask", "flush", "take", "take"]
        ):
            case "begin":
                faces.begin()
                sound.begin()
                expected.clear()
            case "hear":
                pcm = voiced(chance.randrange(9_600), seed)
                faces.hear(pcm)
                sound.hear(pcm)
            case "rewind":
                sample = chance.randrange(sound.samples + 1)
                faces.rewind(sample)
                sound.rewind(sample)
            case "ask" if faces.owing < BOUND - 12:
                asked = [Wanted(key + at, chance.randrange(40), chance.randrange(5)) for at in range(1, 12)]
                key += 12
                faces.ask(asked)
                for each in asked:
                    step = min(each.step, sound.samples // 960 + 4)
                    face = painted(Job(held, each.row, sound.heard(step)))
                    expected.append((each.key, face[0, 0].tobytes()))
            case "flush":
                faces.flush()
            case _:
                check(faces.take(0.001))
        assert faces.asked == len(expected)
    faces.flush()
    check(taken(faces, len(expected)))
    assert (faces.asked, faces.lost) == (0, 0)
    faces.close()


def test_channels_at_random(path: Path, maker: FaceMaker, tmp_path: Path) -> None:
    files = [latents(tmp_path / f"{seed}.npy", seed=seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda seed: at_random(path, files[seed], seed), range(4)))
    until(lambda: not state_of(path).sessions and state_of(path).faces == sum(maker.batches))
    state = state_of(path)
    assert (state.batches, state.avatars, state.refused) == (len(maker.batches), 4, 0)


def test_the_doctor_asks_the_server(path: Path, tmp_path: Path) -> None:
    def told(version: Literal["1.5", "1.0"] = "1.5") -> list[tuple[str, str, str]]:
        config = HeadConfig(engine="musetalk", musetalk=MuseTalkConfig(server=path, version=version))
        rows = list(weights(config, Paths(tmp_path, tmp_path, tmp_path)))
        return [(row.state, row.detail, row.remedy) for row in rows]

    ((state, detail, remedy),) = told()
    assert (state, remedy) == ("missing", f"broadcaster head serve --socket {path}")
    assert "no engine server answers" in detail
    with serving(path, FaceMaker()):
        assert told() == [("ok", f"{path}: MuseTalk 1.5 on cpu", "")]
        assert told("1.0") == [("missing", f"{path} has MuseTalk 1.5", 'set head.musetalk.version: "1.5"')]


def test_the_status_for_people(path: Path, maker: FaceMaker, file: Path) -> None:
    faces = opened(path, file, channel="news")
    spoken(faces, 0.4, seed=1)
    told = CliRunner().invoke(app, ["head", "status", "--socket", str(path)])
    assert told.exit_code == 0
    assert "MuseTalk 1.5, decoder full, on cpu" in told.stdout
    assert "10 faces in" in told.stdout
    (row,) = [line for line in told.stdout.splitlines() if line.startswith("news")]
    assert row.split()[4:9] == ["10", "10", "0", "0", "0"]
    faces.close()


def test_the_status_of_nothing(path: Path) -> None:
    told = CliRunner().invoke(app, ["head", "status", "--socket", str(path)])
    assert isinstance(told.exception, NotRunning)
    assert "no engine server answers" in str(told.exception)
