"""A script for `render`: what to say, what to ask, when to be silent; text or YAML. Pure but for `load_script`.

Text: one step per line. A line is said as it stands; `ask: ...` is answered by the brain, `pause: 2.5` is silence
in seconds, `say: ...` is for lines that would look like one of these; `#` begins a comment line.

YAML (`.yaml`, `.yml`): a list of the same steps: `- a sentence`, `- say: ...`, `- ask: ...`, `- pause: 2.5`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

from broadcaster.errors import ConfigError
from broadcaster.types import PromptKind

MAX_TEXT: Final = 20_000
MAX_PAUSE_S: Final = 3600.0
MAX_STEPS: Final = 100_000

_STEP: Final = re.compile(r"^(say|ask|pause)\s*[:：]\s*(.*)$", re.IGNORECASE)
_REMEDY: Final = 'write a sentence, or "say: ...", "ask: ..." or "pause: seconds"'


@dataclass(frozen=True, slots=True)
class Speech:
    """A prompt of the script; `line` is where it stands."""

    kind: PromptKind
    text: str
    line: int


@dataclass(frozen=True, slots=True)
class Pause:
    """Silence for `seconds` after what was said before."""

    seconds: float
    line: int


Step = Speech | Pause


def load_script(path: Path) -> list[Step]:
    """Raises ConfigError that names file, line, what is wrong and what to do; all faults at once."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as err:
        raise ConfigError(f"{path}: not UTF-8 text (byte {err.start}) -> save it as UTF-8") from err
    except OSError as err:
        raise ConfigError(f"{path}: {err.strerror} -> name a script file that can be read") from err
    return parse_script(text, str(path), as_yaml=path.suffix.lower() in (".yaml", ".yml"))


def parse_script(text: str, name: str = "script", *, as_yaml: bool = False) -> list[Step]:
    """As `load_script`; `name` stands for the file in errors."""
    problems: list[str] = []
    steps: list[Step] = []
    for line, key, value in _yaml_entries(text, name) if as_yaml else _text_entries(text):
        try:
            steps.append(_step(key, value, line))
        except ValueError as err:
            problems.append(f"{name}: line {line}: {err}")
    if not steps and not problems:
        problems.append(f"{name}: there is nothing in it -> {_REMEDY}")
    if len(steps) > MAX_STEPS:
        problems.append(f"{name}: {len(steps)} steps; at most {MAX_STEPS} can be rendered -> split it")
    if problems:
        raise ConfigError(*problems)
    return steps


def _text_entries(text: str) -> Iterator[tuple[int, str, str]]:
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        match = _STEP.match(stripped)
        yield (number, match[1].lower(), match[2].strip()) if match else (number, "say", stripped)


def _yaml_entries(text: str, name: str) -> Iterator[tuple[int, str, str]]:
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as err:
        mark = getattr(err, "problem_mark", None)
        where = f"line {mark.line + 1}" if mark is not None else "the file"
        raise ConfigError(f"{name}: {where}: not YAML: {getattr(err, 'problem', None) or 'unreadable'}") from err
    if root is None:
        return
    if not isinstance(root, yaml.SequenceNode):
        raise ConfigError(f"{name}: line {root.start_mark.line + 1}: not a list -> begin every step with a dash")
    for node in root.value:
        yield _yaml_entry(node)


def _yaml_entry(node: yaml.Node) -> tuple[int, str, str]:
    line = node.start_mark.line + 1
    if isinstance(node, yaml.ScalarNode):
        return line, "say", node.value.strip()
    if isinstance(node, yaml.MappingNode) and len(node.value) == 1:
        key, value = node.value[0]
        if isinstance(key, yaml.ScalarNode) and isinstance(value, yaml.ScalarNode):
            return line, key.value.strip(), value.value.strip()
    return line, "", ""


def _step(key: str, value: str, line: int) -> Step:
    if key == "pause":
        return Pause(_seconds(value), line)
    if key not in ("say", "ask"):
        what = f"there is no step {key!r}" if key else "not one step"
        raise ValueError(f"{what} -> {_REMEDY}")
    if not value:
        raise ValueError(f"{key} has no text -> write what to {key} behind it")
    if len(value) > MAX_TEXT:
        raise ValueError(f"{len(value)} characters; at most {MAX_TEXT} -> split it")
    return Speech(PromptKind(key), value, line)


def _seconds(value: str) -> float:
    try:
        seconds = float(value.removesuffix("s").strip())
    except ValueError:
        raise ValueError("pause needs a number of seconds -> write for example pause: 1.5") from None
    if not 0 <= seconds <= MAX_PAUSE_S:
        raise ValueError(f"a pause lasts between 0 and {MAX_PAUSE_S:.0f} seconds")
    return seconds
