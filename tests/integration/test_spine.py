"""The spine: clock, encoder, fan-out, sink children, real nginx-rtmp, pulled back and decoded."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

from tests.support.capture import AAC_FRAME, Capture
from tests.support.channel import rtmp
from tests.support.flashbeep import FlashBeepAir
from tests.support.nginx import NginxRtmp
from tests.support.puller import Puller

pytestmark = pytest.mark.integration

AAC_FRAME_MS = AAC_FRAME * 1000 / 48_000


def check_stream(capture: Capture, fps: int) -> None:
    """Everything that must hold of a stream from its first packet to its last."""
    assert capture.video_gaps(fps) == []
    assert capture.audio_gaps() == []
    assert capture.audio_drift_ms() <= 1.0
    keys = capture.keyframe_ticks(fps)
    assert len(keys) >= 2
    assert {b - a for a, b in itertools.pairwise(keys)} == {2 * fps}
    assert capture.video[0].key
    assert abs(capture.lead_ms(0, 0.3) - capture.lead_ms(0.7, 1)) <= AAC_FRAME_MS


@pytest.mark.parametrize("fps", [25, 30])
def test_what_a_viewer_gets_is_regular_to_the_tick(fps: int, short_dir: Path) -> None:
    with NginxRtmp(tls=True) as nginx:
        with Puller(nginx.url(), rejoin=True) as puller:
            with FlashBeepAir(short_dir, [rtmp("main", nginx.tls_url())], fps=fps) as air:
                puller.wait_frames(7 * fps, timeout=60)
                counters = air.clock.counters
            # The sink was closed in good order, so what has come is the whole session.
            capture = puller.wait_end()
        assert nginx.publishes == ["stream"]
    check_stream(capture, fps)
    assert capture.video[0].pts_ms == 0
    assert 0 <= capture.audio[0].pts_ms < AAC_FRAME_MS + 1
    assert abs(capture.end_skew_ms()) <= 2 * 1000 / fps
    assert counters.reanchored == 0
    assert json.loads(capture.metadata["AIGC"])["Label"] == "1"
    pictures = capture.frames(lambda frame: frame.width)
    assert len(pictures) == len(capture.video)
    assert len(capture.sound().samples) == AAC_FRAME * len(capture.audio)


def test_without_meta_copy_the_stream_still_plays(short_dir: Path) -> None:
    with (
        NginxRtmp() as nginx,
        FlashBeepAir(short_dir, [rtmp("main", nginx.url(app="plain"))]),
        Puller(nginx.url(app="plain"), rejoin=True) as puller,
    ):
        capture = puller.wait_frames(60, timeout=60)
    assert "AIGC" not in capture.metadata
    assert capture.video_gaps(25) == []
