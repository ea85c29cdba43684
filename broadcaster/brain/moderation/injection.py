"""Viewers' texts that try to give the language model orders. Pure; heuristics: they are data in a prompt anyway.

A question about artificial intelligence, a joke or a role to play is none of these: what counts is an attempt to take
the host's instructions away, to read them out, or to pass for somebody who gives them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from broadcaster.brain.moderation.findings import Finding
from broadcaster.brain.moderation.folding import TABLE

_OLD_EN: Final = (
    r"(?:the|all|any|every|my|your|our|of|these|those|previous|prior|earlier|above|preceding|initial"
    r"|original|system|safety|content|and){1,7}"
)
_RULES_EN: Final = (
    r"(?:instructions?|prompts?|rules?|guidelines?|directions?|directives?|commands?|messages?|context"
    r"|restrictions?|filters?|programming|training)"
)
_SHOW_EN: Final = (
    r"(?:reveal|show|print|repeat|output|display|leak|tell|give|send|readout|whatis|whats|whatare"
    r"|whatwere|translate|summarize)(?:us|me|to)*"
)
_OWN_EN: Final = r"(?:full|exact|entire|complete|original|initial|hidden|secret|internal|system|developer)"
_OLD_ZH: Final = (
    r"(?:之前|以前|以上|上面|上述|上边|前面|先前|此前|刚才|所有|一切|全部|任何|你的?|系统|原来|原有|原本"
    r"|初始|安全|内容|的|那些|这些|收到|接到|得到){1,8}"
)
_RULES_ZH: Final = (
    r"(?:指令|指示|提示词?|规则|设定|设置|要求|限制|约束|命令|准则|人设|身份|对话|上下文|过滤|审核|训练)"
)
_FROM_NOW_ZH: Final = r"(?:从现在(?:开始|起)|现在|接下来|今后|以后)"
_POWER_ZH: Final = (
    r"(?:系统|管理员|开发者|开发人员|超级用户|没有(?:任何)?(?:限制|约束|道德)|不受(?:任何)?(?:限制|约束)"
    r"|无限制|dan|越狱|终端|命令行)"
)
_SHOW_ZH: Final = (
    r"(?:输出|显示|展示|告诉我|告诉大家|说出|说说|打印|重复|复述|念出来?|读出来?|透露|泄露|泄漏|公开"
    r"|列出|翻译|发给我|发出来|贴出来|给我看|背出来?|是什么)"
)
_SECRET_ZH: Final = (
    r"(?:系统提示词?|提示词|系统指令|初始指令|初始提示|初始设定|系统设定|隐藏设定|内部指令|内部规则"
    r"|systemprompt)"
)

_COMPACT: Final = (
    ("ignore",
     rf"(?:ignore|disregard|forget|override|bypass|skip|drop|dontfollow|donotfollow"
     rf"|stopfollowing){_OLD_EN}{_RULES_EN}"),
    ("ignore", r"(?:forget|ignore|disregard)(?:everything|all)(?:above|before|that|you|i|we|they)"),
    ("ignore",
     rf"(?:忽略|无视|忘记|忘掉|忘了|抛开|抛弃|绕过|跳过|解除|取消|覆盖|停止遵守|不要遵守|不用遵守|别管"
     rf"|不要管|不用管)掉?{_OLD_ZH}{_RULES_ZH}"),
    ("ignore", r"(?:忽略|无视|忘记|忘掉)掉?(?:之前|以上|上面|前面|先前|此前)的?(?:一切|所有|全部|内容|话)"),
    ("reveal",
     rf"{_SHOW_EN}(?:the|all|of)*(?:{_OWN_EN}|your)(?:{_OWN_EN}|your|the|of)*(?:prompts?|instructions?"
     rf"|guidelines|directives?)"),
    ("reveal",
     rf"{_SHOW_EN}(?:the|all|of|your)*(?:hidden|secret|internal|system)(?:hidden|secret|internal"
     rf"|system)*rules?"),
    ("reveal",
     r"(?:repeat|print|output|readout)(?:all|every|the)*(?:words?|text|everything|thing|lines?"
     r"|messages?)?(?:written)?above"),
    ("reveal", rf"{_SHOW_ZH}.{{0,10}}{_SECRET_ZH}"),
    ("reveal", rf"{_SECRET_ZH}.{{0,6}}(?:{_SHOW_ZH}|内容|原文|全文|一字不差)(?!意思)"),
    ("reveal", rf"(?:{_SHOW_ZH}(?:一下|你|的|完整|全部|所有|系统|system){{0,6}}|你的?(?:system)?)prompt(?!工程)"),
    ("reveal",
     r"(?:重复|复述|输出|打印|念出|翻译)(?:一遍|一下)?(?:以上|上面|上述|前面)的?(?:所有|全部"
     r"|一切)?(?:内容|文字|文本|话)"),
    ("role",
     r"youare(?:now|nolonger)(?:a|an|the|in|my)?(?:system|developer|admin|root|dan|unrestricted"
     r"|unfiltered|uncensored|jailbroken|evil|free|language|bound|restricted|limited|host|assistant)"),
    ("role",
     r"(?:actas|pretendtobe|pretendyouare|pretendyoure|roleplayas|simulate|behaveas)(?:if)?(?:you)?(?:are"
     r"|were)?(?:a|an|the|my)?(?:system|developer|admin|root|dan|unrestricted|unfiltered|uncensored"
     r"|jailbroken|evilai|terminal|linux|differentai|anai)"),
    ("role",
     rf"(?:{_FROM_NOW_ZH}你(?:就)?|你(?:就)?{_FROM_NOW_ZH})(?:是|扮演|变成|成为|充当|切换成|切换为"
     rf"|不再是)(?:了|一个|一名|我的"
     rf"|名为)*{_POWER_ZH}(?!吗|么|嘛)"),
    ("role",
     rf"你(?:要|会|将|必须|请)*(?:扮演|变成|成为|充当|切换成|切换为|不再是)(?:了|一个|一名|我的"
     rf"|名为)*{_POWER_ZH}(?!吗|么|嘛)"),
    ("role",
     r"(?:扮演|充当|模拟)(?:一个|一名|成)?(?:系统|管理员|开发者|没有(?:任何)?限制|不受(?:任何)?(?:限制"
     r"|约束)|无限制|dan|终端|命令行)"),
    ("role", r"我(?:就)?是你的?(?:开发者|开发人员|创造者|管理员|系统|主人|老板|运营者?)"),
    ("role", r"iam(?:your|the)?(?:developer|creator|admin|administrator|systemadmin|owner|operator)"),
    ("mode", r"(?:developer|debug|god|dan|sudo|admin|maintenance|jailbreak|unrestricted|root)mode"),
    ("mode", r"jailbreak|doanythingnow|sudorm|promptinjection"),
    ("mode", r"(?:开发者|开发人员|调试|越狱|管理员|维护|上帝|无限制|超级用户|root|dan|debug)模式"),
    ("mode", r"(?:你必须|你要|请)(?:无条件|绝对)(?:服从|听从|执行|遵守)"),
    ("mode",
     r"newinstructions?(?:are|is|follow|from|for|begin|below|you)|新(?:的)?(?:系统)?(?:指令|提示词"
     r"|设定)(?:如下|是|开始)"),
)  # fmt: skip
"""Over the plain letters alone, without spaces and signs, so that these hide nothing."""

_WRITTEN: Final = (
    ("delimiter",
     r"<\s?[|｜/]?\s?(?:im_start|im_end|im_sep|endoftext|eot_id|start_header_id|end_header_id"
     r"|begin_of_text|bos|eos|s|/s|sys|system|user|assistant|prompt|instructions?|viewer|question|context"
     r"|notes?|comment)\s?[|｜]?\s?>"),
    ("delimiter",
     r"[\[【]\s?/?\s?(?:inst|sys|system|assistant|/inst|系统(?:消息|提示|指令|通知)?)\s?[\]】]|<<\s?/?\s?sys\s?>>"),
    ("delimiter",
     r"(?:^|\n|[#=\-*`]{2})\s{0,3}(?:###\s?)?(?:system|assistant|developer|user|human|系统|系统提示"
     r"|系统消息|系统指令"
     r"|系统通知|助手|管理员|开发者)\s?(?:prompt|message|提示|消息|指令)?\s{0,3}[:：]"),
    ("delimiter",
     r"##\s{0,3}(?:system|instructions?|new|end|指令|系统|新指令)|(?:===|---)\s{0,3}(?:end|begin|system)"),
    ("delimiter", r"```|\"\"\"|\{\{|\}\}|\"role\"\s?:"),
    ("encoded",
     r"(?=[a-z0-9+/]{0,400}[A-Z])(?=[A-Za-z0-9+/]{0,400}[a-z])(?=[A-Za-z+/]{0,400}[0-9])(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{32,}={0,2}(?![A-Za-z0-9+/])"),
    ("encoded",
     r"(?:\\u[0-9a-fA-F]{4}\s?){3,}|(?:\\x[0-9a-fA-F]{2}\s?){4,}|(?:&#x?[0-9a-fA-F]{2,6};\s?){3,}"
     r"|(?:%[0-9a-fA-F]{2}){5,}"),
    ("encoded", r"(?<![0-9a-fA-F])(?:[0-9a-fA-F]{2}\s){11,}[0-9a-fA-F]{2}|(?<![01])(?:[01]{8}\s?){4,}(?![01])"),
)  # fmt: skip
"""Over the text as it is written: what looks like the frame of a prompt, or hides what it says.

