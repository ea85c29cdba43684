"""The moderators' commands against a real console on its UNIX socket, over a fake station."""

from __future__ import annotations

import json

import pytest

from broadcaster.cli.queue import user
from broadcaster.types import Inbound, Lane, Origin, PromptKind, Role, Viewer
from tests.unit.test_cli_control import Cli, Daemon, cli, config, daemon  # noqa: F401  # fixtures

pytestmark = pytest.mark.unit

TEXT = "几点下播？\x1b[31m"


@pytest.fixture
def asked(daemon: Daemon) -> str:  # noqa: F811
    viewer = Viewer("bilibili:7", "小明")
    prompt = Inbound(
        "p1", PromptKind.ASK, TEXT, Origin("bilibili"), 1, viewer=viewer, lane=Lane.SUPER_CHAT, paid=30_000, alike=3
    )
    daemon.station.waiting.append(prompt)
    return prompt.id


def test_the_queue_is_listed_and_one_prompt_shown(cli: Cli, asked: str) -> None:  # noqa: F811
    status, out, err = cli("queue", "list")
    assert status == 0
    assert out.split() == [
        "1", "10s", "waiting", "super_chat", "p1", "小明:", "几点下播？", "[31m", "(30", "yuan,", "x3)",
    ]  # fmt: skip
    assert err == "1 waiting, 0 held, 0 on disk\n"
    assert "\x1b" not in out
    (item,) = json.loads(cli("queue", "list", "--json")[1])["items"]
    assert item["text"] == TEXT
    assert json.loads(cli("queue", "show", asked, "--json")[1]) == item
    assert "viewer    bilibili:7\n" in cli("queue", "show", asked)[1]
    assert cli("queue", "show", "p9") == (1, "", "no prompt of this id waits, is held or is on air\n")


COMMANDS = [
    ("queue approve p1", {"type": "approve", "id": "p1"}),
    ("queue edit p1 换一句 话", {"type": "edit", "id": "p1", "text": "换一句 话"}),
    ("queue move p1 3", {"type": "move", "id": "p1", "place": 3}),
    ("queue drop --now p1", {"type": "drop", "id": "p1", "now": True}),
    ("ban bilibili:7", {"type": "ban", "viewer": "bilibili:7", "seconds": None}),
    ("ban bilibili:7 --for 90", {"type": "ban", "viewer": "bilibili:7", "seconds": 90}),
    ("ban bilibili:7 --for 2h", {"type": "ban", "viewer": "bilibili:7", "seconds": 7200}),
    ("unban bilibili:7", {"type": "unban", "viewer": "bilibili:7"}),
    ("slow 30", {"type": "slow", "seconds": 30}),
    ("pause-auto on", {"type": "pause_auto", "on": True}),
    ("pause-auto off", {"type": "pause_auto", "on": False}),
]


@pytest.mark.usefixtures("asked")
def test_every_command_arrives_with_the_name_of_whoever_typed_it(cli: Cli, daemon: Daemon) -> None:  # noqa: F811
    for typed, _ in COMMANDS:
        assert cli(*typed.split()) == (0, "", "")
    by = Origin("control", user(), Role.OPERATOR)
    assert daemon.station.moderated == [(command, by) for _, command in COMMANDS]


def test_what_makes_no_sense_does_not_leave_the_command_line(cli: Cli, daemon: Daemon) -> None:  # noqa: F811
    wrong = (
        "queue move p1 0", "queue edit p1", "ban x --for soon", "ban x --for=", "ban x --for -5m", "slow -1",
        "slow 4000", "pause-auto maybe",
    )  # fmt: skip
    for typed in wrong:
        assert cli(*typed.split())[0] == 2
    assert daemon.station.moderated == []


def test_an_id_without_its_source_is_remarked_on(cli: Cli, daemon: Daemon) -> None:  # noqa: F811
    assert cli("ban", "bilibili:7") == (0, "", "")
    status, out, said = cli("ban", "7")
    assert (status, out) == (0, "")
    assert "source in front" in said


def test_bans_are_listed(cli: Cli, daemon: Daemon) -> None:  # noqa: F811
    assert cli("bans") == (0, "nobody is banned\n", "")
    daemon.station.banned = [
        {"viewer": "x:1", "name": "小明", "by": "control operator alice", "at_ns": 1, "left_s": 7000.0},
        {"viewer": "x:2", "name": "", "by": "websocket moderator", "at_ns": 1, "left_s": None},
    ]
    said = cli("bans")[1].splitlines()
    assert said[0].startswith("x:1  小明  117 m left, since ")
    assert said[0].endswith("by control operator alice")
    assert "for good" in said[1]
    assert json.loads(cli("bans", "--json")[1]) == daemon.station.banned
