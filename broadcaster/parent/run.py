"""One loop that starts, watches, reaps and restarts the children. Main thread of the parent; no media, no network.

It waits on one selector: the children's pidfds (who died), their links (who is well) and the signal wake-up
descriptor. What is due is decided by `Keeper`, `Ending` and `Plan`, which know neither processes nor clocks.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Final

from broadcaster import wire
from broadcaster.config import LoadedConfig
from broadcaster.errors import WireError
from broadcaster.handover import pack_config
from broadcaster.parent.checking import ReloadCheck, check_command
from broadcaster.parent.ending import Ending
from broadcaster.parent.keeper import NOTHING, Keeper, roles_of
from broadcaster.parent.process import ChildProcess, exit_text, reap_strangers
from broadcaster.parent.reload import plan
from broadcaster.telemetry.notify import Notifier

log = logging.getLogger(__name__)

EX_CONFIG: Final = 78
"""Exit status of a child, and of the daemon, for a configuration that cannot work."""

EX_INTERRUPTED: Final = 130

POLL_S: Final = 0.5
"""The longest sleep of the loop; deadlines and events end it earlier."""

REST_S: Final = 0.02
"""The shortest sleep: a killed child may take a moment to be gone."""

AWAY_S: Final = 2.0
"""A loop that was away this long (stopped, swapped out) may not judge silence that it could not hear."""

LAST_WORDS_S: Final = 0.3
"""Between asking a hung child for its stacks (SIGUSR1 works even with the interpreter lock held) and killing it."""

RELOAD_S: Final = 4.0
"""What a child that restarts for a new configuration has for its last sentence before it is killed."""

PATIENCE_S: Final = 300.0
"""While starting, the service manager is asked for more time; not for ever: a start that cannot work should show."""

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)


def child_command(role: str) -> Sequence[str]:
    """-P: a `sinks` folder in the working directory must not stand in for the package."""
    return (sys.executable, "-P", "-m", "broadcaster.app", role)


class Parent:
    """One run of the daemon. `run` returns the exit status; signal handlers are its own while it runs."""

    def __init__(
        self,
        loaded: LoadedConfig,
        keepers: Sequence[Keeper],
        notifier: Notifier,
        command: Callable[[str], Sequence[str]] = child_command,
        clock: Callable[[], float] = time.monotonic,
        environment: Mapping[str, str] = os.environ,
        on_reload: Callable[[LoadedConfig], None] = lambda loaded: None,
        check: Callable[[Path | None], Sequence[str]] = check_command,
    ) -> None:
        self._loaded = loaded
        self._keepers = {keeper.role: keeper for keeper in keepers}
        self._roles = roles_of(loaded.config)
        self._notifier = notifier
        self._command = command
        self._clock = clock
        self._environment = dict(environment)
        self._on_reload = on_reload
        self._children: dict[str, ChildProcess] = {}
        self._dying: dict[str, tuple[str, float]] = {}
        """Role -> why it is being killed and when SIGKILL is due."""
        self._wanted: set[str] = set()
        """Those of them that were asked to exit for a reload."""
        self._untold_reload = False
        self._check = ReloadCheck(self._environment, clock, check)
        self._ending: Ending | None = None
        self._status = 0
        self._on_air = False
        self._signals: list[int] = []
        self._selector = selectors.DefaultSelector()
        self._began = clock()

    def run(self) -> int:
        wake, waker = socket.socketpair()
        for end in (wake, waker):
            end.setblocking(False)
        self._selector.register(wake, selectors.EVENT_READ, None)
        old_wakeup = signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
        old_handlers = {number: signal.signal(number, self._note_signal) for number in SIGNALS}
        try:
            self._loop(wake)
        finally:
            for child in list(self._children.values()):
                child.kill()
                self._bury(child)
            self._check.close()
            for number, handler in old_handlers.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(old_wakeup)
            self._selector.close()
            wake.close()
            waker.close()
        return self._status

    def _loop(self, wake: socket.socket) -> None:
        before = self._clock()
        while self._ending is None or self._children:
            self._listen(wake, self._timeout())
            reap_strangers({self._check.pid, *(child.pid for child in self._children.values())})
            now = self._clock()
            if now - before > AWAY_S + POLL_S:
                for keeper in self._keepers.values():
                    keeper.forgive(now)
            before = now
            self._handle_signals(now)
            if self._ending is None:
                self._reload_when_checked(now)
                self._judge(now)
                self._start_due(now)
            else:
                self._let_go(self._ending, now)
            self._tell_systemd(now)

    def _timeout(self) -> float:
        deadlines: list[float | None] = [due for _, due in self._dying.values()]
        for role, keeper in self._keepers.items():
            if role not in self._dying and (keeper.running or role in self._roles):
                deadlines.append(keeper.deadline() if keeper.running else keeper.restart_at)
        if self._ending is not None:
            deadlines = [self._ending.deadline()]
        now = self._clock()
        wait = min([POLL_S, *(at - now for at in deadlines if at is not None)])
        return max(wait, REST_S)

    # --- what the selector brings

    def _listen(self, wake: socket.socket, timeout: float) -> None:
        ready = self._selector.select(timeout)
        exited: list[ChildProcess] = []
        for key, _ in ready:
            child: ChildProcess | None = key.data
            if child is None:
                wake.recv(4096)
            elif key.fd == child.pidfd:
                exited.append(child)
            else:
                self._hear(child)
        for child in exited:
            self._hear(child)
            self._note_exit(child)

    def _hear(self, child: ChildProcess) -> None:
        try:
            messages = child.receive()
        except WireError as err:
            log.error("a child sent something unreadable", extra={"role": child.role, "error": err})
            messages = []
        for message in messages:
            if isinstance(message, wire.Beat):
                self._note_beat(child.role, message)
            elif isinstance(message, wire.Restart):
                self._restart_on_request(message)
        if child.silent and child.link in self._selector.get_map():
            self._selector.unregister(child.link)

    def _note_beat(self, role: str, beat: wire.Beat) -> None:
        keeper = self._keepers[role]
        was_ready = keeper.ready
        advanced = keeper.beat(beat.progress, beat.ready, beat.note, self._clock())
        if keeper.ready and not was_ready:
            log.info("child is ready", extra={"role": role})
        if role == "playout" and self._ending is None:
            if advanced and not self._on_air:
                self._notifier.extend_timeout(keeper.limits.start_s)
            if keeper.ready and not self._on_air:
                self._on_air = True
                self._notifier.ready()
                log.info("on air", extra={"after_s": round(self._clock() - self._began, 1)})
            if advanced and keeper.proven and self._on_air:
                self._notifier.watchdog()

    def _restart_on_request(self, request: wire.Restart) -> None:
        if request.role in self._children and request.role not in self._dying and self._ending is None:
            self._kill_slowly(request.role, request.reason, self._clock())

    # --- children's ends and beginnings

    def _judge(self, now: float) -> None:
        for role, keeper in self._keepers.items():
            if role not in self._dying and role in self._children:
                reason = keeper.hung(now)
                if reason is not None:
                    self._tell_director("hung", role, reason)
                    self._kill_slowly(role, reason, now)
        for role, (_, due) in self._dying.items():
            if now >= due:
                self._children[role].kill()

    def _kill_slowly(self, role: str, reason: str, now: float) -> None:
        log.error("killing a child that does not answer", extra={"role": role, "reason": reason})
        self._children[role].signal(signal.SIGUSR1)
        self._dying[role] = (reason, now + LAST_WORDS_S)

    def _note_exit(self, child: ChildProcess) -> None:
        role = child.role
        status = self._bury(child)
        reason, _ = self._dying.pop(role, ("", 0.0))
        keeper = self._keepers[role]
        if self._ending is not None:
            keeper.running = False
            return
        if role == "playout" and status == EX_CONFIG and not self._on_air:
            log.error("the configuration cannot go on air; see the lines above")
            self._status = EX_CONFIG
            self._ending = Ending(self._clock())
            return
        wanted = role in self._wanted
        self._wanted.discard(role)
        had_given_up = keeper.gave_up
        delay = keeper.exited(self._clock(), hopeless=status == EX_CONFIG, wanted=wanted)
        why = reason or exit_text(status)
        log.log(
            logging.INFO if wanted else logging.ERROR,
            "child ended",
            extra={"role": role, "reason": why, "restart_in_s": round(delay, 2)},
        )
        self._tell_director("exited", role, why)
        if keeper.gave_up and not had_given_up:
            self._tell_director("gave_up", role, f"{why}; restarts do not help, they go on")

    def _bury(self, child: ChildProcess) -> int:
        self._selector.unregister(child.pidfd)
        if child.link in self._selector.get_map():
            self._selector.unregister(child.link)
        del self._children[child.role]
        status = child.reap()
        while status is None:  # only after a SIGKILL on the way out
            status = child.reap()
        child.close()
        return status

    def _start_due(self, now: float) -> None:
        for role, keeper in self._keepers.items():
            if role in self._roles and role not in self._children and keeper.due(now):
                self._start(role, keeper)

    def _start(self, role: str, keeper: Keeper) -> None:
        now = self._clock()
        keeper.started(now)
        try:
            child = ChildProcess(role, self._command(role), pack_config(self._loaded), self._environment)
        except OSError as err:
            delay = keeper.exited(now)
            log.error("a child cannot be started", extra={"role": role, "error": err, "retry_in_s": round(delay, 2)})
            return
        self._children[role] = child
        self._selector.register(child.pidfd, selectors.EVENT_READ, child)
        self._selector.register(child.link, selectors.EVENT_READ, child)
        log.info("child started", extra={"role": role, "pid": child.pid, "starts": keeper.starts})
        if role == "director":
            self._brief_director()
        else:
            self._tell_director("started", role, str(keeper.starts))

    # --- the director is told

    def _tell_director(self, event: str, role: str, detail: str = "") -> bool:
        director = self._children.get("director")
        if director is None or (role == "director" and event != "reload"):
            return False
        return director.tell(wire.Notice(event, role, detail))

    def _brief_director(self) -> None:
        """A director that has just started hears who runs, and of a reload that happened while it was down."""
        for role, keeper in self._keepers.items():
            if role != "director" and keeper.running:
                self._tell_director("started", role, str(keeper.starts))
        if self._untold_reload:
            self._announce_reload()

    def _announce_reload(self) -> None:
        self._untold_reload = not self._tell_director("reload", "director", self._loaded.text)

    # --- signals

    def _note_signal(self, number: int, frame: FrameType | None) -> None:
        self._signals.append(number)

    def _handle_signals(self, now: float) -> None:
        while self._signals:
            number = self._signals.pop(0)
            if number in (signal.SIGTERM, signal.SIGINT):
                self._stop(number, now)
            elif number == signal.SIGHUP and self._ending is None:
                self._notifier.reloading()
                self._check.begin(self._loaded.path)
            elif number == signal.SIGUSR1:
                faulthandler.dump_traceback(all_threads=True)
                for role, child in self._children.items():
                    if self._keepers[role].progress > NOTHING:  # before its first beat the signal would end it
                        child.signal(signal.SIGUSR1)

    def _stop(self, number: int, now: float) -> None:
        if self._ending is None:
            log.info("stopping", extra={"signal": signal.Signals(number).name})
            self._notifier.stopping()
            self._check.close()
            self._ending = Ending(now)
        elif number == signal.SIGINT:
            log.warning("stopping at once")
            self._status = EX_INTERRUPTED
            self._ending.force()

    def _let_go(self, ending: Ending, now: float) -> None:
        running = set(self._children)
        for role in ending.to_terminate(running, now):
            self._children[role].signal(signal.SIGTERM)
        for role in ending.to_kill(running, now):
            if self._status == 0:
                log.warning("killing a child that did not stop in time", extra={"role": role})
            self._children[role].kill()

    def _reload_when_checked(self, now: float) -> None:
        outcome = self._check.outcome()
        if outcome is None:
            return
        if isinstance(outcome, LoadedConfig):
            self._reload(outcome, now)
        else:
            for problem in outcome:
                log.error("reload refused, the old configuration stays", extra={"problem": problem})
        if self._on_air:
            self._notifier.ready()

    def _reload(self, new: LoadedConfig, now: float) -> None:
        change = plan(self._loaded, new)
        self._loaded = change.loaded
        self._on_reload(change.loaded)
        self._roles = roles_of(change.loaded.config)
        log.info("reloaded", extra={"changed": ",".join(change.changed) or "nothing"})
        if change.frozen:
            log.warning("restart the daemon to apply these", extra={"keys": ",".join(change.frozen)})
        self._untold_reload = True
        if "director" not in change.restart:
            self._announce_reload()
        for role in change.restart:
            if role not in self._children:
                self._keepers[role].restart_at = now
            elif role not in self._dying:
                self._wanted.add(role)
                self._dying[role] = ("reload", now + RELOAD_S)
                self._children[role].signal(signal.SIGTERM)

    # --- systemd

    def _tell_systemd(self, now: float) -> None:
        self._notifier.flush()
        if self._ending is not None:
            self._notifier.status("stopping")
            return
        if not self._on_air and now - self._began < PATIENCE_S:
            self._notifier.extend_timeout(30)
        playout = self._keepers["playout"]
        words = [playout.note or ("on air" if playout.ready else "starting")]
        words += [
            f"{role} {_state(keeper)}" for role, keeper in self._keepers.items() if role in self._roles - {"playout"}
        ]
        self._notifier.status(", ".join(words))


def _state(keeper: Keeper) -> str:
    if not keeper.running:
        return "down"
    return "ok" if keeper.ready else "starting"
