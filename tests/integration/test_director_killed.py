"""The director killed and started again: what was accepted is said, what playout still says is not said twice."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from broadcaster.journal import asrun_rows
from broadcaster.journal.database import open_for_reading
from broadcaster.paths import Paths
from broadcaster.wire import Speak
from tests.fakes.playout_peer import PlayoutPeer
from tests.support.waiting import until

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]
SENTENCES = ["第一句话在这里。", "第二句话在这里。", "第三句话在这里。", "第四句话在这里。"]


class Child:
    """A director process under test."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, state_dir: Path, seconds: float = 0.1) -> Child:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.fakes.director_child", str(state_dir), str(seconds),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, cwd=ROOT,
        )  # fmt: skip
        child = cls(process)
        assert await child.line() == "ready"
        return child

    async def line(self) -> str:
        assert self._process.stdout is not None
        async with asyncio.timeout(10):
            return (await self._process.stdout.readline()).decode().strip()

    def write(self, *texts: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("".join(f"{text}\n" for text in texts).encode())

    async def say(self, text: str) -> str:
        self.write(text)
        return await self.line()

    async def kill(self) -> None:
        self._process.kill()
        await self._process.wait()

    async def end(self) -> int:
        self._process.terminate()
        async with asyncio.timeout(10):
            return await self._process.wait()


@pytest.fixture
async def playout(paths: Paths) -> AsyncIterator[PlayoutPeer]:
    peer = PlayoutPeer(paths.playout_socket, speed=4.0)
    await peer.start()
    yield peer
    await peer.kill()


async def test_killed_in_mid_speech_playout_finishes_and_the_rest_is_said_once(
    paths: Paths, short_dir: Path, playout: PlayoutPeer
) -> None:
    playout.speed = 1.0  # the kill falls well inside a sentence: a report on its way to a dying director is lost
    child = await Child.start(short_dir)
    first, second = await child.say("".join(SENTENCES)), await child.say("后面还有一条。")
    await until(lambda: logged(paths) == SENTENCES[:1])
    await child.kill()
    child = await Child.start(short_dir)
    playout.speed = 20.0
    await until(lambda: len(playout.heard()) >= 5)
    third = await child.say("新的一条。")
    await until(lambda: len(playout.heard()) >= 6)
    assert playout.heard() == [*SENTENCES, "后面还有一条。", "新的一条。"]
    assert [playout.events(prompt)[-1] for prompt in (first, second, third)] == ["done", "done", "done"]
    assert await child.end() == 0
    assert logged(paths) == playout.heard()
    assert states(paths) == {first: "done", second: "done", third: "done"}


async def test_a_resumable_text_goes_on_with_a_bridge_after_a_kill(
    paths: Paths, short_dir: Path, playout: PlayoutPeer
) -> None:
    playout.speed = 40.0
    playout.pause_in(SENTENCES[1])
    child = await Child.start(short_dir, seconds=1.0)  # 8 s a sentence: at most two are made ahead
    prompt = await child.say("+" + "".join(SENTENCES))
    await until(lambda: playout.heard() == SENTENCES[:1])
    await child.kill()
    playout.pause_in(None)
    child = await Child.start(short_dir)
    await until(lambda: playout.heard()[-1:] == SENTENCES[-1:])
    heard = playout.heard()
    bridges = [number for number, text in enumerate(heard) if text not in SENTENCES]
    assert len(bridges) == 1
    assert list(dict.fromkeys(text for text in heard if text in SENTENCES)) == SENTENCES
    assert heard[bridges[0] + 1 :] == SENTENCES[-len(heard[bridges[0] + 1 :]) :]
    await until(lambda: playout.events(prompt)[-1] == "done")
    assert await child.end() == 0


async def test_killed_while_the_voice_was_working_the_unsaid_sentences_are_made_again(
    paths: Paths, short_dir: Path, playout: PlayoutPeer
) -> None:
    playout.speed = 8.0
    child = await Child.start(short_dir, seconds=1.0)  # 8 s a sentence: at most two are made ahead
    prompt = await child.say("".join(SENTENCES))
    await until(lambda: playout.heard() == SENTENCES[:1])
    await child.kill()
    assert len({m.sentence for m in playout.messages(Speak)}) < 4
    child = await Child.start(short_dir)
    playout.speed = 40.0
    await until(lambda: len(playout.heard()) >= 4)
    heard = playout.heard()
    assert heard[0] == SENTENCES[0]
    assert [text for text in heard if text in SENTENCES] == heard
    assert list(dict.fromkeys(heard)) == SENTENCES
    assert len(heard) <= 5  # one sentence may have been half in playout's hands
    await until(lambda: playout.events(prompt)[-1] == "done")
    assert await child.end() == 0


async def test_director_and_playout_killed_at_once_lose_no_prompt(
    paths: Paths, short_dir: Path, playout: PlayoutPeer
) -> None:
    child = await Child.start(short_dir)
    prompts = [await child.say(text) for text in ("".join(SENTENCES), "第二条内容。", "第三条内容。")]
    await until(lambda: playout.heard() == SENTENCES[:1])
    await child.kill()
    await playout.kill()
    before = list(playout.heard())
    playout.speed = 40.0
    await playout.start()
    child = await Child.start(short_dir)
    await until(lambda: playout.heard()[-1] == "第三条内容。")
    after = playout.heard()[len(before) :]
    assert after in ([*SENTENCES[1:], "第二条内容。", "第三条内容。"], [*SENTENCES, "第二条内容。", "第三条内容。"])
    await until(lambda: [playout.events(prompt)[-1] for prompt in prompts] == ["done"] * 3)
    assert await child.end() == 0
    assert set(states(paths).values()) == {"done"}


async def test_every_acknowledged_prompt_survives_a_kill(paths: Paths, short_dir: Path) -> None:
    child = await Child.start(short_dir)
    child.write(*(f"第{n}条。" for n in range(200)))
    acknowledged = [await child.line() for _ in range(37)]
    await child.kill()
    kept = states(paths)
    assert set(acknowledged) <= set(kept)
    assert len(kept) <= 200
    assert set(kept.values()) <= {"queued", "started"}


async def test_terminated_in_a_sentence_it_ends_cleanly_and_goes_on_with_the_queue(
    paths: Paths, short_dir: Path, playout: PlayoutPeer
) -> None:
    child = await Child.start(short_dir)
    current, waiting = await child.say("".join(SENTENCES)), await child.say("等着的一条。")
    await until(lambda: playout.talking == current)
    assert await child.end() == 0
    assert playout.heard() == SENTENCES[:1]
    assert states(paths) == {current: "cut", waiting: "queued"}
    child = await Child.start(short_dir)
    await until(lambda: playout.heard()[-1] == "等着的一条。")
    await child.kill()


def logged(paths: Paths) -> list[str]:
    return [row["text"] for row in reversed(asrun_rows(paths.journal)) if row["outcome"] == "heard"]


def states(paths: Paths) -> dict[str, str]:
    db = open_for_reading(paths.journal)
    try:
        return dict(db.execute("SELECT id, state FROM prompts ORDER BY received_ns").fetchall())
    finally:
        db.close()
