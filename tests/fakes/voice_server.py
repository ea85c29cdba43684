"""Fakes of the voice servers that are asked over HTTP: CosyVoice, GPT-SoVITS, OpenAI's /audio/speech, ChatTTS.

Written from the servers' own sources (CosyVoice ace7c47, GPT-SoVITS 48b1a01, ChatTTS's examples/api/main.py) and
OpenAI's reference. What is wrong with an answer is told by `fault` (see `http_wire.py`).
"""

from __future__ import annotations

import io
import json
import zipfile
from functools import cache
from typing import Any

from tests.fakes.http_wire import OPEN_SIZE, HttpVoice, Refusal, Request, wav

COSYVOICE_FIELDS = {
    "sft": ({"tts_text", "spk_id"}, False),
    "zero_shot": ({"tts_text", "prompt_text"}, True),
    "cross_lingual": ({"tts_text"}, True),
    "instruct": ({"tts_text", "spk_id", "instruct_text"}, False),
    "instruct2": ({"tts_text", "instruct_text"}, True),
}
"""Mode -> (its form fields, whether `prompt_wav` is uploaded)."""

SOVITS_LANGUAGES = {"auto", "en", "zh", "ja", "yue", "ko", "all_zh", "all_ja", "all_yue", "all_ko"}


class CosyVoiceServer(HttpVoice):
    """runtime/python/fastapi/server.py: headerless s16le without a content type; what is missing is a 422."""

    def check(self, request: Request) -> Refusal | None:
        mode = request.path.removeprefix("/inference_")
        if mode not in COSYVOICE_FIELDS:
            return Refusal(404, b'{"detail":"Not Found"}')
        fields, recording = COSYVOICE_FIELDS[mode]
        if set(request.fields) != fields or ("prompt_wav" in request.files) is not recording:
            return Refusal(422, json.dumps({"detail": [{"type": "missing", "input": self.echo(request)}]}).encode())
        return None

    def payload(self, request: Request, pcm: bytes, rate: int, channels: int) -> tuple[bytes, str]:
        return pcm, ""


class GptSoVitsServer(HttpVoice):
    """api_v2.py. Every error is a 400; a streamed WAV has a data size of 0."""

    rate = 32_000
    knows = "/srv/voices/host.wav"
    """The one recording that lies on the server."""

    def check(self, request: Request) -> Refusal | None:
        asked = request.fields
        self.framing = "chunked" if asked.get("streaming_mode") else "length"
        for name in ("ref_audio_path", "text", "text_lang", "prompt_lang"):
            if not asked.get(name):
                return _no(f"{name} is required")
        for name in ("text_lang", "prompt_lang"):
            if asked[name] not in SOVITS_LANGUAGES:
                return _no(f"{name}: {asked[name]} is not supported in version v2")
        if asked.get("text_split_method", "cut5") not in {f"cut{n}" for n in range(6)}:
            return _no(f"text_split_method:{asked['text_split_method']} is not supported")
        if asked["ref_audio_path"] != self.knows:
            return _no("tts failed", f"{asked['ref_audio_path']} not exists")
        return None

    def payload(self, request: Request, pcm: bytes, rate: int, channels: int) -> tuple[bytes, str]:
        return wav(pcm, rate, channels, size=0 if request.fields["streaming_mode"] else None), "audio/wav"

    def refusal(self, request: Request, status: int) -> Refusal:
        return Refusal(status, json.dumps({"message": self.echo(request)}).encode())

    def inside(self, request: Request) -> Refusal:
        return _no("tts failed", f"CUDA out of memory {self.echo(request)}")


def _no(message: str, exception: str | None = None) -> Refusal:
    body = {"message": message} | ({"Exception": exception} if exception is not None else {})
    return Refusal(400, json.dumps(body, ensure_ascii=False).encode())


class OpenAISpeechServer(HttpVoice):
    """POST /v1/audio/speech. `always` is the one format of a server that does not care what it is asked for."""

    always: str | None = None
    announces = True
    """False: pcm comes as application/octet-stream, without its rate."""

    def check(self, request: Request) -> Refusal | None:
        if request.path != "/v1/audio/speech":
            return Refusal(404, b'{"error":{"message":"no such path"}}')
        if not {"model", "input", "voice"} <= set(request.fields):
            return Refusal(400, b'{"error":{"message":"model, input and voice are required"}}')
        return None

    def payload(self, request: Request, pcm: bytes, rate: int, channels: int) -> tuple[bytes, str]:
        form = self.always or request.fields["response_format"]
        if form == "pcm":
            told = f"audio/pcm;rate={rate};channels={channels}" if self.announces else "application/octet-stream"
            return pcm, told
        if form == "wav":
            return wav(pcm, rate, channels, size=OPEN_SIZE), "audio/wav"
        kind = {"mp3": "audio/mpeg", "opus": "audio/opus", "flac": "audio/flac"}[form]
        return encoded(form, pcm, rate, channels), kind

    def refusal(self, request: Request, status: int) -> Refusal:
        error = {"message": self.echo(request), "type": "trouble", "code": None}
        return Refusal(status, json.dumps({"error": error}).encode())

    def inside(self, request: Request) -> Refusal:
        return self.refusal(request, 503)


class ChatTTSServer(HttpVoice):
    """POST /generate_voice. `form` "zip" is ChatTTS's own example, "wav" a process that streams."""

    form = "zip"
    framing = "chunked"

    def check(self, request: Request) -> Refusal | None:
        needed = {"text", "audio_seed", "text_seed", "params_refine_text", "params_infer_code"}
        if request.path != "/generate_voice" or not needed <= set(request.fields):
            return Refusal(422, json.dumps({"detail": self.echo(request)}).encode())
        return None

    def payload(self, request: Request, pcm: bytes, rate: int, channels: int) -> tuple[bytes, str]:
        if self.form == "wav":
            return wav(pcm, rate, channels, size=OPEN_SIZE), "audio/wav"
        if not pcm:
            return zipped([]), "application/zip"
        half = len(pcm) // 2 // (2 * channels) * 2 * channels
        halves = (pcm[:half], pcm[half:])
        return zipped([encoded("mp3", part, rate, channels) for part in halves]), "application/zip"


def zipped(files: list[bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression=zipfile.ZIP_DEFLATED) as archive:
        for number, content in enumerate(files):
            archive.writestr(f"{number}.mp3", content)
    return buffer.getvalue()


@cache
def encoded(form: str, pcm: bytes, rate: int, channels: int = 1) -> bytes:
    """`pcm` as mp3 (48 kbit/s), opus (in Ogg) or flac, by FFmpeg's encoders."""
    import av
    import numpy as np

    if not pcm:
        return b""
    codec = {"mp3": "libmp3lame", "opus": "libopus", "flac": "flac"}[form]
    layout = "mono" if channels == 1 else "stereo"
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="ogg" if form == "opus" else form) as container:
        stream: Any = container.add_stream(codec, rate=48_000 if form == "opus" else rate)
        stream.layout = layout
        if form != "flac":
            stream.bit_rate = 48_000
        frame = av.AudioFrame.from_ndarray(np.frombuffer(pcm, "<i2").reshape(1, -1), format="s16", layout=layout)
        frame.sample_rate = rate
        size = stream.codec_context.frame_size or 1024
        resampler = av.AudioResampler(stream.format.name, layout, stream.rate, frame_size=size)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            part.pts = None
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    return buffer.getvalue()
