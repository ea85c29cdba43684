"""The links of the chain of brains, and the end-to-end voices: one model per engine, told apart by `engine`. No I/O.

The built-in rules are always the last link and are not listed.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SecretStr

from broadcaster.config.base import NAME_PATTERN, HttpUrl, SecretWebsocketUrl, Section


class BrainBase(Section):
    name: Annotated[str, Field(pattern=NAME_PATTERN)] | None = None
    """Unique name in the chain; status, metrics and log use it. Empty: the engine's name."""
    enabled: bool = True
    """false keeps the link in the configuration without using it."""
    connect_timeout_s: Annotated[float, Field(gt=0, le=30)] = 3.0
    """Seconds to wait for the connection."""
    first_token_timeout_s: Annotated[float, Field(gt=0, le=120)] = 6.0
    """Seconds to wait for the beginning of an answer; then the next link is asked."""
    gap_timeout_s: Annotated[float, Field(gt=0, le=60)] = 5.0
    """Seconds without more text in the middle of an answer; then it ends at its last whole sentence."""
    total_timeout_s: Annotated[float, Field(gt=0, le=600)] = 30.0
    """Seconds after which an answer is cut off at its last whole sentence."""
    retries: Annotated[int, Field(ge=0, le=3)] = 1
    """Tries after the first one, of errors that may pass and while there is time before first_token_timeout_s."""
    price_in: Annotated[float, Field(ge=0, le=10_000)] = 0.0
    """Price of a million tokens of the question, in budget.currency. 0: it costs nothing, and is asked for ever."""
    price_out: Annotated[float, Field(ge=0, le=10_000)] = 0.0
    """Price of a million tokens of the answer."""
    vision: bool = False
    """true sends the picture of the programme item on air along, for a model that sees."""

    @property
    def label(self) -> str:
        """The name it goes by."""
        engine: str = getattr(self, "engine", "brain")
        return self.name or engine


class OpenAIChat(BrainBase):
    """Any server with OpenAI's /chat/completions: Qwen in DashScope's compatible mode, vLLM, Ollama, DeepSeek."""

    engine: Literal["openai"] = "openai"
    """Any OpenAI-compatible server."""
    base_url: HttpUrl | None = None
    """Address ending in /v1. Empty: OpenAI's own."""
    api_key: SecretStr | None = None
    """Key of that server; use a ${...} reference. Local servers need none."""
    model: str = ""
    """Name of the model at that server."""
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    """How freely it writes. Empty: the server's own."""
    thinking: bool | None = None
    """false asks Qwen and its like not to think first (enable_thinking). Empty: nothing is said about it."""


class DashScopeChat(BrainBase):
    """Qwen in Alibaba Cloud's Model Studio (DashScope), over its own API."""

    engine: Literal["dashscope"] = "dashscope"
    """Qwen in the cloud (DashScope)."""
    api_key: SecretStr
    """API key; use a ${...} reference."""
    model: Annotated[str, Field(min_length=1)] = "qwen-plus"
    """Name of the model."""
    temperature: Annotated[float, Field(ge=0, lt=2)] | None = None
    """How freely it writes. Empty: the model's own."""
    thinking: bool = False
    """true lets the model think before it answers, which takes seconds and is never read out."""
    url: HttpUrl | None = None
    """Address of another region or gateway, ending in /api/v1. Empty: the mainland's."""


class DifyAgent(BrainBase):
    """An agent of Dify (chat, chatflow or agent app), over its HTTP streaming API."""

    engine: Literal["dify"] = "dify"
    """An agent of the Dify platform."""
    url: HttpUrl
    """Address of its API, ending in /v1, such as https://api.dify.ai/v1."""
    api_key: SecretStr
    """Key of the app; use a ${...} reference."""
    inputs: dict[str, str] = {}
    """Values for the variables of the app. {persona} and {history} in a value are filled in."""


BrainLink = Annotated[OpenAIChat | DashScopeChat | DifyAgent, Field(discriminator="engine")]


class EndToEndBase(Section):
    enabled: bool = True
    """false keeps it in the configuration without using it."""
    first_sound_timeout_s: Annotated[float, Field(gt=0, le=60)] = 5.0
    """Seconds to wait for the first sound of an answer; then brain and voice answer."""
    total_timeout_s: Annotated[float, Field(gt=0, le=120)] = 20.0
    """Seconds in which the whole answer must have come and passed the gate; then brain and voice answer."""
    price_in: Annotated[float, Field(ge=0, le=10_000)] = 0.0
    """Price of a million tokens of the question, in budget.currency."""
    price_out: Annotated[float, Field(ge=0, le=10_000)] = 0.0
    """Price of a million tokens of the answer."""


class OpenAIRealtime(EndToEndBase):
    """A realtime model with OpenAI's API."""

    engine: Literal["openai_realtime"] = "openai_realtime"
    """OpenAI's Realtime API, or a server that speaks it."""
    base_url: HttpUrl | None = None
    """Address ending in /v1. Empty: OpenAI's own."""
    api_key: SecretStr | None = None
    """Key of that server; use a ${...} reference."""
    model: Annotated[str, Field(min_length=1)] = "gpt-realtime"
    """Name of the model."""
    voice: Annotated[str, Field(min_length=1)] = "marin"
    """Name of the voice."""


class QwenOmni(EndToEndBase):
    """Qwen-Omni realtime (DashScope), over its websocket."""

    engine: Literal["qwen_omni"] = "qwen_omni"
    """Qwen-Omni realtime in the cloud (DashScope)."""
    api_key: SecretStr
    """API key; use a ${...} reference."""
    model: Annotated[str, Field(min_length=1)] = "qwen3-omni-flash-realtime"
    """Name of the realtime model."""
    voice: Annotated[str, Field(min_length=1)] = "Cherry"
    """Name of the voice."""
    url: SecretWebsocketUrl | None = None
    """wss:// address of another region or gateway. Empty: the mainland's."""


EndToEndLink = Annotated[OpenAIRealtime | QwenOmni, Field(discriminator="engine")]
