"""CosyVoice inside the daemon, on a stand-in for the official package: how it is found, loaded, asked and ended."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from broadcaster.config import VoiceConfig
from broadcaster.config.voices import CosyVoiceLocal
from broadcaster.errors import AssetError, ConfigError, VoiceError
from broadcaster.speech import engines
from broadcaster.speech.cosyvoice import package as cosyvoice_package
from broadcaster.speech.cosyvoice.engine import SPEAKER, CosyVoiceSynthesiser
from broadcaster.types import RawSound
from tests.fakes.cosyvoice import PACKAGE, SAMPLES_PER_CHARACTER, asked, model_folder, module, reference

pytestmark = pytest.mark.unit

LONG = "今天天气晴朗适合出门走走我们聊一聊吧"
EOP = "<|endofprompt|>"


@pytest.fixture(autouse=True)
def untouched(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The engine may change its process as it likes; here it has to share one."""
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.setenv("TQDM_DISABLE", "")
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] in ("cosyvoice", "matcha")]:
        del sys.modules[name]
    logging.getLogger().removeFilter(cosyvoice_package._not_the_packages)


def link(model: Path, **settings: object) -> CosyVoiceLocal:
    return CosyVoiceLocal.model_validate({"model_dir": model, "package_dir": PACKAGE, **settings})


def engine(folder: Path, generation: int = 3, script: dict[str, Any] | None = None, **settings: object) -> Any:
    """A loaded engine."""
    model = model_folder(folder, generation, **(script or {}))
    made = CosyVoiceSynthesiser(link(model, **settings), reference(folder), threads=2)
    made.load()
    return made


def never() -> bool:
    return False


def spoken(made: CosyVoiceSynthesiser, text: str, *, speed: float = 1.0, voice: str = "") -> list[RawSound]:
    return list(made.stream(text, "zh", voice, speed, never))


def samples(sounds: list[RawSound]) -> int:
    return sum(len(sound.data) for sound in sounds) // 2


def tables(made: Any) -> list[dict[str, object]]:
    inner = made._model.model
    return [inner.tts_speech_token_dict, inner.llm_end_dict, inner.hift_cache_dict]


# -- how it is asked -------------------------------------------------------------------------------------------------

SAID = "希望你以后能够做的比我还好。"
INSTRUCT = "用四川话说这句话"
HELPFUL = "You are a helpful assistant."


@pytest.mark.parametrize(
    ("generation", "settings", "registered", "text", "prompt"),
    [
        (2, {}, SAID, "大家好。", SAID),
        (3, {}, f"{HELPFUL}{EOP}{SAID}", "大家好。", f"{HELPFUL}{EOP}{SAID}"),
        (1, {"mode": "cross_lingual"}, SAID, "<|zh|>大家好。", ""),
        (2, {"mode": "cross_lingual"}, SAID, "大家好。", ""),
        (3, {"mode": "cross_lingual"}, f"{HELPFUL}{EOP}{SAID}", f"{HELPFUL}{EOP}大家好。", ""),
        (2, {"mode": "instruct2", "instruct": INSTRUCT}, INSTRUCT + EOP, "大家好。", INSTRUCT + EOP),
        (
            3,
            {"mode": "instruct2", "instruct": INSTRUCT},
            f"{HELPFUL} {INSTRUCT}{EOP}",
            "大家好。",
            f"{HELPFUL} {INSTRUCT}{EOP}",
        ),
        (3, {"mode": "instruct2", "instruct": f"Be quick.{EOP}"}, f"Be quick.{EOP}", "大家好。", f"Be quick.{EOP}"),
    ],
)
def test_each_generation_gets_its_prompt_in_each_mode(
    short_dir: Path, generation: int, settings: dict[str, Any], registered: str, text: str, prompt: str
) -> None:
    made = engine(short_dir, generation, **settings)
    assert samples(spoken(made, "大家好。")) == 4 * SAMPLES_PER_CHARACTER
    notes = asked(made._link.model_dir)
    assert notes[0] == {"loaded": generation, "fp16": False}
    assert notes[1] == {"registered": SPEAKER, "prompt": registered, "wav": str(short_dir / "reference.wav")}
    assert notes[-1] == {
        "mode": settings.get("mode", "zero_shot"), "text": text, "prompt": prompt,
        "stream": True, "speed": 1.0, "speaker": SPEAKER, "front": False,
    }  # fmt: skip
    assert sum("registered" in note for note in notes) == 1, "not for every piece"


