"""A scripted chat with viewers who come back, moderators who talk in between and interruptions anywhere.

The air of the playout peer passes `speed` times faster than life, so that half an hour takes seconds. What playout
says was heard is the record that the memory is held against; the two meet nowhere else.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import typer

from broadcaster.brain.budget import Budget
from broadcaster.brain.chain import Chain, Link
from broadcaster.brain.memory import Memory
from broadcaster.brain.memory.history import joined
from broadcaster.brain.mind import ChainMind
from broadcaster.brain.persona import BUILT_IN
from broadcaster.brain.prompting import Prompter
from broadcaster.config.minds import MemoryConfig
from broadcaster.errors import BrainError
from broadcaster.paths import Paths
from broadcaster.ports import Ledger, MemoryStore
from broadcaster.types import SAMPLE_RATE, Exchange, PromptKind, Turn, Usage, Viewer
from tests.fakes.voice_peer import ScriptedSpeaker
from tests.support.directing import MODERATOR, station
from tests.support.waiting import until

HISTORY_TOKENS = 800
PACE_S = 0.2
"""Of speech, for a character."""
MOST_DROPPED = 5.0
"""Characters: the longest word of what is said, and one for the estimate."""
ENDED = {"done", "cut", "skipped"}
VIEWERS = [Viewer(f"v{number}", f"观众{number}") for number in range(12)]
MORE = ("天气很好，适合出门。", "我们慢慢说。", "茶要趁热喝才香。", "这个问题问得很好！", "下午还有音乐节目。")


class Talker:
    """A brain whose sentences are all different, and which keeps what it was sent."""

    name = "talker"

    def __init__(self, generator: random.Random) -> None:
        self.turns: list[Turn] = []
        self._generator = generator

    async def reply(self, turn: Turn) -> AsyncIterator[str | Usage]:
        self.turns.append(turn)
        number = len(self.turns)
        for part in range(self._generator.randint(1, 4)):
            yield f"这是第{number}个回答的第{part + 1}句，{self._generator.choice(MORE)}"

    async def close(self) -> None:
        pass


class Kept:
    """The journal's memory, and what it was given of every prompt in the end."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self.known: dict[str, Exchange] = {}
        self.most = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def keep_exchange(self, exchange: Exchange, keep: int) -> None:
        self.known[exchange.prompt] = exchange
        self.most = max(self.most, keep)
        self._store.keep_exchange(exchange, keep)


class Watched(ChainMind):
    kept: Kept

    async def open(self, memory: MemoryStore, ledger: Ledger) -> None:
        self.kept = Kept(memory)
        await super().open(self.kept, ledger)  # type: ignore[arg-type]


@dataclass(slots=True)
class ChatReport:
    seconds: float = 0.0
    """Of the channel's air."""
    prompts: int = 0
    cut: int = 0
    returning: int = 0
    """Questions with a note about who asks."""
    summaries: int = 0
    most_tokens: int = 0
    most_kept: int = 0
    faults: list[str] = field(default_factory=list)

    def text(self) -> str:
        head = (
            f"{self.seconds:.0f} s of air: {self.prompts} prompts, {self.cut} cut, {self.returning} by known "
            f"viewers, {self.summaries} summaries; history at most {self.most_tokens} of {HISTORY_TOKENS} tokens, "
            f"{self.most_kept} exchanges kept"
        )
        return "\n".join([head, *(f"WRONG {fault}" for fault in self.faults[:40])])


