"""Sound that is asked for again: in memory what was made lately, on disk what recurs. Director's event loop.

What goes to disk: a text asked for twice, and short texts at once. Greetings, thanks and the first words of an answer
are short; they come again, and they are what the audience waits for. All else (an answer is said once) stays in
memory for a while: what an interruption threw away is not paid for again.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import tempfile
import zlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, suppress
from dataclasses import astuple
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from broadcaster import wire
from broadcaster.errors import VoiceError
from broadcaster.ports import Voice
from broadcaster.speech import normalise
from broadcaster.speech.dsp.sound import Tape
from broadcaster.speech.units import spoken_units
from broadcaster.types import Piece, Speech

log = logging.getLogger(__name__)

T = TypeVar("T")

FORMAT: Final = b"BCS1"
"""Begins every file: another form of entry gets another number, and older ones are misses."""

SHORT_UNITS: Final = 12.0
"""Characters' worth of text (2 s of sound, 200 kB) that is kept on disk the first time."""

MEMORY_BYTES: Final = 16 * 1024 * 1024
"""Three minutes of sound: more than is ever made ahead of air. The least used goes first."""

SEEN: Final = 4096
"""Texts whose first asking is remembered; an hour of talk. The oldest is forgotten."""

_SUFFIX: Final = ".snd"


class _Entry(msgspec.Struct, frozen=True, array_like=True):
    pcm: bytes
    phones: list[tuple[str, str, int, int]]


