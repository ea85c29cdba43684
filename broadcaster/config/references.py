"""Replaces `${...}` references in strings: environment, systemd credentials, files. Reads files at start.

${NAME}              environment variable; an error if it is not set
${NAME:-default}     environment variable, or the default if it is not set or empty
${credential:NAME}   $CREDENTIALS_DIRECTORY/NAME, as systemd's LoadCredential= gives it
${file:/path}        a file's content without the line break at its end
$${                  a literal ${
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

MAX_FILE: Final = 65_536
"""A secret or an address is short; more is the wrong file."""

_TOKEN: Final = re.compile(r"\$\$\{|\$\{([^}]*)\}|\$\{")
_VARIABLE: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?", re.DOTALL)
_CREDENTIAL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


def has_reference(text: str) -> bool:
    return any(match.group() != "$${" for match in _TOKEN.finditer(text))


def resolve(text: str, env: Mapping[str, str]) -> str:
    """`text` with its references replaced. Raises ValueError ("what is wrong -> what to do", without values)."""

    def replaced(match: re.Match[str]) -> str:
        if match.group() == "$${":
            return "${"
        inside = match.group(1)
        if inside is None:
            raise ValueError("a ${ has no } -> close it, or write $${ for a literal ${")
        if inside.startswith("credential:"):
            return _credential(inside.removeprefix("credential:"), env)
        if inside.startswith("file:"):
            return _file(inside.removeprefix("file:"))
        return _variable(inside, env)

    return _TOKEN.sub(replaced, text)


def _variable(inside: str, env: Mapping[str, str]) -> str:
    match = _VARIABLE.fullmatch(inside)
    if match is None:
        raise ValueError(
            "a ${...} is not a reference -> write ${NAME}, ${NAME:-default}, ${credential:NAME} or ${file:/path}"
        )
    name, default = match.groups()
    value = env.get(name)
    if default is not None:
        return value or default
    if value is None:
        raise ValueError(
            f"the environment variable {name} is not set -> set it before the start, "
            f"or write ${{{name}:-}} if it may be missing"
        )
    return value


def _credential(name: str, env: Mapping[str, str]) -> str:
    if not _CREDENTIAL.fullmatch(name):
        raise ValueError("a ${credential:...} has no valid name -> use letters, digits, '.', '_' and '-'")
    folder = env.get("CREDENTIALS_DIRECTORY")
    if not folder:
        raise ValueError(
            f"there are no systemd credentials, so {name} cannot be read -> "
            f"add LoadCredential={name}:/path to the unit, or use ${{file:/path}}"
        )
    path = Path(folder, name)
    if not path.is_file():
        raise ValueError(f"there is no systemd credential {name} -> add LoadCredential={name}:/path to the unit")
    return _content(path)


def _file(name: str) -> str:
    path = Path(name).expanduser()
    if not path.is_absolute():
        raise ValueError("a ${file:...} is not an absolute path -> begin it with / or ~")
    if not path.is_file():
        raise ValueError(f"there is no file {path} -> make it, readable only for the broadcaster (chmod 600)")
    return _content(path)


def _content(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_FILE + 1)
    except OSError as err:
        raise ValueError(f"{path} cannot be read ({err.strerror}) -> check its owner and mode") from err
    if len(data) > MAX_FILE:
        raise ValueError(f"{path} is larger than {MAX_FILE} bytes -> it is probably the wrong file")
    try:
        return data.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not UTF-8 text -> it is probably the wrong file") from None
