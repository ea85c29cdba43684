"""docs/control-api.md names what there is: every route, every metric, every close code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from broadcaster.config import Console
from broadcaster.console import websocket
from broadcaster.console.prompts import STATUS_OF
from broadcaster.paths import Paths
from broadcaster.telemetry.metrics import Metrics
from tests.fakes.station import FakeStation
from tests.support.console import application

pytestmark = pytest.mark.unit

TEXT = (Path(__file__).parents[2] / "docs" / "control-api.md").read_text(encoding="utf-8")


def test_every_metric_is_documented_and_every_documented_one_exists() -> None:
    metrics = Metrics(processes=lambda: [("director", 1)])
    text = metrics.render(FakeStation().status()).decode()
    made = set(re.findall(r"^# TYPE broadcaster_(\w+) ", text, re.MULTILINE))
    table = TEXT.partition("## `/metrics`")[2]
    told = {
        name for row in re.findall(r"^\| (`.*?`) \|", table, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)
    }
    assert told == made


def test_every_route_is_documented(paths: Paths) -> None:
    app = application(FakeStation(), Console(port=0), paths)
    found: set[str] = set()
    for route in app.routes:
        found |= _paths(route)
    assert {"/ws", "/api/status"} <= found
    assert [path for path in sorted(found) if path not in TEXT and not path.startswith("/static")] == []


def _paths(route: object) -> set[str]:
    inner = getattr(getattr(route, "original_router", None), "routes", None)
    if inner:
        return set().union(*(_paths(each) for each in inner))
    return {str(getattr(route, "path", ""))}


def test_every_close_code_and_error_is_documented() -> None:
    for name in dir(websocket):
        if name.startswith("CLOSE_"):
            assert f"| {getattr(websocket, name)} |" in TEXT
    for code in STATUS_OF:
        assert f"`{code}`" in TEXT


def test_the_bounds_are_the_documented_ones() -> None:
    assert f"| prompt websockets | {websocket.MAX_CLIENTS} |" in TEXT
    assert f"| preview websockets | {websocket.MAX_PREVIEWS} |" in TEXT
    assert f"| a peer that does not read | {websocket.SEND_TIMEOUT_S:g} s |" in TEXT
