"""The documents name only what exists: commands, options, keys, metrics, files; and both readmes say the same."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from broadcaster.cli.main import app
from broadcaster.config import AlarmEdge
from broadcaster.errors import SinkFailure

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)


def commands(page: str) -> Iterator[list[str]]:
    """The words of every line that calls `broadcaster`."""
    for block in blocks(page, "console"):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line.removeprefix("$ "), comments=True)
            if words and words[0].rpartition("/")[2] == "broadcaster":
                yield words[1:]


def test_the_pages_are_there() -> None:
    assert {
        "README.md", "README.zh-CN.md", "CHANGELOG.md", "CONTRIBUTING.md",
        "docs/configuration.md", "docs/operations.md", "docs/architecture.md", "docs/adapters.md", "docs/voices.md",
    } <= set(NAMES)  # fmt: skip


@pytest.mark.parametrize("page", NAMES)
def test_links_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text()
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
        if "://" not in target:
            assert ((ROOT / page).parent / target).exists(), target


@pytest.mark.parametrize("page", NAMES)
def test_commands_and_their_options_exist(page: str) -> None:
    for words in commands(page):
        command: Any = get_command(app)
        rest = list(words)
        while rest and rest[0] in getattr(command, "commands", {}):
            command = command.commands[rest.pop(0)]
        assert not hasattr(command, "commands"), words
        known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
        used = {word.partition("=")[0] for word in rest if re.match(r"--?[a-z]", word)}
        assert used <= known, words


def test_the_readmes_show_every_command_that_people_start_with() -> None:
    shown = {words[0] for words in commands("README.md")}
    assert {"say", "ask", "interrupt", "panic", "status"} <= shown


@pytest.mark.parametrize("page", NAMES)
def test_files_that_are_named_exist(page: str) -> None:
    named = re.findall(
        r"`((?:broadcaster|sinks|sources|tests|docs|avatars|playlists|systemd|bench|\.ci)/[\w./@*-]*)`",
        (ROOT / page).read_text(),
    )
    for name in named:
        assert list(ROOT.glob(name.rstrip("/"))), name


@pytest.mark.parametrize("page", NAMES)
def test_make_targets_exist(page: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for target in re.findall(r"(?:^\$ |`)make ([a-z]+)", (ROOT / page).read_text(), re.MULTILINE):
        assert target in targets, target


def test_every_alarm_and_every_sink_failure_is_explained() -> None:
    operations = (ROOT / "docs/operations.md").read_text()
    for edge in AlarmEdge.__args__:  # type: ignore[attr-defined]
        assert f"`{edge}`" in operations, edge
    adapters = (ROOT / "docs/adapters.md").read_text()
    for kind in SinkFailure:
        assert f"`{kind.name}`" in adapters, kind


def test_both_readmes_say_the_same() -> None:
    english, chinese = "README.md", "README.zh-CN.md"
    assert blocks(english, "console") == blocks(chinese, "console")
    shapes = []
    for page in (english, chinese):
        text = (ROOT / page).read_text()
        links = set(re.findall(r"\]\(([^)]+)\)", text)) - {english, chinese}
        shapes.append((text.count("\n## "), len(re.findall(r"^\|", text, re.MULTILINE)), links))
    assert shapes[0] == shapes[1]


def test_what_plugs_in_is_what_the_registry_holds() -> None:
    from broadcaster import registry

    text = (ROOT / "README.md").read_text()
    for table, hidden in (
        (registry.SINKS, set()),
        (registry.SOURCES, set()),
        (registry.HEADS, set()),
        (registry.BRAINS, set()),
        (registry.SYNTHESISERS, {"tone"}),
        (registry.VOICES, set()),
        (registry.LOCAL_VOICES, set()),
    ):
        for name in set(table) - hidden:
            assert f"`{name}`" in text, name


def test_the_examples_of_the_voices_page_are_accepted(tmp_path: Path) -> None:
    from broadcaster.config import Config
    from broadcaster.config.persona import AvatarVoice
    from broadcaster.config.references import resolve
    from broadcaster.speech.reading.lexicon import Lexicon

    chain, avatar, words = blocks("docs/voices.md", "yaml")
    config = Config.model_validate(yaml.safe_load(resolve(chain, {"DASHSCOPE_API_KEY": "k"})))
    assert [link.label for link in config.voice.chain] == ["dashscope", "backup"]
    assert AvatarVoice.model_validate(yaml.safe_load(avatar)["voice"]).zh in zh_voices()
    (tmp_path / "words.yaml").write_text(words)
    assert len(Lexicon.load(tmp_path / "words.yaml").entries) == len(yaml.safe_load(words)["words"])


def zh_voices() -> set[str]:
    from broadcaster.speech.kokoro import VOICES

    return {name for name in VOICES if name.startswith("z")}


def test_every_engine_has_its_row_and_its_traps_on_the_voices_page() -> None:
    from broadcaster import registry

    text = (ROOT / "docs/voices.md").read_text()
    for engine in {*registry.VOICES, *registry.LOCAL_VOICES}:
        assert f"| `{engine}` |" in text
        assert f"- **`{engine}`**" in text
    for engine, (_, extra) in registry.EXTRAS.items():
        if ".speech." in engine:
            assert f"extra `{extra}`" in text
