"""Composition root: configuration -> objects -> wiring, one function per process. The only file that sees everything.

`python -m broadcaster.app ROLE` is how the parent starts a child. Imports are inside the functions: a process
loads only what its role needs.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

from broadcaster.child import ChildContext, setup_child
from broadcaster.config import load_config
from broadcaster.errors import AssetError, BroadcasterError, ConfigError, Refused
from broadcaster.handover import sink_settings

if TYPE_CHECKING:
    from broadcaster.config import LoadedConfig
    from broadcaster.paths import Paths
    from broadcaster.station import Station
    from broadcaster.studio.avatar import ExpandedAvatar
    from broadcaster.types import Origin
    from broadcaster.wire import Notice

log = logging.getLogger(__name__)

EX_CONFIG: Final = 78

BEFORE_START: Final = -(1 << 30)
"""Progress counts from here while a child prepares to start (see `parent.keeper`)."""

NOTICES: Final = 64
"""Notices of the parent that wait for the director: some ten come with each restart of a child."""


def playout(child: ChildContext) -> None:
    """Clock, compositor, encoder, fan-out to the sinks."""
    from broadcaster.playout.process import run_playout

    avatar = avatar_of(child.loaded, child.paths, child.beat).on_air()
    run_playout(child.config, child.paths, avatar, child.beat, child.stop)


def head(child: ChildContext) -> None:
    """Mouth patches for the speech that playout anchors."""
    from broadcaster.head.process import run_head

    avatar = avatar_of(child.loaded, child.paths, child.beat)
    run_head(child.config.head, child.paths, avatar, child.beat, child.stop)


def voice(child: ChildContext) -> None:
    """Speech for pieces of text."""
    from broadcaster.speech.process import run_voice

    run_voice(child.config.voice, child.paths, child.beat, child.stop)


def voice_local(child: ChildContext) -> None:
    """Speech of the chain's link whose model runs inside the daemon."""
    from broadcaster.config.checks import find_avatar
    from broadcaster.config.voices import local_voice
    from broadcaster.speech import reference
    from broadcaster.speech.process import run_local_voice

    link = local_voice(child.config.voice.chain)
    needs = link is not None and reference.needs_reference(link)
    speaker = reference.load(find_avatar(child.config.avatar, child.loaded.base)) if needs else None
    run_local_voice(child.config.voice, child.paths, speaker, child.beat, child.stop)


def director(child: ChildContext) -> None:
    """Sources, queue, brain, gate, speech pipeline, console: everything that decides or talks to a network."""
    asyncio.run(_direct(child))


async def _direct(child: ChildContext) -> None:
    from broadcaster.config import FileSink
    from broadcaster.config.checks import find_avatar
    from broadcaster.console.server import create_app, serve
    from broadcaster.director.process import run_director, settle
    from broadcaster.feeding import feeds_of
    from broadcaster.minds import Room, desk_of, gate_of, mind_of
    from broadcaster.speech import words
    from broadcaster.speech.client import VoiceClient
    from broadcaster.speech.pipeline import PacedSpeaker
    from broadcaster.voices import chain_of
    from sources.schema import published_schema
    from sources.websocket import PromptSession

    config, console = child.config, child.config.console
    feeds = feeds_of(config.sources)
    stop, notices = _events(child)
    embedded = VoiceClient(config.voice, child.paths, lambda reason: child.ask_restart("voice", reason))
    avatar = find_avatar(config.avatar, child.loaded.base)
    chain = await asyncio.to_thread(chain_of, config.voice, child.paths, avatar, embedded)
    speaker = PacedSpeaker(
        chain,
        cache=child.paths.cache,
        look_ahead_s=config.voice.look_ahead_s,
        shortest=config.voice.shortest_package,
    )

    room = Room()

    async def serve_console(station: Station) -> None:
        room.waiting = lambda: int(station.status()["queue"]["length"])

        def session(origin: Origin) -> PromptSession:
            return PromptSession(
                station, origin, max_bytes=console.max_message_bytes, per_minute=console.messages_per_minute
            )

        app = create_app(
            station, console, child.paths,
            session=session, schema=published_schema(), max_text=config.inbox.max_text,
            recordings=[sink.directory for sink in config.sinks if isinstance(sink, FileSink)],
        )  # fmt: skip
        await serve(app, console, child.paths, asyncio.Event(), lambda url: log.info("console", extra={"url": url}))

    gate = await asyncio.to_thread(gate_of, config.moderation, child.paths.cache)
    gate.open()
    mind = await asyncio.to_thread(mind_of, config.brain, child.paths.cache, room, config.inbox.read_back)
    guests = await asyncio.to_thread(desk_of, config.brain, config.voice, gate, mind.budget, child.paths.cache)
    settling = asyncio.create_task(settle())
    try:
        await asyncio.gather(
            speaker.warm(),
            run_director(
                config, child.paths,
                speaker=speaker, mind=mind, gate=gate, voices=chain.status, end_to_end=guests, host=mind.host,
                words=words.split_at_once,
                beat=child.beat, stop=stop, notices=notices,
                read_sinks=partial(_read_sinks, child),
                serve=serve_console,
                feeds=feeds,
            ),
        )  # fmt: skip
    finally:
        settling.cancel()
        await gate.close()
        await mind.close()
        await guests.close()
        await chain.close()


