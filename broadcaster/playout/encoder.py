"""H.264 and AAC, encoded once for every sink. Runs in playout's tick thread.

The audio encoder is opened once and never again: its 1024 samples of priming would shift the sound at every
re-opening. The video encoder may be replaced on air; PTS go on and sinks get the new parameter sets.
"""

from __future__ import annotations

import json
import logging
import time
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.audio.stream import AudioStream
from av.video.stream import VideoStream
from numpy.typing import NDArray

from broadcaster.config import Aigc, Audio, Video
from broadcaster.errors import EncoderError
from broadcaster.playout.packets import EncodedPacket, StreamFormat
from broadcaster.types import SAMPLE_RATE

log = logging.getLogger(__name__)

GOP_SECONDS = 2
AAC_FRAME = 1024
GLOBAL_HEADER = 1 << 22
"""AV_CODEC_FLAG_GLOBAL_HEADER: parameter sets go to the extradata, where every muxer looks for them."""


def identified(aigc: Aigc, channel: str, run: str) -> Aigc:
    """`aigc` with its empty fields filled: the channel produces, and `run` tells this transmission from others."""
    produce_id = aigc.produce_id or f"{channel}-{run}"
    return aigc.model_copy(update={"producer": aigc.producer or channel, "produce_id": produce_id})


def aigc_object(aigc: Aigc) -> str:
    """The implicit label of the Chinese rules (facts C4): the JSON value of the metadata key `AIGC`."""
    fields = {
        "Label": "1",
        "ContentProducer": aigc.producer,
        "ProduceID": aigc.produce_id,
        "ReservedCode1": "",
        "ContentPropagator": "",
        "PropagateID": "",
        "ReservedCode2": "",
    }
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))


class VideoEncoder:
    """One opened video encoder. Raises EncoderError from everything that FFmpeg refuses."""

    def __init__(self, video: Video, codec: str) -> None:
        self.name = codec
        self._fps = video.fps
        self._gop = GOP_SECONDS * video.fps
        self._container = av.open("/dev/null", "w", format="null")
        try:
            self.stream = self._open(video, codec)
        except (av.FFmpegError, ValueError) as err:
            self._container.close()
            raise EncoderError(f"{codec} cannot be opened for {video.width}x{video.height}: {err}") from err

    def encode(self, frame: av.VideoFrame, tick: int) -> list[EncodedPacket]:
        """The packets that come out for `frame` at `tick` (one: there is no delay). The frame is not kept."""
        frame.pts = tick
        frame.time_base = Fraction(1, self._fps)
        keyframe = tick % self._gop == 0
        frame.pict_type = av.video.frame.PictureType.I if keyframe else av.video.frame.PictureType.NONE
        try:
            packets = self.stream.encode(frame)
        except av.FFmpegError as err:
            raise EncoderError(f"{self.name} failed at tick {tick}: {err}") from err
        return [self._packet(packet) for packet in packets]

    def close(self) -> None:
        self._container.close()

    def _packet(self, packet: av.Packet[VideoStream]) -> EncodedPacket:
        assert packet.pts is not None
        return EncodedPacket("video", packet.pts, 1, packet.is_keyframe, bytes(packet), time.time_ns())

    def _open(self, video: Video, codec: str) -> VideoStream:
        stream = self._container.add_stream(codec, rate=video.fps)
        assert isinstance(stream, VideoStream)
        context = stream.codec_context
        context.width, context.height, context.pix_fmt = video.width, video.height, "yuv420p"
        context.time_base = Fraction(1, video.fps)
        context.bit_rate = video.bitrate_kbps * 1000
        context.gop_size = self._gop
        context.max_b_frames = 0
        context.flags |= GLOBAL_HEADER
        context.color_range = av.video.reformatter.ColorRange.MPEG
        context.colorspace = av.video.reformatter.Colorspace.ITU709
        context.color_primaries = av.video.reformatter.ColorPrimaries.BT709
        context.color_trc = av.video.reformatter.ColorTrc.BT709
        context.options = _options(video, codec, self._gop)
        self._container.start_encoding()
        return stream


