"""Is a remark in brackets or stars a stage direction, or something to be said? Pure."""

from __future__ import annotations

import re
from typing import Final

_ZH: Final = re.compile(
    r"[\u4e00-\u9fff]{0,4}"
    r"(?:微笑|大笑|笑(?![话料点容])|挥手|挥挥手|停顿|叹气|叹息|鼓掌|掌声|点头|摇头|清嗓子?|咳嗽|轻声|小声|低声|温柔|激动|兴奋"
    r"|害羞|歪头|眨眼|比心|鞠躬|思考|沉思|沉默|招手|拍手|拥抱|耸肩|吐舌头?|捂嘴|深呼吸|音乐|音效|旁白|画外音|转身|背景音)"
    r"(?:着|地|了|声|一下|出声|起来|片刻|响起|道|说|一笑)*[\u4e00-\u9fff]{0,2}"
)
_LABELLED: Final = re.compile(
    r"(?:动作|表情|神态|语气|旁白|画面|镜头|音效|背景音乐|舞台提示|BGM)[:：].{1,40}", re.IGNORECASE
)
_EN: Final = re.compile(
    r"(?:\w+(?:ly)? ){0,2}(?:laugh|chuckl|giggl|smil|grin|wav(?:e|es|ing)\b|sigh|paus(?:e|es|ing)\b|nod"
    r"|wink|shrug|gasp|cough"
    r"|cheer|clap|applau|bow(?:s|ing)?\b|blush|whisper|clears? (?:his |her |my |their |the )?throat"
    r"|takes? a (?:deep )?breath"
    r"|(?:soft |upbeat |background )?music\b|drum ?roll|beat$|in an? \w+ (?:voice|tone)|thinks?$"
    r"|thinking$)[\w ,']{0,30}",
    re.IGNORECASE,
)


def is_gesture(remark: str) -> bool:
    """`remark` is what stands between the brackets or stars."""
    text = remark.strip()
    return any(pattern.fullmatch(text) is not None for pattern in (_ZH, _LABELLED, _EN))
