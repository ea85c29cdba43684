"""Refusals, disclaimers and errors that come as if they were an answer. Sentence by sentence; pure.

A sentence that begins like one of them waits until it is clear what it is; all others leave character by character.
"""

from __future__ import annotations

import re
from typing import Final

from broadcaster.errors import BrainError

_LONGEST: Final = 240
"""Characters that such a sentence waits at most: what is longer says something of its own."""

_DISCLAIMERS: Final = (
    r"(?:作为|身为)(?:一个|一名|一款|一种|由[^，。]{1,20}(?:开发|训练)的)?[^，,。]{0,12}"
    r"(?:(?:AI|人工智能)(?!主播|虚拟|数字)|语言模型|大模型|聊天机器人|智能助手|虚拟助手)[^，,。]{0,14}",
    r"as an? (?:[a-z-]+ ){0,3}?(?:AI|artificial intelligence|language model|LLM|chatbot)\b[^,.]{0,40}",
)
_DISCLAIMER: Final = re.compile(rf"(?:{'|'.join(_DISCLAIMERS)})[，,]\s*", re.IGNORECASE)

_DOING: Final = (
    "回答|回复|提供|讨论|协助|帮助|帮您|帮你|满足|生成|参与|处理|"
    "继续|完成|给出|谈论|评论|发表|执行|支持|透露|涉及|对此|对这个|就此|为您|为你"
)
_REFUSALS: Final = (
    rf"(?:很|非常|十分|实在)?(?:抱歉|对不起|不好意思)[^。！？]{{0,40}}?(?:无法|不能|没办法|没有办法|不便|不方便|"
    rf"不可以|不会)"
    rf"[^。！？]{{0,12}}?(?:{_DOING})[^。！？]*",
    rf"(?:对于|关于)?[^。！？，]{{0,12}}[，,]?我(?:无法|不能|没办法|没有办法|"
    rf"不便)[^。！？]{{0,8}}?(?:{_DOING})[^。！？]{{0,20}}"
    r"(?:请求|问题|内容|话题|信息|要求|帮助)[^。！？]{0,4}",
    r"(?:i['’]?m|i am|we['’]re)?\s*(?:really |very |so )?(?:sorry|apologi[sz]e)[^.!?]{0,80}?\b(?:can['’]?t|"
    r"cannot|can not|"
    r"unable|not able|won['’]?t|not allowed)\b[^.!?]*",
    r"(?:unfortunately,? )?i(?:['’]m| am)? (?:can['’]?t|cannot|can not|unable to|not able to|won['’]?t)"
    r" (?:help|assist|provide|answer|fulfil|fulfill|comply|discuss|respond|engage|continue|share)[^.!?]*",
    r"(?:my (?:knowledge|training)[^.!?]{0,20}(?:cut-?off|only goes|ends)|"
    r"i don['’]?t have (?:access to )?real-?time)[^.!?]*",
    r"(?:我的(?:知识|训练数据)[^。！？]{0,12}(?:截止|截至|只到)|截至我(?:的|最后)[^。！？]{0,20})[^。！？]*",
)
_REFUSAL: Final = re.compile(rf"(?:{'|'.join(_REFUSALS)})[。！？.!?\s]*", re.IGNORECASE)
_BARE_DISCLAIMER: Final = re.compile(rf"(?:{'|'.join(_DISCLAIMERS)})[。！？.!?\s]*", re.IGNORECASE)

_OFFERS: Final = re.compile(
    r"[^。！？.!?]*(?:如果(?:你|您)?(?:还)?有(?:任何)?(?:其他|别的)|(?:可以|请)随时(?:告诉|问)|请告诉我|很乐意|"
    r"还有什么可以帮|换(?:一)?个话题|"
    r"if you have any|is there (?:anything|something) else|let me know|feel free|(?:i['’]d be|"
    r"happy) (?:happy )?to help|"
    r"how else (?:can|may) i)[^。！？.!?]*[。！？.!?\s]*",
    re.IGNORECASE,
)
"""Said behind a refusal, and worth nothing without an answer."""

_ERRORS: Final = re.compile(
    r"(?:\W{0,3})(?:"
    r"(?:[a-z]+ )?error\s*(?:[:：]|\d{3}\b|code\b|occurred)|an? (?:internal |unexpected |"
    r"unknown )?(?:server )?error (?:has )?occurred|"
    r"[a-z_.]*(?:error|exception)\s*[:：(]|traceback \(most recent|internal server error|bad gateway|"
    r"service (?:temporarily )?unavailable|"
    r"gateway time-?out|too many requests|rate limit|(?:the )?(?:request|connection) (?:has )?(?:failed|"
    r"timed out|was aborted)|"
    r"(?:401|402|403|404|408|409|413|422|429|500|502|503|504)\b[ :：,-]{1,3}[a-z{]|http/?[\d.]* ?\d{3}\b|"
    r"unauthori[sz]ed\b|(?:invalid|incorrect) api key|"
    r"you exceeded your current quota|insufficient (?:quota|balance)|this model's maximum context|"
    r"context length exceeded|"
    r"<!doctype|<html|upstream (?:connect|request) |no healthy upstream|"
    r"(?:系统|服务器|服务|接口|网络|请求|调用|模型)(?:内部)?(?:暂时|暂)?(?:出现)?(?:了)?(?:错误|异常|超时|失败|"
    r"繁忙|不可用|过载|过于频繁|频率)(?:[，。！,.!:：\s]|$)|(?:错误|出错了|异常)\s*[:：]|错误(?:码|代码|信息)"
    r")",
    re.IGNORECASE,
)

