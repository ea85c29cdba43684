"""A scripted evening in a Bilibili room before a running director: everything happens, much of it goes wrong.

The fake platform sends; the real source, run as the daemon runs it, brings it to a real director with its journal;
what the playout peer heard and what the journal says are held against what was sent. Time is the loop's.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from broadcaster.brain.budget import Budget
from broadcaster.brain.chain import Chain, Link
from broadcaster.brain.mind import ChainMind
from broadcaster.brain.responder import Responder
from broadcaster.config.sources import BilibiliSource
from broadcaster.director.feeds import Feed, Feeds
from broadcaster.paths import Paths
from sources.bilibili.connection import Times
from sources.bilibili.source import BilibiliRoom
from tests.fakes import bilibili_server as fake
from tests.fakes.bilibili_server import APP_ID, CODE, KEY_ID, SECRET, BilibiliServer
from tests.fakes.voice_peer import ScriptedSpeaker
from tests.support.directing import Brain, Heard, station

NAME = "bili"
FINAL = ("done", "cut", "skipped", "revoked")
PATIENCE_S = 3600.0
"""Of the loop's time: how long what was paid for may take after the last of it was sent. Seconds where it hurries."""


@dataclass(slots=True)
class Told:
    """What came of it. `faults` must be empty."""

    seconds: float
    sent: int = 0
    unsure: int = 0
    states: Counter[str] = field(default_factory=Counter)
    done: Counter[str] = field(default_factory=Counter)
    counters: dict[str, Any] = field(default_factory=dict)
    sentences: int = 0
    faults: list[str] = field(default_factory=list)

    def text(self) -> str:
        states = ", ".join(f"{count} {state}" for state, count in sorted(self.states.items()))
        did = ", ".join(f"{what} {count}" for what, count in sorted(self.done.items()))
        counts = ", ".join(f"{name} {count}" for name, count in sorted(self.counters.items()) if count)
        sent = f"{self.sent} paid events sent ({self.unsure} of them perhaps not)"
        return (
            f"{self.seconds:.0f} s: {sent}, {states}; {self.sentences} sentences heard\n"
            f"  happened: {did}\n  counted: {counts}"
        )


