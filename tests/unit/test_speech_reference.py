"""Custom voices: which recordings are taken, what is stored of them, and that nobody's voice is imitated unasked."""

from __future__ import annotations

import datetime
import hashlib
import wave
from pathlib import Path

import numpy as np
import pytest

from broadcaster.config import CosyVoiceLocal, CosyVoiceServer, EdgeVoice, GptSoVitsVoice
from broadcaster.errors import AssetError
from broadcaster.speech import reference
from broadcaster.speech.recording import Recording, clipped_share, decoded, heard_seconds, loudest_dbfs
from broadcaster.types import VoiceReference
from tests.support.recordings import SENTENCE, babble, write

pytestmark = pytest.mark.unit

CONSENT = {"speaker": "李雷", "given_by": "李雷", "scope": "本频道直播", "date": datetime.date(2026, 11, 24)}


@pytest.fixture
def avatar(tmp_path: Path) -> Path:
    folder = tmp_path / "avatars" / "mine"
    folder.mkdir(parents=True)
    return folder


def added(avatar: Path, sound: Recording | None = None, text: str = SENTENCE) -> reference.Added:
    return reference.add(avatar, sound or Recording(babble(), 24_000), text, "zh", **CONSENT)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "codec", "rate", "channels"),
    [
        ("a.wav", "pcm_s16le", 24_000, 1),
        ("a.wav", "pcm_s24le", 48_000, 2),
        ("a.wav", "pcm_f32le", 16_000, 1),
        ("a.flac", "flac", 44_100, 2),
        ("a.mp3", "libmp3lame", 44_100, 2),
        ("a.m4a", "aac", 48_000, 1),
    ],
)
def test_whatever_a_person_recorded_becomes_a_16_bit_mono_wav_of_its_own_rate(
    avatar: Path, tmp_path: Path, name: str, codec: str, rate: int, channels: int
) -> None:
    pcm = babble(5.0, rate)
    given = write(tmp_path / name, pcm, rate, codec=codec, channels=channels)
    made = added(avatar, reference.prepared(given, SENTENCE))
    with wave.open(str(avatar / "voice/reference.wav"), "rb") as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, rate)
        stored = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")
    assert abs(len(stored) - len(pcm)) <= 3000  # mp3 and AAC add their own padding
    assert abs(loudest_dbfs(Recording(stored, rate)) - loudest_dbfs(Recording(pcm, rate))) < 0.5
    if codec.startswith(("pcm", "flac")):
        assert np.array_equal(stored, pcm)
    assert made.warnings == ()
    assert reference.load(avatar) == VoiceReference(avatar / "voice/reference.wav", SENTENCE, "zh")


def test_a_rate_above_48_khz_is_brought_down(tmp_path: Path) -> None:
    sound = decoded(write(tmp_path / "a.wav", babble(4.0, 96_000), 96_000))
    assert sound.rate == 48_000
    assert abs(sound.seconds - 4.0) < 0.01


def loud(seconds: float) -> np.ndarray:
    return np.clip(babble(seconds, level=1.0).astype(np.int32) * 4, -32768, 32767).astype(np.int16)


@pytest.mark.parametrize(
    ("pcm", "text", "said"),
    [
        (babble(2.9), SENTENCE, r"lasts 2\.9 s; 3 to 30 s .*record more"),
        (babble(31.5), SENTENCE, r"more than 30 s -> cut out 3 to 10 s"),
        (np.zeros(120_000, np.int16), SENTENCE, r"silent"),
        (babble(level=0.002), SENTENCE, r"silent.*nearer to the microphone"),
        (loud(5.0), SENTENCE, r"clipped.*less gain"),
        (babble(), "", r"no text"),
        (babble(), "。！？ …", r"no text"),
        (babble(20.0), "你好", r"text is too little.*exactly what is said"),
        (babble(), SENTENCE * 10, r"text is too much.*exactly what is said"),
    ],
)
def test_what_cannot_be_a_reference_is_refused_with_what_to_do(
    tmp_path: Path, pcm: np.ndarray, text: str, said: str
) -> None:
    given = write(tmp_path / "given.wav", pcm)
    with pytest.raises(AssetError, match=said) as caught:
        reference.prepared(given, text)
    assert str(given) in str(caught.value)
    assert " -> " in str(caught.value)


def test_a_telephone_recording_a_film_without_sound_and_a_text_are_no_recordings(tmp_path: Path) -> None:
    with pytest.raises(AssetError, match=r"8000 samples per second; the engines need 16000"):
        reference.prepared(write(tmp_path / "phone.wav", babble(5.0, 8000), 8000), SENTENCE)
    with pytest.raises(AssetError, match=r"no such file"):
        reference.prepared(tmp_path / "nowhere.wav", SENTENCE)
    (tmp_path / "notes.wav").write_text("not a sound\n" * 50)
    with pytest.raises(AssetError, match=r"cannot be read as sound"):
        reference.prepared(tmp_path / "notes.wav", SENTENCE)
    (tmp_path / "empty.mp3").touch()
    with pytest.raises(AssetError, match=r"cannot be read as sound"):
        reference.prepared(tmp_path / "empty.mp3", SENTENCE)
    with pytest.raises(AssetError, match=r"there is no sound in it"):
        reference.prepared(Path(__file__).parents[2] / "avatars/host/blink-1.webp", SENTENCE)


def test_a_long_file_is_refused_without_being_read_to_its_end(tmp_path: Path) -> None:
    sound = decoded(write(tmp_path / "long.flac", np.tile(babble(10.0), 60), codec="flac"))
    assert 30.5 < sound.seconds < 32.0


