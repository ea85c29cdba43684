"""Thread shell: runs a blocking adapter for ever by a `Backoff`. The caller's thread; returns when `stop` is set."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Event

from broadcaster.errors import AdapterError
from broadcaster.supervisor.backoff import Backoff


def keep_running(
    run: Callable[[Event], None],
    stop: Event,
    backoff: Backoff,
    *,
    failed: Callable[[AdapterError, float], None] = lambda err, delay: None,
    clock: Callable[[], float] = time.monotonic,
    wait: Callable[[float], bool] | None = None,
) -> None:
    """Calls `run(stop)` again after each AdapterError, when the back-off says so; tells `failed(error, delay_s)`.

    A return of `run` before `stop` is a short run and waits like a failure. An error that is not retryable, and
    any other exception, is raised. `wait(seconds)` answers whether to stop; by default it is `stop.wait`.
    """
    pause = wait or stop.wait
    while not stop.is_set():
        began = clock()
        try:
            run(stop)
            delay = backoff.failed(clock() - began)
        except AdapterError as err:
            if not err.retryable:
                raise
            delay = backoff.failed(clock() - began)
            failed(err, delay)
        if stop.is_set() or pause(delay):
            return
