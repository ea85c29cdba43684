"""The connection of the cloud voices: given up at any moment, in time, through TLS and a proxy. On loopback."""

from __future__ import annotations

import asyncio
import datetime
import random
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import SecretStr

from broadcaster.cloud import dial
from broadcaster.cloud.dial import Dial
from broadcaster.errors import VoiceError
from broadcaster.types import Piece
from tests.contract.voice_cases.case import sound
from tests.fakes.dashscope_server import TTS_PATH, DashScopeServer
from tests.fakes.dashscope_talk import RATE
from tests.support.cloud_voice import MAKERS, NEVER_S, ONE, Engine, cosyvoice, data_of, hear
from tests.support.waiting import until

pytestmark = pytest.mark.integration


@pytest.fixture
def deaf() -> Any:
    """The address of a port whose queue of connections is full: the kernel drops every SYN, and nobody answers."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=0)
    address = listening.getsockname()
    filling = [socket.socket() for _ in range(3)]
    for one in filling:
        one.setblocking(False)
        with suppress(BlockingIOError):
            one.connect(address)
    yield f"ws://127.0.0.1:{address[1]}/"
    for one in filling:
        one.close()
    listening.close()


def in_a_thread(work: Callable[[], Any]) -> tuple[threading.Thread, list[BaseException]]:
    raised: list[BaseException] = []

    def guarded() -> None:
        try:
            work()
        except BaseException as err:
            raised.append(err)

    thread = threading.Thread(target=guarded, daemon=True)
    thread.start()
    return thread, raised


def test_a_connection_that_nobody_takes_has_a_time_out(deaf: str) -> None:
    one = Dial(deaf, 0.2)
    with pytest.raises(VoiceError, match=r"no connection to 127\.0\.0\.1:\d+ within 0\.2 s") as caught:
        one.connect()
    one.release()
    assert caught.value.retryable


def test_it_is_given_up_in_the_middle(deaf: str) -> None:
    one = Dial(deaf, NEVER_S)
    thread, raised = in_a_thread(one.connect)
    while one._sock is None and thread.is_alive():
        pass
    one.give_up()
    thread.join(NEVER_S / 2)
    assert not thread.is_alive()
    assert [type(err) for err in raised] == [VoiceError]
    one.release()


def test_what_was_given_up_before_is_not_begun(deaf: str) -> None:
    one = Dial(deaf, NEVER_S)
    one.give_up()
    with pytest.raises(VoiceError, match="no connection"):
        one.connect()


def test_a_name_that_does_not_exist() -> None:
    with pytest.raises(VoiceError, match=r"no connection to voice\.invalid:443") as caught:
        Dial("wss://voice.invalid/path?token=secret", 1.0).connect()
    assert caught.value.retryable
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("make", MAKERS)
async def test_streams_closed_at_any_moment_leave_neither_threads_nor_descriptors(
    make: Callable[..., Engine],
) -> None:
    moments = random.Random(7)
    async with DashScopeServer() as server:
        server.sound = sound(RATE, 2.0)
        server.pace_s = 0.001
        engine = make(server)
        await hear(engine)
        await until(lambda: server.open == 0)
        threads, descriptors = threading.active_count(), psutil.Process().num_fds()

        async def some() -> None:
            with suppress(TimeoutError):
                async with asyncio.timeout(moments.uniform(0, 0.03)):
                    async with aclosing(engine.stream(Piece(ONE, "zh", 0))) as stream:  # type: ignore[type-var]
                        async for _ in stream:
                            pass

        for _ in range(20):
            await asyncio.gather(*(some() for _ in range(4)))
        await until(lambda: server.open == 0)
        await until(lambda: threading.active_count() <= threads)
        await until(lambda: psutil.Process().num_fds() <= descriptors)
        assert data_of(await hear(engine)) == server.sound


# -- TLS -------------------------------------------------------------------------------------------------------------


def certificate(folder: Path) -> Path:
    """A key and a certificate for localhost that signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "localhost.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.fixture
async def secure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[DashScopeServer]:
    path = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    dial._tls.cache_clear()
    async with DashScopeServer(tls=context) as server:
        yield server
    dial._tls.cache_clear()


async def test_through_tls(secure: DashScopeServer) -> None:
    engine = cosyvoice(secure, url=SecretStr(f"wss://localhost:{secure.port}{TTS_PATH}"))
    assert data_of(await hear(engine)) == secure.sound
    secure.pace_s = 0.02
    stream = engine.stream(Piece(ONE, "zh", 0))
    await anext(stream)
    await stream.aclose()  # type: ignore[attr-defined]
    await until(lambda: secure.left == 1)
    assert secure.cancels == 1


async def test_a_certificate_of_nobody_we_know(secure: DashScopeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    dial._tls.cache_clear()
    with pytest.raises(VoiceError, match="the certificate of localhost was refused -> check url") as caught:
        await hear(cosyvoice(secure, url=SecretStr(f"wss://localhost:{secure.port}{TTS_PATH}")))
    assert not caught.value.retryable


async def test_a_server_that_takes_the_connection_and_never_answers_tls() -> None:
    ended = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        ended.set()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as listening:
        before = threading.active_count()
        url = SecretStr(f"wss://127.0.0.1:{listening.sockets[0].getsockname()[1]}/")
        with pytest.raises(VoiceError, match=r"no connection .*within 0\.3 s"):
            await hear(cosyvoice(DashScopeServer(), url=url, connect_timeout_s=0.3))
        await asyncio.wait_for(ended.wait(), NEVER_S)
        assert threading.active_count() == before


# -- proxy -----------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def proxy(port: int, answer: bytes) -> AsyncIterator[tuple[int, list[bytes]]]:
    """Answers CONNECT with `answer` and then passes everything on to `port`, wherever it was meant to go."""
    asked: list[bytes] = []

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer)
        if b" 200 " in answer:
            inner, outer = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.gather(copy(reader, outer), copy(inner, writer))
        else:
            writer.close()

    async with await asyncio.start_server(client, "127.0.0.1", 0) as listening:
        yield listening.sockets[0].getsockname()[1], asked


async def test_through_the_proxy_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    async with DashScopeServer() as server, proxy(server.port, b"HTTP/1.1 200 OK\r\nVia: p\r\n\r\n") as (port, asked):
        monkeypatch.setenv("http_proxy", f"http://me:p%40ss@127.0.0.1:{port}")
        engine = cosyvoice(server, url=SecretStr(f"ws://voice.invalid:81{TTS_PATH}"))
        assert data_of(await hear(engine)) == server.sound
        assert asked[0].startswith(b"CONNECT voice.invalid:81 HTTP/1.1\r\n")
        assert b"Proxy-Authorization: Basic bWU6cEBzcw==\r\n" in asked[0]
        assert data_of(await hear(cosyvoice(server))) == server.sound
        assert len(asked) == 1, "what is on this machine needs no proxy"
        monkeypatch.setenv("no_proxy", "voice.invalid")
        with pytest.raises(VoiceError, match=r"no connection to voice\.invalid:81"):
            await hear(engine)


async def test_a_proxy_that_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    async with proxy(0, b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n") as (port, _):
        monkeypatch.setenv("http_proxy", f"127.0.0.1:{port}")
        with pytest.raises(VoiceError, match="the proxy answered 407 -> check https_proxy"):
            await hear(cosyvoice(DashScopeServer(), url=SecretStr("ws://voice.invalid/")))
