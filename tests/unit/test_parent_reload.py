"""What a changed configuration asks for, and what a child is handed."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from broadcaster.config import Config, LoadedConfig, OpenAIChat, load_config
from broadcaster.handover import pack_config, unpack_config
from broadcaster.parent.reload import FROZEN, LIVE, RESTARTS, plan

pytestmark = pytest.mark.unit

FULL = {
    "channel": "one",
    "video": {"width": 640, "height": 360, "fps": 30},
    "voice": {"speed": 1.25},
    "brain": {
        "chain": [{"engine": "openai", "base_url": "http://127.0.0.1:9/v1", "api_key": "${KEY}", "model": "m"}],
    },
    "console": {"tokens": {"operator": "${TOKEN}"}, "allowed_hosts": ["a.example"]},
    "sinks": [
        {"type": "rtmp", "name": "main", "url": "rtmp://a.example/live", "key": "${KEY}"},
        {"type": "preview", "name": "page"},
    ],
    "alarms": [{"on": ["sink_down"], "webhook": "https://hooks.example/${TOKEN}"}],
}
LOCAL = {"engine": "cosyvoice", "model_dir": "/models/cosyvoice"}
ENV = {"KEY": "sk-0123456789", "TOKEN": "t0ken-t0ken-t0ken"}


def loaded(changes: dict[str, object] | None = None, env: dict[str, str] | None = None) -> LoadedConfig:
    text = yaml.safe_dump({**FULL, **(changes or {})}, allow_unicode=True)
    return load_config(Path("/etc/broadcaster/one.yaml"), text, env or ENV)


def test_every_section_has_its_rule() -> None:
    rules = [*FROZEN, *RESTARTS, *LIVE]
    assert sorted(rules) == sorted(Config.model_fields)


def test_nothing_changed() -> None:
    change = plan(loaded(), loaded())
    assert (change.restart, change.frozen, change.changed) == ((), (), ())


@pytest.mark.parametrize(
    ("changes", "restart"),
    [
        ({"voice": {"speed": 0.9}}, ("director",)),
        ({"voice": {"speed": 1.25, "loudness_lufs": -14}}, ("voice", "director")),
        ({"voice": {"speed": 1.25, "chain": [{"engine": "edge"}]}}, ("director",)),
        ({"voice": {"speed": 1.25, "threads": 1}}, ("voice", "director")),
        ({"voice": {"speed": 1.25, "chain": [LOCAL]}}, ("voice-local", "director")),
        ({"head": {"engine": "still"}}, ("head",)),
        ({"inbox": {"capacity": 5}}, ("director",)),
        ({"turns": {"ask": {"cuts": "never"}}}, ("director",)),
        ({"inbox": {"capacity": 5}, "alarms": []}, ("director",)),
        ({"sinks": [{"type": "null", "name": "n"}]}, ()),
    ],
)
def test_only_what_changed_is_restarted(changes: dict[str, object], restart: tuple[str, ...]) -> None:
    change = plan(loaded(), loaded(changes))
    assert change.restart == restart
    assert change.frozen == ()
    assert change.changed == tuple(key for key in Config.model_fields if key in changes)


@pytest.mark.parametrize(
    ("voice", "restart"),
    [
        ({"chain": [{"engine": "edge"}, LOCAL]}, ("director",)),
        ({"chain": [LOCAL], "loudness_lufs": -14}, ("voice", "director")),
        ({"chain": [{**LOCAL, "speed": 1.1}]}, ("voice-local", "director")),
        ({"chain": [LOCAL], "threads": 1}, ("voice", "voice-local", "director")),
        ({"chain": [{**LOCAL, "enabled": False}]}, ("voice-local", "director")),
    ],
)
def test_a_model_is_loaded_again_only_for_its_own_settings(
    voice: dict[str, object], restart: tuple[str, ...]
) -> None:
    assert plan(loaded({"voice": {"chain": [LOCAL]}}), loaded({"voice": voice})).restart == restart


def test_the_picture_keeps_its_size_until_the_daemon_restarts() -> None:
    old = loaded()
    new = loaded({"video": {"width": 1280, "height": 720}, "voice": {"speed": 0.9}})
    change = plan(old, new)
    assert change.frozen == ("video",)
    assert change.loaded.config.video == old.config.video
    assert change.loaded.config.voice == new.config.voice
    again = plan(change.loaded, new)
    assert again.frozen == ("video",)
    assert again.restart == ()
    assert plan(change.loaded, old).frozen == ()


def test_a_secret_that_changed_in_its_file_counts() -> None:
    change = plan(loaded(), loaded(env={**ENV, "KEY": "sk-9876543210"}))
    assert change.changed == ("brain", "sinks")
    assert change.restart == ("director",)


@pytest.mark.parametrize(
    ("key", "restart"),
    [
        ("brain: {programme: p.yaml}", ("director",)),
        ("brain: {knowledge: notes}", ("director",)),
        ("voice: {lexicon: p.yaml}", ("voice", "voice-local", "director")),
    ],
)
def test_an_edited_file_counts_though_its_name_stays(short_dir: Path, key: str, restart: tuple[str, ...]) -> None:
    (short_dir / "notes").mkdir()
    for file in (short_dir / "p.yaml", short_dir / "notes" / "a.md"):
        file.write_text("entries: []")
    config = short_dir / "config.yaml"
    config.write_text(f"{key}\nsinks: []\nstate_dir: {short_dir}\n")
    before = load_config(config)
    assert plan(before, load_config(config)).changed == ()
    for file in (short_dir / "p.yaml", short_dir / "notes" / "a.md"):
        file.write_text("entries: [] # edited")
    change = plan(before, load_config(config))
    assert change.restart == restart
    assert len(change.changed) == 1
    assert plan(change.loaded, load_config(config)).changed == ()


def test_handing_over_keeps_everything() -> None:
    before = loaded()
    after = unpack_config(pack_config(before))
    assert after.config == before.config
    assert after.path == before.path
    assert after.text == before.text
    link = after.config.brain.chain[0]
    assert isinstance(link, OpenAIChat)
    key = link.api_key
    assert key is not None
    assert key.get_secret_value() == ENV["KEY"]


def test_handing_over_the_defaults() -> None:
    after = unpack_config(pack_config(load_config(None)))
    assert after.config == Config()
    assert after.path is None
