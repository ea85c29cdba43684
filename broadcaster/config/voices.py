"""The links of the voice chain: one model per engine, told apart by `engine`. No I/O.

The embedded voice (`voice.engine`) is always the last link and is not listed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, SecretStr, model_validator

from broadcaster.config.base import NAME_PATTERN, ConfigPath, FromDigits, HttpUrl, SecretWebsocketUrl, Section

Language = Literal["zh", "en"]


class LinkBase(Section):
    name: Annotated[str, Field(pattern=NAME_PATTERN)] | None = None
    """Unique name in the chain; commands, metrics and the as-run log use it. Empty: the engine's name."""
    enabled: bool = True
    """false keeps the link in the configuration without using it."""
    languages: Annotated[list[Language], Field(min_length=1)] = ["zh", "en"]
    """What this voice can speak; text in another language goes to the next link that can."""
    speed: Annotated[float, Field(ge=0.5, le=2.0)] = 1.0
    """Speed of speech; 1.0 is the voice's own. Multiplied with the speed of a message."""
    pitch: Annotated[float, Field(ge=-6.0, le=6.0)] = 0.0
    """Semitones up or down; added to the pitch of a message."""
    connect_timeout_s: Annotated[float, Field(gt=0, le=30)] = 3.0
    """Seconds to wait for the connection."""
    first_sound_timeout_s: Annotated[float, Field(gt=0, le=60)] = 4.0
    """Seconds from the request to the first sound; then the next link takes over."""
    gap_timeout_s: Annotated[float, Field(gt=0, le=60)] = 3.0
    """Seconds without more sound in the middle of a piece; then the next link takes over."""

    @property
    def label(self) -> str:
        """The name it goes by."""
        engine: str = getattr(self, "engine", "voice")
        return self.name or engine


class DashScopeVoice(LinkBase):
    """CosyVoice in Alibaba Cloud's Model Studio (DashScope), over its websocket."""

    engine: Literal["dashscope"] = "dashscope"
    """CosyVoice in the cloud (DashScope)."""
    api_key: SecretStr
    """API key; use a ${...} reference."""
    model: str = "cosyvoice-v3-flash"
    """cosyvoice-v2, cosyvoice-v3-flash or cosyvoice-v3-plus."""
    voice: Annotated[str, Field(min_length=1)]
    """Name of a system voice of that model, or of a voice you cloned there."""
    word_times: bool = False
    """Ask for the times of words: cloned voices have them, and system voices that are marked so."""
    ssml: bool = False
    """Send the readings of your lexicon as SSML. Only for voices that take it."""
    url: SecretWebsocketUrl | None = None
    """wss:// address of another region, workspace or gateway. Empty: the mainland's."""


class QwenVoice(LinkBase):
    """Qwen TTS realtime (DashScope), over its websocket."""

    engine: Literal["qwen_tts"] = "qwen_tts"
    """Qwen TTS realtime in the cloud (DashScope)."""
    api_key: SecretStr
    """API key; use a ${...} reference."""
    model: str = "qwen3-tts-flash-realtime"
    """Name of the realtime model."""
    voice: Annotated[str, Field(min_length=1)] = "Cherry"
    """Name of the voice."""
    mode: Literal["commit", "server_commit"] = "commit"
    """commit: a piece is spoken as it is sent; server_commit: the server cuts it once more."""
    url: SecretWebsocketUrl | None = None
    """wss:// address of another region, workspace or gateway. Empty: the mainland's."""


class CosyVoiceServer(LinkBase):
    """A CosyVoice 1, 2 or 3 FastAPI server of your own."""

    engine: Literal["cosyvoice_server"] = "cosyvoice_server"
    """CosyVoice's own FastAPI server."""
    url: HttpUrl
    """Address of the server, such as http://127.0.0.1:50000."""
    mode: Literal["sft", "zero_shot", "cross_lingual", "instruct", "instruct2"] = "zero_shot"
    """How it is asked; zero_shot, cross_lingual and instruct2 speak with the avatar's reference recording."""
    voice: str = ""
    """Speaker of the modes sft and instruct."""
    instruct: str = ""
    """How to speak, for the modes instruct and instruct2."""
    version: Annotated[Literal[1, 2, 3], FromDigits] = 2
    """Which CosyVoice runs there; the server does not tell, and version 3 wants its prompts in another form."""
    sample_rate: Annotated[int, Field(ge=8000, le=48_000)] | None = None
    """Samples per second that the model makes; the server does not tell. Empty: 22050 for version 1, else 24000."""

    @model_validator(mode="after")
    def _complete(self) -> CosyVoiceServer:
        if self.mode in ("sft", "instruct") and not self.voice:
            raise ValueError(f"mode {self.mode} has no speaker -> set voice to one of the model's speakers")
        if self.mode in ("instruct", "instruct2") and not self.instruct:
            raise ValueError(f"mode {self.mode} has no instruction -> set instruct, such as 用四川话说这句话")
        if self.mode == "instruct" and self.version != 1:
            raise ValueError("mode instruct is CosyVoice 1's alone -> use instruct2")
        if self.mode == "instruct2" and self.version == 1:
            raise ValueError("CosyVoice 1 has no mode instruct2 -> use instruct")
        return self

    @property
    def rate(self) -> int:
        """Samples per second of what the server sends."""
        return self.sample_rate or (22_050 if self.version == 1 else 24_000)


