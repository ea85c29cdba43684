"""What the built-in brain understands and says. Data only.

Everything it says about itself is true: a digital presenter, a synthetic voice, fixed rules instead of a model.
`brain.phrases` names a file that words it otherwise (see `wording`).
"""

from __future__ import annotations

from typing import Final

INTENTS: Final = (
    (
        "identity",
        r"你(到底|究竟)?(是|叫)(谁|什么(?!时候|颜色))|你的?名字|介绍(一下)?你?自己|自我介绍"
        r"|(你|您|主播|主持人).{0,6}真人|^\W*(是|真的是)?真人[吗么]|(你|您)(是不是|到底是)(人|假的)"
        r"|(你|您|主播|主持人).{0,4}(机器人|人工智能|AI|ai|虚拟人|数字人|假的)"
        r"|who are you|what are you|your name|introduce yourself"
        r"|are you (a |an )?(real|human|person|robot|bot|ai\b|machine|alive)",
    ),
    (
        "on_next",
        r"(接下来|下一个|下一档|下个|等会儿?|待会儿?|之后|稍后).{0,6}(节目|播|是什么|有什么|内容)|下(个|一个|一档)节目|节目预告"
        r"|what'?s (on )?next|what is (on )?next|next (show|programme|program)|coming up",
    ),
    (
        "on_now",
        r"(在播|播的?|放的?)(什么|啥)(?!时候|时间)|(现在|这)是什么节目|节目单|什么节目|有(什么|哪些)节目"
        r"|what'?s on\b|what is on\b|what (show|programme|program) is"
        r"|(programme|program) (guide|schedule)|schedule today",
    ),
    (
        "time",
        r"(现在|此刻|目前|这会儿).{0,3}(几点|什么时间|时间)|^\W*几点(了|钟|\W*$)|几点钟?了|报时|什么时间了"
        r"|what('?s| is) the time|what time is it|(current|local) time\b",
    ),
    (
        "date",
        r"(今天|今日|现在).{0,3}(几号|几月|星期几|周几|礼拜几|什么日子|日期|哪一?天)|星期几|几月几[号日]"
        r"|what('?s| is) (the|today'?s) date|what day is|today'?s date",
    ),
    (
        "help",
        r"帮助|怎么用|如何使用|(你)?(会|能)(做|干|回答)?(些)?(什么|啥)|有什么功能|能问什么|可以问(你)?什么"
        r"|^\s*help\b|what can you do|how (do|can) i use|what can i ask",
    ),
    ("thanks", r"谢谢|感谢|多谢|辛苦了|thank(s| you)|thx"),
    ("goodbye", r"再见|拜拜|晚安|下次见|goodbye|good night|\bbye\b|see you"),
    (
        "greeting",
        r"^\W*(你好|您好|大家好|哈[喽啰罗]|嗨|嘿|早上?好?|早安|中午好|下午好|晚上好|在吗|有人吗|主播好).{0,5}$"
        r"|^\W*(hi|hello|hey|good (morning|afternoon|evening))\b.{0,12}$",
    ),
)
"""In this order; the first pattern that is found decides. Only time, programme and identity come before the notes."""

