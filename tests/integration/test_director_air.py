"""The director against a playout over the real socket: prompts to air, brakes, faults of playout and voice."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from broadcaster.brain.gate import PassGate
from broadcaster.config import Config
from broadcaster.director import Director
from broadcaster.errors import BrainError, Refused, VoiceError
from broadcaster.journal import asrun_rows
from broadcaster.paths import Paths
from broadcaster.types import Inbound, Origin, PromptKind, Role, Turn, Verdict, VerdictKind
from broadcaster.wire import Cut, End, Panic, Speak
from sources.schema import OUTBOUND
from tests.fakes.playout_peer import PlayoutPeer
from tests.fakes.voice_peer import ScriptedSpeaker

pytestmark = pytest.mark.integration

MODERATOR = Origin("test", "somebody", Role.MODERATOR)
OPERATOR = Origin("test", "boss", Role.OPERATOR)
LONG = "第一句话在这里。第二句话在这里。第三句话在这里。第四句话在这里。"


class Brain:
    """Says its lines, or fails after some of them."""

    def __init__(self, name: str, lines: list[str], error: BrainError | None = None, hang: bool = False) -> None:
        self.name = name
        self.lines = lines
        self.error = error
        self.hang = hang
        self.turns: list[Turn] = []
        self.closed = 0

    async def reply(self, turn: Turn) -> AsyncIterator[str]:
        self.turns.append(turn)
        try:
            for line in self.lines:
                yield line
            if self.hang:
                await asyncio.Event().wait()
            if self.error is not None:
                raise self.error
        finally:
            self.closed += 1


class Station:
    """A running director with everything around it."""

    def __init__(self, paths: Paths, speaker: ScriptedSpeaker, brains: list[Brain], gate: Any, capacity: int) -> None:
        config = Config.model_validate({"channel": "test", "inbox": {"capacity": capacity, "max_text": 500}})
        self.paths = paths
        self.speaker = speaker
        self.director = Director(config, paths, speaker=speaker, brains=brains, gate=gate)
        self.events: list[dict[str, Any]] = []
        self.playout = PlayoutPeer(paths.playout_socket)
        self._tasks: list[asyncio.Task[Any]] = []

    async def start(self, *, playout: bool = True) -> None:
        await self.director.open()
        if playout:
            await self.playout.start()
        subscription = self.director.subscribe()

        async def listen() -> None:
            async for event in subscription:
                OUTBOUND.validate_python(event)
                self.events.append(event)

        self._tasks = [asyncio.create_task(self.director.run()), asyncio.create_task(listen())]
        if playout:
            await until(lambda: self.director.link.connected)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.director.close()
        await self.playout.kill()

    async def say(self, text: str, kind: PromptKind = PromptKind.SAY, origin: Origin = MODERATOR) -> Inbound:
        return await self.director.accept(kind, text, origin)

    def types(self, prompt: str) -> list[str]:
        return [event["type"] for event in self.events if event.get("id") == prompt]

    async def ended(self, *prompts: str) -> None:
        final = {"done", "cut", "skipped"}
        await until(lambda: all(final & set(self.types(prompt)) for prompt in prompts))


@asynccontextmanager
async def station(
    paths: Paths,
    *,
    speaker: ScriptedSpeaker | None = None,
    brains: list[Brain] | None = None,
    gate: Any = None,
    capacity: int = 50,
    playout: bool = True,
) -> AsyncIterator[Station]:
    made = Station(paths, speaker or ScriptedSpeaker(), brains or [], gate or PassGate(), capacity)
    await made.start(playout=playout)
    try:
        yield made
    finally:
        await made.stop()


async def until(holds: Callable[[], bool], seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110  # the state of several processes is looked at, not one event
            await asyncio.sleep(0.002)


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


async def test_playout_killed_in_a_sentence_the_sentence_is_said_again_once_and_nothing_else(paths: Paths) -> None:
    async with station(paths) as on:
        on.playout.speed = 4.0
        prompt, following = await on.say(LONG), await on.say("最后一条。")
        await until(lambda: on.playout.heard() == ["第一句话在这里。"] and on.playout.talking != "")
        await on.playout.kill()
        on.playout.speed = 40.0
        await on.playout.start()
        await on.ended(prompt.id, following.id)
        assert on.playout.heard() == [
            "第一句话在这里。",
            "第二句话在这里。",
            "第三句话在这里。",
            "第四句话在这里。",
            "最后一条。",
        ]
        assert [e.sentence for e in on.playout.aired if e.event == "on_air"][:3] == [0, 1, 1]
        assert on.director.status()["counters"]["repeated"] == 1
        await on.director.journal.flush()
        outcomes = [row["outcome"] for row in reversed(asrun_rows(paths.journal)) if row["prompt"] == prompt.id]
        assert outcomes == ["heard", "lost", "heard", "heard", "heard"]


async def test_a_sentence_that_kills_playout_twice_is_left_out(paths: Paths) -> None:
    async with station(paths) as on:
        on.playout.speed = 4.0
        prompt = await on.say("好的。" + LONG)
        for _ in range(2):
            await until(lambda: bool(on.playout.aired) and on.playout.aired[-1].text == "第一句话在这里。")
            on.playout.aired.append(on.playout.aired[0])
            await on.playout.kill()
            await on.playout.start()
        on.playout.speed = 40.0
        await on.ended(prompt.id)
        assert on.playout.heard() == ["好的。", "第二句话在这里。", "第三句话在这里。", "第四句话在这里。"]
        assert on.director.status()["counters"]["sentences_skipped"] == 1


async def test_prompts_wait_for_a_playout_that_is_not_there_yet(paths: Paths) -> None:
    async with station(paths, playout=False) as on:
        prompt = await on.say("我在等。")
        assert not on.director.status()["clock"]["connected"]
        await until(lambda: bool(on.speaker.runs))
        await on.playout.start()
        await on.ended(prompt.id)
        assert on.playout.heard() == ["我在等。"]


async def test_lost_reports_do_not_hold_the_channel_up(paths: Paths) -> None:
    async with station(paths) as on:
        on.playout.deliver = False
        prompt = await on.say("没有回音。")
        await until(lambda: on.playout.heard() == ["没有回音。"])
        on.playout.deliver = True
        await on.ended(prompt.id)
        assert on.director.status()["counters"]["unstuck"] == 1
        following = await on.say("还在播。")
        await on.ended(following.id)


async def test_a_voice_that_fails_is_tried_again_and_no_sentence_is_lost(paths: Paths) -> None:
    speaker = ScriptedSpeaker()
    speaker.failures = {2: VoiceError("killed"), 3: VoiceError("not up yet")}
    async with station(paths, speaker=speaker) as on:
        prompt = await on.say("第一句。第二句。第三句。")
        await on.ended(prompt.id)
        heard = on.playout.heard()
        assert set(heard) == {"第一句。", "第二句。", "第三句。"}
        assert heard[-2:] == ["第二句。", "第三句。"]
        assert len(heard) <= 4  # the last sentence in hand may be said once more, not the others
        assert on.types(prompt.id)[-1] == "done"
        assert len(set(speaker.runs)) == len(speaker.runs)
        assert speaker.runs == sorted(speaker.runs)
        assert not on.director.status()["voice"]["degraded"]
        assert on.director.status()["counters"]["voice_failures"] == 2


async def test_a_voice_that_cannot_speak_a_prompt_is_told_and_the_next_prompt_is_spoken(paths: Paths) -> None:
    speaker = ScriptedSpeaker()
    speaker.failures = {0: VoiceError("no such voice", retryable=False)}
    async with station(paths, speaker=speaker) as on:
        lost, spoken = await on.say("说不了。"), await on.say("说得了。")
        await on.ended(lost.id, spoken.id)
        skipped = next(event for event in on.events if event.get("id") == lost.id)
        assert skipped == {"type": "skipped", "id": lost.id, "reason": "voice"}
        assert on.playout.heard() == ["说得了。"]


async def test_an_answer_is_spoken_while_it_is_still_written_and_the_brain_hears_what_was_on_air(
    paths: Paths,
) -> None:
    brain = Brain("model", ["第一", "句答案。", "第二句", "答案。"])
    async with station(paths, brains=[brain]) as on:
        said = await on.say("先说一句。")
        await on.ended(said.id)
        asked = await on.say("问什么？", PromptKind.ASK)
        await on.ended(asked.id)
        assert on.playout.heard(asked.id) == ["第一句答案。", "第二句答案。"]
        assert brain.turns[0].heard == ("先说一句。",)
        assert brain.turns[0].prompt.text == "问什么？"


async def test_a_failing_brain_is_replaced_and_its_error_never_goes_on_air(paths: Paths) -> None:
    bad, good = Brain("bad", [], BrainError("500 secret detail")), Brain("good", ["我来回答。"])
    async with station(paths, brains=[bad, good]) as on:
        asked = await on.say("问题？", PromptKind.ASK)
        await on.ended(asked.id)
        assert on.playout.heard() == ["我来回答。"]
        assert on.director.status()["brain"]["degraded"]


async def test_a_brain_that_keeps_failing_is_left_alone_for_a_while(paths: Paths) -> None:
    for retryable, asked_times in ((True, 2), (False, 1)):
        bad, good = Brain("bad", [], BrainError("down", retryable=retryable)), Brain("good", ["我来回答。"])
        async with station(paths, brains=[bad, good]) as on:
            for _ in range(4):
                asked = await on.say("问题？", PromptKind.ASK)
                await on.ended(asked.id)
            assert len(bad.turns) == asked_times
            assert len(good.turns) == 4


async def test_an_answer_that_breaks_off_ends_at_its_last_whole_sentence(paths: Paths) -> None:
    broken, other = Brain("broken", ["说完的一句。没说完的"], BrainError("dropped")), Brain("other", ["不该说。"])
    async with station(paths, brains=[broken, other]) as on:
        asked = await on.say("问题？", PromptKind.ASK)
        await on.ended(asked.id)
        assert on.playout.heard() == ["说完的一句。"]
        assert other.turns == []


async def test_no_brain_answers_then_the_prompt_is_skipped(paths: Paths) -> None:
    async with station(paths, brains=[Brain("bad", [], BrainError("no"))]) as on:
        asked = await on.say("问题？", PromptKind.ASK)
        await on.ended(asked.id)
        assert on.types(asked.id) == ["skipped"]
        assert on.playout.messages(Speak) == []


class ByWord:
    """Drops, holds and replaces by a word of the text."""

    async def admit(self, text: str, origin: Origin) -> Verdict:
        for word, kind in (("扔", VerdictKind.DROP), ("等", VerdictKind.HOLD)):
            if word in text:
                return Verdict(kind, "", "because")
        if "换" in text:
            return Verdict(VerdictKind.REPLACE, text.replace("换", "改"), "because")
        return Verdict(VerdictKind.PASS, text)


async def test_the_gate_decides_over_prompts_and_over_every_sentence_of_an_answer(paths: Paths) -> None:
    brain = Brain("model", ["好的一句。要扔的一句。要换的一句。"])
    async with station(paths, gate=ByWord(), brains=[brain]) as on:
        dropped, held, replaced = [await on.say(text) for text in ("扔掉。", "等等。", "换掉。")]
        asked = await on.say("问？", PromptKind.ASK)
        await on.ended(dropped.id, held.id, replaced.id, asked.id)
        reasons = {event["id"]: event["reason"] for event in on.events if event["type"] == "skipped"}
        assert reasons == {dropped.id: "dropped", held.id: "held"}
        assert on.playout.heard() == ["改掉。", "好的一句。", "要改的一句。"]
        await on.director.journal.flush()
        assert {row["text"]: row["verdict"] for row in asrun_rows(paths.journal)} == {
            "改掉。": "replace",
            "好的一句。": "pass",
            "要改的一句。": "replace",
        }


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


async def test_without_a_journal_prompts_are_refused_and_everything_else_works(paths: Paths) -> None:
    async with station(paths) as on:
        kept = await on.say(LONG)
        await on.director.panic(MODERATOR)
    good = paths.journal.with_suffix(".good")
    for suffix in ("-wal", "-shm"):
        assert not paths.journal.with_name(paths.journal.name + suffix).exists()
    paths.journal.rename(good)
    paths.journal.write_bytes(b"not a database, " * 100)
    async with station(paths) as on:
        with pytest.raises(Refused, match="damaged: move it") as refusal:
            await on.say("听得见吗？")
        assert refusal.value.code == "journal"
        assert not on.director.status()["journal"]["ok"]
        with pytest.raises(Refused, match="the panic is on, but would not survive"):
            await on.director.panic(MODERATOR)
        await until(lambda: on.playout.panicked)
        with pytest.raises(Refused, match="the panic stays on"):
            await on.director.resume(OPERATOR)
        good.rename(paths.journal)
        await until(lambda: on.director.status()["journal"]["ok"])
        await until(lambda: [each["id"] for each in on.director.status()["next"]] == [kept.id])
        await on.director.resume(OPERATOR)
        await on.ended(kept.id)
        assert on.playout.heard(kept.id)[-1] == "第四句话在这里。"


@pytest.mark.parametrize("before", [False, True])
async def test_a_panic_that_was_given_to_playout_alone_is_kept(paths: Paths, before: bool) -> None:
    """Whether the journal knows of no panic, or of one that is over: only a resume after it ends it."""
    if before:
        async with station(paths) as on:
            await on.director.panic(OPERATOR)
            await on.director.resume(OPERATOR)
    async with station(paths, playout=False) as on:
        on.playout.panicked = True
        await on.playout.start()
        await until(lambda: on.director.status()["panicked"])
        assert on.playout.panicked
        await on.director.resume(OPERATOR)
        await until(lambda: not on.playout.panicked)
