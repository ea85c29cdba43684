"""The command line with a whole channel on air behind it: what an operator types in an evening."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from broadcaster.latency import STAGES
from tests.support.channel import Channel

pytestmark = pytest.mark.integration

CANARY = "live_4711_c4n4ryk3y"


@pytest.fixture(scope="module")
def channel() -> Iterator[Channel]:
    with Channel(sinks=[{"type": "null", "name": "nowhere"}]) as running:
        yield running


def cli(channel: Channel, *arguments: str, **env: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "broadcaster.cli", *arguments, "-c", str(channel.config_path)],
        capture_output=True, text=True, timeout=60, check=False, env={**os.environ, **env},
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def test_what_is_said_is_followed_to_its_end_and_logged(channel: Channel) -> None:
    status, out, _ = cli(channel, "say", "--wait", "第一句。", "第二句！")
    assert status == 0
    assert "".join(out.split()[1:]) == "第一句。第二句！"
    status, out, _ = cli(channel, "ask", "--wait", "你是谁？")
    assert status == 0
    rows = [json.loads(line) for line in cli(channel, "log", "--json")[1].splitlines()]
    assert "".join(row["text"] for row in rows).replace(" ", "").startswith("第一句。第二句！")
    assert {row["outcome"] for row in rows} == {"heard"}
    assert {row["engine"] for row in rows} == {"tone"}
    found = json.loads(cli(channel, "latency", "--json", "--last", "1")[1])
    first = {row["stage"]: row["first"]["n"] for row in found["stages"] if row["first"]}
    assert first == dict.fromkeys([*list(STAGES)[1:], "own", "total"], 1)
    assert json.loads(channel.get("/api/latency?last=1")[1]) == found
    assert b'broadcaster_stage_seconds_count{package="first",stage="lips"} 2.0' in channel.get("/metrics")[1]
    assert channel.status()["turn"]["packages"] == found["packages"]
    assert "a turn was on air" in channel.log(200)


def test_what_was_heard_is_remembered_until_it_is_forgotten(channel: Channel) -> None:
    assert cli(channel, "ask", "--wait", "现在几点了？")[0] == 0
    newest = json.loads(cli(channel, "memory", "show", "--json")[1])["exchanges"][-1]
    assert newest["question"] == "现在几点了？"
    assert newest["answer"]
    assert channel.status()["brain"]["memory"]["messages"] >= 2
    status, out, _ = cli(channel, "memory", "forget", "--all", "--yes")
    assert (status, out.endswith("deleted\n")) == (0, True)
    assert channel.status()["brain"]["memory"] == {"messages": 0, "tokens": 0, "viewers": 0}


def test_a_sink_comes_and_goes_and_its_key_is_seen_nowhere(channel: Channel) -> None:
    env = {"MY_URL": f"rtmp://127.0.0.1:{channel.port}/live/{CANARY}"}
    assert cli(channel, "sink", "add", "extra", "--url-env", "MY_URL", **env)[0] == 0
    channel.until(lambda: any(sink["name"] == "extra" for sink in channel.status()["sinks"]), 10, "the sink is there")
    status, out, _ = cli(channel, "sink", "list")
    assert status == 0
    assert "extra" in out
    seen = out + cli(channel, "status")[1] + cli(channel, "status", "--json")[1]
    seen += "".join(" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"]))
    seen += (channel.root / "daemon.log").read_text()
    assert CANARY not in seen
    assert cli(channel, "sink", "remove", "extra") == (0, "", "")
    channel.until(lambda: all(sink["name"] != "extra" for sink in channel.status()["sinks"]), 10, "the sink is gone")
    status, _, err = cli(channel, "sink", "remove", "extra")
    assert status == 1
    assert "there is no sink 'extra'" in err


def test_panic_and_resume(channel: Channel) -> None:
    assert cli(channel, "panic")[0] == 0
    assert "PANIC" in cli(channel, "status")[1]
    status, _, err = cli(channel, "say", "hello")
    assert status == 1
    assert "panic" in err
    assert cli(channel, "resume")[0] == 0
    assert cli(channel, "say", "--wait", "又回来了。")[0] == 0


def test_panic_while_the_director_hangs(channel: Channel) -> None:
    director = next(
        process
        for process in psutil.Process(int((channel.run / "lock").read_text())).children()
        if process.cmdline()[-1] == "director"
    )
    director.send_signal(signal.SIGSTOP)
    try:
        status, _, err = cli(channel, "panic")
    finally:
        director.send_signal(signal.SIGCONT)
    assert status == 0
    assert "playout itself was told" in err
    assert cli(channel, "resume")[0] == 0
    assert cli(channel, "say", "--wait", "又回来了。")[0] == 0


def test_doctor_knows_that_the_port_is_its_own(channel: Channel) -> None:
    rows = json.loads(cli(channel, "doctor", "--json")[1])
    (row,) = [row for row in rows if row["subject"].startswith("console")]
    assert (row["state"], "this channel is running" in row["detail"]) == ("ok", True)
