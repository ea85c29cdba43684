"""The aligner on voices it was not fitted on, against the times that the embedded engine itself knows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.mouth_timing import CHUNK, Tally, aligned, measured, quieter, same
from bench.sentences import EN, FITTED, ZH
from bench.voice_corpus import Spoken
from broadcaster.speech.mouth import alignment
from tests.support.embedded import embedded

pytestmark = pytest.mark.integration

VOICES = {"zh": ("zm_yunjian", ZH), "en": ("am_michael", EN)}


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Spoken]]:
    cache: Path = tmp_path_factory.mktemp("cache")
    engine = embedded()
    alignment.warm(cache)
    found: dict[str, list[Spoken]] = {}
    for language, (voice, texts) in VOICES.items():
        for number in range(FITTED[language], FITTED[language] + 2):
            speech = engine.synthesise(texts[number], language, voice, 1.0, lambda: False)
            found.setdefault(language, []).append(Spoken(voice, language, number, texts[number], speech, []))
    return found


def figures(tally: Tally) -> tuple[float, float]:
    """(correlation of the opening, share of the true closures found)."""
    r, recall, _, _, _ = tally.figures()
    return r, recall


@pytest.mark.parametrize("language", ["zh", "en"])
def test_it_beats_the_envelope_by_far(recordings: dict[str, list[Spoken]], language: str) -> None:
    envelope = figures(measured(recordings[language], None, same))
    whole = figures(measured(recordings[language], aligned(None), same))
    streamed = figures(measured(recordings[language], aligned(CHUNK), same))
    assert whole[0] > envelope[0] + 0.3
    assert streamed[0] > envelope[0] + 0.3
    assert whole[1] >= 0.9
    assert streamed[1] >= 0.75


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_level_of_the_sound_changes_next_to_nothing(recordings: dict[str, list[Spoken]], language: str) -> None:
    loud, quiet = (measured(recordings[language], aligned(None), change) for change in (same, quieter))
    assert np.corrcoef(np.concatenate(loud.ours), np.concatenate(quiet.ours))[0, 1] > 0.98
