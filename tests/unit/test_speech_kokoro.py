"""What surrounds the model: its bytes, cutting, trimming and joining. The model itself is in the contract suite."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from broadcaster.errors import AssetError
from broadcaster.speech import kokoro
from broadcaster.speech.kokoro import joined, model_bytes, trimmed
from broadcaster.types import Phone, Speech, Viseme

pytestmark = pytest.mark.unit


def test_the_appended_output_is_well_formed() -> None:
    """ModelProto.graph = 7, GraphProto.output = 12, ValueInfoProto.name = 1, .type = 2, .tensor_type = 1."""
    tail = kokoro._durations_output()
    assert len(tail) == 34
    assert tail[:2] == bytes([7 << 3 | 2, 32])
    assert tail[2:4] == bytes([12 << 3 | 2, 30])
    assert tail[4:6] == bytes([1 << 3 | 2, 22])
    assert tail[6:28] == b"/encoder/Clip_output_0"
    assert tail[28:] == bytes([2 << 3 | 2, 4, 1 << 3 | 2, 2, 1 << 3, 1])


def test_a_model_that_is_missing_or_damaged_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(AssetError, match=r"voice.model: /no/such.onnx cannot be read: No such file"):
        model_bytes(Path("/no/such.onnx"))
    monkeypatch.setattr(kokoro, "_PARTS", ("no_such_wheel",))
    with pytest.raises(AssetError, match=r"run: pip install no-such-wheel==0.1.0"):
        model_bytes(None)
    (tmp_path / "damaged_wheel").mkdir()
    (tmp_path / "damaged_wheel" / "__init__.py").touch()
    (tmp_path / "damaged_wheel" / "part.bin").write_bytes(b"not a model")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(kokoro, "_PARTS", ("damaged_wheel",))
    with pytest.raises(AssetError, match=r"damaged or of another version"):
        model_bytes(None)


def test_long_phonemes_are_cut_at_spaces() -> None:
    word = "tʰjɛ→n"
    symbols = " ".join([word] * 200)
    chunks = kokoro._chunks(symbols)
    assert len(chunks) > 1
    assert all(len(c) <= kokoro._MAX_TOKENS for c in chunks)
    assert " ".join(chunks) == symbols
    assert kokoro._chunks("a" * 1000) == ["a" * 480, "a" * 480, "a" * 40]
    assert kokoro._chunks("") == []


def padded_speech(lead: int, sound: int, tail: int) -> Speech:
    pcm = np.concatenate([np.full(lead, 3), np.full(sound, 8000), np.full(tail, 3)]).astype(np.int16)
    phones = (
        Phone("", Viseme.SIL, 0, lead),
        Phone("a", Viseme.AA, lead, lead + sound + tail // 2),
        Phone("", Viseme.SIL, lead + sound + tail // 2, lead + sound + tail),
    )
    return Speech(pcm, phones)


def test_silence_is_trimmed_to_its_margins_and_the_phones_follow() -> None:
    made = trimmed(padded_speech(24_000, 48_000, 36_000), 24_000)
    assert len(made.pcm) == 1440 + 48_000 + 2400
    assert [(p.viseme, p.start, p.end) for p in made.phones] == [
        (Viseme.SIL, 0, 1440),
        (Viseme.AA, 1440, 49_440),
        (Viseme.SIL, 49_440, 51_840),
    ]


def test_closed_lips_before_the_first_sound_are_kept() -> None:
    early = trimmed(padded_speech(24_000, 48_000, 0), 24_000 - 1800)
    assert len(early.pcm) == 1440 + 1800 + 48_000
    much_too_early = trimmed(padded_speech(24_000, 48_000, 0), 0)
    assert len(much_too_early.pcm) == 1440 + 2400 + 48_000


def test_pure_silence_is_left_alone() -> None:
    nothing = Speech(np.zeros(1000, dtype=np.int16))
    assert trimmed(nothing, 0) is nothing


def test_stretches_are_joined_with_their_phones() -> None:
    a = Speech(np.full(10, 1, dtype=np.int16), (Phone("a", Viseme.AA, 0, 10),))
    b = Speech(np.full(5, 2, dtype=np.int16), (Phone("b", Viseme.PP, 0, 5),))
    made = joined([a, b])
    assert made.pcm.tolist() == [1] * 10 + [2] * 5
    assert made.phones == (Phone("a", Viseme.AA, 0, 10), Phone("b", Viseme.PP, 10, 15))
