"""The configuration loader: references, every fault at once, secrets unseen."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from broadcaster import registry
from broadcaster.config import (
    Config,
    FileSink,
    LoadedConfig,
    RtmpSink,
    find_config,
    load_config,
    parse_sink,
    resolve_settings,
    secrets_of,
)
from broadcaster.errors import ConfigError

pytestmark = pytest.mark.unit

CANARY = "live_4711_c4n4ryk3y"


@pytest.fixture
def home(short_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an avatar named "host", writable state folders, and nothing else."""
    (short_dir / "avatars/host").mkdir(parents=True)
    (short_dir / "avatars/host/avatar.yaml").touch()
    for name in ("XDG_STATE_HOME", "XDG_RUNTIME_DIR", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, f"/tmp/bc-never-made-{name.lower()[4:9]}")
    for name in ("STATE_DIRECTORY", "RUNTIME_DIRECTORY", "CACHE_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    return short_dir


def load(home: Path, text: str, **env: str) -> LoadedConfig:
    return load_config(home / "config.yaml", text, env)


def faults(home: Path, text: str, env: Mapping[str, str] | None = None) -> list[str]:
    """The lines of the error, without the folder that pytest chose."""
    with pytest.raises(ConfigError) as caught:
        load_config(home / "config.yaml", text, env or {})
    assert all(" -> " in problem or "did you mean" in problem for problem in caught.value.problems)
    return [problem.removeprefix(f"{home}/") for problem in caught.value.problems]


def test_an_empty_file_is_the_default_configuration(home: Path) -> None:
    assert load(home, "").config == Config()


def test_every_fault_comes_out_at_once_in_the_order_of_the_file(home: Path) -> None:
    text = """\
channel: News!
avatar: nobody
video:
  widht: 1920
  fps: 26
console:
  host: 0.0.0.0
  port: ${NO_SUCH_PORT}
voice:
  engine: parrot
sinks:
  - type: rtmp
    name: a
    url: http://example.com/live
  - type: file
    name: a
label:
  text: live
"""
    found = faults(home, text)
    places = [line.split(": ", 2)[:2] for line in found]
    assert places == [
        ["config.yaml:1", "channel"],
        ["config.yaml:2", "avatar"],
        ["config.yaml:4", "video.widht"],
        ["config.yaml:5", "video.fps"],
        ["config.yaml:8", "console.port"],
        ["config.yaml:10", "voice.engine"],
        ["config.yaml:14", "sinks.0.url"],
        ["config.yaml:15", "sinks.1.directory"],
        ["config.yaml:18", "label.text"],
    ]


def test_an_unknown_key_suggests_the_nearest(home: Path) -> None:
    assert faults(home, "video: {widht: 640}") == ["config.yaml:1: video.widht: unknown key -> did you mean width?"]
    (line,) = faults(home, f"sinks:\n  - {{type: rtmp, name: a, streamkey: {CANARY}}}")
    assert "unknown key" in line
    assert CANARY not in line


def test_on_is_a_key_and_yes_is_a_word(home: Path) -> None:
    config = load(home, "alarms:\n  - on: [panic]\n    command: [echo, yes, no]\n").config
    assert config.alarms[0].on == ["panic"]
    assert config.alarms[0].command == ["echo", "yes", "no"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [b\n", "config.yaml:2: not valid YAML: "),
        ("channel: a\nchannel: b\n", "config.yaml:2: channel: the key stands here a second time (first in line 1)"),
        ("video: &v {fps: 25}\naudio: *v\n", "config.yaml:1: audio: aliases (*name) are not accepted"),
        ("video: &v [*v]\n", "config.yaml:1: video.0: aliases (*name) are not accepted"),
        ("channel: !!python/name:os.system x\n", "config.yaml:1: channel: tags (!name) are not accepted"),
        ("{a: 1}: 2\n", "config.yaml:1: a key must be a word"),
        ("- channel: a\n", "config.yaml:1: must be keys with values"),
        ("[" * 5000, "config.yaml:1: nested too deeply"),
        ("channel: a\0b", "config.yaml:1: not valid YAML: a character that is not allowed"),
        ("video: 3", "config.yaml:1: video: must be a section"),
        ("sinks: preview", "config.yaml:1: sinks: must be a list"),
        ("sinks: [{name: a}]", "config.yaml:1: sinks.0: a sink needs a type"),
        ("sinks: [{name: a, type: udp}]", "config.yaml:1: sinks.0: a sink needs a type"),
        (
            "sources: [{type: ingset}]",
            "config.yaml:1: sources.0: a source needs a type that is known, and not 'ingset'",
        ),
        (
            "sources: [{type: ingest, host: 0.0.0.0, token: a}]",
            "config.yaml:1: sources.0: its token is shorter than 16",
        ),
        ("turns: {bridge: []}", "config.yaml:1: turns.bridge: must not be empty -> write at least one"),
        ("brain: {chain: [{engine: opena}]}", "config.yaml:1: brain.chain.0: there is no brain engine 'opena' -> "),
        ("brain: {chain: [{model: a}]}", "config.yaml:1: brain.chain.0: a brain of the chain needs an engine"),
        ("brain: {end_to_end: [{engine: x}]}", "config.yaml:1: brain.end_to_end.0: an end-to-end voice needs an"),
        ("video: {width: 641}", "config.yaml:1: video.width: must be a multiple of 2, and not '641'"),
        ("voice: {speed: .inf}", "config.yaml:1: voice.speed: must be"),
        ("voice: {speed: 1e999}", "config.yaml:1: voice.speed: must be"),
        ("brain: {chain: [{engine: openai}]}", "config.yaml:1: brain.chain: openai has no model -> set its model"),
        (
            "brain: {chain: [{engine: openai, base_url: 'ftp://x'}]}",
            "config.yaml:1: brain.chain.0.base_url: the address does not begin with http://",
        ),
        ("brain: {knowledge: nowhere.txt}", "config.yaml:1: brain.knowledge: there is no file "),
        ("state_dir: avatars/host/avatar.yaml", "config.yaml:1: state_dir: "),
        ("state_dir: /tmp/" + "x" * 90, "config.yaml:1: state_dir: the run directory "),
        ("console: {tokens: {viewer: abc, operator: abc}}", "config.yaml:1: console.tokens: two roles have the same"),
    ],
)
def test_a_fault_is_named_with_its_place(home: Path, text: str, said: str) -> None:
    found = faults(home, text)
    assert any(line.startswith(said) for line in found), found


def test_the_label_cannot_be_configured_away(home: Path) -> None:
    for text in ("", "AI生成", "数字人", "AI 生成 数字人", "AI生成数字人\n"):
        with pytest.raises(ValueError, match="label"):
            Config.model_validate({"label": {"text": text}})
    assert load(home, "label: {text: 数字人 · AI生成内容}").config.label.text == "数字人 · AI生成内容"


def test_two_sinks_of_one_name(home: Path) -> None:
    text = "sinks: [{type: preview, name: a}, {type: 'null', name: a}]"
    assert faults(home, text) == ["config.yaml:1: sinks: two sinks are named a -> give every sink its own name"]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "studio.example"])
