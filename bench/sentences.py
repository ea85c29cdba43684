"""Kept sentences for the benches of speech: the same for ever, so that figures can be compared. Pure data.

Mouth timing is fitted on the first `FITTED` of each language and measured on the others.
"""

from __future__ import annotations

from typing import Final

FITTED: Final = {"zh": 26, "en": 16}

ZH: Final = (
    "大家好，欢迎来到我们的直播间，我是今天的主播小播。",
    "刚才有朋友问，现在几点了？今天的节目还剩下大约两个小时。",
    "下面为您播报一条天气消息：明天白天多云转晴，最高气温二十六度。",
    "感谢各位的关注和点赞，有什么问题可以直接打在公屏上。",
    "很多人问人工智能会不会取代主播，我觉得更像是多了一个不会累的同事。",
    "先把土壤浇透，再把它放在阳光充足但不暴晒的窗台上。",
    "北京时间晚上八点整，我们准时抽奖，请不要离开。",
    "接下来进入问答环节，我会按照提问的顺序一条一条地回答。",
    "小朋友们要记住，过马路的时候一定要先看左边，再看右边。",
    "根据最新统计，上半年全国铁路发送旅客二十二亿人次。",
    "这道菜的关键在于火候，油温六成热的时候下锅，翻炒一分钟就好。",
    "晚上好，今晚的月亮特别圆，适合出去走一走。",
    "请听题：世界上最深的湖叫什么名字？它又在哪个国家？",
    "爸爸买了一把白色的遮阳伞，妈妈却把它忘在了门外面。",
    "春天来了，公园里的花都开了，孩子们在草地上放风筝。",
    "远处的湖面上有几只白色的天鹅，慢慢地游过来，又慢慢地游过去。",
    "他每天早上跑步半个小时，然后喝一杯不加糖的黑咖啡。",
    "我们的物流团队正在加班加点，保证包裹在三天之内送到您的手中。",
    "这部电影讲的是一位老兵回到故乡寻找失散多年的兄弟的故事。",
    "股市今天小幅上涨，成交量比昨天增加了百分之八。",
    "如果网络不太稳定，可以先暂停一下，再刷新页面。",
    "昨天下午的比赛非常精彩，主队在最后一分钟踢进了关键的一球。",
    "冬天开车要注意路面结冰，保持车距，不要急刹车。",
    "老师说，学习语言没有捷径，只有多听、多说、多读、多写。",
    "博物馆明天上午九点开门，门票免费，但是需要提前预约。",
    "这款面膜补水效果明显，敏感皮肤的朋友也可以放心使用。",
    "这款耳机支持主动降噪，续航三十个小时，充电十分钟可以听三个小时。",
    "今天我们聊聊如何在家里种好一盆薄荷。",
    "如果您刚刚进来，可以先看一下屏幕上方的说明。",
    "我们的节目由人工智能生成，播音员是数字人，请大家放心观看。",
    "最后祝大家身体健康，工作顺利，我们明天同一时间再见。",
    "谢谢这位朋友送来的玫瑰花，祝你天天开心，万事如意。",
    "本台消息，受冷空气影响，周末北方部分地区将出现大风降温天气。",
    "你喜欢爬山还是游泳？把答案发在评论区，我来念给大家听。",
    "他把一本破旧的笔记本放在木桌旁边，默默地闭上了眼睛。",
    "门口的小狗一看见陌生人就汪汪叫，其实它胆子特别小。",
    "专家表示，每天保证七到八个小时的睡眠，对身体恢复很有帮助。",
    "这家面馆开了十五年，老板坚持每天凌晨四点起床熬汤。",
    "高铁从上海到杭州只要四十五分钟，比开车方便得多。",
    "别着急，我们一步一步来，先把手机的蓝牙打开。",
)

EN: Final = (
    "Good evening everyone, and welcome to the live show.",
    "The next train to the airport leaves at nine.",
    "Please remember to bring a warm coat, because it might be below zero tonight.",
    "My brother bought a big blue umbrella before the summer market closed.",
    "The museum opens at ten in the morning and admission is free for children.",
    "We will answer your questions one by one, in the order they were asked.",
    "Scientists have found a new species of frog in the mountains of Peru.",
    "She put the broken lamp back on the table and walked away without a word.",
    "The price of coffee has gone up by almost twelve percent since January.",
    "If the picture freezes, simply reload the page and wait a moment.",
    "Thank you for the lovely comment, it really made my day.",
    "He has been playing the piano since he was five years old.",
    "The river flows slowly past the old mill and into the sea.",
    "A healthy breakfast may improve both memory and mood.",
    "Our team is working hard to ship every package by Monday.",
    "Turn left at the post office, then walk straight for two blocks.",
    "This programme is presented by a digital host, and the voice is made by a computer.",
    "Most people believe that bumblebees should not be able to fly.",
    "Can you tell me which platform the morning express departs from?",
    "The weather tomorrow will be mostly sunny with a gentle breeze from the west.",
    "Mom made pumpkin pie and a pot of apple tea for the whole family.",
    "Simple problems sometimes demand the most patience.",
    "The committee approved the budget after a long and bitter debate.",
    "Keep both hands on the wheel and your eyes on the road.",
    "I would rather read a good book than watch a bad film.",
    "Remember to subscribe, and we will see you again at the same time tomorrow.",
)
