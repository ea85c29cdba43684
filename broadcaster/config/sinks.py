"""The sinks of the configuration: one model per type, told apart by `type`. No I/O."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator

from broadcaster.config.base import NAME_PATTERN, ConfigPath, Section, check_url


class SinkBase(Section):
    name: Annotated[str, Field(pattern=NAME_PATTERN)]
    """Unique name: a-z, 0-9, "-" and "_", at most 32 characters. Commands, metrics and the page use it."""
    enabled: bool = True
    """false keeps the sink in the configuration without running it."""


class RtmpSink(SinkBase):
    """Streams to an RTMP server, and keeps trying for ever when it cannot."""

    type: Literal["rtmp"] = "rtmp"
    """Streams to an RTMP or RTMPS server."""
    url: SecretStr = SecretStr("")
    """rtmp:// or rtmps:// address, with or without the stream key. Empty: not configured yet, the sink stays off."""
    key: SecretStr | None = None
    """Stream key, appended to `url` after a slash. Leave it out when the address contains it."""
    backup_url: SecretStr | None = None
    """Address tried in turn with `url` when a connection fails; it gets the same `key`."""
    rotate_after_hours: Annotated[float, Field(gt=0, le=596)] = 480.0
    """Hours after which the connection is renewed in an idle moment: RTMP timestamps overflow after 596 hours."""
    queue_ms: Annotated[int, Field(ge=500, le=10_000)] = 1500
    """Milliseconds of stream that may wait for a slow network before pictures are dropped up to the next keyframe."""

    @field_validator("url", "backup_url")
    @classmethod
    def _address(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and value.get_secret_value():
            check_url(value.get_secret_value(), ("rtmp", "rtmps"))
        return value

    @property
    def configured(self) -> bool:
        """Whether there is an address to stream to."""
        return bool(self.url.get_secret_value())


class FileSink(SinkBase):
    """Records what is on air in segments."""

    type: Literal["file"] = "file"
    """Records to a folder."""
    directory: ConfigPath
    """Folder of the recordings; made if it is missing. A relative path starts at this file's folder."""
    format: Literal["mp4", "flv"] = "mp4"
    """mp4 (fragmented) or flv. Both can be played up to the last second after a crash."""
    segment_minutes: Annotated[float, Field(gt=0, le=1440)] = 60.0
    """A new file begins at the first keyframe after this many minutes."""
    segment_mb: Annotated[int, Field(ge=0, le=100_000)] = 0
    """A new file also begins after this many megabytes; 0: by time only."""
    keep_hours: Annotated[float, Field(ge=0)] = 168.0
    """Recordings older than this many hours are deleted; 0: kept for ever."""
    keep_gb: Annotated[float, Field(ge=0)] = 50.0
    """The oldest recordings are deleted when all together are larger than this many gigabytes; 0: no limit."""
    min_free_mb: Annotated[int, Field(ge=0)] = 1024
    """Recording pauses, and an alarm goes out, while the disk has fewer free megabytes than this."""


class PreviewSink(SinkBase):
    """Feeds the player on the console page."""

    type: Literal["preview"] = "preview"
    """Shows the stream on the console page."""


class NullSink(SinkBase):
    """Takes the stream and throws it away: for measurements."""

    type: Literal["null"] = "null"
    """Throws the stream away: for measurements."""


SinkConfig = Annotated[RtmpSink | FileSink | PreviewSink | NullSink, Field(discriminator="type")]
