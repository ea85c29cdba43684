"""Every name in the tables leads to a class; a wrong one is answered with what to do."""

from __future__ import annotations

import importlib
import subprocess
import sys
from typing import get_args

import pytest

from broadcaster import registry
from broadcaster.config.brains import BrainLink, EndToEndLink
from broadcaster.config.sinks import FileSink, NullSink, PreviewSink, RtmpSink
from broadcaster.errors import ConfigError

pytestmark = pytest.mark.unit

TABLES = {
    "sink": registry.SINKS,
    "source": registry.SOURCES,
    "voice engine": registry.SYNTHESISERS,
    "voice": registry.VOICES,
    "local voice": registry.LOCAL_VOICES,
    "head engine": registry.HEADS,
    "brain": registry.BRAINS,
    "end-to-end voice": registry.END_TO_END,
}
ENTRIES = [(kind, name) for kind, table in TABLES.items() for name in table]


@pytest.mark.parametrize(("kind", "name"), ENTRIES)
def test_every_entry_can_be_imported(kind: str, name: str) -> None:
    module, _, attribute = TABLES[kind][name].partition(":")
    assert getattr(importlib.import_module(module), attribute).__name__ == attribute
    assert registry.problem_with(TABLES[kind], name, kind) is None or name == "musetalk"


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="no head engine named 'wrap' -> use one of: musetalk, onnx, still, warp"):
        registry.resolve(registry.HEADS, "wrap", "head engine")


def test_a_package_that_is_not_installed_is_named() -> None:
    with pytest.raises(ConfigError, match="sink x needs the package no_such_package"):
        registry.resolve({"x": "no_such_package:X"}, "x", "sink")


def test_every_sink_type_of_the_schema_has_an_adapter() -> None:
    types = {model.model_fields["type"].default for model in (RtmpSink, FileSink, PreviewSink, NullSink)}
    assert types == set(registry.SINKS)


@pytest.mark.parametrize(
    ("links", "table"),
    [(BrainLink, registry.BRAINS), (EndToEndLink, registry.END_TO_END)],
    ids=["brains", "end-to-end voices"],
)
def test_every_engine_of_the_mind_has_settings(links: object, table: registry.Table) -> None:
    models = get_args(get_args(links)[0])
    assert {model.model_fields["engine"].default for model in models} == set(table)


def test_an_extra_belongs_to_an_entry() -> None:
    targets = {target for table in TABLES.values() for target in table.values()}
    assert set(registry.EXTRAS) <= targets


def test_reading_the_tables_imports_no_adapter() -> None:
    heavy = "('av', 'numpy', 'sinks', 'sources')"
    code = f"import sys, broadcaster.registry; print([name for name in sys.modules if name in {heavy}])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