def _read_sinks(child: ChildContext, text: str) -> list[dict[str, object]]:
    """The sinks of a reloaded configuration. Raises Refused: what the parent accepted may be wrong by now."""
    try:
        loaded = load_config(child.loaded.path, text)
    except ConfigError as err:
        raise Refused(str(err)) from err
    child.hide_secrets_of(loaded.config)
    return sink_settings(loaded)


def _events(child: ChildContext) -> tuple[asyncio.Event, asyncio.Queue[Notice]]:
    """SIGTERM and the parent's notices, brought into the running loop."""
    loop = asyncio.get_running_loop()
    stop: asyncio.Event = asyncio.Event()
    notices: asyncio.Queue[Notice] = asyncio.Queue(NOTICES)

    def note(notice: Notice) -> None:
        if notices.full():
            log.warning("a notice of the parent was dropped", extra={"notice": notice.event, "role": notice.role})
        else:
            notices.put_nowait(notice)

    child.on_stop(lambda: loop.call_soon_threadsafe(stop.set))
    if child.stop.is_set():
        stop.set()

    def bring(notice: Notice) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits for notices any more
            loop.call_soon_threadsafe(note, notice)

    child.on_notice(bring)
    return stop, notices


def avatar_of(
    loaded: LoadedConfig, paths: Paths, beat: Callable[[int, bool, str], None] | None = None
) -> ExpandedAvatar:
    """The channel's avatar in its picture size; expanded now if set-up has not done it.

    That may take minutes: `beat` is told about once a second, with progress below 0, as before any start.
    """
    from broadcaster.config.checks import find_avatar
    from broadcaster.studio.avatar import expand

    config, video = loaded.config, loaded.config.video
    folder = find_avatar(config.avatar, loaded.base)
    told, count = time.monotonic(), BEFORE_START

    def alive(done: int = 0, total: int = 0) -> None:
        nonlocal told, count
        if beat is not None and time.monotonic() >= told + 1.0:
            told, count = time.monotonic(), count + 1
            how_far = f" ({done} of {total} pictures)" if total else ""
            beat(count, False, f"making the presenter's pictures{how_far}")

    budget = round(config.avatar_disk_gb * 1e9)
    return expand(folder, paths.cache, video.width, video.height, video.fps, alive, budget=budget, waiting=alive)


ROLES: Final[dict[str, Callable[[ChildContext], None]]] = {
    "playout": playout,
    "head": head,
    "voice": voice,
    "voice-local": voice_local,
    "director": director,
}


def main(arguments: list[str]) -> int:
    """Runs one role to its end. 78: its configuration or its files cannot work; 1: it failed."""
    if len(arguments) != 1 or arguments[0] not in ROLES:
        print(f"usage: python -m broadcaster.app {'|'.join(ROLES)}", file=sys.stderr)  # noqa: T201
        return os.EX_USAGE
    try:
        child = setup_child(arguments[0])
    except ConfigError as err:
        print(err, file=sys.stderr)  # noqa: T201
        return EX_CONFIG
    try:
        ROLES[child.role](child)
    except (ConfigError, AssetError) as err:
        log.error("cannot work as configured", extra={"problem": err})
        return EX_CONFIG
    except BroadcasterError as err:
        log.error("ended", extra={"error": err})
        return 1
    except Exception:
        log.exception("failed")
        return 1
    return 0


if __name__ == "__main__":
    status = main(sys.argv[1:])
    logging.shutdown()
    os._exit(status)  # a thread that hangs in a library must not keep a finished process alive
