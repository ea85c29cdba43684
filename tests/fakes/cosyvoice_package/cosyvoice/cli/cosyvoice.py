"""Stand-in for the official CosyVoice source: its module path, names, signatures and habits, with a tone for a voice.

The habits are those of commit ace7c47 (March 2026), written anew from reading it: a model folder that does not exist
is downloaded; tokens are written by a thread of the model and polled by the generator, which waits for ever when the
thread dies; a dropped generator leaves both behind; the steps of streaming double and stay so; speed counts only
without streaming; a registered speaker's prompt replaces that of the call; generation 3 insists on <|endofprompt|>;
texts go to the root logger.

`script.json` in the model folder may set `sample_rate`, `speakers`, `load_s` and `fault` ("load"). A text makes the
thread raise (崩), hang until `RELEASE` is set (停), take 5 s over that character (慢) or write nothing (空), and the
sound be no numbers (噪) or far too loud (响). What was asked is appended to `asked.jsonl` in the model folder.
"""

import json
import logging
import threading
import time
import uuid as uuids
import wave
from pathlib import Path

import matcha  # noqa: F401 - as the real one does, through its settings file
import numpy as np

TOKENS_PER_S = 25
TOKENS_PER_CHARACTER = 5
LOOK_AHEAD = 3
POLL_S = 0.01
RELEASE = threading.Event()
ROOT_LOGGER = logging.getLogger()


class Tensor:
    def __init__(self, values):
        self.shape = values.shape
        self._values = values

    def cpu(self):
        return self

    def numpy(self):
        return self._values


class CosyVoiceModel:
    first_hop, longest_hop, growth = 50, 100, 1

    def __init__(self, generation, sample_rate):
        self.generation = generation
        self.sample_rate = sample_rate
        self.token_hop_len = self.first_hop
        self.lock = threading.Lock()
        self.tts_speech_token_dict = {}
        self.llm_end_dict = {}
        self.hift_cache_dict = {}
        self.written = 0
        """Tokens, of all pieces."""

    def llm_job(self, text, prompt_text, llm_prompt_speech_token, llm_embedding, uuid):
        assert self.generation < 3 or "<|endofprompt|>" in prompt_text + text, "no <|endofprompt|>"
        if "崩" in text:
            raise RuntimeError("CUDA error: out of memory")
        if "停" in text:
            RELEASE.wait()
        spoken = text.rpartition("|>")[2]
        for character in "" if "空" in text else spoken:
            for _ in range(500 if character == "慢" else 0):
                time.sleep(0.01)
                len(self.tts_speech_token_dict[uuid])
            for _ in range(TOKENS_PER_CHARACTER):
                self.tts_speech_token_dict[uuid].append(self.written)
                self.written += 1
        self.llm_end_dict[uuid] = True

    def token2wav(self, tokens, text, speed=1.0):
        samples = np.arange(int(tokens * self.sample_rate / TOKENS_PER_S / speed))
        sound = np.sin(samples * (2 * np.pi * 200 / self.sample_rate)) * (3.0 if "响" in text else 0.3)
        if "噪" in text:
            sound[-1:] = np.nan
        return {"tts_speech": Tensor(sound.astype(np.float32)[np.newaxis]).cpu()}

    def tts(self, text, prompt_text="", stream=False, speed=1.0):
        this = str(uuids.uuid1())
        with self.lock:
            self.tts_speech_token_dict[this], self.llm_end_dict[this] = [], False
            self.hift_cache_dict[this] = None
        job = threading.Thread(target=self.llm_job, args=(text, prompt_text, None, None, this), daemon=True)
        job.start()
        offset = 0
        while stream:
            time.sleep(POLL_S)
            hop = self.token_hop_len
            if len(self.tts_speech_token_dict[this]) - offset >= hop + LOOK_AHEAD:
                offset += hop
                self.token_hop_len = min(self.longest_hop, hop * self.growth)
                yield self.token2wav(hop, text)
            if self.llm_end_dict[this] and len(self.tts_speech_token_dict[this]) - offset < hop + LOOK_AHEAD:
                break
        job.join()
        left = len(self.tts_speech_token_dict[this]) - offset
        yield self.token2wav(left, text, 1.0 if stream else speed)
        with self.lock:
            for table in (self.tts_speech_token_dict, self.llm_end_dict, self.hift_cache_dict):
                table.pop(this)


class CosyVoice2Model(CosyVoiceModel):
    first_hop, growth = 25, 2


