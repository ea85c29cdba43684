"""What only a server can do to a journal: go away and come back, refuse, say too much, belong to somebody else."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import socket
import time
from pathlib import Path

import pytest

from broadcaster.config import Config
from broadcaster.config.address import Server, server_of
from broadcaster.doctor import Row, _database
from broadcaster.errors import JournalError
from broadcaster.journal import Journal, asrun_rows
from broadcaster.journal import postgresql as engine
from broadcaster.journal.database import Database, Passing, Unstorable, open_for_reading, open_for_writing
from broadcaster.journal.migrations import MIGRATIONS
from broadcaster.paths import channel_paths
from broadcaster.types import Inbound, Origin, PromptKind, Role, Verdict, VerdictKind
from tests.support.net import free_port
from tests.support.postgres import PostgresServer

pytestmark = pytest.mark.contract

NOW = time.time_ns()


def prompt(name: str, text: str = "你好") -> Inbound:
    return Inbound(name, PromptKind.SAY, text, Origin("chat", "somebody", Role.VIEWER), NOW)


async def test_a_server_that_is_killed_is_refused_aloud_keeps_the_log_and_is_used_again(
    server: PostgresServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    place = server_of(server.url, "killed")
    journal = Journal(place)
    await journal.open()
    await journal.accept(prompt("before"))
    server.kill()
    with pytest.raises(JournalError, match="check that it runs"):
        await journal.accept(prompt("refused"))
    journal.line("before", 0, Verdict(VerdictKind.PASS, "句0"))
    with pytest.raises(JournalError):
        await journal.accept(prompt("refused too"))
    assert journal.error
    with pytest.raises(JournalError, match="check that it runs"):
        asrun_rows(place)
    server.start()
    await asyncio.wait_for(_accepted(journal, prompt("after")), 20)
    before, after = await journal.unfinished()
    assert (before.prompt.id, after.prompt.id, [line.text for line in before.script]) == ("before", "after", ["句0"])
    assert (journal.error, journal.lost) == ("", 0)
    journal.close()
    told = [record.getMessage() for record in caplog.records if record.name.startswith("broadcaster.journal")]
    assert told == ["the journal cannot be written; prompts are refused", "the journal is written again"]
    assert "geheim" not in caplog.text


async def _accepted(journal: Journal, wanted: Inbound) -> None:
    while True:
        try:
            await journal.accept(wanted)
            return
        except JournalError:
            await asyncio.sleep(0.05)


async def test_one_daemon_per_channel_and_the_next_one_gets_it_when_that_ends(
    server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = server_of(server.url, "mine")
    first = open_for_writing(place)
    monkeypatch.setitem(engine._SESSION, "lock_timeout", "50")
    with pytest.raises(JournalError, match="another daemon writes this channel's journal"):
        open_for_writing(place)
    monkeypatch.setitem(engine._SESSION, "lock_timeout", "5000")
    waiting = asyncio.create_task(asyncio.to_thread(open_for_writing, place))
    await asyncio.sleep(0.05)
    first.close()
    (await waiting).close()


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ({"password": "wrong-4711"}, "check the user and the password"),
        ({"user": "nobody-4711"}, "check the user and the password"),
        ({"database": "nowhere"}, "create the database"),
    ],
)
async def test_what_the_server_refuses_is_told_with_a_remedy_and_without_the_password(
    server: PostgresServer, address: dict[str, str], told: str
) -> None:
    place = server_of(server.address(**address), "refused")
    with pytest.raises(JournalError, match=told) as refused:
        open_for_writing(place)
    everything = f"{refused.value} {place} {place!r} {refused.value.__cause__!r}"
    assert "geheim" not in everything
    assert "wrong-4711" not in everything


def test_a_user_without_rights_is_told_which(server: PostgresServer) -> None:
    boss = open_for_writing(server_of(server.url, "boss"))
    boss.execute("CREATE ROLE guest LOGIN PASSWORD 'guest-4711'")
    place = server_of(server.address("guest", "guest-4711"), "guest")
    with pytest.raises(JournalError, match="GRANT CREATE ON DATABASE"):
        open_for_writing(place)
    boss.execute("CREATE SCHEMA broadcaster_guest AUTHORIZATION guest")
    open_for_writing(place).close()  # a schema that was made for it will do
    boss.close()


def test_a_schema_of_an_older_program_is_brought_up_to_date_with_what_is_in_it(server: PostgresServer) -> None:
    place = server_of(server.url, "old")
    db = open_for_writing(place)
    for name in ("asrun", "prompts", "script", "state", "exchanges", "viewers", "spending", "traces", "posts"):
        db.execute(f"DROP TABLE {name}")
    for name in ("audience", "bans", "decisions"):
        db.execute(f"DROP TABLE {name}")
    assert isinstance(db, engine.PostgresDatabase)
    db.script(engine.translated(MIGRATIONS[0]))
    db.execute("UPDATE journal_version SET version = 1")
    db.execute("INSERT INTO state VALUES ('panic', 'on test', ?)", (NOW,))
    db.close()
    with pytest.raises(JournalError, match=r"version 1 is older.*start the daemon once"):
        open_for_reading(place)
    db = open_for_writing(place)
    assert db.execute("SELECT value FROM state").fetchall() == [("on test",)]
    assert db.execute("SELECT version FROM journal_version").fetchone() == (len(MIGRATIONS),)
    assert db.execute("SHOW synchronous_commit").fetchone() == ("on",)
    db.close()


def test_errors_are_sorted_and_quote_no_value(server: PostgresServer) -> None:
    db = open_for_writing(server_of(server.url, "sorted"))
    db.execute("INSERT INTO state VALUES (?, 'x', 1)", ("key-4711",))
    for sql, values in (
        ("INSERT INTO state VALUES (?, 'x', 1)", ("key-4711",)),
        ("INSERT INTO state VALUES ('a', 'x', ?)", ("4711x",)),
        ("INSERT INTO state VALUES ('a', 'x', ?)", (2**64,)),
        ("SELEKT '4711'", ()),
        ("SELECT x4711 FROM state", ()),
    ):
        with pytest.raises(Unstorable) as wrong:
            db.execute(sql, values)
        assert "4711" not in str(wrong.value)
    with pytest.raises(JournalError, match=r"3F000|42P01") as gone:
        db.execute("SELECT 1 FROM nowhere")
    assert not isinstance(gone.value, Unstorable | Passing)
    db.execute("SET statement_timeout = 20")
    with pytest.raises(Passing, match="57014"):
        db.execute("SELECT pg_sleep(1)")
    assert db.execute("SELECT 1").fetchone() == (1,), "the connection is whole"
    db.close()


def test_more_statements_than_are_kept_prepared(server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "STATEMENTS", 3)
    db = open_for_writing(server_of(server.url, "many"))
    assert [db.execute(f"SELECT ? + {number}", (1,)).fetchone() for number in range(9)] == [
        (n + 1,) for n in range(9)
    ]
    assert db.execute("SELECT count(*) FROM pg_prepared_statements").fetchone()[0] <= 3
    db.close()


def test_a_server_that_never_answers_counts_as_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "REPLY_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        place = Server("127.0.0.1", silent.getsockname()[1], "db", "user", "schema", "geheim-4711", "disable")
        with pytest.raises(JournalError, match="check that it runs") as away:
            open_for_writing(place)
    assert "geheim" not in str(away.value)


def test_nobody_there(tmp_path: Path) -> None:
    place = server_of(f"postgresql://me:geheim-4711@localhost/db?host={tmp_path}", "away")
    with pytest.raises(JournalError, match="check that it runs") as away:
        open_for_writing(place)
    assert "geheim" not in str(away.value)


async def test_a_job_that_swallows_its_error_fails_alone(server: PostgresServer) -> None:
    journal = Journal(server_of(server.url, "swallowed"))
    await journal.open()

    def careless(db: Database) -> None:
        with contextlib.suppress(Unstorable):
            db.execute("INSERT INTO state VALUES ('a', 'x', ?)", ("no number",))

    results = await asyncio.gather(
        journal.accept(prompt("one")), journal._writer.durable(careless), journal.accept(prompt("two")),
        return_exceptions=True,
    )  # fmt: skip
    assert [isinstance(result, JournalError) for result in results] == [False, True, False]
    assert len(await journal.unfinished()) == 2
    journal.close()


def test_the_doctor_asks_the_database_when_it_may(server: PostgresServer, short_dir: Path) -> None:
    def row(url: str, *, connect: bool = True) -> Row:
        config = Config.model_validate({"channel": "doctor", "journal": {"url": url}})
        (found,) = _database(config, channel_paths("doctor", short_dir), connect)
        return found

    assert (row(server.url, connect=False).state, row(server.url).state) == ("optional", "ok")
    assert "never run" in row(server.url).remedy
    open_for_writing(server_of(server.url, "doctor")).close()
    assert row(server.url).remedy == ""
    wrong = row(server.address(password="wrong-4711"))
    assert (wrong.state, "check the user and the password" in wrong.remedy) == ("missing", True)
    assert "4711" not in repr(wrong)


@pytest.mark.parametrize("arrives", [True, False])
async def test_a_commit_whose_answer_is_lost_counts_if_it_counted(
    server: PostgresServer, monkeypatch: pytest.MonkeyPatch, *, arrives: bool
) -> None:
    place = server_of(server.url, f"commit-{arrives}".lower())
    journal = Journal(place)
    await journal.open()
    script = engine.PostgresDatabase.script
    broken: list[str] = []

    def breaking(db: engine.PostgresDatabase, sql: str) -> list[object]:
        if sql != "COMMIT" or broken:
            return script(db, sql)
        broken.append(sql)
        if arrives:
            script(db, sql)
        db._connection._usock.shutdown(socket.SHUT_RDWR)
        raise JournalError("network error")

    monkeypatch.setattr(engine.PostgresDatabase, "script", breaking)
    (result,) = await asyncio.gather(journal.accept(prompt("p1")), return_exceptions=True)
    assert broken
    assert isinstance(result, JournalError) is not arrives
    await _accepted(journal, prompt("p2"))
    assert [left.prompt.id for left in await journal.unfinished()] == ["p1", "p2"][not arrives :]
    assert (journal.error, journal.lost) == ("", 0)
    journal.close()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl")
def test_an_encrypted_connection_asks_who_is_there_when_it_should(server: PostgresServer) -> None:
    port = free_port()
    with server.encrypted(port) as authority:

        def asked(host: str, options: str) -> str:
            url = f"postgresql://boss:geheim-4711@{host}:{port}/postgres?{options}"
            try:
                db = open_for_writing(server_of(url, "tls"))
            except JournalError as err:
                return str(err)
            (encrypted,) = db.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchone()
            db.close()
            return "encrypted" if encrypted else "plain"

        mine = f"sslmode=verify-full&sslrootcert={authority}"
        assert asked("localhost", "sslmode=prefer") == "encrypted"
        assert asked("localhost", "sslmode=require") == "encrypted"
        assert asked("localhost", mine) == "encrypted"
        assert "no encryption" in asked("localhost", "sslmode=disable")
        assert "self-signed" in asked("localhost", "sslmode=verify-full")
        assert "not valid for '127.0.0.1'" in asked("127.0.0.1", mine)
        assert "sslrootcert" in asked("localhost", "sslmode=verify-full&sslrootcert=/nowhere")
