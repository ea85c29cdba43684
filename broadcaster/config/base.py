"""What every section of the configuration shares: strictness, paths, addresses. No I/O."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    SecretStr,
    ValidationInfo,
    model_validator,
)

NAME_PATTERN: Final = r"^[a-z0-9][a-z0-9_-]{0,31}$"
"""Channel and sink names become file, socket and metric names."""


class Section(BaseModel):
    """A mapping of the configuration. Unknown keys are refused; the string below a field is its description.

    An empty string for a key that may be left out means "left out": that is what `${NAME:-}` gives.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )

    @model_validator(mode="before")
    @classmethod
    def _empty_is_absent(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        optional = {
            name for name, field in cls.model_fields.items() if not field.is_required() and field.default is None
        }
        return {key: value for key, value in data.items() if not (value == "" and key in optional)}


def left_open(schema: dict[str, Any]) -> None:
    """For keys whose default may come from elsewhere: their JSON schema also takes null."""
    bounds = ("type", "minimum", "maximum")
    schema["anyOf"] = [{key: schema.pop(key) for key in bounds if key in schema}, {"type": "null"}]


def config_path(path: Path, base: Path | None) -> Path:
    """`path` as the configuration means it: `~` is home, and a relative path starts at the file's folder."""
    path = path.expanduser()
    return path if base is None else base / path


def _rebase(path: Path, info: ValidationInfo) -> Path:
    context = info.context if isinstance(info.context, dict) else {}
    return config_path(path, context.get("base"))


ConfigPath = Annotated[Path, AfterValidator(_rebase)]
"""A path relative to the configuration file's folder (validation context `base`)."""


def _from_digits(value: object) -> object:
    return int(value) if isinstance(value, str) and re.fullmatch(r"\d{1,9}", value) else value


FromDigits = BeforeValidator(_from_digits)
"""Lets a `Literal` of numbers come from an environment variable, which is always text."""


def check_url(value: str, schemes: tuple[str, ...]) -> None:
    """Raises ValueError, without the address in it, unless `value` is an address of one of `schemes` with a host."""
    wanted = " or ".join(f"{scheme}://" for scheme in schemes)
    if any(character.isspace() or not character.isprintable() for character in value):
        raise ValueError("the address contains a space or a control character -> copy it again, without line breaks")
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError("this is not an address -> check its host and port") from None
    if parts.scheme not in schemes:
        raise ValueError(f"the address does not begin with {wanted} -> copy the whole address")
    if not host:
        raise ValueError(f"the address has no host -> write it as {schemes[0]}://host/...")


def _http_url(value: str) -> str:
    check_url(value, ("http", "https"))
    return value


def _secret_http_url(value: SecretStr) -> SecretStr:
    check_url(value.get_secret_value(), ("http", "https"))
    return value


def _secret_websocket_url(value: SecretStr) -> SecretStr:
    check_url(value.get_secret_value(), ("wss", "ws"))
    return value


HttpUrl = Annotated[str, AfterValidator(_http_url)]
SecretHttpUrl = Annotated[SecretStr, AfterValidator(_secret_http_url)]
SecretWebsocketUrl = Annotated[SecretStr, AfterValidator(_secret_websocket_url)]
