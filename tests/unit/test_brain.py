"""The built-in brain: what it understands, what it says about itself, what it quotes. And the open gate."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcaster.brain import phrases
from broadcaster.brain.knowledge import Knowledge
from broadcaster.brain.language import language_of
from broadcaster.brain.names import NAME_LIMIT, speakable
from broadcaster.brain.responder import QUOTE_LIMIT, Responder
from broadcaster.errors import ConfigError
from broadcaster.programme import Entry, Programme
from broadcaster.types import Happening, Inbound, Origin, PromptKind, RoomEvent, Turn, VerdictKind, Viewer
from tests.fakes.gate import PassGate

pytestmark = pytest.mark.unit

EAST = timezone(timedelta(hours=8))
NOW = datetime(2026, 3, 2, 9, 5, tzinfo=EAST)  # a Monday
PROGRAMME = Programme(
    [
        Entry(title="早安新闻", title_en="Morning News", start="08:00", end="10:00", note="要闻"),
        Entry(title="晚间谈话", title_en="Evening Talk", start="20:30", end="22:00", days=["mon"]),
    ],
    EAST,
)


def host(now: datetime = NOW, programme: Programme | None = PROGRAMME, notes: Knowledge | None = None) -> Responder:
    return Responder("小播", schedule=programme, knowledge=notes, now=lambda: now)


@pytest.mark.parametrize(
    "question",
    [
        "你是谁？",
        "你是真人吗",
        "主播是不是机器人",
        "你叫什么名字",
        "介绍一下你自己",
        "你是AI吗",
        "主播你是真人还是假的",
    ],
)
def test_asked_what_it_is_it_says_so(question: str) -> None:
    for seed in ("a", "b", "c", "d"):
        answer = host().answer(question, seed)
        assert "小播" in answer
        assert "人工智能" in answer
        assert "不是真人" in answer
        assert "规则" in answer


@pytest.mark.parametrize("question", ["Who are you?", "are you a real person", "Are you AI?", "what's your name"])
def test_asked_in_english_it_says_so_in_english(question: str) -> None:
    answer = host().answer(question)
    assert "not a real person" in answer
    assert "rules, not a language model" in answer


@pytest.mark.parametrize(
    ("question", "word"),
    [
        ("现在几点了？", "上午9点5分"),
        ("几点了", "上午9点5分"),
        ("今天几号", "2026年3月2日，星期一"),
        ("今天星期几？", "星期一"),
        ("What time is it?", "9:05 AM"),
        ("what's the date today", "Monday, March 2, 2026"),
        ("现在在播什么", "《早安新闻》"),
        ("今天有什么节目", "《早安新闻》"),
        ("接下来播什么", "晚上8点30分的《晚间谈话》"),
        ("下一个节目是什么", "《晚间谈话》"),
        ("What is on?", "Morning News"),
        ("what's next", "8:30 PM: Evening Talk"),
        ("你好", "数字人"),
        ("大家好！", "欢迎"),
        ("hello", "digital presenter"),
        ("谢谢主播", "不"),
        ("你能做什么", "您可以问我"),
        ("help", "Ask me for"),
        ("再见", "再见"),
        ("明天股票会涨吗", "运营者"),
        ("你好，帮我看看明天股票会不会涨", "运营者"),
        ("How tall is Mount Everest?", "operator"),
        ("", "运营者"),
    ],
)
def test_what_it_answers(question: str, word: str) -> None:
    assert word in host().answer(question)


def test_a_question_about_opening_hours_is_not_a_question_for_the_time(tmp_path: Path) -> None:
    (tmp_path / "faq.md").write_text("# 问答\n\n## 几点开播\n\n每天八点开播。\n", encoding="utf-8")
    assert host(notes=Knowledge.load(tmp_path)).answer("几点开播？").endswith("每天八点开播。")


@pytest.mark.parametrize(
    ("hour", "said"),
    [(0, "凌晨0点"), (5, "凌晨5点"), (11, "上午11点"), (12, "中午12点"), (13, "下午1点"), (23, "晚上11点")],
)
def test_hours_as_they_are_said(hour: int, said: str) -> None:
    assert said in host(NOW.replace(hour=hour, minute=0)).answer("现在几点")


def test_tomorrow_is_named_and_no_programme_is_admitted() -> None:
    assert "明天上午8点整的《早安新闻》" in host(NOW.replace(hour=23)).answer("接下来播什么")
    assert "没有安排节目" in host(NOW.replace(hour=12)).answer("现在在播什么")
    assert "没有节目单" in host(programme=None).answer("现在在播什么")


def test_it_keeps_the_programmes_time_zone() -> None:
    assert "上午9点5分" in host(NOW.astimezone(UTC)).answer("现在几点")


def test_the_same_prompt_always_gets_the_same_answer_and_others_vary() -> None:
    answers = {host().answer("你好", f"p{n}") for n in range(20)}
    assert len(answers) == len(phrases.ZH["greeting"])
    assert len({host().answer("你好", "p1") for _ in range(5)}) == 1


@given(st.text(max_size=80))
def test_it_never_fails_and_never_says_nothing(question: str) -> None:
    assert host().answer(question, question).strip()


def test_who_gets_no_answer_is_told_so_by_name() -> None:
    question = "明天股票会涨吗"
    for seed in ("a", "b", "c"):
        answer = host().answer(question, seed, Viewer("7", "小明🎉_88"))
        assert answer.startswith("小明 88")
        assert "运营者" in answer
    assert not host().answer(question, "a", Viewer("7", "🎉")).startswith("，")


def test_a_host_of_one_language_keeps_to_it_and_greets_in_its_own_words() -> None:
    chinese = Responder("小播", language="zh", greeting="您吉祥！")
    assert "不是真人" in chinese.answer("who are you")
    assert chinese.answer("你好") == "您吉祥！"
    assert "not a real person" in Responder("Sunny", language="en").answer("你是谁")


# -- events of the room ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("happening", "words"),
    [
        (Happening(RoomEvent.GIFT, "辣条"), ("小明", "辣条")),
        (Happening(RoomEvent.GIFT, "辣条", 3), ("小明", "3个辣条")),
        (Happening(RoomEvent.GIFT), ("小明", "礼物")),
        (Happening(RoomEvent.SUPER_CHAT), ("小明", "醒目留言")),
        (Happening(RoomEvent.SUPER_CHAT, "30元"), ("小明", "30元")),
        (Happening(RoomEvent.GUARD, "舰长"), ("小明", "舰长")),
        (Happening(RoomEvent.GUARD), ("小明", "守护")),
        (Happening(RoomEvent.FOLLOW), ("小明", "关注")),
        (Happening(RoomEvent.LIKE), ("小明", "赞")),
        (Happening(RoomEvent.LIKE, count=20), ("小明", "20个赞")),
        (Happening(RoomEvent.ENTER), ("小明",)),
    ],
)
def test_every_event_is_answered_by_name_and_never_twice_the_same_way(
    happening: Happening, words: tuple[str, ...]
) -> None:
    rules, english = host(), Responder("Sunny", language="en")
    said = [rules.thanks.single(happening, Viewer("7", "小明"), f"p{number}") for number in range(30)]
    assert all(word in text for word in words for text in said)
    assert all(one != other for one, other in itertools.pairwise(said))
    rose = replace(happening, item="rose" if happening.item else "")
    thanked = english.thanks.single(rose, Viewer("7", "Bob"), "p")
    assert "Bob" in thanked
    assert thanked.isascii()


def test_somebody_without_a_name_is_thanked_too() -> None:
    for viewer in (None, Viewer("7", "🎉🎉"), Viewer("7", "")):
        assert "这位朋友" in host().thanks.single(Happening(RoomEvent.FOLLOW), viewer, "a")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("小明", "小明"),
        ("✨云♡朵✨", "云 朵"),
        ("cat_lover-99", "cat lover-99"),
        ("用户13800138000", "用户8000"),
        ("加微信https://t.cn/abc", "加微信"),
        ("阿卜杜拉·艾则孜", "阿卜杜拉·艾则孜"),
        ("a\u202eb\u200b{name}<b>", "a b name"),
        ("<b>张三</b>", "张三"),
        ("😀", ""),
        ("\u3164\uffa0", ""),
        ("很长" * 30, "很长" * 8),
    ],
)
def test_names_as_they_can_be_read_out(name: str, said: str) -> None:
    assert speakable(name) == said


@given(st.text(max_size=60), st.sampled_from(RoomEvent), st.text(max_size=40), st.integers(1, 10**9))
def test_no_name_breaks_a_thank_you(name: str, event: RoomEvent, item: str, count: int) -> None:
    said = host().thanks.single(Happening(event, item, count), Viewer("7", name), "s")
    assert said.isprintable()
    assert not set("{}<>\n") & set(said)
    assert len(said) < 2 * NAME_LIMIT + 60


async def test_a_prompt_of_an_event_is_thanked_and_a_question_answered() -> None:
    gift = Inbound(
        "p1", PromptKind.EVENT, "小明 gift 辣条 x3", Origin("chat"),
        viewer=Viewer("7", "小明"), happening=Happening(RoomEvent.GIFT, "辣条", 3),
    )  # fmt: skip
    rules = host()
    assert rules.name == "rules"
    assert "3个辣条" in "".join([str(part) async for part in rules.reply(Turn(gift))])
    question = Inbound("p2", PromptKind.ASK, "几点了", Origin("chat"))
    assert "9点5分" in "".join([str(part) async for part in rules.reply(Turn(question))])


def test_both_languages_have_every_phrase() -> None:
    assert set(phrases.ZH) == set(phrases.EN)
    assert {name for name, _ in phrases.INTENTS} <= {*phrases.ZH, "on_next"}


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("你好", "zh"),
        ("hello", "en"),
        ("GPT是什么", "zh"),
        ("666", "zh"),
        ("", "zh"),
        ("？", "zh"),
        ("[dog][doge]", "zh"),
        ("yyds", "zh"),
        ("XSWL!!", "zh"),
        ("awsl~", "zh"),
        ("why?", "en"),
        ("[dog] nice song", "en"),
        ("hmm", "en"),
    ],
)
def test_languages(text: str, language: str) -> None:
    assert language_of(text) == language


@pytest.fixture(scope="module")
def notes(tmp_path_factory: pytest.TempPathFactory) -> Knowledge:
    folder = tmp_path_factory.mktemp("notes")
    (folder / "shop.md").write_text(
        "# 商店须知\n\n## 怎么退货\n\n七天之内可以**无理由**退货，"
        "请[联系客服](http://example.com/x)。\n\n运费由买家承担。\n\n"
        "## 发货时间\n\n- 下单以后\n- 四十八小时内发货。\n\n## 长篇\n\n" + "这是很长的说明文字。" * 40,
        encoding="utf-8",
    )
    (folder / "shop-en.txt").write_text(
        "# Shop rules\n\n## Returns\n\nYou can return goods within seven days.\n", encoding="utf-8"
    )
    (folder / "image.png").write_bytes(b"\x89PNG")
    return Knowledge.load(folder)


def test_passages_are_paragraphs_under_headings_without_markup(notes: Knowledge) -> None:
    assert [(p.source, p.heading, p.language) for p in notes.passages][:2] == [
        ("Shop rules", "Returns", "en"),
        ("商店须知", "怎么退货", "zh"),
    ]
    texts = [p.text for p in notes.passages]
    assert "七天之内可以无理由退货，请联系客服。" in texts
    assert "运费由买家承担。" in texts
    assert "下单以后四十八小时内发货。" in texts


def test_it_quotes_the_passage_and_names_its_source(notes: Knowledge) -> None:
    answer = host(notes=notes).answer("请问可以退货吗", "s")
    assert "《商店须知》" in answer
    assert answer.endswith("七天之内可以无理由退货，请联系客服。")
    assert "within seven days" in host(notes=notes).answer("Can I return my goods?")


def test_a_quote_ends_with_a_sentence_within_the_limit(notes: Knowledge) -> None:
    answer = host(notes=notes).answer("很长的说明文字在哪里")
    quoted = answer.partition("：")[2]
    assert QUOTE_LIMIT - 12 < len(quoted) <= QUOTE_LIMIT
    assert quoted.endswith("。")


def test_what_the_notes_do_not_say_is_not_quoted(notes: Knowledge) -> None:
    for question in ("天气怎么样", "怎么做蛋糕", "Can I eat the goods of the moon landing conspiracy?", "吗", "!!"):
        assert notes.find(question) is None


def test_knowledge_that_is_not_there_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file or folder"):
        Knowledge.load(tmp_path / "missing")
    with pytest.raises(ConfigError, match="no passage"):
        Knowledge.load(tmp_path)
    (tmp_path / "bad.md").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="UTF-8"):
        Knowledge.load(tmp_path)


def test_the_dictionary_is_cached_in_the_given_folder_only(tmp_path: Path) -> None:
    from broadcaster.brain import segmenting

    segmenting._tokenizer = None
    (tmp_path / "a.md").write_text("一些内容", encoding="utf-8")
    Knowledge.load(tmp_path / "a.md", tmp_path / "cache")
    assert any((tmp_path / "cache").iterdir())


async def test_the_open_gate_passes_every_text_as_it_stands() -> None:
    verdict = await PassGate().admit(" 任何话 ", Origin("chat"))
    assert (verdict.kind, verdict.text) == (VerdictKind.PASS, " 任何话 ")
