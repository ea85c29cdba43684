"""The link between the parent and each child: a SEQPACKET socket pair. No threads, no policy.

A message is sent whole or not at all, so neither side ever waits for the other. The framing is that of `wire`.
"""

from __future__ import annotations

from typing import Final

from broadcaster import wire
from broadcaster.errors import WireError

PARENT_FD: Final = "BROADCASTER_PARENT_FD"
"""Environment variable: the child's end of the link."""

PARENT_PID: Final = "BROADCASTER_PARENT_PID"
"""Environment variable: lets a child see that its parent died before it could ask to die with it."""

PACKET: Final = 1 << 18
"""The largest packet either side sends, a reload notice with the whole configuration in it; a beat has 50 bytes."""


def pack(message: wire.AnyMessage) -> bytes:
    return wire.encode(message)


def unpack(packet: bytes) -> wire.AnyMessage:
    """Raises WireError for anything that is not one whole message."""
    length = int.from_bytes(packet[:4], "big")
    if length != len(packet) - 4:
        raise WireError(f"a packet of {len(packet)} bytes announces {length}")
    return wire.decode(memoryview(packet)[4:])
