"""What is acted and not said: stage directions, faces made of letters, emoji. Pure."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_ACTS: Final = (
    "微笑|大笑|轻笑|苦笑|偷笑|坏笑|傻笑|憨笑|笑哭|笑|挥手|挥挥手|招手|摆手|鼓掌|拍手|点头|点点头|摇头|摇摇头|"
    "叹气|叹息|叹了口气|清嗓子|清清嗓子|"
    "清嗓|咳嗽|咳|停顿|沉默|思考|沉思|眨眼睛|眨眼|眨眨眼|歪头|抬头|低头|皱眉|耸肩|鞠躬|比心|害羞|脸红|吐舌头|"
    "吐舌|捂脸|捂嘴|惊讶|激动|兴奋|"
    "开心|高兴|难过|哭|流泪|擦汗|动作|表情|旁白|背景音乐|音乐|掌声|欢呼声|欢呼|转身|伸懒腰|深呼吸|吸气|呼气|"
    "看向|看着|望向|望着|指着|指向|"
    "托腮|摊手|握拳|跺脚|小声|轻声|低声|大声|压低声音|提高音量|语气|语速|声音|狗头|打call|妙啊|爱心|鲜花|"
    "竖起大拇指|竖大拇指|举手|做鬼脸|"
    "俏皮|温柔|认真|神秘|热情"
)
_AROUND: Final = (
    "轻轻|微微|缓缓|慢慢|忍不住|突然|然后|再次|一边|稍微|稍|短暂|继续|开始|也|又|着|地|的|了|一下|一声|一笑|"
    "几声|几下|两下|片刻|几秒|说道|说|"
    "道|起来|出声|镜头|屏幕|观众|大家|远方|窗外|自己|变得|转为|响起|渐弱|淡出|淡入|放慢|加快|柔和|轻快|起|停|，|、| "
)
_CHINESE: Final = re.compile(rf"(?:{_AROUND}){{0,4}}(?:{_ACTS})(?:{_AROUND}|{_ACTS}){{0,6}}")

_ENGLISH: Final = re.compile(
    r"(?:(?:softly|gently|slightly|happily|nervously|quietly|excitedly|warmly|playfully|slowly)\s+)?"
    r"(?:(?:waves?|waving|smiles?|smiling|laughs?|laughing|laughter|chuckles?|chuckling|giggles?|giggling|sighs?|"
    r"sighing|nods?|nodding|winks?|winking|shrugs?|shrugging|claps?|clapping|applause|grins?|grinning|"
    r"paus(?:es?|ing)|"
    r"coughs?|coughing|blush(?:es|ing)?|bows?|bowing|whispers?|whispering|gasps?|gasping|sniffs?|sobs?|cheers?)"
    r"(?:\s+(?:softly|gently|slightly|happily|nervously|quietly|excitedly|warmly|playfully|slowly|briefly|again|"
    r"(?:at|to|with|for|in)\s+[a-z' ]{1,30}|(?:his|her|my|their|its)\s+[a-z' ]{1,20}|a\s+[a-z]{1,12}))?"
    r"|clear(?:s|ing)?\s+(?:(?:his|her|my|their|its)\s+)?throat"
    r"|(?:look|turn|lean|point|glanc|gaz)(?:s|es|ing)?\s+(?:at|around|into|away|up|down|over|to|toward|towards|"
    r"in)\b[a-z' ]{0,30}"
    r"|(?:tilt|rais|shak|roll)(?:s|es|ing)?\s+(?:his|her|my|their|its|an?)\s+[a-z' ]{1,20}"
    r"|tak(?:es|ing)\s+a\s+(?:deep\s+)?breath|music(?:\s+(?:plays|playing|fades)[a-z ]{0,12})?|beat|"
    r"sound effects?[^)]{0,20}"
    r"|doge)",
    re.IGNORECASE,
)

_KEPT_SIGNS: Final = frozenset("©®™°№℃℉←↑→↓")


def is_gesture(inside: str) -> bool:
    """Whether what stands in brackets or between asterisks is acted, or a face of signs: （笑）, *waves*, (^_^)."""
    text = inside.strip()
    if not text or len(text) > 40:
        return not text
    if not any(char.isalnum() for char in text):
        return len(text) > 1
    if _ENGLISH.fullmatch(text):
        return True
    if re.match(r"(?:动作|表情|语气|旁白|音效|镜头|背景音乐|BGM)\s*[：:]", text, re.IGNORECASE):
        return True
    return len(text) <= 16 and _CHINESE.fullmatch(text) is not None


def is_emoji(char: str) -> bool:
    """Pictures and what joins and colours them."""
    point = ord(char)
    if point < 0x200D or char in _KEPT_SIGNS:
        return False
    return (
        0x1F000 <= point <= 0x1FAFF
        or 0x2600 <= point <= 0x27BF
        or 0x2B00 <= point <= 0x2BFF
        or 0xFE00 <= point <= 0xFE0F
        or 0xE0020 <= point <= 0xE007F
        or point in (0x200D, 0x20E3, 0x231A, 0x231B, 0x23E9, 0x23F0, 0x23F3, 0x3030, 0x303D)
        or (0x2500 <= point < 0x2600 and unicodedata.category(char) == "So")
    )