def test_the_console_listens_elsewhere_only_with_an_operator_token(home: Path, host: str) -> None:
    (line,) = faults(home, f"console: {{host: '{host}', tokens: {{moderator: abcdefghijklmnop}}}}")
    assert f"would listen on {host} without an operator token" in line
    config = load(home, f"console: {{host: '{host}', tokens: {{operator: '${{T}}'}}}}", T="x" * 32).config
    assert config.console.host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_needs_no_token(home: Path, host: str) -> None:
    assert load(home, f"console: {{host: '{host}'}}").config.console.loopback


def test_references(home: Path) -> None:
    (home / "key").write_text(f"{CANARY}\n")
    (home / "creds").mkdir()
    (home / "creds/token").write_text("credential-of-24-letters\n")
    text = f"""\
video: {{fps: "${{FPS:-30}}", width: "${{WIDTH}}"}}
sinks:
  - type: rtmp
    name: main
    url: "rtmp://${{HOST:-127.0.0.1}}/live"
    key: "${{file:{home}/key}}"
    backup_url: "${{BACKUP:-}}"
console: {{tokens: {{operator: "${{credential:token}}"}}}}
aigc: {{producer: "costs $5, $${{NAME}}"}}
"""
    loaded = load(home, text, WIDTH="1920", HOST="", CREDENTIALS_DIRECTORY=str(home / "creds"))
    config = loaded.config
    assert (config.video.fps, config.video.width) == (30, 1920)
    sink = config.sinks[0]
    assert isinstance(sink, RtmpSink)
    assert sink.url.get_secret_value() == "rtmp://127.0.0.1/live"
    assert sink.key is not None
    assert sink.key.get_secret_value() == CANARY
    assert sink.backup_url is None
    assert config.console.tokens.operator is not None
    assert config.console.tokens.operator.get_secret_value() == "credential-of-24-letters"
    assert config.aigc.producer == "costs $5, ${NAME}"
    assert loaded.warnings == ()
    assert CANARY not in repr(loaded)
    assert CANARY in secrets_of(config)


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("${MISSING}", "the environment variable MISSING is not set -> set it"),
        ("${credential:key}", "there are no systemd credentials"),
        ("${file:key}", "is not an absolute path"),
        ("${file:/nonexistent/key}", "there is no file /nonexistent/key"),
        ("${file:/dev/zero}", "there is no file /dev/zero"),
        ("${file:/}", "there is no file /"),
        ("${credential:../x}", "has no valid name"),
        ("${}", "is not a reference"),
        ("${a b}", "is not a reference"),
        ("${OPEN", "has no }"),
    ],
)
def test_a_reference_that_leads_nowhere(home: Path, reference: str, said: str) -> None:
    text = f"\nsinks:\n  - {{type: rtmp, name: a, url: 'rtmp://h/a', key: '{reference}'}}\n"
    (line,) = faults(home, text)
    assert line.startswith("config.yaml:3: sinks.0.key: ")
    assert said in line


