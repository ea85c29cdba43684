"""The memory of a running director: cut answers to the word, restarts, recovered prompts, forgetting."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from broadcaster.brain.budget import Budget
from broadcaster.brain.chain import Chain, Link
from broadcaster.brain.memory import Memory
from broadcaster.brain.mind import ChainMind
from broadcaster.config import Config
from broadcaster.config.minds import MemoryConfig
from broadcaster.director import Director
from broadcaster.errors import Refused
from broadcaster.paths import Paths
from broadcaster.types import PromptKind, Viewer
from tests.fakes.gate import PassGate
from tests.fakes.playout_peer import PlayoutPeer
from tests.fakes.voice_peer import ScriptedSpeaker
from tests.support.directing import MODERATOR, OPERATOR, Brain, station
from tests.support.waiting import until

pytestmark = pytest.mark.integration

MING = Viewer("v1", "小明")


def mind(*lines: str) -> ChainMind:
    brain = Brain("model", list(lines))
    return ChainMind(Chain([Link(brain.name, brain)], None, Budget()), memory=Memory(MemoryConfig()))


def remembered(of: ChainMind) -> list[str]:
    return [message.text for message in of._memory.messages()]


async def test_a_cut_answer_is_remembered_up_to_the_word_and_survives_a_restart(paths: Paths) -> None:
    first = mind("第一句已经说完了。", "第二句话在这里被打断。")
    async with station(paths, mind=first, speaker=ScriptedSpeaker(seconds=0.2)) as on:
        on.playout.speed = 10
        on.playout.pause_in("第二句话在这里被打断。")
        asked = await on.director.accept(PromptKind.ASK, "问什么？", MODERATOR, viewer=MING)
        await until(lambda: on.playout.heard(asked.id) != [])
        await asyncio.sleep(0.06)
        await on.director.interrupt(MODERATOR)
        await on.ended(asked.id)
        cut = next(event for event in on.playout.aired if event.event == "cut")
        characters = cut.samples / 48_000 / 0.2
        question, answer = remembered(first)
        part = answer.removeprefix("第一句已经说完了。").removesuffix("……")
        assert question == "问什么？"
        assert 0 < characters < len(cut.text)
        assert cut.text.startswith(part)
        assert characters - 1.5 <= len(part) <= characters + 0.5
        before = remembered(first)
        await on.director.journal.flush()
    again = mind("好。")
    async with station(paths, mind=again) as on:
        assert remembered(again) == before
        assert "问什么？" in await again._memory.viewer_note(MING)
        assert on.director.status()["brain"]["memory"]["viewers"] == 1


@asynccontextmanager
async def directing(paths: Paths, mind: ChainMind) -> AsyncIterator[Director]:
    """A director alone, for a playout that is there before and after it."""
    director = Director(
        Config.model_validate({"channel": "test"}), paths, speaker=ScriptedSpeaker(), mind=mind, gate=PassGate()
    )
    await director.open()
    task = asyncio.create_task(director.run())
    try:
        await until(lambda: director.link.connected)
        yield director
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await director.close()


async def test_what_playout_said_while_no_director_was_there_counts_once(paths: Paths) -> None:
    """A second director meets a playout that goes on speaking for the first."""
    playout = PlayoutPeer(paths.playout_socket, speed=4)
    await playout.start()
    texts = ["第一句话在这里。", "第二句话在这里。", "第三句话在这里。", "第四句话在这里。"]
    first, second = mind(), mind()
    async with directing(paths, first) as director:
        said = await director.accept(PromptKind.SAY, "".join(texts), MODERATOR)
        await until(lambda: remembered(first) == texts[:1])
    playout.disconnect()
    await until(lambda: len(playout.heard()) >= 2)
    async with directing(paths, second):
        await until(lambda: remembered(second) == ["".join(texts)])
    assert playout.heard(said.id) == texts
    await playout.kill()


async def test_an_operator_has_a_viewer_forgotten_on_air(paths: Paths) -> None:
    with_memory = mind("这是一句回答。")
    async with station(paths, mind=with_memory) as on:
        for viewer in (MING, Viewer("v2", "小红")):
            asked = await on.director.accept(PromptKind.ASK, f"我是{viewer.name}。", MODERATOR, viewer=viewer)
            await on.ended(asked.id)
        with pytest.raises(Refused):
            await on.director.forget("v1", MODERATOR)
        assert await on.director.forget("v1", OPERATOR) == 3
        assert remembered(with_memory) == ["我是小红。", "这是一句回答。"]
        assert await with_memory._memory.viewer_note(MING) == ""
        assert [each.viewer for each in await on.director.journal.memory.exchanges(9)] == ["v2"]
