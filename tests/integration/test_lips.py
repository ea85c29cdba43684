"""Lips on real speech, from playout's socket to decoded pictures and decoded sound behind nginx-rtmp.

15 s of it here; LIPS_SECONDS=60 takes a minute.
"""

from __future__ import annotations

import os

import numpy as np
import pytest
from numpy.typing import NDArray

from broadcaster.head.shapes import TARGETS
from broadcaster.studio.avatar import expand
from broadcaster.types import Speech, Viseme
from tests.support.capture import Capture
from tests.support.channel import AVATAR, Channel, rtmp
from tests.support.embedded import embedded
from tests.support.lips import CLOSED, LipGauge
from tests.support.nginx import NginxRtmp
from tests.support.puller import Puller
from tests.support.speaking import Tap

pytestmark = pytest.mark.integration

FPS = 25
TICK = 48_000 // FPS
SECONDS = float(os.environ.get("LIPS_SECONDS", "15"))
SENTENCES = (
    "爸爸妈妈今天早上八点半出门，买了面包、苹果和一把漂亮的花。",
    "明天白天多云转晴，傍晚部分地区有小雨，请朋友们带好雨伞。",
    "我们的节目表已经放在屏幕下方，不明白的地方慢慢问。",
    "北边的码头停满了木船，渔民们忙着把网搬到甲板上。",
    "Maybe the best part of the problem is to begin with a simple map.",
    "这个品牌的背包便宜又方便，买一个送一本笔记本。",
    "飞机起飞以后，妹妹趴在窗边看白色的云，半天没有说话。",
    "今天晚上八点，我们不见不散，请把闹钟调好，别忘了。",
    "Bob bought a pound of butter and put it on the big table.",
    "秋天的傍晚，北风吹过麦田，满地都是金黄的叶片。",
)


@pytest.fixture(scope="module")
def pieces() -> list[Speech]:
    """Kokoro's sentences until SECONDS are full."""
    engine = embedded()
    spoken: list[Speech] = []
    for sentence in SENTENCES * 4:
        language, voice = ("en", "af_heart") if sentence.isascii() else ("zh", "zf_xiaoxiao")
        spoken.append(engine.synthesise(sentence, language, voice, 1.0, lambda: False))
        if sum(len(piece.pcm) for piece in spoken) >= SECONDS * 48_000:
            break
    return spoken


@pytest.fixture(scope="module")
def capture(pieces: list[Speech]) -> Capture:
    """The stream while they are spoken."""
    length = sum(len(piece.pcm) for piece in pieces)
    video = {"width": 1280, "height": 720, "bitrate_kbps": 2500, "preset": "superfast"}
    with (
        NginxRtmp() as nginx,
        Channel(sinks=[rtmp("main", nginx.url())], settings={"video": video}) as channel,
        Puller(nginx.url(), rejoin=True) as puller,
    ):
        puller.wait_frames(FPS, timeout=60)
        with Tap(channel.run / "playout.sock") as tap:
            tap.speak("lips", pieces)
            puller.wait_frames(length // TICK + 3 * FPS, timeout=SECONDS + 120)
        clock = channel.status()["clock"]
        assert clock["holes"] == 0
        assert clock["patches_missing"] <= 0.02 * length / TICK
        return puller.capture


@pytest.fixture(scope="module")
def openings(capture: Capture, tmp_path_factory: pytest.TempPathFactory) -> list[tuple[float, float]]:
    """(pts in ms, opening of the mouth) of every decoded picture."""
    gauge = LipGauge(expand(AVATAR, tmp_path_factory.mktemp("lips"), 1280, 720, FPS))
    luma = capture.frames(lambda frame: gauge.opening(np.asarray(frame.to_ndarray()[: frame.height])))
    assert len(luma) == len(capture.video)
    return luma


@pytest.fixture(scope="module")
def start_ms(capture: Capture, pieces: list[Speech]) -> float:
    """Stream time of the speech's first sample, by the onset of what was decoded."""
    pcm = np.concatenate([piece.pcm for piece in pieces]).astype(np.float32) / 32768
    level = 10 ** (-40 / 20)
    first = int(np.flatnonzero(np.abs(pcm) > level)[0])
    sound = capture.sound()
    onset = sound.onsets(above_dbfs=-40, quiet_ms=500)[0]
    return sound.time_ms(onset) - first / 48


def phones(pieces: list[Speech]) -> list[tuple[Viseme, int, int]]:
    """(viseme, start, end) in samples of the whole."""
    rows: list[tuple[Viseme, int, int]] = []
    offset = 0
    for piece in pieces:
        rows += [(phone.viseme, phone.start + offset, phone.end + offset) for phone in piece.phones]
        offset += len(piece.pcm)
    return rows


def sample_of(pts_ms: float, start_ms: float) -> float:
    """The sample of speech that sounds in the middle of a picture."""
    return (pts_ms - start_ms) * 48 + TICK / 2


def test_the_mouth_opens_with_the_sound(
    pieces: list[Speech],
    openings: list[tuple[float, float]],
    start_ms: float,
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = phones(pieces)
    samples = np.array([sample_of(pts, start_ms) for pts, _ in openings])
    opened = np.array([opening for _, opening in openings])
    wanted = np.zeros(len(openings))
    for viseme, start, end in rows:
        wanted[(samples >= start) & (samples < end)] = TARGETS[viseme].jaw
    spoken = np.flatnonzero((samples >= 0) & (samples < rows[-1][2]))
    inside = slice(int(spoken[0]) + 8, int(spoken[-1]) - 8)
    lags = range(-6, 7)
    scores = [correlation(np.roll(opened, -lag)[inside], wanted[inside]) for lag in lags]
    best = lags[int(np.argmax(scores))]
    with capsys.disabled():
        print(f"\nlips: best lag {best} ticks, correlation {max(scores):.2f}, {len(spoken) / FPS:.0f} s of speech")
    assert best in (-1, 0, 1)
    assert max(scores) > 0.5


def test_lips_close_for_m_b_and_p(
    pieces: list[Speech],
    openings: list[tuple[float, float]],
    start_ms: float,
    capsys: pytest.CaptureFixture[str],
) -> None:
    opened = [opening for _, opening in openings]
    first = sample_of(openings[0][0], start_ms)
    shut: list[bool] = []
    for viseme, start, end in phones(pieces):
        if viseme is Viseme.PP:
            tick = round(((start + end) / 2 - first) / TICK)
            shut.append(min(opened[tick - 1 : tick + 2]) < CLOSED)
    with capsys.disabled():
        print(f"\nlips: {sum(shut)} of {len(shut)} m, b, p closed within a tick")
    assert len(shut) >= SECONDS / 2
    assert sum(shut) >= 0.9 * len(shut)


def test_the_mouth_is_shut_before_and_behind_the_speech(
    pieces: list[Speech], openings: list[tuple[float, float]], start_ms: float
) -> None:
    end = start_ms + sum(len(piece.pcm) for piece in pieces) / 48
    idle = [opening for pts, opening in openings if pts < start_ms - 200 or pts > end + 400]
    assert len(idle) > FPS
    assert max(idle) < CLOSED


def correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    return float(np.corrcoef(a, b)[0, 1])