class CosyVoiceLocal(LinkBase):
    """CosyVoice 2 or 3 inside the daemon, in a process of its own; needs the official package and its weights."""

    engine: Literal["cosyvoice"] = "cosyvoice"
    """CosyVoice inside the daemon."""
    model_dir: ConfigPath
    """Folder of the model."""
    package_dir: ConfigPath | None = None
    """Folder of the official source, when it is not on Python's path."""
    mode: Literal["sft", "zero_shot", "cross_lingual", "instruct2"] = "zero_shot"
    """How it is asked; all but sft speak with the avatar's reference recording."""
    voice: str = ""
    """Speaker of the mode sft."""
    instruct: str = ""
    """How to speak, for the mode instruct2."""
    fp16: bool = False
    """Half precision; for a GPU."""


class GptSoVitsVoice(LinkBase):
    """A GPT-SoVITS server (`api_v2.py`)."""

    engine: Literal["gpt_sovits"] = "gpt_sovits"
    """GPT-SoVITS's api_v2 server."""
    url: HttpUrl
    """Address of the server, such as http://127.0.0.1:9880."""
    reference_on_server: str = ""
    """Path of a reference recording (3 to 10 s) as the server sees it. Empty: the avatar's, where it lies here."""
    reference_text: str = ""
    """What is said in that recording. Empty: the text of the avatar's reference."""
    reference_language: Language = "zh"
    """Language of that recording."""
    streaming_mode: Annotated[int, Field(ge=0, le=3)] = 1
    """0: whole pieces, 1: by fragment (best sound), 2 and 3: sooner and rougher."""
    split_method: str = "cut0"
    """How the server splits text; pieces come split already, so cut0 (not at all)."""


class OpenAISpeechVoice(LinkBase):
    """Any server with OpenAI's /audio/speech."""

    engine: Literal["openai_speech"] = "openai_speech"
    """Any OpenAI-compatible /audio/speech."""
    base_url: HttpUrl | None = None
    """Address ending in /v1. Empty: OpenAI's own."""
    api_key: SecretStr | None = None
    """Key of that server; use a ${...} reference. Local servers need none."""
    model: Annotated[str, Field(min_length=1)] = "gpt-4o-mini-tts"
    """Name of the model."""
    voice: Annotated[str, Field(min_length=1)] = "alloy"
    """Name of the voice."""
    response_format: Literal["pcm", "wav", "mp3", "opus", "flac"] = "pcm"
    """What is asked for; pcm starts soonest and is 24 kHz mono, wav tells its rate, flac comes whole."""


class EdgeVoice(LinkBase):
    """The voices of Microsoft Edge: an unofficial consumer service without any promise."""

    engine: Literal["edge"] = "edge"
    """Microsoft Edge's read-aloud voices (unofficial)."""
    voice: Annotated[str, Field(pattern=r"^[a-z]{2,}-[A-Z]{2,}-.+Neural$")] = "zh-CN-XiaoxiaoNeural"
    """Name of the voice."""


class ChatTTSVoice(LinkBase):
    """ChatTTS as an HTTP process of its own (its licence keeps it out of this one)."""

    engine: Literal["chattts"] = "chattts"
    """ChatTTS behind HTTP, as a process of its own."""
    url: HttpUrl
    """Address that takes the text, such as http://127.0.0.1:8000/generate_voice."""
    seed: Annotated[int, Field(ge=0)] = 2
    """Which speaker: ChatTTS draws one from this number (0: another one each time)."""


VoiceLink = Annotated[
    DashScopeVoice
    | QwenVoice
    | CosyVoiceServer
    | CosyVoiceLocal
    | GptSoVitsVoice
    | OpenAISpeechVoice
    | EdgeVoice
    | ChatTTSVoice,
    Field(discriminator="engine"),
]


def local_voice(chain: Sequence[LinkBase]) -> CosyVoiceLocal | None:
    """The link whose model runs inside the daemon, or None; it is what the process `voice-local` is started for."""
    return next((link for link in chain if isinstance(link, CosyVoiceLocal) and link.enabled), None)