class Script:
    """Makes things happen until the time is over. What is paid is sent only while somebody is there to read it, and
    is read before the connection is broken: what a platform sends into the void it sends to nobody."""

    def __init__(
        self, server: BilibiliServer, source: BilibiliRoom, rng: random.Random, pace: float, settled: float = 0.0
    ) -> None:
        """`settled`: a connection is never broken before it held for so many seconds."""
        self.paid: dict[str, bytes] = {}
        """Key -> packet of everything that was sent and paid for."""
        self.unsure: set[str] = set()
        """Of those, what was on its way when a connection broke that nobody meant to break: a busy machine."""
        self._unread: dict[str, int] = {}
        self.done: Counter[str] = Counter()
        self._server = server
        self._source = source
        self._rng = rng
        self._pace = pace
        self._settled = settled
        self._number = 0
        self._frames = 0
        self._chats: list[int] = []
        self._acts: list[tuple[float, Callable[[], Awaitable[None]]]] = [
            (30, self._comments),
            (14, self._gift),
            (3, self._combo),
            (4, self._super_chat),
            (2, self._guard),
            (6, self._passing),
            (5, self._again),
            (4, self._garbage),
            (1.2, self._take_back),
            (0.7, self._oversized),
            (0.5, self._bomb),
            (0.8, self._drop),
            (0.5, self._expire),
            (0.5, self._end),
            (0.4, self._fall_silent),
        ]

    async def play(self, seconds: float) -> None:
        clock = asyncio.get_running_loop().time
        until = clock() + seconds
        weights, acts = zip(*self._acts, strict=True)
        everything = list(acts)  # each happens at least once, however short it is
        self._rng.shuffle(everything)
        while clock() < until or everything:
            await self._there()
            act = everything.pop() if everything else self._rng.choices(acts, weights)[0]
            await act()
            self.done[act.__name__.strip("_")] += 1
            await asyncio.sleep(self._rng.uniform(0.2, 1.8) * self._pace)
        await self._there()
        await self._read()

    # -- talk --------------------------------------------------------------------------------------------------------

    async def _comments(self) -> None:
        texts = ("666", "主播好", "今天几点下播？", "你会唱歌吗？", "哈哈哈哈", "第%d次来了")
        packets = [
            fake.comment(self._next(), self._rng.choice(texts).replace("%d", str(self._number))) for _ in range(8)
        ]
        await self._send(self._packed(packets))

    async def _passing(self) -> None:
        who = fake.viewer(self._rng.randrange(40))
        kinds = (fake.message("LIKE", **who, like_count=5), fake.message("LIVE_ROOM_ENTER", **who))
        await self._send(self._packed([self._rng.choice(kinds), fake.gift(self._next(), paid=False, count=3)]))

    # -- what is paid for --------------------------------------------------------------------------------------------

    async def _gift(self) -> None:
        each = self._rng.choice((100, 1000, 5200, 66_000))
        await self._sell(
            {f"gift-{(number := self._next())}": fake.gift(number, each=each, count=self._rng.randint(1, 5))}
        )

    async def _combo(self) -> None:
        who, run = fake.viewer(self._rng.randrange(40)), f"combo-{self._next()}"
        for _ in range(self._rng.randint(2, 6)):
            number = self._next()
            packet = fake.gift(number, **who, combo_gift=True, combo_info={"combo_id": run})
            await self._sell({f"gift-{number}": packet})
            await asyncio.sleep(0.2 * self._pace)

    async def _super_chat(self) -> None:
        number = self._next()
        self._chats.append(number)
        await self._sell(
            {
                f"sc-{number}": fake.super_chat(
                    number, f"第{number}个问题是什么？", yuan=self._rng.choice((30, 50, 100))
                )
            }
        )

    async def _guard(self) -> None:
        number = self._next()
        await self._sell({f"guard-{number}": fake.guard(number)})

    async def _again(self) -> None:
        """The platform sends once more what it sent before, also what has long been answered."""
        if self.paid:
            await self._send(self._packed(self._rng.choices(list(self.paid.values()), k=3)))

    async def _take_back(self) -> None:
        """A super chat of late is deleted; also one that nobody has seen, before it comes."""
        unseen = self._next()
        known = self._chats[-1:]
        await self._send(fake.message("SUPER_CHAT_DEL", message_ids=[*known, unseen], msg_id=f"del-{unseen}"))
        await self._sell({f"sc-{unseen}": fake.super_chat(unseen, "已经删除")})

    # -- what goes wrong ---------------------------------------------------------------------------------------------

    async def _garbage(self) -> None:
        good = fake.comment(self._next())
        frames: tuple[bytes | str, ...] = (
            self._rng.randbytes(60),
            "text",
            good[:-3],
            good + self._rng.randbytes(9),
            fake.packet(self._rng.randbytes(40), version=2),
            fake.packet(self._rng.randbytes(40), version=3),
            fake.packet(b"", version=99),
            fake.packet(b'{"cmd": "LIVE_OPEN_PLATFORM_SEND_GIFT", "data": 7}'),
            fake.message("NEWLY_INVENTED"),
        )
        await self._send(*self._rng.sample(frames, 4))

    async def _bomb(self) -> None:
        await self._send(self._rng.choice((fake.zlib_bomb, fake.brotli_bomb))(12 << 20))

    async def _oversized(self) -> None:
        async with self._loss():
            await self._server.send(bytes(2 << 20))

    async def _drop(self) -> None:
        async with self._loss():
            self._server.drop()

    async def _expire(self) -> None:
        """The session is over and nobody has said so: the next heartbeat will."""
        async with self._loss():
            self._server.expire()

    async def _end(self) -> None:
        async with self._loss():
            await self._server.end_interaction()

    async def _fall_silent(self) -> None:
        """The connection stands, and nothing comes over it any more."""
        async with self._loss():
            self._server.mute = True
        self._server.mute = False

    @asynccontextmanager
    async def _loss(self) -> AsyncIterator[None]:
        """Everything that was sent is read before; and afterwards the source has noticed."""
        await asyncio.sleep(self._settled)
        await self._there()
        await self._read()
        before = self._connections
        yield
        await self._until(lambda: self._connections > before)

    # -- the wire ----------------------------------------------------------------------------------------------------

    def _next(self) -> int:
        self._number += 1
        return self._number

    def _packed(self, packets: list[bytes]) -> bytes:
        way = self._rng.choice((fake.with_zlib, fake.with_brotli, self._plain, self._nested))
        return way(*packets)

    @staticmethod
    def _plain(*packets: bytes) -> bytes:
        return b"".join(packets)

    @staticmethod
    def _nested(*packets: bytes) -> bytes:
        return fake.with_zlib(packets[0], fake.with_brotli(*packets[1:])) if packets[1:] else fake.with_zlib(*packets)

    async def _sell(self, packets: dict[str, bytes]) -> None:
        await self._there()
        self.paid |= {f"{NAME}:{key}": packet for key, packet in packets.items()}
        self._unread |= {f"{NAME}:{key}": self._connections for key in packets}
        await self._send(self._packed(list(packets.values())))

    async def _send(self, *frames: bytes | str) -> None:
        await self._server.send(*frames)

    async def _there(self) -> None:
        """The source is connected, in a session that lives."""
        await self._until(
            lambda: bool(self._server.sockets and self._server.running and self._source.status()["connected"])
        )

    async def _read(self) -> None:
        """Everything that was sent has been read: what is sent last for that, and is left out, has come."""
        marked = -1
        before = self._marks
        while self._marks == before:
            if marked != self._connections:
                await self._there()
                marked = self._connections
                await self._server.send(fake.message("DM_MIRROR"))
            await asyncio.sleep(0.02 * self._pace)
        self.unsure |= {key for key, connection in self._unread.items() if connection != self._connections}
        self._unread.clear()

    @property
    def _connections(self) -> int:
        return int(self._source.status()["connections"])

    @property
    def _marks(self) -> int:
        return int(self._source.status().get("mirrored", 0))

    async def _until(self, holds: Callable[[], bool]) -> None:
        while not holds():  # noqa: ASYNC110  # the state of others is looked at, not one event
            await asyncio.sleep(0.02 * self._pace)


