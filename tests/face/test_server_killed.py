"""Engine servers and channels in processes of their own, killed in the middle of their work."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from broadcaster.errors import HeadError
from broadcaster.head.musetalk.faces import Wanted
from broadcaster.head.musetalk.link import state_of
from tests.face.support.serving import latents, opened, serving, spoken, taken, until
from tests.fakes.face_maker import FaceMaker

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]


@pytest.fixture
def path(short_dir: Path) -> Path:
    return short_dir / "head.sock"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return latents(tmp_path / "latents.npy")


@pytest.fixture
def maker(path: Path) -> Iterator[FaceMaker]:
    made = FaceMaker()
    with serving(path, made):
        yield made


SERVER = """
import sys
from pathlib import Path
from broadcaster.head.musetalk.server import EngineServer
from tests.face.support.serving import ABOUT
from tests.fakes.face_maker import FaceMaker
EngineServer(Path(sys.argv[1]), ABOUT, FaceMaker(), 1 << 20).run(lambda: print("up", flush=True))
"""

CLIENT = """
import sys, time
from pathlib import Path
from broadcaster.head.musetalk.faces import Wanted
from tests.face.support.serving import opened
faces = opened(Path(sys.argv[1]), Path(sys.argv[2]))
faces.ask([Wanted(key, key, 0) for key in range(60)])
print("up", flush=True)
time.sleep(60)
"""


@pytest.fixture
def child() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []

    def start(script: str, *arguments: Path) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", script, *map(str, arguments)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_a_server_that_is_killed_is_noticed_and_its_successor_found(
    path: Path, file: Path, child: Callable[..., subprocess.Popen[str]]
) -> None:
    victim = child(SERVER, path)
    faces = opened(path, file)
    assert len(spoken(faces, 0.4, seed=1)) == 10
    faces.ask([Wanted(key, 2 * key, key % 5) for key in range(60)])
    os.kill(victim.pid, signal.SIGKILL)
    victim.wait()
    with pytest.raises(HeadError, match=r"closed the connection") as caught:
        taken(faces, 61)
    assert caught.value.retryable
    assert path.exists()
    with pytest.raises(HeadError, match="no engine server answers"):
        faces.load(file)
    child(SERVER, path)
    faces.load(file)
    assert len(spoken(faces, 0.4, seed=1)) == 10
    faces.close()


def test_a_channel_that_is_killed_leaves_nothing_behind(
    path: Path, maker: FaceMaker, file: Path, child: Callable[..., subprocess.Popen[str]]
) -> None:
    faces = opened(path, file)
    maker.hold_back()
    victim = child(CLIENT, path, file)
    until(lambda: maker.in_flight == 2)
    assert {session.pid for session in state_of(path).sessions} == {os.getpid(), victim.pid}
    os.kill(victim.pid, signal.SIGKILL)
    until(lambda: len(state_of(path).sessions) == 1)
    maker.release()
    assert len(spoken(faces, 0.4, seed=1)) == 10
    assert sum(maker.batches) == 8 + 10
    faces.close()
