"""What every sink adapter promises, shown with its real child process: a new adapter without an entry here fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from broadcaster.errors import SinkFailure
from broadcaster.media import EncodedPacket, pack_head
from broadcaster.playout.packets import preamble
from broadcaster.registry import SINKS
from tests.fakes.stream import recording
from tests.support.net import free_port
from tests.support.nginx import NginxRtmp

pytestmark = pytest.mark.contract

SECRET = "contract-key-0123456789"
ROOT = Path(__file__).parents[2]


@dataclass
class Case:
    """Settings that work, settings whose target cannot be used, and what that is called."""

    good: dict[str, Any]
    bad: dict[str, Any]
    failure: SinkFailure


def case(name: str, folder: Path, server: NginxRtmp) -> Case | None:
    """None for an adapter without a target that could fail."""
    if name == "rtmp":
        away = f"rtmp://127.0.0.1:{free_port()}/live"
        good = {"url": server.url("x").removesuffix("/x"), "key": SECRET}
        return Case(good, {"url": away, "key": SECRET}, SinkFailure.UNREACHABLE)
    if name == "file":
        (folder / "occupied").write_text("")
        good = {"directory": str(folder / "recordings")}
        return Case(good, {"directory": str(folder / "occupied" / "below")}, SinkFailure.STORAGE)
    if name == "preview":
        return Case(
            {"socket": str(folder / "p.sock")}, {"socket": str(folder / "none" / "p.sock")}, SinkFailure.STORAGE
        )
    if name == "null":
        return Case({}, {}, SinkFailure.INTERNAL)
    return None


@pytest.fixture(scope="module")
def server() -> Iterator[NginxRtmp]:
    with NginxRtmp() as nginx:
        yield nginx


def run(
    name: str, settings: dict[str, Any], packets: list[EncodedPacket], *, head: bytes | None = None
) -> tuple[int, list[dict[str, Any]], str]:
    """One child fed with everything at once: (exit status, its reports, its stderr)."""
    media_read, media_write = os.pipe()
    status_read, status_write = os.pipe()
    settings = {
        "name": "contract",
        "type": name,
        "adapter": SINKS[name],
        "address": 0,
        "bitrate": 500_000,
        **settings,
    }
    child = subprocess.Popen(
        [sys.executable, "-m", "sinks.child", str(media_read), str(status_write), str(os.getpid())],
        stdin=subprocess.PIPE, stderr=subprocess.PIPE, pass_fds=(media_read, status_write), cwd=ROOT,
    )  # fmt: skip
    os.close(media_read)
    os.close(status_write)
    assert child.stdin is not None
    child.stdin.write(json.dumps(settings).encode())
    child.stdin.close()
    child.stdin = None
    stream = recording()
    try:
        with os.fdopen(media_write, "wb") as out:
            out.write(preamble(stream.format, stream.video, stream.audio) if head is None else head)
            for packet in packets:
                out.write(pack_head(packet) + packet.data)
    except BrokenPipeError:
        pass
    with os.fdopen(status_read, "rb") as status:
        reports = [json.loads(line) for line in status]
    _, err = child.communicate(timeout=20)
    return child.returncode, reports, err.decode()


@pytest.mark.parametrize("name", sorted(SINKS))
def test_it_goes_live_takes_everything_and_ends_with_its_input(name: str, short_dir: Path, server: NginxRtmp) -> None:
    made = case(name, short_dir, server)
    assert made is not None, f"add {name} to the contract"
    code, reports, err = run(name, made.good, list(recording().packets))
    assert (code, err) == (0, "")
    assert [report["event"] for report in reports if report["event"] != "connected"] == ["live"]


@pytest.mark.parametrize("name", sorted(SINKS))
def test_it_takes_a_stream_that_begins_in_the_middle_or_never(name: str, short_dir: Path, server: NginxRtmp) -> None:
    made = case(name, short_dir, server)
    assert made is not None
    for packets in (list(recording().packets[100:]), list(recording().packets[1:40]), []):
        code, reports, err = run(name, made.good, packets)
        assert (code, err) == (0, ""), reports


@pytest.mark.parametrize("name", sorted(set(SINKS) - {"null"}))
def test_it_says_why_it_cannot_and_not_its_key(name: str, short_dir: Path, server: NginxRtmp) -> None:
    made = case(name, short_dir, server)
    assert made is not None
    code, reports, err = run(name, made.bad, list(recording().packets))
    assert code == 1
    assert reports[-1]["event"] == "failed"
    assert SinkFailure(reports[-1]["kind"]) is made.failure
    assert reports[-1]["retryable"] is True
    assert reports[-1]["error"]
    assert SECRET not in json.dumps(reports) + err


@pytest.mark.parametrize("name", sorted(SINKS))
@pytest.mark.parametrize("head", [b"", b"garbage" * 100])
def test_a_broken_input_is_an_error_of_ours(name: str, head: bytes, short_dir: Path, server: NginxRtmp) -> None:
    made = case(name, short_dir, server)
    assert made is not None
    code, reports, err = run(name, made.good, [], head=head)
    assert (code, err) == (1, "")
    assert reports[-1]["kind"] == SinkFailure.INTERNAL


def test_a_child_of_another_parent_does_nothing() -> None:
    """Its death signal would follow the wrong process: it checks before it reads its settings."""
    child = subprocess.run(
        [sys.executable, "-m", "sinks.child", "0", "1", "1"], input=b"{}", capture_output=True, cwd=ROOT, check=False
    )
    assert (child.returncode, child.stdout, child.stderr) == (1, b"", b"")
