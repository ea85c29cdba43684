"""A custom voice: the recording in an avatar's folder whose speaker the zero-shot engines imitate. Blocking.

    avatars/<name>/voice/reference.wav   the recording, 16-bit mono
    avatars/<name>/voice/reference.txt   exactly what is said in it
    avatars/<name>/voice/consent.yaml    whose voice it is and what they agreed to

`add` makes the folder (command line), `load` reads it for the engines (at start, and in `check`). A recording without
its consent note, or with the note of another recording, is refused by both: nobody's voice is imitated unasked.
"""

from __future__ import annotations

import datetime
import hashlib
import shutil
import wave
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from broadcaster.config import LinkBase
from broadcaster.config.voices import Language
from broadcaster.errors import AssetError
from broadcaster.speech.recording import Recording, decoded, fault_of, pcm_of, warnings_of
from broadcaster.types import VoiceReference

FOLDER: Final = "voice"
RECORDING: Final = "reference.wav"
TEXT: Final = "reference.txt"
CONSENT: Final = "consent.yaml"

LONGEST_NOTE: Final = 16_384
"""Bytes of a text or a consent note; more is the wrong file."""

_HOW: Final = "make it with `broadcaster voice add RECORDING --text ...`"
_NOTE_HEAD: Final = (
    "# Whose voice reference.wav is, and what they agreed to. Engines refuse the recording without this note.\n"
)


class Consent(BaseModel):
    """`consent.yaml`. `recording` is the SHA-256 of reference.wav: another recording needs another consent."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    speaker: Annotated[str, Field(min_length=1, max_length=200)]
    """Whose voice it is."""
    given_by: Annotated[str, Field(min_length=1, max_length=200)]
    """Who agreed: the speaker, or who may speak for them."""
    date: datetime.date
    scope: Annotated[str, Field(min_length=1, max_length=2000)]
    """What they agreed to."""
    language: Language
    """What is spoken in the recording."""
    recording: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


@dataclass(frozen=True, slots=True)
class Added:
    """What `add` wrote, and what is doubtful about it."""

    reference: VoiceReference
    seconds: float
    warnings: tuple[str, ...]


def needs_reference(link: LinkBase) -> bool:
    """Whether this link of the chain speaks with the avatar's recording."""
    mode = getattr(link, "mode", "")
    own = bool(getattr(link, "reference_on_server", "")) and bool(getattr(link, "reference_text", ""))
    engine = getattr(link, "engine", "")
    return (engine == "gpt_sovits" and not own) or mode in ("zero_shot", "cross_lingual", "instruct2")


def folder_of(avatar: Path) -> Path:
    return avatar / FOLDER


def load(avatar: Path) -> VoiceReference | None:
    """The avatar's custom voice; None when it has none.

    Raises AssetError when there is one that cannot be used: which file, what is wrong, what to do.
    """
    folder = folder_of(avatar)
    recording = folder / RECORDING
    if not recording.is_file():
        others = sorted(path.name for path in folder.glob("reference.*") if path.suffix != ".txt")
        if others:
            raise AssetError(f"{folder / others[0]}: only {RECORDING} is used -> {_HOW}, which converts it")
        return None
    consent = consent_of(avatar)
    if hashlib.sha256(_bytes(recording)).hexdigest() != consent.recording:
        raise AssetError(f"{folder / CONSENT}: it was given for another recording than {RECORDING} -> {_HOW}")
    text = _text(folder / TEXT)
    fault = fault_of(_wav(recording), text)
    if fault:
        raise AssetError(f"{recording}: {fault}")
    return VoiceReference(recording, text, consent.language)


def seconds_of(reference: VoiceReference) -> float:
    """How long its recording is. Raises AssetError."""
    return _wav(reference.recording).seconds