def test_a_credential_that_is_not_there_is_named(home: Path) -> None:
    (line,) = faults(home, "aigc: {producer: '${credential:who}'}", {"CREDENTIALS_DIRECTORY": str(home)})
    assert "there is no systemd credential who -> add LoadCredential=who:/path to the unit" in line


def test_values_of_secret_fields_are_never_echoed(home: Path) -> None:
    text = f"""\
brain: {{chain: [{{engine: openai, api_key: [{CANARY}], base_url: "{CANARY}"}}]}}
console: {{tokens: {{operator: {{a: {CANARY}}}}}}}
sinks:
  - {{type: rtmp, name: a, url: "{CANARY}"}}
  - {{type: rtmp, name: b, url: "rtmp://", key: {{x: {CANARY}}}}}
  - {{type: rtmp, name: c, url: "rtmp://h:{CANARY}/a"}}
  - {{type: rtmp, name: d, kee: {CANARY}}}
alarms: [{{on: [panic], webhook: "{CANARY}"}}]
{CANARY!r}: [
"""
    assert CANARY not in "\n".join(faults(home, text))
    assert CANARY not in "\n".join(faults(home, text.rpartition(repr(CANARY))[0]))
    assert CANARY not in "\n".join(faults(home, "video: {width: '${W}'}", {"W": CANARY}))


@pytest.mark.parametrize(
    "line",
    [
        f"sinks: [{{type: rtmp, name: a, url: 'rtmp://h/live', key: {CANARY}}}]",
        f"sinks: [{{type: rtmp, name: a, url: 'rtmp://h/live/{CANARY}'}}]",
        f"sinks: [{{type: rtmp, name: a, url: 'rtmp://h/live?key={CANARY}'}}]",
        f"brain: {{chain: [{{engine: dify, url: 'http://h/v1', api_key: {CANARY}}}]}}",
        f"console: {{tokens: {{viewer: {CANARY}}}}}",
        f"alarms: [{{on: [panic], webhook: 'https://h/{CANARY}'}}]",
    ],
)
def test_a_literal_secret_draws_a_warning(home: Path, line: str) -> None:
    loaded = load(home, f"# comment\n{line}\n")
    (warning,) = loaded.warnings
    assert warning.startswith(f"{home}/config.yaml:2: ")
    assert "a secret stands in the file" in warning
    assert CANARY not in warning
    assert any(CANARY in secret for secret in secrets_of(loaded.config))


def test_an_address_without_a_key_draws_no_warning(home: Path) -> None:
    loaded = load(home, "sinks: [{type: rtmp, name: a, url: 'rtmp://h/live', key: '${K}'}]", K="abcdef")
    assert loaded.warnings == ()


def test_short_tokens_and_keys_without_an_address_draw_warnings(home: Path) -> None:
    text = "console: {tokens: {viewer: '${T}'}}\nsinks: [{type: rtmp, name: a, key: '${K}'}]\n"
    short, lonely = load(home, text, T="123", K="abcdef").warnings
    assert "shorter than 16" in short
    assert "no address" in lonely


