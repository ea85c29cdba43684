"""The language of live chat: emoji, [表情] tags, kaomoji, #topics#, @names. Pure.

Faces are shown and not said. An emoji is read only where it stands for a word (我❤你), and a [tag] only when it is no
known sticker: then the brackets were written for weight ([重要] 通知).
"""

from __future__ import annotations

import re
from typing import Final

from broadcaster.speech.reading.languages import HAN

_KEYCAP: Final = re.compile("([0-9#*])\ufe0f?\u20e3(?=[ ]*(.?))")
_HEART: Final = re.compile(f"(?<=[{HAN}A-Za-z])[ ]?[❤♥💗💕💖🧡💛💚💙💜🖤]\ufe0f?[ ]?(?=[{HAN}A-Za-z])")
_ARROW: Final = re.compile("[ ]*(?:[→⇒➜➡]\ufe0f?|-->?|=>)[ ]*(?=[\\w“《])")
_NAMED: Final = {
    "zh": {"💯": "一百分", "🆚": "对", "🆗": "OK"},
    "en": {"💯": "one hundred percent", "🆚": "versus", "🆗": "OK"},
}
_LOVE: Final = {"zh": "爱", "en": " love "}
_TO: Final = {"zh": "到", "en": " to "}
_CIRCLED: Final = {
    **{chr(0x2460 + n): str(n + 1) for n in range(20)},
    **{chr(0x2474 + n): str(n + 1) for n in range(20)},
    **{chr(0x2488 + n): str(n + 1) for n in range(20)},
    **{chr(0x2776 + n): str(n + 1) for n in range(10)},
}
_CIRCLE: Final = re.compile(f"([{''.join(_CIRCLED)}])[ 、.]*(?=(.?))")

_STICKERS: Final = frozenset(
    """
    doge 微笑 OK 星星眼 妙啊 辣眼睛 吃瓜 滑稽 打call 点赞 鼓掌 无语 偷笑 疑惑 笑哭 嗑瓜子 喜欢 嘟嘟 给心心
    笑 大笑 惊讶 害羞 调皮 呲牙 再见 白眼 尴尬 捂脸 冷 生气 生病 口罩 嫌弃 大哭 流泪 抓狂 难过 委屈 傲娇 酸
    歪嘴 思考 哦呼 吓 响指 抠鼻 阴险 囧 奋斗 哈欠 翻白眼 抱抱 爱心 支持 加油 胜利 保佑 拥抱 老鼠 龙年 跪了
    墨镜 藏狐 脱单doge 怪我咯 呆 呜呜 灵魂出窍 热 汗 脸红 打脸 哇 撇嘴 色 发呆 得意 闭嘴 睡 发怒 酷 冷汗 吐
    愉快 傲慢 饥饿 困 惊恐 流汗 憨笑 悠闲 咒骂 疑问 嘘 晕 衰 骷髅 敲打 擦汗 坏笑 左哼哼 右哼哼 鄙视 快哭了
    亲亲 可怜 菜刀 西瓜 啤酒 咖啡 猪头 玫瑰 凋谢 嘴唇 心碎 蛋糕 炸弹 便便 月亮 太阳 礼物 强 弱 握手 拳头
    勾引 嘿哈 奸笑 机智 皱眉 耶 红包 發 福 破涕为笑 苦涩 裂开 叹气 让我看看 旺柴 好的 社会社会 Emm 天啊
    允悲 二哈 摊手 费解 黑线 并不简单 哆啦A梦 赞 心 泪 挖鼻 亲 怒骂 太开心 吃惊 馋嘴 互粉 挤眼 懒得理你
    右边亮了 作揖 拜拜 伤心 比心 碰拳 灵光一闪 送心 泣不成声 绿帽子 看 奥特曼 尬笑 紫薇别走 舔屏 飞吻 戳脸
    呆无辜 惊喜 666 石化 泪奔 what what? 可爱 吐舌 小鼓掌 吃鸡 我酸了 期待 画风突变 哈哈 哈士奇 狗子 求关注
    干杯 抱拳 doge脸 ok 真棒 爱你 送花花 花 酸了 生日快乐 打卡 三连 点赞收藏 投币 收藏 一键三连 视频卫星
    保卫萝卜 热词系列 表情
    """.split()
)
_BRACKETED: Final = re.compile(r"[\[【]([^\[\]【】\n]{1,24})[\]】]")
_STICKER_NAME: Final = re.compile(r"[^_]+_[^_]+|.*(?:doge|表情包?)")
_TOPIC: Final = re.compile(r"#([^#\s][^#\n]{0,40})#")
_HASHTAG: Final = re.compile(rf"(?<![A-Za-z0-9&])#(?=[{HAN}A-Za-z_])")
_MENTION: Final = re.compile(rf"(?<![A-Za-z0-9._-])@(?=[{HAN}\w])")

