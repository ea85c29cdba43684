"""The kept sentences spoken by the embedded voices, with the true times of their phones; made once, kept in a folder.

About 100 s of CPU per voice. `python -m bench.voice_corpus FOLDER` makes them all.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.sentences import EN, FITTED, ZH
from broadcaster.config import VoiceConfig
from broadcaster.speech.kokoro import VOICES, KokoroSynthesiser
from broadcaster.types import Phone, Speech, Viseme

DEFAULT_FOLDER = Path("/tmp/broadcaster-bench-voices")


@dataclass(frozen=True, slots=True)
class Spoken:
    """`tokens`: for every run of the model its symbols and their durations (units of 25 ms, pads at both ends)."""

    voice: str
    language: str
    number: int
    text: str
    speech: Speech
    tokens: list[tuple[str, list[int]]]

    @property
    def fitted(self) -> bool:
        return self.number < FITTED[self.language]


class _Recording(KokoroSynthesiser):
    """Keeps what the model was given and how long it made each token."""

    def __init__(self, cache: Path) -> None:
        super().__init__(VoiceConfig(threads=1), cache)
        self.tokens: list[tuple[str, list[int]]] = []
        self._symbols = {number: symbol for symbol, number in self._vocabulary.items()}

    def _run(self, feed: dict[str, Any], cancelled: Any) -> Any:
        audio, durations = super()._run(feed, cancelled)
        symbols = "".join(self._symbols[int(n)] for n in feed["tokens"][0][1:-1])
        self.tokens.append((symbols, [int(d) for d in np.rint(durations.reshape(-1))]))
        return [audio, durations]


def language_of(voice: str) -> str:
    return "zh" if voice.startswith("z") else "en"


def spoken(folder: Path, voices: Sequence[str] = VOICES) -> Iterator[Spoken]:
    """Every kept sentence by every voice of its language; those not in `folder` yet are synthesised."""
    folder.mkdir(parents=True, exist_ok=True)
    engine: _Recording | None = None
    for voice in voices:
        language = language_of(voice)
        for number, text in enumerate(ZH if language == "zh" else EN):
            path = folder / f"{voice}-{number:02d}.npz"
            if not path.exists():
                if engine is None:
                    engine = _Recording(folder / "cache")
                    engine.load()
                engine.tokens.clear()
                speech = engine.synthesise(text, language, voice, 1.0, lambda: False)
                store(path, text, speech, engine.tokens)
            yield _read(path, voice, language, number, text)


def store(path: Path, text: str, speech: Speech, tokens: list[tuple[str, list[int]]]) -> None:
    phones = [(p.symbol, p.viseme.value, p.start, p.end) for p in speech.phones]
    np.savez(path, pcm=speech.pcm, known=json.dumps({"text": text, "phones": phones, "tokens": tokens}))


def _read(path: Path, voice: str, language: str, number: int, text: str) -> Spoken:
    with np.load(path) as kept:
        pcm, known = kept["pcm"], json.loads(str(kept["known"]))
    if known["text"] != text:
        raise SystemExit(f"{path} was made of another sentence: delete the folder")
    phones = tuple(Phone(symbol, Viseme(viseme), start, end) for symbol, viseme, start, end in known["phones"])
    tokens = [(symbols, durations) for symbols, durations in known["tokens"]]
    return Spoken(voice, language, number, text, Speech(pcm, phones), tokens)


if __name__ == "__main__":
    print(sum(1 for _ in spoken(Path(sys.argv[1]))), "recordings")