def test_secrets_of_addresses_include_their_keys() -> None:
    config = Config.model_validate(
        {
            "sinks": [
                {"type": "rtmp", "name": "a", "url": "rtmp://u:passw0rd@h/live/?streamname=live_77&key=0123abcd%21"}
            ]
        }
    )
    secrets = secrets_of(config)
    assert {"passw0rd", "live_77", "0123abcd%21", "0123abcd!"} <= set(secrets)
    assert "live" not in secrets
    assert secrets == sorted(secrets, key=lambda secret: (-len(secret), secret))


def test_relative_paths_start_at_the_file(home: Path) -> None:
    text = "state_dir: var\nsinks: [{type: file, name: rec, directory: recordings}]\n"
    config = load(home, text).config
    sink = config.sinks[0]
    assert isinstance(sink, FileSink)
    assert sink.directory == home / "recordings"
    assert config.state_dir == home / "var"


def test_a_recording_folder_that_cannot_be_made(home: Path) -> None:
    (home / "taken").touch()
    (line,) = faults(home, "sinks: [{type: file, name: rec, directory: taken/recordings}]")
    assert line.startswith("config.yaml:1: sinks.0.directory: ")
    assert "is not a folder" in line
    assert load(home, "sinks: [{type: file, name: rec, directory: taken/recordings, enabled: false}]")


def test_a_missing_extra_names_the_command_that_installs_it(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.EXTRAS, registry.BRAINS["openai"], ("no_such_package", "openai"))
    (line,) = faults(home, "brain: {chain: [{engine: openai, model: m}]}")
    assert line.endswith("needs the package no_such_package -> pip install 'broadcaster[openai]'")


@pytest.mark.parametrize("size", [(720, 1280), (1080, 1920), (1920, 1080), (640, 360)])
def test_portrait_and_landscape(home: Path, size: tuple[int, int]) -> None:
    video = load(home, f"video: {{width: {size[0]}, height: {size[1]}, fps: 30}}").config.video
    assert (video.width, video.height) == size


def test_a_sink_from_a_command() -> None:
    given = {"type": "rtmp", "name": "b", "url": "rtmp://h/a", "key": "${K}"}
    settings = resolve_settings(given, {"K": CANARY})
    sink = parse_sink(settings)
    assert isinstance(sink, RtmpSink)
    assert sink.key is not None
    assert sink.key.get_secret_value() == CANARY
    with pytest.raises(ConfigError, match=r"sink\.key: the environment variable K is not set -> "):
        resolve_settings(given, {})
    with pytest.raises(ConfigError) as caught:
        parse_sink({"type": "rtmp", "name": "B", "url": CANARY, "key": [CANARY], "colour": CANARY})
    fields = sorted(line.split(":")[0] for line in caught.value.problems)
    assert fields == ["sink.colour", "sink.key", "sink.name", "sink.url"]
    assert CANARY not in str(caught.value)


def test_which_file_is_found(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)
    assert find_config(Path("other.yaml"), {}) == Path("other.yaml")
    assert find_config(None, {"BROADCASTER_CONFIG": "/x.yaml"}) == Path("/x.yaml")
    with pytest.raises(ConfigError, match="name one with -c FILE"):
        find_config(None, {})
    (home / "config.yaml").touch()
    assert find_config(None, {}) == Path("config.yaml")


def test_files_that_are_no_configuration(home: Path) -> None:
    path = home / "config.yaml"
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(path, env={})
    path.write_bytes(b"channel: \xff\xfe")
    with pytest.raises(ConfigError, match=r"not UTF-8 text \(byte 9\)"):
        load_config(path, env={})
    path.write_bytes(b"#" * 2_000_000)
    with pytest.raises(ConfigError, match="larger than"):
        load_config(path, env={})
    path.write_bytes("\ufeffchannel: news\n".encode())
    assert load_config(path, env={}).config.channel == "news"


def test_a_source_without_its_recording_or_its_folder_is_told_and_one_that_is_off_is_not(home: Path) -> None:
    (home / "taken").write_text("")
    wrong = "type: replay, file: none.jsonl, record: taken/here"
    (lost, full) = faults(home, f"sources: [{{{wrong}}}]")
    assert lost.startswith("config.yaml:1: sources.0.file: there is no file ")
    assert full.startswith("config.yaml:1: sources.0.record: ")
    assert load(home, f"sources: [{{{wrong}, enabled: false}}]")


def test_a_door_for_other_machines_needs_a_token(home: Path) -> None:
    (line,) = faults(home, "sources: [{type: ingest, host: 0.0.0.0}]")
    assert "token" in line
    assert load(home, "sources: [{type: ingest}]")