class CosyVoice:
    generation, model_class = 1, CosyVoiceModel

    def __init__(self, model_dir, load_jit=False, load_trt=False, fp16=False, trt_concurrent=1):
        self._load(model_dir, fp16)

    def _load(self, model_dir, fp16):
        self.model_dir, self.fp16 = model_dir, fp16
        script = {}
        if Path(model_dir, "script.json").exists():
            script = json.loads(Path(model_dir, "script.json").read_text())
        if script.get("fault") == "load":
            raise RuntimeError("PytorchStreamReader failed reading zip archive")
        time.sleep(script.get("load_s", 0))
        self.sample_rate = script.get("sample_rate", 24000)
        self.model = self.model_class(self.generation, self.sample_rate)
        self.speakers = {name: {} for name in script.get("speakers", [])}
        self._note(loaded=self.generation, fp16=fp16)

    def _note(self, **what):
        with Path(self.model_dir, "asked.jsonl").open("a") as file:
            file.write(json.dumps(what, ensure_ascii=False) + "\n")

    def list_available_spks(self):
        return list(self.speakers)

    def add_zero_shot_spk(self, prompt_text, prompt_wav, zero_shot_spk_id):
        assert zero_shot_spk_id != ""
        with wave.open(prompt_wav) as recording:
            assert recording.getframerate() >= 16000, "wav sample rate must be greater than 16000"
        self.speakers[zero_shot_spk_id] = {"prompt_text": prompt_text}
        self._note(registered=zero_shot_spk_id, prompt=prompt_text, wav=prompt_wav)
        return True

    def _prompt(self, prompt_text, speaker):
        return self.speakers[speaker]["prompt_text"] if speaker else prompt_text

    def _tts(self, mode, text, prompt, stream, speed, speaker, text_frontend):
        ROOT_LOGGER.info("synthesis text %s", text)
        ROOT_LOGGER.warning("synthesis text %s too short than prompt text %s", text, prompt)
        self._note(
            mode=mode, text=text, prompt=prompt, stream=stream, speed=speed, speaker=speaker, front=text_frontend
        )
        yield from self.model.tts(text, prompt, stream=stream, speed=speed)

    def inference_sft(self, tts_text, spk_id, stream=False, speed=1.0, text_frontend=True):
        assert spk_id in self.speakers
        yield from self._tts("sft", tts_text, "", stream, speed, spk_id, text_frontend)

    def inference_zero_shot(
        self, tts_text, prompt_text, prompt_wav, zero_shot_spk_id="", stream=False, speed=1.0, text_frontend=True
    ):
        prompt = self._prompt(prompt_text, zero_shot_spk_id)
        yield from self._tts("zero_shot", tts_text, prompt, stream, speed, zero_shot_spk_id, text_frontend)

    def inference_cross_lingual(
        self, tts_text, prompt_wav, zero_shot_spk_id="", stream=False, speed=1.0, text_frontend=True
    ):
        assert zero_shot_spk_id in self.speakers
        yield from self._tts("cross_lingual", tts_text, "", stream, speed, zero_shot_spk_id, text_frontend)


class CosyVoice2(CosyVoice):
    generation, model_class = 2, CosyVoice2Model

    def __init__(self, model_dir, load_jit=False, load_trt=False, load_vllm=False, fp16=False, trt_concurrent=1):
        self._load(model_dir, fp16)

    def inference_instruct2(
        self,
        tts_text,
        instruct_text,
        prompt_wav,
        zero_shot_spk_id="",
        stream=False,
        speed=1.0,
        text_frontend=True,
    ):
        prompt = self._prompt(instruct_text, zero_shot_spk_id)
        yield from self._tts("instruct2", tts_text, prompt, stream, speed, zero_shot_spk_id, text_frontend)


class CosyVoice3(CosyVoice2):
    generation = 3

    def __init__(self, model_dir, load_trt=False, load_vllm=False, fp16=False, trt_concurrent=1):
        self._load(model_dir, fp16)


def AutoModel(**kwargs):
    folder = Path(kwargs["model_dir"])
    if not folder.exists():
        folder.mkdir(parents=True)  # "downloaded"
    for name, made in (("cosyvoice", CosyVoice), ("cosyvoice2", CosyVoice2), ("cosyvoice3", CosyVoice3)):
        if (folder / f"{name}.yaml").exists():
            return made(**kwargs)
    raise TypeError("No valid model type found!")
