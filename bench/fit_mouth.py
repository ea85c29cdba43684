"""Makes `broadcaster/speech/assets/mouth.json`, the aligner's sound model, from the embedded voices' known times.

    python -m bench.fit_mouth [--folder FOLDER] [--out FILE]

Fitted on the first sentences of zf_xiaoxiao (Mandarin) and af_heart (English) and on no other voice. The file holds
the average spectrum, a net of one hidden layer that tells classes of phones (a row per unit, the bias last) and how
long phones last (mean and deviation of the logarithm of 10 ms frames).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.mouth_timing import resampled
from bench.voice_corpus import DEFAULT_FOLDER, Spoken, spoken
from broadcaster.speech.mouth.acoustics import ANY, BANDS, FRAME, Floats, Listener
from broadcaster.speech.mouth.phonemes import REST_UNITS, VISEMES
from broadcaster.speech.mouth.sounding import ASPIRATION

ASSET = Path(__file__).parents[1] / "broadcaster" / "speech" / "assets" / "mouth.json"
VOICES = ("zf_xiaoxiao", "af_heart")

CLASSES = (
    "", "pbβɸ", "m", "fvʋ", "θð", "tdTɾʈɖ", "kɡgcqɟʔ", "hxʰħχɣ", "sz", "ʦʣ", "ʂɕʃʒçʝ", "ʨꭧʧʤʥ", "nɲɳɴ", "ŋ",
    "lʎ", "rɹɻʁɽ", "aɑæʌɐ", "IW", "eɛA", "əɤᵊɚɜ", "iɪᵻj", "ɨ", "oɔɒOQY", "uʊwɯɰᵝS", "yɥøœ",
)  # fmt: skip
"""Phones that sound alike; the first is silence."""

SPEEDS = (0.85, 1.0, 1.15)
"""Each recording is also heard slower and lower, faster and higher: other throats than those two."""

UNITS = 32
EPOCHS = 12
BATCH = 256
DECAY = 1e-4
SEED = 1
ENOUGH = 8

Classes = NDArray[np.intp]


def labelled(recording: Spoken) -> list[tuple[str, int, int]]:
    """(symbol, first sample, end) like the recording's phones, with aspiration on its own."""
    tokens: list[tuple[str, int, int]] = []
    for symbols, durations in recording.tokens:
        pending = 0
        for symbol, duration in zip(symbols, durations[1:-1], strict=True):
            if symbol in VISEMES:
                tokens.append((symbol, pending, duration))
                pending = 0
            elif symbol == ASPIRATION:
                pending = duration
            elif tokens and symbol not in "ˈˌ" and (symbol in "→↗↘↓ː" or duration < REST_UNITS):
                before, breath, voiced = tokens[-1]
                tokens[-1] = (before, breath, voiced + duration)
    rows: list[tuple[str, int, int]] = []
    following = iter(tokens)
    for phone in recording.speech.phones:
        split = phone.start
        if phone.symbol:
            _, breath, voiced = next(t for t in following if t[0] == phone.symbol)
            if breath:
                split += int((phone.end - phone.start) * breath / (breath + voiced))
                rows.append((ASPIRATION, phone.start, split))
        rows.append((phone.symbol, split, phone.end))
    return rows


def heard(recordings: list[Spoken], spectrum: Floats) -> Iterator[tuple[Floats, Classes]]:
    """Features and class of every frame, at every speed."""
    classes = {symbol: n for n, symbols in enumerate(CLASSES) for symbol in symbols} | {"": 0}
    for recording in recordings:
        for speed in SPEEDS:
            listener = Listener(spectrum)
            listener.push(resampled(speed)(recording.speech.pcm), last=True)
            truth = np.zeros(listener.frames, dtype=np.intp)
            for symbol, start, end in labelled(recording):
                truth[round(start / speed / FRAME) : round(end / speed / FRAME)] = classes[symbol]
            yield listener.features(0), truth


