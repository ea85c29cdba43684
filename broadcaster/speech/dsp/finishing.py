"""One piece from an engine's bytes to speech fit for air: a chain of streaming stages. Pure; called from any thread.

bytes -> whole samples -> mono -> clicks out -> DC out -> 48 kHz -> trimmed -> tempo -> level -> true peak -> int16

The bytes are cut into stretches of 20 ms first and every stage sees those, so that neither sound nor level depends on
how the network cut them.
"""

from __future__ import annotations

from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from broadcaster.errors import VoiceError
from broadcaster.speech.dsp.levelling import Level, Leveller
from broadcaster.speech.dsp.loudness import Limiter
from broadcaster.speech.dsp.plausible import Plausibility
from broadcaster.speech.dsp.repair import DcBlocker, Repairer, fade_in, fade_out
from broadcaster.speech.dsp.resample import HIGHEST_RATE, LOWEST_RATE, Resampler, mono, rounded
from broadcaster.speech.dsp.tempo import Tempo
from broadcaster.speech.dsp.trim import Trimmer
from broadcaster.types import SAMPLE_RATE, PcmArray

FADE: Final = SAMPLE_RATE * 5 // 1000
"""Samples over which a piece comes and goes: it joins silence or another piece without a click."""

HELD_BACK: Final = SAMPLE_RATE * 20 // 1000
"""Samples at the end of what is known that are never let go before more comes: if nothing does, they fade."""

_BLOCKS_A_SECOND: Final = 50
_MOST_CHANNELS: Final = 2

_FULL_SCALE: Final = 32_768.0

Samples = NDArray[np.float64]


class Finisher:
    """One piece. `push` as the bytes come, then `finish` once, or `abandon` when the rest will not come.

    All three return int16 at 48 kHz (which may be empty) and raise VoiceError when the sound is not what that text
    can sound like, or its form cannot be used.
    """

    def __init__(
        self, text: str, *, target_lufs: float, known: Level | None, tempo: Tempo | None = None, speed: float = 1.0
    ) -> None:
        """`known`: how loud this voice is. `speed`: how much faster than usual the engine itself speaks."""
        self._check = Plausibility(text, speed)
        self._form: tuple[int, int] | None = None
        self._bytes = b""
        self._trimmer = Trimmer(10 ** (min(known.lufs - target_lufs, 0.0) / 20) if known else 1.0)
        self._tempo = tempo or Tempo()
        self._leveller = Leveller(target_lufs, known)
        self._limiter = Limiter()
        self._line: Samples = np.zeros(0)
        """Finished and not let go."""
        self._spoken = 0
        """Samples of speech before the tempo is changed."""
        self._begun = False
        self._repairer: Repairer
        self._dc: DcBlocker
        self._resampler: Resampler

    @property
    def heard(self) -> bool:
        """Something audible has come."""
        return self._trimmer.heard

    @property
    def level(self) -> tuple[Level, float]:
        """What this piece says of its voice's level, and the seconds it was measured over."""
        return Level(self._leveller.lufs, self._limiter.loss_db), self._leveller.seconds

    def moved(self, seconds: float) -> float:
        """Where a moment of the engine's sound is in the finished one; both in seconds from their first sample."""
        return max(0.0, seconds - self._trimmer.dropped / SAMPLE_RATE) / self._tempo.speed

    def push(self, data: bytes, rate: int, channels: int) -> PcmArray:
        """The next bytes (s16le, interleaved) of any length."""
        self._keep_form(rate, channels)
        self._bytes += data
        size = max(1, rate // _BLOCKS_A_SECOND) * 2 * channels
        count = len(self._bytes) // size
        blocks, self._bytes = self._bytes[: count * size], self._bytes[count * size :]
        made = [self._block(blocks[start : start + size]) for start in range(0, len(blocks), size)]
        self._line = np.concatenate([self._line, *made])
        ready = len(self._line) - HELD_BACK
        if ready < FADE:
            return _int16(np.zeros(0))
        out, self._line = self._line[:ready], self._line[ready:]
        return _int16(self._opened(out))

    def finish(self) -> PcmArray:
        """The rest, faded out."""
        if self._form is not None:
            frame = 2 * self._form[1]
            rest = self._block(self._bytes[: len(self._bytes) // frame * frame])
            mended = self._without_dc(self._repairer.finish())
            raw = np.concatenate([self._resampler.push(mended), self._resampler.finish()])
            self._line = np.concatenate([self._line, rest, self._through(raw, last=True)])
        self._complain(self._check.whole(self._spoken / SAMPLE_RATE))
        line = self._opened(self._line)
        fade = min(FADE, len(line))
        return _int16(np.concatenate([line[: len(line) - fade], fade_out(line[len(line) - fade :])]))

    def abandon(self) -> PcmArray:
        """What was held back, faded out; nothing when nothing was let go."""
        return _int16(fade_out(self._line[:HELD_BACK] if self._begun else np.zeros(0)))

    def _keep_form(self, rate: int, channels: int) -> None:
        if self._form == (rate, channels):
            return
        if self._form is not None:
            raise VoiceError(
                f"the sound changed in the middle of a piece, from {self._form[0]} Hz and {self._form[1]} channels "
                f"to {rate} Hz and {channels}"
            )
        if not LOWEST_RATE <= rate <= HIGHEST_RATE or not 1 <= channels <= _MOST_CHANNELS:
            raise VoiceError(
                f"the sound has {rate} Hz and {channels} channels "
                f"-> set the engine to {LOWEST_RATE} to {HIGHEST_RATE} Hz, mono or stereo",
                retryable=False,
            )
        self._form = rate, channels
        self._repairer = Repairer(rate)
        self._dc = DcBlocker(rate)
        self._resampler = Resampler(rate)

    def _block(self, data: bytes) -> Samples:
        """20 ms of whole frames, or the rest of the piece, through all stages."""
        assert self._form is not None
        rate, channels = self._form
        pcm = np.frombuffer(data, dtype="<i2").astype(np.int16, copy=False)
        self._complain(self._check.raw(pcm[::channels], rate))
        mended = self._without_dc(self._repairer.push(mono(pcm, channels)))
        return self._through(self._resampler.push(mended))

    def _without_dc(self, samples: Samples) -> Samples:
        """Whole numbers again, which the resampler sums exactly."""
        whole: Samples = np.rint(self._dc.push(samples))
        return whole

    def _through(self, raw: Samples, *, last: bool = False) -> Samples:
        """48 kHz in int16 units -> trimmed, at its tempo and level, of full scale 1.0."""
        line = raw / _FULL_SCALE
        stages: tuple[_Stage, ...] = (self._trimmer, self._tempo, self._leveller, self._limiter)
        for stage in stages:
            line = stage.push(line)
            if last:
                line = np.concatenate([line, stage.finish()])
            if stage is self._trimmer:
                self._spoken += len(line)
                self._complain(self._check.so_far(self._spoken / SAMPLE_RATE))
        return line

    def _opened(self, line: Samples) -> Samples:
        """`line` with the piece's beginning faded in."""
        if self._begun or len(line) == 0:
            return line
        self._begun = True
        return np.concatenate([fade_in(line[:FADE]), line[FADE:]])

    @staticmethod
    def _complain(fault: str | None) -> None:
        if fault is not None:
            raise VoiceError(fault)


class _Stage(Protocol):
    def push(self, samples: Samples) -> Samples: ...

    def finish(self) -> Samples: ...


def _int16(samples: Samples) -> PcmArray:
    return rounded(samples * _FULL_SCALE)
