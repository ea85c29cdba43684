"""Recorded questions: sound files that belong to prompts, from their upload to the end of their prompt. Event loop.

They lie in the state folder, as 24 kHz mono WAV whatever was sent, and only as long as their prompt is not over.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import re
import secrets
import time
import wave
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from broadcaster.errors import AssetError, Refused
from broadcaster.soundfile import decoded
from broadcaster.station import MAX_RECORDING_BYTES
from broadcaster.types import Inbound

log = logging.getLogger(__name__)

LONGEST_S: Final = 60.0
RATE: Final = 24_000

UNASKED: Final = 20
"""Recordings that wait for their question; more are refused, so that nobody fills the disk."""

UNASKED_S: Final = 600.0
"""A recording that is not asked within this is deleted."""

_NAME: Final = re.compile(r"[0-9a-f]{24}")


class Attachments:
    """`folder` is made at the first upload."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._clock = clock
        self._waiting: dict[str, float] = {}
        self._of_prompt: dict[str, Path] = {}

    def open(self, unfinished: Iterable[Inbound]) -> None:
        """Deletes what belongs to no prompt any more. Blocking, once at the start."""
        for prompt in unfinished:
            self.begun(prompt)
        used = set(self._of_prompt.values())
        with contextlib.suppress(OSError):
            for path in self._folder.glob("*.wav"):
                if path not in used:
                    path.unlink(missing_ok=True)

    async def keep(self, data: bytes) -> str:
        """Checks a sound file by decoding it, and keeps it. Its name. Refused: too_large, full, refused."""
        if len(data) > MAX_RECORDING_BYTES:
            raise Refused(
                f"the recording has {len(data)} bytes; at most {MAX_RECORDING_BYTES} are taken", "too_large"
            )
        self._forget_old()
        if len(self._waiting) >= UNASKED:
            raise Refused("too many recordings wait for their question; try again later", "full")
        name = secrets.token_hex(12)
        self._waiting[name] = self._clock()
        try:
            await asyncio.to_thread(_store, data, self._folder / f"{name}.wav")
        except AssetError as err:
            self._waiting.pop(name, None)
            raise Refused(f"the recording was not taken: {err}") from err
        except OSError as err:
            self._waiting.pop(name, None)
            raise Refused(f"the recording could not be stored ({err.strerror})", "journal") from err
        return name

    def path(self, name: str) -> Path:
        """Of a recording that waits. Refused: there is none (any more)."""
        self._forget_old()
        if _NAME.fullmatch(name) is None or name not in self._waiting:
            raise Refused("there is no such recording, or it was asked already -> send it again")
        return self._folder / f"{name}.wav"

    def begun(self, prompt: Inbound) -> None:
        """From now on the recording is the prompt's."""
        if prompt.recording is not None:
            self._of_prompt[prompt.id] = prompt.recording
            self._waiting.pop(prompt.recording.stem, None)

    def ended(self, prompt: str) -> None:
        """The prompt is over, and with it its recording."""
        path = self._of_prompt.pop(prompt, None)
        if path is not None:
            _delete(path)

    def _forget_old(self) -> None:
        until = self._clock() - UNASKED_S
        for name in [name for name, since in self._waiting.items() if since < until]:
            del self._waiting[name]
            _delete(self._folder / f"{name}.wav")


def _store(data: bytes, path: Path) -> None:
    pcm = decoded(io.BytesIO(data), RATE, LONGEST_S)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    with path.open("wb") as file, wave.open(file, "wb") as out:
        path.chmod(0o600)
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(pcm)


def _delete(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as err:
        log.warning("a recording could not be deleted", extra={"reason": err.strerror})
