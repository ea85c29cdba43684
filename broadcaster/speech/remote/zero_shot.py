"""The recording whose speaker the zero-shot engines imitate, as they send it. Director's event loop."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from broadcaster.errors import VoiceError
from broadcaster.types import VoiceReference


@dataclass(frozen=True, slots=True)
class Speaker:
    recording: bytes = field(repr=False)
    text: str
    language: str


def missing() -> VoiceError:
    """What a zero-shot engine without a recording raises: nobody can speak until somebody adds one."""
    return VoiceError(
        "there is no recording of a speaker for this voice -> broadcaster voice add RECORDING --text ...", denied=True
    )


async def speaker_of(reference: VoiceReference | None) -> Speaker:
    """Reads the recording. Raises VoiceError when there is none, or it cannot be read."""
    if reference is None:
        raise missing()
    try:
        recording = await asyncio.to_thread(reference.recording.read_bytes)
    except OSError as err:
        raise VoiceError(
            f"the recording of the speaker cannot be read ({type(err).__name__}) -> broadcaster voice add",
            denied=True,
        ) from err
    return Speaker(recording, reference.text, reference.language)
