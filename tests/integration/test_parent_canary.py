"""A key in every secret place of the configuration is found in no log, page, metric, status and process list."""

from __future__ import annotations

import signal

import psutil
import pytest

from tests.support.channel import Channel
from tests.support.nginx import REJECTED_KEY, NginxRtmp

pytestmark = pytest.mark.integration

CANARY = "canary5tr34mk3y"
NOBODY = "127.0.0.1:9"
PAGES = ("/", "/metrics", "/api/status", "/health/live", "/health/ready")


def test_no_secret_is_printed_anywhere() -> None:
    with NginxRtmp() as nginx:
        application = nginx.url("x").rpartition("/")[0]
        sinks = [
            {"type": "rtmp", "name": "rejected", "url": f"{application}/{REJECTED_KEY}?k={CANARY}"},
            {"type": "rtmp", "name": "unreachable", "url": f"rtmp://{NOBODY}/live", "key": CANARY},
            {
                "type": "rtmp", "name": "good", "url": application, "key": f"good?token={CANARY}",
                "backup_url": f"rtmps://user:{CANARY}@{NOBODY}/live/{CANARY}",
            },
        ]  # fmt: skip
        settings = {
            "console": {"tokens": {"operator": f"{CANARY}-operator"}},
            "brain": {
                "chain": [{"engine": "openai", "base_url": f"http://{NOBODY}/v1", "api_key": CANARY, "model": "m"}]
            },
            "alarms": [{"on": ["playout_restarted"], "webhook": f"http://{NOBODY}/{CANARY}"}],
            "logging": {"level": "debug"},
        }
        with Channel(sinks=sinks, settings=settings) as channel:
            channel.until(lambda: channel.sink("good")["state"] == "live", 30, "the good sink")
            channel.until(lambda: channel.sink("rejected")["error"] != "", 30, "the rejection")
            channel.until(lambda: channel.sink("unreachable")["error"] != "", 30, "the refusal")
            answer = channel.ask("你好")
            channel.wait_event("done", answer)
            killed = channel.kill("playout")
            channel.until(lambda: killed not in channel.pids("playout"), 10, "the end of playout")
            channel.wait_ready(60)
            channel.until(lambda: channel.sink("good")["state"] == "live", 30, "the good sink again")
            assert channel.process is not None
            channel.process.send_signal(signal.SIGUSR1)
            channel.until(lambda: channel.log(10_000).count("(most recent call first)") >= 5, 10, "the stacks")

            for pid, role in channel.processes().items():
                process = psutil.Process(pid)
                assert CANARY not in " ".join(process.cmdline()), role
                assert CANARY not in " ".join(process.environ().values()), role
            for page in PAGES:
                channel.until(lambda page=page: channel.get(page)[0] == 200, 30, page)  # playout was just replaced
                _, body = channel.get(page)
                assert CANARY.encode() not in body, page
            assert CANARY not in str([heard.event for heard in channel.heard])
            log = channel.log(100_000)
            assert "sink failed" in log
            assert CANARY not in log
            # It was there to be found.
            assert CANARY in channel.config_path.read_text()
