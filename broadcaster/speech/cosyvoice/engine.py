"""CosyVoice 2 or 3 (or 1) inside the daemon, through the official source. Runs in the process `voice-local`.

Never run here with real weights: what is known of the package was read from its source (commit ace7c47, March 2026),
and is checked against a stand-in with the same modules, signatures and habits (`tests/fakes/cosyvoice_package`).
"""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np

from broadcaster.config.voices import CosyVoiceLocal
from broadcaster.errors import AssetError, VoiceError
from broadcaster.speech.cosyvoice import package as cosyvoice_package
from broadcaster.speech.cosyvoice.jobs import Jobs
from broadcaster.types import RawSound, VoiceReference

log = logging.getLogger(__name__)

SPEAKER: Final = "broadcaster"
"""Name under which the reference is kept in the model, so that it is worked through once and not for every piece."""

END_OF_PROMPT: Final = "<|endofprompt|>"
SYSTEM: Final = "You are a helpful assistant."
"""Generation 3 was trained with it before everything, and raises without the mark behind it."""

RATES: Final = range(8000, 48_001)
WARM_UP: Final = "大家好，欢迎来到直播间。"

_CANCEL_POLL_S: Final = 0.05


class CosyVoiceSynthesiser:
    """Port `StreamingSynthesiser`: RawSound at the model's rate. Two calls never run at once.

    Pitch is not its business. At speed 1 the sound streams; at any other it comes in one chunk, because the model
    changes its speed only for a whole piece.
    """

    name = "cosyvoice"

    def __init__(self, link: CosyVoiceLocal, reference: VoiceReference | None, threads: int) -> None:
        self.voices: tuple[str, ...] = ()
        self._link = link
        self._reference = reference
        self._threads = threads
        self._generation = cosyvoice_package.generation(link.model_dir) or 0
        self._rate = 0
        self._model: Any = None
        self._jobs: Jobs | None = None

    def load(self) -> None:
        make = cosyvoice_package.auto_model(self._link)
        _bound_threads(self._threads)
        try:
            self._model = make(model_dir=str(self._link.model_dir), fp16=self._link.fp16)
            self._jobs = Jobs(self._model)
        except Exception as err:
            raise AssetError(f"{self._link.model_dir} cannot be loaded: {type(err).__name__}: {err}") from err
        rate = getattr(self._model, "sample_rate", None)
        if not isinstance(rate, int) or rate not in RATES:
            raise AssetError(f"the model in {self._link.model_dir} says that it makes {rate!r} samples per second")
        self._rate = rate
        self._choose_speaker()
        for _ in self.stream(WARM_UP, "zh", "", 1.0, lambda: False):
            pass

    def stream(
        self, text: str, language: str, voice: str, speed: float, cancelled: Callable[[], bool], pitch: float = 0.0
    ) -> Iterator[RawSound]:
        if cancelled():
            raise VoiceError("cancelled", retryable=False)
        jobs = self._jobs
        if jobs is None:
            raise VoiceError("the model is not loaded")
        jobs.begin()
        heard = False
        sounds = self._inference(text, language, voice, speed)
        with _watching(cancelled, jobs.abandon):
            try:
                for sound in sounds:
                    if cancelled() or jobs.fault is not None:
                        break
                    data = _samples(sound)
                    heard = heard or len(data) > 0
                    if data:
                        yield RawSound(data, self._rate)
            except VoiceError:
                raise
            except Exception as err:
                if not cancelled():
                    raise self._failure(jobs.fault or err, text) from err
            finally:
                sounds.close()
                jobs.abandon()
        if cancelled():
            raise VoiceError("cancelled", retryable=False)
        if jobs.fault is not None:
            raise self._failure(jobs.fault, text)
        if not heard:
            raise VoiceError("CosyVoice made no sound")

    def _failure(self, err: BaseException, text: str) -> VoiceError:
        words = f"{type(err).__name__}: {err}"
        return VoiceError(f"CosyVoice failed: {type(err).__name__ if text in words else words}")

    # -- how the model is asked -----------------------------------------------------------------------------------

    def _choose_speaker(self) -> None:
        if self._link.mode == "sft":
            self.voices = tuple(self._model.list_available_spks())
            if self._link.voice not in self.voices:
                raise AssetError(
                    f"{self._link.model_dir} has no speaker {self._link.voice!r}; it has "
                    f"{', '.join(self.voices) or 'none'} -> set voice to one of them, or mode: zero_shot"
                )
            return
        if self._reference is None:
            raise AssetError(f"mode {self._link.mode} needs the avatar's reference recording")
        if not hasattr(self._model, f"inference_{self._link.mode}"):
            raise AssetError(f"the model in {self._link.model_dir} has no mode {self._link.mode}")
        # A registered speaker brings its own prompt and the model ignores the one of the call: for instruct2 it has
        # to be the instruction.
        prompt = self._instruction() if self._link.mode == "instruct2" else self._systemic(self._reference.text)
        try:
            self._model.add_zero_shot_spk(prompt, str(self._reference.recording), SPEAKER)
        except Exception as err:
            raise AssetError(
                f"CosyVoice cannot use {self._reference.recording}: {type(err).__name__}: {err} -> it takes up to "
                "30 s of one speaker at 16 kHz or more"
            ) from err

    def _inference(self, text: str, language: str, voice: str, speed: float) -> Any:
        # text_frontend: texts come as they are to be read.
        how = {"stream": speed == 1.0, "speed": speed, "text_frontend": False}
        model, mode = self._model, self._link.mode
        if mode == "sft":
            speaker = voice if voice in self.voices else self._link.voice
            return model.inference_sft(self._systemic(text), speaker, **how)
        known = {"prompt_wav": "", "zero_shot_spk_id": SPEAKER, **how}
        if mode == "zero_shot":
            return model.inference_zero_shot(text, "", **known)
        if mode == "cross_lingual":
            tagged = f"<|{language}|>{text}" if self._generation == 1 else self._systemic(text)
            return model.inference_cross_lingual(tagged, **known)
        return model.inference_instruct2(text, "", **known)

    def _systemic(self, text: str) -> str:
        if self._generation < 3 or END_OF_PROMPT in text:
            return text
        return f"{SYSTEM}{END_OF_PROMPT}{text}"

    def _instruction(self) -> str:
        instruct = self._link.instruct
        if END_OF_PROMPT in instruct:
            return instruct
        return f"{SYSTEM} {instruct}{END_OF_PROMPT}" if self._generation == 3 else f"{instruct}{END_OF_PROMPT}"


