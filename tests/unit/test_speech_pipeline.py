"""The speaker in virtual time: order, pauses, failures, cancellation, and that text may come late."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

import numpy as np
import pytest

from broadcaster.errors import VoiceError
from broadcaster.speech import words
from broadcaster.speech.pacing import AHEAD_S
from broadcaster.speech.pipeline import PacedSpeaker
from broadcaster.types import SAMPLE_RATE, Piece, SpokenPiece, Viseme
from tests.fakes.voice import ScriptedVoice, run_virtually, sound_of

pytestmark = pytest.mark.unit

TEXT = "你好，今天天气不错，我们去公园走走吧。走累了就坐下来喝一杯茶！Then we go home."


@pytest.fixture(scope="module", autouse=True)
def _word_list() -> None:
    words.load()  # in a thread it would be a wait that virtual time does not see


async def typed(*parts: str | float) -> AsyncIterator[str]:
    """Text as it comes; a number is a silence in seconds."""
    for part in parts:
        if isinstance(part, str):
            yield part
        else:
            await asyncio.sleep(part)


def spoken(voice: ScriptedVoice, *parts: str | float, paced: bool = True) -> list[tuple[float, SpokenPiece]]:
    """Every piece with the time at which it was let go."""

    async def main() -> list[tuple[float, SpokenPiece]]:
        now = asyncio.get_running_loop().time
        return [(now(), piece) async for piece in PacedSpeaker(voice, paced=paced).speak(typed(*parts), 1)]

    return run_virtually(main())


def holes(pieces: list[tuple[float, SpokenPiece]]) -> list[float]:
    end = pieces[0][0]
    found = []
    for at, piece in pieces:
        found.append(max(0.0, at - end))
        end = max(at, end) + len(piece.speech.pcm) / SAMPLE_RATE
    return found


def test_sentences_open_once_in_order_and_the_last_piece_says_so() -> None:
    voice = ScriptedVoice(lambda units, call: 0.1 + 0.03 * units)
    pieces = [p for _, p in spoken(voice, TEXT)]
    assert [(p.sentence, p.opens) for p in pieces if p.opens is not None] == [
        (0, "你好，今天天气不错，我们去公园走走吧。"),
        (1, "走累了就坐下来喝一杯茶！"),
        (2, "Then we go home."),
    ]
    assert [p.sentence for p in pieces] == sorted(p.sentence for p in pieces)
    assert [p.last for p in pieces] == [False] * (len(pieces) - 1) + [True]
    assert "".join(p.text for p in voice.asked) == TEXT
    assert [p.language for p in voice.asked if p.sentence == 2] == ["en"]
    assert {p.language for p in voice.asked if p.sentence < 2} == {"zh"}
    assert {p.engine for p in pieces} == {"scripted"}


def test_pauses_follow_the_punctuation() -> None:
    voice = ScriptedVoice()
    pieces = [p for _, p in spoken(voice, TEXT)]
    for asked, piece in zip(voice.asked, pieces, strict=True):
        pause = len(piece.speech.pcm) - len(sound_of(asked.text).pcm)
        expected = 0.22 if asked.text[-1] in "。！." else 0.04 if asked.text[-1] == "，" else 0.0
        assert pause == round(expected * SAMPLE_RATE)
        if pause:
            assert not piece.speech.pcm[-pause:].any()
            assert piece.speech.phones[-1].viseme is Viseme.SIL
        assert piece.speech.phones[-1].end == len(piece.speech.pcm)


def test_an_instant_voice_is_not_held_back() -> None:
    pieces = spoken(ScriptedVoice(), TEXT)
    assert {at for at, _ in pieces} == {0.0}


def test_a_slow_voice_is_held_back_until_no_hole_follows() -> None:
    voice = ScriptedVoice(lambda units, call: 0.4 + 0.08 * units)
    pieces = spoken(voice, TEXT)
    assert pieces[0][0] > 0.4
    assert max(holes(pieces)) == 0


def test_without_pacing_the_pieces_do_not_depend_on_speed() -> None:
    slow, fast = ScriptedVoice(lambda units, call: 2.0 + call), ScriptedVoice()
    spoken(slow, TEXT, paced=False)
    spoken(fast, TEXT, paced=False)
    assert slow.asked == fast.asked


def test_not_more_is_made_than_is_needed_soon() -> None:
    voice = ScriptedVoice()
    text = "今天我们来聊一聊人工智能的发展和未来。" * 20

    async def main() -> float:
        stream = PacedSpeaker(voice).speak(typed(text), 1)
        await anext(stream)
        await asyncio.sleep(0.01)
        made = sum(len(sound_of(p.text).pcm) for p in voice.asked) / SAMPLE_RATE
        await stream.aclose()
        return made

    assert AHEAD_S - 4 <= run_virtually(main()) <= AHEAD_S + 10


@pytest.mark.parametrize("retryable", [True, False])
def test_one_bad_package_costs_only_itself(retryable: bool, caplog: pytest.LogCaptureFixture) -> None:
    def fails(piece: Piece, call: int) -> VoiceError | None:
        return VoiceError("no", retryable=retryable) if "喝" in piece.text else None

    voice = ScriptedVoice(fails=fails)
    with caplog.at_level(logging.WARNING):
        pieces = [p for _, p in spoken(voice, "大家好。\n\n我们喝茶。\n\n再见。")]
    assert [p.opens for p in pieces] == ["大家好。", "再见。"]
    assert [p.sentence for p in pieces] == [0, 1]
    assert len(voice.asked) == 3 + retryable  # what may pass is asked once more
    assert [record.message for record in caplog.records] == ["a piece of speech was left out"]
    assert "喝" not in caplog.text


def test_a_sentence_that_the_voice_refuses_takes_no_other_along() -> None:
    def fails(piece: Piece, call: int) -> VoiceError | None:
        return VoiceError("no", retryable=False) if "喝" in piece.text else None

    voice = ScriptedVoice(fails=fails)
    pieces = [p for _, p in spoken(voice, "大家好。我们喝茶。再见。")]
    assert [p.text for p in voice.asked] == ["大家好。我们喝茶。", "大家好。", "我们喝茶。", "再见。"]
    heard = [len(sound_of(text).pcm) for text in ("大家好。", "再见。")]
    assert [len(p.speech.pcm.nonzero()[0]) for p in pieces] == heard
    assert [p.sentence for p in pieces] == [0, 0]


def test_a_sentence_whose_first_piece_failed_still_opens() -> None:
    def fails(piece: Piece, call: int) -> VoiceError | None:
        return VoiceError("no", retryable=False) if call == 0 else None

    pieces = [p for _, p in spoken(ScriptedVoice(fails=fails), "人工智能的发展非常迅速，每天都有新的模型发布。")]
    assert pieces[0].opens == "人工智能的发展非常迅速，每天都有新的模型发布。"
    assert not any(p.opens for p in pieces[1:])


def test_a_failure_that_passes_costs_nothing() -> None:
    def fails(piece: Piece, call: int) -> VoiceError | None:
        return VoiceError("busy") if call == 0 else None

    assert [p.opens for _, p in spoken(ScriptedVoice(fails=fails), "大家好。")] == ["大家好。"]


def test_nothing_spoken_is_an_error_and_nothing_to_say_is_not() -> None:
    def unable(piece: Piece, call: int) -> VoiceError:
        return VoiceError("no", retryable=False)

    def down(piece: Piece, call: int) -> VoiceError:
        return VoiceError("down")

    with pytest.raises(VoiceError, match="no") as caught:
        spoken(ScriptedVoice(fails=unable), "大家好。再见。")
    assert not caught.value.retryable
    voice = ScriptedVoice(fails=down)
    with pytest.raises(VoiceError, match="down") as caught:
        spoken(voice, "大家好。\n\n我们喝茶。\n\n再见。今天天气不错。")
    assert caught.value.retryable
    assert len(voice.asked) == 4, "two pieces, twice each, and then the voice counts as down"
    assert spoken(ScriptedVoice(), "……😂\n") == []
    assert spoken(ScriptedVoice()) == []


def test_closing_cancels_what_is_being_made() -> None:
    voice = ScriptedVoice(lambda units, call: 0.5 if call == 0 else 100.0)

    async def main() -> float:
        stream = PacedSpeaker(voice).speak(typed(TEXT), 1)
        await anext(stream)
        before = asyncio.get_running_loop().time()
        await stream.aclose()
        return asyncio.get_running_loop().time() - before

    assert run_virtually(main()) == 0
    assert voice.cancelled == 1


def test_text_that_trickles_in_is_spoken_sentence_by_sentence() -> None:
    voice = ScriptedVoice(lambda units, call: 0.05)
    pieces = spoken(voice, "大家", 0.1, "好。", 0.1, "今天", 5.0, "天气不错。")
    assert [(round(at, 1), p.opens) for at, p in pieces] == [(0.2, "大家好。"), (5.2, "今天天气不错。")]


def test_text_that_stops_in_mid_sentence_is_spoken_to_its_comma() -> None:
    pieces = spoken(ScriptedVoice(), "今天我们来聊一聊，人工", 30.0, "智能。")
    assert [p.opens for _, p in pieces] == ["今天我们来聊一聊，", "人工智能。"]
    assert pieces[0][0] < 1.0


def test_an_error_of_the_text_is_raised_after_what_came_before_it() -> None:
    async def broken() -> AsyncIterator[str]:
        yield "大家好。"
        raise RuntimeError("the model is gone")

    async def main() -> list[SpokenPiece]:
        stream = PacedSpeaker(ScriptedVoice()).speak(broken(), 1)
        found = [await anext(stream)]
        with pytest.raises(RuntimeError, match="the model is gone"):
            await anext(stream)
        return found

    assert [p.opens for p in run_virtually(main())] == ["大家好。"]


def test_what_was_learned_is_kept_for_the_next_utterance() -> None:
    voice = ScriptedVoice(lambda units, call: 0.1 + 0.02 * units)

    async def main() -> tuple[float, float]:
        speaker = PacedSpeaker(voice)
        before = speaker.chain.last.speed.predicted(20)
        for _ in range(5):
            async for _ in speaker.speak(typed(TEXT), 1):
                pass
        return before, speaker.chain.last.speed.predicted(20)

    before, after = run_virtually(main())
    assert after < 0.5 * before
    assert after == pytest.approx(0.5, rel=0.3)


def test_sound_is_passed_on_untouched() -> None:
    pieces = [p for _, p in spoken(ScriptedVoice(), "大家好")]
    assert np.array_equal(pieces[0].speech.pcm, sound_of("大家好").pcm)


def test_every_piece_says_when_what_happened_to_it() -> None:
    voice = ScriptedVoice(lambda units, call: 0.5)
    pieces = spoken(voice, 1.0, "今天天气", 0.5, "真好。", 0.5, "我们去公园走走吧。")
    assert len(pieces) == 2
    for (at, piece), text_at in zip(pieces, (1.5, 2.0), strict=True):
        times = piece.times
        assert times is not None
        assert times.text == pytest.approx(text_at)
        assert times.text <= times.asked < times.sound <= times.made <= times.released == at
        assert times.made - times.asked == pytest.approx(0.5)
