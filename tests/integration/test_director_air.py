"""The director against a playout over the real socket: prompts to air, brakes, the queue's limits, the end."""

from __future__ import annotations

import asyncio
import time

import pytest

from broadcaster.errors import Refused
from broadcaster.journal import asrun_rows
from broadcaster.paths import Paths
from broadcaster.types import Origin, PromptKind
from broadcaster.wire import Cut, End, Panic, Speak
from tests.fakes.voice_peer import ScriptedSpeaker
from tests.support.directing import LONG, MODERATOR, OPERATOR, Brain, station
from tests.support.waiting import until

pytestmark = pytest.mark.integration


async def test_a_prompt_is_journalled_spoken_in_order_and_logged(paths: Paths) -> None:
    async with station(paths) as on:
        prompt = await on.say("你好。今天直播开始了。")
        await on.ended(prompt.id)
        assert on.types(prompt.id) == ["on_air", "on_air", "done"]
        assert on.playout.heard() == ["你好。", "今天直播开始了。"]
        assert [m.sentence for m in on.playout.messages(Speak)] == [0, 0, 1, 1]
        assert len(on.playout.messages(End)) == 1
        await on.director.journal.flush()
        rows = asrun_rows(paths.journal)
        assert [(row["text"], row["outcome"], row["source"]) for row in reversed(rows)] == [
            ("你好。", "heard", "test"),
            ("今天直播开始了。", "heard", "test"),
        ]
        assert rows[0]["verdict"] == "pass"
        assert rows[0]["engine"] == "tone"
        assert rows[0]["start_tick"] < rows[0]["end_tick"]
        assert rows[0]["samples"] == sum(len(m.pcm) // 2 for m in on.playout.messages(Speak)[2:])
        assert await on.director.asrun(1) == rows[:1]


async def test_prompts_follow_each_other_and_the_next_is_prepared_while_one_is_on_air(paths: Paths) -> None:
    async with station(paths) as on:
        prompts = [await on.say(f"这是第{number}条内容。") for number in "一二三四"]
        await on.ended(*(prompt.id for prompt in prompts))
        assert on.playout.heard() == [f"这是第{number}条内容。" for number in "一二三四"]
        order = [(m.utterance, type(m).__name__) for _, m in on.playout.received if isinstance(m, Speak | End)]
        assert [u for u, _ in order] == sorted((u for u, _ in order), key=[p.id for p in prompts].index)


async def test_no_more_than_the_next_utterance_and_ten_seconds_are_in_playouts_hands(paths: Paths) -> None:
    async with station(paths, speaker=ScriptedSpeaker(seconds=1.0)) as on:
        on.playout.speed = 1.0
        long = await on.say(LONG)
        others = [await on.say("短的一句。") for _ in range(3)]
        await until(lambda: len(on.playout.messages(Speak)) >= 3)
        await asyncio.sleep(0.3)
        sent = on.playout.messages(Speak)
        assert {m.utterance for m in sent} == {long.id}
        assert sum(len(m.pcm) // 2 for m in sent[:-1]) / 48_000 <= 10.0
        status = on.director.status()
        assert status["now"]["id"] == long.id
        assert status["now"]["text"] == "第一句话在这里。"
        assert [each["id"] for each in status["next"]] == [prompt.id for prompt in others]
        assert status["queue"]["length"] == 3


async def test_a_moderator_comes_before_the_viewers_that_wait(paths: Paths) -> None:
    async with station(paths, speaker=ScriptedSpeaker(seconds=0.5)) as on:
        on.playout.speed = 3.0
        viewers = [await on.say(f"观众{n}。", origin=Origin("chat")) for n in "甲乙丙丁"]
        await until(lambda: len(on.playout.aired) > 0)
        urgent = await on.say("管理员。")
        on.playout.speed = 10.0
        await on.ended(urgent.id, *(v.id for v in viewers))
        heard = on.playout.heard()
        assert heard[0] == "观众甲。"
        assert heard.index("管理员。") <= 2
        assert sorted(heard) == sorted(["管理员。", "观众甲。", "观众乙。", "观众丙。", "观众丁。"])


async def test_interrupt_cuts_what_is_on_air_and_the_next_goes_on_once(paths: Paths) -> None:
    async with station(paths) as on:
        on.playout.speed = 2.0
        first = await on.say(LONG)
        second = await on.say("后面的话。")
        given = on.playout.messages
        await until(lambda: on.types(first.id) != [] and second.id in {m.utterance for m in given(Speak)})
        began = time.perf_counter()
        await on.director.interrupt(MODERATOR)
        await until(lambda: bool(on.playout.messages(Cut)))
        cut_at = next(at for at, m in on.playout.received if isinstance(m, Cut))
        assert cut_at >= began
        on.playout.speed = 40.0
        await on.ended(first.id, second.id)
        assert on.types(first.id)[-1] == "cut"
        assert on.types(second.id) == ["on_air", "done"]
        assert on.playout.heard(second.id) == ["后面的话。"]
        await on.director.journal.flush()
        row = next(row for row in asrun_rows(paths.journal) if row["outcome"] == "cut")
        assert row["prompt"] == first.id
        assert row["text"] == "第一句话在这里。"


async def test_interrupt_while_nothing_is_heard_yet_skips_the_prompt_and_stops_brain_and_voice(paths: Paths) -> None:
    speaker, brain = ScriptedSpeaker(), Brain("slow", ["还没说完"], hang=True)
    async with station(paths, speaker=speaker, brains=[brain]) as on:
        asked = await on.say("怎么样？", PromptKind.ASK)
        await until(lambda: bool(brain.turns) and bool(speaker.runs))
        await on.director.interrupt(MODERATOR)
        await on.ended(asked.id)
        assert on.events[-1] == {"type": "skipped", "id": asked.id, "reason": "interrupted"}
        await until(lambda: brain.closed == 1 and speaker.closed == 1)
        following = await on.say("接着来。")
        await on.ended(following.id)
        assert on.types(following.id) == ["on_air", "done"]


async def test_brakes_overtake_speech_that_playout_has_not_read(paths: Paths) -> None:
    async with station(paths) as on:
        await on.say(LONG)
        await until(lambda: on.director.rundown.generation > 0 and bool(on.playout.messages(Speak)))
        link = on.director.link
        big = on.playout.messages(Speak)[0]
        for _ in range(80):
            link.send(Speak(on.director.rundown.generation, "x", 0, None, b"\0" * 400_000, [], ""))
        assert isinstance(big, Speak)
        before = len(on.playout.messages(Speak))
        await on.director.interrupt(MODERATOR)
        await until(lambda: bool(on.playout.messages(Cut)))
        passed = [m for _, m in on.playout.received if isinstance(m, Speak | Cut)]
        assert passed.index(on.playout.messages(Cut)[0]) - before < 10


async def test_panic_silences_keeps_the_queue_refuses_and_only_an_operator_resumes(paths: Paths) -> None:
    async with station(paths) as on:
        on.playout.speed = 2.0
        first, second, third = [await on.say(text) for text in (LONG, "第二条。", "第三条。")]
        await until(lambda: on.types(first.id) == ["on_air"])
        await on.director.panic(MODERATOR)
        await until(lambda: on.playout.panicked)
        await on.ended(first.id)
        with pytest.raises(Refused) as refusal:
            await on.say("还能说吗？")
        assert refusal.value.code == "panicked"
        with pytest.raises(Refused) as refusal:
            await on.director.resume(MODERATOR)
        assert refusal.value.code == "forbidden"
        assert [each["id"] for each in on.director.status()["next"]] == [second.id, third.id]
        assert on.director.status()["panicked"]
        silent = len(on.playout.messages(Speak))
        await on.director.panic(OPERATOR)  # again: nothing new
        await asyncio.sleep(0.1)
        assert len(on.playout.messages(Speak)) == silent
        assert len([m for m in on.playout.messages(Panic) if m.on]) == 1
        on.playout.speed = 40.0
        await on.director.resume(OPERATOR)
        await on.ended(second.id, third.id)
        assert on.playout.heard() == ["第二条。", "第三条。"]
        assert on.types(first.id) == ["on_air", "cut"]


async def test_a_panic_survives_the_director_and_is_the_first_thing_a_new_playout_hears(paths: Paths) -> None:
    async with station(paths) as on:
        waiting = await on.say("等着说。")
        await on.director.panic(MODERATOR)
    async with station(paths) as on:
        assert on.director.status()["panicked"]
        await until(lambda: on.playout.panicked)
        await on.playout.kill()
        before = len(on.playout.received)
        await on.playout.start()
        await until(lambda: on.playout.panicked)
        assert isinstance(on.playout.received[before][1], Panic)
        assert on.playout.messages(Speak) == []
        await on.director.resume(OPERATOR)
        await on.ended(waiting.id)
        assert on.playout.heard() == ["等着说。"]


async def test_full_long_and_empty_are_refused_aloud(paths: Paths) -> None:
    async with station(paths, capacity=2, playout=False) as on:
        for text, code in (("", "empty"), (" \x00\x07 ", "empty"), ("字" * 501, "too_long")):
            with pytest.raises(Refused) as refusal:
                await on.say(text)
            assert refusal.value.code == code
        await asyncio.gather(*(on.say("排队。") for _ in range(2)))
        await until(lambda: len(on.director.status()["next"]) == 2)
        accepted = 0
        codes = set()
        for _ in range(6):
            try:
                await on.say("排队。")
                accepted += 1
            except Refused as refusal_now:
                codes.add(refusal_now.code)
        assert codes == {"full"}
        assert accepted <= 2
        assert on.director.status()["counters"]["refused"] == 3 + 6 - accepted


async def test_a_client_that_leaves_while_its_prompt_is_written_leaves_nothing_behind(paths: Paths) -> None:
    async with station(paths) as on:
        leaving = asyncio.create_task(on.say("我走了。"))
        await asyncio.sleep(0)
        leaving.cancel()
        await until(lambda: on.playout.heard() == ["我走了。"])


async def test_sink_commands_are_answered_or_refused(paths: Paths) -> None:
    async with station(paths) as on:
        reply = await on.director.sink({"action": "pause", "name": "main"})
        assert reply.ok
        assert not (await on.director.sink({"action": "pause", "name": "missing"})).ok
        for wrong in ({"action": "explode"}, {"name": "x"}, {"action": 5}):
            with pytest.raises(Refused):
                await on.director.sink(wrong)
        on.playout.answer_commands = False
        hanging = asyncio.create_task(on.director.sink({"action": "stop", "name": "main"}))
        await asyncio.sleep(0.05)
        await on.playout.kill()
        with pytest.raises(Refused) as refusal:
            await hanging
        assert refusal.value.code == "unavailable"
        with pytest.raises(Refused):
            await on.director.sink({"action": "pause", "name": "main"})
        await on.playout.start()


async def test_at_the_end_the_sentence_is_finished_and_the_rest_waits_for_the_next_start(paths: Paths) -> None:
    async with station(paths) as on:
        on.playout.speed = 4.0
        current, waiting = await on.say(LONG), await on.say("明天再说。")
        await until(lambda: on.types(current.id) == ["on_air"])
        await on.director.finish()
        assert on.playout.heard() == ["第一句话在这里。"]
        await on.ended(current.id)
        with pytest.raises(Refused) as refusal:
            await on.say("太晚了。")
        assert refusal.value.code == "stopping"
    async with station(paths) as on:
        await on.ended(waiting.id)
        assert on.playout.heard() == ["明天再说。"]


async def test_at_the_end_a_long_sentence_is_cut_within_the_time_given(paths: Paths) -> None:
    async with station(paths) as on:
        on.playout.speed = 0.5
        current = await on.say(LONG)
        await until(lambda: on.types(current.id) == ["on_air"])
        await on.director.finish(seconds=0.2)
        assert on.playout.events(current.id) == ["on_air", "cut"]