def test_a_speaker_of_the_model(short_dir: Path) -> None:
    made = engine(short_dir, 1, {"speakers": ["中文女", "英文男"]}, mode="sft", voice="中文女")
    assert made.voices == ("中文女", "英文男")
    for voice in ("", "英文男", "nobody"):
        spoken(made, "好", voice=voice)
    assert [note["speaker"] for note in asked(made._link.model_dir)[-3:]] == ["中文女", "英文男", "中文女"]
    with pytest.raises(AssetError, match="no speaker '小明'; it has 中文女"):
        engine(short_dir, 2, {"speakers": ["中文女"]}, mode="sft", voice="小明")


# -- its sound -------------------------------------------------------------------------------------------------------


def test_every_piece_streams_like_the_first(short_dir: Path) -> None:
    made = engine(short_dir)
    assert [samples([sound]) for sound in spoken(made, LONG)] == [24_000, 48_000, 14_400]
    assert [samples([sound]) for sound in spoken(made, LONG)] == [24_000, 48_000, 14_400]
    bare = module().AutoModel(model_dir=str(made._link.model_dir))
    bare.add_zero_shot_spk(EOP, str(short_dir / "reference.wav"), "me")
    steps = [
        [sound["tts_speech"].shape[1] for sound in bare.inference_zero_shot(LONG, "", "", "me", stream=True)]
        for _ in range(2)
    ]
    assert steps[0] != steps[1], "the stand-in has the habit that the engine has to undo"


def test_another_speed_comes_whole_because_the_model_ignores_it_in_a_stream(short_dir: Path) -> None:
    made = engine(short_dir)
    (sound,) = spoken(made, LONG, speed=1.25)
    assert samples([sound]) == len(LONG) * SAMPLES_PER_CHARACTER * 4 // 5
    last = asked(made._link.model_dir)[-1]
    assert (last["stream"], last["speed"]) == (False, 1.25)


@pytest.mark.parametrize("rate", [22_050, 24_000])
def test_sound_is_s16le_at_the_models_rate(short_dir: Path, rate: int) -> None:
    made = engine(short_dir, 2, {"sample_rate": rate})
    sounds = spoken(made, "大家好")
    assert {(sound.rate, sound.channels) for sound in sounds} == {(rate, 1)}
    pcm = np.frombuffer(b"".join(sound.data for sound in sounds), dtype="<i2")
    assert len(pcm) == 3 * rate // 5
    assert np.abs(pcm).max() == pytest.approx(0.3 * 32767, abs=2)


def test_loud_samples_are_clipped_and_do_not_wrap_around(short_dir: Path) -> None:
    made = engine(short_dir)
    pcm = np.frombuffer(b"".join(sound.data for sound in spoken(made, "响")), dtype="<i2").astype(int)
    assert pcm.max() == 32767
    assert pcm.min() == -32767
    assert np.abs(np.diff(pcm)).max() < 6000, "a sample that wraps jumps by 65536"


@pytest.mark.parametrize(("text", "complaint"), [("噪", "samples that are not numbers"), ("空", "made no sound")])
def test_sound_that_is_none_is_an_error(short_dir: Path, text: str, complaint: str) -> None:
    made = engine(short_dir)
    with pytest.raises(VoiceError, match=complaint) as caught:
        spoken(made, text)
    assert caught.value.retryable
    assert samples(spoken(made, "好")) == SAMPLES_PER_CHARACTER


# -- its ends --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("speed", [1.0, 1.5])
def test_a_fault_in_the_models_own_thread_is_an_error_and_not_a_hang(short_dir: Path, speed: float) -> None:
    made = engine(short_dir)
    with pytest.raises(VoiceError, match="CosyVoice failed: RuntimeError: CUDA error: out of memory") as caught:
        spoken(made, "崩", speed=speed)
    assert caught.value.retryable
    assert samples(spoken(made, "好")) == SAMPLES_PER_CHARACTER
    assert tables(made) == [{}, {}, {}]


def jobs() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if "_run" in thread.name or "voice-cancel" in thread.name]


