"""The real encoders behind the tick loop: counts, keyframes, parameter sets and what a failure does to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from queue import Queue
from threading import Event

import av
import numpy as np
import pytest

from broadcaster.config import Aigc, Audio, Video
from broadcaster.errors import EncoderError
from broadcaster.playout.clock import RenderClock
from broadcaster.playout.encoder import AAC_FRAME, Encoder, VideoEncoder, open_video
from broadcaster.playout.lips import Mouth
from broadcaster.playout.packets import EncodedPacket
from broadcaster.playout.talk import Talk
from broadcaster.playout.tickloop import TickLoop
from broadcaster.studio.compositor import Compositor
from broadcaster.studio.label import draw_label
from broadcaster.studio.mixer import Mixer
from tests.fakes.avatar import BarsAvatar

pytestmark = pytest.mark.integration

VIDEO = Video(width=320, height=180, encoder="x264", bitrate_kbps=400, threads=1)


class Tape:
    def __init__(self) -> None:
        self.packets: list[EncodedPacket] = []

    def put(self, packet: EncodedPacket) -> None:
        self.packets.append(packet)

    def of(self, kind: str) -> list[EncodedPacket]:
        return [p for p in self.packets if p.kind == kind]


class Studio:
    def __init__(self, video: Video = VIDEO) -> None:
        avatar = BarsAvatar(video.width, video.height, video.fps)
        self.encoder = Encoder(video, Audio(), Aigc(producer="测试台"))
        self.tape = Tape()
        self.new_encoders = 0
        self._ticks = 0
        clock: RenderClock[object] = RenderClock(Queue(), lambda n: True, lambda: self.loop.tick + 1 >= self._ticks)
        self.talk = Talk(video.fps, avatar.loop_frames, lambda m: None, lambda m: None)
        overlay = draw_label("AI生成 · 数字人直播", "top-left", 5.0, video.width, video.height)
        self.loop = TickLoop(
            clock,
            self.talk,
            Compositor(avatar, overlay),
            Mixer(video.fps),
            self.encoder,
            self.tape,
            self._renewed,
            video.fps,
        )

    def run(self, ticks: int, at: dict[int, Callable[[], None]] | None = None) -> Tape:
        self._ticks = ticks
        todo = at or {}
        self.loop.run(Event(), lambda m: None, lambda tick: todo.get(tick.number, lambda: None)())
        return self.tape

    def _renewed(self) -> None:
        self.new_encoders += 1


@pytest.fixture
def studio() -> Iterator[Studio]:
    made = Studio()
    yield made
    made.encoder.close()


def _decoded(packets: list[EncodedPacket], extradata: bytes) -> int:
    context = av.CodecContext.create("h264", "r")
    context.extradata = extradata
    frames = sum(len(context.decode(av.Packet(p.data))) for p in packets)
    return frames + len(context.decode(None))


def test_one_picture_per_tick_and_a_keyframe_every_two_seconds(studio: Studio) -> None:
    tape = studio.run(250)
    video = tape.of("video")
    assert [p.pts for p in video] == list(range(250))
    assert [p.pts for p in video if p.keyframe] == [0, 50, 100, 150, 200]
    assert _decoded(video, studio.encoder.format().video_extradata) == 250


@pytest.mark.parametrize("fps", [24, 25, 30, 50, 60])
def test_sound_and_picture_end_together_at_every_rate(fps: int) -> None:
    studio = Studio(VIDEO.model_copy(update={"fps": fps}))
    audio = studio.run(fps * 4).of("audio")
    assert [p.pts for p in audio] == [n * AAC_FRAME - 1024 for n in range(len(audio))]
    in_the_encoder = 4 * 48_000 - (audio[-1].pts + AAC_FRAME)
    assert 0 <= in_the_encoder < 3 * AAC_FRAME
    assert studio.encoder.audio.received == 4 * 48_000
    studio.encoder.close()


def test_the_same_input_gives_the_same_bits() -> None:
    tapes = []
    for _ in range(2):
        studio = Studio()
        tapes.append([p.data for p in studio.run(60).packets])
        studio.encoder.close()
    assert tapes[0] == tapes[1]


def test_no_b_frames_and_a_closed_gop(studio: Studio) -> None:
    video = studio.run(120).of("video")
    for start in (50, 100):
        assert _decoded(video[start : start + 20], studio.encoder.format().video_extradata) == 20


def test_a_failing_video_encoder_is_replaced_and_pts_go_on(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = studio.encoder.video

    def fail(frame: av.VideoFrame, tick: int) -> list[EncodedPacket]:
        raise EncoderError(f"scripted failure at tick {tick}")

    tape = studio.run(120, {69: lambda: monkeypatch.setattr(broken, "encode", fail)})
    video = tape.of("video")
    assert [p.pts for p in video] == list(range(120))
    assert [p.pts for p in video if p.keyframe] == [0, 50, 70, 100]
    assert (studio.encoder.restarts, studio.new_encoders) == (1, 1)
    audio = tape.of("audio")
    assert {b.pts - a.pts for a, b in pairwise(audio)} == {AAC_FRAME}
    assert _decoded(video[70:], studio.encoder.format().video_extradata) == 50


def test_a_held_tick_shows_the_last_picture_again(studio: Studio) -> None:
    compositor = Compositor(BarsAvatar(320, 180), draw_label("AI生成 数字人", "top-left", 5.0, 320, 180))
    first = compositor.compose(3)
    luma = np.frombuffer(first.planes[0], np.uint8).copy()
    studio.encoder.video.encode(first, 0)
    studio.encoder.video.encode(first, 1)
    assert np.array_equal(luma, np.frombuffer(first.planes[0], np.uint8))


def test_auto_falls_back_to_x264_where_nvenc_does_not_open() -> None:
    encoder = open_video(VIDEO.model_copy(update={"encoder": "auto"}))
    assert encoder.name in {"h264_nvenc", "libx264"}
    encoder.close()


def test_an_encoder_that_cannot_be_opened_says_which_and_why() -> None:
    with pytest.raises(EncoderError, match="no_such_codec cannot be opened for 320x180"):
        VideoEncoder(VIDEO, "no_such_codec")


def test_the_label_object_is_in_the_format(studio: Studio) -> None:
    metadata = studio.encoder.format().metadata
    assert metadata["AIGC"].startswith('{"Label":"1","ContentProducer":"测试台"')


def test_a_tick_that_raises_is_an_idle_tick_and_the_air_goes_on(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    pulled = studio.talk.pull

    def sometimes_raise(tick: int) -> Mouth | None:
        if tick in (30, 31, 90):
            raise RuntimeError("a bug")
        return pulled(tick)

    monkeypatch.setattr(studio.talk, "pull", sometimes_raise)
    tape = studio.run(100)
    assert [p.pts for p in tape.of("video")] == list(range(100))
    assert studio.encoder.audio.received == 100 * 1920
    assert studio.loop.faults == 3
