"""Boilerplate of models and servers: refusals, self-descriptions, error texts that came as an answer. Pure."""

from __future__ import annotations

import re
from typing import Final

LEAD: Final = re.compile(
    r"\s*(?:非常|十分|真的|真是|很)?(?:抱歉|对不起|不好意思|遗憾)|\s*(?:作为|身为|我(?:只)?是)(?:一[个名款位])?\W{0,2}(?:AI|A\.I\.|人工智能|大?型?语言模型|大模型)"
    r"|\s*(?:i['’]?m|i am) (?:really |very |so )?(?:sorry|an? (?:ai|large language)|afraid)|\s*(?:sorry"
    r"|i apologi[sz]e|unfortunately|as an? (?:ai|artificial|large language|language model))",
    re.IGNORECASE,
)
"""How a sentence begins that may turn out to be boilerplate: it is held back to its end."""

_SELF: Final = re.compile(
    r"^\s*(?:作为|身为)(?:一[个名款位])?\W{0,2}(?:AI|人工智能|大?型?语言模型|大模型)[^，,。！？!?]{0,14}[，,]\s*"
    r"|^\s*as an? (?:ai|artificial intelligence|large language|language model)[^,.!?]{0,30},\s*",
    re.IGNORECASE,
)
_REFUSAL: Final = re.compile(
    r"我(?:暂时|目前|现在)?(?:无法|不能|没有?办法|不可以)(?:为您|为你|给您|给你|对此|就此|直接)?(?:回答|提供|协助|帮助|帮您|帮你|满足|完成|讨论|参与|处理|执行|生成|继续|回应)"
    r"|(?:问题|请求|话题|内容|要求)[^。！？]{0,6}(?:无法|不能|不便)(?:回答|讨论|满足|提供|回应|生成)"
    r"|^[\s\S]{0,8}(?:无法|不能)(?:回答|提供|满足|协助)(?:您|你|这|该|此|相关)|违反.{0,12}(?:政策|准则|规定|条款|规范)"
    r"|我(?:只)?是(?:一[个名款])?\W{0,2}(?:AI|人工智能|大?型?语言模型|大模型)[^。！？]{0,16}(?:无法|不能|没有)"
    r"|\bi (?:can['’]?t|can ?not|am unable to|am not able to|won['’]t|['’]m unable to) (?:assist|help"
    r"|provide|answer|comply|discuss|fulfil|continue|generate|create|engage|do that)"
    r"|\bi['’]?m (?:unable|not able) to (?:assist|help|provide|answer|comply|discuss|fulfil|continue|generate)"
    r"|against (?:my|our|the) (?:guidelines|polic|terms|programming)",
    re.IGNORECASE,
)
_ERROR: Final = re.compile(
    r"\s*(?:\W{0,3}(?:error|exception|fatal|failed)\b\s*(?:[:：]|code\b|\(?\d{3})"
    r"|traceback \(most recent|\w+(?:error|exception):"
    r"|(?:http )?(?:error )?[45]\d\d\b[\s:,-]+(?:bad|unauthori|forbidden|not found|too many|internal"
    r"|service|gateway|error)"
    r"|(?:500 )?internal server error|bad gateway|service (?:temporarily )?unavailable"
    r"|gateway time-?out|too many requests"
    r"|rate limit (?:exceeded|reached)|request timed? ?out|connection (?:error|refused|reset|timed)"
    r"|invalid api key|incorrect api key"
    r"|you exceeded your current quota|insufficient_quota|upstream (?:error|connect)|<!doctype|<html|api ?error"
    r"|错误[:：]|报错[:：]|错误代码|系统(?:繁忙|错误|异常)[，。！,.!]|服务器(?:内部)?(?:错误|异常|繁忙)|请求(?:失败|超时|过于频繁|频率)|接口(?:错误|异常"
    r"|调用失败)|调用失败|服务(?:暂时|暂)?不可用|模型(?:服务)?(?:异常|超时|错误))",
    re.IGNORECASE,
)
_ERROR_JSON: Final = re.compile(r"\"(?:error|errors|error_code|error_msg|status_code|detail)\"\s*:")


def without_self(sentence: str) -> str:
    """Without "as an AI language model,": the rest of the sentence may well be an answer."""
    return _SELF.sub("", sentence, count=1)


def is_refusal(sentence: str) -> bool:
    return _REFUSAL.search(sentence) is not None


def is_error(beginning: str) -> bool:
    """Whether an answer that begins so is the text of an error."""
    return _ERROR.match(beginning) is not None


def is_error_object(text: str) -> bool:
    return _ERROR_JSON.search(text) is not None
