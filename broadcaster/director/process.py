"""The director process: the director, its alarms, its signs of life and whatever serves its `Station`.

Everything runs in one asyncio loop; `app.py` makes the parts and calls `run_director` inside `asyncio.run`.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

from broadcaster.alarms import Alarms, free_megabytes
from broadcaster.config import Config, FileSink
from broadcaster.director.director import Director
from broadcaster.director.end_to_end import EndToEndDesk
from broadcaster.director.feeds import Feeds
from broadcaster.director.heard import Words
from broadcaster.errors import ConfigError, Refused
from broadcaster.paths import Paths
from broadcaster.ports import Gate, Mind, Speaker
from broadcaster.station import Station
from broadcaster.wire import Notice, SinkReply

log = logging.getLogger(__name__)

BEAT_SECONDS: Final = 1.0
DISK_SECONDS: Final = 30.0
RELOAD_RETRY_SECONDS: Final = 1.0
MIN_FREE_STATE_MB: Final = 100
"""On the disk of the journal: with less, prompts would soon be refused."""

SETTLE_S: Final = (1.0, 10.0, 60.0)
"""When most is loaded, when the voices are warm, when the first questions were answered."""

LAST_WORDS_SECONDS: Final = 0.05
"""For what is served to hand its clients the last events before it is cancelled."""

NOTICES: Final = 64
"""Notices of the parent that wait; it sends a few per restart of a child."""

Beat = Callable[[int, bool, str], None]
"""progress, ready, note: `child.ChildContext.beat`."""

ReadSinks = Callable[[str], list[dict[str, object]]]
"""The sinks of a configuration text, references resolved, as plain settings. Raises ConfigError."""


async def run_director(
    config: Config,
    paths: Paths,
    *,
    speaker: Speaker,
    mind: Mind,
    gate: Gate,
    beat: Beat,
    stop: asyncio.Event,
    notices: asyncio.Queue[Notice] | None = None,
    read_sinks: ReadSinks | None = None,
    voices: Callable[[], list[dict[str, Any]]] = list,
    serve: Callable[[Station], Awaitable[None]] | None = None,
    end_to_end: EndToEndDesk | None = None,
    words: Words = tuple,
    host: str = "",
    feeds: Feeds | None = None,
) -> None:
    """Runs the director until `stop` is set, then finishes or cuts the sentence on air (FINISH_SECONDS) and closes.

    `voices` tells how the links of the chain are doing. `end_to_end` answers questions with sound of its own,
    `words` cuts Chinese text into words. `host` is the name that viewers call.
    `serve` gets the station and runs beside it (the console); it is cancelled after the last sentence. What it raises
    ends the director. `feeds` are the sources; they close their sessions while the last sentence is finished.
    """
    feeds = feeds or Feeds([])
    director = Director(
        config, paths,
        speaker=speaker, mind=mind, gate=gate, voices=voices, end_to_end=end_to_end, words=words,
        sources=feeds.status, host=host,
    )  # fmt: skip
    await director.open()
    alarms = Alarms(config.alarms, config.channel)
    work = [
        director.run(),
        _beats(director, beat),
        _watch(director, alarms),
        _disks(config, paths, alarms),
        alarms.run(),
    ]
    if notices is not None:
        work.append(_notices(director, alarms, notices, read_sinks))
    tasks = [asyncio.create_task(each) for each in work]
    feeding = asyncio.create_task(feeds.run(director.room.intake))
    serving = [asyncio.ensure_future(serve(director))] if serve is not None else []
    stopped = asyncio.create_task(stop.wait())
    try:
        done, _ = await asyncio.wait({*tasks, *serving, feeding, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if stopped in done:
            feeding.cancel()
            await director.finish()
            await asyncio.wait({feeding})
            await asyncio.sleep(LAST_WORDS_SECONDS)
    finally:
        for task in (*serving, *tasks, feeding, stopped):
            task.cancel()
        results = await asyncio.gather(*serving, *tasks, feeding, stopped, return_exceptions=True)
        await director.close()
    for result in results:
        if isinstance(result, BaseException) and not isinstance(result, asyncio.CancelledError):
            raise result


async def settle() -> None:
    """For a process of its own: what it has loaded (dictionaries, tables of sounds) stays as it is, and the collector
    of cycles need not look at it again. Measured with all of them: 100 to 350 ms in which the loop stands still."""
    for seconds in SETTLE_S:
        await asyncio.sleep(seconds)
        gc.freeze()


async def _beats(director: Director, beat: Beat) -> None:
    """The loop's own turn is the progress: a director whose loop is blocked does not beat."""
    progress = 0
    while True:
        progress += 1
        connected = director.link.connected
        beat(progress, connected, "" if connected else "waiting for playout")
        await asyncio.sleep(BEAT_SECONDS)


async def _watch(director: Director, alarms: Alarms) -> None:
    while True:
        await asyncio.sleep(1.0)
        alarms.observe(director.status(), director.fresh_playouts)


async def _disks(config: Config, paths: Paths, alarms: Alarms) -> None:
    wanted = {paths.state: MIN_FREE_STATE_MB}
    for sink in config.sinks:
        if isinstance(sink, FileSink) and sink.enabled:
            wanted[sink.directory] = sink.min_free_mb
    while True:
        for folder, least in wanted.items():
            free = await asyncio.to_thread(free_megabytes, folder)
            alarms.disk(str(folder), free is not None and free < least, free)
        await asyncio.sleep(DISK_SECONDS)


async def _notices(
    director: Director, alarms: Alarms, notices: asyncio.Queue[Notice], read_sinks: ReadSinks | None
) -> None:
    while True:
        notice = await notices.get()
        if notice.event == "reload" and read_sinks is not None:
            await _reload(director, notice.detail, read_sinks)
        elif notice.event != "reload":
            alarms.child(notice.role, notice.event, notice.detail)


async def _reload(director: Director, text: str, read_sinks: ReadSinks) -> None:
    """Until playout has taken them: it, or this director, may just have been restarted."""
    try:
        command: dict[str, Any] = {"action": "reload", "all_settings": await asyncio.to_thread(read_sinks, text)}
        reply = await _offered(director, command)
        while reply is None:
            await asyncio.sleep(RELOAD_RETRY_SECONDS)
            reply = await _offered(director, command)
        if not reply.ok:
            log.error("the sinks were not reloaded", extra={"reason": reply.error})
    except (Refused, ConfigError) as err:
        log.error("the sinks were not reloaded", extra={"reason": str(err)})


async def _offered(director: Director, command: dict[str, Any]) -> SinkReply | None:
    """None while playout is away."""
    try:
        return await director.sink(command)
    except Refused as err:
        if err.code != "unavailable":
            raise
        return None