def test_cancelling_ends_the_model_long_before_its_next_sound(short_dir: Path) -> None:
    made = engine(short_dir)
    at_work = threading.Event()

    def cancelled() -> bool:
        if [5] == [len(tokens) for tokens in list(made._model.model.tts_speech_token_dict.values())]:
            at_work.set()
        return at_work.is_set()

    before = made._model.model.written
    with pytest.raises(VoiceError, match="cancelled") as caught:
        list(made.stream("今慢" + LONG, "zh", "", 1.0, cancelled))
    assert not caught.value.retryable
    assert made._model.model.written == before + 5
    assert tables(made) == [{}, {}, {}]
    assert jobs() == []
    assert samples(spoken(made, "好")) == SAMPLES_PER_CHARACTER


def test_closing_the_iterator_ends_the_model_and_leaves_nothing_behind(short_dir: Path) -> None:
    made = engine(short_dir)
    before = made._model.model.written
    stream = made.stream("今天天气晴朗慢" + LONG, "zh", "", 1.0, never)
    assert len(next(stream).data) == 2 * 24_000
    assert len(tables(made)[0]) == 1
    stream.close()
    assert made._model.model.written == before + 30
    assert tables(made) == [{}, {}, {}]
    assert jobs() == []


def test_a_piece_cancelled_before_it_began_is_not_made(short_dir: Path) -> None:
    made = engine(short_dir)
    before = asked(made._link.model_dir)
    with pytest.raises(VoiceError, match="cancelled"):
        next(made.stream("好", "zh", "", 1.0, lambda: True))
    assert asked(made._link.model_dir) == before


def test_a_model_that_works_otherwise_inside_still_speaks(
    short_dir: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    made = engine(short_dir)
    inner = made._model.model
    monkeypatch.setattr(made._model, "model", SimpleNamespace(tts=inner.tts))
    monkeypatch.setattr(module(), "AutoModel", lambda **kwargs: made._model)
    again = CosyVoiceSynthesiser(made._link, reference(short_dir), threads=2)
    again.load()
    assert samples(spoken(again, "好")) == SAMPLES_PER_CHARACTER
    assert caplog.text.count("works otherwise inside") == 1


# -- what it does to its process ---------------------------------------------------------------------------------


def test_texts_do_not_reach_the_log(short_dir: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        spoken(engine(short_dir), "主播你是真人吗")
        logging.getLogger("broadcaster.speech").warning("still heard")
    assert "still heard" in caplog.text
    assert "主播" not in caplog.text


def test_torch_gets_its_threads_before_the_model_is_made(short_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, int]] = []

    def refused(count: int) -> None:
        calls.append(("between", count))
        raise RuntimeError("cannot set number of interop threads after parallel work has started")

    fake = SimpleNamespace(
        set_num_threads=lambda count: calls.append(("inside", count)), set_num_interop_threads=refused
    )
    monkeypatch.setitem(sys.modules, "torch", fake)
    engine(short_dir, fp16=True)
    assert calls == [("inside", 2), ("between", 1)]
    assert asked(short_dir / "model3")[0] == {"loaded": 3, "fp16": True}


# -- what it refuses -------------------------------------------------------------------------------------------------


def test_a_folder_that_is_not_there_is_not_downloaded(short_dir: Path) -> None:
    missing = short_dir / "nothing"
    made = CosyVoiceSynthesiser(link(missing), reference(short_dir), threads=2)
    with pytest.raises(AssetError, match=f"there is no folder {missing} -> download the model into it"):
        made.load()
    assert not missing.exists()


def impostor(folder: Path, *, cli: str | None = None) -> Path:
    """What PyPI installs under that name (cli None), or a checkout with other content of the module."""
    root = folder / "site"
    (root / "cosyvoice").mkdir(parents=True)
    (root / "cosyvoice/__init__.py").write_text("raise SystemExit('foreign code ran')\n" if cli is None else "")
    if cli is not None:
        (root / "cosyvoice/cli").mkdir()
        (root / "cosyvoice/cli/__init__.py").write_text("")
        (root / "cosyvoice/cli/cosyvoice.py").write_text(cli)
        (root / "third_party/Matcha-TTS/matcha").mkdir(parents=True)
    return root


def test_the_package_of_that_name_on_pypi_is_refused_by_name_and_never_run(
    short_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(impostor(short_dir)))
    settings = link(model_folder(short_dir), package_dir=None)
    (problem,) = cosyvoice_package.problems(settings)
    assert "not CosyVoice's official source but another package of that name (PyPI's is a third party's" in problem
    assert "pip uninstall cosyvoice; git clone --recursive https://github.com/FunAudioLLM/CosyVoice" in problem
    with pytest.raises(AssetError, match="another package of that name"):
        cosyvoice_package.auto_model(settings)
    assert "cosyvoice" not in sys.modules


def test_the_official_source_wins_over_whatever_is_installed(
    short_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(impostor(short_dir)))
    assert samples(spoken(engine(short_dir), "好")) == SAMPLES_PER_CHARACTER


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("class CosyVoice:\n    pass\n", "no AutoModel that takes recordings by path"),
        (
            "class CosyVoice:\n    def inference_zero_shot(self, tts_text, prompt_text, prompt_speech_16k): ...\n"
            "def AutoModel(**kwargs): ...\n",
            "no AutoModel that takes recordings by path",
        ),
        ("import hyperpyyaml_that_is_not_there\n", "cannot be imported: ModuleNotFoundError.*requirements.txt"),
    ],
)
def test_a_source_that_cannot_work_says_what_to_do(short_dir: Path, source: str, complaint: str) -> None:
    settings = link(model_folder(short_dir), package_dir=impostor(short_dir, cli=source))
    with pytest.raises(AssetError, match=complaint):
        cosyvoice_package.auto_model(settings)


