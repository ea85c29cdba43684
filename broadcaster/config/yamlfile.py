"""Reads a YAML text into plain data with the line of every key. No I/O.

Narrower than YAML 1.1, whose surprises cost a broadcaster air time: only `true` and `false` are booleans (so
`on:` is a key), there are no dates and no sexagesimal numbers, a key may stand only once, and neither
aliases nor tags are accepted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

KeyPath = tuple[str | int, ...]

MAX_BYTES: Final = 1_048_576
"""A configuration of more than a megabyte is some other file."""

MAX_DEPTH: Final = 20
"""The schema is five levels deep; deeper input only costs stack."""

_INT: Final = re.compile(r"[-+]?\d{1,18}", re.ASCII)
_FLOAT: Final = re.compile(r"[-+]?(\d{1,18}\.\d{0,18}|\.\d{1,18}|\d{1,18})([eE][-+]?\d{1,3})?", re.ASCII)
_CONSTANTS: Final = {"": None, "~": None, "null": None, "true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault: `line` from 1 (0: unknown), `path` from the root, `text` is "what is wrong -> what to do"."""

    text: str
    path: KeyPath = ()
    line: int = 0


@dataclass(slots=True)
class Document:
    """`data` is plain Python; `lines` has the line of every key and item; `problems` what was wrong with it."""

    data: Any = None
    lines: dict[KeyPath, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def line(self, path: KeyPath) -> int:
        """Line of `path`, or of the nearest key around it that is written down."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def read_yaml(text: str) -> Document:
    """Never raises for bad input: what is wrong is in `problems` of the answer."""
    document = Document()
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as err:
        line = err.problem_mark.line + 1 if err.problem_mark else 0
        document.problems.append(Problem(f"not valid YAML: {_plain(err)} -> check indentation and quotes", (), line))
    except yaml.YAMLError as err:
        document.problems.append(Problem(f"not valid YAML: {_plain(err)} -> save the file as plain UTF-8 text"))
    except RecursionError:
        document.problems.append(Problem("nested too deeply -> compare with the shipped config.yaml"))
    else:
        if root is not None:
            document.data = _Reader(document).value(root, ())
    return document


def _plain(err: yaml.YAMLError) -> str:
    """PyYAML's complaint without the excerpt and the names it quotes, which may hold a secret."""
    if isinstance(err, yaml.MarkedYAMLError):
        said = str(err.problem or err.context or "unreadable")
    elif isinstance(err, yaml.reader.ReaderError):
        said = "a character that is not allowed in YAML"
    else:
        said = "unreadable"
    return re.sub(r"(['\"])(.*?)\1", lambda quoted: quoted.group() if _harmless(quoted.group(2)) else "...", said)


def _harmless(quoted: str) -> bool:
    """A single sign, or the name of a token."""
    return len(quoted) < 2 or quoted.startswith("<")


class _Reader:
    """Turns PyYAML's nodes into plain data, noting lines and faults in `document`."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._seen: set[int] = set()

    def value(self, node: yaml.Node, path: KeyPath) -> Any:
        line = node.start_mark.line + 1
        self._document.lines.setdefault(path, line)
        if id(node) in self._seen:
            return self._fault("aliases (*name) are not accepted -> write the value out", path, line)
        self._seen.add(id(node))
        if len(path) > MAX_DEPTH:
            return self._fault("nested too deeply -> compare with the shipped config.yaml", path, line)
        if isinstance(node, yaml.MappingNode) and node.tag == "tag:yaml.org,2002:map":
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag == "tag:yaml.org,2002:seq":
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode) and (node.tag in _IMPLICIT or node.style is not None):
            if node.tag not in _IMPLICIT:
                return self._fault("tags (!name) are not accepted -> remove it", path, line)
            return _scalar(node)
        return self._fault("tags (!name) are not accepted -> remove it", path, line)

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                self._fault("a key must be a word -> compare with the shipped config.yaml", path, line)
                continue
            key = str(key_node.value)
            if key in mapping:
                first = self._document.lines[(*path, key)]
                self._fault(
                    f"the key stands here a second time (first in line {first}) -> keep one", (*path, key), line
                )
                continue
            self._document.lines[(*path, key)] = line
            mapping[key] = self.value(value_node, (*path, key))
        return mapping

    def _fault(self, text: str, path: KeyPath, line: int) -> None:
        self._document.problems.append(Problem(text, path, line))


_IMPLICIT: Final = frozenset(
    f"tag:yaml.org,2002:{name}" for name in ("str", "null", "bool", "int", "float", "timestamp", "merge", "value")
)


def _scalar(node: yaml.ScalarNode) -> Any:
    text = str(node.value)
    if node.style is not None:
        return text
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text
