"""`broadcaster log` over a real journal file."""

from __future__ import annotations

import asyncio
import csv
import errno
import io
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from broadcaster.cli import log as command
from broadcaster.cli.main import main
from broadcaster.journal import Journal
from broadcaster.paths import channel_paths
from broadcaster.types import Inbound, Lane, Origin, PromptKind, Role, Viewer
from broadcaster.wire import Aired

pytestmark = pytest.mark.unit

SECOND = 1_000_000_000
NOON = 1_795_521_600 * SECOND
"""2026-11-24 12:00 UTC."""


def aired(event: str, sentence: int, text: str, at: int, samples: int = 0) -> Aired:
    return Aired(event, 1, "p1", sentence, text, "kokoro", 25 * at, samples, NOON + at * SECOND)


@pytest.fixture
def config(short_dir: Path) -> Path:
    """A channel whose journal holds two sentences heard, one cut, and one on air."""
    path = short_dir / "config.yaml"
    path.write_text(f"channel: news\nstate_dir: {short_dir}\n")
    paths = channel_paths("news", short_dir)
    paths.ensure()

    async def fill() -> None:
        journal = Journal(paths.journal)
        await journal.open()
        await journal.accept(Inbound("p1", PromptKind.SAY, "...", Origin("websocket", "小明", Role.MODERATOR), NOON))
        for event in (
            aired("on_air", 0, "第一句。", 0),
            aired("heard", 0, "第一句。", 2, 96_000),
            aired("on_air", 1, "=HYPERLINK(1)", 2),
            aired("heard", 1, "=HYPERLINK(1)", 3, 48_000),
            aired("on_air", 2, "第三句。", 3),
            aired("cut", 2, "第三句。", 4, 24_000),
            aired("on_air", 3, "第四句。", 5),
        ):
            journal.aired(event, "pass" if event.sentence < 2 else "mask")
        await journal.flush()
        journal.close()

    asyncio.run(fill())
    return path


Cli = Callable[..., str]
Failing = Callable[..., tuple[int, str, str]]


@pytest.fixture
def failing(config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Failing:
    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["broadcaster", "log", *arguments, "-c", str(config)])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return run


@pytest.fixture
def cli(failing: Failing) -> Cli:
    def run(*arguments: str) -> str:
        code, out, err = failing(*arguments)
        assert code == 0, err
        return out

    return run


def test_oldest_first_with_what_was_heard(cli: Cli) -> None:
    lines = cli().splitlines()
    assert [line.split()[2:] for line in lines] == [
        ["heard", "2.0s", "moderator", "websocket/小明", "第一句。"],
        ["heard", "1.0s", "moderator", "websocket/小明", "=HYPERLINK(1)"],
        ["cut", "0.5s", "moderator", "websocket/小明", "[mask]", "第三句。"],
        ["on_air", "moderator", "websocket/小明", "[mask]", "第四句。"],
    ]
    assert cli("--limit", "2").splitlines() == lines[2:]


def test_json_lines(cli: Cli) -> None:
    rows = [json.loads(line) for line in cli("--json").splitlines()]
    assert list(rows[0]) == list(command.COLUMNS)
    assert (rows[2]["outcome"], rows[2]["seconds"], rows[2]["end_tick"]) == ("cut", 0.5, 100)
    assert rows[3]["end"] is None


def test_csv_is_safe_to_open(cli: Cli) -> None:
    rows = list(csv.DictReader(io.StringIO(cli("--csv"))))
    assert [row["text"] for row in rows] == ["第一句。", "'=HYPERLINK(1)", "第三句。", "第四句。"]
    assert rows[0]["role"] == "moderator"


def test_since_goes_back_over_pages(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "PAGE", 2)
    assert len(cli("--since", "2026-11-24T12:00:00+00:00").splitlines()) == 4
    assert len(cli("--since", "2026-11-24T12:00:02+00:00").splitlines()) == 3
    assert len(cli("--since", "2026-11-24T12:00:06+00:00").splitlines()) == 0


def test_follow_gives_each_sentence_once_when_it_is_over(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "PAGE", 2)
    journal = channel_paths("news", config.parent).journal
    assert [row["row"] for row in command._newer(journal, 0)] == [1, 2, 3]
    assert [row["row"] for row in command._newer(journal, 2)] == [3]
    assert command._newer(journal, 3) == []


