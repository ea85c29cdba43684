"""Reads a configuration file: YAML, references, schema, machine. Every fault comes out in one ConfigError."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from pydantic import BaseModel, TypeAdapter, ValidationError

from broadcaster import registry
from broadcaster.config import references
from broadcaster.config.checks import find_avatar, machine_findings
from broadcaster.config.explain import explain, is_secret, key_path
from broadcaster.config.files import stamps
from broadcaster.config.models import Config
from broadcaster.config.persona import MANIFEST, avatar_engine, avatar_voice, with_avatar_voice
from broadcaster.config.sinks import FileSink, NullSink, PreviewSink, RtmpSink, SinkConfig
from broadcaster.config.yamlfile import MAX_BYTES, Document, KeyPath, Problem, read_yaml
from broadcaster.errors import ConfigError

SHORT_TOKEN: Final = 16
"""A shorter token can be guessed."""

_SINK: Final[TypeAdapter[SinkConfig]] = TypeAdapter(SinkConfig)
_SINK_TYPES: Final[dict[str, type[BaseModel]]] = {
    "rtmp": RtmpSink,
    "file": FileSink,
    "preview": PreviewSink,
    "null": NullSink,
}


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """A valid configuration, its file, what is doubtful about it, and its text with references unresolved.

    `files` tells for each section in which state the files are that it names (see `config.files`).
    """

    config: Config
    path: Path | None = None
    warnings: tuple[str, ...] = ()
    text: str = field(default="", repr=False)
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def base(self) -> Path | None:
        """Folder that relative paths of the configuration start at."""
        return self.path.absolute().parent if self.path else None


def find_config(given: Path | None = None, env: Mapping[str, str] = os.environ) -> Path:
    """The file to read: `given`, else $BROADCASTER_CONFIG, else ./config.yaml, else /etc/broadcaster/config.yaml."""
    if given is not None:
        return given
    if env.get("BROADCASTER_CONFIG"):
        return Path(env["BROADCASTER_CONFIG"])
    usual = [Path("config.yaml"), Path("/etc/broadcaster/config.yaml")]
    for path in usual:
        if path.is_file():
            return path
    raise ConfigError(
        f"there is no configuration (looked for {' and '.join(map(str, usual))}) -> "
        "name one with -c FILE or $BROADCASTER_CONFIG"
    )


def load_config(path: Path | None, text: str | None = None, env: Mapping[str, str] = os.environ) -> LoadedConfig:
    """The configuration in `text`, or in the file at `path` if there is no text (neither: all defaults).

    Raises ConfigError with one line per fault: `config.yaml:12: sinks.0.url: what is wrong -> what to do`.
    """
    source = str(path) if path else "configuration"
    if text is None:
        text = _read(path) if path else ""
    document = read_yaml(text)
    problems = list(document.problems)
    base = path.absolute().parent if path else None
    config: Config | None = None
    warnings: list[Problem] = []
    if document.data is None:
        document.data = {}
    if not isinstance(document.data, dict):
        problems.append(Problem("must be keys with values -> compare with the shipped config.yaml", (), 1))
    elif not (problems and not document.data):
        resolved, unresolved = _resolve(document.data, (), env)
        broken = {problem.path for problem in (*document.problems, *unresolved)}
        problems += unresolved
        try:
            config = Config.model_validate(resolved, context={"base": base})
        except ValidationError as err:
            problems += [p for p in _explained(err, resolved, document.data) if p.path not in broken]
        problems += [Problem(said, key) for key, said in machine_findings(resolved, base) if key not in broken]
        warnings = list(_warnings(document.data, config))
        if config is not None and not problems:
            try:
                config = _with_persona(config, base)
            except ValueError as err:
                problems.append(Problem(str(err), ("avatar",)))
    if problems or config is None:
        raise ConfigError(*_lines(source, document, problems))
    return LoadedConfig(config, path, tuple(_lines(source, document, warnings)), text, stamps(config))


def _with_persona(config: Config, base: Path | None) -> Config:
    """What `voice` and `head` leave open, taken from the avatar. Raises ValueError if that is wrong."""
    folder = find_avatar(config.avatar, base)
    voice = with_avatar_voice(config.voice, avatar_voice(folder))
    head = config.head
    if not head.engine and (engine := avatar_engine(folder)):
        problem = registry.problem_with(registry.HEADS, engine, "head engine")
        if problem:
            raise ValueError(f"{folder / MANIFEST}: engine: {problem}")
        head = head.model_copy(update={"engine": engine})
    return config.model_copy(update={"voice": voice, "head": head})


def resolve_settings(settings: Mapping[str, object], env: Mapping[str, str] = os.environ) -> dict[str, object]:
    """A sink's settings from an operator on this machine, references resolved. Raises ConfigError."""
    resolved, problems = _resolve(dict(settings), (), env)
    if problems:
        raise ConfigError(*map(_of_sink, problems))
    return dict(resolved)