def _samples(sound: dict[str, Any]) -> bytes:
    """s16le of one chunk, a float tensor of shape (1, n). The package's own server lets loud samples wrap around."""
    tensor = sound["tts_speech"]
    samples = np.asarray(tensor.numpy() if hasattr(tensor, "numpy") else tensor, dtype=np.float32).reshape(-1)
    if not np.isfinite(samples).all():
        raise VoiceError("CosyVoice made samples that are not numbers")
    data: bytes = np.rint(np.clip(samples, -1.0, 1.0) * 32767.0).astype("<i2").tobytes()
    return data


def _bound_threads(count: int) -> None:
    torch = sys.modules.get("torch")
    if torch is None:
        return
    torch.set_num_threads(count)
    with contextlib.suppress(RuntimeError):  # only once, and only before the first work between operators
        torch.set_num_interop_threads(1)


@contextlib.contextmanager
def _watching(cancelled: Callable[[], bool], abandon: Callable[[], None]) -> Iterator[None]:
    """Calls `abandon` soon after `cancelled` has become true: the model may be far from its next chunk."""
    finished = threading.Event()

    def watch() -> None:
        while not finished.wait(_CANCEL_POLL_S):
            if cancelled():
                abandon()
                return

    watcher = threading.Thread(target=watch, name="voice-cancel", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        finished.set()
        watcher.join()