def write(config: Path, *changes: Callable[[Journal], None]) -> None:
    async def fill() -> None:
        journal = Journal(channel_paths("news", config.parent).journal)
        await journal.open()
        for change in changes:
            change(journal)
        await journal.flush()
        journal.close()

    asyncio.run(fill())


def test_a_time_without_a_director_is_a_line_of_its_own(cli: Cli, config: Path) -> None:
    write(config, lambda journal: journal.live())
    began = time.time_ns() + 90 * SECOND
    write(config, lambda journal: journal.arrive(began))
    assert "(nobody to answer: the director was killed)" in cli("-n", "1")
    row = json.loads(cli("-n", "1", "--json"))
    assert (row["outcome"], row["source"], row["text"]) == ("gap", "killed", "")
    assert 90 <= row["seconds"] < 100


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_everything_is_exported_in_pages(
    cli: Cli, config: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    monkeypatch.setattr("broadcaster.journal.reading.PAGE", 2)
    path = config.parent / f"log{suffix}"
    assert cli("--export", str(path)) == f"4 rows written to {path}\n"
    assert path.stat().st_mode & 0o077 == 0, "names are in it"
    text = path.read_text(encoding="utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text))) if suffix == ".csv" else [json.loads(x) for x in text.splitlines()]
    assert [row["text"].lstrip("'") for row in rows] == ["第一句。", "=HYPERLINK(1)", "第三句。", "第四句。"]
    assert [row["lane"] for row in rows] == ["moderator"] * 4
    assert cli("--since", "2026-11-24T12:00:02+00:00", "--export", str(path)).startswith("3 rows")
    assert sorted(each.name for each in config.parent.glob("*log*")) == [path.name], "nothing else is left"


def test_an_export_that_cannot_be_written_leaves_the_old_one(
    failing: Failing, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = config.parent / "log.csv"
    path.write_text("the old one")
    monkeypatch.setattr("broadcaster.cli.logfile.write_csv", _full)
    code, _, told = failing("--export", str(path))
    assert (code, path.read_text()) == (1, "the old one")
    assert "No space left" in told
    assert not list(config.parent.glob("*.part"))


def _full(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_what_does_not_go_together_is_said(failing: Failing, config: Path) -> None:
    for arguments, told in (
        (("--json", "--csv"), "--json and --csv"),
        (("--follow", "--export", "a.csv"), "--follow and --export"),
        (("--prompt", "p1", "--decisions"), "--prompt and --decisions"),
        (("--export", "a.xlsx"), ".csv, .jsonl"),
    ):
        code, _, error = failing(*arguments)
        assert code == 2
        assert told in error


def test_one_prompt_with_why_it_was_chosen_and_who_did_what(cli: Cli, failing: Failing, config: Path) -> None:
    viewer = Viewer("bilibili:u1", "小红\x1b[2J")
    asked = Inbound(
        "q1", PromptKind.ASK, "几点下播？", Origin("bilibili", "小红", Role.VIEWER), NOON, viewer=viewer,
        lane=Lane.QUESTION, alike=3,
    )  # fmt: skip

    async def fill() -> None:
        journal = Journal(channel_paths("news", config.parent).journal)
        await journal.open()
        journal.decisions.chosen(asked, {"question": 0.8, "novelty": 1.0})
        await journal.decisions.decided("move", "cli/root", prompt="q1", viewer="bilibili:u1", detail="to 0")
        journal.aired(Aired("heard", 2, "q1", 0, "十点。", "kokoro", 9, 48_000, NOON + SECOND), "pass")
        journal.finish("q1", "done")
        await journal.flush()
        journal.close()

    asyncio.run(fill())
    told = cli("--prompt", "q1")
    for part in ("q1  ask  question  done", "几点下播？", '"question":0.8', "3 said the same", "cli/root", "十点。"):
        assert part in told
    assert "\x1b" not in told
    made = json.loads(cli("--prompt", "q1", "--json"))
    assert (made["why"]["question"], made["sentences"][0]["text"], made["lane"]) == (0.8, "十点。", "question")
    assert made["decisions"][0]["by_whom"] == "cli/root"
    (line,) = cli("--decisions").splitlines()
    assert line.split()[2:] == ["move", "cli/root", "q1", "bilibili:u1", "to", "0"]
    assert json.loads(cli("--decisions", "--json"))["action"] == "move"
    assert cli("--decisions", "--since", "2099-01-01") == "nothing was decided\n"
    code, _, error = failing("--prompt", "nobody")
    assert (code, "no prompt 'nobody'" in error) == (1, True)
