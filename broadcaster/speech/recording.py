"""A recording of a voice: read from any sound file, and judged as a reference for zero-shot engines. Blocking.

The bounds are the engines': CosyVoice takes up to 30 s at 16 kHz or more, GPT-SoVITS 3 to 10 s; all of them copy what
is wrong with the sound (clipping, hiss, another room) together with the voice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from broadcaster.errors import AssetError
from broadcaster.speech.units import spoken_units
from broadcaster.types import PcmArray

if TYPE_CHECKING:
    import av

SHORTEST_S: Final = 3.0
LONGEST_S: Final = 30.0
LONGEST_SOVITS_S: Final = 10.0
LOWEST_RATE: Final = 16_000
HIGHEST_RATE: Final = 48_000

QUIETEST_DBFS: Final = -45.0
"""Of the loudest 50 ms: below that it is silence or a muted microphone."""

CLIPPED_SHARE: Final = 0.001
"""Of all samples that stand at full scale beside another that does: more is heard as a crackle."""

SLOWEST_UNITS_S: Final = 1.0
FASTEST_UNITS_S: Final = 12.0
"""Characters' worth of text per second of sound (see `units`): outside, text and recording do not belong together."""

_FULL: Final = 32_600
_FRAME_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class Recording:
    """Mono int16 `pcm`, shape (samples,), at `rate` per second."""

    pcm: PcmArray = field(repr=False)
    rate: int

    @property
    def seconds(self) -> float:
        return len(self.pcm) / self.rate


def decoded(path: Path) -> Recording:
    """The first sound track of a file, mixed to mono, at its own rate (16 to 48 kHz). Raises AssetError.

    Reading stops a little behind LONGEST_S: a film is refused for its length without being decoded.
    """
    import av
    import av.error

    try:
        with av.open(str(path), metadata_errors="ignore") as container:
            stream = next(iter(container.streams.audio), None)
            if stream is None:
                raise AssetError(f"{path}: there is no sound in it -> name a WAV, FLAC or MP3 file")
            own = int(stream.rate or 0)
            if own < LOWEST_RATE:
                raise AssetError(
                    f"{path}: {own} samples per second; the engines need {LOWEST_RATE} or more -> "
                    "record it again, or take the original of this file"
                )
            rate = min(own, HIGHEST_RATE)
            resampler = av.AudioResampler(format="s16", layout="mono", rate=rate)
            parts: list[PcmArray] = []
            limit = int((LONGEST_S + 1.0) * rate)
            for frame in container.decode(stream):
                parts += [_samples(mono) for mono in resampler.resample(frame)]
                if sum(map(len, parts)) > limit:
                    break
            else:
                parts += [_samples(mono) for mono in resampler.resample(None)]
    except av.error.FileNotFoundError as err:
        raise AssetError(f"{path}: there is no such file -> check the path") from err
    except (av.error.FFmpegError, OSError) as err:
        why = err.strerror or "damaged"
        raise AssetError(f"{path}: cannot be read as sound ({why}) -> name a WAV, FLAC or MP3 file") from err
    pcm = np.concatenate(parts) if parts else np.zeros(0, dtype=np.int16)
    return Recording(pcm, rate)


def _samples(frame: av.AudioFrame) -> PcmArray:
    samples: PcmArray = frame.to_ndarray().reshape(-1).astype(np.int16)
    return samples


def fault_of(sound: Recording, text: str) -> str | None:
    """Why it cannot be a reference ("what is wrong -> what to do"), or None."""
    return next(_faults(sound, text), None)


def _faults(sound: Recording, text: str) -> Iterator[str]:
    if sound.rate < LOWEST_RATE:
        yield f"{sound.rate} samples per second; the engines need {LOWEST_RATE} or more -> record it again"
    if sound.seconds < SHORTEST_S:
        yield f"it lasts {sound.seconds:.1f} s; {SHORTEST_S:.0f} to {LONGEST_S:.0f} s are needed -> record more"
    if sound.seconds > LONGEST_S:
        yield f"it lasts more than {LONGEST_S:.0f} s -> cut out {SHORTEST_S:.0f} to {LONGEST_SOVITS_S:.0f} s of it"
    level = loudest_dbfs(sound)
    if level < QUIETEST_DBFS:
        yield f"it is (nearly) silent, {level:.0f} dBFS at its loudest -> record it again, nearer to the microphone"
    share = clipped_share(sound)
    if share > CLIPPED_SHARE:
        yield f"it is clipped ({100 * share:.1f} % of it) -> record it again with less gain"
    units = spoken_units(text)
    if units == 0:
        yield "there is no text to it -> give exactly what is said in it"
    pace = units / max(heard_seconds(sound), 0.1)
    if not SLOWEST_UNITS_S <= pace <= FASTEST_UNITS_S:
        much = "little" if pace < SLOWEST_UNITS_S else "much"
        yield (
            f"the text is too {much} for it ({units:.0f} characters in {heard_seconds(sound):.1f} s of speech) -> "
            "give exactly what is said in it"
        )


def warnings_of(sound: Recording) -> Iterator[str]:
    """What is doubtful about a recording that can be used."""
    if sound.seconds > LONGEST_SOVITS_S:
        yield f"it lasts {sound.seconds:.1f} s; GPT-SoVITS takes only {SHORTEST_S:.0f} to {LONGEST_SOVITS_S:.0f} s"
    quiet = loudest_dbfs(sound)
    if quiet < QUIETEST_DBFS + 15:
        yield f"it is quiet ({quiet:.0f} dBFS at its loudest): the engines may imitate its noise"


def loudest_dbfs(sound: Recording) -> float:
    """RMS of its loudest 50 ms."""
    power = _frame_power(sound)
    return 10 * float(np.log10(max(float(power.max(initial=0.0)), 1e-12)))


def clipped_share(sound: Recording) -> float:
    """Share of samples at full scale that have a neighbour there too."""
    full = np.abs(sound.pcm.astype(np.int32)) >= _FULL
    if len(full) < 2:
        return 0.0
    beside = np.zeros(len(full), dtype=bool)
    beside[1:] |= full[:-1]
    beside[:-1] |= full[1:]
    return float(np.count_nonzero(full & beside)) / len(full)


def heard_seconds(sound: Recording) -> float:
    """From its first to its last 50 ms within 35 dB of the loudest."""
    power = _frame_power(sound)
    heard = np.flatnonzero(power > power.max(initial=0.0) * 10**-3.5)
    return 0.0 if len(heard) == 0 else float(heard[-1] - heard[0] + 1) * _FRAME_S


def pcm_of(sound: Recording) -> bytes:
    """s16le mono."""
    return sound.pcm.astype("<i2").tobytes()


def _frame_power(sound: Recording) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Mean square of each 50 ms, of full scale."""
    size = max(1, int(sound.rate * _FRAME_S))
    count = len(sound.pcm) // size
    frames = sound.pcm[: count * size].astype(np.float64).reshape(count, size) / 32768.0
    power: np.ndarray[tuple[int], np.dtype[np.float64]] = np.mean(frames**2, axis=1) if count else np.zeros(0)
    return power
