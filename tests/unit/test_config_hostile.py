# ruff: noqa: PT017 - both outcomes are right, and each has its own rules
"""Whatever the file holds, the loader answers with a configuration or with lines that name place and remedy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from broadcaster.config import Config, LoadedConfig, load_config, parse_sink, resolve_settings
from broadcaster.config.models import Alarm
from broadcaster.config.sinks import FileSink, NullSink, PreviewSink, RtmpSink
from broadcaster.config.sources import BilibiliSource, DouyinSource, IngestSource, ReplaySource
from broadcaster.errors import ConfigError

pytestmark = pytest.mark.unit

CANARY = "c4n4ry-s3cr3t-v4lu3"
PATH = Path("/nowhere/config.yaml")

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 70_000), st.floats(), st.text(max_size=20),
    st.sampled_from(["${X}", "${X:-}", "${", "rtmp://h/a", "127.0.0.1", "0.0.0.0", "25", "openai", "file"]),
)  # fmt: skip
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
)
SECRET_FIELDS = {"url", "key", "backup_url", "api_key", "viewer", "moderator", "operator", "webhook", "token", "code"}
SECRET_FIELDS |= {"access_key_id", "access_key_secret", "app_secret", "push_secret"}


def section(*models: Any) -> st.SearchStrategy[dict[str, Any]]:
    """Mappings with keys the models know, and sometimes with one they do not."""
    names = sorted({name for model in models for name in model.model_fields})
    secret = st.sampled_from([CANARY, [CANARY], {"a": CANARY}, f"rtmp://{CANARY}:x/y"])
    fields = {name: values | secret if name in SECRET_FIELDS else values for name in names}
    known = st.fixed_dictionaries({}, optional=fields)
    return st.builds(lambda a, b: {**a, **b}, known, st.dictionaries(st.text(max_size=6), values, max_size=1))


sinks = st.lists(section(RtmpSink, FileSink, PreviewSink, NullSink), max_size=3)
configs = st.builds(
    lambda top, sinks, sources, alarms, sub: {**top, "sinks": sinks, "sources": sources, "alarms": alarms, **sub},
    section(Config),
    sinks,
    st.lists(section(BilibiliSource, DouyinSource, IngestSource, ReplaySource), max_size=2),
    st.lists(section(Alarm), max_size=2),
    st.fixed_dictionaries(
        {},
        optional={
            name: section(field.annotation)
            for name, field in Config.model_fields.items()
            if name not in ("channel", "avatar", "avatar_disk_gb", "state_dir", "sinks", "sources", "alarms")
        },
    ),
)


def answer(text: str) -> str:
    """What the operator would see."""
    try:
        loaded = load_config(PATH, text, {})
    except ConfigError as err:
        assert err.problems
        assert all(line.startswith(str(PATH)) for line in err.problems)
        return str(err)
    assert isinstance(loaded, LoadedConfig)
    return repr(loaded) + "".join(loaded.warnings)


@settings(max_examples=60, deadline=None)
@given(configs)
def test_any_mapping_of_known_keys(data: dict[str, Any]) -> None:
    assert CANARY not in answer(yaml.safe_dump(data, allow_unicode=True, default_flow_style=None))


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=200) | st.text(alphabet=":-{}[]&*!|>'\"%@`#, \n\tab${", max_size=60))
def test_any_text(text: str) -> None:
    answer(text)


@settings(max_examples=50, deadline=None)
@given(data=st.binary(max_size=200))
def test_any_bytes(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(data)
    try:
        load_config(path, env={})
    except ConfigError as err:
        assert all(line.startswith(str(path)) for line in err.problems)


@settings(max_examples=100, deadline=None)
@given(section(RtmpSink, FileSink))
def test_any_sink_command(data: dict[str, Any]) -> None:
    try:
        sink = parse_sink(resolve_settings(data, {}))
    except ConfigError as err:
        assert CANARY not in str(err)
    else:
        assert CANARY not in repr(sink)
