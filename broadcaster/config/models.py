"""What `config.yaml` may say: pydantic models, `extra="forbid"`. No I/O.

Every field here has a commented key in the shipped `config.yaml` (a test holds the two together), and the
string below it becomes its entry in the JSON schema and in `docs/configuration.md`.
"""

from __future__ import annotations

import ipaddress
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, field_validator, model_validator

from broadcaster.config.base import (
    NAME_PATTERN,
    ConfigPath,
    FromDigits,
    SecretHttpUrl,
    Section,
    left_open,
)
from broadcaster.config.head import HeadConfig
from broadcaster.config.minds import BrainConfig, Turns
from broadcaster.config.room import Inbox, JournalConfig, ModerationConfig
from broadcaster.config.sinks import PreviewSink, SinkConfig
from broadcaster.config.sources import SourceConfig
from broadcaster.config.voices import VoiceLink

LABEL_WORDS = ("AI生成", "数字人")
"""What the label must say by the labelling rules it exists for (GB 45438-2025 and the digital-human rules)."""


class Video(Section):
    width: Annotated[int, Field(ge=160, le=3840, multiple_of=2)] = 1280
    """Picture width in pixels, even. Portrait is 720 by 1280."""
    height: Annotated[int, Field(ge=160, le=3840, multiple_of=2)] = 720
    """Picture height in pixels, even."""
    fps: Annotated[Literal[24, 25, 30, 50, 60], FromDigits] = 25
    """Pictures per second: 24, 25, 30, 50 or 60."""
    bitrate_kbps: Annotated[int, Field(ge=200, le=20_000)] = 2500
    """Video bit rate in kbit/s. Platforms usually want 2000 to 3000 for 720p and 4000 to 6000 for 1080p."""
    encoder: Literal["auto", "x264", "nvenc"] = "auto"
    """auto and nvenc use NVENC where it opens and x264 where it does not (nvenc warns); x264 never tries NVENC."""
    preset: Literal["ultrafast", "superfast", "veryfast", "faster", "fast", "medium"] = "veryfast"
    """x264 preset: a slower one looks better and costs more CPU."""
    threads: Annotated[int, Field(ge=1, le=32)] = 2
    """Threads of the x264 encoder."""


class Audio(Section):
    bitrate_kbps: Annotated[int, Field(ge=48, le=320)] = 128
    """AAC bit rate in kbit/s, 48 kHz stereo."""


class Label(Section):
    text: str = "AI生成 · 数字人直播"
    """Label on every picture. It must contain "AI生成" and "数字人" and cannot be switched off."""
    corner: Literal["top-left", "top-right", "bottom-left", "bottom-right"] = "top-left"
    """Corner of the picture where the label stands."""
    height_percent: Annotated[float, Field(ge=5.0, le=12.0)] = 5.0
    """Height of the letters in percent of the picture's shorter side; the law asks for 5 or more."""

    @field_validator("text")
    @classmethod
    def _says_what_it_must(cls, text: str) -> str:
        missing = [word for word in LABEL_WORDS if word not in text]
        if missing:
            raise ValueError(
                f"the label must contain {' and '.join(missing)}: it tells viewers that the presenter is generated, "
                'and cannot be configured away -> use for example "AI生成 · 数字人直播"'
            )
        if len(text) > 40 or not text.isprintable():
            raise ValueError("the label is longer than 40 characters or has line breaks -> make it one short line")
        return text


class Aigc(Section):
    producer: str = ""
    """Name or code of who generates the content, for the AIGC metadata. Empty: the name of the channel."""
    produce_id: str = ""
    """Number of the content at its producer, for the AIGC metadata. Empty: made from channel and start time."""


class VoiceConfig(Section):
    engine: str = "kokoro"
    """Speech engine. kokoro is embedded and speaks Mandarin and English."""
    zh: Annotated[str, Field(json_schema_extra=left_open)] = "zf_xiaoxiao"
    """Voice for Chinese text. Empty: the avatar's own, or the default."""
    en: Annotated[str, Field(json_schema_extra=left_open)] = "af_heart"
    """Voice for English text. Empty: the avatar's own, or the default."""
    speed: Annotated[float, Field(ge=0.5, le=2.0, json_schema_extra=left_open)] = 1.0
    """Speed of speech; 1.0 is the voice's own. Empty: the avatar's own, or the default."""
    threads: Annotated[int, Field(ge=1, le=16)] = 2
    """Threads of the speech engine."""
    model: ConfigPath | None = None
    """Model file to use instead of the embedded one."""
    loudness_lufs: Annotated[float, Field(ge=-24.0, le=-9.0)] = -16.0
    """Loudness of speech in LUFS."""
    request_timeout_s: Annotated[float, Field(gt=0, le=120)] = 20.0
    """Seconds after which a piece of speech that did not come is given up and the voice process restarted."""
    pitch: Annotated[float, Field(ge=-6.0, le=6.0, json_schema_extra=left_open)] = 0.0
    """Semitones up or down for every voice. Empty: the avatar's own, or the default."""
    lexicon: ConfigPath | None = None
    """YAML file that says how names and words with several readings are spoken."""
    cache_mb: Annotated[int, Field(ge=0, le=10_000)] = 256
    """Megabytes of disk for sentences that come again (greetings, thanks); the least used go first. 0: none."""
    look_ahead_s: Annotated[float, Field(ge=2.0, le=60.0)] = 10.0
    """Seconds of speech that may be made before they are heard; what an interruption throws away."""
    shortest_package: Annotated[float, Field(ge=4.0, le=40.0)] = 10.0
    """Characters that a voice is asked for at least behind the first words; a voice that takes long gets more."""
    chain: list[VoiceLink] = []
    """Voices to ask first, in this order; the embedded engine above is always the last."""

    @model_validator(mode="before")
    @classmethod
    def _left_to_the_avatar(cls, data: Any) -> Any:
        """An empty value is as good as none, so that `config.persona` sees what is left open."""
        if not isinstance(data, dict):
            return data
        open_keys = ("zh", "en", "speed", "pitch")
        return {key: value for key, value in data.items() if not (key in open_keys and value in (None, ""))}

    @field_validator("chain")
    @classmethod
    def _one_link_of_a_name(cls, chain: list[VoiceLink]) -> list[VoiceLink]:
        names = [link.label for link in chain]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two links of the chain are named {', '.join(twice)} -> give each its own name")
        return chain


