"""Recurring sentences: what is kept and where, what is damaged, what is thrown away."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import numpy as np
import pytest

from broadcaster.errors import VoiceError
from broadcaster.speech.cache import CachedVoice, SoundCache, SoundStore, identity_of
from broadcaster.types import Manner, Phone, Piece, Speech, Viseme

pytestmark = pytest.mark.unit

SHORT = "谢谢大家"
LONG = "今天我们来聊一聊人工智能的最新进展和它的用处"


def sound(seed: int = 1, samples: int = 4800) -> Speech:
    pcm = np.random.default_rng(seed).integers(-9000, 9000, samples).astype(np.int16)
    return Speech(pcm, (Phone("a", Viseme.AA, 0, samples),))


class Counting:
    """Port `Voice`: two chunks per piece; every piece sounds different."""

    name = "counting"

    def __init__(self, fails_after: int | None = None) -> None:
        self.asked: list[Piece] = []
        self.closed = 0
        self._fails_after = fails_after

    async def speak(self, piece: Piece, generation: int) -> AsyncIterator[Speech]:
        self.asked.append(piece)
        try:
            for number in range(2):
                if number == self._fails_after:
                    raise VoiceError("broken")
                yield sound(10 * len(self.asked) + number)
        finally:
            self.closed += 1


async def said(voice: CachedVoice, text: str, manner: Manner = Manner()) -> Speech:
    chunks = [chunk async for chunk in voice.speak(Piece(text, "zh", 0, manner), 1)]
    return Speech(np.concatenate([chunk.pcm for chunk in chunks]), tuple(p for chunk in chunks for p in chunk.phones))


def on_disk(folder: Path) -> int:
    return len(list(folder.glob("*.snd")))


def only_file(folder: Path) -> Path:
    (path,) = folder.glob("*.snd")
    return path


async def test_a_short_text_is_made_once_and_survives_a_restart(tmp_path: Path) -> None:
    engine = Counting()
    first = await said(CachedVoice(engine, SoundCache(tmp_path, 1), "x"), SHORT)
    again = await said(CachedVoice(engine, SoundCache(tmp_path, 1), "x"), SHORT)
    assert len(engine.asked) == 1
    assert np.array_equal(first.pcm, again.pcm)
    assert [(p.start, p.end) for p in again.phones] == [(0, 4800), (4800, 9600)]


async def test_a_long_text_goes_to_disk_when_it_is_asked_for_again(tmp_path: Path) -> None:
    engine, cache = Counting(), SoundCache(tmp_path, 1)
    voice = CachedVoice(engine, cache, "x")
    await said(voice, LONG)
    assert on_disk(tmp_path) == 0
    await said(voice, LONG)
    assert (on_disk(tmp_path), len(engine.asked), cache.hits, cache.misses, cache.kept) == (1, 1, 1, 1, 1)
    await said(voice, LONG)
    assert cache.kept == 1


async def test_a_long_text_that_memory_forgot_is_still_known_as_asked_before(tmp_path: Path) -> None:
    engine = Counting()
    voice = CachedVoice(engine, SoundCache(tmp_path, 1, memory_bytes=100), "x")
    await said(voice, LONG)
    await said(voice, LONG)
    await said(voice, LONG)
    assert (len(engine.asked), on_disk(tmp_path)) == (2, 1)


@pytest.mark.parametrize(
    ("identity", "text", "manner"),
    [("y", SHORT, Manner()), ("x", "谢谢各位", Manner()), ("x", SHORT, Manner(1.1)), ("x", SHORT, Manner(1, 1)),
     ("x", SHORT, Manner(voice="v"))],
)  # fmt: skip
async def test_whatever_changes_the_sound_is_another_entry(
    tmp_path: Path, identity: str, text: str, manner: Manner
) -> None:
    engine, cache = Counting(), SoundCache(tmp_path, 1)
    await said(CachedVoice(engine, cache, "x"), SHORT)
    await said(CachedVoice(engine, cache, identity), text, manner)
    assert len(engine.asked) == 2


async def test_texts_with_one_reading_are_one_entry(tmp_path: Path) -> None:
    engine = Counting()
    voice = CachedVoice(engine, SoundCache(tmp_path, 1), "x")
    await said(voice, "5月1日见")
    await said(voice, "五月一日见")
    assert len(engine.asked) == 1


async def test_what_was_made_in_full_and_thrown_away_is_not_paid_for_again() -> None:
    engine = Counting()
    voice = CachedVoice(engine, SoundCache(None, 0), "x")
    await said(voice, LONG)
    await said(voice, LONG)
    assert len(engine.asked) == 1


@pytest.mark.parametrize("fails", [False, True])
async def test_half_a_piece_is_not_kept_and_its_request_is_closed(tmp_path: Path, fails: bool) -> None:
    engine = Counting(1 if fails else None)
    voice = CachedVoice(engine, SoundCache(tmp_path, 1), "x")
    if fails:
        with pytest.raises(VoiceError, match="broken"):
            await said(voice, SHORT)
    else:
        stream = voice.speak(Piece(SHORT, "zh", 0), 1)
        async with aclosing(stream):  # type: ignore[type-var]
            await anext(stream)
    assert (engine.closed, on_disk(tmp_path)) == (1, 0)


@pytest.mark.parametrize("damage", ["cut", "bit", "empty", "gone", "text"])
async def test_a_damaged_entry_is_a_miss_and_is_replaced(tmp_path: Path, damage: str) -> None:
    engine = Counting()
    await said(CachedVoice(engine, SoundCache(tmp_path, 1), "x"), SHORT)
    path = only_file(tmp_path)
    data = bytearray(path.read_bytes())
    cache = SoundCache(tmp_path, 1)
    voice = CachedVoice(engine, cache, "x")
    await said(voice, "早上好")  # the folder is read now
    if damage == "gone":
        path.unlink()
    else:
        data[500] ^= 4
        path.write_bytes({"cut": data[:-7], "bit": data, "empty": b"", "text": b"hello" * 9}[damage])
    await said(voice, SHORT)
    assert (len(engine.asked), cache.damaged) == (3, 1)
    await said(CachedVoice(engine, SoundCache(tmp_path, 1), "x"), SHORT)
    assert len(engine.asked) == 3


def test_the_least_used_goes_first_and_the_order_outlives_a_restart(tmp_path: Path) -> None:
    store = SoundStore(tmp_path, 40_000)  # four entries of 9.6 kB
    for number in range(4):
        store.put(f"k{number}", sound(number))
        os.utime(tmp_path / f"k{number}.snd", ns=(number, number))
    assert store.get("k0") is not None
    again = SoundStore(tmp_path, 40_000)
    again.put("k4", sound(4))
    assert {path.stem for path in tmp_path.iterdir()} == {"k0", "k2", "k3", "k4"}
    assert (again.evicted, again.bytes <= 40_000) == (1, True)
    assert again.get("k1") is None


def test_a_smaller_limit_is_kept_from_the_start_and_leftovers_of_a_crash_go(tmp_path: Path) -> None:
    store = SoundStore(tmp_path, 40_000)
    for number in range(4):
        store.put(f"k{number}", sound(number))
    (tmp_path / "tmpabc.part").write_bytes(b"half")
    assert len(SoundStore(tmp_path, 20_000)) == 2
    assert not list(tmp_path.glob("*.part"))


def test_what_is_larger_than_the_limit_is_not_kept(tmp_path: Path) -> None:
    store = SoundStore(tmp_path, 5_000)
    store.put("k", sound())
    assert not list(tmp_path.iterdir())


async def test_a_disk_that_fails_costs_nothing_but_the_entry(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    engine = Counting()
    voice = CachedVoice(engine, SoundCache(blocked, 1), "x")
    with caplog.at_level("INFO"):
        for text in (SHORT, "早上好", SHORT):
            await said(voice, text)
        blocked.unlink()
        await said(voice, "晚安")
    assert len(engine.asked) == 3
    assert [record.message for record in caplog.records] == [
        "recurring sentences cannot be kept on disk",
        "recurring sentences are kept on disk again",
    ]


async def test_several_pieces_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    engine, cache = Counting(), SoundCache(tmp_path, 1)
    voice = CachedVoice(engine, cache, "x")
    await asyncio.gather(*(said(voice, text) for text in ("一", "二", "三", "四", "五", "六")))
    await asyncio.gather(*(said(voice, text) for text in ("一", "二", "三", "四", "五", "六")))
    assert (len(engine.asked), on_disk(tmp_path), cache.hits) == (6, 6, 6)


def test_the_identity_keeps_parts_apart() -> None:
    assert identity_of("a", "b") != identity_of("ab", "")
