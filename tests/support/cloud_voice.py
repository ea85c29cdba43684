"""Engines of the cloud voices beside `DashScopeServer`, for the tests of both."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

from pydantic import SecretStr

from broadcaster.config.voices import DashScopeVoice, QwenVoice
from broadcaster.speech.remote.dashscope import DashScopeEngine
from broadcaster.speech.remote.qwen import QwenEngine
from broadcaster.types import PLAIN, Manner, Piece, RawSound
from tests.fakes.dashscope_server import DashScopeServer

KEY = "sk-canary-0123456789abcdef"
ONE = "今天的天气真好啊。"
THREE = "大家好。今天的天气真好啊！我们开始吧？"

NEVER_S = 10.0
"""Longer than anything takes: a wait that runs out is a failure."""

Engine = DashScopeEngine | QwenEngine


def cosyvoice(server: DashScopeServer, key: str = KEY, **options: Any) -> DashScopeEngine:
    options = {"voice": "longanyang", "url": SecretStr(server.tts_url), **options}
    return DashScopeEngine(DashScopeVoice(api_key=SecretStr(key), **options))


def qwen(server: DashScopeServer, key: str = KEY, **options: Any) -> QwenEngine:
    return QwenEngine(QwenVoice(api_key=SecretStr(key), **{"url": SecretStr(server.qwen_url), **options}))


MAKERS: list[Callable[..., Engine]] = [cosyvoice, qwen]


async def hear(engine: Engine, text: str = ONE, manner: Manner = PLAIN, language: str = "zh") -> list[RawSound]:
    stream: Any = engine.stream(Piece(text, language, 0, manner))
    async with asyncio.timeout(NEVER_S), aclosing(stream):
        return [chunk async for chunk in stream]


def data_of(chunks: list[RawSound]) -> bytes:
    return b"".join(chunk.data for chunk in chunks)