class Tokens(Section):
    viewer: SecretStr | None = None
    """Token of a viewer, who sees the page and the state."""
    moderator: SecretStr | None = None
    """Token of a moderator, who also sends prompts and interrupts."""
    operator: SecretStr | None = None
    """Token of an operator, who also resumes after a panic and changes sinks."""

    @model_validator(mode="after")
    def _one_token_one_role(self) -> Tokens:
        given = [token.get_secret_value() for token in (self.viewer, self.moderator, self.operator) if token]
        if len(set(given)) < len(given):
            raise ValueError("two roles have the same token -> give each its own")
        return self


class Console(Section):
    host: str = "127.0.0.1"
    """Address the console listens on. Anything but this machine itself needs an operator token."""
    port: Annotated[int, Field(ge=0, le=65_535)] = 8090
    """Port of the console; 0: any free one."""
    tokens: Tokens = Tokens()
    """Tokens by role. Without any, everybody on this machine is an operator."""
    allowed_hosts: list[str] = []
    """Host names, besides its own address, under which a browser may reach the console."""
    allowed_origins: list[str] = []
    """Origins of other pages that may use the API, such as https://studio.example."""
    max_message_bytes: Annotated[int, Field(ge=256, le=1_048_576)] = 16_384
    """Longest message over the websocket in bytes."""
    messages_per_minute: Annotated[int, Field(ge=1, le=60_000)] = 120
    """Messages per minute that one client may send."""

    @model_validator(mode="after")
    def _open_only_with_a_token(self) -> Console:
        if not self.loopback and self.tokens.operator is None:
            raise ValueError(
                f"the console would listen on {self.host} without an operator token -> "
                "set console.tokens.operator to a ${...} reference, or console.host to 127.0.0.1"
            )
        return self

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the console."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host.strip("[]")).is_loopback
        except ValueError:
            return False


AlarmEdge = Literal[
    "sink_down",
    "sink_key_rejected",
    "source_down",
    "voice_degraded",
    "head_degraded",
    "disk_low",
    "playout_restarted",
    "encoder_replaced",
    "panic",
]


class Alarm(Section):
    on: list[AlarmEdge]
    """What raises the alarm; it goes out once when the fault begins and once when it is over."""
    command: list[str] | None = None
    """Program and arguments to run; it gets the alarm as JSON on standard input."""
    webhook: SecretHttpUrl | None = None
    """Address that gets the alarm as JSON by POST; use a ${...} reference. Empty: none."""


class Logging(Section):
    level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severe message that is written."""
    format: Literal["text", "json"] = "text"
    """text for people, json for log collectors."""


class Config(Section):
    channel: Annotated[str, Field(pattern=NAME_PATTERN)] = "demo"
    """Name of the channel: a-z, 0-9, "-" and "_". One instance runs per channel and keeps its state under it."""
    avatar: str = "host"
    """The presenter: a folder under avatars/, or a path to one."""
    avatar_disk_gb: Annotated[float, Field(ge=0, le=1000)] = 2.0
    """Gigabytes that the presenter's pictures may take uncompressed; more are kept as a video and decoded ahead."""
    state_dir: ConfigPath | None = None
    """Folder for journal, sockets and cache. Empty: systemd's folders, or ~/.local/state and its neighbours."""
    video: Video = Video()
    """The picture."""
    audio: Audio = Audio()
    """The sound."""
    label: Label = Label()
    """The label that tells viewers the presenter is generated."""
    aigc: Aigc = Aigc()
    """The AIGC object in streams and recordings."""
    voice: VoiceConfig = VoiceConfig()
    """How the presenter speaks."""
    head: HeadConfig = HeadConfig()
    """How the presenter's lips move."""
    brain: BrainConfig = BrainConfig()
    """How questions are answered."""
    turns: Turns = Turns()
    """Who may cut in, and how what was cut goes on."""
    sources: list[SourceConfig] = []
    """Where the audience comes from: any number of platforms."""
    inbox: Inbox = Inbox()
    """The queue: what comes first, how long it may wait."""
    moderation: ModerationConfig = ModerationConfig()
    """What may be answered and what may be said."""
    journal: JournalConfig = JournalConfig()
    """What is kept, where and for how long."""
    console: Console = Console()
    """The page, the websocket and the control API."""
    sinks: list[SinkConfig] = [PreviewSink(name="preview")]
    """Where the stream goes: any number of sinks, all fed by one encoder."""
    alarms: list[Alarm] = []
    """Who is told when something fails."""
    logging: Logging = Logging()
    """What is written to standard error."""

    @field_validator("sources")
    @classmethod
    def _one_source_of_a_name(cls, sources: list[SourceConfig]) -> list[SourceConfig]:
        names = [source.label for source in sources]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two sources are named {', '.join(twice)} -> give each its own name")
        return sources

    @field_validator("sinks")
    @classmethod
    def _one_sink_of_a_name(cls, sinks: list[SinkConfig]) -> list[SinkConfig]:
        names = [sink.name for sink in sinks]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two sinks are named {', '.join(twice)} -> give every sink its own name")
        return sinks
