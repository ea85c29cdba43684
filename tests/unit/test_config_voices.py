"""The voice chain in the configuration: faults with place and remedy, secrets unseen, what the avatar decides."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from broadcaster import registry
from broadcaster.config import Config, LoadedConfig, VoiceConfig, load_config, secrets_of
from broadcaster.config.document import LISTS, kind_of
from broadcaster.errors import AssetError, ConfigError
from broadcaster.studio.avatar_source import load_source

pytestmark = pytest.mark.unit

CANARY = "sk-4711-c4n4ryk3y"
SHIPPED_AVATAR = Path(__file__).parents[2] / "avatars/host"


@pytest.fixture
def home(short_dir: Path) -> Path:
    """A folder with an avatar named "host" that has nothing but its (empty) avatar.yaml."""
    (short_dir / "avatars/host").mkdir(parents=True)
    (short_dir / "avatars/host/avatar.yaml").touch()
    return short_dir


def load(home: Path, text: str, **env: str) -> LoadedConfig:
    return load_config(home / "config.yaml", f"state_dir: {home}\n{text}", env)


def faults(home: Path, text: str, **env: str) -> list[str]:
    """The lines of the error behind file and line."""
    with pytest.raises(ConfigError) as caught:
        load(home, text, **env)
    return [problem.split(": ", 1)[1] for problem in caught.value.problems]


def chain(*links: dict[str, Any], **voice: Any) -> str:
    return yaml.safe_dump({"voice": {"chain": list(links), **voice}}, allow_unicode=True)


def test_every_engine_of_the_registry_has_a_model_and_every_model_an_engine() -> None:
    assert {kind_of(model) for model in LISTS["voice.chain"]} == {*registry.VOICES, *registry.LOCAL_VOICES}


@pytest.mark.parametrize(
    ("link", "said"),
    [
        ({}, "voice.chain.0: a voice of the chain needs an engine -> write engine: and one of dashscope"),
        ({"engine": "openai"}, "voice.chain.0: there is no voice engine 'openai' -> did you mean openai_speech?"),
        ({"engine": "parrot"}, "voice.chain.0: a voice of the chain needs an engine"),
        ({"engine": ["edge"]}, "voice.chain.0: a voice of the chain needs an engine"),
        ({"engine": "edge", "vioce": "x"}, "voice.chain.0.vioce: unknown key -> did you mean voice?"),
        ({"engine": "edge", "first_sound_timeout_s": 0}, "voice.chain.0.first_sound_timeout_s: must be"),
        ({"engine": "edge", "languages": []}, "voice.chain.0.languages: "),
        ({"engine": "edge", "languages": ["ja"]}, "voice.chain.0.languages.0: must be 'zh' or 'en', and not 'ja'"),
        ({"engine": "edge", "name": "My voice"}, "voice.chain.0.name: must be at most 32 of a-z"),
        ({"engine": "gpt_sovits"}, "voice.chain.0.url: is missing"),
        ({"engine": "chattts", "url": "127.0.0.1:8000"}, "voice.chain.0.url: the address does not begin with http://"),
        ({"engine": "cosyvoice_server", "url": "http://h", "mode": "sft"}, "voice.chain.0: mode sft has no speaker"),
        ({"engine": "qwen_tts", "api_key": "k", "url": "https://h"}, "voice.chain.0.url: .* begin with wss://"),
    ],
)  # fmt: skip
def test_a_fault_of_a_link_is_named_with_its_place(home: Path, link: dict[str, Any], said: str) -> None:
    found = faults(home, chain(link))
    assert any(re.match(said, line) for line in found), found


def test_two_links_of_a_name_are_refused(home: Path) -> None:
    (line,) = faults(home, chain({"engine": "edge"}, {"engine": "edge", "voice": "zh-CN-YunxiNeural"}))
    assert "two links of the chain are named edge -> give each its own name" in line
    named = chain({"engine": "chattts", "url": "http://h"}, {"engine": "chattts", "name": "other", "url": "http://h"})
    assert [link.label for link in load(home, named).config.voice.chain] == ["chattts", "other"]


def test_an_extra_that_is_missing_is_named_only_for_links_that_are_used(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(registry.EXTRAS, registry.VOICES["chattts"], ("no_such_package", "parrots"))
    link = {"engine": "chattts", "url": "http://127.0.0.1:1"}
    (line,) = faults(home, chain(link))
    assert line == (
        "voice.chain.0.engine: voice chattts needs the package no_such_package -> pip install 'broadcaster[parrots]'"
    )
    assert load(home, chain({**link, "enabled": False})).config.voice.chain[0].enabled is False
    assert load(home, chain({**link, "enabled": "${ON:-false}"})).config.voice.chain[0].enabled is False
    assert len(faults(home, chain({**link, "enabled": "${ON:-true}"}))) == 1


@pytest.mark.parametrize("engine", ["dashscope", "qwen_tts"])
def test_a_key_that_is_empty_is_a_fault_of_a_link_that_is_used(
    home: Path, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(registry.EXTRAS, registry.VOICES[engine], raising=False)
    link = {"engine": engine, "api_key": "${KEY:-}", "voice": "x"}
    (line,) = faults(home, chain(link))
    assert line == (
        "voice.chain.0.api_key: there is no key -> set the variable it refers to, or the link's enabled: false"
    )
    assert load(home, chain({**link, "enabled": False})).warnings == ()
    assert load(home, chain(link), KEY=CANARY).config.voice.chain[0].enabled


def test_a_lexicon_that_is_not_there_is_named(home: Path) -> None:
    (line,) = faults(home, "voice: {lexicon: names.yaml}")
    assert line == f"voice.lexicon: there is no file {home}/names.yaml -> check the path"


def test_secrets_of_links_are_known_wherever_they_stand(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for target in registry.VOICES.values():
        monkeypatch.delitem(registry.EXTRAS, target, raising=False)
    text = chain(
        {"engine": "dashscope", "voice": "v", "api_key": "${A}"},
        {"engine": "qwen_tts", "api_key": "key-of-qwen", "url": "wss://gateway.example/qwen?token=in-the-query"},
        {"engine": "chattts", "url": "http://somebody:password1@127.0.0.1:8000/say?apikey=another-one"},
        {"engine": "openai_speech", "base_url": "http://127.0.0.1:9/v1", "api_key": "${B}"},
    )
    loaded = load(home, text, A=CANARY, B="key-of-openai")
    assert set(secrets_of(loaded.config)) >= {
        CANARY, "key-of-qwen", "key-of-openai", "in-the-query", "password1", "another-one",
    }  # fmt: skip
    assert not {"http://127.0.0.1:9/v1", "127.0.0.1", "somebody"} & set(secrets_of(loaded.config))
    warned = {line.split(": ")[1] for line in loaded.warnings}
    assert warned == {"voice.chain.1.api_key", "voice.chain.1.url"}
    assert CANARY not in repr(loaded.config)


def test_no_fault_repeats_a_key(home: Path) -> None:
    for link in (
        {"engine": "dashscope", "voice": "v", "api_key": [CANARY]},
        {"engine": "dashscope", "voice": "v", "apikey": CANARY, "api_key": CANARY, "model": 3},
        {"engine": "qwen_tts", "api_key": "k", "url": f"ftp://{CANARY}@h"},
        {"engine": "openai_speech", "api_key": {"key": CANARY}, "base_url": f"//{CANARY}"},
        {"engine": "unknown", "api_key": CANARY},
    ):
        assert CANARY not in "\n".join(faults(home, chain(link)))


# -- the avatar's own voice -----------------------------------------------------------------------------------------


def avatar_says(home: Path, text: str) -> None:
    (home / "avatars/host/avatar.yaml").write_text(text)


def test_what_the_configuration_leaves_open_is_the_avatars(home: Path) -> None:
    avatar_says(home, "voice: {speed: 0.9, pitch: -1.5, zh: zm_yunxia}\n")
    voice = load(home, "").config.voice
    assert (voice.speed, voice.pitch, voice.zh, voice.en) == (0.9, -1.5, "zm_yunxia", "af_heart")
    voice = load(home, "voice: {speed: null, zh: ''}").config.voice
    assert (voice.speed, voice.zh) == (0.9, "zm_yunxia")


def test_what_the_configuration_says_stands_above_the_avatar_also_when_it_is_the_default(home: Path) -> None:
    avatar_says(home, "voice: {speed: 0.9, pitch: -1.5, zh: zm_yunxia, en: am_michael}\n")
    voice = load(home, "voice: {speed: 1.0, zh: zf_xiaoxiao, pitch: 0}").config.voice
    assert (voice.speed, voice.pitch, voice.zh, voice.en) == (1.0, 0.0, "zf_xiaoxiao", "am_michael")


def test_an_avatar_that_says_nothing_changes_nothing(home: Path) -> None:
    for text in ("", "voice:\n", "voice: {}\n", "name: x\n", "- a\n", "{"):
        avatar_says(home, text)
        assert load(home, "").config.voice == VoiceConfig()
    assert load(home, "").config == Config(state_dir=home)


@pytest.mark.parametrize("section", ["{speed: 3}", "{volume: 11}", "[1]", "{zh: 5}", "{pitch: .nan}"])
def test_an_avatar_whose_voice_is_wrong_is_named(home: Path, section: str) -> None:
    avatar_says(home, f"voice: {section}\n")
    (line,) = faults(home, "")
    assert line.startswith(f"avatar: {home}/avatars/host/avatar.yaml: voice")
    assert " -> correct it" in line


def test_the_avatars_manifest_takes_the_section(tmp_path: Path) -> None:
    folder = tmp_path / "host"
    shutil.copytree(SHIPPED_AVATAR, folder)
    manifest = folder / "avatar.yaml"
    text = manifest.read_text()
    assert load_source(folder).manifest.voice.speed is None
    manifest.write_text(text + "\nvoice: {speed: 0.9}\n")
    assert load_source(folder).manifest.voice.speed == 0.9
    manifest.write_text(text + "\nvoice: {speed: 9}\n")
    with pytest.raises(AssetError, match=r"voice\.speed"):
        load_source(folder)