def test_what_is_doubtful_is_taken_and_told(avatar: Path) -> None:
    longer = added(avatar, Recording(babble(12.0), 24_000), SENTENCE * 2)
    assert [warning for warning in longer.warnings if "GPT-SoVITS takes only 3 to 10 s" in warning]
    quiet = added(avatar, Recording(babble(level=0.02), 24_000))
    assert [warning for warning in quiet.warnings if "quiet" in warning]


def test_an_avatar_without_a_recording_has_no_custom_voice(avatar: Path) -> None:
    assert reference.load(avatar) is None
    assert reference.remove(avatar) is False


def test_a_recording_without_consent_is_refused(avatar: Path) -> None:
    added(avatar)
    note = avatar / "voice/consent.yaml"
    written = note.read_text()
    note.unlink()
    with pytest.raises(AssetError, match=r"consent\.yaml is missing.*without its speaker's consent -> .*voice add"):
        reference.load(avatar)
    for damaged, said in (
        (written.replace("speaker: 李雷\n", ""), "speaker"),
        (written.replace("2026-11-24", "soon"), "date"),
        ("", "file"),
        ("a: [", "YAML"),
        (written + "unknown: 1\n", "unknown"),
    ):
        note.write_text(damaged)
        with pytest.raises(AssetError, match=said):
            reference.load(avatar)
    note.write_text(written)
    assert reference.load(avatar) is not None


def test_the_consent_is_for_one_recording(avatar: Path) -> None:
    added(avatar)
    write(avatar / "voice/reference.wav", babble(6.0, level=0.4))
    with pytest.raises(AssetError, match=r"given for another recording"):
        reference.load(avatar)


def test_the_consent_note_says_who_when_and_what_for(avatar: Path) -> None:
    added(avatar)
    text = (avatar / "voice/consent.yaml").read_text()
    assert text.startswith("# Whose voice")
    consent = reference.consent_of(avatar)
    assert (consent.speaker, consent.given_by, consent.scope, str(consent.date), consent.language) == (
        "李雷", "李雷", "本频道直播", "2026-11-24", "zh",
    )  # fmt: skip
    assert "李雷" in text


def test_a_file_dropped_into_the_folder_is_not_silently_ignored(avatar: Path) -> None:
    (avatar / "voice").mkdir()
    write(avatar / "voice/reference.mp3", babble(), codec="libmp3lame")
    with pytest.raises(AssetError, match=r"reference\.mp3: only reference\.wav is used -> .*voice add"):
        reference.load(avatar)


@pytest.mark.parametrize("content", [b"", b"RIFF", b"RIFF\x24\0\0\0WAVEfmt ", b"ID3" + bytes(100)])
def test_a_damaged_recording_is_named(avatar: Path, content: bytes) -> None:
    added(avatar)
    path = avatar / "voice/reference.wav"
    note = avatar / "voice/consent.yaml"
    path.write_bytes(content)
    old = reference.consent_of(avatar).recording
    note.write_text(note.read_text().replace(old, hashlib.sha256(content).hexdigest()))
    with pytest.raises(AssetError, match=r"reference\.wav: not a WAV"):
        reference.load(avatar)


def test_a_second_voice_replaces_the_first_whole_and_remove_leaves_nothing(avatar: Path) -> None:
    added(avatar)
    (avatar / "voice/leftover").touch()
    added(avatar, Recording(babble(8.0), 24_000), SENTENCE * 2)
    assert sorted(path.name for path in (avatar / "voice").iterdir()) == [
        "consent.yaml", "reference.txt", "reference.wav",
    ]  # fmt: skip
    again = reference.load(avatar)
    assert again is not None
    assert again.text == SENTENCE * 2
    assert (avatar / "voice").stat().st_mode & 0o077 == 0
    assert reference.remove(avatar) is True
    assert list(avatar.iterdir()) == []
    assert reference.load(avatar) is None


def test_a_folder_that_cannot_be_written_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(AssetError, match=r"cannot be written.*beside your configuration"):
        added(tmp_path / "gone")


def test_measures() -> None:
    sound = Recording(babble(5.0), 24_000)
    silence = np.zeros(24_000, np.int16)
    padded = Recording(np.concatenate([silence, sound.pcm, silence]), 24_000)
    assert abs(heard_seconds(padded) - heard_seconds(sound)) < 0.11
    assert clipped_share(sound) == 0.0
    assert clipped_share(Recording(np.array([32767, 0, 32767, 32767, -32768, 0], np.int16), 24_000)) == 0.5
    assert clipped_share(Recording(np.zeros(0, np.int16), 24_000)) == 0.0


def test_which_links_speak_with_the_recording() -> None:
    server = {"url": "http://127.0.0.1:1", "instruct": "x", "voice": "v"}
    needing = {
        mode: reference.needs_reference(
            CosyVoiceServer.model_validate({**server, "mode": mode, "version": 1 if mode == "instruct" else 2})
        )
        for mode in ("sft", "zero_shot", "cross_lingual", "instruct", "instruct2")
    }
    assert needing == {"sft": False, "zero_shot": True, "cross_lingual": True, "instruct": False, "instruct2": True}
    assert reference.needs_reference(CosyVoiceLocal.model_validate({"model_dir": "/m"}))
    sovits = {"url": "http://127.0.0.1:1"}
    assert reference.needs_reference(GptSoVitsVoice.model_validate(sovits))
    own = {**sovits, "reference_on_server": "/r.wav", "reference_text": "你好"}
    assert not reference.needs_reference(GptSoVitsVoice.model_validate(own))
    assert not reference.needs_reference(EdgeVoice())
