"""Log lines: their form, what is taken out of them, and that nobody waits for their reader."""

from __future__ import annotations

import io
import json
import logging
import os
import threading
from collections.abc import Iterator

import pytest

from broadcaster.redact import Redactor
from broadcaster.telemetry.logs import Lines, TextLine, setup_logging

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def _own_root() -> Iterator[None]:
    """`setup_logging` owns the root logger; give it back as it was."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    root.handlers.clear()
    yield
    for handler in list(root.handlers):
        handler.close()
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)


def written(style: str, redact: Redactor | None = None, level: str = "info") -> tuple[Lines, io.StringIO]:
    stream = io.StringIO()
    return setup_logging(level, style, "playout", redact or Redactor(), stream), stream


def test_text_shows_extra_fields() -> None:
    lines, stream = written("text")
    logging.getLogger("x").warning("sink lost", extra={"sink": "main", "after_s": 12, "text": 'a "b"\nc', "none": ""})
    lines.flush()
    line = stream.getvalue().rstrip("\n")
    assert "\n" not in line
    stamp, rest = line.split(" ", 1)
    assert len(stamp) == len("2026-11-24T03:04:05.678+08:00")
    assert rest == 'WARNING playout sink lost sink=main after_s=12 text="a \\"b\\"\\nc" none=""'


def test_json_is_one_object_a_line() -> None:
    lines, stream = written("json")
    try:
        raise ValueError("no")
    except ValueError:
        logging.getLogger("x").exception("it failed", extra={"sink": "主", "level": "mine"})
    lines.flush()
    fields = json.loads(stream.getvalue())
    assert (fields["level"], fields["process"], fields["logger"]) == ("error", "playout", "x")
    assert (fields["message"], fields["sink"]) == ("it failed", "主")
    assert fields["trace"].endswith("ValueError: no")


@pytest.mark.parametrize("style", ["text", "json"])
def test_secrets_are_taken_out_of_message_fields_and_traceback(style: str) -> None:
    canary = "live_1234567_canary"
    lines, stream = written(style, Redactor([canary]))
    try:
        raise OSError(f"cannot open rtmp://push.example/live/{canary}?a=b")
    except OSError:
        logging.getLogger("x").exception("failed with %s", canary, extra={"address": f"rtmp://h/app/{canary}"})
    lines.flush()
    assert canary not in stream.getvalue()
    assert "rtmp://push.example/live/***" in stream.getvalue()


def test_the_secrets_may_change() -> None:
    lines, stream = written("text")
    lines.redact = Redactor(["new-secret-value"])
    logging.getLogger("x").info("new-secret-value")
    lines.flush()
    assert "new-secret-value" not in stream.getvalue()


def test_level_and_noisy_libraries() -> None:
    lines, stream = written("text", level="debug")
    logging.getLogger("uvicorn.access").info("GET /?token=x")
    logging.getLogger("httpx").info("POST")
    chatty = logging.getLogger("bm25s.index")
    chatty.setLevel("DEBUG")
    chatty.debug("building")
    logging.getLogger("x").debug("seen")
    lines.flush()
    assert stream.getvalue().count("\n") == 1
    setup_logging("error", "text", "playout", stream=stream)
    chatty.debug("building")
    logging.getLogger("x").warning("not seen")
    logging.getLogger("httpx").warning("not seen")
    assert stream.getvalue().count("\n") == 1


def test_nobody_waits_for_a_reader_that_stopped() -> None:
    read, write = os.pipe()
    with os.fdopen(write, "w") as stuck, os.fdopen(read) as reader:
        handler = Lines(stuck, capacity=10)
        handler.setFormatter(TextLine("playout"))
        logger = logging.getLogger("stuck")
        logger.addHandler(handler)
        logger.propagate = False
        for _ in range(200):
            logger.warning("x" * 4000)
        assert handler.dropped > 0
        kept = 200 - handler.dropped
        texts: list[str] = []

        def drain() -> None:
            while len([t for t in texts if "xxx" in t]) < kept or not any("dropped" in t for t in texts):
                texts.append(reader.readline())

        thread = threading.Thread(target=drain)
        thread.start()
        thread.join(10)
        logger.removeHandler(handler)
        handler.close()
        assert not thread.is_alive()
        assert f"({handler.dropped} log lines were dropped: nobody read them in time)\n" in texts


def test_a_closed_stream_is_no_failure() -> None:
    stream = io.StringIO()
    lines = setup_logging("info", "text", "playout", stream=stream)
    stream.close()
    logging.getLogger("x").error("to nobody")
    lines.flush()
    assert lines.dropped == 0