@pytest.mark.parametrize(
    ("script", "rate", "complaint"),
    [
        ({"fault": "load"}, 24_000, "cannot be loaded: RuntimeError: PytorchStreamReader failed"),
        ({"sample_rate": 0}, 24_000, "says that it makes 0 samples per second"),
        ({}, 8_000, r"cannot use .*reference.wav: AssertionError: wav sample rate.* -> it takes up to 30 s"),
    ],
)
def test_a_model_or_a_recording_that_cannot_work_is_named(
    short_dir: Path, script: dict[str, Any], rate: int, complaint: str
) -> None:
    made = CosyVoiceSynthesiser(link(model_folder(short_dir, 3, **script)), reference(short_dir, rate), threads=2)
    with pytest.raises(AssetError, match=complaint):
        made.load()


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"model_dir": "{folder}"}, r"model_dir: .* holds no CosyVoice model \(none of cosyvoice.yaml"),
        ({"package_dir": "{folder}"}, r"package_dir: .* is not the official CosyVoice source"),
        ({"package_dir": None}, "the official CosyVoice source is not on Python's path -> git clone"),
        ({"mode": "sft"}, "mode sft has no speaker"),
        ({"mode": "instruct2"}, "mode instruct2 has no instruction"),
    ],
)
def test_problems_are_found_without_loading_anything(
    short_dir: Path, settings: dict[str, Any], complaint: str
) -> None:
    settings = {key: str(short_dir) if value == "{folder}" else value for key, value in settings.items()}
    chain = [{"engine": "cosyvoice", "model_dir": model_folder(short_dir), "package_dir": PACKAGE, **settings}]
    config = VoiceConfig.model_validate({"chain": chain})
    (problem,) = engines.local_problems(config)
    assert problem.startswith("voice.chain: cosyvoice: ")
    with pytest.raises(ConfigError, match=complaint):
        engines.create_local(config, reference(short_dir))
    assert "cosyvoice" not in sys.modules


def test_a_checkout_without_its_submodule(short_dir: Path) -> None:
    root = impostor(short_dir, cli="")
    (root / "third_party/Matcha-TTS/matcha").rmdir()
    (problem,) = cosyvoice_package.problems(link(model_folder(short_dir), package_dir=root))
    assert problem.endswith("third_party/Matcha-TTS is empty -> git submodule update --init --recursive")


def test_one_model_at_a_time_and_not_without_a_speaker(short_dir: Path) -> None:
    one = {"engine": "cosyvoice", "model_dir": model_folder(short_dir), "package_dir": PACKAGE}
    two = VoiceConfig.model_validate({"chain": [one, {**one, "name": "second"}]})
    assert engines.local_problems(two) == [
        "voice.chain: cosyvoice, second would each load a model of their own -> set enabled: false on all but one"
    ]
    with pytest.raises(ConfigError, match="speaks with the avatar's reference recording, and there is none"):
        engines.create_local(VoiceConfig.model_validate({"chain": [one]}), None)
    with pytest.raises(ConfigError, match="no enabled link with engine: cosyvoice"):
        engines.create_local(VoiceConfig.model_validate({"chain": [{**one, "enabled": False}]}), None)