_EDGE_BEFORE: Final = r"(?<![A-Za-z0-9_])"
_EDGE_BEHIND: Final = r"(?![A-Za-z0-9_])"
_EMOTICON: Final = re.compile(
    rf"{_EDGE_BEFORE}(?:[:;][-'o^]?[)(DPpOo3|*]+|[xX]D+|[Tt]_+[Tt]|T[.]T|T-T|Q_Q|[TQ]A[TQ]|[QTOU][wv][QTOU]|orz|OTZ|Orz|[oO0]_+[oO0]"
    rf"|[>＞^=\-~;T][_＿.]+[<＜^=\-~;T]|\^o?\^|>w<|<3|╯︵┻━┻){_EDGE_BEHIND}"
)
_ARM: Final = r"[ヾヽ╮╭╯╰┻━┳┬─︵ﾉノつっ✧✿☆★♪♡❤゛ﾟ*\\/_~～๑و٩۶ᕦᕤ¯|凸乁ㄏㄟ]*"
_ARMS: Final = rf"(?:(?<![A-Za-z])[oO])?{_ARM}"
_ARMS_BEHIND: Final = rf"{_ARM}(?:[oO](?![A-Za-z]))?"
_FACE_SIGNS: Final = "´`ω∀･•́̀ヮ▽≧≦°□╯╰︶ε╥﹏⊙ㅂ๑✧♡◕‿◡ಠツ∇⌒▔罒Дд￣ˊˋ●◎∩●○›‹·눈益皿ﾟ゜^><;✪ᴗ☻◠︿๏ಥ"
_KAOMOJI: Final = re.compile(
    rf"{_ARMS}[(（](?=[^()（）\n]*[{re.escape(_FACE_SIGNS)}＾＿_])(?![^()（）\n]*[0-9A-Za-z]{{2}})"
    rf"(?:[^()（）\n{HAN}]|[罒益皿口]|з」∠){{1,20}}[)）]{_ARMS_BEHIND}"
)
_MAN_LYING: Final = re.compile("_[(（]:?[зЗ3][」」]∠[)）]_")
_EXPRESSION: Final = re.compile(r"[\d+\-×÷*/=.,%<> ()]+")


def without_faces(text: str, language: str) -> str:
    """`text` with emoji that stand for words written out, and kaomoji and stickers taken away."""
    text = _KEYCAP.sub(lambda m: m[1] + _pause_behind(m[2], language) if m[1].isdigit() else "", text)
    text = _HEART.sub(_LOVE[language], text)
    text = _ARROW.sub(lambda m: _TO[language] if m.start() else "", text)
    for sign, word in _NAMED[language].items():
        text = text.replace(sign, word)
    text = _CIRCLE.sub(lambda m: _CIRCLED[m[1]] + _pause_behind(m[2], language), text)
    text = _KAOMOJI.sub(_face, _MAN_LYING.sub("", text))
    return _EMOTICON.sub("", text)


def without_tags(text: str, language: str) -> str:
    """Stickers go, other [words] get a pause behind them; # and @ before names are not said."""
    text = _BRACKETED.sub(lambda match: _tag(match[0][0], match[1].strip(), language), text)
    text = _TOPIC.sub(r"\1 ", text)
    text = _HASHTAG.sub("", text)
    return _MENTION.sub("", text)


def _pause_behind(following: str, language: str) -> str:
    return ("、" if language == "zh" else ", ") if following.isalpha() else ""


def _face(match: re.Match[str]) -> str:
    return match[0] if _EXPRESSION.fullmatch(match[0]) else ""


def _tag(bracket: str, name: str, language: str) -> str:
    if bracket == "[" and (name in _STICKERS or _STICKER_NAME.fullmatch(name)):
        return ""
    return f"{name}，" if language == "zh" else f"{name}, "