ZH: Final[dict[str, tuple[str, ...]]] = {
    "identity": (
        "我是{name}，一个数字人主播。我不是真人，画面和声音都由人工智能生成；现在回答您的是一套固定的规则，不是大语言模型。",
        "我叫{name}，是人工智能生成的数字人，不是真人。我的回答来自固定的规则和运营者写下的资料，没有用大语言模型。",
    ),
    "time": ("现在是{clock}。", "现在的时间是{clock}。"),
    "date": ("今天是{day}。",),
    "on_now": ("现在播出的是《{title}》。", "正在播出《{title}》。"),
    "on_nothing": ("节目单上，现在没有安排节目。",),
    "next_today": ("接下来是{clock}的《{title}》。",),
    "next_tomorrow": ("接下来是明天{clock}的《{title}》。",),
    "next_later": ("接下来要到几天以后，{clock}的《{title}》。",),
    "next_nothing": ("节目单上，接下来还没有安排。",),
    "no_programme": ("{name}手里没有节目单，不知道现在安排了什么节目。",),
    "quote": ("《{source}》里是这样写的：{text}", "关于这个，《{source}》里写着：{text}"),
    "help": (
        "我是数字人{name}。您可以问我现在几点、今天几号、正在播什么节目、我是谁，也可以问运营者资料里写到的内容。别的问题我会转给运营者。",
    ),
    "thanks": ("不客气。", "不用谢，很高兴能帮上忙。"),
    "goodbye": ("再见，欢迎再来。", "再见，祝您一切顺利。"),
    "greeting": ("您好，我是数字人{name}，欢迎来到直播间。", "您好，欢迎来到直播间，我是数字人主播{name}。"),
    "defer": (
        "这个问题{name}答不上来。我只会按固定的规则回答，资料里也没有写到，请让运营者来回答您。",
        "抱歉，{name}没有找到可靠的答案，就不乱说了。这个问题请运营者来回答。",
    ),
    "address": ("{viewer}，", "{viewer}您好，"),
    "somebody": ("这位朋友",),
    "something": ("礼物",),
    "gift": (
        "谢谢{viewer}送的{item}！",
        "收到{viewer}的{item}了，谢谢您的心意。",
        "感谢{viewer}送来{item}，让您破费了。",
    ),
    "gift_many": (
        "谢谢{viewer}送的{count}个{item}！",
        "收到{viewer}的{count}个{item}了，太感谢了。",
        "{count}个{item}，谢谢{viewer}的心意！",
    ),
    "super_chat": (
        "谢谢{viewer}的醒目留言！",
        "看到{viewer}的醒目留言了，感谢支持。",
        "感谢{viewer}发来的醒目留言。",
    ),
    "super_chat_of": (
        "谢谢{viewer}的醒目留言，{item}，感谢支持！",
        "看到{viewer}的醒目留言了，{item}，谢谢您。",
    ),
    "guard": ("欢迎{viewer}加入守护的队伍，谢谢您！", "谢谢{viewer}的守护，有您真好。"),
    "guard_of": (
        "谢谢{viewer}开通{item}，欢迎上船！",
        "欢迎新的{item}，{viewer}，感谢您的支持。",
        "{viewer}开通了{item}，谢谢您一路相伴。",
    ),
    "follow": ("谢谢{viewer}的关注！", "感谢{viewer}点了关注，欢迎常来。", "{viewer}关注了直播间，谢谢您。"),
    "like": ("谢谢{viewer}的点赞！", "感谢{viewer}为直播间点赞。", "收到{viewer}的赞了，谢谢。"),
    "like_many": ("谢谢{viewer}点的{count}个赞！", "{viewer}点了{count}个赞，谢谢您的鼓励。"),
    "enter": ("欢迎{viewer}来到直播间。", "{viewer}来了，欢迎欢迎。", "您好，{viewer}，欢迎来坐坐。"),
    "fan_club": (
        "谢谢{viewer}加入粉丝团！",
        "欢迎{viewer}加入粉丝团，以后就是自己人了。",
        "{viewer}加入了粉丝团，感谢支持。",
    ),
    "part_gift": ("{viewer}送的{item}",),
    "part_gift_many": ("{viewer}送的{count}个{item}",),
    "part_guard": ("{viewer}开通的{item}",),
    "part_fan_club": ("{viewer}加入粉丝团",),
    "part_follow": ("{viewer}的关注",),
    "part_like": ("{viewer}的点赞",),
    "joint": ("、",),
    "together": ("谢谢{parts}！", "感谢{parts}，谢谢大家的支持。", "收到{parts}了，谢谢各位的心意。"),
    "together_more": (
        "谢谢{parts}，还有另外{count}位朋友的心意！",
        "感谢{parts}，也谢谢另外{count}位朋友的支持。",
    ),
    "enter_together": ("欢迎{viewers}来到直播间！", "{viewers}来了，欢迎欢迎。", "各位好，欢迎{viewers}。"),
    "enter_more": (
        "欢迎{viewers}等{count}位朋友来到直播间！",
        "{viewers}等{count}位朋友来了，欢迎大家。",
    ),
    "read_question": ("{viewer}问：{question}", "{viewer}想知道：{question}", "来看{viewer}的问题：{question}"),
    "read_question_many": (
        "{viewer}和另外{count}位朋友都问：{question}",
        "{viewer}和另外{count}位朋友都想知道：{question}",
    ),
    "read_comment": ("{viewer}说：{question}", "看到{viewer}的留言：{question}"),
    "read_comment_many": ("{viewer}和另外{count}位朋友都说：{question}",),
    "read_super_chat": (
        "谢谢{viewer}的醒目留言：{question}",
        "感谢{viewer}，醒目留言里写着：{question}",
    ),
    "read_picture": ("{viewer}发来一个表情。",),
    "comment": ("谢谢你的留言。", "留言收到了，谢谢陪伴。", "看到了，谢谢你。"),
    "comment_paid": ("您的话我收到了，有您陪着真好。", "我都看到了，心里很暖。", "这份心意我记下了。"),
}

