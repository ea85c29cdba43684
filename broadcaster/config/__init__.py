"""What `config.yaml` may say, and how it is read. No threads; the only I/O is reading files at start.

`models` and `sinks` are the schema, `load` turns a file into a `LoadedConfig` or one `ConfigError` that names
every fault, `secrets` lists what must never be printed.
"""

from broadcaster.config.base import Section, config_path
from broadcaster.config.brains import (
    BrainBase,
    BrainLink,
    DashScopeChat,
    DifyAgent,
    EndToEndLink,
    OpenAIChat,
    OpenAIRealtime,
    QwenOmni,
)
from broadcaster.config.head import HeadConfig, MuseTalkConfig, OnnxHeadConfig
from broadcaster.config.load import LoadedConfig, find_config, load_config, parse_sink, resolve_settings
from broadcaster.config.minds import BrainConfig, Budget, MemoryConfig, TurnPolicy, Turns
from broadcaster.config.models import (
    Aigc,
    Alarm,
    AlarmEdge,
    Audio,
    Config,
    Console,
    Label,
    Logging,
    Tokens,
    Video,
    VoiceConfig,
)
from broadcaster.config.room import Endpoint, Inbox, JournalConfig, ModerationConfig, Ttl, Weights
from broadcaster.config.secrets import secrets_of
from broadcaster.config.sinks import FileSink, NullSink, PreviewSink, RtmpSink, SinkBase, SinkConfig
from broadcaster.config.sources import (
    BilibiliSource,
    DouyinSource,
    IngestSource,
    ReplaySource,
    SourceBase,
    SourceConfig,
)
from broadcaster.config.voices import (
    ChatTTSVoice,
    CosyVoiceLocal,
    CosyVoiceServer,
    DashScopeVoice,
    EdgeVoice,
    GptSoVitsVoice,
    LinkBase,
    OpenAISpeechVoice,
    QwenVoice,
    VoiceLink,
)

__all__ = [
    "Aigc",
    "Alarm",
    "AlarmEdge",
    "Audio",
    "BilibiliSource",
    "BrainBase",
    "BrainConfig",
    "BrainLink",
    "Budget",
    "ChatTTSVoice",
    "Config",
    "Console",
    "CosyVoiceLocal",
    "CosyVoiceServer",
    "DashScopeChat",
    "DashScopeVoice",
    "DifyAgent",
    "DouyinSource",
    "EdgeVoice",
    "EndToEndLink",
    "Endpoint",
    "FileSink",
    "GptSoVitsVoice",
    "HeadConfig",
    "Inbox",
    "IngestSource",
    "JournalConfig",
    "Label",
    "LinkBase",
    "LoadedConfig",
    "Logging",
    "MemoryConfig",
    "ModerationConfig",
    "MuseTalkConfig",
    "NullSink",
    "OnnxHeadConfig",
    "OpenAIChat",
    "OpenAIRealtime",
    "OpenAISpeechVoice",
    "PreviewSink",
    "QwenOmni",
    "QwenVoice",
    "ReplaySource",
    "RtmpSink",
    "Section",
    "SinkBase",
    "SinkConfig",
    "SourceBase",
    "SourceConfig",
    "Tokens",
    "Ttl",
    "TurnPolicy",
    "Turns",
    "Video",
    "VoiceConfig",
    "VoiceLink",
    "Weights",
    "config_path",
    "find_config",
    "load_config",
    "parse_sink",
    "resolve_settings",
    "secrets_of",
]