async def chat(paths: Paths, *, seconds: float, speed: float, seed: int = 1, pace: float = PACE_S) -> ChatReport:
    """`seconds` of air, `speed` times faster than life; `pace` is seconds for a character."""
    generator, report, began = random.Random(seed), ChatReport(), time.monotonic()
    brain = Talker(generator)

    async def summarise(system: str, text: str) -> str:
        report.summaries += 1
        if report.summaries % 3 == 0:
            raise BrainError("away")
        return f"纪要{report.summaries}。"

    def air() -> float:
        return (time.monotonic() - began) * speed

    memory = Memory(
        MemoryConfig(history_tokens=HISTORY_TOKENS), ask=summarise, wall=lambda: 10**18 + int(air() * 1e9)
    )
    budget = Budget()
    mind = Watched(Chain([Link(brain.name, brain)], None, budget), prompting=Prompter(BUILT_IN), memory=memory)
    speaker = ScriptedSpeaker(seconds=pace)
    async with station(paths, speaker=speaker, mind=mind) as on:
        on.playout.speed, on.playout.status_every = speed, 0.2
        while air() < seconds:
            report.prompts += 1
            if report.prompts % 5 == 0:
                prompt = await on.say(f"主持人第{report.prompts}次自己说两句。{generator.choice(MORE)}")
            else:
                viewer = generator.choice(VIEWERS)
                prompt = await on.director.accept(
                    PromptKind.ASK, f"第{report.prompts}个问题是什么？", MODERATOR, viewer=viewer
                )
            if report.prompts % 3 == 1:
                await until(partial(on.types, prompt.id), 30)
                await asyncio.sleep(generator.uniform(0.5, 5 if report.prompts == 1 else 20) * pace / speed)
                await on.director.interrupt(MODERATOR)
            await until(lambda over=prompt.id: bool(ENDED & set(on.types(over))), 120)
            report.most_tokens = max(report.most_tokens, memory.status()["tokens"])
        await memory.settled()
        report.seconds = air()
        report.most_kept = mind.kept.most
        _compare(report, mind.kept.known, on.playout.aired, pace)
        _check_turns(report, brain.turns)
    return report


def _compare(report: ChatReport, kept: dict[str, Exchange], aired: list[Any], pace: float) -> None:
    """Memory against playout's own record, prompt by prompt."""
    whole: dict[str, list[str]] = defaultdict(list)
    for event in aired:
        if event.event == "heard":
            whole[event.utterance].append(event.text)
    for event in aired:
        if event.event == "cut" and event.samples > 0:
            report.cut += 1
            answer = kept[event.utterance].answer if event.utterance in kept else ""
            before = joined(whole[event.utterance])
            part = answer.removeprefix(before)
            characters = event.samples / SAMPLE_RATE / pace
            if not answer.startswith(before) or not event.text.startswith(part):
                report.faults.append(f"{event.utterance} remembers what was not heard")
            elif not characters - MOST_DROPPED <= len(part) <= characters + 1.5:
                report.faults.append(f"{event.utterance}: {len(part)} characters remembered, {characters:.1f} heard")
            if part and event.utterance in kept and not kept[event.utterance].cut:
                report.faults.append(f"{event.utterance} was cut, and the memory does not know")
            whole.pop(event.utterance)
            kept.pop(event.utterance, None)
    for prompt, texts in whole.items():
        if texts and (prompt not in kept or kept[prompt].answer != joined(texts)):
            report.faults.append(f"{prompt} was heard and is remembered otherwise")
    report.faults += [f"{prompt} was never heard" for prompt in kept.keys() - whole.keys()]


def _check_turns(report: ChatReport, turns: list[Turn]) -> None:
    for turn in turns:
        if BUILT_IN.name not in turn.system or len(turn.system) < 200:
            report.faults.append("a turn without the system prompt")
        if turn.messages[-1].role != "user" or turn.prompt.text not in turn.messages[-1].text:
            report.faults.append("a turn whose last message is not the question")
        report.returning += "次来直播间" in turn.system
    if report.most_tokens > HISTORY_TOKENS:
        report.faults.append(f"{report.most_tokens} tokens of history")


def main(minutes: float = 30.0, speed: float = 1.0, seed: int = 1) -> None:
    """Run the chat and print what was found; --speed 1 is real time."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        paths = Paths(root / "s", root / "r", root / "c")
        paths.ensure()
        report = asyncio.run(chat(paths, seconds=minutes * 60, speed=speed, seed=seed))
    print(report.text())
    raise SystemExit(bool(report.faults))


if __name__ == "__main__":
    typer.run(main)
