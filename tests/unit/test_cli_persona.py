"""`broadcaster persona`: a draft is checked and stored whole or not at all, and what a model is told is printed."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from broadcaster.brain.drafting import draft, yaml_in
from broadcaster.brain.persona import load_persona
from broadcaster.cli.main import main
from broadcaster.errors import BrainError
from broadcaster.types import Turn, Usage
from tests.fakes.llm_server import LlmServer

pytestmark = pytest.mark.unit

CANARY = "sk-4711-c4n4ryk3y"
CLOSED = "http://127.0.0.1:9/v1"
SHIPPED = Path(__file__).parents[2]
CLOUD = "name: 云朵\nrole: 天气主持人\ntopics:\n  - 云\nlength: 2\nlanguage: zh\n"

Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def home(short_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(short_dir)
    shutil.copytree(SHIPPED / "avatars/host", short_dir / "avatars/host")
    configure(short_dir)
    return short_dir


def configure(home: Path, *links: dict[str, Any], **brain: Any) -> None:
    config = {"state_dir": str(home), "voice": {"engine": "tone"}, "brain": {"chain": list(links), **brain}}
    (home / "config.yaml").write_text(yaml.safe_dump(config, allow_unicode=True))


def model(url: str, **keys: Any) -> dict[str, Any]:
    return {"engine": "openai", "base_url": url, "api_key": CANARY, "model": "m", **keys}


@pytest.fixture
def cli(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["broadcaster", "persona", *arguments, "-c", str(home / "config.yaml")])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        assert CANARY not in said.out + said.err
        return int(ended.value.code or 0), said.out, said.err

    return run


@contextmanager
def serving(server: LlmServer) -> Iterator[LlmServer]:
    """A model in a loop and a thread of its own: the command has the main one."""
    loop, up, stop = asyncio.new_event_loop(), threading.Event(), asyncio.Event()

    async def run() -> None:
        async with server:
            up.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),))
    thread.start()
    try:
        assert up.wait(10)
        yield server
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()


# -- write ----------------------------------------------------------------------------------------------------------


def test_the_draft_of_the_model_is_shown_and_stored(cli: Cli, home: Path) -> None:
    with serving(LlmServer(["好的：\n```yaml\n", CLOUD, "```\n希望您喜欢。"])) as server:
        configure(home, model("http://127.0.0.1:9/v1", name="off", enabled=False), model(server.base_url))
        status, out, err = cli("write", "一位爱看云的天气主持人", "--out", "cloud.yaml")
        assert (status, load_persona(home / "cloud.yaml").name) == (0, "云朵")
        assert "role: 天气主持人" in out
        assert "brain.persona" in err
        (request,) = server.requests
        assert request["messages"][-1]["content"] == "一位爱看云的天气主持人"
        assert "YAML" in request["messages"][0]["content"]
        assert "不是真人" in request["messages"][0]["content"]
    assert sorted(path.name for path in home.glob("*cloud*")) == ["cloud.yaml"]


def test_a_file_that_is_there_is_replaced_only_by_force(cli: Cli, home: Path) -> None:
    (home / "persona.yaml").write_text("mine")
    with serving(LlmServer([CLOUD])) as server:
        configure(home, model(server.base_url, name="good", enabled=False))
        status, _, err = cli("write", "x", "--link", "good")
        assert (status, (home / "persona.yaml").read_text(), server.requests) == (1, "mine", [])
        assert "--force" in err
        assert cli("write", "x", "--link", "good", "--force")[0] == 0
        assert load_persona(home / "persona.yaml").name == "云朵"


def test_without_a_model_nothing_is_drafted(cli: Cli, home: Path) -> None:
    configure(
        home, model(CLOSED, enabled=False), model("http://127.0.0.1:9/v1", name="bare", model="", enabled=False)
    )
    status, _, err = cli("write", "x")
    assert status == 78
    assert "no language model is switched on" in err
    assert "playlists/persona.yaml" in err
    status, _, err = cli("write", "x", "--link", "nobody")
    assert (status, "use one of: openai, bare" in err) == (1, True)
    assert cli("write", "x", "--link", "bare")[0] == 78
    status, _, err = cli("write", "x", "--link", "openai")
    assert (status, "openai: no connection" in err) == (1, True)
    assert cli("write", "x", "--link", "openai", "--out", "missing/x.yaml")[0] == 78
    assert cli("write", " ", "--link", "openai")[0] == 1
    assert not (home / "persona.yaml").exists()


def test_a_model_that_writes_no_persona_leaves_no_file(cli: Cli, home: Path) -> None:
    with serving(LlmServer(["我不会写。"])) as server:
        configure(home, model(server.base_url))
        status, out, err = cli("write", "x")
        assert (status, out, len(server.requests)) == (1, "", 2)
        assert "in 2 tries" in err
    assert not list(home.glob("*persona*"))


# -- drafting -------------------------------------------------------------------------------------------------------


class Writer:
    """A brain that gives its answers in turn, each in small parts."""

    name = "writer"

    def __init__(self, *answers: str) -> None:
        self._answers = list(answers)
        self.turns: list[Turn] = []

    async def reply(self, turn: Turn) -> AsyncIterator[str | Usage]:
        self.turns.append(turn)
        answer = self._answers.pop(0)
        for at in range(0, len(answer), 7):
            yield answer[at : at + 7]
        yield Usage(1, 1)

    async def close(self) -> None: ...


async def test_the_second_time_the_model_is_told_what_was_wrong() -> None:
    writer = Writer("nmae: 云朵\n", CLOUD)
    told: list[int] = []
    assert (await draft(writer, "爱看云的主持人", 5.0, told.append)).name == "云朵"
    first, second = writer.turns
    assert [message.role for message in second.messages] == ["user", "assistant", "user"]
    assert "did you mean name?" in second.messages[-1].text
    assert second.system == first.system
    assert told[-1] == len(CLOUD)


async def test_it_gives_up_after_the_second_time_and_on_a_model_that_does_not_stop() -> None:
    with pytest.raises(BrainError, match="no persona that can be used, in 2 tries"):
        await draft(Writer("x", "name: 3"), "host", 5.0)
    with pytest.raises(BrainError, match="does not stop"):
        await draft(Writer("name: " + "x" * 30_000), "host", 5.0)


async def test_a_model_that_hangs_is_not_waited_for() -> None:
    class Silent(Writer):
        async def reply(self, turn: Turn) -> AsyncIterator[str | Usage]:
            await asyncio.Event().wait()
            yield ""

    with pytest.raises(BrainError, match="did not finish within"):
        await draft(Silent(), "host", 0.01)


@pytest.mark.parametrize(
    ("parts", "inside"),
    [
        (["name: a\n"], "name: a\n"),
        (["```yaml\nname: a\n```"], "name: a\n"),
        (["Here you are:\n\n```\nname: a\n```\nEnjoy: it"], "name: a\n"),
        (["Sure.\nname: a\ntone: b"], "name: a\ntone: b"),
        (["<think>name: no\n```\nx\n```</think>\nname: a"], "name: a"),
        (["no file"], "no file"),
    ],
)
def test_the_file_is_found_in_the_answer(parts: Sequence[str], inside: str) -> None:
    assert yaml_in("".join(parts)) == inside


# -- show -----------------------------------------------------------------------------------------------------------


def test_what_a_model_is_told_is_printed(cli: Cli, home: Path) -> None:
    (home / "own.yaml").write_text("name: 云朵\ntone: 俏皮\n")
    status, out, _ = cli("show")
    assert (status, "你是“小播”" in out, "--- user" in out) == (0, True, False)
    status, out, _ = cli("show", "own.yaml", "--ask", "会下雨吗")
    assert (status, "你是“云朵”" in out) == (0, True)
    assert out.endswith("--- user\n<viewer>会下雨吗</viewer>\n")
    configure(home, persona="own.yaml")
    assert "俏皮" in cli("show")[1]


def test_a_persona_that_is_wrong_is_not_shown(cli: Cli, home: Path) -> None:
    (home / "own.yaml").write_text("name: 云朵\ntone: [1]\n")
    status, out, err = cli("show", "own.yaml")
    assert (status, out) == (78, "")
    assert "own.yaml:2: tone: must be text" in err
