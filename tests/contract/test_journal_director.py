"""A director whose journal is on a PostgreSQL server that dies under it, and comes back."""

from __future__ import annotations

import pytest

from broadcaster.config.address import server_of
from broadcaster.errors import Refused
from broadcaster.journal import asrun_rows
from broadcaster.paths import Paths
from tests.support.directing import station
from tests.support.postgres import PostgresServer
from tests.support.waiting import until

pytestmark = pytest.mark.contract


async def test_a_director_goes_on_air_without_its_server_and_uses_it_again(
    server: PostgresServer, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broadcaster.journal.writer.RETRY_SECONDS", 0.2)
    place = server_of(server.url, "test")
    async with station(paths, journal_url=server.url, playout=False) as first:
        waits = [await first.say("等一等。"), await first.say("马上来。")]
    async with station(paths, journal_url=server.url) as on:  # both are said, once
        await on.ended(*(prompt.id for prompt in waits))
        assert on.director.status()["journal"]["ok"]
        server.kill()
        with pytest.raises(Refused) as refused:
            await on.say("这句不能存。")
        assert refused.value.code == "journal"
        assert "geheim" not in str(refused.value)
        assert not on.director.status()["journal"]["ok"]
        server.start()
        await until(lambda: on.director.status()["journal"]["ok"], 20)
        prompt = await on.say("又能说了。")
        await on.ended(prompt.id)
        await on.director.journal.flush()
        assert on.director.journal.lost == 0
        await on.director.finish()
    async with station(paths, journal_url=server.url, playout=False):
        pass  # a restart that was asked for, and took no time
    gaps = [row["source"] for row in asrun_rows(place) if row["outcome"] == "gap"]
    assert gaps == ["killed"], "the first one was not asked to end"
    heard = [row["text"] for row in reversed(asrun_rows(place)) if row["outcome"] == "heard"]
    assert heard == ["等一等。", "马上来。", "又能说了。"]
    assert not paths.journal.exists(), "there is no file beside it"
