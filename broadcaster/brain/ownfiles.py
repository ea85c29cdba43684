"""The operator's own YAML files of the mind (persona, phrases, words): read strictly, faults with file, line and key.

Blocking; called at start, in a thread.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from broadcaster.config.explain import explain
from broadcaster.config.yamlfile import Document, KeyPath, read_yaml
from broadcaster.errors import ConfigError

MAX_BYTES: Final = 262_144
"""These files are written by hand; a larger one is some other file."""

DOCS: Final = "docs/mind.md"

_Model = TypeVar("_Model", bound=BaseModel)


def load_model(path: Path, model: type[_Model], key: str, docs: str = DOCS) -> _Model:
    """The content of `path`, named by the configuration's `key`. Raises ConfigError, one line per fault.

    `docs` is where such a file is explained.
    """
    try:
        data = path.read_bytes()
    except OSError as err:
        raise ConfigError(f"{path}: {err.strerror} -> set {key} to a readable file") from err
    if len(data) > MAX_BYTES:
        raise ConfigError(f"{path}: more than {MAX_BYTES // 1024} kB -> set {key} to another file")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as err:
        raise ConfigError(f"{path}: not UTF-8 text (byte {err.start}) -> save the file as UTF-8") from err
    return parse_model(text, model, str(path), docs)


def parse_model(text: str, model: type[_Model], name: str, docs: str = DOCS) -> _Model:
    """The same from a text; `name` stands for the file in the faults."""
    document = read_yaml(text)
    problems = [(each.line or document.line(each.path), each.path, each.text) for each in document.problems]
    if document.data is not None and not isinstance(document.data, dict):
        problems.append((1, (), f"must be keys with values -> see {docs} for an example"))
    elif not problems:
        try:
            return model.model_validate(document.data or {})
        except ValidationError as err:
            problems = list(_faults(err, document, model, docs))
    raise ConfigError(*(_line(name, *problem) for problem in sorted(problems, key=lambda problem: problem[0])))


def _faults(
    err: ValidationError, document: Document, model: type[BaseModel], docs: str
) -> list[tuple[int, KeyPath, str]]:
    found: dict[KeyPath, str] = {}
    for error in err.errors(include_url=False, include_input=False):
        path = _written(error["loc"], document.data)
        if error["type"] == "missing":
            said = f"is missing -> add it; {docs} has an example"
        elif error["type"] == "string_too_short":
            said = "is empty -> write something, or leave it out"
        elif error["type"] in ("string_too_long", "too_long"):
            said = f"is longer than {error['ctx']['max_length']} -> shorten it"
        else:
            said = explain(error, path, document.data, None, model)
        found.setdefault(path, said.replace("docs/configuration.md", docs))
    return [(document.line(path), path, said) for path, said in found.items()]


def _written(location: tuple[int | str, ...], data: Any) -> KeyPath:
    """pydantic's location without the names of types that it adds behind a key."""
    path: list[int | str] = []
    node = data
    for step in location:
        if path and not isinstance(node, dict | list):
            break
        path.append(step)
        try:
            node = node[step]
        except (KeyError, IndexError, TypeError):
            node = None
    return tuple(path)


def _line(name: str, line: int, path: KeyPath, text: str) -> str:
    key = ".".join(map(str, path))
    return f"{name}:{line}: {key}: {text}" if key else f"{name}:{line}: {text}"
