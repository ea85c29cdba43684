"""Bilibili's packets: the vectors, packets in packets, bombs, and bytes that are none."""

from __future__ import annotations

import struct
import tracemalloc
import zlib
from typing import Any

import brotli
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sources.bilibili import packets
from sources.bilibili.packets import MAX_PACKED, MAX_PACKETS, MAX_UNPACKED, Operation, Packet, Unpacker, pack
from tests.fakes import bilibili_server as fake

pytestmark = pytest.mark.unit


def test_packets_of_the_client() -> None:
    assert pack(Operation.BEAT, b"{}").hex() == "0000001200100001" + "00000002" + "00000001" + "7b7d"


def test_the_answer_to_an_introduction() -> None:
    frame = bytes.fromhex("0000001a0010000100000008000000017b22636f6465223a307d")
    assert Unpacker().unpack(frame) == [Packet(8, b'{"code":0}')]


def test_the_answer_to_a_heartbeat_has_an_echo_that_is_not_counted() -> None:
    frame = bytes.fromhex(
        "0000001400100001" + "00000003" + "00000000" + "000009a2" + "5b6f626a656374204f626a6563745d"
    )
    unpacker = Unpacker()
    assert len(frame) == 35
    assert unpacker.unpack(frame) == [Packet(3, struct.pack(">I", 2466))]
    assert not unpacker.faults


def test_a_frame_of_brotli() -> None:
    inner = '{"cmd":"WATCHED_CHANGE","data":{"num":22097,"text_small":"2.2万","text_large":"2.2万人看过"}}'.encode()
    packed = bytes.fromhex("8b3880") + fake.packet(inner) + bytes.fromhex("03")
    assert len(fake.packet(packed, version=3)) == 134
    assert Unpacker().unpack(fake.packet(packed, version=3)) == [Packet(5, inner)]


@pytest.mark.parametrize("packed", [fake.with_zlib, fake.with_brotli])
def test_packets_in_packets(packed: Any) -> None:
    bodies = [b"one", b"", b"three", b"four"]
    inside = [fake.packet(body) for body in bodies]
    frame = inside[0] + packed(inside[1], packed(inside[2])) + inside[3]
    unpacker = Unpacker()
    assert [packet.body for packet in unpacker.unpack(frame)] == bodies
    assert not unpacker.faults


@pytest.mark.parametrize(
    ("frame", "fault"),
    [
        (b"x", "truncated"),
        (fake.packet(b"abc")[:-1], "truncated"),
        (struct.pack(">I2H2I", 15, 16, 0, 5, 0), "bad_length"),
        (struct.pack(">I2H2I", 0, 0, 0, 5, 0), "bad_length"),
        (struct.pack(">I2H2I", 16, 15, 0, 5, 0), "bad_length"),
        (struct.pack(">I2H2I", 0xFFFFFFFF, 16, 0, 5, 0), "truncated"),
        (fake.packet(b"", version=9), "unknown_version"),
        (fake.packet(b"not zlib", version=2), "bad_compression"),
        (fake.packet(b"not brotli", version=3), "bad_compression"),
        (fake.packet(zlib.compress(fake.packet(b"a") * 9)[:-2], version=2), "bad_compression"),
        (fake.with_zlib(fake.with_zlib(fake.with_zlib(fake.with_zlib(fake.packet(b""))))), "too_deep"),
        (fake.packet(b"") * (MAX_PACKETS + 1), "too_many"),
    ],
)
def test_what_is_wrong_is_counted(frame: bytes, fault: str) -> None:
    unpacker = Unpacker()
    good = fake.packet(b"good")
    assert unpacker.unpack(good + frame)[0] == Packet(5, b"good")
    assert unpacker.faults == {fault: 1}
    assert unpacker.unpack(good) == [Packet(5, b"good")], "the next frame begins anew"


def test_what_came_before_the_end_of_a_torn_packet_is_kept() -> None:
    inside = fake.packet(b"one") + fake.packet(b"two")
    torn = fake.packet(zlib.compress(inside)[:-4], version=2)
    assert [packet.body for packet in Unpacker().unpack(torn)] == [b"one", b"two"]


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("nested", [False, True])
def test_bombs_are_refused(version: int, nested: bool) -> None:
    """Also many small ones in one frame: the limit is the frame's."""
    size = MAX_UNPACKED // 4 if nested else 8 * MAX_UNPACKED
    pressed = zlib.compress(bytes(size), 9) if version == 2 else brotli.compress(bytes(size), quality=1)
    bomb = fake.packet(pressed, version=version)
    unpacker = Unpacker()
    tracemalloc.start()
    try:
        found = unpacker.unpack(fake.with_zlib(bomb * 12) if nested else bomb)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found == []
    assert unpacker.faults["bomb"] >= 1
    assert peak < 3 * MAX_UNPACKED


@pytest.mark.parametrize("version", [2, 3])
def test_after_a_bomb_nothing_of_its_frame_is_unpacked(version: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten thousand bombs fit into one frame, and to begin with each of them takes milliseconds."""
    unpacked: list[bytes] = []
    for name in ("_inflated", "_unbrotlied"):
        real = getattr(packets, name)
        monkeypatch.setattr(packets, name, lambda body, limit, real=real: unpacked.append(body) or real(body, limit))
    size = bytes(MAX_UNPACKED + 1)
    bomb = fake.packet(zlib.compress(size) if version == 2 else brotli.compress(size, quality=1), version=version)
    unpacker = Unpacker()
    assert unpacker.unpack(bomb * 30 + fake.packet(b"plain")) == [Packet(5, b"plain")]
    assert (len(unpacked), unpacker.faults) == (1, {"bomb": 30})


def test_packed_packets_of_one_frame_are_bounded() -> None:
    unpacker = Unpacker()
    found = unpacker.unpack(fake.with_brotli(fake.packet(b"a")) * (MAX_PACKED + 2) + fake.packet(b"plain"))
    assert [packet.body for packet in found] == [b"a"] * MAX_PACKED + [b"plain"]
    assert unpacker.faults == {"too_many": 2}


PACKETS = st.recursive(
    st.builds(fake.packet, st.binary(max_size=40), st.integers(0, 20), st.integers(0, 5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(b"".join),
        st.lists(inner, max_size=3).map(lambda inside: fake.with_zlib(*inside)),
        st.lists(inner, max_size=3).map(lambda inside: fake.with_brotli(*inside)),
    ),
    max_leaves=8,
)


@st.composite
def torn(draw: st.DrawFn) -> bytes:
    """A frame of packets in packets, with some bytes changed, cut out or put in."""
    frame = bytearray(draw(PACKETS))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(frame)))
        match draw(st.sampled_from(["change", "cut", "put"])):
            case "change" if at < len(frame):
                frame[at] = draw(st.integers(0, 255))
            case "cut":
                del frame[at : at + draw(st.integers(1, 20))]
            case "put":
                frame[at:at] = draw(st.binary(max_size=20))
    return bytes(frame)


@settings(max_examples=120, deadline=None)
@given(st.one_of(st.binary(max_size=200), torn()))
def test_no_frame_breaks_the_parser(frame: bytes) -> None:
    found = Unpacker().unpack(frame)
    assert len(found) <= MAX_PACKETS
    assert sum(len(packet.body) for packet in found) <= MAX_UNPACKED + len(frame)
