"""The whole daemon under its real parent: what systemd hears, a reload on air, and a stop in mid-sentence."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from tests.support.channel import Channel
from tests.support.daemon import alive, manager

pytestmark = pytest.mark.integration

NOBODY = "rtmp://127.0.0.1:9/live"
CANARY = "canary-5tr34m-k3y-0815"
SENTENCE = "今天我们说说天气，明天多云，后天有雨，请带好雨伞再出门。"


def state_of(channel: Channel, sink: str) -> str:
    """Empty when there is no such sink."""
    return next((str(each["state"]) for each in channel.status()["sinks"] if each["name"] == sink), "")


def test_a_reload_and_a_stop_on_air(short_dir: Path) -> None:
    sinks = [{"type": "null", "name": "first"}]
    with manager(short_dir) as systemd, Channel(sinks=sinks, env={"NOTIFY_SOCKET": str(systemd.path)}) as channel:
        assert channel.process is not None
        channel.until(lambda: systemd.listen().count("WATCHDOG=1") >= 2, 10, "the watchdog to be fed")
        assert systemd.heard.count("READY=1") == 1
        before = channel.processes()
        first = channel.sink("first")

        prompt = channel.say(SENTENCE)
        channel.wait_event("on_air", prompt)
        channel.config["sinks"].append({"type": "rtmp", "name": "second", "url": NOBODY, "key": CANARY})
        channel.config["head"] = {"engine": "still"}
        channel.write_config()
        channel.process.send_signal(signal.SIGHUP)
        channel.until(lambda: state_of(channel, "second") == "waiting", 20, "the new sink to be tried")
        channel.until(lambda: channel.status()["head"].get("engine") == "still", 20, "the new head")
        channel.wait_event("done", prompt)
        kept = {pid: role for pid, role in before.items() if role in ("director", "voice", "playout")}
        assert len(kept) == 3
        assert kept.items() <= channel.processes().items()
        assert channel.sink("first")["reconnects"] == first["reconnects"] == 0
        assert channel.sink("first")["uptime_s"] > first["uptime_s"]
        assert channel.status()["clock"]["reanchored"] == 0
        channel.until(lambda: systemd.listen().count("READY=1") == 2, 10, "the end of the reload")

        channel.wait_event("on_air", channel.say(SENTENCE * 20))
        known = channel.processes()
        asked = time.monotonic()
        channel.process.send_signal(signal.SIGTERM)
        assert channel.process.wait(20) == 0
        assert time.monotonic() - asked < 5.5
        assert not [pid for pid in known if alive(pid)]
        assert "STOPPING=1" in systemd.listen()
        log = channel.log(1000)
        assert "did not stop in time" not in log
        assert "Traceback" not in log
        assert CANARY not in log