class AudioEncoder:
    """AAC-LC, 48 kHz stereo, fed in ticks, cut into frames of 1024 samples by count."""

    def __init__(self, audio: Audio) -> None:
        self._container = av.open("/dev/null", "w", format="null")
        stream = self._container.add_stream("aac", rate=SAMPLE_RATE, layout="stereo")
        assert isinstance(stream, AudioStream)
        self.stream = stream
        self.stream.codec_context.bit_rate = audio.bitrate_kbps * 1000
        self.stream.codec_context.flags |= GLOBAL_HEADER
        self._container.start_encoding()
        self._pending: NDArray[np.float32] = np.zeros((2, 0), dtype=np.float32)
        self._samples: int | None = None
        self.received = 0

    def encode(self, sound: NDArray[np.float32], first_sample: int) -> list[EncodedPacket]:
        """`sound`: (2, n) float32. `first_sample` is its place on the channel's sample counter."""
        if self._samples is None:
            self._samples = self.received = first_sample
        self.received += sound.shape[1]
        buffer = np.concatenate([self._pending, sound], axis=1)
        packets: list[EncodedPacket] = []
        while buffer.shape[1] >= AAC_FRAME:
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(buffer[:, :AAC_FRAME]), "fltp", "stereo")
            frame.sample_rate = SAMPLE_RATE
            frame.pts, frame.time_base = self._samples, Fraction(1, SAMPLE_RATE)
            self._samples += AAC_FRAME
            buffer = buffer[:, AAC_FRAME:]
            for packet in self.stream.encode(frame):
                assert packet.pts is not None
                packets.append(EncodedPacket("audio", packet.pts, AAC_FRAME, True, bytes(packet), time.time_ns()))
        self._pending = buffer
        return packets

    def close(self) -> None:
        self._container.close()


class Encoder:
    """Both encoders and what happens when the picture's one fails."""

    def __init__(self, video: Video, audio: Audio, aigc: Aigc) -> None:
        self._video_config = video
        self._metadata = {"AIGC": aigc_object(aigc)}
        self.video = open_video(video)
        self.audio = AudioEncoder(audio)
        self._audio_bitrate = audio.bitrate_kbps * 1000
        self.restarts = 0

    def replace_video(self) -> None:
        """A fresh encoder in place of one that failed: always x264, the one that cannot be taken away.

        Raises EncoderError when even that cannot be opened.
        """
        self.restarts += 1
        try:
            self.video.close()
        except av.FFmpegError as err:
            log.warning("the failed encoder did not close cleanly", extra={"error": str(err)})
        self.video = VideoEncoder(self._video_config, "libx264")

    def format(self) -> StreamFormat:
        config = self._video_config
        return StreamFormat(
            width=config.width,
            height=config.height,
            fps=config.fps,
            video_extradata=self.video.stream.codec_context.extradata or b"",
            audio_extradata=self.audio.stream.codec_context.extradata or b"",
            video_bitrate=config.bitrate_kbps * 1000,
            audio_bitrate=self._audio_bitrate,
            metadata=self._metadata,
        )

    def close(self) -> None:
        self.video.close()
        self.audio.close()


def open_video(video: Video) -> VideoEncoder:
    """The configured encoder; with "auto" or "nvenc", NVENC when it opens and x264 when it does not."""
    if video.encoder != "x264":
        try:
            return VideoEncoder(video, "h264_nvenc")
        except EncoderError as err:
            level = logging.WARNING if video.encoder == "nvenc" else logging.INFO
            log.log(
                level,
                "NVENC does not open, x264 encodes",
                extra={"error": err.__cause__.strerror if isinstance(err.__cause__, OSError) else err},
            )
    return VideoEncoder(video, "libx264")


def _options(video: Video, codec: str, gop: int) -> dict[str, str]:
    rate = str(video.bitrate_kbps * 1000)
    common: dict[str, Any] = {"maxrate": rate, "bufsize": rate, "bf": "0", "forced-idr": "1"}
    if codec == "libx264":
        return common | {
            "preset": video.preset,
            "tune": "zerolatency",
            "threads": str(video.threads),
            "x264-params": f"keyint={gop}:min-keyint={gop}:scenecut=0:open-gop=0:force-cfr=1",
        }
    return common | {"preset": "p4", "tune": "ull", "rc": "cbr", "zerolatency": "1", "no-scenecut": "1"}
