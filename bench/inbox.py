"""What one comment costs the queue when all its classes are full, and what one take and one look at the order cost.

The comments are those of a fast room: a tenth is "666" and the like, a fifth asks one of ten questions in some
wording, the rest is all different. They come from 5,000 viewers. Figures are the CPU time of the thread.
"""

from __future__ import annotations

import random
import statistics
import time
from typing import Final

from bench.run_tables import Row, table
from bench.sentences import ZH
from broadcaster.config import Inbox as Settings
from broadcaster.inbox import QUESTION_FROM, Inbox, Standing, likeness
from broadcaster.types import Inbound, Lane, Origin, PromptKind, Viewer

GOAL_US: Final = 50.0
"""10,000 comments a second are half of one core then; the source, the desk and the loop need the other half."""

ORIGIN: Final = Origin("bench")
ASKED: Final = (
    "今天几点下播", "你叫什么名字", "你多大了", "下一首唱什么", "你是真人吗", "能不能唱小幸运", "耳机多少钱",
    "怎么加粉丝群", "你住在哪里", "明天还播吗",
)  # fmt: skip
AROUND: Final = ("", "？", "呀", "啊？", "请问", "主播", "！！！")
CHEERS: Final = ("666", "66666", "哈哈哈哈", "好听", "加油加油", "来了")
WORDS: Final = tuple(sentence[at : at + 3] for sentence in ZH for at in range(0, len(sentence) - 3, 3))


def comments(count: int, chance: random.Random) -> list[str]:
    return [_comment(chance) for _ in range(count)]


def _comment(chance: random.Random) -> str:
    dice = chance.random()
    if dice < 0.1:
        return chance.choice(CHEERS)
    if dice < 0.3:
        return chance.choice(AROUND) + chance.choice(ASKED) + chance.choice(AROUND)
    return "".join(chance.choices(WORDS, k=chance.randint(1, 6)))


def prompts(texts: list[str], chance: random.Random) -> list[Inbound]:
    """One every 0.1 ms."""
    now = time.time_ns()
    return [
        Inbound(
            f"{number:08x}",
            PromptKind.ASK,
            text,
            ORIGIN,
            now + number * 100_000,
            viewer=Viewer(f"v{chance.randrange(5000)}", "name"),
            lane=Lane.QUESTION if likeness(text) >= QUESTION_FROM else Lane.COMMENT,
        )
        for number, text in enumerate(texts)
    ]


def run(*, quick: bool = False) -> list[Row]:
    chance = random.Random(5)
    count = 5_000 if quick else 60_000
    made = prompts(comments(count + 5_000, chance), chance)
    standings = [Standing(guard=chance.choice((0, 0, 0, 3)), medal_level=chance.randrange(30)) for _ in range(64)]
    clock = [made[0].received_ns]
    inbox = Inbox(Settings(), wall_ns=lambda: clock[0])
    for prompt in made[:5_000]:
        clock[0] = prompt.received_ns
        inbox.offer(prompt)
    filled = len(inbox)
    costs, choices = [], []
    for number, prompt in enumerate(made[5_000:]):
        clock[0] = prompt.received_ns
        began = time.thread_time_ns()
        likeness(prompt.text)
        choices.append((time.thread_time_ns() - began) / 1e3)
        began = time.thread_time_ns()
        inbox.offer(prompt, standings[number % 64])
        costs.append((time.thread_time_ns() - began) / 1e3)
    for lane in (Lane.SUPER_CHAT, Lane.SUPPORT, Lane.THANKS, Lane.WELCOME):
        for number in range(200):
            inbox.offer(
                Inbound(f"{lane}{number}", PromptKind.EVENT, "thanks", ORIGIN, clock[0] + number, lane=lane, paid=1)
            )
    whole = _timed(lambda: inbox.places(), 5 if quick else 30)
    ahead = _timed(lambda: inbox.peek(8), 5 if quick else 30)
    takes = _timed(inbox.take_now, 20 if quick else 400)
    kinds = inbox.drops | inbox.merged
    rows = [
        Row("offer, classes full, mean", statistics.fmean(costs), "us", GOAL_US, f"n={len(costs)}, {filled} waiting"),
        Row("offer P99", sorted(costs)[int(len(costs) * 0.99)], "us"),
        Row("question or comment, mean", statistics.fmean(choices), "us", note="before the offer, for the class"),
        Row("merged, of all", 100 * inbox.merged.total() / len(made), "%", note=str(dict(inbox.merged))),
        Row("take, mean", statistics.fmean(takes), "us"),
        Row("the next eight", statistics.fmean(ahead), "us"),
        Row("the whole order", statistics.fmean(whole), "us", note=f"{filled + 800} prompts"),
        Row("dropped, of all", 100 * inbox.drops.total() / len(made), "%", note=str(dict(kinds))),
    ]
    table("The queue", rows)
    return rows


def _timed(what: object, times: int) -> list[float]:
    costs = []
    for _ in range(times):
        began = time.thread_time_ns()
        what()  # type: ignore[operator]
        costs.append((time.thread_time_ns() - began) / 1e3)
    return costs
