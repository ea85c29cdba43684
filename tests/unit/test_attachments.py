"""Recorded questions while they wait to be asked: how many, how long, and under which names."""

from __future__ import annotations

import io
import wave
from pathlib import Path

import pytest

from broadcaster.director.attachments import UNASKED, UNASKED_S, Attachments
from broadcaster.errors import Refused

pytestmark = pytest.mark.unit


def recording() -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(24_000)
        out.writeframes(bytes(4800))
    return file.getvalue()


async def test_only_so_many_wait_and_only_so_long(tmp_path: Path) -> None:
    now = 0.0
    kept = Attachments(tmp_path / "questions", lambda: now)
    names = [await kept.keep(recording()) for _ in range(UNASKED)]
    assert all(kept.path(name).is_file() for name in names)
    with pytest.raises(Refused) as full:
        await kept.keep(recording())
    assert full.value.code == "full"
    now = UNASKED_S + 1
    name = await kept.keep(recording())
    assert [file.stem for file in (tmp_path / "questions").iterdir()] == [name]
    with pytest.raises(Refused):
        kept.path(names[0])


@pytest.mark.parametrize("name", ["../journal", "0" * 24, "", "a/b", "0" * 23 + "\n"])
async def test_no_other_file_can_be_named(tmp_path: Path, name: str) -> None:
    kept = Attachments(tmp_path / "questions")
    await kept.keep(recording())
    with pytest.raises(Refused):
        kept.path(name)


async def test_what_is_no_sound_leaves_nothing_behind(tmp_path: Path) -> None:
    kept = Attachments(tmp_path / "questions")
    for data in (b"", b"#EXTM3U\nfile:///etc/passwd\n", recording()[:20]):
        with pytest.raises(Refused):
            await kept.keep(data)
    assert not (tmp_path / "questions").exists()
