"""Publishes to an RTMP server through FFmpeg's FLV muxer (rtmp, rtmps). A sink child, killed when it must be.

FFmpeg 8.1 verifies no certificate for rtmps and PyAV 18 offers no way to ask for it: the stream is encrypted, but
the server's identity is not checked.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from threading import Event
from typing import Final

from broadcaster.errors import SinkError, SinkFailure
from sinks import net
from sinks.packets import Muxer, PacketReader, Rebase
from sinks.report import Report

FLV_OPTIONS: Final = {"flvflags": "no_duration_filesize"}
"""Duration and size would be written at the end, by seeking, which a network cannot."""
_UNREACHABLE: Final = frozenset(
    {errno.ECONNREFUSED, errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ETIMEDOUT, errno.ENETDOWN}
)


def join_key(url: str, key: str) -> str:
    """The publish address: Bilibili's key begins with "?", others are a path segment; both go behind one slash."""
    return f"{url.rstrip('/')}/{key.lstrip('/')}" if key else url


class RtmpSink:
    """settings: url, key, backup_url, address (0 primary, 1 backup), bitrate (bit/s)."""

    def __init__(self, settings: Mapping[str, object], report: Report) -> None:
        backup = settings.get("address") == 1 and settings.get("backup_url")
        self._url = join_key(str(backup or settings["url"]), str(settings.get("key") or ""))
        self._bitrate = int(str(settings.get("bitrate", 0)))
        self._report = report
        scheme = self._url.partition("://")[0].lower()
        if scheme not in net.PORTS:
            raise SinkError("the address must begin with rtmp:// or rtmps://", SinkFailure.INTERNAL, retryable=False)

    def run(self, packets: PacketReader, stop: Event) -> None:
        net.probe(self._url)
        self._report("connected")
        out = self._open(packets)
        sockets = net.tune(self._bitrate)
        watch = net.StallWatch(sockets, self._stalled)
        self._report("live")
        rebase = Rebase(packets.format.fps)
        try:
            for batch in packets.batches():
                net.cork(sockets, True)
                for packet in batch:
                    pts = rebase.pts(packet)
                    if pts is not None:
                        watch.writing(True)
                        out.write(packet, pts)
                net.cork(sockets, False)
                watch.writing(False)
                if stop.is_set():
                    break
        except OSError as err:
            raise SinkError(f"the connection was lost: {err}", SinkFailure.LOST) from err
        watch.close()
        try:
            out.close()
        except OSError as err:
            raise SinkError(f"the connection was lost while closing: {err}", SinkFailure.LOST) from err

    def _open(self, packets: PacketReader) -> Muxer:
        try:
            return Muxer(self._url, "flv", packets, FLV_OPTIONS)
        except PermissionError as err:
            raise SinkError(f"the server says that somebody publishes already: {err}", SinkFailure.BUSY) from err
        except OSError as err:
            if err.errno in _UNREACHABLE:
                raise SinkError(f"cannot connect: {err}", SinkFailure.UNREACHABLE) from err
            raise SinkError(
                f"refused after connecting (a wrong key or application?): {err}", SinkFailure.REFUSED
            ) from err

    def _stalled(self, reason: str) -> None:
        self._report.give_up(SinkError(reason, SinkFailure.LOST))
