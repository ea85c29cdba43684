"""The director while playout or voice fail: nothing is lost, and nothing is said twice that was heard."""

from __future__ import annotations

import pytest

from broadcaster.errors import Refused, VoiceError
from broadcaster.journal import asrun_rows
from broadcaster.paths import Paths
from tests.fakes.voice_peer import ScriptedSpeaker
from tests.support.directing import LONG, MODERATOR, OPERATOR, station
from tests.support.waiting import until

pytestmark = pytest.mark.integration


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
