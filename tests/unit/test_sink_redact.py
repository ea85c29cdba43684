"""No key of any platform survives `redact` or `Redactor`, in FFmpeg's own error texts either."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcaster.redact import MASK, Redactor, redact

pytestmark = pytest.mark.unit

BILIBILI = (
    "?streamname=live_1234567_8901234&key=0123456789abcdef0123456789abcdef&schedule=rtmp&pflag=1",
    "rtmp://live-push.bilivideo.com/live-bvc/",
)
DOUYIN = (
    "stream-115678901234567890?expire=1767225600&sign=aabbccddeeff00112233",
    "rtmp://push-rtmp-l11.douyincdn.com/third/",
)
YOUTUBE = ("abcd-efgh-ijkl-mnop-qrst", "rtmps://a.rtmps.youtube.com:443/live2/")
TWITCH = ("live_123456_AbCdEfGhIjKlMnOp?bandwidthtest=true", "rtmp://live.twitch.tv/app/")
PLATFORMS = [BILIBILI, DOUYIN, YOUTUBE, TWITCH]


@pytest.mark.parametrize(("key", "base"), PLATFORMS)
def test_an_address_keeps_its_host_and_application_only(key: str, base: str) -> None:
    shown = redact(base + key)
    assert shown.startswith(base.rstrip("/"))
    assert "***" in shown
    for part in key.replace("?", "&").replace("=", "&").split("&"):
        if len(part) > 8:
            assert part not in shown


@pytest.mark.parametrize(("key", "base"), PLATFORMS)
def test_ffmpeg_error_texts(key: str, base: str) -> None:
    text = f"[Errno 5] Input/output error: '{base}{key}'; last error log: [rtmp] rejected (avio.c)"
    shown = redact(text)
    assert key not in shown
    assert shown.startswith("[Errno 5] Input/output error: '")
    assert shown.endswith("'; last error log: [rtmp] rejected (avio.c)")


@pytest.mark.parametrize(("key", "base"), PLATFORMS)
def test_a_known_key_is_removed_outside_an_address(key: str, base: str) -> None:
    redactor = Redactor([key])
    assert redactor(f"the server said: no such stream {key}!") == f"the server said: no such stream {MASK}!"
    for part in key.replace("?", "&").split("&"):
        value = part.partition("=")[2] or part
        if len(value) >= 8:
            assert value not in redactor(f"stream={value} rejected")


def test_the_parts_of_a_secret_address_are_known() -> None:
    redactor = Redactor(["rtmp://push.example/third/stream-777888999?sign=0a1b2c3d4e5f"])
    assert redactor("no stream-777888999 here, sign was 0a1b2c3d4e5f") == "no *** here, sign was ***"
    assert "push.example" in redactor("cannot find push.example")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("rtmp://host/live", "rtmp://host/live"),
        ("rtmp://host:1935/live/key", "rtmp://host:1935/live/***"),
        ("RTMP://host/live/key", "rtmp://host/live/***"),
        ("rtmp://user:password@host/live/key", "rtmp://host/live/***"),
        ("rtmps://b.rtmps.youtube.com/live2?backup=1", "rtmps://b.rtmps.youtube.com/live2?***"),
        ("https://hooks.example/services/T0/B0/XYZ", "https://hooks.example/services/***"),
        ("wss://host/ws?token=abc", "wss://host/ws?***"),
        ("srt://host:9000?streamid=abc", "srt://host:9000?***"),
        ("see http://host/a/b, then (http://host/c/d).", "see http://host/a/***, then (http://host/c/***)."),
        ("rtmp://[::1]:1935/live/key", "rtmp://[::1]:1935/live/***"),
        ("http://127.0.0.1:8090/", "http://127.0.0.1:8090/"),
        ("file /var/lib/x and 12:30", "file /var/lib/x and 12:30"),
    ],
)
def test_shapes(text: str, shown: str) -> None:
    assert redact(text) == shown


def test_redacting_twice_changes_nothing() -> None:
    for key, base in PLATFORMS:
        once = redact(base + key)
        assert redact(once) == once


@given(
    st.text(alphabet=st.characters(codec="ascii", categories=("L", "N")), min_size=8, max_size=64).filter(
        lambda word: word not in ("realtime", "inference")  # the names of services, which are no secrets
    ),
    st.text(max_size=80),
)
def test_a_known_secret_never_survives(secret: str, around: str) -> None:
    shown = Redactor([secret])(f"{around} {secret}: rtmp://host/app/{secret}?x={secret}")
    assert secret not in shown or secret in MASK


def test_short_words_are_left_alone() -> None:
    assert Redactor(["", "ab", "?schedule=rtmp&pflag=1"])("ab rtmp 1") == "ab rtmp 1"


def test_a_service_is_no_secret_because_it_stands_in_an_address() -> None:
    hide = Redactor(["wss://example.com/api-ws/v1/realtime?token=s3cr3t-t0k3n"])
    assert hide("openai_realtime failed with s3cr3t-t0k3n") == f"openai_realtime failed with {MASK}"