def lengths(recordings: list[Spoken]) -> tuple[dict[str, list[float]], float]:
    """Mean and deviation of the logarithm of lengths in frames per symbol, and how much longer the last one is.

    A symbol met less than `ENOUGH` times takes what its class has, and else what all symbols have.
    """
    found: dict[str, list[float]] = {}
    last: list[tuple[str, float]] = []
    for recording in recordings:
        rows = labelled(recording)
        for n, (symbol, start, end) in enumerate(rows):
            length = float(np.log((end - start) / FRAME))
            if symbol and n + 1 < len(rows) and rows[n + 1][0] == "":
                last.append((symbol, length))
            elif symbol or 0 < n < len(rows) - 1:
                found.setdefault(symbol, []).append(length)
    every = [length for symbol, values in found.items() if symbol for length in values]
    table = {ANY: every, "": found[""]}
    for group in CLASSES:
        together = [length for symbol in group for length in found.get(symbol, [])]
        for symbol in group:
            own = found.get(symbol, [])
            table[symbol] = own if len(own) >= ENOUGH else together if len(together) >= ENOUGH else every
    drawn = [length - float(np.mean(table[symbol])) for symbol, length in last]
    known = {s: [float(np.mean(v)), max(0.25, float(np.std(v)))] for s, v in table.items()}
    return known, float(np.exp(np.mean(drawn)))


def net(features: Floats, truth: Classes) -> list[Floats]:
    """Weights and biases of both layers, by Adam on cross entropy; the shares of the classes are taken out again."""
    dice = np.random.default_rng(SEED)
    mean, deviation = features.mean(axis=0), features.std(axis=0)
    inputs = (features - mean) / deviation
    size, count = features.shape[1], len(CLASSES)
    layers = [
        dice.normal(0, size**-0.5, (size, UNITS)),
        np.zeros(UNITS),
        dice.normal(0, UNITS**-0.5, (UNITS, count)),
        np.zeros(count),
    ]
    speed, power = [np.zeros_like(p) for p in layers], [np.zeros_like(p) for p in layers]
    step = 0
    for epoch in range(EPOCHS):
        rate = 3e-3 * (1 - epoch / EPOCHS)
        order = dice.permutation(len(truth))
        for at in range(0, len(order), BATCH):
            rows = order[at : at + BATCH]
            gradients = _gradients(layers, inputs[rows], truth[rows])
            step += 1
            for p, m, v, g in zip(layers, speed, power, gradients, strict=True):
                m += 0.1 * (g - m)
                v += 0.001 * (g * g - v)
                p -= rate * (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.999**step)) + 1e-8)
    hidden = layers[0] / deviation[:, np.newaxis]
    shares = np.bincount(truth, minlength=count) / len(truth)
    return [hidden, layers[1] - mean @ hidden, layers[2], layers[3] - np.log(shares)]


def _gradients(layers: list[Floats], inputs: Floats, truth: Classes) -> list[Floats]:
    units = np.maximum(inputs @ layers[0] + layers[1], 0.0)
    output = units @ layers[2] + layers[3]
    error = np.exp(output - output.max(axis=1, keepdims=True))
    error /= error.sum(axis=1, keepdims=True)
    error[np.arange(len(truth)), truth] -= 1.0
    error /= len(truth)
    behind = (error @ layers[2].T) * (units > 0)
    return [
        inputs.T @ behind + DECAY * layers[0],
        behind.sum(axis=0),
        units.T @ error + DECAY * layers[2],
        error.sum(axis=0),
    ]


def fit(recordings: list[Spoken]) -> dict[str, object]:
    averages = []
    for recording in recordings:
        listener = Listener(np.zeros(BANDS))
        listener.push(recording.speech.pcm, last=True)
        averages.append(listener.average())
    spectrum = np.mean(averages, axis=0)
    pairs = list(heard(recordings, spectrum))
    features, truth = np.concatenate([f for f, _ in pairs]), np.concatenate([t for _, t in pairs])
    hidden, hidden_bias, output, output_bias = net(features, truth)
    known, final = lengths(recordings)
    return {
        "spectrum": _short(spectrum),
        "final": round(final, 3),
        "classes": list(CLASSES),
        "lengths": {symbol: _short(values) for symbol, values in known.items()},
        "hidden": [_short(row) for row in np.column_stack([hidden.T, hidden_bias])],
        "output": [_short(row) for row in np.column_stack([output.T, output_bias])],
    }


def _short(values: Iterable[float]) -> list[float]:
    return [round(float(v), 3) for v in values]


def _lines(value: object) -> str:
    """JSON with a line for each row of a table."""
    if isinstance(value, list) and isinstance(value[0], list):
        return "[\n" + ",\n".join(json.dumps(row) for row in value) + "\n]"
    return json.dumps(value, ensure_ascii=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=DEFAULT_FOLDER)
    parser.add_argument("--out", type=Path, default=ASSET)
    options = parser.parse_args()
    model = fit([recording for recording in spoken(options.folder, VOICES) if recording.fitted])
    rows = ",\n".join(f"{json.dumps(key)}: {_lines(value)}" for key, value in model.items())
    options.out.write_text("{\n" + rows + "\n}\n", "utf-8")
    print(f"{options.out}: {options.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