async def evening(
    paths: Paths,
    seconds: float,
    *,
    seed: int = 1,
    times: Times | None = None,
    pace: float = 1.0,
    speed: float = 1.0,
    settled: float = 0.0,
) -> Told:
    """`seconds` of the script and then as long as it takes until all that was paid for has come to an end. `pace` is
    that of the script (0.1: ten times as dense), `speed` that of the air."""
    told = Told(seconds)
    inbox = {"thanks_window_s": 8 * pace, "welcome_window_s": 20 * pace}
    async with (
        BilibiliServer() as server,
        station(paths, mind=_mind(), speaker=ScriptedSpeaker(), settings={"inbox": inbox}) as made,
    ):
        made.playout.speed, made.playout.status_every = speed, 1.0
        source = _source(server, times)
        feeds = Feeds([Feed(NAME, "bilibili", source)])
        running = asyncio.create_task(feeds.run(made.director.room.intake))
        script = Script(server, source, random.Random(seed), pace, settled)
        try:
            await script.play(seconds)
            await _ended(paths, script, told, pace)
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
        if server.running:
            told.faults.append("the last session was not ended")
        told.done = script.done
        told.counters = {k: v for k, v in source.status().items() if k not in ("connected", "note")}
        told.counters["twice"] = made.director.room.intake.paid_twice
        heard = Counter((each.utterance, each.sentence) for each in made.playout.aired if each.event == "heard")
        told.sentences = heard.total()
        told.faults += [f"sentence {at} was heard {count} times" for at, count in heard.items() if count > 1]
        _compare(paths, script, {utterance for utterance, _ in heard}, told)
    return told


def _mind() -> ChainMind:
    """Questions are answered by a brain, thanks and welcomes by the rules of the house."""
    brain = Brain("brain", ["这是回答。", "谢谢提问。"])
    return ChainMind(Chain([Link("brain", brain)], Link("rules", Responder("小播")), Budget()), memory=Heard())


def _source(server: BilibiliServer, times: Times | None) -> BilibiliRoom:
    fields = {"access_key_id": KEY_ID, "access_key_secret": SECRET, "app_id": APP_ID, "code": CODE, "url": server.url}
    return BilibiliRoom(BilibiliSource.model_validate({"name": NAME, **fields}), times=times)


async def _ended(paths: Paths, script: Script, told: Told, pace: float) -> None:
    """Everything paid is in the journal and has come to its end."""
    clock = asyncio.get_running_loop().time
    until = clock() + PATIENCE_S * pace
    while clock() < until:
        rows = _rows(paths)
        if script.paid.keys() - script.unsure <= rows.keys() and all(state in FINAL for state, _, _ in rows.values()):
            return
        await asyncio.sleep(1.0 * pace)
    told.faults.append("what was paid for did not come to its end")


def _rows(paths: Paths) -> dict[str, tuple[str, str, str | None]]:
    """Key -> state, reason, prompt."""
    db = sqlite3.connect(f"file:{paths.journal}?mode=ro", uri=True)
    try:
        found = db.execute("SELECT key, state, reason, prompt FROM posts").fetchall()
    finally:
        db.close()
    return {key: (state, reason, prompt) for key, state, reason, prompt in found}


def _compare(paths: Paths, script: Script, heard: set[str], told: Told) -> None:
    rows = _rows(paths)
    told.sent = len(script.paid)
    told.states = Counter(f"{state} {reason}".strip() for state, reason, _ in rows.values())
    told.unsure = len(script.unsure)
    told.faults += [f"{key} was sent and is not known" for key in script.paid.keys() - script.unsure - rows.keys()]
    told.faults += [f"{key} is known and was never sent" for key in rows if key not in script.paid]
    for key, (state, reason, prompt) in rows.items():
        if state == "done" and prompt not in heard:
            told.faults.append(f"{key} is done and was never heard")
        if state in ("skipped", "cut") and not reason:
            told.faults.append(f"{key} is {state} without a reason")
        if state not in FINAL:
            told.faults.append(f"{key} is {state}")
