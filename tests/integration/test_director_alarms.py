"""Alarms on their way out: a real command and a real webhook, each tried twice and then given up."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from broadcaster.alarms import Receiver
from broadcaster.config import Alarm

pytestmark = pytest.mark.integration

EVENT = {"channel": "demo", "alarm": "panic", "state": "raised", "of": "", "detail": "", "time": "now"}


async def deliver(alarm: Alarm, *events: dict[str, str], attempt_s: float = 10.0) -> Receiver:
    receiver = Receiver(alarm, attempt_s=attempt_s, retry_s=0.0)
    for event in events:
        receiver.offer(event)
    task = asyncio.create_task(receiver.run())
    async with asyncio.timeout(20):
        while receiver.delivered + receiver.failed < len(events):  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return receiver


def python(code: str, *arguments: object) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", code, *map(str, arguments)]


async def test_a_command_gets_the_event_on_its_standard_input(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    copy = "import sys; open(sys.argv[1], 'ab').write(sys.stdin.buffer.read() + b'\\n')"
    receiver = await deliver(Alarm(on=["panic"], command=python(copy, out)), EVENT, {**EVENT, "state": "cleared"})
    assert (receiver.delivered, receiver.failed) == (2, 0)
    assert [json.loads(line)["state"] for line in out.read_text().splitlines()] == ["raised", "cleared"]


async def test_a_failing_command_is_tried_once_more_and_then_given_up(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "tries"
    fail = "import sys; open(sys.argv[1], 'a').write('x'); sys.exit(3)"
    receiver = await deliver(Alarm(on=["panic"], command=python(fail, out, "secret-argument")), EVENT)
    assert (receiver.delivered, receiver.failed) == (0, 1)
    assert out.read_text() == "xx"
    assert caplog.records[-1].__dict__["reason"] == "the command ended with 3"
    assert "secret-argument" not in caplog.text + str(caplog.records[-1].__dict__)


async def test_a_command_that_hangs_is_killed(tmp_path: Path) -> None:
    hang = Alarm(on=["panic"], command=python("import time; time.sleep(60)"))
    assert (await deliver(hang, EVENT, attempt_s=0.2)).failed == 1
    missing = Alarm(on=["panic"], command=[str(tmp_path / "nothing")])
    assert (await deliver(missing, EVENT)).failed == 1


async def test_a_webhook_gets_the_event_and_is_tried_once_more() -> None:
    bodies: list[bytes] = []
    answers = [b"HTTP/1.1 500 No\r\n", b"HTTP/1.1 204 Fine\r\n"]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
        )
        bodies.append(await reader.readexactly(length))
        writer.write(answers.pop(0) + b"Content-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    alarm = Alarm(on=["panic"], webhook=SecretStr(f"http://127.0.0.1:{port}/hook?token=x"))
    receiver = await deliver(alarm, EVENT)
    server.close()
    assert (receiver.delivered, receiver.failed) == (1, 0)
    assert [json.loads(body) for body in bodies] == [EVENT, EVENT]


async def test_a_webhook_that_is_not_there_is_given_up_without_its_address(caplog: pytest.LogCaptureFixture) -> None:
    alarm = Alarm(on=["panic"], webhook=SecretStr("http://127.0.0.1:9/hook?token=canary"))
    assert (await deliver(alarm, EVENT)).failed == 1
    assert "canary" not in caplog.text + str([record.__dict__ for record in caplog.records])
