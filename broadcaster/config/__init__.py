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
from broadcaster.config.load import LoadedConfig, find_config, load_config, parse_sink, resolve_settings
from broadcaster.config.minds import BrainConfig, Budget, MemoryConfig, TurnPolicy, Turns
from broadcaster.config.models import (
    Aigc,
    Alarm,
    AlarmEdge,
    Audio,
    Config,
    Console,
    HeadConfig,
    Inbox,
    Label,
    Logging,
    Tokens,
    Video,
    VoiceConfig,
)
from broadcaster.config.secrets import secrets_of
from broadcaster.config.sinks import FileSink, NullSink, PreviewSink, RtmpSink, SinkBase, SinkConfig
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
    "EdgeVoice",
    "EndToEndLink",
    "FileSink",
    "GptSoVitsVoice",
    "HeadConfig",
    "Inbox",
    "Label",
    "LinkBase",
    "LoadedConfig",
    "Logging",
    "MemoryConfig",
    "NullSink",
    "OpenAIChat",
    "OpenAIRealtime",
    "OpenAISpeechVoice",
    "PreviewSink",
    "QwenOmni",
    "QwenVoice",
    "RtmpSink",
    "Section",
    "SinkBase",
    "SinkConfig",
    "Tokens",
    "TurnPolicy",
    "Turns",
    "Video",
    "VoiceConfig",
    "VoiceLink",
    "config_path",
    "find_config",
    "load_config",
    "parse_sink",
    "resolve_settings",
    "secrets_of",
]
