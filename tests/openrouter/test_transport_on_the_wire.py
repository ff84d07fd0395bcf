"""The transport against real sockets on loopback: what a mock cannot show."""

from __future__ import annotations

import asyncio
import random
import shutil
import ssl
import subprocess
import time
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from fake_http import SECRET
from pydantic import SecretStr

from monitor.config import OpenRouter
from monitor.errors import BadPayload, Unavailable
from monitor.openrouter.transport import Transport

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"


class WallClock:
    """Real time, but waits between attempts are skipped."""

    def now(self):
        from build import NOW

        return NOW

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


@asynccontextmanager
async def server(handler: Handler, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """A server that reads one request and then does as told; returns its address."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            await handler(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    try:
        port = listening.sockets[0].getsockname()[1]
        yield f"{'https' if tls else 'http'}://127.0.0.1:{port}/api/v1"
    finally:
        listening.close()


@asynccontextmanager
async def transport_to(address: str, **settings: object) -> AsyncIterator[Transport]:
    options = {"base_url": address, "request_timeout": timedelta(seconds=0.3)} | settings
    transport = Transport(None, OpenRouter(**options), SecretStr(SECRET), WallClock(), random.Random(1))
    try:
        yield transport
    finally:
        await transport.close()


async def change(transport: Transport) -> bytes:
    """A call that is sent once, so that one deadline is one call."""
    return await transport.call("PATCH", f"/keys/{'0' * 64}", body={"disabled": True})


async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD + b"content-length: 1000\r\n\r\n")
    for _number in range(1000):
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.05)


async def drip_the_head(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD)
    for number in range(1000):
        writer.write(f"x-{number}: y\r\n".encode())
        await writer.drain()
        await asyncio.sleep(0.05)


async def hang(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read(100_000)
    await reader.read()


@pytest.mark.parametrize("handler", [drip, drip_the_head, hang])
async def test_a_peer_that_is_slow_on_purpose_cannot_hold_a_request_past_its_deadline(handler):
    async with server(handler) as address, transport_to(address) as transport:
        started = time.monotonic()
        with pytest.raises(Unavailable, match=r"no complete answer within 0\.3 s"):
            await change(transport)

        assert time.monotonic() - started < 1.2 * 0.3 + 0.3  # the second term is for a busy machine


async def test_waiting_for_a_free_connection_does_not_use_up_the_deadline():
    # given a peer that takes two thirds of the deadline for each answer, and one connection
    async def slow(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.2)
        writer.write(HEAD + b"content-length: 2\r\nconnection: close\r\n\r\n{}")
        await writer.drain()

    # when three requests come at once
    async with server(slow) as address, transport_to(address, concurrency=1) as transport:
        answers = await asyncio.gather(*(change(transport) for _ in range(3)))

    # then all are answered, one after the other
    assert answers == [b"{}"] * 3


async def test_an_endless_answer_is_cut_off_at_the_cap():
    n_sent = 0

    async def flood(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal n_sent
        writer.write(HEAD + b"\r\n")
        while True:
            writer.write(b" " * 65_536)
            n_sent += 65_536
            await writer.drain()

    async with server(flood) as address, transport_to(address, max_response_mb=1) as transport:
        with pytest.raises(BadPayload, match="larger than 1000000 bytes"):
            await change(transport)

    assert n_sent < 20_000_000


async def test_a_gzip_bomb_is_refused_without_being_inflated():
    # given 100 MB in 100 kB
    packer = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
    bomb = b"".join(packer.compress(bytes(1_000_000)) for _ in range(100)) + packer.flush()

    async def send(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + b"content-encoding: gzip\r\n\r\n" + bomb)
        await writer.drain()

    # when it is read with a cap of 2 MB
    settings = {"max_response_mb": 2, "request_timeout": timedelta(seconds=10)}
    async with server(send) as address, transport_to(address, **settings) as transport:
        tracemalloc.start()
        try:
            with pytest.raises(BadPayload, match="larger than"):
                await change(transport)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

    # then little more than the cap was ever held
    assert peak < 8_000_000


async def test_a_connection_cut_in_the_middle_is_no_answer():
    async def cut(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + b'content-length: 500\r\n\r\n{"data": [')
        await writer.drain()

    async with server(cut) as address, transport_to(address) as transport:
        with pytest.raises(Unavailable):
            await change(transport)


async def test_something_that_does_not_speak_http_is_no_source():
    async def babble(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n\x00\xff\r\n\r\n")
        await writer.drain()

    async with server(babble) as address, transport_to(address) as transport:
        with pytest.raises(Unavailable):
            await change(transport)


async def test_connections_are_used_again():
    n_connections = 0

    async def answer_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal n_connections
        n_connections += 1
        while True:
            writer.write(HEAD + b"content-length: 2\r\n\r\n{}")
            await writer.drain()
            await reader.readuntil(b"\r\n\r\n")

    async with server(answer_on) as address, transport_to(address) as transport:
        for _ in range(5):
            await transport.call("GET", "/keys")

    assert n_connections == 1


@pytest.fixture
def self_signed(tmp_path) -> ssl.SSLContext:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs the openssl command to make a certificate")
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    command = f"req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=127.0.0.1 -keyout {key} -out {certificate}"
    subprocess.run([openssl, *command.split()], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


async def test_a_certificate_nobody_vouches_for_is_refused_and_the_key_not_sent(self_signed):
    reached = []

    async def note(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reached.append(True)

    async with server(note, tls=self_signed) as address, transport_to(address) as transport:
        with pytest.raises(Unavailable, match="CERTIFICATE_VERIFY_FAILED"):
            await change(transport)

    assert reached == []
