"""Checks a configuration against the machine: engines, folders, files. Looks, and changes nothing."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import broadcaster
from broadcaster import registry
from broadcaster.config.base import config_path
from broadcaster.config.models import Config
from broadcaster.config.yamlfile import KeyPath
from broadcaster.errors import ConfigError
from broadcaster.paths import channel_paths

Finding = tuple[KeyPath, str]

TEXT_FILES: Final = (
    *(("brain", key) for key in ("persona", "knowledge", "programme", "phrases")),
    ("moderation", "words"),
)
FOLDERS: Final = ("knowledge", "words")
"""Of those, which may also be folders."""


def avatar_folders(name: str, base: Path | None) -> list[Path]:
    """Where an avatar may lie, in the order of search: beside the configuration, then where the program lies."""
    if "/" in name or name.startswith("~"):
        return [config_path(Path(name), base)]
    parents = [Path(broadcaster.__file__).parent.parent, Path(sys.prefix, "share/broadcaster")]
    if base is not None:
        parents.insert(0, base)
    return list(dict.fromkeys(parent / "avatars" / name for parent in parents))


def find_avatar(name: str, base: Path | None) -> Path:
    """Folder of the avatar (it holds avatar.yaml). Raises ConfigError."""
    folders = avatar_folders(name, base)
    for folder in folders:
        if (folder / "avatar.yaml").is_file():
            return folder
    raise ConfigError(
        f"there is no avatar {name!r} (looked for avatar.yaml in {', '.join(map(str, folders))}) -> "
        "name a folder under avatars/, such as host"
    )


def machine_findings(data: dict[str, Any], base: Path | None) -> Iterator[Finding]:
    """What this machine lacks for `data`, the file's content with references resolved.

    Works on data that the schema may have refused elsewhere, so that every fault comes out in one run.
    """
    yield from _engines(data)
    yield from _chains(data)
    yield from _sources(data, base)
    avatar = data.get("avatar", Config.model_fields["avatar"].default)
    if isinstance(avatar, str):
        try:
            find_avatar(avatar, base)
        except ConfigError as err:
            yield ("avatar",), str(err)
    yield from _state(data, base)
    yield from _journal(data)
    for section, key in (*TEXT_FILES, ("voice", "model"), ("voice", "lexicon")):
        name = _text(data, section, key)
        path = config_path(Path(name), base) if name else None
        if path and not (path.is_file() or (key in FOLDERS and path.is_dir())):
            yield (section, key), f"there is no file {path} -> check the path"
    sinks = data.get("sinks")
    for index, sink in enumerate(sinks if isinstance(sinks, list) else []):
        if isinstance(sink, dict) and sink.get("type") == "file" and sink.get("enabled", True) is True:
            directory = sink.get("directory")
            problem = _not_writable(config_path(Path(directory), base)) if isinstance(directory, str) else None
            if problem:
                yield ("sinks", index, "directory"), problem


def _engines(data: dict[str, Any]) -> Iterator[Finding]:
    tables = (
        ("voice", registry.SYNTHESISERS, "voice engine"),
        ("head", registry.HEADS, "head engine"),
    )
    for section, table, kind in tables:
        name = _text(data, section, "engine")
        problem = registry.problem_with(table, name, kind) if name else None
        if problem:
            yield (section, "engine"), problem


CHAINS: Final = (
    ("voice", "chain", {**registry.VOICES, **registry.LOCAL_VOICES}, "voice"),
    ("brain", "chain", registry.BRAINS, "brain"),
    ("brain", "end_to_end", registry.END_TO_END, "end-to-end voice"),
)
KEYED: Final = frozenset({"dashscope", "qwen_tts", "dify", "qwen_omni"})
"""Engines that do nothing without a key."""


def _chains(data: dict[str, Any]) -> Iterator[Finding]:
    """What the links lack that are to be used; the schema judges their keys."""
    for section, key, table, kind in CHAINS:
        part = data.get(section)
        chain = part.get(key) if isinstance(part, dict) else None
        for index, link in enumerate(chain if isinstance(chain, list) else []):
            if isinstance(link, dict) and not _is_off(link.get("enabled", True)):
                yield from _link((section, key, index), link, table, kind)


def _link(at: KeyPath, link: dict[str, Any], table: registry.Table, kind: str) -> Iterator[Finding]:
    engine = link.get("engine")
    if isinstance(engine, str):  # the schema says so otherwise
        problem = registry.problem_with(table, engine, kind) if engine in table else None
        if problem:
            yield (*at, "engine"), problem
        if link.get("api_key") == "" and engine in KEYED:
            yield (*at, "api_key"), "there is no key -> set the variable it refers to, or the link's enabled: false"


SOURCE_KEYS: Final = {
    "bilibili": ("access_key_id", "access_key_secret", "code"),
    "douyin": ("app_secret", "push_secret"),
}
"""What a source does nothing without, by its type."""


def _sources(data: dict[str, Any], base: Path | None) -> Iterator[Finding]:
    sources = data.get("sources")
    for index, source in enumerate(sources if isinstance(sources, list) else []):
        if not isinstance(source, dict) or _is_off(source.get("enabled", True)):
            continue
        at: KeyPath = ("sources", index)
        kind = source.get("type")
        known = isinstance(kind, str) and kind in registry.SOURCES
        problem = registry.problem_with(registry.SOURCES, str(kind), "source") if known else None
        if problem:
            yield (*at, "type"), problem
        for key, found in (("file", _no_file), ("record", _not_writable)):
            name = source.get(key)
            problem = found(config_path(Path(name), base)) if isinstance(name, str) and name else None
            if problem:
                yield (*at, key), problem
        for key in SOURCE_KEYS.get(str(source.get("type")), ()):
            if source.get(key) == "":
                remedy = "set the variable it refers to, or the source's enabled: false"
                yield (*at, key), f"it is empty -> {remedy}"


def _state(data: dict[str, Any], base: Path | None) -> Iterator[Finding]:
    channel = data.get("channel", Config.model_fields["channel"].default)
    state_dir = data.get("state_dir")
    if not isinstance(channel, str) or "/" in channel or not (state_dir is None or isinstance(state_dir, str)):
        return
    key: KeyPath = ("state_dir",)
    try:
        paths = channel_paths(channel, config_path(Path(state_dir), base) if state_dir else None)
    except ConfigError as err:
        yield key, str(err).removeprefix("state_dir: ").replace("; choose", " -> choose")
        return
    for folder in (paths.state, paths.run, paths.cache):
        problem = _not_writable(folder)
        if problem:
            yield key, problem
            return


def _journal(data: dict[str, Any]) -> Iterator[Finding]:
    if _text(data, "journal", "url") and importlib.util.find_spec("pg8000") is None:
        yield ("journal", "url"), "a database needs the package pg8000 -> pip install 'broadcaster[postgresql]'"


def _no_file(path: Path) -> str | None:
    return None if path.is_file() else f"there is no file {path} -> check the path"


def _not_writable(folder: Path) -> str | None:
    """Why files cannot be written below `folder`, which may not exist yet."""
    existing = folder
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    if not existing.is_dir():
        return f"{existing} is not a folder -> choose another path, or remove it"
    if not os.access(existing, os.W_OK | os.X_OK):
        return (
            f"{folder} cannot be written (no permission for {existing}) -> change its owner, or choose another path"
        )
    return None


def _is_off(enabled: object) -> bool:
    """As pydantic reads it; a reference always gives text."""
    return str(enabled).lower() in ("false", "f", "0", "off", "no", "n")


def _text(data: dict[str, Any], section: str, key: str) -> str | None:
    part = data.get(section)
    value = part.get(key) if isinstance(part, dict) else None
    return value if isinstance(value, str) and value else None
