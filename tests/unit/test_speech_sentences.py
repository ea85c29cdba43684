"""Where sentences and clauses end: a table of cases, read at once and by the character, and what always holds."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broadcaster.sentences import clause_ends, sentence_end
from broadcaster.speech import words
from broadcaster.speech.packing import LARGEST_PACKAGE, SHORTEST_TAIL, Packer, language_of
from broadcaster.speech.punctuation import PARAGRAPH_PAUSE_MS, pause_ms
from broadcaster.speech.units import spoken_units

pytestmark = pytest.mark.unit

# "|" is where a sentence ends.
CASES = """
你好。|今天开播！|准备好了吗？|好
真的吗？！|太好了！！！|嗯
他说：“走吧。”|然后走了。
“你好！”|“你也好！”
他问：“真的吗？”|我点头。
（他笑了。）|然后走了。
「早安。」|『晚安。』|好
嗯……|我想想。|好吧……|再说。
等一下。。。|来了。
上涨0.35%。|成交1.2万亿元。
收于3,245.67点。|明天再看。
圆周率是3.14159，约等于3.14。|记住了吗？
现在是15:05。|节目开始。
比分是3：2。|赢了！
版本v1.2.3发布了。|快更新。
我用Python 3.11.|你呢？
我用Python.|然后呢？
好的.|然后呢？
网址是a.com。|完
见https://example.com/a?b=1&c=2。|好
见https://example.com/?q=好！|完
写信给me.too@example.com。|谢谢
第1. 打开盒子。|第2. 插上电源。
1. 苹果\\n|2. 梨\\n|3. 桃
1.苹果，2.梨，3.桃。|完
一. 先洗手。|二. 再吃饭。
步骤1. 打开。|步骤2. 关上。
《你好，李焕英》很好看。|去看吧。
《谁说我不在乎？》很好看。|去看吧。
《快跑！罗拉》是德国片。|完
我看了《活着》。|你呢？
第一段。\\n\\n|第二段。
第一行\\n|第二行\\n|第三行
标题\\n\\n|正文在这里。
你好！\\n|再见！
今天2025年1月1日。|新年好！
她说“好”，就走了。|门开着。
Wi-Fi密码是12345。|记好。
A股收盘。|B股也收盘。
价格￥99.9！|快买！
a != b 对吗？|不对！
C#和C++都行。|选一个。
好🎉！|谢谢😂。|走了
谢谢～大家。|完
你好；他也好；都好。|完
哈哈！|（笑）继续。
3 * 4 = 12。|对吧？
"""
ENGLISH = """
Hello there. |How are you? |Fine!
Dr. Smith arrived. |He sat down.
Mr. and Mrs. Brown left. |So did I.
Prof. Lee said no. |I agree.
The U.S. economy grew. |Good.
The U.S. Army came. |They left.
We met at 5 p.m. |Then we left.
We met at 5 p.m. on Monday. |Then we left.
It opens at 9 a.m. |Come early.
Apples, pears, etc. |They are fruit.
Apples, pears, etc. are fruit. |Yes.
Use tools, e.g. a hammer. |Or i.e. this one.
Acme Inc. makes it. |Acme Ltd. does not.
He works for Acme Inc. |She does not.
See Fig. 3 for that. |It is clear.
It is No. 5 in the list. |No. |I mean it.
See pp. 3 to 5. |Then stop.
It was on Jan. 5 that we met. |Feb. 6 was later.
J. K. Rowling wrote it. |J. R. R. Tolkien did not.
So do I. |And you?
He lives on Elm St. in town. |She does not.
Red vs. blue. |Who wins?
It costs 3.50 dollars. |Cheap.
It grew 3.5 percent. |Really!
Pi is 3.14. |Remember it.
It costs 1,234.56 dollars. |Wow!
Version 1.2.3 is out. |Get it.
Go to example.com. |Then log in.
Open Node.js first. |Then run it.
See https://a.io/x.html?y=1. |Done.
Write to a.b@c.com. |Thanks.
It is 15:05. |Time to go.
"Stop." |"Why?" |"Because."
He said "Go." |Then he left.
She said "Really?" |He nodded.
(He left.) |Then it rained.
Wait... |What was that?
Well... |maybe.
No! |No! |No!
What?! |Impossible!
1. First do this. |2. Then do that.
Step 1. Open it. |Step 2. Close it.
Chapter 12. It begins. |It ends.
He scored 3. |She scored 4.
It was 1990. |He was young.
He has a Ph.D. in law. |She has none.
Is a != b? |Yes.
I like it. |You? |:)
Line one\\n|Line two\\n|Line three
One.\\n\\n|Two.
Sgt. Pepper and Gen. Lee met. |Why?
He came approx. 5 times. |Yes.
"""


def cases(table: str) -> list[str]:
    return [line.replace("\\n", "\n") for line in table.strip().splitlines()]


ALL = cases(CASES) + cases(ENGLISH)
TEXTS = st.lists(
    st.sampled_from([case.replace("|", "") for case in ALL])
    | st.text(alphabet="你好今天3.,:!?。！？…，；：“”\"'（）《》 \n.aAbB1/@-", max_size=12),
    max_size=4,
).map("".join)


@pytest.fixture(scope="module", autouse=True)
def _word_list() -> None:
    words.load()


def sentences(text: str, *, by: int) -> list[str]:
    """Taken as soon as they are certain."""
    found: list[str] = []
    rest = ""
    for at in range(0, len(text), by):
        rest += text[at : at + by]
        while (end := sentence_end(rest)) is not None:
            found.append(rest[:end])
            rest = rest[end:]
    while rest:
        end = sentence_end(rest, finished=True) or len(rest)
        found.append(rest[:end])
        rest = rest[end:]
    return found


def packages(text: str, sizes: list[int], least: float) -> list[str]:
    packer = Packer()
    found: list[str] = []
    at = 0
    for size in [*sizes, len(text)]:
        packer.feed(text[at : at + size])
        at += size
        while at < len(text) and (package := packer.take(least)) is not None:
            found.append(package)
    packer.finish()
    while (package := packer.take(least)) is not None:
        found.append(package)
    assert packer.exhausted
    return found


def test_there_are_enough_cases() -> None:
    assert len(cases(CASES)) >= 40
    assert len(cases(ENGLISH)) >= 40


@pytest.mark.parametrize("case", ALL)
def test_a_sentence_ends_where_a_reader_ends_it(case: str) -> None:
    text = case.replace("|", "")
    assert sentences(text, by=len(text)) == case.split("|")
    assert sentences(text, by=1) == case.split("|")


@given(text=TEXTS, by=st.integers(1, 7))
@settings(max_examples=200, deadline=None)
def test_how_the_text_comes_makes_no_difference(text: str, by: int) -> None:
    found = sentences(text, by=by)
    assert "".join(found) == text
    assert found == sentences(text, by=max(len(text), 1))


@given(text=TEXTS, sizes=st.lists(st.integers(1, 9), max_size=30), least=st.sampled_from([0.0, 4.0, 10.0, 20.0]))
@settings(max_examples=200, deadline=None)
def test_packages_lose_nothing_and_double_nothing(text: str, sizes: list[int], least: float) -> None:
    found = packages(text, sizes, least)
    assert "".join(found) == text


@given(text=TEXTS)
@settings(max_examples=100, deadline=None)
def test_clauses_end_at_growing_places_and_in_no_number(text: str) -> None:
    ends = clause_ends(text)
    assert ends == sorted(set(ends))
    for end in ends:
        assert 0 < end < len(text)
        assert not (text[end - 1] in ",:" and text[end - 2 : end - 1].isdigit() and text[end].isdigit())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("你好，今天3,245点，收于15:05，完", ["你好，", "你好，今天3,245点，", "你好，今天3,245点，收于15:05，"]),
        ("见https://a.com/x,y，好", ["见https://a.com/x,y，"]),
        ("他说：“好，”然后", ["他说：", "他说：“好，”"]),
        ("First, we go; then we stop", ["First, ", "First, we go; "]),
        ("没有", []),
    ],
)
def test_clauses_end_at_their_marks(text: str, expected: list[str]) -> None:
    assert [text[:end] for end in clause_ends(text)] == expected


@pytest.mark.parametrize(
    ("text", "least", "expected"),
    [
        (
            "好的。是的。我知道了。今天我们去公园走走吧。",
            0,
            ["好的。", "是的。", "我知道了。", "今天我们去公园走走吧。"],
        ),
        ("好的。是的。我知道了。今天我们去公园走走吧。", 4, ["好的。是的。", "我知道了。", "今天我们去公园走走吧。"]),
        ("好的。是的。我知道了。今天我们去公园走走吧。", 10, ["好的。是的。我知道了。今天我们去公园走走吧。"]),
        ("好的。\n\n今天我们去公园走走吧。", 10, ["好的。\n\n", "今天我们去公园走走吧。"]),
        ("床前明月光。\n疑是地上霜。\n举头望明月。", 10, ["床前明月光。\n疑是地上霜。\n", "举头望明月。"]),
        ("你好。Hello there, my friend. 再见。", 10, ["你好。", "Hello there, my friend. ", "再见。"]),
        ("今天我们去公园走走吧。好。", 10, ["今天我们去公园走走吧。好。"]),
        ("今天我们去公园走走吧。……", 10, ["今天我们去公园走走吧。……"]),
    ],
)
def test_short_sentences_go_together(text: str, least: float, expected: list[str]) -> None:
    found = packages(text, [], least)
    assert found == expected
    for package in found:
        assert spoken_units(package) <= LARGEST_PACKAGE + SHORTEST_TAIL
        assert len({language_of(s) for s in sentences(package, by=99) if spoken_units(s)}) == 1


def test_the_end_of_a_paragraph_is_a_longer_pause() -> None:
    first, _ = packages("第一段在这里。\n\n第二段在这里。", [], 10)
    assert pause_ms(first) == PARAGRAPH_PAUSE_MS
