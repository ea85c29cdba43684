"""The host as the configuration makes it: persona, notes, programme and phrases reach whoever answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from broadcaster.brain.plain import NoMemory
from broadcaster.config import BrainConfig, OpenAIChat
from broadcaster.errors import ConfigError
from broadcaster.minds import Room, host_of, mind_of
from broadcaster.types import Happening, Inbound, Origin, PromptKind, RoomEvent, Viewer
from tests.fakes.llm_server import LlmServer

pytestmark = pytest.mark.unit

QUESTION = Inbound("p1", PromptKind.ASK, "怎么退货？", Origin("test"))


def settings(folder: Path) -> BrainConfig:
    (folder / "persona.yaml").write_text("name: 云朵\nlanguage: zh\n", encoding="utf-8")
    (folder / "notes.csv").write_text("问题,答案\n怎么退货？,七天之内可以退。\n", encoding="utf-8")
    (folder / "phrases.yaml").write_text("zh:\n  thanks: '{name}不用谢。'\n", encoding="utf-8")
    (folder / "programme.yaml").write_text(
        "entries:\n  - {title: 全天, start: '00:00', end: '00:00'}\n", encoding="utf-8"
    )
    return BrainConfig(
        persona=folder / "persona.yaml", knowledge=folder / "notes.csv",
        phrases=folder / "phrases.yaml", programme=folder / "programme.yaml", max_tokens=99,
    )  # fmt: skip


async def test_the_files_reach_the_model_and_the_rules(tmp_path: Path) -> None:
    room = Room()
    host = host_of(settings(tmp_path), tmp_path / "cache", room)
    room.waiting = lambda: 7
    turn = await host.prompter.turn(QUESTION, NoMemory())
    for words in ("“云朵”", "《全天》", "七天之内可以退。", "还有7条"):
        assert words in turn.system
    assert turn.max_tokens == 99
    assert host.responder.answer("谢谢") == "云朵不用谢。"
    assert "《notes》" in host.responder.answer("怎么退货？")
    assert "全天" in host.responder.answer("what's on")  # a Chinese host


async def test_the_server_gets_it_all_and_a_gift_goes_to_the_rules(tmp_path: Path) -> None:
    async with LlmServer() as server:
        chain = [OpenAIChat(base_url=server.base_url, model="m")]
        mind = mind_of(settings(tmp_path).model_copy(update={"chain": chain}), tmp_path / "cache")
        viewer = Viewer("7", "小明")
        asked = replace(QUESTION, viewer=viewer)
        assert {written.brain async for written in mind.reply(asked)} == {"openai"}
        gift = replace(asked, kind=PromptKind.EVENT, happening=Happening(RoomEvent.GIFT, "辣条", 3))
        (thanks,) = [written async for written in mind.reply(gift)]
        await mind.close()
    (request,) = server.requests
    first, *rest = request["messages"]
    assert (first["role"], "“云朵”" in first["content"], "七天之内可以退。" in first["content"]) == (
        "system",
        True,
        True,
    )
    assert rest == [{"role": "user", "content": '<viewer name="小明">怎么退货？</viewer>'}]
    assert (thanks.brain, "3个辣条" in thanks.text) == ("rules", True)


async def test_without_any_file_there_is_a_host_too(tmp_path: Path) -> None:
    host = host_of(BrainConfig(), tmp_path)
    assert "“小播”" in (await host.prompter.turn(QUESTION, NoMemory())).system
    assert "小播" in host.responder.answer("你是谁")


def test_the_faults_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    config = settings(tmp_path)
    for name in ("persona", "phrases", "programme"):
        (tmp_path / f"{name}.yaml").write_text("nmae: 1\n", encoding="utf-8")
    with pytest.raises(ConfigError) as fault:
        host_of(config, tmp_path)
    assert {Path(line.split(":")[0]).name for line in fault.value.problems} == {
        "persona.yaml", "phrases.yaml", "programme.yaml",
    }  # fmt: skip
