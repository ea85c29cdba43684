"""`broadcaster voice`: what is listed, tried, measured and stored, and that no voice is stored without consent."""

from __future__ import annotations

import asyncio
import io
import json
import shutil
import threading
import wave
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from broadcaster import registry
from broadcaster.cli import voice_own
from broadcaster.cli.main import main
from broadcaster.speech import reference
from broadcaster.speech.dsp.loudness import integrated
from tests.contract.voice_cases.case import sound
from tests.fakes.http_wire import HttpVoice
from tests.fakes.voice_server import CosyVoiceServer
from tests.support.recordings import SENTENCE, babble, write

pytestmark = pytest.mark.unit

CANARY = "sk-4711-c4n4ryk3y"
TEXT = "今天的天气真好啊。"
CLOSED = "http://127.0.0.1:9"
SHIPPED_AVATAR = Path(__file__).parents[2] / "avatars/host"

Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def home(short_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the shipped avatar, and a configuration whose embedded voice is a tone."""
    monkeypatch.chdir(short_dir)
    shutil.copytree(SHIPPED_AVATAR, short_dir / "avatars/host")
    configure(short_dir)
    return short_dir


def configure(home: Path, *links: dict[str, Any]) -> None:
    config = {"channel": "news", "state_dir": str(home), "voice": {"engine": "tone", "chain": list(links)}}
    (home / "config.yaml").write_text(yaml.safe_dump(config, allow_unicode=True))


@pytest.fixture
def cli(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    def run(*arguments: str, answers: str | None = None) -> tuple[int, str, str]:
        """`answers`: what a person types at a terminal; None: there is none."""
        stdin = io.StringIO(answers or "")
        stdin.isatty = lambda: answers is not None  # type: ignore[method-assign]
        monkeypatch.setattr("sys.argv", ["broadcaster", "voice", *arguments, "-c", str(home / "config.yaml")])
        monkeypatch.setattr("sys.stdin", stdin)
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return run


@contextmanager
def serving(server: HttpVoice) -> Iterator[HttpVoice]:
    """A voice server in a loop and a thread of its own: the command has the main one."""
    loop, up, stop = asyncio.new_event_loop(), threading.Event(), asyncio.Event()
    server.sound = sound(server.rate, 2.0)

    async def run() -> None:
        async with server:
            up.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),))
    thread.start()
    try:
        assert up.wait(10)
        yield server
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()


def read(path: Path) -> np.ndarray:
    with wave.open(str(path), "rb") as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 48_000)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2")


# -- list -----------------------------------------------------------------------------------------------------------


def test_the_list_is_the_chain_in_its_order_with_what_each_voice_lacks(
    cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(registry.EXTRAS, registry.VOICES["edge"], ("no_such_package", "edge"))
    configure(
        home,
        {"engine": "edge", "enabled": False},
        {"engine": "gpt_sovits", "name": "clone", "url": CLOSED, "languages": ["zh"], "enabled": False},
        {"engine": "openai_speech", "base_url": CLOSED, "api_key": CANARY, "voice": "alloy"},
    )
    status, out, _ = cli("list")
    lines = out.splitlines()
    assert status == 0
    assert [line.split()[:2] for line in lines if line[:1].isdigit()] == [
        ["1.", "edge"], ["2.", "clone"], ["3.", "openai_speech"], ["4.", "tone"],
    ]  # fmt: skip
    assert "voice edge needs the package no_such_package -> pip install 'broadcaster[edge]'" in lines[1]
    assert "voice add RECORDING" in lines[3]
    assert "ready" in lines[4]
    assert CANARY not in out
    data = json.loads(cli("list", "--json")[1])
    assert [(row["name"], row["enabled"], row["languages"], row["voice"], len(row["problems"])) for row in
            data["chain"]] == [
        ("edge", False, ["zh", "en"], "zh-CN-XiaoxiaoNeural", 1),
        ("clone", False, ["zh"], "the avatar's recording", 1),
        ("openai_speech", True, ["zh", "en"], "alloy", 0),
        ("tone", True, ["zh", "en"], "zf_xiaoxiao, af_heart", 0),
    ]  # fmt: skip


def test_the_embedded_voices_are_listed_with_language_and_gender(cli: Cli, home: Path) -> None:
    (home / "config.yaml").write_text(f"state_dir: {home}\n")
    found = {
        each["name"]: (each["language"], each["gender"]) for each in json.loads(cli("list", "--json")[1])["embedded"]
    }
    assert found == {
        "zf_xiaoxiao": ("zh", "female"), "zf_xiaoyi": ("zh", "female"), "zm_yunjian": ("zh", "male"),
        "zm_yunxia": ("zh", "male"), "af_heart": ("en", "female"), "am_michael": ("en", "male"),
    }  # fmt: skip


# -- try ------------------------------------------------------------------------------------------------------------


def test_a_voice_is_tried_without_a_channel_and_measured(cli: Cli, home: Path) -> None:
    status, out, err = cli("try", TEXT * 3, "--out", "said.wav", "--json")
    assert (status, err) == (0, "")
    (figures,) = json.loads(out)
    pcm = read(home / "said.wav")
    assert figures["seconds"] == round(len(pcm) / 48_000, 2)
    assert figures["loudness_lufs"] == pytest.approx(integrated(pcm / 32768.0), abs=0.06)
    assert figures["true_peak_dbtp"] <= -1.0
    assert (figures["voice"], figures["engine"], figures["pieces"] >= 2) == ("tone", "tone", True)
    assert figures["characters_per_second"] > 0
    assert figures["first_sound_ms"] >= 0
    assert 0 < figures["real_time_factor"] < 5


def test_for_people_it_says_the_same_and_names_the_file(cli: Cli, home: Path) -> None:
    status, out, _ = cli("try", TEXT)
    assert status == 0
    assert (home / "voice-tone.wav").is_file()
    for said in ("voice-tone.wav: ", "spoken by tone", "first sound", "real-time factor", "LUFS, true peak", "pace"):
        assert said in out


def test_speed_and_pitch_are_those_of_a_message(cli: Cli, home: Path) -> None:
    lengths = {}
    for speed in ("0.5", "1", "2"):
        assert cli("try", TEXT, "--speed", speed, "-o", "a.wav")[0] == 0
        lengths[speed] = len(read(home / "a.wav"))
    assert lengths["0.5"] > 1.6 * lengths["1"] > 2.4 * lengths["2"]
    assert cli("try", TEXT, "--pitch", "7")[0] == 2


def test_a_link_is_asked_as_on_air_and_every_voice_is_tried_once(cli: Cli, home: Path) -> None:
    with serving(CosyVoiceServer()) as server:
        address = f"http://somebody:{CANARY}@127.0.0.1:{server.port}"
        configure(
            home,
            {"engine": "cosyvoice_server", "url": address, "mode": "sft", "voice": "中文女"},
            {"engine": "chattts", "url": f"{CLOSED}/generate_voice?key={CANARY}", "connect_timeout_s": 0.3},
            {"engine": "edge", "enabled": False},
        )
        assert cli("try", TEXT, "-o", "one.wav")[0] == 0
        assert [request.fields["tts_text"] for request in server.requests] == [TEXT]
        assert 1.8 <= len(read(home / "one.wav")) / 48_000 <= 2.1
        status, out, err = cli("try", TEXT, "--all", "-o", "all.wav", "--json")
    results = {result["voice"]: result for result in json.loads(out)}
    assert status == 1, "one of them failed"
    assert list(results) == ["cosyvoice_server", "chattts", "tone"]
    assert results["cosyvoice_server"]["file"] == "all-cosyvoice_server.wav"
    assert results["tone"]["file"] == "all-tone.wav"
    assert "error" in results["chattts"]
    assert CANARY not in out + err


def test_what_fails_is_said_and_names_no_secret(cli: Cli, home: Path) -> None:
    address = f"http://somebody:{CANARY}@127.0.0.1:9/generate_voice"
    configure(home, {"engine": "chattts", "url": address, "connect_timeout_s": 0.3})
    status, out, err = cli("try", TEXT)
    assert (status, out) == (1, "")
    assert err.startswith("chattts: ")
    assert CANARY not in err
    status, _, err = cli("try", TEXT, "--voice", "parrot")
    assert status == 1
    assert "there is no voice named 'parrot' -> use one of: chattts, tone" in err
    assert "nothing to say" in cli("try", "。。。", "--voice", "tone")[2]
    assert "name another file with --out" in cli("try", TEXT, "--voice", "tone", "-o", "/no/such/folder/a.wav")[2]


def test_nobody_is_asked_for_a_file_that_cannot_be_written(cli: Cli, home: Path) -> None:
    with serving(CosyVoiceServer()) as server:
        address = f"http://127.0.0.1:{server.port}"
        configure(home, {"engine": "cosyvoice_server", "url": address, "mode": "sft", "voice": "中文女"})
        for out in ("/no/such/folder/a.wav", str(home)):
            status, _, err = cli("try", TEXT, "-o", out)
            assert status == 1
            assert "cannot be written -> name another file with --out" in err
        assert server.requests == []


def test_a_speaker_that_the_embedded_voice_does_not_have_is_refused(cli: Cli, home: Path) -> None:
    (home / "config.yaml").write_text("voice: {engine: kokoro}\n")
    status, _, err = cli("try", TEXT, "--speaker", "nobody")
    assert status == 1
    assert "kokoro has no voice 'nobody' -> use one of: zf_xiaoxiao" in err


def test_a_link_that_lacks_something_is_not_asked(cli: Cli, home: Path) -> None:
    configure(home, {"engine": "cosyvoice_server", "url": CLOSED, "enabled": False})
    status, _, err = cli("try", TEXT, "--voice", "cosyvoice_server")
    assert status == 1
    assert "the avatar's reference recording, and there is none -> " in err


# -- add and remove -------------------------------------------------------------------------------------------------

CONSENT = ("--consent-by", "李雷", "--i-have-consent")


@pytest.fixture
def recording(home: Path) -> str:
    return str(write(home / "me.flac", babble(5.0, 44_100), 44_100, codec="flac", channels=2))


def test_an_added_voice_is_what_a_zero_shot_engine_is_given(cli: Cli, home: Path, recording: str) -> None:
    with serving(CosyVoiceServer()) as server:
        configure(home, {"engine": "cosyvoice_server", "url": f"http://127.0.0.1:{server.port}", "enabled": False})
        status, out, err = cli("add", recording, "--text", SENTENCE, *CONSENT)
        assert (status, err) == (0, "")
        assert "5.0 s of 李雷's voice (zh), 44100 Hz" in out
        assert "No voice of the chain uses it yet" in out
        assert cli("try", TEXT, "--voice", "cosyvoice_server", "-o", "mine.wav")[0] == 0
        (request,) = server.requests
    assert request.files["prompt_wav"] == (home / "avatars/host/voice/reference.wav").read_bytes()
    assert SENTENCE in request.fields["prompt_text"]


def test_the_note_says_what_a_script_was_told(cli: Cli, home: Path, recording: str) -> None:
    (home / "said.txt").write_text(f"{SENTENCE}\n")
    assert cli("add", recording, "--text", "@said.txt", *CONSENT, "--scope", "仅限测试", "--language", "en")[0] == 0
    note = reference.consent_of(home / "avatars/host")
    assert (note.speaker, note.given_by, note.scope, note.language) == ("李雷", "李雷", "仅限测试", "en")


def test_a_person_is_asked_whose_voice_it_is_and_for_consent(cli: Cli, home: Path, recording: str) -> None:
    status, out, _ = cli("add", recording, "--text", SENTENCE, answers="韩梅梅\n\n韩妈妈\ny\n")
    assert status == 0
    assert "Whose voice is this?" in out
    note = reference.consent_of(home / "avatars/host")
    assert (note.speaker, note.given_by, note.scope) == ("韩梅梅", "韩妈妈", voice_own.CONSENT.scope)


@pytest.mark.parametrize(
    ("options", "answers", "said"),
    [
        ((), None, "nobody can be asked for consent here"),
        (("--consent-by", "李雷"), None, "give both --consent-by NAME and --i-have-consent"),
        (("--i-have-consent",), None, "give both --consent-by NAME and --i-have-consent"),
        (("--consent-by", " ", "--i-have-consent"), None, "give both"),
        ((), "韩梅梅\n\n\nn\n", "without consent no voice is stored"),
        ((), "韩梅梅\n\n\n\n", "without consent no voice is stored"),
    ],
)
def test_without_consent_nothing_is_written(
    cli: Cli, home: Path, recording: str, options: tuple[str, ...], answers: str | None, said: str
) -> None:
    before = sorted((home / "avatars/host").iterdir())
    status, _, err = cli("add", recording, "--text", SENTENCE, *options, answers=answers)
    assert status == 1
    assert said in err
    assert sorted((home / "avatars/host").iterdir()) == before


def test_a_recording_that_cannot_be_used_is_refused_before_anybody_is_asked(cli: Cli, home: Path) -> None:
    short = str(write(home / "short.wav", babble(2.0)))
    status, out, err = cli("add", short, "--text", SENTENCE, answers="")
    assert (status, out) == (78, "")
    assert "it lasts 2.0 s" in err
    assert cli("add", short, "--text", "@missing.txt", *CONSENT)[0] == 2
    assert cli("add", short, "--text", SENTENCE, "--language", "ja", *CONSENT)[0] == 2


def test_a_recording_that_one_engine_does_not_take_is_that_links_problem(cli: Cli, home: Path) -> None:
    configure(
        home,
        {"engine": "gpt_sovits", "url": CLOSED},
        {"engine": "gpt_sovits", "name": "server", "url": CLOSED, "reference_on_server": "/srv/a.wav"},
        {"engine": "cosyvoice_server", "url": CLOSED},
    )
    longer = str(write(home / "long.wav", babble(12.0)))
    status, _, err = cli("add", longer, "--text", SENTENCE * 2, *CONSENT)
    assert status == 0
    assert "GPT-SoVITS takes only 3 to 10 s" in err
    rows = {row["name"]: row["problems"] for row in json.loads(cli("list", "--json")[1])["chain"]}
    assert "the avatar's lasts 12.0 s -> add a shorter one" in rows["gpt_sovits"][0]
    assert rows["server"] == ["reference_text is empty -> write what is said in the recording on the server"]
    assert rows["cosyvoice_server"] == []


def test_remove_asks_and_leaves_nothing(cli: Cli, home: Path, recording: str) -> None:
    cli("add", recording, "--text", SENTENCE, *CONSENT)
    assert cli("remove", answers="n\n")[0] == 1
    assert reference.load(home / "avatars/host") is not None
    assert cli("remove", "--yes")[0] == 0
    assert reference.load(home / "avatars/host") is None
    status, _, err = cli("remove", "--yes")
    assert (status, err) == (1, "host has no voice of its own\n")


def test_check_names_a_link_without_its_recording(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(home, {"engine": "cosyvoice_server", "url": CLOSED})
    (home / "words.yaml").write_text("words: {小播: {volume: 11}}\n")
    text = (home / "config.yaml").read_text().replace("  engine: tone\n", "  engine: tone\n  lexicon: words.yaml\n")
    (home / "config.yaml").write_text(text)
    monkeypatch.setattr("sys.argv", ["broadcaster", "check", "-c", str(home / "config.yaml")])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 78
    lines = capsys.readouterr().err.splitlines()
    assert any(
        "voice.chain: cosyvoice_server: speaks with the avatar's reference recording" in line for line in lines
    )
    assert any(line.startswith(f"{home}/words.yaml:1: ") for line in lines)