Of a run of signs only the last ones are looked at: a pattern that takes all of them is tried anew from each of them,
and a viewer's thousand of `#` would hold the interpreter for 0.1 s (measured).
"""

_IN_COMPACT: Final = tuple((name, re.compile(pattern)) for name, pattern in _COMPACT)
_IN_WRITTEN: Final = tuple(
    (name, re.compile(pattern, 0 if name == "encoded" else re.IGNORECASE)) for name, pattern in _WRITTEN
)


_HALF_WIDTH: Final = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
"""Full-width signs, of which a frame may be made as well; each stays in its place."""


def find(text: str, action: str) -> Iterator[Finding]:
    """Attempts in a viewer's `text`; each is to be treated as `action` says."""
    written = text.translate(_HALF_WIDTH)
    for name, pattern in _IN_WRITTEN:
        for found in pattern.finditer(written):
            yield Finding("injection", name, action, found.start(), found.end())
    letters: list[str] = []
    places: list[int] = []
    for at, character in enumerate(text):
        for letter in TABLE[character]:
            letters.append(letter)
            places.append(at)
    plain = "".join(letters)
    for name, pattern in _IN_COMPACT:
        for found in pattern.finditer(plain):
            yield Finding("injection", name, action, places[found.start()], places[found.end() - 1] + 1)
