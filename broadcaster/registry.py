"""Name -> "package.module:Class" tables, resolved when something is started. No threads, no I/O.

These strings are the only place where `broadcaster` names an adapter. Importing this module imports none of them.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any, Final

from broadcaster.errors import ConfigError

Table = dict[str, str]

SINKS: Final[Table] = {
    "rtmp": "sinks.rtmp:RtmpSink",
    "file": "sinks.file:FileSink",
    "preview": "sinks.preview:PreviewSink",
    "null": "sinks.null:NullSink",
}

SOURCES: Final[Table] = {
    "bilibili": "sources.bilibili.source:BilibiliRoom",
    "douyin": "sources.douyin.source:DouyinRoom",
    "ingest": "sources.ingest:Ingest",
    "replay": "sources.replay:Replay",
}
"""Where the audience comes from. A class there takes its section of the configuration and is a `ports.Source`."""

RECORDER: Final = "sources.recorder:Recorder"
"""Writes down what a source receives. Takes (Intake, folder, the source's name, megabytes) and is an `Intake`."""

SYNTHESISERS: Final[Table] = {
    "kokoro": "broadcaster.speech.kokoro:KokoroSynthesiser",
    "tone": "broadcaster.speech.tone:ToneSynthesiser",
}
"""Engines inside the voice process."""

LOCAL_VOICES: Final[Table] = {
    "cosyvoice": "broadcaster.speech.cosyvoice.engine:CosyVoiceSynthesiser",
}
"""Links of the voice chain whose model runs in a process of ours. A class there takes (its link, VoiceReference or
None, threads) and is a StreamingSynthesiser."""

VOICES: Final[Table] = {
    "dashscope": "broadcaster.speech.remote.dashscope:DashScopeEngine",
    "qwen_tts": "broadcaster.speech.remote.qwen:QwenEngine",
    "cosyvoice_server": "broadcaster.speech.remote.cosyvoice:CosyVoiceEngine",
    "gpt_sovits": "broadcaster.speech.remote.gpt_sovits:GptSoVitsEngine",
    "openai_speech": "broadcaster.speech.remote.openai_speech:OpenAISpeechEngine",
    "edge": "broadcaster.speech.remote.edge:EdgeEngine",
    "chattts": "broadcaster.speech.remote.chattts:ChatTTSEngine",
}
"""Links of the voice chain behind a network. A class there takes (its link, VoiceReference or None)."""

HEADS: Final[Table] = {
    "warp": "broadcaster.head.warp:make",
    "musetalk": "broadcaster.head.musetalk.engine:make",
    "onnx": "broadcaster.head.onnx.engine:make",
    "still": "broadcaster.head.still:make",
}
"""Talking-head engines. What stands there takes (HeadConfig, the folder of pulled models) and gives a TalkingHead."""

BRAINS: Final[Table] = {
    "openai": "broadcaster.brain.engines.openai_chat:OpenAIBrain",
    "dashscope": "broadcaster.brain.engines.dashscope_chat:DashScopeBrain",
    "dify": "broadcaster.brain.engines.dify:DifyBrain",
}
"""Links of the chain of brains. A class there takes its link. The built-in rules are not listed: always last."""

END_TO_END: Final[Table] = {
    "openai_realtime": "broadcaster.brain.end_to_end.openai_realtime:OpenAIRealtimeVoice",
    "qwen_omni": "broadcaster.brain.end_to_end.qwen_omni:QwenOmniVoice",
}
"""Models that answer with sound of their own. A class there takes its link."""

EXTRAS: Final[dict[str, tuple[str, str]]] = {
    "broadcaster.brain.end_to_end.openai_realtime:OpenAIRealtimeVoice": ("openai", "openai"),
    "broadcaster.brain.end_to_end.qwen_omni:QwenOmniVoice": ("dashscope", "dashscope"),
    "broadcaster.brain.engines.dashscope_chat:DashScopeBrain": ("dashscope", "dashscope"),
    "broadcaster.brain.engines.openai_chat:OpenAIBrain": ("openai", "openai"),
    "broadcaster.head.musetalk.engine:make": ("torch", "musetalk"),
    "broadcaster.speech.remote.dashscope:DashScopeEngine": ("dashscope", "dashscope"),
    "broadcaster.speech.remote.edge:EdgeEngine": ("edge_tts", "edge"),
    "broadcaster.speech.remote.openai_speech:OpenAISpeechEngine": ("openai", "openai"),
    "broadcaster.speech.remote.qwen:QwenEngine": ("dashscope", "dashscope"),
}
"""Target -> (package it imports, extra that installs it), for everything the base installation lacks."""


def problem_with(table: Table, name: str, kind: str) -> str | None:
    """Why `name` cannot be used ("what is wrong -> what to do"), or None. Imports no adapter.

    An adapter that is not in the table is named by its own "package.module:Class".
    """
    if ":" in name:
        module = name.partition(":")[0]
        return None if _is_there(module) else f"{kind} {name}: there is no module {module} -> install its package"
    target = table.get(name)
    if target is None:
        return f"there is no {kind} named {name!r} -> use one of: {', '.join(sorted(table))}"
    package, extra = EXTRAS.get(target, ("", ""))
    if package and importlib.util.find_spec(package) is None:
        return f"{kind} {name} needs the package {package} -> pip install 'broadcaster[{extra}]'"
    return None


def resolve(table: Table, name: str, kind: str) -> Any:
    """The class behind `name`, imported now. Raises ConfigError that names what is known, or what to install."""
    problem = problem_with(table, name, kind)
    if problem is not None:
        raise ConfigError(problem)
    module, _, attribute = table.get(name, name).partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as err:
        raise ConfigError(f"{kind} {name} needs the package {err.name} -> pip install -c constraints.txt .") from err
    except AttributeError as err:
        raise ConfigError(f"{kind} {name}: {module} has no {attribute} -> check the name") from err


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False