class SoundStore:
    """Entries in a folder, at most `limit` bytes; the one not used for longest goes. Blocking; one thread at a time.

    An entry is a file that appears under its name when it is whole; one that does not match its checksum is a miss
    and is removed. When it was used last is its modification time, which outlives a restart. Raises OSError.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self._folder = folder
        self._limit = limit
        self._sizes: OrderedDict[str, int] | None = None
        self.bytes = 0
        self.damaged = 0
        self.evicted = 0

    def get(self, key: str) -> Speech | None:
        sizes = self._opened()
        if key not in sizes:
            return None
        path = self._path(key)
        try:
            speech = _decoded(path.read_bytes())
        except OSError:
            speech = None
        if speech is None:
            self.damaged += 1
            self._remove(key)
            return None
        sizes.move_to_end(key)
        with suppress(OSError):
            os.utime(path)
        return speech

    def put(self, key: str, speech: Speech) -> None:
        sizes = self._opened()
        data = _encoded(speech)
        if key in sizes or len(data) > self._limit:
            return
        handle, name = tempfile.mkstemp(dir=self._folder, suffix=".part")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            Path(name).replace(self._path(key))
        except OSError:
            Path(name).unlink(missing_ok=True)
            raise
        sizes[key] = len(data)
        self.bytes += len(data)
        self._shrink()

    def __len__(self) -> int:
        return len(self._opened())

    def _opened(self) -> OrderedDict[str, int]:
        if self._sizes is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            for path in self._folder.glob("*.part"):  # of a writer that was killed
                path.unlink(missing_ok=True)
            found = sorted((path.stat().st_mtime_ns, path) for path in self._folder.glob(f"*{_SUFFIX}"))
            self._sizes = OrderedDict((path.stem, path.stat().st_size) for _, path in found)
            self.bytes = sum(self._sizes.values())
            self._shrink()
        return self._sizes

    def _shrink(self) -> None:
        sizes = self._sizes or OrderedDict()
        while sizes and self.bytes > self._limit:
            self._remove(next(iter(sizes)))
            self.evicted += 1

    def _remove(self, key: str) -> None:
        if self._sizes is not None:
            self.bytes -= self._sizes.pop(key, 0)
        self._path(key).unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}{_SUFFIX}"


class SoundCache:
    """Memory and disk together, for all links of a chain. `folder` None or `limit_mb` 0: memory only.

    A disk that fails is left alone until it works again: told once, and nobody waits for it longer than one call.
    """

    def __init__(self, folder: Path | None, limit_mb: int, *, memory_bytes: int = MEMORY_BYTES) -> None:
        self._store = SoundStore(folder, limit_mb * 1024 * 1024) if folder is not None and limit_mb else None
        self._memory: OrderedDict[str, Speech] = OrderedDict()
        self._memory_limit = memory_bytes
        self._memory_bytes = 0
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._disk = asyncio.Lock()
        self._failing = False
        self.hits = 0
        self.misses = 0
        self.kept = 0
        """Entries written to disk."""

    @property
    def damaged(self) -> int:
        """Entries found damaged and removed."""
        return self._store.damaged if self._store else 0

    async def get(self, key: str) -> Speech | None:
        speech = self._memory.get(key)
        if speech is not None:
            self._memory.move_to_end(key)
            self.hits += 1
            await self._keep(key, speech)  # asked for twice
            return speech
        if self._store is not None:
            speech = await self._on_disk(self._store.get, key)
        if speech is not None:
            self._remember(key, speech)
            self.hits += 1
            return speech
        self.misses += 1
        return None

    async def put(self, key: str, speech: Speech, *, short: bool) -> None:
        """A piece that was made in full."""
        self._remember(key, speech)
        if short or key in self._seen:
            await self._keep(key, speech)
        self._seen[key] = None
        self._seen.move_to_end(key)
        if len(self._seen) > SEEN:
            self._seen.popitem(last=False)

    def _remember(self, key: str, speech: Speech) -> None:
        old = self._memory.pop(key, None)
        self._memory_bytes += speech.pcm.nbytes - (old.pcm.nbytes if old else 0)
        self._memory[key] = speech
        while self._memory_bytes > self._memory_limit:
            _, dropped = self._memory.popitem(last=False)
            self._memory_bytes -= dropped.pcm.nbytes

    async def _keep(self, key: str, speech: Speech) -> None:
        if self._store is None:
            return
        before = self._store.bytes
        await self._on_disk(self._store.put, key, speech)
        self.kept += self._store.bytes != before

    async def _on_disk(self, work: Callable[..., T], *arguments: Any) -> T | None:
        try:
            async with self._disk:
                result = await asyncio.to_thread(work, *arguments)
        except OSError as err:
            if not self._failing:
                log.warning("recurring sentences cannot be kept on disk", extra={"reason": err.strerror or str(err)})
            self._failing = True
            return None
        if self._failing:
            log.info("recurring sentences are kept on disk again")
        self._failing = False
        return result


class CachedVoice:
    """Port `Voice` over another: what is in the cache comes at once and whole, and is not asked for.

    `identity` tells apart what sounds different for the same text: engine, model, voice, loudness, the link's own
    speed and pitch, reference recording, lexicon (see `identity_of`). A piece that was not made in full is not kept.
    """

    def __init__(
        self,
        voice: Voice,
        cache: SoundCache,
        identity: str,
        *,
        reader: Callable[[str, str], str] = normalise.reading,
    ) -> None:
        self._voice = voice
        self._read = reader
        self._cache = cache
        self._identity = identity

    @property
    def name(self) -> str:
        return self._voice.name

    async def close(self) -> None:
        """Ends the connections of the voice behind it."""
        close = getattr(self._voice, "close", None)
        if close is not None:
            await close()

    async def speak(self, piece: Piece, generation: int) -> AsyncIterator[Speech]:
        reading = self._read(piece.text, piece.language)
        key = _key(self._identity, piece, reading)
        known = await self._cache.get(key)
        if known is not None:
            yield Speech(known.pcm, known.phones, kept=True)
            return
        tape = Tape()
        stream = self._voice.speak(piece, generation)
        async with aclosing(stream):  # type: ignore[type-var]
            async for chunk in stream:
                tape.append(chunk)
                yield chunk
        if tape.samples == 0:
            raise VoiceError(f"{self.name}: no sound")
        await self._cache.put(key, tape.cut(0, tape.samples), short=spoken_units(reading) <= SHORT_UNITS)


def identity_of(*parts: object) -> str:
    """One string of whatever changes the sound; order counts."""
    return json.dumps([str(part) for part in parts], ensure_ascii=False)


def _key(identity: str, piece: Piece, reading: str) -> str:
    whole = json.dumps([identity, astuple(piece.manner), piece.language, reading], ensure_ascii=False)
    return hashlib.sha256(whole.encode()).hexdigest()


def _encoded(speech: Speech) -> bytes:
    body = msgspec.msgpack.encode(_Entry(*wire.pack_speech(speech)))
    return FORMAT + zlib.crc32(body).to_bytes(4, "big") + body


def _decoded(data: bytes) -> Speech | None:
    body = data[8:]
    if data[:4] != FORMAT or zlib.crc32(body).to_bytes(4, "big") != data[4:8]:
        return None
    try:
        entry = msgspec.msgpack.decode(body, type=_Entry)
        return wire.unpack_speech(entry.pcm, entry.phones)
    except (msgspec.MsgspecError, ValueError):
        return None
