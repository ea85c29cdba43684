"""The parent and real child processes: deaths, hangs, signals, reloads, and what systemd hears of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from broadcaster.parent.process import ChildProcess
from tests.fakes.children import Script
from tests.support.daemon import ROLES, Daemon, alive, manager

pytestmark = pytest.mark.integration


def test_the_parent_is_small() -> None:
    heavy = ["numpy", "av", "cv2", "onnxruntime", "httpx", "fastapi", "uvicorn", "broadcaster.types"]
    code = f"import sys, broadcaster.parent, broadcaster.cli; print([m for m in {heavy} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert out.stdout == "[]\n"


def test_a_child_that_is_signalled_when_it_has_just_ended_is_still_buried_with_its_status() -> None:
    child = ChildProcess("voice", [sys.executable, "-c", "raise SystemExit(3)"], "", dict(os.environ))
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    child.signal(signal.SIGUSR1)
    assert child.reap() == 3
    child.close()


def test_every_killed_child_comes_back_alone(short_dir: Path) -> None:
    with Daemon(short_dir) as daemon:
        log = daemon.log()
        order = sorted(ROLES, key=lambda role: log.index(f"child started role={role}"))
        assert order == ["playout", "head", "voice", "director"]
        nices = {role: int(daemon.events(role, "started")[0][4]) for role in ROLES}
        assert nices == {role: min(19, (10 if role == "voice" else 0) + os.nice(0)) for role in ROLES}
        assert [role for role, _ in daemon.notices("started")] == ["playout", "head", "voice"]

        for role in ROLES:
            others = {other: daemon.pid(other) for other in ROLES if other != role}
            os.kill(daemon.pid(role), signal.SIGKILL)
            daemon.restarted(role)
            assert {other: daemon.pid(other) for other in others} == others

        assert daemon.notices("exited") == [(role, "killed by SIGKILL") for role in ("playout", "head", "voice")]
        again = [role for role, _ in daemon.notices("started")]
        assert again == ["playout", "head", "voice"] * 2 + ["playout", "head", "voice"]
        assert daemon.log().count("on air") == 1


def test_a_hung_playout_shows_its_stacks_and_is_replaced(short_dir: Path) -> None:
    with Daemon(short_dir, {"playout": Script(after=10, then="hang", runs=1)}) as daemon:
        first = daemon.pid("playout")
        daemon.restarted("playout")
        assert not alive(first)
        assert [role for role, _ in daemon.notices("hung")] == ["playout"]
        assert daemon.notices("hung")[0][1].startswith("no progress for 3.")
        assert daemon.notices("exited")[0][0] == "playout"
        assert "Current thread" in daemon.log()
        assert "children.py" in daemon.log()


def test_a_stopped_playout_takes_what_it_started_along(short_dir: Path) -> None:
    with Daemon(short_dir, {"playout": Script(grandchild=True)}) as daemon:
        first = int(daemon.events("playout", "grandchild")[0][1])
        assert alive(first)
        os.kill(daemon.pid("playout"), signal.SIGSTOP)
        daemon.restarted("playout")
        daemon.until(lambda: not psutil.pid_exists(first), "it to be gone, and not to be left as a zombie")


def test_the_director_may_ask_for_a_restart(short_dir: Path) -> None:
    with Daemon(short_dir, {"director": Script(ask_restart="voice")}) as daemon:
        daemon.restarted("voice")
        assert daemon.notices("exited") == [("voice", "it does not answer")]
        assert len(daemon.pids("director")) == 1


def test_a_killed_parent_leaves_no_orphans(short_dir: Path) -> None:
    with Daemon(short_dir, {role: Script(stubborn=True) for role in ROLES}) as daemon:
        assert len(daemon.running()) == 4
        daemon.process.kill()
        daemon.until(lambda: not daemon.running(), "all children to be gone", 5.0)


def test_a_second_instance_is_refused(short_dir: Path) -> None:
    with Daemon(short_dir) as daemon:
        log = short_dir / "second.log"
        second = daemon.spawn(log)
        assert second.wait(20) == 75
        assert f"channel 't' is already running as process {daemon.process.pid}" in log.read_text()
        assert len(daemon.running()) == 4


def test_sigterm_stops_the_director_first_and_all_within_five_seconds(short_dir: Path) -> None:
    scripts = {"director": Script(linger_s=1.0), "voice": Script(stubborn=True)}
    with Daemon(short_dir, scripts) as daemon:
        running = daemon.running()
        asked = time.monotonic()
        daemon.process.terminate()
        daemon.until(lambda: bool(daemon.events("director", "term")), "the director to be asked")
        assert not daemon.events("playout", "term")
        assert daemon.process.wait(20) == 0
        assert time.monotonic() - asked < 5.5
        assert not any(alive(pid) for pid in running)
        for role in ("director", "head", "playout"):
            assert len(daemon.events(role, "stopped")) == 1
        assert "killing a child that did not stop in time role=voice" in daemon.log()
        assert daemon.log().count("child started") == 4


def test_a_second_interrupt_is_immediate(short_dir: Path) -> None:
    with Daemon(short_dir, {role: Script(stubborn=True) for role in ROLES}) as daemon:
        running = daemon.running()
        daemon.process.send_signal(signal.SIGINT)
        daemon.until(lambda: "stopping signal=SIGINT" in daemon.log(), "the first to be taken")
        assert len(daemon.running()) == 4
        daemon.process.send_signal(signal.SIGINT)
        assert daemon.process.wait(2) == 130
        assert not any(alive(pid) for pid in running)


def test_usr1_shows_the_stacks_of_all(short_dir: Path) -> None:
    with Daemon(short_dir) as daemon:
        running = daemon.running()
        daemon.process.send_signal(signal.SIGUSR1)
        daemon.until(lambda: daemon.log().count("(most recent call first)") >= 5, "five stacks")
        assert daemon.running() == running


def test_a_reload_restarts_only_what_changed(short_dir: Path) -> None:
    with Daemon(short_dir) as daemon:
        daemon.write_config(voice={"zh": "zm_yunxia"}, video={"bitrate_kbps": 900})
        daemon.process.send_signal(signal.SIGHUP)
        daemon.restarted("voice")
        daemon.restarted("director")  # it is who says which voice speaks
        assert [event[3] for event in daemon.events("voice", "started")] == ["zf_xiaoxiao", "zm_yunxia"]
        assert "restart the daemon to apply these keys=video" in daemon.log()
        assert [len(daemon.pids(role)) for role in ROLES] == [1, 1, 2, 2]
        daemon.until(lambda: len(daemon.notices("reload")) == 1, "the director to be told")
        assert "zm_yunxia" in daemon.notices("reload")[0][1]

        os.kill(daemon.pid("playout"), signal.SIGKILL)
        daemon.restarted("playout")
        assert [event[2] for event in daemon.events("playout", "started")] == ["2500", "2500"]

        daemon.write_config(vidoe={})
        daemon.process.send_signal(signal.SIGHUP)
        daemon.until(lambda: "reload refused" in daemon.log(), "the refusal")
        assert "vidoe" in daemon.log()

        lexicon = daemon.folder / "words.yaml"
        lexicon.write_text("words: {还款: {pinyin: huan2 xyz}}\n")
        daemon.write_config(voice={"zh": "zf_xiaoyi", "lexicon": str(lexicon)})
        daemon.process.send_signal(signal.SIGHUP)
        daemon.until(lambda: daemon.log().count("reload refused") == 2, "the refusal of a stage")
        assert f"{lexicon}:1: words.还款.pinyin: xyz is not a syllable" in daemon.log()

        daemon.config_path.unlink()
        os.kill(daemon.pid("voice"), signal.SIGKILL)
        daemon.restarted("voice", 2)
        assert daemon.events("voice", "started")[-1][3] == "zm_yunxia"

        daemon.write_config(voice={"zh": "zm_yunxia"}, inbox={"capacity": 5})
        daemon.process.send_signal(signal.SIGHUP)
        daemon.restarted("director", 2)
        daemon.until(lambda: len(daemon.notices("reload")) == 2, "the new director to be told")
        assert daemon.events("director", "term") == [["term"]] * 2


def test_the_local_voice_runs_while_the_chain_has_one(short_dir: Path) -> None:
    link = {"engine": "cosyvoice", "model_dir": str(short_dir)}
    scripts = {"voice-local": Script(after=1, then="hang", runs=1)}
    (short_dir / "unchecked").touch()
    with manager(short_dir) as systemd, Daemon(short_dir, scripts, notify=systemd.path) as daemon:
        daemon.until(lambda: any("director ok" in line for line in systemd.listen()), "the state of the children")
        assert not any("voice-local" in line for line in systemd.heard)
        assert daemon.pids("voice-local") == []

        daemon.write_config(voice={"chain": [link]})
        daemon.process.send_signal(signal.SIGHUP)
        daemon.until(lambda: len(daemon.pids("voice-local")) == 1, "the local voice to start")
        daemon.restarted("director")
        daemon.until(lambda: any("voice-local starting" in line for line in systemd.listen()), "its state")
        assert systemd.heard.count("READY=1") == 2, "nobody waits for it"
        os.kill(daemon.pid("voice-local"), signal.SIGKILL)
        daemon.restarted("voice-local")
        assert ("voice-local", "killed by SIGKILL") in daemon.notices("exited")

        daemon.write_config()
        daemon.process.send_signal(signal.SIGHUP)
        daemon.restarted("director", 2)
        daemon.until(lambda: not alive(daemon.pid("voice-local")), "the local voice to end")
        mark = len(systemd.listen())
        daemon.until(lambda: len(systemd.since(mark)) > 2, "the parent to go on")
        assert len(daemon.pids("voice-local")) == 2
        assert len(daemon.pids("voice")) == 1


def test_a_playout_that_refuses_its_configuration_ends_the_daemon(short_dir: Path) -> None:
    daemon = Daemon(short_dir, {"playout": Script(after=0, then="exit", status=78)})
    daemon.start()
    assert daemon.process.wait(20) == 78
    assert not daemon.running()
    assert len(daemon.pids("playout")) == 1


def test_what_systemd_hears(short_dir: Path) -> None:
    with manager(short_dir) as systemd, Daemon(short_dir, notify=systemd.path) as daemon:
        daemon.until(lambda: systemd.listen().count("WATCHDOG=1") >= 3, "the watchdog to be fed")
        heard = systemd.listen()
        assert heard.count("READY=1") == 1
        assert "WATCHDOG=1" not in heard[: heard.index("READY=1")]
        assert heard[0].startswith("EXTEND_TIMEOUT_USEC=")
        daemon.until(lambda: any("voice ok" in line for line in systemd.listen()), "the state of the children")
        assert any(line.startswith("STATUS=playout at ") for line in systemd.listen())
        assert "NOTIFY_SOCKET" not in psutil.Process(daemon.pid("playout")).environ()

        os.kill(daemon.pid("playout"), signal.SIGSTOP)
        daemon.until(lambda: alive(daemon.pid("playout")), "it to stop")
        time.sleep(0.3)  # beats that were on their way
        mark = len(systemd.listen())
        daemon.until(lambda: "killing a child that does not answer" in daemon.log(), "the hang to be seen")
        assert "WATCHDOG=1" not in systemd.since(mark)
        daemon.restarted("playout")
        daemon.until(lambda: "WATCHDOG=1" in systemd.since(mark), "the watchdog to be fed again")
        assert systemd.listen().count("READY=1") == 1

        daemon.process.send_signal(signal.SIGHUP)
        daemon.until(lambda: systemd.listen().count("READY=1") == 2, "the end of the reload")
        reloading = next(i for i, line in enumerate(systemd.heard) if line.startswith("RELOADING=1\nMONOTONIC_USEC="))
        assert reloading < len(systemd.heard) - 1 - systemd.heard[::-1].index("READY=1")

        mark = len(systemd.listen())
        daemon.process.terminate()
        assert daemon.process.wait(10) == 0
        assert "STOPPING=1" in systemd.since(mark)