def consent_of(avatar: Path) -> Consent:
    """The consent note of the avatar's voice. Raises AssetError when there is none, or not a whole one."""
    path = folder_of(avatar) / CONSENT
    if not path.is_file():
        raise AssetError(
            f"{path} is missing: the recording may not be imitated without its speaker's consent -> {_HOW}"
        )
    try:
        data: Any = yaml.safe_load(_text(path))
        return Consent.model_validate(data)
    except yaml.YAMLError as err:
        raise AssetError(f"{path}: not readable as YAML -> {_HOW}") from err
    except ValidationError as err:
        faults = "; ".join(f"{'.'.join(map(str, each['loc'])) or 'file'}: {each['msg']}" for each in err.errors())
        raise AssetError(f"{path}: {faults} -> {_HOW}") from err


def prepared(recording: Path, text: str) -> Recording:
    """A recording (WAV, FLAC, MP3 or what else PyAV reads) as it would be stored. Raises AssetError."""
    sound = decoded(recording)
    fault = fault_of(sound, text)
    if fault:
        raise AssetError(f"{recording}: {fault}")
    return sound


def add(
    avatar: Path, sound: Recording, text: str, language: Language, *, speaker: str, given_by: str, scope: str,
    date: datetime.date,
) -> Added:  # fmt: skip
    """Stores a prepared recording as the avatar's voice, in place of an earlier one.

    The folder is made whole beside the old one and put in its place, so that an engine that starts meanwhile sees one
    or the other. Raises AssetError.
    """
    folder = folder_of(avatar)
    fresh = folder.with_name(f".{FOLDER}.new")
    try:
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        _write_wav(fresh / RECORDING, sound)
        digest = hashlib.sha256((fresh / RECORDING).read_bytes()).hexdigest()
        (fresh / TEXT).write_text(f"{text.strip()}\n", encoding="utf-8")
        note = Consent(
            speaker=speaker, given_by=given_by, date=date, scope=scope, language=language, recording=digest
        )
        written = yaml.safe_dump(note.model_dump(), allow_unicode=True, sort_keys=False)
        (fresh / CONSENT).write_text(_NOTE_HEAD + written, encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        fresh.rename(folder)
    except OSError as err:
        shutil.rmtree(fresh, ignore_errors=True)
        raise AssetError(
            f"{folder}: cannot be written ({err.strerror}) -> change its owner, or copy the avatar's folder to "
            "avatars/ beside your configuration"
        ) from err
    reference = VoiceReference(folder / RECORDING, text.strip(), language)
    return Added(reference, sound.seconds, tuple(warnings_of(sound)))


def remove(avatar: Path) -> bool:
    """Deletes the avatar's voice with its text and consent note; False when there was none. Raises AssetError."""
    folder = folder_of(avatar)
    if not folder.is_dir():
        return False
    try:
        shutil.rmtree(folder)
    except OSError as err:
        raise AssetError(f"{folder}: cannot be removed ({err.strerror}) -> change its owner") from err
    return True


def _wav(path: Path) -> Recording:
    try:
        with wave.open(str(path), "rb") as file:
            if file.getsampwidth() != 2 or file.getnchannels() != 1 or file.getcomptype() != "NONE":
                raise AssetError(f"{path}: not a 16-bit mono WAV -> {_HOW}, which converts it")
            rate = file.getframerate()
            data = file.readframes(min(file.getnframes(), rate * 60))
    except (OSError, EOFError, wave.Error) as err:
        raise AssetError(f"{path}: not a WAV that can be read ({err}) -> {_HOW}") from err
    return Recording(np.frombuffer(data, dtype="<i2"), rate)


def _write_wav(path: Path, sound: Recording) -> None:
    with path.open("wb") as target, wave.open(target, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sound.rate)
        file.writeframes(pcm_of(sound))


def _text(path: Path) -> str:
    try:
        return _bytes(path, LONGEST_NOTE).decode("utf-8-sig").strip()
    except UnicodeDecodeError as err:
        raise AssetError(f"{path}: not UTF-8 text -> save it as UTF-8") from err


def _bytes(path: Path, limit: int = 64 * 1024 * 1024) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as err:
        raise AssetError(f"{path}: cannot be read ({err.strerror}) -> {_HOW}") from err
    if len(data) > limit:
        raise AssetError(f"{path}: larger than {limit} bytes -> it is the wrong file; {_HOW}")
    return data
