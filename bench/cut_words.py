"""How well the place of a cut is found in the text: sentences of the embedded voice, cut anywhere, and its phones.

The truth comes from another way: each character's own phonemes are counted off along the voice's. Sentences where
that does not come out even (a phoneme swallowed between two characters) are left out and counted.
"""

from __future__ import annotations

import random
import statistics
from typing import TYPE_CHECKING

from bench.run_tables import Row, percentile, table
from broadcaster.config import VoiceConfig
from broadcaster.director.heard import text_before
from broadcaster.director.utterance import Held
from broadcaster.wire import pack_speech

if TYPE_CHECKING:
    from broadcaster.speech.kokoro import KokoroSynthesiser
    from broadcaster.types import Speech

SENTENCES = (
    "今天天气不错，我们出去走走吧。",
    "大家好，欢迎来到直播间。",
    "谢谢这位朋友的礼物！",
    "你问得很好，我来回答。",
    "爸爸妈妈泡了一杯茶，然后坐在窗边看书。",
    "清晨的山谷里，薄雾慢慢散开，露出远处的屋顶。",
    "这次活动一共有三千多人报名参加。",
    "请大家把问题打在公屏上，我会一个一个回答。",
    "现在是十五点零五分，下一个节目马上开始。",
    "明天上午九点，我们不见不散。",
    "下面这道菜要先用小火慢慢炖半个小时。",
    "如果你喜欢这首歌，别忘了点一个关注。",
)
CUTS = 200
MODIFIERS = "ʰʲʷ"


def run(*, quick: bool = False) -> list[Row]:
    from broadcaster.speech.kokoro import KokoroSynthesiser

    voice = KokoroSynthesiser(VoiceConfig())
    voice.load()
    generator = random.Random(1)
    off: list[int] = []
    used = 0
    for text in SENTENCES[:4] if quick else SENTENCES:
        speech = _spoken(voice, text)
        ends = _ends(text, speech)
        if ends is None:
            continue
        used += 1
        pcm, phones = pack_speech(speech)
        sound = [Held(0, text, pcm, phones, voice.name)]
        for _ in range(CUTS):
            samples = generator.randrange(len(speech.pcm))
            found = text_before(text, samples, sound, whole=True)
            off.append(_han(found) - sum(end <= samples for end in ends))
    rows = [
        Row("sentences with a known truth", used, "", None, f"of {4 if quick else len(SENTENCES)}, {len(off)} cuts"),
        Row("characters off, mean", statistics.mean(map(abs, off)), "", 1.0),
        Row("characters off, P95", percentile([abs(each) for each in off], 95), "", 1.0),
        Row("characters off, max", max(map(abs, off)), "", 3.0),
        Row("to the character", 100 * sum(each == 0 for each in off) / len(off), "%"),
        Row(
            "one or more remembered that were not heard in full", 100 * sum(each > 0 for each in off) / len(off), "%"
        ),
    ]
    table("Place of a cut in the text, without word boundaries (those drop the word that was cut)", rows)
    return rows


def _spoken(voice: KokoroSynthesiser, text: str) -> Speech:
    return voice.synthesise(text, "zh", VoiceConfig().zh, 1.0, lambda: False)


def _ends(text: str, speech: Speech) -> list[int] | None:
    """The sample at which each Chinese character ends."""
    from misaki.zh import ZHG2P
    from pypinyin import Style, lazy_pinyin

    phones = [phone for phone in speech.phones if phone.viseme != "sil"]
    at, ends = 0, []
    for char in text:
        if not _han(char):
            continue
        (syllable,) = lazy_pinyin(char, style=Style.TONE3, neutral_tone_with_five=True)
        at += sum(each.isalpha() and each not in MODIFIERS for each in ZHG2P.py2ipa(syllable))
        if at > len(phones):
            return None
        ends.append(phones[at - 1].end)
    return ends if at == len(phones) else None


def _han(text: str) -> int:
    return sum("一" <= char <= "鿿" for char in text)


if __name__ == "__main__":
    run()
