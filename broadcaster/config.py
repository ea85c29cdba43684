"""What `config.yaml` may say: pydantic models, `extra="forbid"`. No I/O beyond the loader at the end.

Every field here has a commented key in `config.yaml` (a test holds the two together).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Video(Section):
    width: Annotated[int, Field(ge=160, le=3840, multiple_of=2)] = 1280
    height: Annotated[int, Field(ge=160, le=3840, multiple_of=2)] = 720
    fps: Literal[24, 25, 30, 50, 60] = 25
    bitrate_kbps: Annotated[int, Field(ge=200, le=20_000)] = 2500
    encoder: Literal["auto", "x264", "nvenc"] = "auto"
    preset: Literal["ultrafast", "superfast", "veryfast", "faster", "fast", "medium"] = "veryfast"
    threads: Annotated[int, Field(ge=1, le=32)] = 2


class Audio(Section):
    bitrate_kbps: Annotated[int, Field(ge=48, le=320)] = 128


class Label(Section):
    text: str = "AI生成 · 数字人直播"
    corner: Literal["top-left", "top-right", "bottom-left", "bottom-right"] = "top-left"
    height_percent: Annotated[float, Field(ge=5.0, le=12.0)] = 5.0


class Aigc(Section):
    producer: str = ""
    produce_id: str = ""


class VoiceConfig(Section):
    engine: str = "kokoro"
    zh: str = "zf_xiaoxiao"
    en: str = "af_heart"
    speed: Annotated[float, Field(ge=0.5, le=2.0)] = 1.0
    threads: Annotated[int, Field(ge=1, le=16)] = 2
    model: Path | None = None
    loudness_lufs: Annotated[float, Field(ge=-24.0, le=-9.0)] = -16.0
    request_timeout_s: Annotated[float, Field(gt=0, le=120)] = 20.0


class HeadConfig(Section):
    engine: str = "warp"
    threads: Annotated[int, Field(ge=1, le=16)] = 1


class BrainConfig(Section):
    engine: Literal["responder", "openai"] = "responder"
    base_url: str | None = None
    api_key: SecretStr | None = None
    model: str = ""
    system_prompt: str = "你是一位直播间的数字人主播。用一到三句口语化的中文回答，不用列表、表情和网址。"
    first_token_timeout_s: Annotated[float, Field(gt=0, le=120)] = 8.0
    total_timeout_s: Annotated[float, Field(gt=0, le=600)] = 30.0
    host_name: str = "小播"
    knowledge: Path | None = None
    programme: Path | None = None


class Inbox(Section):
    capacity: Annotated[int, Field(ge=1, le=10_000)] = 200
    max_text: Annotated[int, Field(ge=10, le=20_000)] = 2000


class Tokens(Section):
    viewer: SecretStr | None = None
    moderator: SecretStr | None = None
    operator: SecretStr | None = None


class Console(Section):
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 8090
    tokens: Tokens = Tokens()
    allowed_hosts: list[str] = []
    allowed_origins: list[str] = []
    max_message_bytes: Annotated[int, Field(ge=256, le=1_048_576)] = 16_384
    messages_per_minute: Annotated[int, Field(ge=1, le=60_000)] = 120


class SinkBase(Section):
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]
    enabled: bool = True


class RtmpSink(SinkBase):
    type: Literal["rtmp"] = "rtmp"
    url: SecretStr = SecretStr("")
    """rtmp:// or rtmps://, with or without the key; empty means "not configured" and the sink stays off."""
    key: SecretStr | None = None
    backup_url: SecretStr | None = None
    rotate_after_hours: Annotated[float, Field(gt=0, le=596)] = 480.0
    queue_ms: Annotated[int, Field(ge=500, le=10_000)] = 1500


class FileSink(SinkBase):
    type: Literal["file"] = "file"
    directory: Path
    format: Literal["mp4", "flv"] = "mp4"
    segment_minutes: Annotated[float, Field(gt=0, le=1440)] = 60.0
    segment_mb: Annotated[int, Field(ge=0, le=100_000)] = 0
    keep_hours: Annotated[float, Field(ge=0)] = 168.0
    keep_gb: Annotated[float, Field(ge=0)] = 50.0
    min_free_mb: Annotated[int, Field(ge=0)] = 1024


class PreviewSink(SinkBase):
    type: Literal["preview"] = "preview"


class NullSink(SinkBase):
    type: Literal["null"] = "null"


SinkConfig = Annotated[RtmpSink | FileSink | PreviewSink | NullSink, Field(discriminator="type")]


class Alarm(Section):
    on: list[
        Literal[
            "sink_down", "sink_key_rejected", "voice_degraded", "head_degraded", "disk_low", "playout_restarted",
            "encoder_replaced", "panic",
        ]
    ]  # fmt: skip
    command: list[str] | None = None
    webhook: SecretStr | None = None


class Logging(Section):
    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["text", "json"] = "text"


class Config(Section):
    channel: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")] = "demo"
    avatar: str = "host"
    state_dir: Path | None = None
    video: Video = Video()
    audio: Audio = Audio()
    label: Label = Label()
    aigc: Aigc = Aigc()
    voice: VoiceConfig = VoiceConfig()
    head: HeadConfig = HeadConfig()
    brain: BrainConfig = BrainConfig()
    inbox: Inbox = Inbox()
    console: Console = Console()
    sinks: list[SinkConfig] = [PreviewSink(name="preview")]
    alarms: list[Alarm] = []
    logging: Logging = Logging()
