"""Log lines of one process: text or JSON, `extra` fields as key=value, secrets taken out, and never a wait.

Whoever logs only formats and queues the line; one daemon thread per process writes to stderr. A terminal
stopped by Ctrl-S or a stuck journal would otherwise hold the tick loop.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import logging
import queue
import sys
import threading
import time
from collections.abc import Callable
from typing import Final, TextIO

QUEUE_LINES: Final = 2000
"""A start-up at debug level is some hundred lines; more than this means that nobody reads. New lines are dropped
and counted, and the count is written when the reader is back."""

CLOSE_SECONDS: Final = 1.0
"""How long the end of a process waits for the lines still queued."""

NOISY: Final = frozenset(
    {
        *("uvicorn", "httpx", "httpx2", "httpcore", "httpcore2", "aiohttp", "openai", "websockets", "websocket"),
        *("dashscope", "asyncio", "multipart", "PIL", "bm25s", "jieba", "libav"),
    }
)
"""Libraries (top of the logger's name) that print requests with their addresses, or their progress: only their
warnings are wanted. Checked where lines are written, because some set the level of their own loggers."""

_PLAIN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}


def _same(text: str) -> str:
    return text


def setup_logging(
    level: str,
    style: str,
    process: str,
    redact: Callable[[str], str] = _same,
    stream: TextIO | None = None,
) -> Lines:
    """Sets the root logger up for this process, replacing what was there.

    `level`: "debug", "info", "warning" or "error"; `style`: "text" or "json"; `process`: the prefix of every
    line; `redact` sees every finished line, traceback included.
    """
    formatter: logging.Formatter = JsonLine(process) if style == "json" else TextLine(process)
    handler = Lines(stream if stream is not None else sys.stderr, redact)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
        old.close()
    root.addHandler(handler)
    root.setLevel(level.upper())
    handler.setLevel(root.level)
    handler.addFilter(_wanted)
    logging.captureWarnings(True)
    return handler


class TextLine(logging.Formatter):
    """`2026-11-24T03:04:05.678+08:00 WARNING playout sink lost name=main after_s=12`."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        parts = [_stamp(record), f"{record.levelname:<7}", self._process, record.getMessage()]
        parts += [f"{key}={_value(value)}" for key, value in _extra(record).items()]
        line = " ".join(parts)
        trace = _trace(self, record)
        return f"{line}\n{trace}" if trace else line


class JsonLine(logging.Formatter):
    """One JSON object a line: time, level, process, logger, message, the extra fields, trace."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, object] = {
            "time": _stamp(record),
            "level": record.levelname.lower(),
            "process": self._process,
            "logger": record.name,
            "message": record.getMessage(),
        }
        fields.update({key: value for key, value in _extra(record).items() if key not in fields})
        trace = _trace(self, record)
        if trace:
            fields["trace"] = trace
        return json.dumps(fields, ensure_ascii=False, default=str)


class Lines(logging.Handler):
    """Queue and writing thread in one. `dropped` counts the lines that found the queue full; `redact` may change."""

    def __init__(self, stream: TextIO, redact: Callable[[str], str] = _same, capacity: int = QUEUE_LINES) -> None:
        super().__init__()
        self.dropped = 0
        self._stream = stream
        self.redact = redact
        self._queue: queue.Queue[str | None] = queue.Queue(capacity)
        self._thread = threading.Thread(target=self._write, name="log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._queue.put_nowait(self.redact(self.format(record)))
        except queue.Full:
            self.dropped += 1
        except Exception:
            self.handleError(record)

    def flush(self) -> None:
        """Waits at most CLOSE_SECONDS for the queue to be written."""
        deadline = time.monotonic() + CLOSE_SECONDS
        while self._queue.unfinished_tasks and self._thread.is_alive() and time.monotonic() < deadline:
            time.sleep(0.005)

    def close(self) -> None:
        self.flush()
        with contextlib.suppress(queue.Full):
            self._queue.put_nowait(None)
        super().close()

    def _write(self) -> None:
        reported = 0
        while (line := self._queue.get()) is not None:
            try:
                self._stream.write(line + "\n")
                if self.dropped > reported:
                    count, reported = self.dropped - reported, self.dropped
                    self._stream.write(f"({count} log lines were dropped: nobody read them in time)\n")
                self._stream.flush()
            except (OSError, ValueError):
                pass  # stderr is gone; there is nowhere left to say so
            finally:
                self._queue.task_done()


def _wanted(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING or record.name.partition(".")[0] not in NOISY


def _stamp(record: logging.LogRecord) -> str:
    moment = datetime.datetime.fromtimestamp(record.created, datetime.UTC).astimezone()
    return moment.isoformat(timespec="milliseconds")


def _extra(record: logging.LogRecord) -> dict[str, object]:
    return {key: value for key, value in vars(record).items() if key not in _PLAIN}


def _trace(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    if record.exc_info and record.exc_info[0] is not None:
        return formatter.formatException(record.exc_info)
    return record.exc_text or ""


def _value(value: object) -> str:
    text = str(value)
    bare = text.isprintable() and text != "" and not any(c in text for c in ' "=')
    return text if bare else json.dumps(text, ensure_ascii=False)
