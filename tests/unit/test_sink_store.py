"""What was changed on air lasts over a restart, until the configuration says something else about that sink."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from pydantic import SecretStr

from broadcaster.config import FileSink, NullSink, PreviewSink, RtmpSink, SinkConfig
from broadcaster.errors import Refused
from broadcaster.playout.sinkstore import Entry, SinkStore, address_of, reveal

pytestmark = pytest.mark.unit

KEY = "live_1_2?key=0123456789abcdef"
MAIN = RtmpSink(name="main", url=SecretStr("rtmp://old.example/app"), key=SecretStr(KEY))
CONFIGURED: list[SinkConfig] = [PreviewSink(name="preview"), MAIN]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "sinks.json"


def held(store: SinkStore) -> dict[str, str]:
    return {name: entry.hold for name, entry in store.entries().items()}


def test_without_changes_the_configuration_holds_and_no_file_is_written(path: Path) -> None:
    assert SinkStore(path, CONFIGURED).entries() == {"preview": Entry(CONFIGURED[0]), "main": Entry(MAIN)}
    assert not path.exists()


def test_a_change_survives_a_restart_and_keeps_what_it_does_not_name(path: Path) -> None:
    SinkStore(path, CONFIGURED).change("main", {"url": "rtmp://new.example/app"})
    config = SinkStore(path, CONFIGURED).entries()["main"].config
    assert isinstance(config, RtmpSink)
    assert config.url.get_secret_value() == "rtmp://new.example/app"
    assert config.key == SecretStr(KEY)


def test_the_file_is_for_its_owner_only(path: Path) -> None:
    SinkStore(path, CONFIGURED).change("main", {"key": "another-key"})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["sinks.json"]


def test_a_changed_entry_of_the_configuration_ends_its_override_and_no_other(path: Path) -> None:
    store = SinkStore(path, CONFIGURED)
    store.change("main", {"queue_ms": 3000})
    store.hold("preview", "paused")
    edited = MAIN.model_copy(update={"queue_ms": 2000})
    again = SinkStore(path, [CONFIGURED[0], edited])
    assert again.entries()["main"].config == edited
    assert held(again) == {"preview": "paused", "main": ""}


def test_reload_works_like_a_restart(path: Path) -> None:
    store = SinkStore(path, CONFIGURED)
    store.change("main", {"queue_ms": 3000})
    store.reload([*CONFIGURED, NullSink(name="extra")])
    assert list(store.entries()) == ["preview", "main", "extra"]
    main = store.entries()["main"].config
    assert isinstance(main, RtmpSink)
    assert main.queue_ms == 3000
    store.reload([CONFIGURED[0]])
    assert list(store.entries()) == ["preview"]


def test_added_sinks_stay_until_removed_or_configured(path: Path) -> None:
    store = SinkStore(path, CONFIGURED)
    store.add("second", {"type": "rtmp", "url": "rtmp://b.example/app/key"})
    assert list(SinkStore(path, CONFIGURED).entries()) == ["preview", "main", "second"]
    configured = NullSink(name="second")
    assert SinkStore(path, [configured]).entries()["second"].config == configured
    assert "second" not in SinkStore(path, CONFIGURED).entries()


def test_removing_lasts_and_reset_brings_back(path: Path) -> None:
    SinkStore(path, CONFIGURED).remove("main")
    store = SinkStore(path, CONFIGURED)
    assert list(store.entries()) == ["preview"]
    store.reset("main")
    assert SinkStore(path, CONFIGURED).entries()["main"].config == MAIN


def test_reset_of_all_forgets_added_sinks(path: Path) -> None:
    store = SinkStore(path, CONFIGURED)
    store.add("second", {"type": "null"})
    store.hold("main", "off")
    store.reset("")
    assert held(store) == {"preview": "", "main": ""}


def test_pause_stop_resume(path: Path) -> None:
    store = SinkStore(path, CONFIGURED)
    store.hold("main", "paused")
    store.hold("preview", "off")
    assert held(SinkStore(path, CONFIGURED)) == {"preview": "off", "main": "paused"}
    before = store.entries()["main"]
    store.hold("main", "")
    after = store.entries()["main"]
    assert after.hold == ""
    assert after.poke > before.poke
    assert after.config == MAIN


def test_resume_starts_a_sink_that_is_disabled_in_the_configuration(path: Path) -> None:
    off = NullSink(name="spare", enabled=False)
    store = SinkStore(path, [off])
    assert held(store) == {"spare": "off"}
    store.hold("spare", "")
    assert held(SinkStore(path, [off])) == {"spare": ""}


def test_a_change_while_paused_stays_paused(path: Path) -> None:
    store = SinkStore(path, CONFIGURED)
    store.hold("main", "paused")
    store.change("main", {"key": "new-key-of-today"})
    assert held(store)["main"] == "paused"


def test_a_change_of_type_takes_nothing_over(path: Path, tmp_path: Path) -> None:
    store = SinkStore(path, CONFIGURED)
    store.change("main", {"type": "file", "directory": str(tmp_path)})
    assert store.entries()["main"].config == FileSink(name="main", directory=tmp_path)


@pytest.mark.parametrize(
    ("action", "arguments"),
    [
        ("add", ("main", {"type": "null"})),
        ("add", ("new", {"type": "carrier-pigeon"})),
        ("add", ("new", {"type": "rtmp", "url": "rtmp://h/a", "key": KEY, "colour": "red"})),
        ("add", ("../../etc", {"type": "null"})),
        ("add", ("", {"type": "null"})),
        ("change", ("nobody", {"key": KEY})),
        ("change", ("main", {"key": KEY, "queue_ms": "soon"})),
        ("hold", ("nobody", "paused")),
        ("remove", ("nobody",)),
        ("reset", ("nobody",)),
    ],
)
def test_bad_commands_are_refused_with_a_reason_and_change_nothing(
    path: Path, action: str, arguments: tuple[object, ...]
) -> None:
    store = SinkStore(path, CONFIGURED)
    before = store.entries()
    with pytest.raises(Refused) as caught:
        getattr(store, action)(*arguments)
    assert KEY not in str(caught.value)
    assert str(caught.value)
    assert store.entries() == before
    assert not path.exists()


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"main": {"settings": {"type": "rtmp"}, "hold": "", "of": null}}', b"\xff"]
)
def test_a_damaged_file_does_not_keep_the_channel_off_the_air(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    assert list(SinkStore(path, CONFIGURED).entries()) == ["preview", "main"]


def test_addresses_are_shown_without_keys(tmp_path: Path) -> None:
    backup = MAIN.model_copy(update={"backup_url": SecretStr("rtmp://b.example/app")})
    assert address_of(backup, 0) == "rtmp://old.example/app/***"
    assert address_of(backup, 1) == "rtmp://b.example/app/***"
    whole = RtmpSink(name="x", url=SecretStr("rtmp://h.example/app/secret-key"))
    assert address_of(whole, 0) == "rtmp://h.example/app/***"
    assert address_of(RtmpSink(name="x"), 0) == ""
    assert address_of(FileSink(name="f", directory=tmp_path), 0) == str(tmp_path)


def test_reveal_is_what_the_configuration_accepts_again() -> None:
    assert RtmpSink.model_validate(reveal(MAIN)) == MAIN


@pytest.mark.parametrize("left", [b"{", b"[]", b'{"main": {"hold": "\xff"}}'])
def test_a_file_that_cannot_be_read_is_ignored(path: Path, left: bytes) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(left)
    assert held(SinkStore(path, CONFIGURED)) == held(SinkStore(path.with_name("none"), CONFIGURED))
