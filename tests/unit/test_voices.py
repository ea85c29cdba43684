"""The chain as the configuration asks for it, and how its links and takeovers show in status and as-run log."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from broadcaster.config import VoiceConfig
from broadcaster.config.voices import EdgeVoice, OpenAISpeechVoice
from broadcaster.director.report import _voice
from broadcaster.paths import Paths
from broadcaster.playout.utterance import Utterance
from broadcaster.telemetry.metrics import Metrics
from broadcaster.voices import chain_of
from broadcaster.wire import Speak
from tests.fakes.voice import ScriptedVoice

pytestmark = pytest.mark.unit


def test_links_in_their_order_and_the_embedded_voice_last(tmp_path: Path) -> None:
    settings = VoiceConfig(
        engine="tone",
        chain=[
            OpenAISpeechVoice(name="first", base_url="http://127.0.0.1:1/v1", languages=["zh"]),
            EdgeVoice(enabled=False),
            OpenAISpeechVoice(name="second", base_url="http://127.0.0.1:1/v1"),
        ],
    )
    embedded = ScriptedVoice()
    chain = chain_of(settings, Paths(tmp_path, tmp_path, tmp_path), tmp_path, embedded)
    assert [link.name for link in chain.links] == ["first", "second", "tone"]
    assert [link.languages for link in chain.links[:2]] == [{"zh"}, {"zh", "en"}]
    assert [link.voice.name for link in chain.links] == ["first", "second", embedded.name]
    assert chain.links[0].breaker is not chain.links[1].breaker


def test_without_a_chain_there_is_the_embedded_voice(tmp_path: Path) -> None:
    embedded = ScriptedVoice()
    chain = chain_of(VoiceConfig(), Paths(tmp_path, tmp_path, tmp_path), tmp_path, embedded)
    assert [link.voice.name for link in chain.links] == [embedded.name]


def test_a_link_that_is_left_alone_makes_the_voice_degraded() -> None:
    well = {"name": "one", "state": "closed", "spoken": 3, "failures": 1, "error": "once"}
    resting = {"name": "two", "state": "open", "spoken": 0, "failures": 3, "error": "wrong key"}
    assert _voice("one", "", [well]) == {"engine": "one", "degraded": False, "error": "", "links": [well]}
    degraded = _voice("one", "", [well, resting])
    assert (degraded["degraded"], degraded["error"]) == (True, "two: wrong key")
    assert _voice("one", "all are down", [resting])["error"] == "all are down"


def test_each_link_has_its_metrics() -> None:
    links = [{"name": "one", "state": "open", "spoken": 3, "failures": 2, "error": ""}]
    text = Metrics(lambda: []).render({"voice": {"links": links}}).decode()
    assert 'broadcaster_voice_state{state="open",voice="one"} 1.0' in text
    assert 'broadcaster_voice_state{state="closed",voice="one"} 0.0' in text
    assert 'broadcaster_voice_pieces_total{result="spoken",voice="one"} 3.0' in text
    assert 'broadcaster_voice_pieces_total{result="failed",voice="one"} 2.0' in text


def test_the_as_run_log_names_every_voice_of_a_sentence() -> None:
    utterance = Utterance("u", 1)
    for number, opens, engine in ((0, "一。", "one"), (0, None, "one"), (0, None, "last"), (1, "二。", "one")):
        pcm = np.ones(10, "<i2").tobytes()
        utterance.append(Speak(1, "u", number, opens, pcm, [], engine))
    assert [(sentence.text, sentence.engine) for sentence in utterance.sentences] == [
        ("一。", "one+last"),
        ("二。", "one"),
    ]
