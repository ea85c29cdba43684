"""What a model writes, and what of it may be spoken."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcaster.brain.cleaning import Cleaner, Unspeakable

pytestmark = pytest.mark.unit

CASES = (
    ("你好，（笑）今天3 * 4等于12，1 < 2，C#很好。", "你好，今天3 * 4等于12，1 < 2，C#很好。"),
    ("<think>想想</think>好的，我来说。", "好的，我来说。"),
    ("[THINK]用户想知道[/THINK]现在三点。[1]", "现在三点。"),
    ("◁think▷用户想知道◁/think▷现在三点。", "现在三点。"),
    ("<seed:think>用户想知道</seed:think>现在三点。", "现在三点。"),
    ("<|channel|>analysis<|message|>Hm.<|end|><|start|>a<|channel|>final<|message|>It is 3.", "It is 3."),
    ("好。<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>f<｜tool▁calls▁end｜>就这样。", "好。就这样。"),
    ("官网：URL:https://b.cn/a?x=1，1.https://b.cn/a 好。", "官网：URL，1. 好。"),
    ("买iPhone**15**吧，Awww.真好，2**3。", "买iPhone15吧，Awww.真好，2**3。"),
    ("<Thinking>\nWell...\n</Thinking>\n好的。<think>还没完", "好的。"),
    ("**重点**：看[官网](https://a.com/x)吧，谢谢。", "重点：看官网吧，谢谢。"),
    ("地址是 https://b.cn/abc?x=1，记住了吗？", "地址是，记住了吗？"),
    ("# 标题\n- 苹果\n- 香蕉\n1. 第一\n", "标题\n苹果\n香蕉\n第一"),
    ("| 名称 | 价格 |\n|---|---|\n| 苹果 | 3元 |\n后面。", "名称，价格。\n\n苹果，3元。\n后面。"),
    ("小播：大家好！", "大家好！"),
    ("Assistant: hello there.", "hello there."),
    ("作为一个AI语言模型，我没有感情。不过天气很好。", "我没有感情。不过天气很好。"),
    ("As an AI language model, I think it is fine.", "I think it is fine."),
    ("抱歉，我不知道明天的天气，等等看吧。", "抱歉，我不知道明天的天气，等等看吧。"),
    ("抱歉，我无法回答这个问题。我们聊聊天气吧。", "我们聊聊天气吧。"),
    ('{"name": "f", "arguments": {"a": 1}}好的。', "好的。"),
    ('<tool_call>{"name":1}</tool_call>结果是三。', "结果是三。"),
    ("看代码：```python\nprint(1)\n```就这样。", "看代码：就这样。"),
    ("《书名》（2026年）出版，（一）第一章。", "《书名》（2026年）出版，（一）第一章。"),
    ("*waves* I'm *very* happy to see 3.5% growth (up from 2%).", "I'm very happy to see 3.5% growth (up from 2%)."),
    ("好的😀👍🏻！[1]来源【1†source】。", "好的！来源。"),
    ("发邮件到a@b.com，谢谢。", "发邮件到，谢谢。"),
    ("温度是20~30℃，a_b_c变量。5*3=15，2**3是8", "温度是20~30℃，a_b_c变量。5*3=15，2**3是8"),
    ("（轻声）晚安。【动作：挥手】", "晚安。"),
    ("这是笑话（笑话一则），请听。", "这是笑话（笑话一则），请听。"),
    ("好的，用户问的是天气。我想想……</think>今天晴。", "今天晴。"),
    ("抱歉，我无法回答。如果你有其他问题，请告诉我。说个笑话吧！", "说个笑话吧！"),
    ('get_weather(city="北京")\n今天晴。', "今天晴。"),
    ("Thought: I should look\nAction: search\n今天晴。", "今天晴。"),
    ('<viewer name="小明">请看</viewer>这里，<about_viewer>好。[音乐起]', "请看这里，好。"),
    ("<|im_start|>你好<br>再见<|im_end|>", "你好\n再见"),
    ("[动作]开始。[挥挥手]再见。(clears throat) Hello.", "开始。再见。 Hello."),
    ("说一下：**1. 苹果**；*非常*好吃，~~不贵~~。", "说一下：1. 苹果；非常好吃，不贵。"),
    ("系统学习很重要。网络错误怎么解决？500年前的事。", "系统学习很重要。网络错误怎么解决？500年前的事。"),
    ("我是小播，很高兴认识你。我很抱歉刚才说错了。", "我是小播，很高兴认识你。我很抱歉刚才说错了。"),
    ("他说“抱歉，我无法回答”，然后走了。", "他说“抱歉，我无法回答”，然后走了。"),
    ("Errors happen. Sorry for the wait, here we go!", "Errors happen. Sorry for the wait, here we go!"),
    ("x<y，a < b，i <3 you，1<2。", "x<y，a < b，i <3 you，1<2。"),
    ("（2026年）（一）(10:30) 第1. 项，-5度。", "（2026年）（一）(10:30) 第1. 项，-5度。"),
    ("See (https://x.com/a?b=1), or mail me@x.org today.", "See, or mail today."),
    ("小明你好~~~ 欢迎！", "小明你好~ 欢迎！"),
    ("用户问得好！资料【1】里有。", "用户问得好！资料里有。"),
    ("(^_^) 你好 (￣▽￣)！", "你好！"),
)
UNSPEAKABLE = (
    "Error: rate limit exceeded",
    "Internal Server Error",
    "Traceback (most recent call last):\n  File x",
    '{"error": {"message": "no"}}',
    "<html><body>502 Bad Gateway</body></html>",
    "抱歉，我无法回答这个问题。",
    "我很抱歉，我无法回答这个问题。",
    "很抱歉，作为人工智能语言模型，我不能提供相关内容。",
    "I'm sorry, but I can't assist with that.",
    "请求过于频繁，请稍后再试。",
    "ValueError: bad",
    "502 Bad Gateway",
    "系统繁忙，请稍后再试。",
    "抱歉，我无法回答这个问题。如果你有其他问题，请随时告诉我。",
    "I'm sorry, but I can't help with that. Is there anything else you'd like to talk about?",
    "Okay, the user asks about the weather. Let me think",
    "<think>还没想完",
    "https://x.cn/a",
    "",
)


def cleaned(text: str, sizes: list[int] | None = None) -> str:
    cleaner = Cleaner("小播")
    out, at = [], 0
    for size in sizes or [len(text)]:
        out.append(cleaner.feed(text[at : at + size]))
        at += size
    out.append(cleaner.feed(text[at:]))
    return "".join([*out, cleaner.rest()])


@pytest.mark.parametrize(("written", "said"), CASES)
def test_what_is_said_of_what_is_written(written: str, said: str) -> None:
    assert cleaned(written) == said
    assert cleaned(written, [1] * len(written)) == said


@pytest.mark.parametrize("written", UNSPEAKABLE)
def test_errors_and_bare_refusals_are_left_to_somebody_else(written: str) -> None:
    for sizes in (None, [1] * len(written)):
        with pytest.raises(Unspeakable):
            cleaned(written, sizes)


MARKS = (
    "你好， 今天 3.5 * ** ` ``` <think> </think> （ ） ( ) 笑 - | a 。 http://x.cn/a ， { } [ ] 抱歉， 我无法回答 # _"
    " 作为AI， 【思考】 【/思考】"
)
PARTS = st.sampled_from([*MARKS.split(" "), "\n", " ", ". ", "- "])


@given(parts=st.lists(PARTS, max_size=14), sizes=st.lists(st.integers(1, 9), max_size=20))
def test_the_pieces_that_it_comes_in_do_not_matter(parts: list[str], sizes: list[int]) -> None:
    text = "".join(parts)

    def outcome(sizes: list[int] | None) -> str:
        try:
            return cleaned(text, sizes)
        except Unspeakable as err:
            return f"unspeakable: {err}"

    assert outcome(sizes) == outcome(None)


@given(text=st.text(alphabet="今天天气很好我们出去玩，。！？、；：“”《》0123456789年月日abc ", max_size=80))
def test_plain_text_loses_nothing(text: str) -> None:
    words = re.findall(r"\w", text)
    if words:
        assert re.findall(r"\w", cleaned(text)) == words


def test_what_is_certain_does_not_wait() -> None:
    cleaner = Cleaner()
    assert cleaner.feed("大家好") == "大家好"
    assert cleaner.feed("，（") == "，"
    assert cleaner.feed("笑）我来说") == "我来说"
    assert cleaner.feed("。抱歉，") == "。"
    assert cleaner.feed("我来晚了。") == "抱歉，我来晚了。"


def test_an_error_in_the_middle_ends_the_answer_where_its_line_begins() -> None:
    cleaner = Cleaner()
    assert cleaner.feed("今天晴。\n") == "今天晴。"
    with pytest.raises(Unspeakable) as caught:
        cleaner.feed("Error: connection reset by peer")
    assert not caught.value.refusal


def test_a_thought_without_its_opening_is_noticed() -> None:
    cleaner = Cleaner()
    cleaner.feed("先想想。</think>好的。")
    assert cleaner.unmasked
    again = Cleaner(thinking=True)
    assert again.feed("先想想。</think>好的。") + again.rest() == "好的。"
