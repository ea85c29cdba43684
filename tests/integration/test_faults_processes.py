"""Each process of a channel is killed or hangs in mid-sentence: the picture goes on and the queue is kept."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import psutil
import pytest

from tests.support.channel import Channel, rtmp
from tests.support.nginx import NginxRtmp
from tests.support.puller import Puller

pytestmark = pytest.mark.integration

FPS = 25
SENTENCE = "明天多云，后天有雨，请带好雨伞再出门。"
TIMES: dict[str, float] = {}


@pytest.fixture(scope="module")
def nginx() -> Iterator[NginxRtmp]:
    with NginxRtmp() as server:
        yield server


@pytest.fixture(scope="module")
def channel(nginx: NginxRtmp) -> Iterator[Channel]:
    settings = {"voice": {"request_timeout_s": 3}}
    with Channel(sinks=[rtmp("main", nginx.url())], settings=settings) as running:
        yield running


@pytest.fixture
def puller(channel: Channel, nginx: NginxRtmp) -> Iterator[Puller]:
    channel.until(lambda: channel.get("/health/ready")[0] == 200, 60, "ready")
    channel.connect()
    with Puller(nginx.url(), rejoin=True) as pulling:
        pulling.wait_frames(FPS, timeout=60)
        yield pulling


def test_head_killed(channel: Channel, puller: Puller) -> None:
    prompt = speak(channel)
    killed = channel.kill("head")
    TIMES["head killed: a new head"] = until_new(channel, "head", killed)
    channel.wait_event("done", prompt)
    channel.until(lambda: channel.status()["head"]["connected"], 60, "the new head is connected")
    shown = channel.status()["clock"]["patches_shown"]
    channel.wait_event("done", channel.say(SENTENCE))
    channel.until(lambda: channel.status()["clock"]["patches_shown"] > shown, 20, "patches of the new head")
    unbroken(puller)
    # The sentence was heard from its first sample to its last, whatever its mouth did.
    assert not channel.events("cut", prompt)


def test_voice_killed(channel: Channel, puller: Puller) -> None:
    speak(channel)
    killed = channel.kill("voice")
    later = channel.say(SENTENCE)
    TIMES["voice killed: a new voice"] = until_new(channel, "voice", killed)
    channel.wait_event("done", later)
    unbroken(puller)


def test_voice_hangs(channel: Channel, puller: Puller) -> None:
    speak(channel)
    stopped = channel.kill("voice", signal.SIGSTOP)
    later = channel.say(SENTENCE)
    last = channel.say(SENTENCE)
    TIMES["voice hangs: a new voice"] = until_new(channel, "voice", stopped)
    channel.wait_event("done", last)
    assert channel.events("done", later) or channel.events("skipped", later)
    unbroken(puller)


def test_director_killed(channel: Channel, puller: Puller) -> None:
    speak(channel)
    queued = [channel.say(SENTENCE) for _ in range(3)]
    killed = channel.kill("director")
    seconds = until_new(channel, "director", killed)
    began = time.monotonic()
    channel.until(lambda: channel.get("/health/ready")[0] == 200, 60, "ready")
    TIMES["director killed: ready again"] = seconds + time.monotonic() - began
    channel.connect()
    channel.wait_event("done", queued[-1])
    assert [heard.event["id"] for heard in channel.events("done") if heard.event["id"] in queued[1:]] == queued[1:]
    unbroken(puller)


def test_playout_killed(channel: Channel, puller: Puller, nginx: NginxRtmp) -> None:
    speak(channel)
    queued = [channel.say(SENTENCE) for _ in range(2)]
    joined = len(puller.captures)
    began = time.monotonic()
    killed = channel.kill("playout")
    puller.wait(lambda p: len(p.captures) > joined and bool(p.captures[-1].video), 60, "a picture of the new playout")
    TIMES["playout killed: a picture again"] = time.monotonic() - began
    assert not psutil.pid_exists(killed)
    channel.wait_event("done", queued[-1])
    done = [heard.event["id"] for heard in channel.events("done") if heard.event["id"] in queued]
    assert done == queued
    unbroken(puller)


def test_a_panic_given_past_a_hung_director_stays(channel: Channel) -> None:
    channel.until(lambda: channel.get("/health/ready")[0] == 200, 60, "ready")
    channel.connect()
    channel.panic()
    channel.until(lambda: channel.status()["panicked"], 10, "a panic before, so that the journal knows of one")
    channel.resume()
    channel.until(lambda: not channel.status()["panicked"], 10, "its end")
    hung = channel.kill("director", signal.SIGSTOP)
    command = [sys.executable, "-m", "broadcaster.cli", "panic", "-c", str(channel.config_path)]
    told = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert told.returncode == 0
    assert "playout itself was told" in told.stderr
    with contextlib.suppress(ProcessLookupError):  # the parent was first
        os.kill(hung, signal.SIGKILL)
    playout = channel.kill("playout")
    channel.until(lambda: hung not in channel.pids("director"), 20, "the end of the director")
    channel.until(lambda: playout not in channel.pids("playout"), 20, "the end of playout")
    channel.until(lambda: channel.status()["clock"]["connected"], 60, "both again")
    time.sleep(3)  # three reports of playout: what the director makes of them is the matter
    assert channel.status()["panicked"]
    channel.connect()
    channel.resume()
    channel.until(lambda: not channel.status()["panicked"], 10, "the end of the panic")


def test_parent_killed_leaves_no_orphans(
    channel: Channel, puller: Puller, capsys: pytest.CaptureFixture[str]
) -> None:
    speak(channel)
    known = channel.processes()
    assert set(known.values()) >= {"parent", "director", "voice", "head", "playout", "sink"}
    assert channel.process is not None
    began = time.monotonic()
    channel.process.kill()
    channel.process.wait(10)
    wait_for(lambda: not [pid for pid in known if running(pid)], 20, "no process of the channel is left")
    TIMES["parent killed: nobody left"] = time.monotonic() - began
    with capsys.disabled():
        print("\nprocess faults, seconds:")
        for name, seconds in TIMES.items():
            print(f"  {name:<34} {seconds:6.2f}")


def speak(channel: Channel) -> str:
    """Says a sentence and returns when it is on air."""
    prompt = channel.say(SENTENCE)
    channel.wait_event("on_air", prompt)
    return prompt


def until_new(channel: Channel, role: str, old: int) -> float:
    """Seconds until another process of the role is there and the old one is gone."""
    began = time.monotonic()
    wait_for(lambda: bool(channel.pids(role)) and old not in channel.pids(role), 60, f"a new {role}")
    return time.monotonic() - began


def unbroken(puller: Puller) -> None:
    capture = puller.wait_frames(FPS)
    assert capture.video_gaps(FPS) == []
    assert capture.audio_gaps() == []


def wait_for(true: Callable[[], bool], timeout: float, what: str) -> None:
    deadline = time.monotonic() + timeout
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
