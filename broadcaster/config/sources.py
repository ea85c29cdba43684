"""Where the audience comes from: one model per platform, told apart by `type`. No I/O."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field, SecretStr, model_validator

from broadcaster.config.base import NAME_PATTERN, ConfigPath, HttpUrl, Section

Port = Annotated[int, Field(ge=0, le=65_535)]

SHORT_TOKEN: Final = 16
"""A shorter token can be guessed by whoever reaches the address."""


class SourceBase(Section):
    name: Annotated[str, Field(pattern=NAME_PATTERN)] | None = None
    """Unique name; status, metrics and log use it. Empty: the type's name."""
    enabled: bool = True
    """false keeps the source in the configuration without running it."""
    record: ConfigPath | None = None
    """Folder in which everything that is received is recorded as JSON lines, for `replay`. Empty: nothing is."""
    record_mb: Annotated[int, Field(ge=1, le=100_000)] = 200
    """Most megabytes of those recordings; the oldest go first."""

    @property
    def label(self) -> str:
        """The name it goes by."""
        kind: str = getattr(self, "type", "source")
        return self.name or kind


class BilibiliSource(SourceBase):
    """A Bilibili live room, over the official Open-Live platform."""

    type: Literal["bilibili"] = "bilibili"
    """Bilibili's Open-Live."""
    access_key_id: SecretStr
    """Key of your Open-Live developer account; use a ${...} reference."""
    access_key_secret: SecretStr
    """Secret of that key; use a ${...} reference."""
    app_id: Annotated[int, Field(gt=0)]
    """Number of your Open-Live project."""
    code: SecretStr
    """Identity code of the streamer (shown on the live centre's page); use a ${...} reference."""
    url: HttpUrl = "https://live-open.biliapi.com"
    """Address of the Open-Live API."""


DouyinPush = Literal["live_comment", "live_gift", "live_like", "live_fansclub"]


class DouyinSource(SourceBase):
    """A Douyin live room, over the official data push (needs an approved live mini game)."""

    type: Literal["douyin"] = "douyin"
    """Douyin's official data push."""
    app_id: Annotated[str, Field(min_length=1)]
    """Number of the mini game."""
    app_secret: SecretStr
    """Secret of the mini game, for the calls to Douyin; use a ${...} reference."""
    push_secret: SecretStr
    """Secret that signs what Douyin pushes here; use a ${...} reference."""
    room_id: Annotated[str, Field(pattern=r"^\d{1,24}$")] | None = None
    """Number of the live room; its push tasks are then started here. Empty: somebody else starts them."""
    push: Annotated[list[DouyinPush], Field(min_length=1)] = [
        "live_comment",
        "live_gift",
        "live_like",
        "live_fansclub",
    ]
    """What is to be pushed."""
    host: str = "127.0.0.1"
    """Address on which pushes are received; put your HTTPS proxy in front of it."""
    port: Port = 8092
    """Port on which pushes are received."""
    replay_window_s: Annotated[float, Field(ge=10, le=3600)] = 300.0
    """A push whose time differs by more seconds than this is refused."""
    url: HttpUrl = "https://webcast.bytedance.com"
    """Address of Douyin's live API."""
    token_url: HttpUrl = "https://developer.toutiao.com/api/apps/v2/token"
    """Address that gives access tokens."""


class IngestSource(SourceBase):
    """Anything else: a program of yours sends JSON lines, over HTTP or a websocket."""

    type: Literal["ingest"] = "ingest"
    """JSON lines of your own."""
    token: SecretStr | None = None
    """Token that a sender must show; use a ${...} reference. Without one only this machine may send."""
    host: str = "127.0.0.1"
    """Address on which it listens."""
    port: Port = 8091
    """Port on which it listens; 0: any free one."""
    max_line_bytes: Annotated[int, Field(ge=256, le=1_048_576)] = 16_384
    """Longest line in bytes."""
    max_body_mb: Annotated[int, Field(ge=1, le=256)] = 8
    """Longest HTTP body in megabytes."""

    @model_validator(mode="after")
    def _open_only_with_a_token(self) -> IngestSource:
        if self.host in ("127.0.0.1", "::1", "localhost"):
            return self
        if self.token is None:
            raise ValueError(
                f"it would listen on {self.host} without a token -> set its token to a ${{...}} reference, or its "
                "host to 127.0.0.1"
            )
        if len(self.token.get_secret_value()) < SHORT_TOKEN:
            raise ValueError(
                f"its token is shorter than {SHORT_TOKEN} characters -> make one with `openssl rand -hex 24`"
            )
        return self


class ReplaySource(SourceBase):
    """A recording, played as if it happened now."""

    type: Literal["replay"] = "replay"
    """A recording of JSON lines."""
    file: ConfigPath
    """The recording: a .jsonl file."""
    speed: Annotated[float, Field(ge=0.1, le=1000)] = 1.0
    """Times as fast as it was recorded."""
    loop: bool = False
    """true begins anew at its end."""


SourceConfig = Annotated[
    BilibiliSource | DouyinSource | IngestSource | ReplaySource,
    Field(discriminator="type"),
]
