"""A long programme spoken in virtual time through a chain whose first two links fail at random."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass

from broadcaster.speech.chain import ChainVoice, Link
from broadcaster.speech.pipeline import PacedSpeaker
from broadcaster.supervisor.breaker import CircuitBreaker
from tests.fakes.voice import run_virtually
from tests.fakes.voice_links import FAULTS, Ears, FaultyLink, SureLink

WORDS = (
    "今天 我们 一起 看看 城市 公园 天气 消息 朋友 大家 现在 开始 音乐 故事 电影 比赛 学校 工作 生活 健康 早餐 茶叶 "
    "手机 电脑 市场 价格 新闻 主播 直播 礼物 关注 谢谢 明天 晚上 下午 周末 旅行 火车 飞机 海边 山上 花开 下雪 阳光"
).split()


def programme(count: int, dice: random.Random) -> list[str]:
    """Sentences of 4 to 40 characters in clauses."""
    sentences = []
    for _ in range(count):
        words = [dice.choice(WORDS) for _ in range(dice.randint(2, 20))]
        text = ""
        for number, word in enumerate(words):
            text += word
            if number < len(words) - 1 and dice.random() < 0.2:
                text += "，"
        sentences.append(text + dice.choice("。。。！？"))
    return sentences


@dataclass
class Outcome:
    sentences: list[str]
    ears: Ears
    starts: list[float]
    """Seconds from the text of each utterance to its first sound."""
    chain: ChainVoice
    links: list[FaultyLink]
    last: SureLink
    breakers: list[CircuitBreaker]
    seconds: float


def perform(count: int, *, failing: float, seed: int = 1, look_ahead_s: float = 10.0, utterance: int = 5) -> Outcome:
    """`failing` is the share of pieces at which a link has a fault, drawn evenly from FAULTS.

    So many sentences make an utterance. Each begins in silence, two seconds behind the one before: then its first
    piece is let go while it comes, and may be cut inside.
    """
    dice = random.Random(seed)
    sentences = programme(count, dice)

    def fault(piece: object, call: int) -> str | None:
        return dice.choice(FAULTS) if dice.random() < failing else None

    async def text(of: list[str]) -> AsyncIterator[str]:
        for sentence in of:
            yield sentence

    async def main() -> Outcome:
        clock = asyncio.get_running_loop().time
        links = [FaultyLink(name, fault, first_s=0.5, rtf=0.3, dice=dice) for name in ("one", "two")]
        last = SureLink()
        breakers = [CircuitBreaker(clock, dice) for _ in links]
        chained = [Link(link.name, link, breaker) for link, breaker in zip(links, breakers, strict=True)]
        chain = ChainVoice([*chained, Link(last.name, last)])
        speaker = PacedSpeaker(chain, look_ahead_s=look_ahead_s)
        ears = Ears()
        starts = []
        for begin in range(0, count, utterance):
            ears.silence()
            began: float | None = clock()
            async for piece in speaker.speak(text(sentences[begin : begin + utterance]), begin):
                if began is not None:
                    starts.append(clock() - began)
                    began = None
                ears.take(clock(), piece)
                # As the director does: no more than that in playout's hands.
                await asyncio.sleep(max(0.0, (ears.play_end or 0.0) - clock() - 10.0))
            await asyncio.sleep(max(0.0, (ears.play_end or 0.0) - clock()) + 2.0)
        ears.end()
        return Outcome(sentences, ears, starts, chain, links, last, breakers, clock())

    return run_virtually(main())
