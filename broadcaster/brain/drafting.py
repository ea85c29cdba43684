"""A persona drafted by a language model, checked like one written by hand. For the command line."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Final, cast

import yaml

from broadcaster.brain.language import language_of
from broadcaster.brain.persona import Persona, parse_persona
from broadcaster.errors import BrainError, ConfigError
from broadcaster.ports import Brain
from broadcaster.types import Inbound, Message, Origin, PromptKind, Turn, Usage

TRIES: Final = 2
"""The second time the model is told what was wrong."""

MAX_CHARACTERS: Final = 20_000
MAX_TOKENS: Final = 2000

_ZH: Final = """你帮助电视台为直播间的数字人主持人写人设文件。根据用户的描述写出一个 YAML 文件，
只输出这个文件，不要解释。

可用的键（不要用别的键）：
name: 主持人的名字，不超过 40 个字，必须有
role: 一句话说明身份和做什么
tone: 说话的语气
topics: 列表，喜欢聊、了解的话题，3 到 8 条
taboos: 列表，不谈的内容，2 到 6 条
length: 每次回答的长度：short、medium、long，或者句数（1 到 20 的整数），或者秒数（例如 20s）
language: zh、en 或 auto
greeting: 一句打招呼的话
instructions: 其他要求，几句话；没有就写 ""

主持人是人工智能生成的数字人，不是真人：人设里不要写真人的经历，不要让它自称真人，不要模仿真实存在的人。
每条文字不超过 200 个字。含有冒号、引号或井号的文字放在英文双引号里。"""

_EN: Final = """You help a television station write the persona file of a live channel's digital presenter. Write
a YAML file for the user's description. Output only that file, no explanation.

The keys (use no others):
name: what the presenter is called, at most 40 characters, required
role: what it is and does, in a sentence
tone: how it sounds
topics: a list of 3 to 8 things it likes to talk about and knows
taboos: a list of 2 to 6 things it does not talk about
length: of an answer: short, medium, long, a number of sentences (1 to 20), or seconds such as 20s
language: zh, en or auto
greeting: a sentence of greeting
instructions: anything else, in a few sentences; "" if there is nothing

The presenter is made by artificial intelligence and is not a person: give it no human life, do not let it claim to be
human, and do not imitate anybody who exists. No text is longer than 200 characters. Put text with colons, quotes or
hashes in double quotes."""

_AGAIN: Final = {
    "zh": "这个文件有问题：\n{}\n请把整个文件改好，重新输出一遍，只输出文件。",
    "en": "There is something wrong with this file:\n{}\nOutput the whole file again, corrected, and nothing else.",
}

_THOUGHTS: Final = re.compile(r"<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)", re.DOTALL)
_FENCED: Final = re.compile(r"^```[^\n]*\n(.*?)^```", re.DOTALL | re.MULTILINE)
_KEY: Final = re.compile(rf"^(?:{'|'.join(Persona.model_fields)})[ \t]*:", re.MULTILINE)


async def draft(
    brain: Brain, description: str, within_s: float, progress: Callable[[int], None] = lambda characters: None
) -> Persona:
    """`within_s` bounds each of two tries. `progress` is told how many characters have come of the present one.

    Raises BrainError.
    """
    language = language_of(description)
    prompt = Inbound("persona", PromptKind.ASK, description, Origin("cli"))
    messages = [Message("user", description)]
    fault = ""
    for _ in range(TRIES):
        turn = Turn(prompt, _ZH if language == "zh" else _EN, tuple(messages), MAX_TOKENS)
        written = await _written(brain, turn, within_s, progress)
        try:
            return parse_persona(yaml_in(written), "persona.yaml")
        except ConfigError as err:
            fault = str(err)
        messages += [Message("assistant", written), Message("user", _AGAIN[language].format(fault))]
    raise BrainError(f"it wrote no persona that can be used, in {TRIES} tries; of the last one:\n{fault}")


def yaml_in(answer: str) -> str:
    """The file inside an answer: in a fence, or from its first key on."""
    plain = _THOUGHTS.sub("", answer)
    fenced = _FENCED.search(plain)
    if fenced is not None:
        return fenced[1]
    begin = _KEY.search(plain)
    return plain[begin.start() :] if begin is not None else plain


def as_yaml(persona: Persona) -> str:
    """A file that `load_persona` takes."""
    data = persona.model_dump()
    text: str = yaml.dump(
        data, Dumper=_Dumper, allow_unicode=True, sort_keys=False, default_flow_style=False, width=110
    )
    return text


class _Dumper(yaml.SafeDumper):
    """Quotes what PyYAML takes for text and our own reader for a number (0E0)."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, '"' if text[:1] in tuple("0123456789+-.") else None)


_Dumper.add_representer(str, _represent_text)


async def _written(brain: Brain, turn: Turn, within_s: float, progress: Callable[[int], None]) -> str:
    written = ""
    try:
        async with asyncio.timeout(within_s), aclosing(cast("_Closable", brain.reply(turn))) as parts:
            async for part in parts:
                if not isinstance(part, Usage):
                    written += part
                    progress(len(written))
                if len(written) > MAX_CHARACTERS:
                    raise BrainError("it does not stop writing")
    except TimeoutError as err:
        raise BrainError(f"it did not finish within {within_s:.0f} s") from err
    return written


class _Closable(AsyncIterator["str | Usage"]):
    async def aclose(self) -> None: ...