_CALLS: Final = re.compile(
    r"\s*(?:(?:thought|action|action input|observation|tool|tool_call|function)\s*[:：].*"
    r"|[a-z]+(?:[_.][a-z]+)+\([^。！？]*\)\s*|\[TOOL_CALLS?\].*|assistant to=.*)",
    re.IGNORECASE | re.DOTALL,
)
"""Tool calls written out as text: a line each."""

_STARTS: Final = (
    "作为", "身为", "抱歉", "很抱歉", "非常抱歉", "十分抱歉", "实在抱歉", "对不起",
    "我很抱歉", "我非常抱歉", "我感到抱歉", "我深感抱歉",
    "很对不起", "非常对不起",
    "不好意思", "很不好意思", "对于", "关于", "我无法", "我不能", "我没办法", "我没有办法", "我不便", "我的知识",
    "我的训练数据", "截至我",
    "as a", "i'm", "i’m", "im ", "i am", "sorry", "we're sorry", "really sorry", "apologi", "unfortunately",
    "i apologi", "i can", "i won", "my knowledge",
    "my training", "i don't have", "i don’t have", "an error", "a server error", "an internal", "an un", "error",
    "internal", "server error", "traceback",
    "bad gateway", "service", "gateway", "too many", "rate limit", "the request", "request", "the connection",
    "connection", "api error", "http", "unauthor",
    "invalid", "incorrect", "you exceeded", "insufficient", "this model's", "context length", "<!doctype", "<html",
    "upstream", "no healthy",
    "401", "402", "403", "404", "408", "409", "413", "422", "429", "500", "502", "503", "504",
    "系统", "服务", "接口", "网络", "请求", "调用", "模型", "错误", "出错了", "异常",
    "thought", "action", "observation", "tool", "function", "[tool_call", "assistant to=",
)  # fmt: skip
_WORD: Final = re.compile(r"[A-Za-z_.]+\(?|[a-z]+(?:[_.][a-z]+)+\([^。！？\n]*\)?\s*")
"""A first word that is not whole yet, or the call of a function."""
_ENDS: Final = frozenset("。！？!?\n")
_CLAUSES: Final = frozenset("，,")


class Unspeakable(BrainError):
    """The answer is the text of an error, or (`refusal`) only refuses; another brain may do better."""

    def __init__(self, message: str, *, refusal: bool = False) -> None:
        super().__init__(message, retryable=not refusal)
        self.refusal = refusal


class Boilerplate:
    """Clean text in, what is worth saying out. Raises Unspeakable at an error's text, wherever it begins."""

    def __init__(self) -> None:
        self.refused = False
        """Something was cut that refuses."""
        self.said = False
        self._sentence = ""
        """What waits; also the beginning of a sentence that has been let go, as far as it matters."""
        self._open = True
        """The sentence may still turn out to be one of those."""
        self._last = ""
        self._line = True
        """The sentence is the first of its line."""

    def feed(self, char: str) -> str:
        previous, self._last = self._last, char
        if char == "\n" and not self._sentence:
            self._line = True
        if not self._open:
            if char in _ENDS or (char.isspace() and previous == "."):
                self._open = True
            return self._let(char)
        if not self._sentence and char.isspace():
            return self._let(char) if self.said else ""
        self._sentence += char
        if char in _ENDS or (char.isspace() and previous == "." and len(self._sentence) > 4):
            return self._judge()
        if self._line and char in ":：" and _ERRORS.match(self._sentence):
            raise Unspeakable("it answered with the text of an error")
        if char in _CLAUSES:
            match = _DISCLAIMER.match(self._sentence)
            self._sentence = self._sentence if match is None else self._sentence[match.end() :]
        return "" if self._suspect() else self._release()

    def rest(self) -> str:
        return self._judge()

    def _suspect(self) -> bool:
        if len(self._sentence) > _LONGEST:
            return False
        if self.refused and not self.said:
            return True
        low = self._sentence.lstrip("\"'“‘「（([*⚠️ ").lower()
        if any(start.startswith(low) or low.startswith(start) for start in _STARTS):
            return True
        return _WORD.fullmatch(self._sentence) is not None

    def _judge(self) -> str:
        """The sentence is whole."""
        sentence = self._sentence
        if not sentence.strip():
            return self._release()
        if self._line and _ERRORS.match(sentence):
            raise Unspeakable("it answered with the text of an error")
        if _CALLS.fullmatch(sentence):
            self._sentence = ""
            return ""
        if _REFUSAL.fullmatch(sentence.strip()) or _BARE_DISCLAIMER.fullmatch(sentence.strip()):
            self.refused, self._sentence = True, ""
            return ""
        if self.refused and not self.said and _OFFERS.fullmatch(sentence.strip()):
            self._sentence = ""
            return ""
        ended = sentence[-1] in _ENDS or sentence[-1].isspace()
        return self._release(open_again=ended)

    def _release(self, *, open_again: bool = False) -> str:
        text, self._sentence, self._open = self._sentence, "", open_again
        self._line = text.endswith("\n") or (self._line and not text.strip())
        return self._let(text)

    def _let(self, text: str) -> str:
        self.said = self.said or bool(text.strip())
        return text
