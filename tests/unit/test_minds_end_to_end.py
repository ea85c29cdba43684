"""From the configuration to the desk of end-to-end voices: who is asked, and what it costs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from broadcaster.brain.budget import Budget
from broadcaster.config import BrainConfig, VoiceConfig
from broadcaster.director.end_to_end import EndToEndDesk, _sounding
from broadcaster.errors import BrainError
from broadcaster.minds import _cleaned, desk_of
from broadcaster.types import Usage
from tests.fakes.gate import PassGate

pytestmark = pytest.mark.unit

KEY = "sk-canary-0123456789abcdef"
REALTIME = {"engine": "openai_realtime", "api_key": KEY, "price_in": 10.0, "price_out": 20.0}
OMNI = {"engine": "qwen_omni", "api_key": KEY, "first_sound_timeout_s": 1.5, "total_timeout_s": 9.0}


def desk(cache: Path, *links: dict[str, Any], budget: Budget | None = None) -> EndToEndDesk:
    settings = BrainConfig.model_validate({"end_to_end": links})
    return desk_of(settings, VoiceConfig(), PassGate(), budget or Budget(), cache)


async def test_the_enabled_ones_are_asked_in_their_order(tmp_path: Path) -> None:
    made = desk(tmp_path, {**REALTIME, "enabled": False}, OMNI, REALTIME, OMNI)
    assert made.enabled
    assert [each["name"] for each in made.status()] == ["qwen_omni", "openai_realtime", "qwen_omni-2"]
    assert made._clean is _cleaned
    first = made._guests[0]
    assert (first.first_sound_timeout_s, first.total_timeout_s) == (1.5, 9.0)
    await made.close()


async def test_without_any_nobody_is_asked(tmp_path: Path) -> None:
    made = desk(tmp_path, {**REALTIME, "enabled": False})
    assert not made.enabled
    assert made.status() == []


async def test_they_spend_the_budget_of_the_mind(tmp_path: Path) -> None:
    budget = Budget(per_day=0.005)
    made = desk(tmp_path, REALTIME, OMNI, budget=budget)
    priced, free = made._guests
    assert made._affordable(priced)
    made._spent(priced, Usage(100, 200))
    assert budget.status()["spent"] == 0.005
    assert not made._affordable(priced)
    assert made._affordable(free)
    await made.close()


@pytest.mark.parametrize(
    ("transcript", "text"),
    [
        ("大家好，欢迎来到直播间。今天是8月1日，气温18.5度。", None),
        ("Hello everyone, it is 3.14 o'clock!", None),
        ("你好呀😊，请坐。", None),
        ("（笑）你好呀。", "你好呀。"),
        ("作为一个AI语言模型，我没有感情。今天天气不错。", "我没有感情。今天天气不错。"),
    ],
)
def test_sound_that_says_what_must_not_be_spoken_is_told_from_sound_that_may(
    transcript: str, text: str | None
) -> None:
    cleaned = _cleaned(transcript)
    assert (_sounding(cleaned) == _sounding(transcript)) is (text is None)
    if text is not None:
        assert _sounding(cleaned) == _sounding(text)


@pytest.mark.parametrize("transcript", ["Internal Server Error", "抱歉，我无法回答这个问题。", "（咳嗽）"])
def test_a_transcript_that_is_no_answer_fails(transcript: str) -> None:
    with pytest.raises(BrainError):
        _cleaned(transcript)
