"""Child processes that do as they are told: `python children.py ROLE`, started by the real parent.

`python children.py parent CONFIG` is that parent.
What a role does stands in `<folder>/<role>.json` (a `Script`), folder named by FAKE_CHILDREN; what happened to
it is appended to `<folder>/<role>.log`, one word or JSON list a line. All of `setup_child` is the real one.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36
FOLDER = "FAKE_CHILDREN"


@dataclass
class Script:
    """`after` beats, `then` happens: "run" on, "hang" (alive, no more progress), "mute" (no more beats) or "exit"."""

    after: int = 3
    then: str = "run"
    status: int = 1
    runs: int = 1_000_000
    """So many starts follow the script; the later ones run well."""
    every_s: float = 0.05
    stubborn: bool = False
    """Ignores SIGTERM."""
    linger_s: float = 0.0
    """Goes on this long after SIGTERM."""
    ask_restart: str = ""
    """A role to be restarted, asked for once after `after` beats of the first run."""
    grandchild: bool = False
    """Starts a process of its own, as playout starts sinks."""


def write_script(folder: Path, role: str, script: Script) -> None:
    (folder / f"{role}.json").write_text(json.dumps(asdict(script)))


def command(role: str) -> Sequence[str]:
    return (sys.executable, str(Path(__file__)), role)


def events(folder: Path, role: str) -> list[list[str]]:
    """What was appended to the role's log so far."""
    file = folder / f"{role}.log"
    lines = file.read_text().splitlines() if file.exists() else []
    return [json.loads(line) for line in lines if line.endswith("]")]


def pids(folder: Path, role: str) -> list[int]:
    """Pids of all its starts, in order."""
    return [int(event[1]) for event in events(folder, role) if event[0] == "started"]


def check(path: Path | None) -> Sequence[str]:
    """The real check; with a file `unchecked` in the folder every configuration is good (models that nobody has)."""
    from broadcaster.parent.checking import check_command

    return (sys.executable, "-c", "") if Path(os.environ[FOLDER], "unchecked").exists() else check_command(path)


def parent(config: str) -> int:
    """The real parent with these children, which inherits orphans like process 1 of a container.

    Its exit status; 75 when the channel is taken.
    """
    from broadcaster.config import load_config
    from broadcaster.errors import AlreadyRunning
    from broadcaster.parent import run_parent

    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        return run_parent(load_config(Path(config)), command, check)
    except AlreadyRunning as err:
        print(err, file=sys.stderr)
        return 75


def main(role: str) -> int:
    from broadcaster.child import setup_child

    folder = Path(os.environ[FOLDER])

    def note(*words: object) -> None:
        with (folder / f"{role}.log").open("a") as file:
            file.write(json.dumps([str(word) for word in words]) + "\n")

    child = setup_child(role)
    file = folder / f"{role}.json"
    script = Script(**json.loads(file.read_text())) if file.exists() else Script()
    run = len(pids(folder, role)) + 1
    if script.stubborn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if script.grandchild:
        note("grandchild", subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]).pid)
    child.on_notice(lambda notice: note("notice", notice.event, notice.role, notice.detail))
    note("started", os.getpid(), child.config.video.bitrate_kbps, child.config.voice.zh, os.nice(0))
    then = script.then if run <= script.runs else "run"
    count, stop_at = 0, float("inf")
    while time.monotonic() < stop_at:
        if count < script.after or then != "hang":
            count += 1
        if count <= script.after or then != "mute":
            child.beat(count, ready=count >= 2, note=f"{role} at {count}" if role == "playout" else "")
        if count == script.after and script.ask_restart and run == 1:
            child.ask_restart(script.ask_restart, "it does not answer")
        if count > script.after and then == "exit":
            return script.status
        if child.stop.wait(script.every_s) and stop_at == float("inf"):
            note("term")
            stop_at = time.monotonic() + script.linger_s
        elif child.stop.is_set():
            time.sleep(script.every_s)
    note("stopped")
    return 0


if __name__ == "__main__":
    os._exit(parent(sys.argv[2]) if sys.argv[1] == "parent" else main(sys.argv[1]))
