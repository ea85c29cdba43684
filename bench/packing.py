"""Package underruns with scripted slow engines: a fixed minimum of 10 characters against the adaptive one.

In virtual time. Both speak the same replies with the same engine. The fixed packer cuts the growing text at any mark,
its first package as soon as there is one and later ones at 10 characters at least, asks for one after the other and
plays each as soon as it is made. An underrun is silence inside of a reply: the next package was not ready when the
one before had been heard. The adaptive one knows nothing of an engine before its first package; what it learns then
is in the figures too.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Final

from bench.run_tables import Row, percentile, table
from broadcaster.speech import words
from broadcaster.speech.pipeline import PacedSpeaker
from broadcaster.speech.units import spoken_units
from broadcaster.types import SAMPLE_RATE, Piece
from tests.fakes.voice import ScriptedVoice, run_virtually

MINIMUM: Final = 10.0
MARKS: Final = "。！？，、；：…,.!?;:"
JITTER: Final = 0.2
AUDIBLE_S: Final = 0.02

ENGINES: Final = {
    "quick: 0.15 s + 0.01 s per character": (0.15, 0.01),
    "embedded: 0.4 + 0.08": (0.4, 0.08),
    "slow to begin: 1.2 + 0.03": (1.2, 0.03),
    "very slow to begin: 2.0 + 0.03": (2.0, 0.03),
    "hardly faster than speech: 0.4 + 0.13": (0.4, 0.13),
}
RATES: Final = {"text at once": None, "30 characters/s": 30.0, "10 characters/s": 10.0, "5 characters/s": 5.0}

REPLIES: Final = (
    "好的。谢谢你的礼物！我看到了。真漂亮啊。今天的节目马上开始，大家先聊一聊。你们那边下雨了吗？我这里天晴。",
    "你好呀，欢迎来到直播间！我是今天的主播。我们先看一看天气，再聊一聊周末去哪里玩。有问题就打在屏幕上，我会一个一个回答。",
    "这个问题问得好。简单地说，茶叶的味道和三件事有关：水温、时间、还有茶具。水太烫，茶就苦。时间太长，也会苦。"
    "所以我建议你先用八十度的水，泡一分半钟，然后尝一尝。觉得淡，再加半分钟。",
    "是的。对。没错。我也这么想！不过呢，还有一点。别忘了带伞。明天下午有雨，气温下降到十二度左右，出门多穿一件衣服。",
    "上证指数今天收于3,245.67点，上涨0.35%，成交额1.2万亿元。其中科技股表现最好，消费股小幅回落。"
    "分析人士认为，市场情绪正在慢慢恢复，但是短期内仍然会有波动，投资者需要保持耐心。",
    "哈哈，被你发现了！我确实不是真人，我是一个数字主播。不过我会认真听你说话，也会尽量回答你的问题。"
    "如果我不知道，我就直接告诉你，绝对不乱说。怎么样？继续聊？",
)


@dataclass
class Heard:
    """What a listener hears of many replies."""

    starts: list[float] = field(default_factory=list)
    gaps: list[float] = field(default_factory=list)
    packages: int = 0
    _end: float | None = None

    def begin(self) -> None:
        self._end = None

    def take(self, asked: float, now: float, seconds: float) -> None:
        """A piece may be played from `now` on; the reply was asked for at `asked`."""
        self.packages += 1
        if self._end is None:
            self.starts.append(now - asked)
        elif now - self._end > AUDIBLE_S:
            self.gaps.append(now - self._end)
        self._end = max(now, self._end or now) + seconds

    def left(self, now: float) -> float:
        return max(0.0, (self._end or now) - now)


class FixedSpeaker:
    """Packages at marks, the first at once and the others of at least so many characters; one request at a time."""

    def __init__(self, voice: ScriptedVoice, minimum: float) -> None:
        self._voice = voice
        self._minimum = minimum

    async def speak(self, text: AsyncIterator[str]) -> AsyncIterator[float]:
        """The seconds of each package's sound, when it is made."""
        packages: asyncio.Queue[str | None] = asyncio.Queue()
        reader = asyncio.create_task(self._read(text, packages))
        while (package := await packages.get()) is not None:
            async for sound in self._voice.speak(Piece(package, "zh", 0), 1):
                yield len(sound.pcm) / SAMPLE_RATE
        await reader

    async def _read(self, text: AsyncIterator[str], packages: asyncio.Queue[str | None]) -> None:
        package = ""
        first = True
        number = False
        async for delta in text:
            for char in delta:
                if (
                    package
                    and package[-1] in MARKS
                    and not (number and char.isdigit())
                    and self._enough(package, first)
                ):
                    packages.put_nowait(package)
                    package, first = "", False
                number = char.isdigit() or (number and char in ".,")
                package += char
        if spoken_units(package) > 0:
            packages.put_nowait(package)
        packages.put_nowait(None)

    def _enough(self, package: str, first: bool) -> bool:
        return spoken_units(package) >= (1.0 if first else self._minimum)


async def typed(text: str, rate: float | None) -> AsyncIterator[str]:
    """Three characters at a time, as a model writes them."""
    if rate is None:
        yield text
        return
    for at in range(0, len(text), 3):
        await asyncio.sleep(3 / rate)
        yield text[at : at + 3]


def engine(fixed: float, per_unit: float) -> ScriptedVoice:
    dice = random.Random(7)

    def seconds(units: float, call: int) -> float:
        return (fixed + per_unit * units) * dice.uniform(1 - JITTER, 1 + JITTER)

    return ScriptedVoice(seconds)


def perform(replies: list[str], rate: float | None, voice: ScriptedVoice, *, adaptive: bool) -> Heard:
    async def main() -> Heard:
        clock: Callable[[], float] = asyncio.get_running_loop().time
        heard = Heard()
        paced, fixed = PacedSpeaker(voice), FixedSpeaker(voice, MINIMUM)
        for number, reply in enumerate(replies):
            heard.begin()
            asked = clock()
            if adaptive:
                async for piece in paced.speak(typed(reply, rate), number):
                    heard.take(asked, clock(), len(piece.speech.pcm) / SAMPLE_RATE)
            else:
                async for seconds in fixed.speak(typed(reply, rate)):
                    heard.take(asked, clock(), seconds)
            await asyncio.sleep(heard.left(clock()) + 2.0)
        return heard

    return run_virtually(main())


def run(*, quick: bool) -> list[Row]:
    words.load()
    replies = [reply for _ in range(1 if quick else 5) for reply in REPLIES]
    rows: list[Row] = []
    for voice, (fixed, per_unit) in ENGINES.items():
        for text, rate in RATES.items():
            for adaptive in (False, True):
                heard = perform(replies, rate, engine(fixed, per_unit), adaptive=adaptive)
                name = "adaptive" if adaptive else "fixed"
                note = (
                    f"{len(heard.gaps)} underruns, longest {1000 * max(heard.gaps, default=0.0):.0f} ms, "
                    f"first sound P50 {1000 * percentile(heard.starts, 50):.0f} ms, {heard.packages} packages, "
                    f"with the silence before {sum(heard.gaps) + sum(heard.starts):.0f} s"
                )
                rows.append(Row(f"{voice}, {text}: silence, {name}", sum(heard.gaps), "s", note=note))
    table(f"Package underruns in {len(replies)} replies, virtual time", rows)
    return rows


if __name__ == "__main__":
    run(quick=False)
