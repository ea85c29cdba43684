"""What happens to a channel in a soak: prompts of all kinds and faults, at random, from one seed."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.support.channel import Channel
from tests.support.nginx import NginxRtmp
from tests.support.peers import FaultProxy

TEXTS = (
    "大家好，欢迎来到直播间。",
    "明天白天多云转晴，最高气温二十六度。",
    "Thanks for watching, and please ask your questions.",
    "这款耳机支持主动降噪，续航三十个小时，充电十分钟可以听三个小时。",
    "春天来了，公园里的花都开了。老人们在树下打太极拳，孩子们在草地上放风筝。",
)
QUESTIONS = ("你是谁？", "现在几点了？", "今天有什么节目？", "What can you do?")


@dataclass(slots=True)
class Chaos:
    """`step` does one thing and waits a little. `deaths` counts processes killed on purpose, by role."""

    channel: Channel
    proxy: FaultProxy
    other: NginxRtmp
    chance: random.Random
    gentle: bool = False
    """Leave playout and the director alive."""
    deeds: Counter[str] = field(default_factory=Counter)
    deaths: Counter[str] = field(default_factory=Counter)
    accepted: list[str] = field(default_factory=list)

    def step(self, pause_s: tuple[float, float]) -> None:
        deeds: list[tuple[int, Callable[[], None]]] = [
            (12, self.say), (6, self.ask), (4, self.interrupt), (2, self.stall), (2, self.reset),
            (2, self.restart_server), (1, self.panic),
            (1, self.kill_head), (1, self.kill_voice), (1, self.hang_voice),
        ]  # fmt: skip
        if not self.gentle:
            deeds += [(1, self.kill_director), (1, self.kill_playout)]
        deed = self.chance.choices([deed for _, deed in deeds], [weight for weight, _ in deeds])[0]
        self.deeds[deed.__name__] += 1
        deed()
        time.sleep(self.chance.uniform(*pause_s))

    def say(self) -> None:
        self.accepted.append(self.channel.say(self.chance.choice(TEXTS)))

    def ask(self) -> None:
        self.accepted.append(self.channel.ask(self.chance.choice(QUESTIONS)))

    def interrupt(self) -> None:
        self.channel.interrupt()

    def stall(self) -> None:
        self.proxy.stall()
        time.sleep(self.chance.uniform(1, 15))
        self.proxy.resume()

    def reset(self) -> None:
        self.proxy.reset()

    def restart_server(self) -> None:
        self.other.restart()

    def panic(self) -> None:
        self.channel.panic()
        self.channel.until(lambda: bool(self.channel.status()["panicked"]), 30, "the panic")
        time.sleep(self.chance.uniform(0.5, 3))
        self.channel.resume()
        self.channel.until(lambda: not self.channel.status()["panicked"], 30, "the end of the panic")

    def kill_head(self) -> None:
        self._kill("head", signal.SIGKILL)

    def kill_voice(self) -> None:
        self._kill("voice", signal.SIGKILL)

    def hang_voice(self) -> None:
        self._kill("voice", signal.SIGSTOP)
        self.say()

    def kill_director(self) -> None:
        self._kill("director", signal.SIGKILL)

    def kill_playout(self) -> None:
        self._kill("playout", signal.SIGKILL)

    def _kill(self, role: str, sig: int) -> None:
        pid = self.channel.kill(role, sig)
        self.deaths[role] += 1
        self.channel.until(lambda: self.channel.pids(role) not in ([], [pid]), 120, f"a new {role}")
        self.channel.until(lambda: self.channel.get("/health/ready")[0] == 200, 120, "ready again")
        self.channel.connect()
