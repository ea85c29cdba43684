"""What is remembered: the history and its bounds, the summary, notes about viewers, and what survives a restart."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from broadcaster.brain.memory import Memory
from broadcaster.brain.memory.history import MORE, History, Remembered, joined
from broadcaster.brain.memory.summary import digest
from broadcaster.brain.tokens import PER_MESSAGE, tokens_in, tokens_of
from broadcaster.config.minds import MemoryConfig
from broadcaster.errors import BrainError, JournalError
from broadcaster.journal import Journal
from broadcaster.types import Exchange, Happening, Inbound, Message, Origin, PromptKind, RoomEvent, Viewer, ViewerNote

pytestmark = pytest.mark.unit

HOUR_NS = 3600 * 1_000_000_000
MING = Viewer("v1", "小明")


def ask(name: str, text: str = "今天天气怎么样？", viewer: Viewer | None = MING) -> Inbound:
    return Inbound(name, PromptKind.ASK, text, Origin("test"), viewer=viewer)


def say(name: str, text: str = "一句话。") -> Inbound:
    return Inbound(name, PromptKind.SAY, text, Origin("test"))


def event(name: str, happened: RoomEvent, item: str = "") -> Inbound:
    return Inbound(name, PromptKind.EVENT, "", Origin("test"), viewer=MING, happening=Happening(happened, item))


class Store:
    """Port `MemoryStore` without a disk."""

    def __init__(self) -> None:
        self.kept: dict[str, Exchange] = {}
        self.text = ""
        self.notes: dict[str, ViewerNote] = {}
        self.broken = False
        self.limits: list[int] = []

    async def exchanges(self, limit: int) -> list[Exchange]:
        if self.broken:
            raise JournalError("away")
        return list(self.kept.values())[-limit:]

    async def summary(self) -> str:
        return self.text

    async def viewer(self, id: str) -> ViewerNote | None:
        if self.broken:
            raise JournalError("away")
        return self.notes.get(id)

    async def viewers(self) -> int:
        return len(self.notes)

    def keep_exchange(self, exchange: Exchange, keep: int) -> None:
        self.kept[exchange.prompt] = exchange
        self.limits.append(keep)
        for old in list(self.kept)[: max(0, len(self.kept) - keep)]:
            del self.kept[old]

    def keep_summary(self, text: str) -> None:
        self.text = text

    def keep_viewer(self, note: ViewerNote, keep: int) -> None:
        self.notes[note.id] = note


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000 * 1_000_000_000

    def __call__(self) -> int:
        return self.now


async def opened(
    store: Store | None = None,
    *,
    tokens: int = 2000,
    summary: int = 100,
    ask: Callable[..., object] | None = None,
    clock: Clock | None = None,
) -> tuple[Memory, Store]:
    store = store or Store()
    settings = MemoryConfig(history_tokens=tokens, summary_tokens=summary, viewers=10, viewer_tokens=60)
    memory = Memory(settings, ask=ask, wall=clock or Clock())  # type: ignore[arg-type]
    await memory.open(store)
    return memory, store


async def test_only_what_was_heard_is_remembered_and_in_the_order_it_was_heard() -> None:
    memory, store = await opened()
    memory.heard(say("p0", "欢迎大家。"), 0, "欢迎大家。")
    memory.heard(ask("p1"), 0, "今天晴。")
    memory.heard(ask("p1"), 1, "很暖和。")
    memory.ended(ask("p1"))
    memory.ended(ask("p2", "没有人回答的问题？"))
    assert memory.messages() == (
        Message("assistant", "欢迎大家。"),
        Message("user", "今天天气怎么样？"),
        Message("assistant", "今天晴。很暖和。"),
    )
    assert list(store.kept) == ["p0", "p1"]
    assert memory.status()["messages"] == 3


async def test_a_cut_answer_ends_where_it_was_cut_and_the_model_sees_that_it_was() -> None:
    memory, store = await opened()
    memory.heard(ask("p1"), 0, "今天晴。")
    memory.heard(ask("p1"), 1, "明天可能")
    memory.ended(ask("p1"), cut=True)
    assert store.kept["p1"].answer == "今天晴。明天可能"
    assert store.kept["p1"].cut
    assert memory.messages()[-1].text == "今天晴。明天可能" + MORE


async def test_a_sentence_that_is_said_again_after_a_cut_stands_there_once() -> None:
    memory, _ = await opened()
    memory.heard(say("p1"), 0, "第一句。")
    memory.heard(say("p1"), 1, "第二")
    memory.heard(say("p2"), 0, "插一句。")
    memory.heard(say("p1"), 1, "第二句。")
    assert [message.text for message in memory.messages()] == ["第一句。第二句。", "插一句。"]


async def test_the_history_never_grows_beyond_its_tokens_and_goes_by_whole_exchanges() -> None:
    memory, store = await opened(tokens=300)
    for number in range(200):
        memory.heard(ask(f"p{number}", f"第{number}个问题是什么？"), 0, f"第{number}个回答，说得不长。")
        memory.ended(ask(f"p{number}"))
        assert memory.status()["tokens"] <= 300
        assert tokens_in(memory.messages()) == memory.status()["tokens"]
        assert len(memory.messages()) % 2 == 0
        assert memory.messages()[0].role == "user"
        await asyncio.sleep(0)
    await memory.settled()
    assert memory.messages()[-1].text == "第199个回答，说得不长。"
    assert max(store.limits) < 40, "the journal holds what is remembered, and no more"
    assert tokens_of(memory.summary()) <= 100
    await memory.close()


async def test_a_question_and_an_answer_that_are_too_long_alone_are_shortened_and_say_so() -> None:
    memory, store = await opened(tokens=400)
    memory.heard(ask("p1", "问" * 1000), 0, "答" * 999 + "完")
    question, answer = memory.messages()
    assert question.text.endswith(MORE)
    assert len(question.text) <= 102
    assert answer.text.startswith(MORE)
    assert answer.text.endswith("完")
    assert memory.status()["tokens"] <= 400
    assert len(store.kept["p1"].question) == 1000
    memory.heard(ask("p2", "短的？"), 0, "好。")
    assert len(memory.messages()) == 4


async def test_what_falls_out_is_summarised_by_the_model_in_the_background() -> None:
    asked: list[tuple[str, str]] = []
    gate = asyncio.Event()

    async def model(system: str, text: str) -> str:
        asked.append((system, text))
        await gate.wait()
        return f"纪要{len(asked)}：聊过天气。"

    memory, store = await opened(tokens=200, ask=model)
    for number in range(40):
        memory.heard(ask(f"p{number}", f"第{number}问？"), 0, f"第{number}个回答说的是天气。")
        await asyncio.sleep(0)
    assert memory.summary() == "", "nobody waits for it"
    waiting = 40 - len(memory.messages()) // 2
    assert len(store.kept) == 40, "what waits for the summary is still in the journal"
    gate.set()
    await memory.settled()
    assert memory.summary() == store.text == f"纪要{len(asked)}：聊过天气。"
    assert len(asked) < waiting / 3, "one request for many exchanges"
    assert "第0问？" in asked[0][1]
    assert "纪要1" in asked[1][1]
    memory.heard(ask("p40"), 0, "好。")
    assert len(store.kept) == len(memory.messages()) // 2, "and not for longer"
    await memory.close()


async def test_without_a_model_the_summary_is_a_digest_and_the_failure_is_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def model(system: str, text: str) -> str:
        raise BrainError("no brain")

    memory, _ = await opened(tokens=200, ask=model)
    for number in range(60):
        memory.heard(ask(f"p{number}", f"第{number}问？"), 0, f"第{number}个回答。")
        await asyncio.sleep(0)
    await memory.settled()
    assert "个回答" in memory.summary()
    assert tokens_of(memory.summary()) <= 100
    assert len([record for record in caplog.records if "summarises" in record.message]) == 1
    await memory.close()


def test_a_digest_keeps_what_is_newest() -> None:
    gone = [Exchange(f"p{n}", "", f"第{n}问", f"第{n}答", 0) for n in range(50)]
    text = digest("很早的事", gone, 60)
    assert "第49问" in text
    assert "很早" not in text
    assert tokens_of(text) <= 60


async def test_a_returning_viewer_is_recognised_by_id_and_a_new_one_is_not() -> None:
    clock = Clock()
    memory, store = await opened(clock=clock)
    assert await memory.viewer_note(MING) == ""
    assert await memory.viewer_note(None) == ""
    memory.heard(ask("p1", "有没有 红茶？"), 0, "有的。")
    memory.heard(ask("p1"), 1, "很香。")
    await memory.settled()
    assert await memory.viewer_note(MING) == "第一次来直播间，刚才已经聊过。问过：有没有 红茶？"
    clock.now += 48 * HOUR_NS
    again, _ = await opened(store, clock=clock)
    note = await again.viewer_note(Viewer("v1", "改了名字"))
    assert note == "第2次来直播间，上次是前天。问过：有没有 红茶？"
    again.heard(event("p2", RoomEvent.GIFT, "辣条"), 0, "谢谢！")
    await again.settled()
    kept = store.notes["v1"]
    assert (kept.visits, kept.exchanges, kept.notes) == (2, 1, "问过：有没有 红茶？\n送过辣条")
    assert again.status()["viewers"] == 1


async def test_notes_of_a_viewer_are_bounded_and_the_oldest_line_goes() -> None:
    memory, store = await opened()
    for number in range(30):
        memory.heard(ask(f"p{number}", f"第{number}个不同的问题？"), 0, "好。")
    await memory.settled()
    assert tokens_of(store.notes["v1"].notes) <= 60
    assert "第29个" in store.notes["v1"].notes
    assert store.notes["v1"].exchanges == 30
    assert store.notes["v1"].visits == 1
    await memory.close()


async def test_welcomes_are_not_conversation_but_thanks_for_gifts_are() -> None:
    memory, _ = await opened()
    memory.heard(event("p1", RoomEvent.ENTER), 0, "欢迎小明。")
    memory.heard(event("p2", RoomEvent.GIFT, "火箭"), 0, "谢谢小明的火箭！")
    assert memory.messages() == (Message("assistant", "谢谢小明的火箭！"),)


async def test_a_report_told_again_after_a_restart_counts_once_and_the_rest_goes_on() -> None:
    memory, store = await opened()
    memory.heard(ask("p1"), 0, "今天晴。")
    memory.heard(ask("p1"), 1, "很暖和。")
    again, _ = await opened(store)
    again.heard(ask("p1"), 1, "很暖和。")
    again.heard(ask("p1"), 2, "出门吧。")
    assert again.messages()[-1].text == "今天晴。很暖和。出门吧。"
    assert len(again.messages()) == 2


async def test_a_viewer_is_forgotten_at_once_and_what_is_still_heard_of_the_answer_is_not_kept() -> None:
    memory, store = await opened()
    memory.heard(ask("p1", viewer=Viewer("v2", "小红")), 0, "给小红的回答。")
    memory.heard(ask("p2"), 0, "给小明的第一句。")
    await memory.settled()
    memory.forget("v1")
    store.kept.pop("p2"), store.notes.pop("v1")
    memory.heard(ask("p2"), 1, "给小明的第二句。")
    assert [message.text for message in memory.messages()][1:] == ["给小红的回答。"]
    assert list(store.kept) == ["p1"]
    assert await memory.viewer_note(MING) == ""
    memory.forget(None)
    assert memory.status() == {"messages": 0, "tokens": 0, "viewers": 0}


async def test_a_journal_that_is_away_costs_the_memory_and_nothing_else() -> None:
    store = Store()
    store.broken = True
    memory, _ = await opened(store)
    assert await memory.viewer_note(MING) == ""
    memory.heard(ask("p1"), 0, "今天晴。")
    assert memory.messages()[-1].text == "今天晴。"
    await memory.close()


async def test_a_journal_that_was_away_at_the_start_loses_nothing_by_what_is_new() -> None:
    store = Store()
    store.text = "聊过茶。"
    store.kept = {f"o{number}": Exchange(f"o{number}", "v1", "问？", "答。", 1, False) for number in range(5)}
    store.broken = True
    memory, _ = await opened(store, tokens=200)
    store.broken = False
    for number in range(20):
        memory.heard(ask(f"n{number}"), 0, "今天晴，明天也晴。")
    await memory.settled()
    assert (store.text, len(store.kept)) == ("聊过茶。", 25)


async def test_a_note_that_is_being_written_does_not_come_back_behind_the_deletion() -> None:
    class Slow(Store):
        async def viewer(self, id: str) -> ViewerNote | None:
            await asyncio.sleep(0.01)
            return await super().viewer(id)

    memory, store = await opened(Slow())
    memory.heard(ask("p1"), 0, "今天晴。")
    await asyncio.sleep(0)
    memory.forget("v1")
    await memory.settled()
    assert store.notes == {}


async def test_what_somebody_had_asked_before_being_forgotten_is_not_remembered_either() -> None:
    clock = Clock()
    memory, store = await opened(clock=clock)
    waiting, later = (replace(ask(name), received_ns=clock.now + ns) for name, ns in (("p1", -1), ("p2", 2)))
    memory.forget("v1")
    memory.heard(waiting, 0, "今天晴。")
    memory.heard(replace(ask("p0", viewer=Viewer("v2", "小红")), received_ns=clock.now - 1), 0, "好。")
    await memory.settled()
    assert [message.text for message in memory.messages() if message.role == "assistant"] == ["好。"]
    assert set(store.notes) == {"v2"}
    memory.heard(later, 0, "明天雨。")
    assert memory.messages()[-1].text == "明天雨。"
    await memory.close()


async def test_a_note_that_cannot_be_read_now_is_not_begun_anew() -> None:
    store, known = Store(), ViewerNote("v1", "小明", 1, 1, 7, 9, "问过：茶")
    store.notes["v1"] = known
    memory, _ = await opened(store)
    store.broken = True
    memory.heard(ask("p1"), 0, "今天晴。")
    await memory.settled()
    assert store.notes == {"v1": known}
    store.broken = False
    memory.heard(ask("p2"), 0, "明天雨。")
    await memory.settled()
    assert store.notes["v1"].exchanges == 10


async def test_the_real_journal_gives_back_what_was_remembered(tmp_path: Path) -> None:
    for run in range(2):
        journal = Journal(tmp_path / "journal.sqlite")
        await journal.open()
        memory = Memory(MemoryConfig(history_tokens=200))
        await memory.open(journal.memory)
        if run == 0:
            for number in range(30):
                memory.heard(ask(f"p{number}", f"第{number}问？"), 0, f"第{number}个回答。")
            await memory.settled()
            await journal.flush()
            before = (memory.messages(), memory.summary(), memory.status()["tokens"])
        else:
            assert (memory.messages(), memory.summary(), memory.status()["tokens"]) == before
            assert memory.status()["viewers"] == 1
        await memory.close()
        journal.close()


def test_english_sentences_are_joined_with_a_space() -> None:
    assert joined(["", "It is sunny.", "And warm.", "对。", "Yes."]) == "It is sunny. And warm.对。Yes."


def test_an_empty_report_is_no_sentence() -> None:
    history = History(500)
    history.hear(Remembered("p1", "", "问？", 0), 0, "  ")
    assert [message.role for message in history.messages()] == ["user"]
    assert history.tokens == tokens_of("问？") + PER_MESSAGE