def parse_sink(settings: Mapping[str, object], base: Path | None = None) -> SinkConfig:
    """One sink from resolved settings; relative paths start at `base`.

    Raises ConfigError with one line per fault: `sink.url: what is wrong -> what to do`.
    """
    data = dict(settings)
    root: type[BaseModel] = _SINK_TYPES.get(str(data.get("type")), RtmpSink)
    try:
        return _SINK.validate_python(data, context={"base": base})
    except ValidationError as err:
        raise ConfigError(*map(_of_sink, _explained(err, data, data, root))) from None


def _of_sink(problem: Problem) -> str:
    return f"{'.'.join(('sink', *map(str, problem.path)))}: {problem.text}"


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ConfigError(f"{path}: larger than {MAX_BYTES} bytes -> it is probably not a configuration")
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as err:
        raise ConfigError(f"{path}: not UTF-8 text (byte {err.start}) -> save it as UTF-8") from None
    except OSError as err:
        raise ConfigError(
            f"{path}: cannot be read ({err.strerror}) -> check the path, or name a file with -c"
        ) from err


def _lines(source: str, document: Document, problems: list[Problem]) -> list[str]:
    """Faults as lines, in the order of the file."""
    placed = sorted(((p.line or document.line(p.path), p) for p in problems), key=lambda pair: pair[0])
    lines = []
    for line, problem in placed:
        key = ".".join(map(str, problem.path))
        lines.append(f"{source}:{line}: {key}: {problem.text}" if key else f"{source}:{line}: {problem.text}")
    return list(dict.fromkeys(lines))


def _resolve(node: Any, path: KeyPath, env: Mapping[str, str]) -> tuple[Any, list[Problem]]:
    """`node` with references replaced. A string that cannot be resolved stays as it is and is listed."""
    problems: list[Problem] = []
    if isinstance(node, str):
        try:
            return references.resolve(node, env), []
        except ValueError as err:
            return node, [Problem(str(err), path)]
    if isinstance(node, dict):
        mapping = {}
        for key, value in node.items():
            mapping[key], found = _resolve(value, (*path, key), env)
            problems += found
        return mapping, problems
    if isinstance(node, list):
        items = []
        for index, value in enumerate(node):
            item, found = _resolve(value, (*path, index), env)
            items.append(item)
            problems += found
        return items, problems
    return node, problems


def _explained(
    err: ValidationError, resolved: Any, written: Any, root: type[BaseModel] = Config
) -> Iterator[Problem]:
    for error in err.errors(include_url=False, include_input=False):
        path = key_path(error["loc"], resolved)
        value = None if is_secret(path, resolved, root) else _at(written, path)
        shown = str(value) if isinstance(value, str | int | float) else None
        yield Problem(explain(error, path, resolved, shown, root), path)


def _at(node: Any, path: KeyPath) -> Any:
    for step in path:
        try:
            node = node[step]
        except (KeyError, IndexError, TypeError):
            return None
    return node


def _warnings(data: dict[str, Any], config: Config | None) -> Iterator[Problem]:
    for path, value in _strings(data, ()):
        if value and is_secret(path, data) and not references.has_reference(value) and _holds_secret(path, value):
            yield Problem(
                "a secret stands in the file, for everybody who can read it -> "
                'write "${NAME}", "${credential:NAME}" or "${file:/path}" instead',
                path,
            )
    if config is None:
        return
    for role in ("viewer", "moderator", "operator"):
        token = getattr(config.console.tokens, role)
        if token is not None and len(token.get_secret_value()) < SHORT_TOKEN:
            yield Problem(
                f"the token is shorter than {SHORT_TOKEN} characters -> make one with `openssl rand -hex 16`",
                ("console", "tokens", role),
            )
    for index, sink in enumerate(config.sinks):
        if isinstance(sink, RtmpSink) and sink.key is not None and not sink.configured:
            yield Problem("there is a stream key but no address -> set url", ("sinks", index, "url"))


def _strings(node: Any, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    if isinstance(node, str):
        yield path, node
    elif isinstance(node, dict | list):
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            yield from _strings(value, (*path, key))


def _holds_secret(path: KeyPath, value: str) -> bool:
    """An RTMP address is secret only if the key follows its application; the address of a voice only if it has a
    password or a query; everything else is secret whole."""
    if path[-1] not in ("url", "backup_url"):
        return True
    try:
        parts = urlsplit(value)
    except ValueError:
        return True
    keyed = path[0] == "sinks" and len(parts.path.strip("/").split("/")) > 1
    return keyed or bool(parts.query or parts.password)
