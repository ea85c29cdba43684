"""Turns pydantic's errors into sentences with a remedy, and never repeats a secret. No I/O."""

from __future__ import annotations

import difflib
from typing import Any, get_args

from pydantic import BaseModel, SecretStr
from pydantic_core import ErrorDetails

from broadcaster.config.models import Config
from broadcaster.config.yamlfile import KeyPath
from broadcaster.registry import BRAINS, END_TO_END, LOCAL_VOICES, SINKS, SOURCES, VOICES

LONGEST_ECHO = 40
"""A longer value would hide what the message says."""

_ENGINES: dict[KeyPath, tuple[str, str, tuple[str, ...]]] = {
    ("voice",): ("voice", "a voice of the chain", tuple(dict.fromkeys((*VOICES, *LOCAL_VOICES)))),
    ("brain", "chain"): ("brain", "a brain of the chain", tuple(BRAINS)),
    ("brain", "end_to_end"): ("end-to-end", "an end-to-end voice", tuple(END_TO_END)),
}
"""Lists whose items say which engine they are: what an engine is called, what an item is, the engines."""


def key_path(location: tuple[int | str, ...], data: Any) -> KeyPath:
    """pydantic's location without the union tags ("sinks", 0, "rtmp", "url") that no file contains."""
    path: list[int | str] = []
    node = data
    for step in location:
        if isinstance(node, dict) and step not in node and step in (node.get("type"), node.get("engine")):
            continue
        path.append(step)
        try:
            node = node[step]
        except (KeyError, IndexError, TypeError):
            node = None
    return tuple(path)


def model_at(path: KeyPath, data: Any, root: type[BaseModel] = Config) -> type[BaseModel] | None:
    """The section that `path` leads to, as far as `data` says which; None for anything but a section."""
    model: type[BaseModel] | None = root
    node = data
    for step in path:
        try:
            node = node[step]
        except (KeyError, IndexError, TypeError):
            node = None
        if isinstance(step, int):
            continue
        field = model.model_fields.get(step) if model else None
        models = _models_in((field.annotation, *field.metadata)) if field else []
        model = models[0] if len(models) == 1 else None
        if len(models) > 1:
            model = _Choice(models).pick(data, path)
    return model


class _Choice:
    """One of several models told apart by `type` (sinks) or `engine` (links of the voice chain)."""

    def __init__(self, models: list[type[BaseModel]]) -> None:
        self._models = models

    def pick(self, data: Any, path: KeyPath) -> type[BaseModel] | None:
        node = data
        for step in path:
            try:
                node = node[step]
            except (KeyError, IndexError, TypeError):
                return None
            if isinstance(node, dict) and isinstance(step, int):
                return next((model for model in self._models if _is_kind(model, node)), None)
        return None


def _is_kind(model: type[BaseModel], node: dict[str, Any]) -> bool:
    tag = "type" if "type" in model.model_fields else "engine"
    return bool(model.model_fields[tag].default == node.get(tag))


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    parts = annotation if isinstance(annotation, tuple) else get_args(annotation)
    return [model for part in parts for model in _models_in(part)]


def is_secret(path: KeyPath, data: Any, root: type[BaseModel] = Config) -> bool:
    """Whether the schema keeps the value at `path` secret. What the schema does not know counts as secret."""
    names = [index for index, step in enumerate(path) if isinstance(step, str)]
    if not names:
        return False
    last = names[-1]
    model = model_at(path[:last], data, root)
    field = model.model_fields.get(str(path[last])) if model else None
    return field is None or _holds_secret(field.annotation)


def _tagged(context: dict[str, Any]) -> str:
    """The type that was written, if it is a word."""
    named = str(context.get("tag", ""))
    return f", and not {named!r}" if named.isidentifier() and len(named) <= LONGEST_ECHO else ""


def _holds_secret(annotation: Any) -> bool:
    return annotation is SecretStr or any(map(_holds_secret, get_args(annotation)))


def explain(
    error: ErrorDetails, path: KeyPath, data: Any, written: str | None, root: type[BaseModel] = Config
) -> str:
    """What is wrong and what to do, for one pydantic error; `written` is the file's value if it may be shown."""
    kind = error["type"]
    context = error.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown_key(path, data, root)
    if kind == "value_error":
        said = error["msg"].removeprefix("Value error, ")
        return said if " -> " in said else f"{said} -> see docs/configuration.md"
    shown = f", and not {written!r}" if written is not None and len(written) <= LONGEST_ECHO else ""
    if kind == "missing":
        return "is missing -> add it; the shipped config.yaml has an example"
    if kind in ("union_tag_not_found", "union_tag_invalid"):
        for place, (what, item, known) in _ENGINES.items():
            if path[: len(place)] == place:
                named = str(context.get("tag", ""))
                near = difflib.get_close_matches(named, known, n=1, cutoff=0.6)
                if near and named.isidentifier():
                    return f"there is no {what} engine {named!r} -> did you mean {near[0]}?"
                return f"{item} needs an engine -> write engine: and one of {', '.join(known)}"
        what, types = ("source", ", ".join(SOURCES)) if path[:1] == ("sources",) else ("sink", ", ".join(SINKS))
        return f"a {what} needs a type that is known{_tagged(context)} -> write type: and one of {types}"
    if kind == "literal_error":
        return f"must be {context.get('expected')}{shown} -> choose one of them"
    if kind == "string_pattern_mismatch":
        return f'must be at most 32 of a-z, 0-9, "-" and "_", and begin with a letter or digit{shown} -> rename it'
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        return "must be a section with keys of its own -> indent its keys below it"
    if kind == "list_type":
        return "must be a list -> begin every item with '- '"
    if kind == "string_type":
        return "must be text -> put it in quotes"
    if kind == "too_short" and context.get("min_length") == 1:
        return "must not be empty -> write at least one, or take the key out for the default"
    said = error["msg"].removeprefix("Input should be ").removeprefix("a valid ")
    for clumsy, plain in (
        ("integer, unable to parse string as an integer", "whole number"),
        ("boolean, unable to interpret input", "true or false"),
    ):
        said = said.replace(clumsy, plain)
    return f"must be {said}{shown} -> see docs/configuration.md for what it means"


def _unknown_key(path: KeyPath, data: Any, root: type[BaseModel]) -> str:
    model = model_at(path[:-1], data, root)
    known = list(model.model_fields) if model else []
    near = difflib.get_close_matches(str(path[-1]), known, n=1, cutoff=0.6)
    if near:
        return f"unknown key -> did you mean {near[0]}?"
    return f"unknown key -> remove it, or use one of: {', '.join(known)}" if known else "unknown key -> remove it"