EN: Final[dict[str, tuple[str, ...]]] = {
    "identity": (
        "I am {name}, a digital presenter. I am not a real person: picture and voice are generated by AI. "
        "What answers you now is a set of fixed rules, not a language model.",
    ),
    "time": ("It is {clock}.",),
    "date": ("Today is {day}.",),
    "on_now": ("On now: {title}.",),
    "on_nothing": ("Nothing is scheduled right now.",),
    "next_today": ("Next at {clock}: {title}.",),
    "next_tomorrow": ("Next, tomorrow at {clock}: {title}.",),
    "next_later": ("Next, in a few days at {clock}: {title}.",),
    "next_nothing": ("Nothing is scheduled after this.",),
    "no_programme": ("{name} has no programme at hand, and does not know what is scheduled.",),
    "quote": ("Our notes, {source}, say: {text}",),
    "help": (
        "I am the digital presenter {name}. Ask me for the time, the date, what is on, who I am, "
        "or anything that is in the operator's notes. Other questions go to the operator.",
    ),
    "thanks": ("You are welcome.",),
    "goodbye": ("Goodbye, come back soon.",),
    "greeting": ("Hello and welcome. I am {name}, a digital presenter.",),
    "defer": (
        "{name} cannot answer that. I only follow fixed rules, and the notes do not mention it. "
        "Please leave this one to the operator.",
    ),
    "address": ("{viewer}, ",),
    "somebody": ("a friend",),
    "something": ("gift",),
    "gift": (
        "Thank you for the {item}, {viewer}!",
        "Here is a {item} from {viewer}. Thank you!",
        "{viewer}, thank you for your {item}.",
    ),
    "gift_many": (
        "Thank you for {count} times {item}, {viewer}!",
        "{count} times {item} from {viewer}. Thank you so much!",
    ),
    "super_chat": (
        "Thank you for your message, {viewer}!",
        "I see your message, {viewer}. Thank you for the support.",
    ),
    "super_chat_of": (
        "Thank you for your message, {viewer}, and for {item}!",
        "{item} with a message from {viewer}. Thank you!",
    ),
    "guard": ("Welcome aboard, {viewer}!", "Thank you for joining us, {viewer}."),
    "guard_of": ("{viewer} is now a {item}. Welcome aboard!", "Thank you, {viewer}, our new {item}."),
    "follow": (
        "Thank you for following, {viewer}!",
        "{viewer} follows the channel now. Thank you!",
    ),
    "like": ("Thank you for the like, {viewer}!", "A like from {viewer}, thank you."),
    "like_many": ("Thank you for {count} likes, {viewer}!", "{count} likes from {viewer}, thank you."),
    "enter": ("Welcome, {viewer}.", "{viewer} is here. Welcome!", "Hello {viewer}, good to have you here."),
    "fan_club": ("Thank you for joining the fan club, {viewer}!", "{viewer} is in the fan club now. Thank you!"),
    "part_gift": ("{viewer} for the {item}",),
    "part_gift_many": ("{viewer} for {count} times {item}",),
    "part_guard": ("{viewer} for the {item}",),
    "part_fan_club": ("{viewer} for joining the fan club",),
    "part_follow": ("{viewer} for following",),
    "part_like": ("{viewer} for the likes",),
    "joint": (", ",),
    "together": ("Thank you {parts}!", "Many thanks to {parts}."),
    "together_more": ("Thank you {parts}, and {count} more friends!",),
    "enter_together": ("Welcome {viewers}!", "Hello {viewers}, good to have you here."),
    "enter_more": ("Welcome {viewers} and everybody else, {count} of you!",),
    "read_question": ("{viewer} asks: {question}", "{viewer} would like to know: {question}"),
    "read_question_many": ("{viewer} and {count} more ask: {question}",),
    "read_comment": ("{viewer} says: {question}",),
    "read_comment_many": ("{viewer} and {count} more say: {question}",),
    "read_super_chat": ("Thank you for your message, {viewer}: {question}",),
    "read_picture": ("{viewer} sends a picture.",),
    "comment": ("Thank you for your comment.", "I see it, thank you."),
    "comment_paid": ("It is good to have you here.", "I have seen it, and it means a lot."),
}

ASKS: Final = (
    r"[?？]|[吗呢么嘛]\W*$|什么|啥|怎么|怎样|为何|如何|谁|哪|几[点个岁号月天年次]|多少|多久|何时"
    r"|(.)[不没]\1|有没有|是否|可以|求|请|想[问听看要知]|告诉|推荐|介绍|点歌"
    r"|(唱|讲|说|念|跳|来|聊|帮|给).{0,3}[个首段句支曲下点]"
    r"|\b(what|why|how|when|where|who|which|can|could|will|would|do|does|did|is|are|please|tell|sing|recommend)\b"
)
"""What wants an answer, of what viewers have paid to have read: wishes and congratulations do not."""
